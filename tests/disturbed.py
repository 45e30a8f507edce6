"""An HTTP server in front of a folder, or of another server, that disturbs some of its answers.

Which answers are disturbed depends on the seed and on how many were asked for before. Kinds:

    drop        half of the body, then the connection is closed
    stall       half of the body, then nothing
    short       half of the body, and the headers say that this was all
    truncate    the file is said to be half as long
    refuse      503
    die         the connection is closed before a word
"""

import http.client
import random
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

KINDS = ("drop", "stall", "short", "truncate", "refuse", "die")


@dataclass
class Disturbance:
    """What goes wrong, and how much of what was asked for was served and disturbed."""

    kinds: tuple[str, ...] = ()
    share: float = 0.0
    seed: int = 0
    well_gets: int = 0
    """So many GETs are answered first."""
    spared: Callable[[str], bool] = lambda _: False
    """Of which requests none is disturbed, such as ``GET /a.mp4``."""
    asked: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    num_disturbed: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def num_gets(self) -> int:
        return sum(one.startswith("GET") for one in self.asked)

    def of(self, request: str) -> str:
        """The kind that this request meets; "" if none."""
        with self._lock:
            number = len(self.asked)
            self.asked.append(request)
            is_early = 0 < self.num_gets <= self.well_gets
            if is_early or self.spared(request):
                return ""
            chance = random.Random(f"{self.seed}/{number}")
            if not self.kinds or chance.random() >= self.share:
                return ""
            self.num_disturbed += 1
            return chance.choice(self.kinds)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    num_bytes: int | None = None
    """Of a body that is only told of."""


Serve = Callable[[BaseHTTPRequestHandler, bytes], Answer]


def folder(root: Path) -> Serve:
    """The files of a folder, in ranges; their etags; folders as pages of links."""

    def serve(request: BaseHTTPRequestHandler, _body: bytes) -> Answer:
        path = root / unquote(request.path).lstrip("/")
        if path.is_dir():
            links = "".join(f'<a href="{one.name}">.</a>' for one in sorted(path.iterdir()))
            return Answer(200, {"Content-Type": "text/html"}, links.encode())
        if not path.is_file():
            return Answer(404, {}, b"")
        data = path.read_bytes()
        headers = {"Accept-Ranges": "bytes", "ETag": f'"{zlib.crc32(data):x}"'}
        asked = request.headers.get("Range")
        if not asked:
            return Answer(200, headers, data)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(data)) + 1, len(data))
        if start >= len(data):
            return Answer(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        return Answer(206, headers, data[start:end])

    return serve


def upstream(host: str) -> Serve:
    """What another server answers, under its own name: requests may be signed."""

    def serve(request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        line = http.client.HTTPConnection(host, timeout=60)
        line.request(
            request.command, request.path, body=body or None, headers=dict(request.headers)
        )
        got = line.getresponse()
        dropped = {"connection", "transfer-encoding", "content-length", "server", "date"}
        headers = {k: v for k, v in got.getheaders() if k.lower() not in dropped}
        told = got.getheader("Content-Length") if request.command == "HEAD" else None
        answer = Answer(got.status, headers, got.read(), int(told) if told else None)
        line.close()
        return answer

    return serve


@contextmanager
def disturbed_server(serve: Serve, disturbance: Disturbance) -> Iterator[str]:
    """Its address, without a slash at the end."""

    class Handler(_Handler):
        pass

    Handler.serve, Handler.disturbance = staticmethod(serve), disturbance
    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        disturbance.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that goes away is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    serve: Serve
    disturbance: Disturbance

    def do_HEAD(self) -> None:
        self._answer()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD  # noqa: N815

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.disturbance.of(f"{self.command} {self.path}")
        is_head = self.command == "HEAD"
        if kind == "stall" and is_head:
            self.disturbance.closing.wait()
        if kind == "die" or (kind in {"drop", "stall"} and is_head):
            self._hang_up()
            return
        if kind == "refuse":
            self._send(Answer(503, {}, b""))
            return
        answer = self.serve(self, body)
        half = len(answer.body) // 2
        match kind:
            case "short":
                self._send(Answer(answer.status, answer.headers, answer.body[:half]))
            case "truncate" if answer.status in {200, 206}:
                self._send(_halved(answer))
            case "drop" | "stall":
                self._send(answer, half)
                if kind == "stall":
                    self.disturbance.closing.wait()
                self._hang_up()
            case _:
                self._send(answer)

    def _send(self, answer: Answer, upto: int | None = None) -> None:
        num_bytes = len(answer.body) if answer.num_bytes is None else answer.num_bytes
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(num_bytes))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[:upto])
            self.disturbance.sent_bytes += len(answer.body[:upto])

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _halved(answer: Answer) -> Answer:
    """As of a file of half its length: a range beyond it is empty."""
    headers, body = dict(answer.headers), answer.body
    total = answer.num_bytes if answer.num_bytes is not None else len(body)
    if found := headers.get("Content-Range"):
        span, _, told = found.removeprefix("bytes ").partition("/")
        start, total = int(span.partition("-")[0]), int(told)
        body = body[: max(0, total // 2 - start)]
        headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{total // 2}"
        return Answer(answer.status, headers, body)
    num_bytes = None if answer.num_bytes is None else total // 2
    return Answer(answer.status, headers, body[: total // 2], num_bytes)
