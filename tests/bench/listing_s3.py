"""What ``timereel sources`` costs over a bucket: CPU seconds and memory for NUM keys.

python -m tests.bench.listing_s3 100000

A bucket of 50 cameras with a folder per day is answered by a small server of this process, page by
page as S3 answers; only what timereel itself needs is counted.
"""

import bisect
import os
import resource
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CAMERAS, PER_DAY, PAGE = 50, 288, 1000
BUCKET = "archive"


class Bucket(BaseHTTPRequestHandler):
    """Lists sorted keys; knows nothing else of S3."""

    protocol_version = "HTTP/1.1"

    def __init__(self, keys: list[str], *args: object) -> None:
        self.keys = keys
        super().__init__(*args)

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        prefix, is_folder = asked.get("prefix", ""), "delimiter" in asked
        at = bisect.bisect_right(self.keys, asked.get("continuation-token", prefix[:-1]))
        at = max(at, bisect.bisect_left(self.keys, prefix))
        page, folders = [], []
        while at < len(self.keys) and self.keys[at].startswith(prefix) and len(page) < PAGE:
            key = self.keys[at]
            folder = key[: key.find("/", len(prefix)) + 1] if is_folder else ""
            if folder:
                folders.append(folder)
                at = bisect.bisect_left(self.keys, folder + "\x7f")
            else:
                page.append(key)
                at += 1
        more = at < len(self.keys) and self.keys[at].startswith(prefix)
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
        body = (
            f"<ListBucketResult><Name>{BUCKET}</Name><Prefix>{prefix}</Prefix>{token}"
            f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>"
            + "".join(map(_content, page))
            + "".join(f"<CommonPrefixes><Prefix>{f}</Prefix></CommonPrefixes>" for f in folders)
            + "</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the output to the figures."""


def _content(key: str) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>2026-03-01T00:00:00.000Z</LastModified>"
        '<ETag>"d41d8cd98f00b204e9800998ecf8427e"</ETag><Size>123456</Size>'
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def main(num_keys: int) -> None:
    """List the bucket, and print what that took."""
    begun = datetime(2026, 3, 14, tzinfo=UTC)
    keys = []
    for number in range(num_keys):
        at = begun + timedelta(days=1) / PER_DAY * (number // CAMERAS)
        camera = f"cam{number % CAMERAS:03}"
        keys.append(f"cameras/{camera}/{at:%Y-%m-%d}/{camera}_{at:%Y%m%dT%H%M%SZ}.mp4")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Bucket, sorted(keys)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.executable, "-m", "timereel", "sources", f"s3://{BUCKET}/cameras"]
    listed = subprocess.run(
        [*command, "--format", "jsonl"],
        stdout=subprocess.PIPE, check=True,
        env=os.environ | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1",
        },
    )  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    server.shutdown()
    num_listed = listed.stdout.count(b"\n")
    print(  # noqa: T201
        f"{num_listed:,} of {num_keys:,} keys: {used.ru_utime + used.ru_stime:.1f} CPU s, "
        f"{used.ru_maxrss / 1000:.0f} MB"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
