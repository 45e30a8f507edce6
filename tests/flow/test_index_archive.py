"""The whole job as a user runs it: real files, a real embedded Ray, real kills."""

import json
import os
import shutil
import signal
import subprocess
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import LOBBY, LOBBY_VISITS_S, Cli

pytestmark = pytest.mark.ray

# Small shards and eager commits, so that a kill finds some done and some not.
EAGER = ("--set", "plan.shard_cost_s=0.2", "--set", "commit.shards=1")


def seconds(row: dict) -> tuple[float, float]:
    return row["media_start"], row["media_end"]


def key_rows(cli: Cli, index: Path, table: str) -> list[str]:
    """Rows without the columns that may differ between two runs with the same result."""
    drop = {"indexed_at", "decode_cpu_s", "engine_s"}
    rows = cli.rows("query", "--index", index, "--table", table)
    return sorted(
        json.dumps({k: v for k, v in row.items() if k not in drop}, sort_keys=True) for row in rows
    )


@pytest.fixture
def lobby(tmp_path: Path) -> Path:
    """The shipped clip under three names of two cameras, all at the same hour."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for name in ("gate_20260314T090000Z", "gate_20260314T100000Z", "yard_20260314T090000Z"):
        shutil.copy(LOBBY, folder / f"{name}.mp4")
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """One recording cut between keyframes into two files that follow each other."""
    import av

    folder = tmp_path / "pair"
    folder.mkdir()
    with av.open(str(LOBBY)) as whole:
        stream = whole.streams.video[0]
        packets = [packet for packet in whole.demux(stream) if packet.size]
        keys = [p.pts for p in packets if p.is_keyframe]
        cut = next(pts for pts in keys if pts * stream.time_base > 52)
        offset_s = float(cut * stream.time_base)
        for name, part, shift in (
            ("first", [p for p in packets if p.pts < cut], 0),
            ("then", [p for p in packets if p.pts >= cut], cut),
        ):
            with av.open(str(folder / f"{name}.mp4"), "w") as out:
                target = out.add_stream_from_template(stream)
                for packet in part:
                    packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                    packet.stream = target
                    out.mux(packet)
    starts = {"first": 0.0, "then": offset_s}
    for name, start_s in starts.items():
        at = datetime.fromtimestamp(1_773_478_800 + start_s).astimezone()
        note = {"camera": "gate", "start": at.isoformat()}
        (folder / f"{name}.json").write_text(json.dumps(note))
    return folder


def test_the_shipped_clip_gives_its_six_visits_at_wall_clock_times(cli, tmp_path):
    index = tmp_path / "index"
    report = cli.json("index", LOBBY, "--index", index, "--json")
    assert report["videos"] == {"done": 1, "skipped": 0, "superseded": 0, "waiting": 0, "failed": 0}
    assert report["windows"]["failed"] == 0
    assert report["video_hours"] == pytest.approx(139.4 / 3600, rel=1e-3)

    visits = cli.rows("query", "--index", index, "--label", "motion")
    assert len(visits) == report["events"] == 6
    for row, (start_s, end_s) in zip(visits, LOBBY_VISITS_S, strict=True):
        assert seconds(row) == (pytest.approx(start_s, abs=0.5), pytest.approx(end_s, abs=0.5))
        at = datetime.fromisoformat(row["start"])
        assert (at - datetime.fromisoformat("2026-03-14T09:00:00Z")).total_seconds() == (
            pytest.approx(row["media_start"], abs=1e-6)
        )
        assert row["camera"] == "lobby"
        assert row["boxes"]

    during = cli.rows(
        "query", "--index", index, "--from", "2026-03-14T09:00:46", "--to", "2026-03-14T09:01:20Z"
    )
    assert [row["event_id"] for row in during] == [row["event_id"] for row in visits[2:4]]
    covered = cli.rows(
        "coverage", "--index", index, "--from", "2026-03-14T08:59Z", "--to", "2026-03-14T09:05Z"
    )
    assert [row["state"] for row in covered] == ["no_footage", "analysed", "no_footage"]


def test_a_second_run_over_a_finished_archive_does_nothing_and_says_so(cli, lobby, tmp_path):
    index = tmp_path / "index"
    first = cli.json("index", lobby, "--index", index, "--json")
    assert first["videos"]["done"] == 3
    before = {table: key_rows(cli, index, table) for table in ("events", "windows", "videos")}
    said = cli.run("index", lobby, "--index", index)
    assert "nothing to do" in said
    again = cli.json("index", lobby, "--index", index, "--json")
    assert again["videos"] == {"done": 0, "skipped": 3, "superseded": 0, "waiting": 0, "failed": 0}
    assert again["windows"] == {"analysed": 0, "quiet": 0, "failed": 0}
    assert {table: key_rows(cli, index, table) for table in before} == before


def test_a_new_file_is_the_only_one_that_the_next_run_indexes(cli, lobby, tmp_path):
    index = tmp_path / "index"
    cli.run("index", lobby / "yard_20260314T090000Z.mp4", "--index", index)
    report = cli.json("index", lobby, "--index", index, "--json")
    assert report["videos"] == {"done": 2, "skipped": 1, "superseded": 0, "waiting": 0, "failed": 0}


def kill_children_of(process: subprocess.Popen) -> None:
    """End the Ray processes that the killed driver has left: they are in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_after_a_kill_at_any_point_the_same_command_gives_the_rows_of_an_undisturbed_run(
    cli, lobby, tmp_path
):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    cli.run("index", lobby, "--index", whole, *EAGER)
    kills = 0
    for after_s in (6.0, 7.5, 9.0, 11.0):
        process = cli.start("index", lobby, "--index", torn, *EAGER, start_new_session=True)
        try:
            process.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        kill_children_of(process)
    assert kills
    report = cli.json("index", lobby, "--index", torn, *EAGER, "--json")
    assert report["videos"]["done"] + report["videos"]["skipped"] == 3
    for table in ("events", "windows", "videos", "segments"):
        assert key_rows(cli, torn, table) == key_rows(cli, whole, table)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_with_130_and_the_next_run_continues(cli, lobby, tmp_path, stop):
    index = tmp_path / "index"
    process = cli.start("index", lobby, "--index", index, *EAGER, start_new_session=True)
    while process.poll() is None and not list((tmp_path / "index").glob("windows/date=*/*")):
        time.sleep(0.1)
    process.send_signal(stop)
    _, err = process.communicate(timeout=240)  # a busy machine must not fail it
    assert process.returncode == 130, err.decode()
    assert "run the same command again" in err.decode()
    report = cli.json("index", lobby, "--index", index, *EAGER, "--json")
    assert report["videos"]["done"] + report["videos"]["skipped"] == 3
    # Three copies of one clip have the same events, whichever run indexed them.
    spans: dict[str, list] = {}
    for row in cli.rows("query", "--index", index):
        spans.setdefault(row["uri"], []).append((*seconds(row), row["label"]))
    first, second, third = spans.values()
    assert first == second == third


