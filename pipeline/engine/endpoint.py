"""One HTTP endpoint of somebody else's: requests go out, bounded bodies come in.

Whatever it does, a request ends within ``timeout_s`` and holds no more than ``max_bytes``: it is
asked for bytes that are not compressed, its redirects are not followed, and each request has a
connection of its own, so that nothing is left over from one for the next.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from pipeline.engine.api_key import ApiKey
from pipeline.engine.endpoint_answers import EndpointError, clean, error_words
from pipeline.storage.retry import PAUSE
from pipeline.storage.secret import Secret

MAX_ANSWER_BYTES = 8 * 2**20
"""Of one body; 4,000 tokens with their log probabilities have half a megabyte."""

_MAX_RETRY_AFTER_S = 60.0
_REDIRECTS = range(300, 400)
_OK = range(200, 300)

T = TypeVar("T")
_Body: TypeAlias = Callable[[], dict[str, Any]]
"""Makes what aiohttp sends, anew for each try: a form goes out once."""


class Endpoint:
    """Asks one address; many requests may be under way at once.

    Args:
        base_url: up to and including ``/v1``.
        key: what it is asked with.
        timeout_s: of one request, from connecting to the last byte of its answer.
        max_retries: further tries of a request that failed in passing.
        interval_s: requests begin no closer together than this.
    """

    def __init__(
        self,
        base_url: str,
        key: ApiKey,
        *,
        timeout_s: float,
        max_retries: int,
        interval_s: float = 0.0,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._proxy = _proxy(self.base_url)
        # A proxy may quote what it was sent, too.
        self._secrets = (key, Secret(_password(self._proxy)))
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._pace = _Pace(interval_s)

    async def get(self, url: str, read: Callable[[bytes], T]) -> T:
        """What ``read`` makes of the body at ``url``; raises as ``post``."""
        return await self._ask("GET", url, dict, read, MAX_ANSWER_BYTES)

    async def post(
        self,
        url: str,
        fields: Mapping[str, Any],
        read: Callable[[bytes], T],
        *,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> T:
        """What ``read`` makes of the body that answers ``fields``.

        Raises:
            EndpointError: there is no answer, or ``read`` refuses it.
        """
        return await self._ask("POST", url, lambda: {"json": fields}, read, max_bytes)

    async def upload(
        self,
        url: str,
        fields: Iterable[tuple[str, str]],
        file: tuple[str, str, bytes],
        read: Callable[[bytes], T],
    ) -> T:
        """What ``read`` makes of the body that answers a form with a file; raises as ``post``.

        Args:
            url: where the form goes.
            fields: name and value of each field.
            file: name, content type and bytes of the field ``file``.
            read: what checks the body.
        """
        listed, (name, kind, data) = list(fields), file

        def body() -> dict[str, Any]:
            form = aiohttp.FormData(listed)
            form.add_field("file", data, filename=name, content_type=kind)
            return {"data": form}

        return await self._ask("POST", url, body, read, MAX_ANSWER_BYTES)

    async def _ask(
        self,
        method: str,
        url: str,
        body: _Body,
        read: Callable[[bytes], T],
        max_bytes: int,
    ) -> T:
        tries = AsyncRetrying(
            retry=retry_if_exception(lambda exc: getattr(exc, "is_passing", False)),
            wait=_pause_s,
            stop=stop_after_attempt(self._max_retries + 1),
            reraise=True,
        )
        async for attempt in tries:
            with attempt:
                await self._pace.wait()
                try:
                    return read(await self._body(method, url, body, max_bytes))
                except EndpointError as exc:
                    exc.num_tries = attempt.retry_state.attempt_number
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _body(self, method: str, url: str, sent: _Body, max_bytes: int) -> bytes:
        """The body of a good answer; the key is nowhere in it."""
        # What other libraries raise may quote the endpoint, and so the key: it goes no further.
        try:
            async with asyncio.timeout(self._timeout_s):
                status, headers, body = await self._exchange(method, url, sent, max_bytes)
        except TimeoutError:
            raise EndpointError(f"no answer in {self._timeout_s:g} s", is_passing=True) from None
        except aiohttp.ClientConnectorError as exc:
            raise EndpointError(
                "the endpoint cannot be reached", self._told(exc), is_passing=True, is_reached=False
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise EndpointError(
                "the endpoint broke off", self._told(exc), is_passing=True
            ) from None
        if status in _OK:
            if any(secret.is_in(body) for secret in self._secrets):
                raise EndpointError("the answer holds the key that was sent, and is not kept")
            return body
        words = error_words(self._hidden(body))
        if status in _REDIRECTS and "Location" in headers:
            where = self._server(url, headers["Location"])
            event = f"the endpoint redirects to {where}, which is not followed"
            raise EndpointError(event, words, status=status)
        after_s = _retry_after_s(headers)
        event = "the endpoint refused the request"
        error = EndpointError(event, words, status=status, retry_after_s=after_s)
        if error.is_passing:
            error.event = "the endpoint failed"
        raise error

    async def _exchange(
        self, method: str, url: str, sent: _Body, max_bytes: int
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **self._key.headers}
        body = bytearray()
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
            ) as session,
            session.request(
                method, url, headers=headers, proxy=self._proxy, allow_redirects=False, **sent()
            ) as response,
        ):
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding.strip().lower() not in {"", "identity"}:
                raise EndpointError(
                    "the answer is compressed, which was not asked for", self._clean(encoding)
                )
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > max_bytes:
                    # Else the rest would still be read.
                    response.close()
                    raise EndpointError(
                        f"the answer has more than {max_bytes:,} bytes, and was not read on",
                        status=0 if response.status in _OK else response.status,
                    )
            return response.status, response.headers, bytes(body)

    def _hidden(self, body: bytes) -> bytes:
        for secret in self._secrets:
            body = secret.hidden_in(body)
        return body

    def _clean(self, text: str) -> str:
        """Words of a stranger without what was sent to it, fit for a row and a terminal."""
        return clean(self._hidden(text.encode("utf-8", "replace")).decode("utf-8", "replace"))

    def _told(self, exc: Exception) -> str:
        return self._clean(f"{type(exc).__name__}: {exc}")

    def _server(self, url: str, location: str) -> str:
        """Where a redirect leads; its path is left out, since it may hold anything."""
        try:
            parts = urlsplit(urljoin(url, location))
        except ValueError:
            return "an address that is none"
        return self._clean(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


class _Pace:
    """Lets requests begin no closer together than ``interval_s``; 0 lets all through."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._next_s = 0.0

    async def wait(self) -> None:
        """Return when the next request may begin."""
        if not self._interval_s:
            return
        now_s = time.monotonic()
        at_s = max(now_s, self._next_s)
        self._next_s = at_s + self._interval_s
        await asyncio.sleep(at_s - now_s)


def _pause_s(state: RetryCallState) -> float:
    exc = state.outcome.exception() if state.outcome else None
    told_s = exc.retry_after_s if isinstance(exc, EndpointError) else None
    return PAUSE(state) if told_s is None else told_s


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    try:
        told_s = float(headers.get("Retry-After", ""))
    except ValueError:  # none, or a date
        return None
    return told_s if 0 < told_s <= _MAX_RETRY_AFTER_S else None


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _password(proxy: str | None) -> str:
    try:
        return unquote(urlsplit(proxy or "").password or "")
    except ValueError:  # an address that is none; a request says so
        return ""
