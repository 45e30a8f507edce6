"""A webhook that records what it takes, and refuses a share of it."""

import base64
import json
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

SECRET = f"whsec_{base64.b64encode(b'of a test, and of nothing else').decode()}"


class Receiver:
    """Verifies each message with the official package; of those it takes, keeps bodies by id.

    ``failing`` is the share of requests that it answers with 503: half of them before it has taken
    the message, half after, as a server does that dies while it answers.
    """

    def __init__(self, failing=0.0, seed=1):
        self.taken: dict[str, list[dict]] = {}
        self.num_requests = self.num_refused = self.num_bad = 0
        receiver, chance, lock = self, random.Random(seed), threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    receiver.num_requests += 1
                    try:
                        told = Webhook(SECRET).verify(body, dict(self.headers))
                    except Exception:  # noqa: BLE001 - whatever it is, it is no good message
                        receiver.num_bad += 1
                        told = json.loads(body)
                    fails = chance.random() < failing
                    receiver.num_refused += fails
                    if not (fails and chance.random() < 0.5):
                        receiver.taken.setdefault(self.headers["webhook-id"], []).append(told)
                self.send_response(503 if fails else 204)
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def told(self):
        """Each alert that was taken, once for each message id."""
        return [alert for bodies in self.taken.values() for alert in bodies[0]["alerts"]]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
