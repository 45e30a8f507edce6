"""Ranges of recordings are the very bytes, wherever they lie; other files are not sent."""

import os
import random
import shutil

import pytest
from httpx import Client
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

import pipeline.index as pi
from pipeline.see.byte_ranges import Part, parse
from tests.disturbed import Disturbance, disturbed_server, folder
from tests.index_rows import rows, video
from tests.page_server import served
from tests.videos import make_video

http = Client(timeout=120)
RANGES = ("bytes=0-99", "bytes=100-", "bytes=-77", "bytes=1000-1000", "bytes=5000-2000000")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = make_video(tmp_path_factory.mktemp("clip") / "gate.mp4")
    with path.open("ab") as file:  # a box that players skip
        file.write((3_000_000).to_bytes(4, "big") + b"free" + random.Random(1).randbytes(2_999_992))
    return path


def index_of(tmp_path, uri, **given):
    writer = pi.Writer(tmp_path / "index")
    row = video("v1", uri=str(uri), codec="h264", **given)
    writer.finish_videos(rows("videos", row), rows("events"), rows("segments"))
    return tmp_path / "index"


def check_ranges(address, data):
    url = f"{address}/api/v1/videos/v1/source"
    whole = http.get(url)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    assert whole.content == data
    assert whole.headers["content-type"] == "video/mp4"
    for asked in RANGES:
        part = http.get(url, headers={"Range": asked})
        wanted = parse(asked, len(data))
        assert part.status_code == 206
        assert part.content == data[wanted.first : wanted.end]
        told = f"bytes {wanted.first}-{wanted.end - 1}/{len(data)}"
        assert part.headers["content-range"] == told
    beyond = http.get(url, headers={"Range": f"bytes={len(data)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(data)}")
    stale = http.get(url, headers={"Range": "bytes=0-9", "If-Range": '"older"'})
    assert (stale.status_code, len(stale.content)) == (200, len(data))


def test_a_local_recording(tmp_path, clip):
    with served(index_of(tmp_path, clip)) as (address, _):
        check_ranges(address, clip.read_bytes())


def test_a_recording_in_s3(tmp_path, clip, monkeypatch):
    import boto3

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            monkeypatch.setenv(name, value)
        S3FileSystem.clear_instance_cache()  # another test has another server
        store = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
        store.create_bucket(Bucket="footage")
        store.upload_file(str(clip), "footage", "gate.mp4")
        root = index_of(tmp_path, "s3://footage/gate.mp4", num_bytes=clip.stat().st_size)
        with served(root) as (address, _):
            check_ranges(address, clip.read_bytes())
    finally:
        server.stop()


def test_a_recording_of_a_web_server_if_its_private_address_is_named(tmp_path, clip):
    (tmp_path / "served").mkdir()
    shutil.copy(clip, tmp_path / "served" / "gate.mp4")
    with disturbed_server(folder(tmp_path / "served"), Disturbance()) as server:
        root = index_of(tmp_path, f"{server}/gate.mp4", num_bytes=clip.stat().st_size)
        with served(root, source_hosts=("127.0.0.1",)) as (address, _):
            check_ranges(address, clip.read_bytes())
        with served(root) as (address, _):
            refused = http.get(f"{address}/api/v1/videos/v1/source")
            assert refused.status_code == 410
            assert "127.0.0.1" not in refused.text


def test_a_file_that_is_no_video_is_not_sent_although_an_index_names_it(tmp_path):
    secret = tmp_path / "shadow.mp4"
    secret.write_text("root:secret\n" * 100)
    with served(index_of(tmp_path, secret)) as (address, _):
        for path in (
            "source",
            "clip.mp4?start_ns=0&end_ns=1000000000",
            "frames?start_ns=0&end_ns=9",
        ):
            answer = http.get(f"{address}/api/v1/videos/v1/{path}")
            assert answer.status_code == 410
            assert "secret" not in answer.text
            assert str(tmp_path) not in answer.text


def test_with_a_root_only_what_lies_below_it_is_opened_also_through_links(tmp_path, clip):
    inside = tmp_path / "inside"
    inside.mkdir()
    shutil.copy(clip, inside / "gate.mp4")
    (inside / "link.mp4").symlink_to(clip)
    for name, uri, status in (
        ("a", inside / "gate.mp4", 200),
        ("b", clip, 410),
        ("c", inside / "link.mp4", 410),
        ("d", inside / ".." / clip.name, 410),
    ):
        (tmp_path / name).mkdir()
        with served(index_of(tmp_path / name, uri), roots=(str(inside),)) as (address, _):
            assert http.get(f"{address}/api/v1/videos/v1/source").status_code == status


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=0-0", Part(0, 1)),
        ("bytes=9-", Part(9, 10)),
        ("bytes=9-99", Part(9, 10)),
        ("bytes=-3", Part(7, 10)),
        ("bytes=-30", Part(0, 10)),
        ("bytes=10-", Part(10, 10)),
        ("bytes=-0", Part(10, 10)),
    ],
)
def test_a_range_of_ten_bytes(header, part):
    assert parse(header, 10) == part
