"""Listing files of stores, also when a store fails."""

from datetime import UTC, datetime

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tenacity import wait_none

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError, NoSourcesError
from pipeline.sources import list_sources
from pipeline.storage import retry
from tests.disturbed import Disturbance, disturbed_server, folder

NAME = "gate_20260301T080000Z.mp4"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(retry, "PAUSE", wait_none())
    monkeypatch.setattr(retry, "LIMIT_S", 0.5)


@pytest.fixture
def server(tmp_path):
    """A folder, what disturbs its server, and the address."""
    root, line = tmp_path / "served", Disturbance()
    root.mkdir()
    with disturbed_server(folder(root), line) as address:
        yield root, line, address


def listed(*locations, **settings):
    return list_sources([str(location) for location in locations], SourcesConfig(**settings))


def test_an_http_url_is_listed_from_its_headers_without_reading_its_content(server):
    root, line, address = server
    (root / NAME).write_bytes(b"x" * 100_000)
    [source] = listed(f"{address}/{NAME}")
    assert (source.uri, source.num_bytes, source.problem) == (f"{address}/{NAME}", 100_000, "")
    assert source.etag
    assert line.asked == [f"HEAD /{NAME}"]
    assert line.sent_bytes == 0


def test_the_videos_of_an_http_folder_have_their_sizes_and_etags(server):
    root, line, address = server
    (root / "a").mkdir()
    for name, num_bytes in ((NAME, 5), (f"a/{NAME}", 7), ("notes.html", 9)):
        (root / name).write_bytes(b"x" * num_bytes)
    sizes = {file.uri.removeprefix(address): file.num_bytes for file in listed(f"{address}/")}
    assert sizes == {f"/{NAME}": 5}
    before = listed(f"{address}/a/")[0]
    assert not any(asked.startswith("GET") and "mp4" in asked for asked in line.asked)
    (root / "a" / NAME).write_bytes(b"y" * 7)
    assert listed(f"{address}/a/")[0].etag != before.etag


def test_a_folder_without_a_slash_at_its_end_and_a_glob_are_listed_too(server):
    root, _, address = server
    (root / "a").mkdir()
    (root / "a" / NAME).write_bytes(b"x")
    for location in (f"{address}/a", f"{address}/a/*.mp4", f"{address}/a/gate*"):
        assert [source.uri for source in listed(location)] == [f"{address}/a/{NAME}"]
    with pytest.raises(NoSourcesError):
        listed(f"{address}/a/yard*")


def test_a_url_with_a_query_string_is_a_file_and_not_a_glob(server):
    _, _, address = server
    with pytest.raises(ConfigError, match="does not exist"):
        listed(f"{address}/none.mp4?token=1")


@pytest.mark.parametrize("kind", ["refuse", "die"])
def test_a_location_whose_server_does_not_answer_is_one_unreachable_source_and_the_rest_is_listed(
    server, tmp_path, kind
):
    root, line, address = server
    (root / NAME).write_bytes(b"x")
    local = tmp_path / "yard_20260301T080000Z.mp4"
    local.write_bytes(b"x")
    line.kinds, line.share = (kind,), 1.0
    unreachable, reachable = listed(f"{address}/{NAME}", local)
    assert (unreachable.uri, unreachable.problem, reachable.uri) == (
        f"{address}/{NAME}",
        "",
        str(local),
    )
    assert f"{address}/{NAME}: cannot be listed" in unreachable.unreachable
    assert "tried 5 times" in unreachable.unreachable
    line.share = 0.0
    assert listed(f"{address}/{NAME}", local)[0].unreachable == ""


def test_a_file_of_a_folder_for_which_the_server_does_not_answer_is_unreachable(server):
    root, line, address = server
    for name in (NAME, "yard_20260301T080000Z.mp4"):
        (root / name).write_bytes(b"x")
    line.kinds, line.share = ("refuse",), 1.0
    line.spared = lambda asked: "gate" not in asked
    unreachable, reachable = listed(f"{address}/")
    assert (unreachable.uri, reachable.num_bytes) == (f"{address}/{NAME}", 1)
    assert "503" in unreachable.unreachable or "Service Unavailable" in unreachable.unreachable


