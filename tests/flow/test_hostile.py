"""Storage that hangs its reader does not stop the job: the other files are indexed."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.answering import answering
from tests.conftest import Cli
from tests.videos import make_video

pytestmark = pytest.mark.ray


class Storage(BaseHTTPRequestHandler):
    """Serves one file in ranges; after ``good_bytes`` of it, it never answers again."""

    def __init__(self, data: bytes, good_bytes: int, closing: threading.Event, *args) -> None:
        self.data, self.closing = data, closing
        self.good_bytes = good_bytes
        super().__init__(*args)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "bytes=0-").removeprefix("bytes=")
        first, _, last = asked.partition("-")
        start, end = int(first), min(int(last or len(self.data)) + 1, len(self.data))
        if start >= self.good_bytes:
            self.closing.wait()
            return
        self.send_response(206)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(self.data)}")
        self.end_headers()
        self.wfile.write(self.data[start:end])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hanging_storage(data: bytes, good_bytes: int) -> Iterator[str]:
    closing = threading.Event()
    with answering(partial(Storage, data, good_bytes, closing)) as address:
        try:
            yield address
        finally:
            closing.set()


def stretched(data: bytes) -> bytes:
    """A transport stream with 8 MB of nothing in its middle: more than is read at once."""
    middle = len(data) // 188 // 2 * 188
    nothing = (b"\x47\x1f\xff\x10" + b"\xff" * 184) * (8_000_000 // 188)
    return data[:middle] + nothing + data[middle:]


def test_a_file_whose_storage_stops_answering_is_outstanding_and_the_others_are_done(
    cli: Cli, tmp_path: Path
) -> None:
    clip = make_video(tmp_path / "one.mp4", num_frames=50)
    shutil.copy(clip, tmp_path / "two.mp4")
    data = stretched(make_video(tmp_path / "long.ts", num_frames=150).read_bytes())
    index = tmp_path / "index"
    with hanging_storage(data, good_bytes=len(data) // 2) as storage:
        report = cli.json(
            "index", clip, tmp_path / "two.mp4", f"{storage}/long.ts", "--index", index,
            "--set", "decode.max_stall_s=8", "--json", code=7,
        )  # fmt: skip
    assert (report["videos"]["done"], report["videos"]["failed"]) == (2, 0)
    [left] = report["outstanding"]
    assert left["uri"].endswith("long.ts")
    assert "tried 5 times" in left["error"]


def test_a_plan_reports_a_file_that_hangs_and_continues(cli: Cli, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "one.mp4", num_frames=50)
    data = stretched(make_video(tmp_path / "long.ts", num_frames=150).read_bytes())
    with hanging_storage(data, good_bytes=len(data) // 2) as storage:
        plan = cli.json(
            "plan", f"{storage}/long.ts", clip, "--set", "decode.max_stall_s=8", "--json"
        )
    assert plan["videos"] == 1
    [failure] = plan["failures"]
    assert failure["uri"].endswith("long.ts")
    assert "tried 5 times" in failure["error"]
