"""The key of an endpoint."""

import os
from typing import Self

from pipeline.errors import EngineStartError
from pipeline.storage.secret import Secret


class ApiKey(Secret):
    """A secret that goes into one header of a request."""

    @classmethod
    def from_env(cls, name: str | None, *, setting: str) -> Self:
        """The key in the environment variable ``name``; no key if that is None.

        Raises:
            EngineStartError: the variable is not set, or is no key.
        """
        if name is None:
            return cls()
        secret = os.environ.get(name, "")
        if not secret:
            raise EngineStartError(
                f"{setting}={name}: this variable is not set where the engine runs; export it "
                "before Ray starts, or pass it in the job's runtime_env"
            )
        if not (secret.isascii() and secret.isprintable() and " " not in secret):
            raise EngineStartError(
                f"{setting}={name}: the value of this variable has characters that no key has, "
                "such as a blank or a line end; set it without them"
            )
        return cls(secret)

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs to carry it."""
        return {"Authorization": f"Bearer {self._secret.decode()}"} if self._secret else {}
