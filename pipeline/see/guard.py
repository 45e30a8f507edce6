"""Who may ask, and the headers of every answer. Nothing of the index is read here.

A page of another site may make a browser ask this server. So the name in ``Host`` must be known
(against DNS rebinding), a write needs a header that no form can send, and no other origin may read.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
WRITE_HEADER = "x-timereel"
_COOKIE = "timereel"
_SAFE_METHODS = {"GET", "HEAD"}
_MAX_BODY_BYTES = 64 * 1024
"""Of a write; the longest statement has a few thousand characters."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Who may ask."""

    hosts: tuple[str, ...] = LOOPBACK
    """Names by which this server may be called, without the port."""
    token: str = ""
    """"" lets everybody in who reaches the server."""
    read_only: bool = False


class Guard:
    """Middleware: refuses what may not be asked, before any route sees it."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer: ASGIApp | None = self._refusal(scope)
        if answer is None and scope["method"] not in _SAFE_METHODS:
            body = await _read(receive)
            receive = _again(body, receive)
            if len(body) > _MAX_BODY_BYTES:
                answer = _refused(413, f"a write has at most {_MAX_BODY_BYTES:,} bytes")
        await (answer or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, asked = Headers(scope=scope), self._admission
        if host_of(headers.get("host", "")) not in {*asked.hosts, _address(scope)}:
            return _refused(421, "this server is not known by that name; see --allow-host")
        if asked.token and not self._is_known(headers):
            return self._to_cookie(scope) or _refused(401, "the token is missing or wrong")
        return None if scope["method"] in _SAFE_METHODS else self._refused_write(headers)

    def _refused_write(self, headers: Headers) -> Response | None:
        if self._admission.read_only:
            return _refused(403, "this server was started with --read-only")
        site = headers.get("sec-fetch-site", "same-origin")
        if headers.get(WRITE_HEADER) != "1" or site != "same-origin":
            return _refused(403, f"a write needs the header {WRITE_HEADER}: 1 and our own origin")
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused(415, "a write must be application/json")
        return None

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        # Other programs of the same host set cookies, too, of any form and of any name.
        cookies = [cookie_parser(one) for one in headers.get("cookie", "").split(";")]
        given = [cookie[_COOKIE] for cookie in cookies if _COOKIE in cookie]
        given += [bearer] if scheme.lower() == "bearer" else []
        return any(self._is_token(one) for one in given)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._admission.token.encode())

    def _to_cookie(self, scope: Scope) -> Response | None:
        """Move a right token from the address to a cookie, so that it stays in no history."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["method"] != "GET" or scope["path"] != "/":
            return None
        if not any(self._is_token(value) for name, value in query if name == "token"):
            return None
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        answer = RedirectResponse(f"/?{rest}" if rest else "/", 303)
        answer.set_cookie(_COOKIE, self._admission.token, httponly=True, samesite="strict")
        return answer


async def _read(receive: Receive) -> bytes:
    """The body of a request, or its beginning if it is too long."""
    body = bytearray()
    while len(body) <= _MAX_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read, and then what comes after it."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return left.pop() if left else await receive()

    return next_message


def host_of(header: str) -> str:
    """The name or address in a Host header, without the port and in lower case."""
    name = header.strip().lower()
    if name.endswith("]"):
        return name
    return name.rpartition(":")[0] if ":" in name else name


def is_loopback(hosts: Iterable[str]) -> bool:
    """Whether all of these addresses are of this machine alone."""
    return all(host in {*LOOPBACK, "::1"} for host in hosts)


def _address(scope: Scope) -> str:
    """The address at which the request arrived: no name of another site leads to it."""
    address = (scope.get("server") or ("", 0))[0]
    return f"[{address}]" if ":" in address else address


def _refused(status: int, why: str) -> Response:
    return JSONResponse({"detail": why}, status)
