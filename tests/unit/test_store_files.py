"""A bucket is listed page by page, and of a glob only the folders that can match."""

import threading
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from s3fs import S3FileSystem
from tenacity import wait_none

from pipeline.config import SourcesConfig
from pipeline.sources import list_sources
from pipeline.storage import retry
from tests.bench import listing_s3

DAYS = ("2026-03-13", "2026-03-14")
KEYS = sorted(
    f"cameras/{camera}/{day}/{camera}_{day.replace('-', '')}T{hour:02}0000Z.mp4"
    for camera in ("gate", "yard")
    for day in DAYS
    for hour in range(4)
)


class Bucket(listing_s3.Bucket):
    """Remembers what is asked; from request ``fails_from`` on it answers nothing more."""

    asked: list[dict[str, list[str]]]
    fails_from = 1_000_000

    def do_GET(self):  # noqa: N802 - http.server calls it
        self.asked.append(parse_qs(urlsplit(self.path).query))
        if len(self.asked) > self.fails_from:
            self.send_error(503)
        else:
            super().do_GET()


@contextmanager
def served(keys):
    bucket = type("OfThisTest", (Bucket,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(bucket, keys))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(listing_s3, "PAGE", 3)
        patched.setattr(retry, "PAUSE", wait_none())
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1",
        }.items():  # fmt: skip
            patched.setenv(name, value)
        S3FileSystem.clear_instance_cache()
        yield bucket
    S3FileSystem.clear_instance_cache()
    server.shutdown()


def keys_of(*locations):
    listed = list_sources([f"s3://archive/{one}" for one in locations], SourcesConfig())
    assert not any(source.problem for source in listed)
    return [source.uri.removeprefix("s3://archive/") for source in listed]


def test_a_folder_of_many_pages_is_listed_whole_and_keys_that_keep_empty_folders_are_no_files():
    with served(sorted([*KEYS, "cameras/", "cameras/empty/"])):
        assert keys_of("cameras") == KEYS
        [first, *_] = list_sources(["s3://archive/cameras"], SourcesConfig())
    assert (first.num_bytes, first.etag) == (123456, '"d41d8cd98f00b204e9800998ecf8427e"')
    assert first.mtime_ns == 1_772_323_200 * 10**9  # 2026-03-01T00:00:00Z


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("cameras/*/2026-03-14/*.mp4", [key for key in KEYS if DAYS[1] in key]),
        ("cameras/g*/*/*T0[12]*", [k for k in KEYS if "gate" in k and ("T01" in k or "T02" in k)]),
        ("cameras/**/*T00*.mp4", [key for key in KEYS if "T00" in key]),
        ("cameras/*/**/*T00*.mp4", [key for key in KEYS if "T00" in key]),
        ("cameras/yard/2026-03-1?/*", [key for key in KEYS if "yard" in key]),
    ],
)
def test_a_glob_means_in_a_bucket_what_it_means_elsewhere(pattern, expected):
    with served(KEYS):
        assert keys_of(pattern) == expected


def test_a_glob_with_a_day_lists_no_other_day():
    with served(KEYS) as bucket:
        assert len(keys_of("cameras/*/2026-03-14/*.mp4")) == 8
    prefixes = {prefix for asked in bucket.asked for prefix in asked.get("prefix", [])}
    assert "cameras/gate/2026-03-14/" in prefixes
    assert not any("2026-03-13" in prefix for prefix in prefixes)


def test_new_files_are_seen_by_a_process_that_has_listed_the_bucket_before():
    keys = KEYS[:-1]
    with served(keys):
        for pattern in ("cameras/*/*/*.mp4", "cameras"):
            keys[:] = KEYS[:-1]
            assert keys_of(pattern) == KEYS[:-1]
            keys[:] = KEYS
            assert keys_of(pattern) == KEYS


def test_a_store_that_stops_to_answer_has_listed_what_it_said_before():
    with served(KEYS) as bucket:
        assert len(keys_of("cameras")) == len(KEYS)
        bucket.fails_from = len(bucket.asked) + 3
        listed = list_sources(["s3://archive/cameras"], SourcesConfig())
    [unreachable] = [source for source in listed if source.unreachable]
    assert unreachable.uri == "s3://archive/cameras"
    known = [source.uri.removeprefix("s3://archive/") for source in listed if source.etag]
    assert known == KEYS[: len(known)]
    assert 0 < len(known) < len(KEYS)


@pytest.fixture
def memory():
    """A store of fsspec that knows no pages; ``asked`` are the folders that were listed."""
    store = MemoryFileSystem()
    store.pipe({f"/archive/{key}": b"x" for key in KEYS})
    store.mkdir("/archive/cameras/empty")
    asked = []

    def ls(self, path, *, detail=True, **options):
        asked.append(path.removeprefix("/archive/"))
        return listed_by_fsspec(self, path, detail=detail, **options)

    listed_by_fsspec = MemoryFileSystem.ls
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(MemoryFileSystem, "ls", ls)
        patched.setattr(retry, "PAUSE", wait_none())
        yield asked
    store.rm("/archive", recursive=True)


def in_memory(location):
    listed = list_sources([f"memory://archive/{location}"], SourcesConfig())
    files = [one for one in listed if not (one.problem or one.unreachable)]
    return [one.uri.removeprefix("memory:///archive/") for one in files], listed


def test_a_store_without_pages_is_listed_folder_by_folder_each_of_them_once(memory):
    files, listed = in_memory("cameras")
    assert files == KEYS
    assert len(listed) == len(KEYS)
    assert len(memory) == len(set(memory))


def test_a_glob_with_a_day_lists_no_other_day_of_a_store_without_pages(memory):
    assert in_memory("cameras/*/2026-03-14/*.mp4")[0] == [key for key in KEYS if DAYS[1] in key]
    assert "cameras/gate/2026-03-14" in memory
    assert not any("2026-03-13" in folder for folder in memory)


@pytest.mark.parametrize("location", ["cameras", "cameras/**/*.mp4"])
@pytest.mark.usefixtures("memory")
def test_a_folder_of_a_store_that_fails_is_never_left_out_in_silence(location):
    asked = MemoryFileSystem.ls

    def fails(failure):
        def ls(self, path, **options):
            if path.endswith("yard/2026-03-13"):
                raise failure
            return asked(self, path, **options)

        return ls

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(MemoryFileSystem, "ls", fails(PermissionError("not yours")))
        files, listed = in_memory(location)
        assert files == [key for key in KEYS if "yard/2026-03-13" not in key]
        [refused] = [one for one in listed if one.problem]
        assert refused.uri == "memory:///archive/cameras/yard/2026-03-13"
        assert "this folder cannot be listed (not yours)" in refused.problem
        patched.setattr(MemoryFileSystem, "ls", fails(ConnectionError("gone")))
        files, listed = in_memory(location)
        assert {key for key in KEYS if "gate/2026-03-13" in key} <= {*files} < {*KEYS}
        [unreachable] = [one for one in listed if one.unreachable]
        assert "cannot be listed (gone)" in unreachable.unreachable
