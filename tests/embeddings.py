"""A real HTTP server with an OpenAI-compatible /v1/embeddings: texts that share words are near."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIZE = 256


def vector(text):
    """Its words, hashed into a few places; not of unit length."""
    made = [0.0] * SIZE
    for word in text.lower().replace("|", " ").split():
        made[int(hashlib.md5(word.encode()).hexdigest(), 16) % SIZE] += 1.0  # noqa: S324
    return made


class Embeddings:
    """Counts what it was asked; shuffles its answers, which carry their index."""

    def __init__(self, size=SIZE):
        self.texts = []
        self.keys = set()
        asked = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked.texts += body["input"]
                asked.keys.add(self.headers["Authorization"])
                data = [
                    {"object": "embedding", "index": i, "embedding": vector(text)[:size]}
                    for i, text in enumerate(body["input"])
                ]
                raw = json.dumps(
                    {"object": "list", "model": body["model"], "data": data[::-1],
                     "usage": {"prompt_tokens": 1, "total_tokens": 1}}
                ).encode()  # fmt: skip
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
