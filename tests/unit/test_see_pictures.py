"""Pictures of the page for an index that kept none: made once, gone with the footage."""

import io
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import numpy as np
import platformdirs
import pytest
from httpx import Client
from PIL import Image
from s3fs import S3FileSystem

import pipeline.index as pi
from pipeline.index import made_pictures, remembered
from pipeline.index.erase import erase
from pipeline.index.replace import change
from pipeline.index.scope import Scope
from tests.index_rows import at, rows, window
from tests.page_archive import make_archive
from tests.page_server import served
from tests.videos import number_in

http = Client(timeout=300)


def number_of(answer):
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    return number_in(np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")))


def test_a_picture_is_made_once_and_goes_with_an_erasure(tmp_path):
    root, _ = make_archive(tmp_path, ("vfr",))
    with served(root) as (address, _):
        url = f"{address}/api/v1/events/e-vfr/picture.webp"
        first = http.get(url)
        (tmp_path / "vfr.mp4").unlink()
        assert http.get(url).content == first.content
        erase(pi.open(root).store, Scope.parse(start=at(0), end=at(1)))
        assert not list(root.glob("pictures/*"))
        assert http.get(url).status_code in {404, 410}
    with served(root) as (address, _):
        assert http.get(f"{address}/api/v1/events/e-vfr/picture.webp").status_code in {404, 410}


def test_a_camera_is_shown_upright_at_a_moment_and_without_its_recording_by_what_was_kept(tmp_path):
    root, shown = make_archive(tmp_path, ("rotated", "large"))
    seen = window("v-large.mp4", 0, 60, 66) | {"camera": "large", "video_id": "v-large.mp4"}
    kept = {"evidence_id": "p", "at": at(61), "webp": b"kept"} | {
        name: seen[name] for name in ("camera", "video_id", "shard_id", "start", "end")
    }
    pi.Writer(root).write_windows(rows("windows", seen), rows("evidence", kept))
    with served(root) as (address, _):

        def picture_of(camera, second):
            asked = {"camera": camera, "at": at(second).isoformat()}
            return http.get(f"{address}/api/v1/cameras/picture.webp", params=asked)

        upright = picture_of("rotated", shown["rotated"].media_s)
        assert number_of(upright) == shown["rotated"].number
        assert Image.open(io.BytesIO(upright.content)).size == (96, 160)
        large = picture_of("large", 60 + shown["large"].media_s)
        assert number_of(large) == shown["large"].number
        assert Image.open(io.BytesIO(large.content)).size == (640, 384)
        assert picture_of("rotated", 3600).status_code == 404
        assert picture_of("large", 3600).content == b"kept"
        (tmp_path / "large.mp4").unlink()
        erase(pi.open(root).store, Scope.parse(camera="rotated"))
        assert picture_of("large", 63).content == b"kept"
        assert picture_of("rotated", 3).status_code == 404


def test_a_recording_of_which_no_model_answered_a_window_is_shown_and_played_all_the_same(tmp_path):
    root, shown = make_archive(tmp_path, ("vfr",))
    change(pi.open(root).store, "videos", {"status": "failed"}, "true")
    with served(root) as (address, _):
        asked = {"camera": "vfr", "at": at(shown["vfr"].media_s).isoformat()}
        picture = http.get(f"{address}/api/v1/cameras/picture.webp", params=asked)
        assert number_of(picture) == shown["vfr"].number
        frames = f"{address}/api/v1/videos/v-vfr.mp4/frames"
        answer = http.get(frames, params={"start_ns": 0, "end_ns": 10**9})
        assert len(answer.json()["media_s"]) > 1


def test_of_many_pictures_the_oldest_are_removed(tmp_path, monkeypatch):
    root, _ = make_archive(tmp_path, ("vfr",))
    store = pi.open(root).store
    monkeypatch.setattr(made_pictures, "MAX_PICTURES", 20)
    for number in range(20):
        assert remembered(store, f"{number}", lambda: b"a") == b"a"
        os.utime(root / "pictures" / f"{number}.webp", ns=(number, number))
    assert remembered(store, "3", lambda: b"new") == b"a"
    remembered(store, "20", lambda: b"b")
    left = {int(path.stem) for path in (root / "pictures").iterdir()}
    assert left == set(range(3, 21))


@pytest.fixture
def bucket(monkeypatch):
    # Of its own process: the library of the tables holds Python's lock while it lists a log.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)])
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    while server.poll() is None and not is_listening(port):
        time.sleep(0.05)
    made = boto3.resource("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).Bucket("archive")
    made.create()
    S3FileSystem.clear_instance_cache()  # another test has another server
    yield made
    S3FileSystem.clear_instance_cache()
    server.terminate()
    server.wait()


def is_listening(port):
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def test_an_index_in_a_bucket_has_its_lanes_and_pictures_which_lie_in_the_cache_of_the_user(
    tmp_path, bucket, monkeypatch
):
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda _name: tmp_path / "cache")
    root, shown = make_archive(tmp_path / "local", ("vfr",))
    for path in root.rglob("*"):
        if path.is_file():
            bucket.upload_file(str(path), f"index/{path.relative_to(root)}")
    with served("s3://archive/index") as (address, _):
        day = {"start": "2026-03-01T08:00:00Z", "end": "2026-03-01T09:00:00Z"}
        lanes = http.get(f"{address}/api/v1/lanes", params=day).json()
        assert [one["event_id"] for one in lanes["events"]] == ["e-vfr"]
        assert lanes["coverage"]["vfr"]
        number = number_of(http.get(f"{address}/api/v1/events/e-vfr/picture.webp"))
        assert number > shown["vfr"].number
    [kept] = Path(tmp_path / "cache").rglob("*.webp")
    assert kept.parent.parent.name == "pictures"