def test_a_list_that_cannot_be_read_and_a_line_that_cannot_are_unreachable(server, tmp_path):
    root, line, address = server
    (root / NAME).write_bytes(b"x")
    (root / "list.txt").write_text(f"{address}/{NAME}\n{address}/yard.mp4\n")
    assert [source.problem for source in listed(f"@{address}/list.txt")][:1] == [""]
    line.kinds, line.share = ("refuse",), 1.0
    [unreachable] = listed(f"@{address}/list.txt")
    assert f"{address}/list.txt" in unreachable.unreachable
    (tmp_path / "list.txt").write_text(f"{address}/{NAME}\n")
    [unreachable] = listed(tmp_path / "list.txt", hosts=("127.0.0.1",))
    assert unreachable.uri == f"{address}/{NAME}"
    assert unreachable.unreachable


def test_a_sidecar_whose_download_is_cut_short_is_unreachable_and_not_invalid(server):
    root, line, address = server
    (root / "clip.mp4").write_bytes(b"x")
    (root / "clip.json").write_text('{"start": "2026-03-14T09:00:00Z"}')
    line.kinds, line.share = ("short",), 1.0
    line.spared = lambda asked: asked != "GET /clip.json"
    [unreachable] = listed(f"{address}/clip.mp4")
    assert unreachable.problem == ""
    assert f"{address}/clip.json: cannot be read" in unreachable.unreachable
    line.share = 0.0
    [source] = listed(f"{address}/clip.mp4")
    assert (source.clock, source.unreachable) == ("sidecar", "")


def test_the_listing_of_a_folder_for_sidecars_is_retried_only_once_per_run(server):
    root, line, address = server
    for number in range(3):
        (root / f"clip{number}.mp4").write_bytes(b"x")
    line.kinds, line.share = ("refuse",), 1.0
    line.spared = lambda asked: asked != "GET /"
    sources = listed(*(f"{address}/clip{number}.mp4" for number in range(3)))
    assert all("cannot be listed" in source.unreachable for source in sources)
    assert line.asked.count("GET /") == retry.ATTEMPTS


@pytest.mark.parametrize(
    ("facts", "etag", "is_modified"),
    [
        ({"ETag": '"s3"', "LastModified": datetime(2026, 3, 1, tzinfo=UTC)}, '"s3"', True),
        ({"etag": "0x8DB", "last_modified": datetime(2026, 3, 1, tzinfo=UTC)}, "0x8DB", True),
        ({"mtime": 1.5}, "1500000000", True),
        ({"ETag": '"http"'}, '"http"', False),
        ({"Last-Modified": "Sun, 01 Mar 2026"}, "Sun, 01 Mar 2026", False),
        ({}, "", False),
    ],
)
def test_the_etag_is_read_from_the_key_of_each_store(monkeypatch, facts, etag, is_modified):
    fsspec.filesystem("memory").pipe(f"/words/{NAME}", b"x")
    info = {"name": f"/words/{NAME}", "size": 1, "type": "file", **facts}
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_a, **_k: info)
    [source] = listed(f"memory://words/{NAME}")
    assert source.etag == etag
    assert (source.mtime_ns is not None) == is_modified


def test_a_folder_that_may_not_be_listed_is_a_source_with_a_problem(tmp_path, monkeypatch):
    (tmp_path / NAME).write_bytes(b"x")
    (tmp_path / "closed").mkdir()
    stale = OSError(116, "Stale file handle", str(tmp_path / "stale"))
    closed = PermissionError(13, "Permission denied", str(tmp_path / "closed"))

    def walk(root, onerror):
        yield str(root), ["closed", "stale"], [NAME]
        onerror(closed)
        onerror(stale)

    monkeypatch.setattr("os.walk", walk)
    by_uri = {source.uri: source for source in listed(tmp_path)}
    assert by_uri[str(tmp_path / NAME)].problem == ""
    assert "cannot be listed (Permission denied)" in by_uri[str(tmp_path / "closed")].problem
    assert "cannot be listed (Stale file handle)" in by_uri[str(tmp_path / "stale")].unreachable


def test_a_stale_mount_is_unreachable_and_not_a_missing_path(tmp_path, monkeypatch):
    def stale(path, **_):
        raise OSError(116, "Stale file handle", str(path))

    monkeypatch.setattr("os.lstat", stale)
    [unreachable] = listed(tmp_path / "mount" / "archive")
    assert "Stale file handle" in unreachable.unreachable
