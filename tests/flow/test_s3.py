"""The whole life of an archive and its index on an S3 server of the test's own."""

import os
import secrets
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest
from deltalake import DeltaTable

import pipeline.index as pi
from pipeline.errors import IndexDamagedError
from pipeline.index.check import check
from pipeline.index.lease import take_lease
from pipeline.index.maintain import compact, vacuum
from pipeline.index.repair import repair
from pipeline.index.search import by_words
from tests.index_rows import at, event, rows, video, window
from tests.unit.test_lease import a_run
from tests.videos import make_video

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def secret():
    return secrets.token_hex(20)


@pytest.fixture(scope="module")
def bucket(secret, tmp_path_factory):
    """Credentials where AWS tools look for them; the name of an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("s3") / "server.log").open("wb")
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    usual = {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in usual.items():
            patched.setenv(name, value)
        deadline_s = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline_s
                time.sleep(0.2)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("archive")
        yield "s3://archive"
    server.terminate()
    server.wait(timeout=20)
    log.close()


def test_two_processes_that_commit_to_one_bucket_lose_and_duplicate_nothing(bucket):
    index = f"{bucket}/two"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITE, index, str(first), str(first + 6)],
            env=os.environ,
        )
        for first in (0, 3)  # three videos are written by both
    ]
    assert [writer.wait(timeout=240) for writer in writers] == [0, 0]
    reader = pi.open(index)
    assert reader.videos()["video_id"].to_pylist() == sorted(f"v{n}" for n in range(9))
    assert reader.events()["event_id"].to_pylist() == sorted(f"v{n}" for n in range(9))


_WRITE = """
import sys
import pipeline.index as pi
from tests.flow.test_s3 import video_rows
writer = pi.Writer(sys.argv[1])
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    writer.finish_videos(*video_rows(number))
"""


def video_rows(number):
    """One event per hour, since events that are close in time are written into one file."""
    name, start = f"v{number}", 3600.0 * number
    return (
        rows("videos", video(name, start, start + 600)),
        rows("events", event(name, at(start + 1), at(start + 2), video_id=name)),
    )


def test_of_runs_that_want_a_camera_at_the_same_time_one_gets_its_lease_in_a_bucket(bucket):
    store = pi.Writer(f"{bucket}/leases").store
    with ThreadPoolExecutor() as pool:
        wanted = [pool.submit(take_lease, store, a_run(f"r{n}"), {"a", "b"}) for n in range(4)]
    leases = [future.result() for future in wanted]
    assert sorted(camera for lease in leases for camera in lease.cameras) == ["a", "b"]
    for lease in leases:
        lease.end("done", 0)
    assert take_lease(store, a_run("next"), {"a", "b"}).cameras == {"a", "b"}
    states = pi.list_runs(pi.open(store.root))["state"].to_pylist()
    assert states == ["running", *["done"] * 4]


def test_an_open_reader_follows_writes_compaction_and_vacuum(bucket):
    from datetime import timedelta

    writer = pi.Writer(f"{bucket}/kept")
    reader = pi.open(f"{bucket}/kept")
    for number in range(4):
        writer.finish_videos(*video_rows(number))
        assert reader.events().num_rows == number + 1
    assert compact(writer.store, min_age=timedelta(0))["events"] == 1
    assert reader.events().num_rows == 4
    assert vacuum(writer.store, retention=timedelta(0))["events"] == 4
    assert reader.events().num_rows == 4
    writer.finish_videos(*video_rows(9))
    assert reader.events().num_rows == 5
    assert reader.sql("SELECT count(*) AS n FROM events").to_pylist() == [{"n": 5}]


@pytest.mark.ray
def test_the_whole_job_on_s3_leaves_no_trace_of_the_credentials(bucket, secret, cli, tmp_path):
    make_video(tmp_path / "clip.mp4", num_frames=150)
    media = fsspec.filesystem("s3", skip_instance_cache=True)
    for name in ("gate_20260314T090000Z", "yard_20260314T090000Z"):
        media.put_file(str(tmp_path / "clip.mp4"), f"{bucket}/recordings/{name}.mp4")
    media.pipe_file(f"{bucket}/recordings/gate_20260314T100000Z.mp4", b"")
    index = f"{bucket}/index"
    output = []

    def run(*words, code=0):
        output.append(cli.run(*words, code=code))
        output.append(cli.err)
        return output[-2]

    assert "2 done, 0 skipped, 1 failed" in run(
        "index", f"{bucket}/recordings", "--index", index, code=4
    )
    assert "nothing to do" in run("index", f"{bucket}/recordings/yard*", "--index", index)
    queried = run("query", "--index", index, "--table", "videos", "--format", "jsonl")
    assert queried.count('"status": "done"') == 2
    assert run("coverage", "--index", index, "--camera", "yard").count("analysed") == 1
    run("compact", "--index", index, "--settled-hours", "0")
    run("erase", "--index", index, "--camera", "gate")
    run("vacuum", "--index", index, "--retention-hours", "0")
    assert "erased" in run("coverage", "--index", index, "--camera", "gate")
    assert "yard" in run("query", "--index", index, "--table", "windows", "--format", "jsonl")

    stored = b"".join(
        path.encode() + media.cat_file(path) for path in media.find(index, withdirs=False)
    )
    assert b"gate" in stored
    for trace in (secret, "somebody"):
        assert trace.encode() not in stored
        assert not any(trace in text for text in output)


def test_an_index_in_a_bucket_is_searched_from_a_local_sidecar(bucket, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    writer = pi.Writer(f"{bucket}/searched")
    events = rows("events", event("e", at(1), at(2), text="红色 price list"))
    writer.finish_videos(rows("videos", video()), events)
    assert by_words(writer.index, "price 红")["id"].to_pylist() == ["e"]
    assert list(tmp_path.rglob("files.json"))
    assert not fsspec.filesystem("s3", skip_instance_cache=True).exists(f"{bucket}/searched/search")


def test_damage_in_a_bucket_is_reported_and_repaired(bucket):
    index, filesystem = f"{bucket}/damaged", fsspec.filesystem("s3", skip_instance_cache=True)
    writer = pi.Writer(index)
    for n in range(2):
        start, end = 600 * n, 600 * n + 600
        writer.write_windows(rows("windows", window(f"s{n}", 0, start, end, video_id=f"v{n}")))
        writer.finish_videos(rows("videos", video(f"v{n}", start, end)))
    store = writer.store
    assert check(store) == []
    *_, newest = sorted(filesystem.glob(f"{index}/videos/_delta_log/*.json"))
    filesystem.pipe_file(newest, b"{")
    cut = DeltaTable(f"{index}/windows").file_uris()[0]
    filesystem.pipe_file(cut, filesystem.cat_file(cut)[:500])
    with pytest.raises(IndexDamagedError, match="videos: log entry 2 is not JSON"):
        pi.open(index)
    findings = check(store)
    assert [(finding.kind, finding.table) for finding in findings[:2]] == [
        ("log", "videos"),
        ("file", "windows"),
    ]
    repair(store, lambda _rows, _windows: None)
    assert check(store) == []
    reader = pi.open(index)
    assert (reader.windows().num_rows, reader.videos().num_rows) == (1, 1)
    assert len(filesystem.find(f"{index}/_damaged")) == 2