def test_answers_of_another_sampling_replace_the_old_ones_and_never_mix_with_them(cli, tmp_path):
    index = tmp_path / "index"
    cli.run("index", LOBBY, "--index", index)
    first = cli.rows("query", "--index", index, "--table", "windows")
    report = cli.json("index", LOBBY, "--index", index, "--set", "sample.fps=5", "--json")
    assert report["videos"]["done"] == 1
    for table in ("events", "windows", "videos"):
        rows = cli.rows("query", "--index", index, "--table", table)
        assert len({row["fingerprint"] for row in rows}) == 1
        assert rows[0]["fingerprint"] != first[0]["fingerprint"]


def test_an_event_over_a_file_border_is_one_row_with_two_parts(cli, pair, tmp_path):
    index = tmp_path / "index"
    cli.run("index", pair, "--index", index)
    events = cli.rows("query", "--index", index, "--label", "motion")
    assert len(events) == 6
    [joined] = [row for row in events if len(row["parts"]) == 2]
    start = datetime.fromisoformat(joined["start"]).timestamp() - 1_773_478_800
    end = datetime.fromisoformat(joined["end"]).timestamp() - 1_773_478_800
    assert (start, end) == (pytest.approx(50.3, abs=0.5), pytest.approx(69.9, abs=0.5))


def test_files_indexed_one_after_the_other_are_joined_as_if_indexed_together(cli, pair, tmp_path):
    together, separate = tmp_path / "together", tmp_path / "separate"
    cli.run("index", pair, "--index", together)
    cli.run("index", pair / "then.mp4", "--index", separate)
    cli.run("index", pair / "first.mp4", "--index", separate)
    assert key_rows(cli, separate, "events") == key_rows(cli, together, "events")


def test_indexing_one_file_of_a_joined_event_again_leaves_no_duplicate(cli, pair, tmp_path):
    index = tmp_path / "index"
    cli.run("index", pair, "--index", index)
    cli.run("index", pair / "then.mp4", "--index", index, "--set", "engine.min_event_s=0.4")
    events = cli.rows("query", "--index", index, "--label", "motion")
    spans = sorted((row["start"], row["end"]) for row in events)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert len(events) == 7


def test_each_bad_input_is_a_failed_row_and_the_other_files_are_indexed(cli, tmp_path):
    folder = tmp_path / "mixed"
    (folder / "folder.mp4").mkdir(parents=True)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("<html>no video</html>" * 50)
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "moov.mp4").write_bytes(LOBBY.read_bytes()[-2_000_000:])
    shutil.copy(LOBBY, folder / 'it\'s "good"\n -x.mp4')
    index = tmp_path / "index"
    report = cli.json("index", folder, "--index", index, "--json", code=4)
    assert report["videos"] == {"done": 1, "skipped": 0, "superseded": 0, "waiting": 0, "failed": 6}
    said = cli.err
    rows = cli.rows("query", "--index", index, "--table", "videos")
    failed = {Path(row["uri"]).name: row["error"] for row in rows if row["status"] == "failed"}
    assert sorted(failed) == [
        "empty.mp4", "folder.mp4", "gone.mp4", "loop.mp4", "moov.mp4", "text.mp4",
    ]  # fmt: skip
    for name, error in failed.items():
        assert name in error
        assert error in said
    assert len(cli.rows("query", "--index", index, "--label", "motion")) == 6


