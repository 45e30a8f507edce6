"""A secret that was sent somewhere: one object knows it, and finds it in texts of strangers."""

import base64
import os
import re
import string
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

LEFT_OUT = "(left out: it holds the key that was sent)"

_CREDENTIALS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_SAS_TOKEN",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "RAY_AUTH_TOKEN",
)
_CREDENTIAL_FILES = {
    "RAY_AUTH_TOKEN_PATH": "~/.ray/auth_token",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "",
    "AZURE_FEDERATED_TOKEN_FILE": "",
}
"""Variables that name a file which holds nothing but a token, and where it is without them."""
_MAX_TOKEN_BYTES = 65_536
_SECRET_OPTION = re.compile("key|secret|token|password|sas|connection_string", re.IGNORECASE)

MIN_SECRET_CHARS = 8
"""What local servers take for a key (EMPTY, token) is shorter, no secret, and in many texts."""
# Each alternative begins at a place of its own, so that no text makes this slow.
_ESCAPED = re.compile(
    rb"%([0-9a-fA-F]{2})"
    rb"|(?<!\\)\\++(?:(?:u00|x)([0-9a-fA-F]{2})|u[0-9a-fA-F]{4}|[abfnrtv])"
    rb"|&#[xX]0*+([0-9a-fA-F]{2});"
    rb"|&#0*+([0-9]{2,3});"
)
_SIGNS = bytes(set(range(256)) - set((string.ascii_letters + string.digits).encode()))
_LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())


class Secret:
    """It goes into a request, and into nothing that is kept or shown.

    Some servers quote what they were given, as it is or in another form: percent-encoded,
    escaped, base64, hexadecimal, or spelt out with signs between the letters.
    """

    def __init__(self, secret: str = "") -> None:
        self._secret = secret.encode()
        self._forms = _forms(self._secret) if len(secret) >= MIN_SECRET_CHARS else ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def is_in(self, body: bytes) -> bool:
        """Whether it can be read in ``body``, in any of its forms."""
        if not self._forms:
            return False
        spelt = (_letters(body), _letters(_ESCAPED.sub(_unescaped, body)))
        return any(form in text for text in spelt for form in self._forms)

    def hidden(self, text: str) -> str:
        """As ``hidden_in``, of a text."""
        hidden = self.hidden_in(text.encode("utf-8", "surrogatepass"))
        return hidden.decode("utf-8", "surrogatepass")

    def hidden_in(self, body: bytes) -> bytes:
        """``body`` with *** in its place; nothing of it if another form of the key is left."""
        if self._secret:
            body = body.replace(self._secret, b"***")
        return LEFT_OUT.encode() if self.is_in(body) else body


def without_credentials(text: str, options: Mapping[str, str] | None = None) -> str:
    """What a store or a cluster says, without credentials in ``options`` and in the environment.

    Of the environment are also the files of tokens that it names.
    """
    values = {os.environ.get(name, "") for name in _CREDENTIALS}
    values |= {_token_in(os.environ.get(name) or path) for name, path in _CREDENTIAL_FILES.items()}
    values |= {value for name, value in (options or {}).items() if _SECRET_OPTION.search(name)}
    for value in sorted(values):
        if len(value) >= MIN_SECRET_CHARS:
            text = Secret(value).hidden(text)
    return text


def _token_in(path: str) -> str:
    """The token in a file; "" if there is none that can be read."""
    with suppress(OSError, ValueError, RuntimeError):  # the last if nobody knows the home
        file = Path(path).expanduser()
        if file.is_file():  # opening a pipe would wait
            with file.open("rb") as opened:
                return opened.read(_MAX_TOKEN_BYTES).decode().strip()
    return ""


def _letters(text: bytes) -> bytes:
    """Small letters and digits alone, so that no sign between them hides anything."""
    return text.translate(_LOWER, _SIGNS)


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[4]:
        return bytes([int(found[4]) % 256])
    return bytes.fromhex((found[1] or found[2] or found[3] or b"").decode())


def _forms(secret: bytes) -> tuple[bytes, ...]:
    forms = map(_letters, (secret, secret.hex().encode(), *_base64_forms(secret)))
    return tuple(form for form in forms if len(form) >= MIN_SECRET_CHARS)


def _base64_forms(secret: bytes) -> list[bytes]:
    """What base64 of any text around the key must hold, by where in a group of three it begins."""
    forms = []
    for before in range(3):
        code = base64.b64encode(bytes(before) + secret).rstrip(b"=")
        # Characters that also hold bits of what stands around are not the key's alone.
        first = (before * 8 + 5) // 6
        last = (before + len(secret)) * 8 // 6
        forms.append(code[first:last])
    return forms
