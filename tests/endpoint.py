"""A real HTTP server that speaks as OpenAI-compatible endpoints do, by a script."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DROPPED = 0
RAW = -1


class Endpoint:
    """Answers chat requests by a script of (status, answer); the last one goes on.

    An answer is a text, or a function of the request's body that returns one, or another status
    with its text. The status ``DROPPED`` ends the connection without an answer; ``RAW`` sends bytes
    as they are, or the bytes that a function yields, one after the other, until nobody reads them.
    ``models`` are names, or the bytes of the whole list. A form is a list of names and bytes.
    """

    def __init__(self, *script, models=("m",), delay_s=0.0):
        self.script = list(script)
        self.requests = []
        self.at_s = []
        self.most_at_once = 0
        endpoint = self
        lock = threading.Lock()
        self._active = 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                send_raw(self, models if isinstance(models, bytes) else response(listed(models)))

            def do_POST(self):
                length = int(self.headers["Content-Length"])
                body = sent(self.headers["Content-Type"], self.rfile.read(length))
                with lock:
                    endpoint._active += 1
                    endpoint.most_at_once = max(endpoint.most_at_once, endpoint._active)
                    endpoint.requests.append((self.headers, body))
                    endpoint.at_s.append(time.monotonic())
                    script = endpoint.script
                    status, text = script.pop(0) if len(script) > 1 else script[0]
                if callable(text) and status != RAW:
                    text = text(body)
                    if isinstance(text, tuple):
                        status, text = text
                time.sleep(delay_s)
                with lock:
                    endpoint._active -= 1
                if status == DROPPED:
                    self.close_connection = True
                elif status == RAW:
                    send_raw(self, text)
                elif status == 200:
                    self.reply(200, completion(text))
                else:
                    key = self.headers["Authorization"]
                    self.reply(status, {"error": {"message": f"{text} for {key}"}})

            def reply(self, status, body):
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                # A client that has given up waiting is one of the tests.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(raw)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def sent(kind, raw):
    """JSON as it is; of a form the names and bytes of its fields, in order."""
    form, _, boundary = kind.partition("; boundary=")
    if form != "multipart/form-data":
        return json.loads(raw)
    fields = []
    for part in raw.split(f"--{boundary}".encode())[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        fields.append((head.split(b'name="')[1].split(b'"')[0].decode(), data[:-2]))
    return fields


def send_raw(handler, raw):
    """Bytes, or those that a function yields one after the other, and the end of the connection."""
    handler.close_connection = True
    with contextlib.suppress(OSError):
        for piece in raw() if callable(raw) else [raw]:
            handler.wfile.write(piece)
            handler.wfile.flush()


def listed(names):
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


def response(body, *, status=200, kind="application/json", headers=(), length=None):
    """A whole answer of HTTP as bytes; ``length`` is told in place of the true one."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    told = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {told}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def completion(text):
    content, reason = text if isinstance(text, tuple) else (text, "stop")
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": reason,
                "message": {"role": "assistant", "content": content},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }
