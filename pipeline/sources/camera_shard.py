"""One archive cut among several drivers, by camera: what is joined lies within one of them."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from pipeline.errors import ConfigError

_FORM = re.compile(r"([0-9]+)/([0-9]+)")


@dataclass(frozen=True, slots=True)
class CameraShard:
    """Part ``number`` of ``count``, from 1; every camera is in one of them for good."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a text such as ``3/16``.

        Raises:
            ConfigError: it is none.
        """
        form = _FORM.fullmatch(text)
        if not form or not 1 <= int(form[1]) <= int(form[2]):
            raise ConfigError(f"shard {text!r}: must be N/M with N from 1 to M, such as 3/16")
        return cls(int(form[1]), int(form[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, camera: str) -> bool:
        """Whether the camera is in this part: the same on every machine and in every version."""
        hashed = hashlib.blake2b(camera.encode(), digest_size=8).digest()
        return int.from_bytes(hashed) % self.count == self.number - 1