def test_a_bad_file_that_was_repaired_loses_its_failed_row(cli, tmp_path):
    index, clip = tmp_path / "index", tmp_path / "clip.mp4"
    clip.write_bytes(b"")
    cli.run("index", clip, "--index", index, code=4)
    shutil.copy(LOBBY, clip)
    cli.run("index", clip, "--index", index)
    [row] = cli.rows("query", "--index", index, "--table", "videos")
    assert row["status"] == "done"


def test_the_archive_of_two_cameras_gives_its_truth(cli, footage, tmp_path):
    index = tmp_path / "index"
    report = cli.json("index", footage / "archive", "--index", index, "--json", code=4)
    assert report["videos"]["failed"] == 1  # the empty recording
    day = "2026-03-14T"
    cam02 = cli.rows(
        "query", "--index", index, "--camera", "cam02", "--label", "motion",
        "--from", f"{day}09:00Z", "--to", f"{day}09:01:15Z",
    )  # fmt: skip
    truth = [
        ("09:00:06.1", "09:00:20.0"),
        ("09:00:22.8", "09:00:45.1"),
        ("09:00:50.3", "09:01:09.9"),
    ]
    for row, (start, end) in zip(cam02, truth, strict=False):
        for stored, true in ((row["start"], start), (row["end"], end)):
            error = datetime.fromisoformat(stored) - datetime.fromisoformat(f"{day}{true}+00:00")
            assert abs(error.total_seconds()) <= 0.5
    assert len(cam02) == 4
    assert cam02[3]["start"] > f"{day}09:01:14"
    covered = cli.rows(
        "coverage", "--index", index, "--camera", "cam01",
        "--from", f"{day}09:00Z", "--to", f"{day}09:03Z",
    )  # fmt: skip
    assert [(row["state"], row["start"], row["end"]) for row in covered] == [
        ("analysed", f"{day}09:00:00.000000Z", f"{day}09:00:50.000000Z"),
        ("no_footage", f"{day}09:00:50.000000Z", f"{day}09:01:50.000000Z"),
        ("analysed", f"{day}09:01:50.000000Z", f"{day}09:02:05.000000Z"),
        ("no_footage", f"{day}09:02:05.000000Z", f"{day}09:03:00.000000Z"),
    ]
    videos = {Path(v["uri"]).name: v for v in rows_of_camera(cli, index, "videos")}
    assert len(videos) == 6  # the byte-identical copy is none of its own
    then = videos["cam01_20260314T090028Z.mp4"]
    assert (then["video_s"], then["overlap_s"]) == (20.0, 2.0)
    assert "to other files of this camera" in then["warnings"][-1]
    assert [part["start"] for part in then["footage"]] == [f"{day}09:00:30.000000Z"]
    assert_disjoint(rows_of_camera(cli, index, "windows"))


def rows_of_camera(cli: Cli, index: Path, table: str) -> list[dict]:
    return cli.rows("query", "--index", index, "--table", table, "--camera", "cam01")


def assert_disjoint(rows: list[dict]) -> None:
    spans = sorted((row["start"], row["end"]) for row in rows)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_an_overlap_is_owned_by_one_file_in_any_order_of_indexing(cli, footage, tmp_path):
    folder, index = tmp_path / "cam01", tmp_path / "index"
    folder.mkdir()
    first, then = "cam01_20260314T090000Z.mp4", "cam01_20260314T090028Z.mp4"
    for name in (first, then):
        shutil.copy(footage / "archive" / "cam01" / name, folder)

    def coverage() -> list[tuple[str, ...]]:
        rows = cli.rows("coverage", "--index", index)
        return [(row["state"], row["start"][17:23], row["end"][17:23]) for row in rows]

    def overlaps() -> dict[str, float]:
        return {Path(v["uri"]).name: v["overlap_s"] for v in rows_of_camera(cli, index, "videos")}

    cli.run("index", folder / then, "--index", index, *EAGER)
    assert overlaps() == {then: 0.0}
    cli.run("index", folder, "--index", index, *EAGER)
    # The rule decides, not the order: the file that was alone is done again, without its first 2 s.
    assert overlaps() == {first: 0.0, then: 2.0}
    assert coverage() == [("analysed", "00.000", "50.000")]
    assert_disjoint(rows_of_camera(cli, index, "windows"))
    assert "nothing to do" in cli.run("index", folder, "--index", index, *EAGER)

    # With another clock both are done again, together, and own the same parts.
    late = ("--set", "clock.cameras={'cam*': {offset_s: 1.25}}")
    cli.run("index", folder, "--index", index, *EAGER, *late)
    assert overlaps() == {first: 0.0, then: 2.0}
    assert coverage() == [("analysed", "01.250", "51.250")]
    assert_disjoint(rows_of_camera(cli, index, "windows"))
    assert len({row["video_id"] for row in rows_of_camera(cli, index, "windows")}) == 2
