"""Divides an archive among several drivers by camera, since only files of one camera are joined."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from pipeline.errors import ConfigError

_FORM = re.compile(r"([0-9]+)/([0-9]+)")


@dataclass(frozen=True, slots=True)
class CameraShard:
    """Part ``number`` of ``count``, counted from 1. A camera is always in the same part."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a text such as ``3/16``.

        Raises:
            ConfigError: it has another form, or the number is not in 1 to ``count``.
        """
        match = _FORM.fullmatch(text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise ConfigError(f"shard {text!r}: must be N/M with N from 1 to M, such as 3/16")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, camera: str) -> bool:
        """Whether the camera is in this part; the same on every machine and in every version."""
        hashed = hashlib.blake2b(camera.encode(), digest_size=8).digest()
        return int.from_bytes(hashed) % self.count == self.number - 1
