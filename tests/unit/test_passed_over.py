"""Every file has a line: it is a video, a sidecar, or passed over with the reason."""

import json
import os

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pipeline.cli.app import app
from pipeline.config import SourcesConfig
from pipeline.sources import survey
from pipeline.sources.file_kinds import is_video_content
from tests.unit.test_recorder_profiles import NAMES, TREES

ANY = SourcesConfig()


def put(root, *paths, data=b"x"):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


def reasons(root, config=ANY):
    listing = survey([str(root)], config)
    return {os.path.basename(other.uri): other.reason for other in listing.passed_over}


def videos(root, config=ANY):
    return sorted(os.path.basename(s.uri) for s in survey([str(root)], config).sources)


SUFFIXES = "dav 264 265 h264 hevc m4s m2v tod insv lrv f4v ivf mxf y4m DAV Lrf mts vob 3gp webm"


@pytest.mark.parametrize("suffix", SUFFIXES.split(" "))
def test_a_folder_is_searched_for_every_kind_of_video(tmp_path, suffix):
    put(tmp_path, f"one.{suffix}")
    assert videos(tmp_path) == [f"one.{suffix}"]


HEADS = {
    "mp4": b"\0\0\0\x20ftypisom",
    "fragment": b"\0\0\0\x18styp" + b"msdh",
    "matroska": b"\x1aE\xdf\xa3\1\0\0\0",
    "transport": (b"\x47" + bytes(187)) * 4,
    "m2ts": (bytes(4) + b"\x47" + bytes(187)) * 4,
    "program": b"\0\0\1\xba" + bytes(20),
    "dahua": b"DHAV\xfd\0\0\0",
    "hikvision": b"IMKH\2\1\0\0",
    "avi": b"RIFF\0\0\0\0AVI LIST",
    "h264": b"\0\0\0\1\x67\x42",
    "hevc": b"\0\0\0\1\x40\1",
    "mxf": b"\x06\x0e+4\x02\x05\x01\x01",
    "y4m": b"YUV4MPEG2 W160",
}
NO_HEADS = {
    "empty": b"",
    "text": b"GET the data",
    "heic": b"\0\0\0\x20ftypheic",
    "m4a": b"\0\0\0\x20ftypM4A ",
    "wav": b"RIFF\0\0\0\0WAVEfmt ",
    "webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "opus": b"OggS" + bytes(24) + b"OpusHead",
    "zip": b"PK\3\4",
    "g": b"G" * 200,
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_name_that_says_nothing_is_decided_by_the_first_bytes(tmp_path, kind):
    put(tmp_path, "recording", "recording.dat", "00000042", data=HEADS[kind])
    assert videos(tmp_path) == ["00000042", "recording", "recording.dat"]


@pytest.mark.parametrize("kind", NO_HEADS)
def test_first_bytes_of_something_else_are_passed_over_with_the_reason(tmp_path, kind):
    put(tmp_path, "blob", data=NO_HEADS[kind])
    assert reasons(tmp_path) == {
        "blob": "neither its name nor its first bytes are those of a video"
    }


@given(st.binary(max_size=64))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_looked_at_without_an_error(head):
    is_video_content(head)


def test_each_other_file_is_passed_over_with_what_it_is(tmp_path):
    put(tmp_path, "a.jpg", "b.wav", "c.zip", "d.mp4.part", "e.bvr", "._f.mp4", "g.py", "h.bak")
    (tmp_path / "in").mkdir()
    (tmp_path / "loop").symlink_to("in")
    (tmp_path / "i.jpeg").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    found = reasons(tmp_path)
    assert sorted(found) == sorted(
        ["a.jpg", "b.wav", "c.zip", "d.mp4.part", "e.bvr", "._f.mp4", "g.py", "h.bak", "i.jpeg",
         "loop", "pipe"]
    )  # fmt: skip
    assert found["e.bvr"] == "a format that only its recorder plays; export it as MP4"
    assert found["loop"] == "a link to a folder that is searched itself"


def test_a_sidecar_is_not_counted_as_passed_over(tmp_path):
    put(tmp_path, "a.mp4", "notes.json")
    put(tmp_path, "a.json", "A.MP4.srt", data=b"{}")
    listing = survey([str(tmp_path)], ANY)
    sidecars = {os.path.basename(o.uri) for o in listing.passed_over if o.is_sidecar}
    assert sidecars == {"a.json", "A.MP4.srt"}
    assert listing.num_passed_over == 1


TWINS = {
    name: [line.split("\t")[2] for line in (TREES / f"{name}.txt").read_text().splitlines()
           if line.startswith("twin")]
    for name in NAMES
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NAMES if TWINS[name]])
def test_small_twins_are_passed_over_and_their_large_files_stay(tmp_path, name):
    rows = [line.split("\t") for line in (TREES / f"{name}.txt").read_text().splitlines()]
    paths = [row[2] for row in rows if len(row) == 3]
    put(tmp_path, *paths)
    config = SourcesConfig(timezone="Europe/Berlin")
    listing = survey([str(tmp_path)], config)
    passed = {other.uri.removeprefix(f"{tmp_path}/") for other in listing.passed_over}
    assert passed == set(TWINS[name])
    assert all("a small twin" in other.reason for other in listing.passed_over)
    assert len(listing.videos) + len(passed) == len(paths)


