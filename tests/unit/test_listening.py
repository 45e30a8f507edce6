"""What is said is indexed in a pass of its own: kept, found, erased and covered for itself."""

import os
import re

import pytest

import pipeline.index as pi
from pipeline.config import load_config
from pipeline.index.check import check
from pipeline.index.erase import erase
from pipeline.index.scope import Scope
from tests.meetings import CUES, ray_left_out, run, told, write_meetings
from tests.sounds import add_text


@pytest.fixture(autouse=True)
def _here():
    with ray_left_out():
        yield


@pytest.fixture
def meeting(tmp_path):
    return write_meetings(tmp_path / "meetings")


def states(index, **options):
    return {
        (row["camera"], row["state"])
        for row in index.coverage(**options).to_pylist()
        if row["state"] != "no_footage"
    }


def test_what_is_said_is_found_by_time_speaker_and_word(meeting, tmp_path):
    seen, heard = run(meeting, tmp_path / "index")
    assert (seen.videos_done, heard.videos_done) == (1, 2)  # the call has no pictures
    index = pi.open(tmp_path / "index")
    assert told(index) == [
        ("room", 0.5, "Ada", "The price is 40 euros."),
        ("room", 2.0, "Grace", "价格不变。"),
        ("call", 0.5, "Ada", "The price is 40 euros."),
        ("call", 2.0, "Grace", "价格不变。"),
    ]
    assert told(index, text="价格", camera="call") == [("call", 2.0, "Grace", "价格不变。")]
    [row] = index.utterances("2026-03-01T09:00:01Z", "2026-03-01T09:00:01.5Z").to_pylist()
    assert (row["language"], row["track"], row["task"]) == ("en", -1, "speech")
    video_ids = {row["video_id"] for row in index.videos(camera="room").to_pylist()}
    assert len(video_ids) == 1
    assert check(index.store) == []


def test_tracks_of_text_inside_a_file_are_captions(meeting, tmp_path):
    for name in meeting.glob("*.vtt"):
        name.unlink()
    video = meeting / "room_20260301T080000Z.mp4"
    add_text(video, meeting / "hall_20260301T100000Z.mkv", [(500, b"Hello &amp; welcome.")])
    run(meeting, tmp_path / "index")
    [(camera, start_s, *words)] = told(pi.open(tmp_path / "index"))
    # The sound begins 21 ms before the pictures.
    assert (camera, start_s, words) == ("hall", pytest.approx(0.521), ["", "Hello & welcome."])


def _megabytes(video):
    add_text(video, video.with_suffix(".mkv"), [(at, b"x" * 1_000_000) for at in range(40)])
    video.unlink()


HOSTILE = {
    "a pipe": lambda video: os.mkfifo(video.with_suffix(".vtt")),
    "a folder": lambda video: video.with_suffix(".vtt").mkdir(),
    "a link to a text": lambda video: video.with_suffix(".vtt").symlink_to("/etc/passwd"),
    "a link to itself": lambda video: video.with_suffix(".vtt").symlink_to(f"{video.stem}.vtt"),
    "a device": lambda video: video.with_suffix(".srt").symlink_to("/dev/zero"),
    "no text": lambda video: video.with_suffix(".vtt").write_bytes(b"\xff\xfe\x00" * 9),
    "33 MB": lambda video: video.with_suffix(".vtt").write_text(CUES + "x" * 33_600_000),
    "a giant number": lambda video: video.with_suffix(".vtt").write_text(
        CUES.replace("euros", "&#" + "9" * 5000 + ";")
    ),
    "escapes": lambda video: video.with_suffix(".vtt").write_text(
        CUES.replace("euros", "\x1b[2J\u202e\0&#27;[31m").replace("Ada", "A\x1b]0;x\x07")
    ),
    "40 MB of text inside": _megabytes,
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_hostile_captions_cost_their_recording_and_nothing_else(meeting, tmp_path, make):
    (meeting / "room_20260301T080000Z.vtt").unlink()
    make(meeting / "room_20260301T080000Z.mp4")
    run(meeting, tmp_path / "index")
    index = pi.open(tmp_path / "index")
    assert [text for camera, *_, text in told(index) if camera == "call"] == [
        "The price is 40 euros.", "价格不变。"
    ]  # fmt: skip
    heard = states(index, kind="heard")
    assert heard in [{("room", state), ("call", "analysed")} for state in ("failed", "analysed")]
    for _, _, speaker, text in told(index, camera="room"):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", speaker + text)
    assert check(index.store) == []


def test_coverage_tells_what_was_heard_from_what_was_seen(meeting, tmp_path):
    (meeting / "room_20260301T080000Z.vtt").unlink()
    run(meeting, tmp_path / "index")
    index = pi.open(tmp_path / "index")
    assert states(index, kind="seen") == {("room", "analysed")}
    assert states(index, kind="heard") == {("room", "failed"), ("call", "analysed")}
    [failed] = [row for row in index.videos(task="speech").to_pylist() if row["status"] == "failed"]
    assert "neither room_20260301T080000Z.vtt nor" in failed["error"]


def test_neither_pass_is_done_again_for_a_change_of_the_other(meeting, tmp_path):
    run(meeting, tmp_path / "index")
    seen, heard = run(meeting, tmp_path / "index", "sample.fps=2")
    assert (seen.videos_done, heard.videos_done, heard.videos_skipped) == (1, 0, 2)
    seen, heard = run(meeting, tmp_path / "index", "sample.fps=2")
    assert (seen.videos_skipped, heard.videos_skipped) == (1, 2)


def test_erased_time_is_heard_by_nobody_again(meeting, tmp_path):
    where = tmp_path / "index"
    run(meeting, where)
    writer = pi.Writer(where)
    erase(
        writer.store,
        Scope.parse(camera="room", start="2026-03-01T08:00:02Z", end="2026-03-01T08:00:03Z"),
    )
    index = pi.open(where)
    assert [text for *_, text in told(index, camera="room")] == ["The price is 40 euros."]
    assert "价格不变" not in str(index.windows(camera="room").to_pylist())
    assert check(index.store) == []


def test_without_speech_a_recording_of_sound_is_passed_over_with_the_way_out(meeting):
    from pipeline.sources import survey

    listing = survey([str(meeting)], load_config(None, ()).sources)
    [passed] = [one for one in listing.passed_over if one.uri.endswith(".m4a")]
    assert "`speech:` in the config" in passed.reason


def test_words_that_were_said_are_searched_apart_from_what_was_seen(meeting, tmp_path):
    from pipeline.index.search import by_words

    run(meeting, tmp_path / "index")
    index = pi.open(tmp_path / "index")
    found = by_words(index, "price", camera="room", within="said").to_pylist()
    assert [(row["table"], row["label"], row["media_start"]) for row in found] == [
        ("utterances", "Ada", 0.5)
    ]
    assert by_words(index, "价格", within="seen").num_rows == 0
    assert by_words(index, "价格").num_rows == 2
