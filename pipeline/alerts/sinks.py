"""Delivers one message to one sink. Where a sink is, the user's config says; no index can."""

import asyncio
import base64
import hashlib
import hmac
import logging
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import unquote, urlsplit

import aiohttp

from pipeline.alerts.message import Message
from pipeline.config.alerts import SinkConfig
from pipeline.errors import ConfigError, SourceError
from pipeline.records.sanitize import sanitized
from pipeline.storage.access import HTTP_PORTS, PUBLIC, origin_of, scheme_of
from pipeline.storage.http_client import Client
from pipeline.storage.secret import MIN_SECRET_CHARS, Secret

_OK = range(200, 300)
_MAX_ERROR_CHARS = 300
_SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret of Standard Webhooks begins with


class DeliveryError(Exception):
    """A sink did not take a message; another try may succeed."""

    def __init__(self, why: str) -> None:
        super().__init__(sanitized(why)[:_MAX_ERROR_CHARS])


Deliver = Callable[[Message], None]
"""Raises DeliveryError if the sink does not say that it has the message."""


def open_sink(name: str, sink: SinkConfig) -> Deliver:
    """What delivers to a sink.

    Raises:
        ConfigError: a variable of the environment or a package is missing.
    """
    if sink.jsonl:
        return _jsonl(Path(sink.jsonl))
    if sink.webhook or sink.webhook_env:
        secret = _from_env(name, "secret_env", sink.secret_env) if sink.secret_env else None
        url = sink.webhook or _url_from_env(name, sink.webhook_env or "")
        return _webhook(url, _key(name, secret), sink.timeout_s)
    if sink.command:
        return _command(sink.command, sink.timeout_s)
    return _apprise(name, _from_env(name, "apprise_env", sink.apprise_env or ""))


def _from_env(name: str, setting: str, variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(
            f"alerts.sinks.{name}.{setting}={variable}: this variable is not set; export it where"
            " timereel alerts runs"
        )
    return value


def _url_from_env(name: str, variable: str) -> str:
    url = _from_env(name, "webhook_env", variable)
    if scheme_of(url) in HTTP_PORTS:
        with suppress(SourceError):  # it would quote the address
            origin_of(url)
            return url
    raise ConfigError(
        f"alerts.sinks.{name}.webhook_env={variable}: the value of this variable is no"
        " http(s)://HOST/PATH"
    )


def _jsonl(path: Path) -> Deliver:
    def deliver(message: Message) -> None:
        line = f"{message.to_json(datetime.now(tz=UTC))}\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # One write of a file that is open for appending: lines of two senders do not mix. To
            # open a pipe that nobody reads would wait for ever.
            how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK
            opened = os.open(path, how, 0o640)
            try:
                if os.write(opened, line.encode()) < len(line.encode()):
                    raise DeliveryError(f"{path}: only a part of the line was written")
                os.fsync(opened)
            finally:
                os.close(opened)
        except OSError as exc:
            raise DeliveryError(f"{path}: {exc.strerror or exc}") from exc

    return deliver


def _webhook(url: str, key: bytes | None, timeout_s: float) -> Deliver:
    # What the user names in a config may be private: see SECURITY.md.
    client = Client(origin_of(url), PUBLIC, is_listed=True)
    secrets = _secrets_in(url)

    async def post(message: Message) -> int:
        at = datetime.now(tz=UTC)
        body = message.to_json(at).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "timereel"}
        headers |= signed(message.message_id, int(at.timestamp()), body, key)
        limit = aiohttp.ClientTimeout(total=timeout_s)
        async with (
            await client(timeout=limit) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status

    def deliver(message: Message) -> None:
        try:
            status = asyncio.run(post(message))
        except TimeoutError as exc:
            raise DeliveryError(f"no answer in {timeout_s:g} s") from exc
        except (aiohttp.ClientError, OSError, SourceError) as exc:
            told = f"{type(exc).__name__}: {exc}"
            for secret in secrets:
                told = secret.hidden(told)
            raise DeliveryError(told) from None
        if status not in _OK:
            raise DeliveryError(f"status {status}")

    return deliver


def _secrets_in(url: str) -> list[Secret]:
    """Who may post somewhere, the path or the query of an address often says, or a password."""
    parts = urlsplit(url)
    texts = (unquote(part or "") for part in (parts.password, parts.query, parts.path.strip("/")))
    return [Secret(text) for text in texts if len(text) >= MIN_SECRET_CHARS]


def _key(name: str, secret: str | None) -> bytes | None:
    if secret is None:
        return None
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except ValueError as exc:
        raise ConfigError(
            f"alerts.sinks.{name}.secret_env: what follows {_SECRET_PREFIX} is not base64"
        ) from exc


def signed(message_id: str, at_s: int, body: bytes, key: bytes | None) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0.0: id, time, and HMAC-SHA256 of both with the body."""
    headers = {"webhook-id": message_id, "webhook-timestamp": str(at_s)}
    if key is not None:
        content = f"{message_id}.{at_s}.".encode() + body
        mac = hmac.new(key, content, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
    return headers


def _command(argv: tuple[str, ...], timeout_s: float) -> Deliver:
    def deliver(message: Message) -> None:
        body = message.to_json(datetime.now(tz=UTC)).encode()
        # No pipes: what the command has started may hold them open when it is done itself.
        with TemporaryFile() as said:
            try:
                done = subprocess.run(  # noqa: S603 - the user's own command, without a shell
                    argv,
                    input=body,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    timeout=timeout_s,
                    check=False,
                )
            except subprocess.TimeoutExpired as exc:
                raise DeliveryError(f"{argv[0]}: not done in {timeout_s:g} s") from exc
            except OSError as exc:
                raise DeliveryError(f"{argv[0]}: {exc.strerror or exc}") from exc
            if done.returncode:
                said.seek(max(0, said.seek(0, os.SEEK_END) - _MAX_ERROR_CHARS))
                told = said.read(_MAX_ERROR_CHARS).decode("utf-8", "replace")
                raise DeliveryError(f"{argv[0]}: exit code {done.returncode} {told}")

    return deliver


def _apprise(name: str, urls: str) -> Deliver:
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise ConfigError(
            f"alerts.sinks.{name} needs the package apprise: pip install '.[alerts]'"
        ) from exc
    # Its log quotes URLs that it cannot read, and with them keys.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    told = apprise.Apprise()
    for number, url in enumerate(urls.split(), start=1):
        if not told.add(url):  # the URL itself holds keys, so it is not shown
            raise ConfigError(
                f"alerts.sinks.{name}.apprise_env: URL {number} of the variable is none of Apprise"
            )

    def deliver(message: Message) -> None:
        sent = told.notify(
            title=message.title, body=message.text, body_format=apprise.NotifyFormat.TEXT
        )
        if not sent:
            raise DeliveryError("Apprise could not deliver it to each of its URLs")

    return deliver