@pytest.mark.parametrize("name", [name for name in NAMES if TWINS[name]])
def test_a_small_file_without_a_large_one_is_all_there_is_and_stays(tmp_path, name):
    put(tmp_path, *TWINS[name])
    listing = survey([str(tmp_path)], SourcesConfig(timezone="Europe/Berlin"))
    assert (len(listing.videos), listing.passed_over) == (len(TWINS[name]), ())


def test_an_empty_large_file_does_not_hide_its_small_twin(tmp_path):
    put(tmp_path, "GX010001.MP4", data=b"")
    put(tmp_path, "GL010001.LRV")
    assert videos(tmp_path) == ["GL010001.LRV", "GX010001.MP4"]


def test_twins_of_different_folders_are_none(tmp_path):
    put(tmp_path, "a/cam/GX010001.MP4", "b/cam/GL010001.LRV")
    assert len(videos(tmp_path)) == 2


def test_in_a_store_the_name_decides_and_the_others_are_named():
    memory = fsspec.filesystem("memory")
    for name in ("a.mp4", "b.dav", "c.txt", "blob"):
        memory.pipe(f"/passed/{name}", b"xyz")
    listing = survey(["memory://passed"], ANY)
    assert [s.uri[-5:] for s in listing.sources] == ["a.mp4", "b.dav"]
    assert {o.uri[-4:]: o.reason.partition(",")[0] for o in listing.passed_over} == {
        "blob": "its name is none of a video", ".txt": "a text"
    }  # fmt: skip


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_command_lists_every_file_with_how_it_is_known(tmp_path):
    put(tmp_path, "2026-03-14/09/front/05.30.mp4", "GX010001.MP4", "GL010001.LRV", "n.txt")
    ran = run("sources", tmp_path, "--format", "jsonl")
    rows = {os.path.basename(row["uri"]): row for row in map(json.loads, ran.stdout.splitlines())}
    front = rows["05.30.mp4"]
    assert (front["status"], front["camera"], front["start"], front["known_by"]) == (
        "video", "front", "2026-03-14T09:05:30.000000Z", "frigate"
    )  # fmt: skip
    assert (rows["GX010001.MP4"]["clock"], rows["GX010001.MP4"]["camera_by"]) == (
        "in the file", "folder"
    )  # fmt: skip
    assert (rows["n.txt"]["status"], rows["n.txt"]["reason"]) == ("passed over", "a text")
    assert len(rows) == 4
    assert "frigate: 1 file by {start:%Y-%m-%d/%H}/{camera}/{start:%M.%S}, such as" in ran.stderr
    assert "passed over: 1 file: a small twin" in ran.stderr


def test_the_end_is_shown_where_the_name_has_it(tmp_path):
    put(tmp_path, "NVR_ch1_main_20260314235900_20260315000400.dav")
    [row] = map(json.loads, run("sources", tmp_path, "--format", "jsonl").stdout.splitlines())
    assert row["end"] == "2026-03-15T00:04:00.000000Z"


def test_a_hostile_name_does_not_reach_the_terminal(tmp_path):
    put(tmp_path, "a\x1b[31m\n.mp4", "b\x1b]0;x\x07.txt")
    ran = run("sources", tmp_path)
    assert not {"\x1b", "\x07"} & set(ran.stdout + ran.stderr)
    assert len(ran.stdout.splitlines()) == 2


def test_a_folder_without_videos_lists_what_it_holds_and_ends_with_code_5(tmp_path):
    put(tmp_path, "n.txt")
    ran = run("sources", tmp_path)
    assert "n.txt" in ran.stdout
    assert getattr(ran.exception, "exit_code", ran.exit_code) == 5


def test_plan_says_how_many_files_are_passed_over(tmp_path):
    put(tmp_path, "a.mp4", "n.txt", "m.txt")
    ran = run("plan", tmp_path)
    assert "2 files were passed over; `timereel sources` says which and why" in ran.stdout
    assert json.loads(run("plan", tmp_path, "--json").stdout)["passed_over"] == 2
