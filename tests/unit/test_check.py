"""What ``timereel check`` finds, what it says of it, and what is left of it after a repair."""

import json
import shutil
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import write_deltalake

import pipeline.index as pi
from pipeline import cli
from pipeline.errors import EXIT_DAMAGED, ConfigError, IndexDamagedError, IndexFormatError
from pipeline.index.check import check
from pipeline.index.erase import erase
from pipeline.index.repair import repair
from pipeline.index.scope import Scope
from pipeline.index.store import DAMAGED, REPAIRING, Store
from pipeline.tables.runs import runs_table
from pipeline.tables.schema import TABLES
from tests.damage import DAMAGE, data_file, entries
from tests.golden import make
from tests.index_rows import US, at, event, rows, segment, utterance, video, window
from tests.unit.test_runs import a_run


def part(video_id, start, end):
    return {
        "video_id": video_id, "uri": f"{video_id}.mp4", "start": at(start), "end": at(end),
        "media_start": 0.0, "media_end": 1.0,
    }  # fmt: skip


def counted(video_id, start, end, **given):
    """A video of this version, with one event, one segment and one utterance."""
    known = {"num_events": 1, "num_segments": 1, "num_utterances": 1, "num_slides": 0}
    known |= {"clock_start_ns": 0, "origin_pts": 0}
    return video(video_id, start, end, **known | given)


def tables(video_id, start):
    """All rows of a video of 600 s with two windows."""
    made = {"video_id": video_id, "uri": f"{video_id}.mp4"}
    return {
        "windows": [
            window(f"s-{video_id}", 0, start, start + 300, **made),
            window(f"s-{video_id}", 1, start + 300, start + 600, **made),
        ],
        "events": [
            event(
                f"e-{video_id}", at(start + 10), at(start + 20), **made,
                parts=[part(video_id, start + 10, start + 20)], window_ids=[f"s-{video_id}-0"],
            )
        ],
        "segments": [
            segment(f"g-{video_id}", **made, window_ids=[f"s-{video_id}-0", f"s-{video_id}-1"])
        ],
        "utterances": [utterance(f"u-{video_id}", **made, window_ids=[f"s-{video_id}-1"])],
        "videos": [counted(video_id, start, start + 600)],
    }  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "index"
    writer = pi.Writer(folder)
    for number in range(3):
        made = tables(f"v{number}", 600 * number)
        writer.write_windows(rows("windows", *made["windows"]))
        writer.finish_videos(
            *(rows(name, *made[name]) for name in ("videos", "events", "segments", "utterances"))
        )
    return folder


@pytest.fixture
def index(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "index")


def add(index, name, *given):
    """Rows that no writer of ours would add."""
    write_deltalake(index / name, rows(name, *given), mode="append")


def put(index, name, column, *given):
    """Rows in place of those with the same value of a column."""
    values = ", ".join(f"'{one[column]}'" for one in given)
    write_deltalake(
        index / name, rows(name, *given), mode="overwrite", predicate=f"{column} IN ({values})"
    )


def found(index):
    return [(finding.kind, finding.table) for finding in check(Store.at(index))]


def told(index):
    return "\n".join(map(str, check(Store.at(index))))


def mend(index):
    """Of these rows nothing can be derived: there is no configuration."""
    return repair(Store.at(index), lambda _rows, _windows: None)


def statuses(index):
    return {row["video_id"]: row["status"] for row in pi.open(index).videos().to_pylist()}


def test_an_intact_index_has_no_findings_and_a_repair_changes_nothing(index):
    assert check(Store.at(index)) == []
    before = {name: pi.open(index).rows(name) for name in TABLES if name != "vectors"}
    assert mend(index) == []
    assert {name: pi.open(index).rows(name) for name in before} == before


@pytest.mark.parametrize(
    "folder", sorted(make.FOLDER.parent.glob("v*")), ids=lambda path: path.name
)
def test_an_index_of_an_older_version_is_sound(folder, tmp_path):
    index = shutil.copytree(folder, tmp_path / "index")
    assert check(Store.at(index)) == []


def test_a_folder_without_an_index_is_refused(tmp_path):
    with pytest.raises(IndexFormatError, match="no index at"):
        check(Store.at(tmp_path))


@pytest.mark.parametrize("name", ["windows", "events", "segments"])
def test_the_newest_commit_of_a_table_is_missed_though_nothing_in_its_log_names_it(index, name):
    entries(index, name)[-1].unlink()
    pi.open(index).rows(name)
    assert check(Store.at(index)) != []


def test_rows_of_a_killed_run_are_no_contradiction(index):
    made = tables("v9", 6000)
    writer = pi.Writer(index)
    writer.write_windows(rows("windows", made["windows"][0]))
    add(index, "events", *made["events"])
    assert found(index) == []


@pytest.mark.parametrize(("missing", "kinds"), [(2, []), (3, [("unanswered", "windows")])])
def test_windows_must_tile_the_footage_but_for_how_times_are_rounded(index, missing, kinds):
    first, second = tables("v1", 600)["windows"]
    put(index, "windows", "window_id", second | {"start": at(900) + missing * US})
    assert found(index) == kinds
    first["end"] = at(900)


def test_it_says_of_which_camera_and_time_the_answers_are_lost(index):
    first, _ = tables("v1", 600)["windows"]
    put(index, "windows", "shard_id", first)
    assert (
        "answers for 300.000 s of cam1 from 2026-03-01T08:10:00Z to 2026-03-01T08:20:00Z"
        in told(index)
    )


def test_a_video_without_all_of_its_windows_is_asked_again_and_keeps_its_old_answers(index):
    put(index, "windows", "shard_id", tables("v1", 600)["windows"][0])
    assert {finding.kind for finding in mend(index)} == {"unanswered"}
    assert statuses(index) == {"v0": "done", "v1": "pending", "v2": "done"}
    assert pi.open(index).events().num_rows == 3
    assert pi.open(index).windows().num_rows == 5
    assert check(Store.at(index)) == []


@pytest.mark.parametrize(("over", "kinds"), [(2, []), (3, [("unanswered", "windows")])])
def test_overlapping_windows_are_removed_with_their_shard(index, over, kinds):
    first, _ = tables("v1", 600)["windows"]
    put(index, "windows", "window_id", first | {"end": at(900) + over * US})
    assert found(index) == kinds
    mend(index)
    assert pi.open(index).windows().num_rows == (4 if kinds else 6)
    assert check(Store.at(index)) == []


@pytest.mark.parametrize("name", ["videos", "events", "segments", "utterances"])
def test_of_rows_with_the_same_id_one_is_kept(index, name):
    before = pi.open(index).rows(name)
    add(index, name, *tables("v1", 600)[name])
    assert ("doubled", name) in found(index)
    mend(index)
    assert pi.open(index).rows(name) == before
    assert check(Store.at(index)) == []


@pytest.mark.parametrize("name", ["events", "segments", "utterances"])
def test_a_video_with_missing_rows_is_found(index, name):
    pi.Writer(index)
    put_none(index, name, "video_id = 'v1'")
    assert found(index) == [("underived", "events")]
    assert f"video v1 has 0 {name} instead of 1" in told(index)
    mend(index)
    assert statuses(index)["v1"] == "pending"
    assert check(Store.at(index)) == []


def put_none(index, name, predicate):
    from deltalake import DeltaTable

    DeltaTable(index / name).delete(predicate)


@pytest.mark.parametrize(
    "change",
    [
        {"window_ids": ["s-v1-0", "gone"]},
        {"window_ids": ["s-v1-0", "s-v1-0"]},
        {"start": at(610) + 3 * US},
        {"end": at(620) - 3 * US},
    ],
)
def test_an_event_that_its_windows_do_not_support_is_found(index, change):
    put(index, "events", "event_id", tables("v1", 600)["events"][0] | change)
    assert found(index) == [("underived", "events")]


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({}, []),
        ({"num_window_ids": 2}, [("underived", "events")] * 2),
        ({"num_boxes": 1}, [("underived", "events")] * 2),
    ],
)
def test_the_pieces_of_an_event_must_add_up(index, change, kinds):
    piece = {
        "event_id": "p", "text": "", "confidence": None, "verdict": None, "fields": [],
        "num_window_ids": 1, "num_boxes": 0,
    }  # fmt: skip
    joined = tables("v0", 0)["events"][0] | {
        "end": at(620),
        "parts": [part("v0", 10, 20), part("v1", 610, 620)],
        "pieces": [piece, piece | change],
        "window_ids": ["s-v0-0", "s-v1-0"],
    }
    put_none(index, "events", "event_id = 'e-v1'")
    put(index, "events", "event_id", joined)
    assert found(index) == kinds


@pytest.mark.parametrize("name", ["events", "segments", "utterances", "summaries", "vectors"])
def test_rows_of_missing_videos_are_removed(index, name):
    row = {"start": at(0), "end": at(1), "video_id": "gone"}
    row |= {"events": {"event_id": "x", "parts": [part("gone", 0, 1)]}}.get(name, {})
    row |= {"segments": {"segment_id": "x"}, "summaries": {"summary_id": "x"}}.get(name, {})
    row |= {"utterances": {"utterance_id": "x"}}.get(name, {})
    add(index, name, row | ({"vector_id": "x", "vector": b""} if name == "vectors" else {}))
    assert found(index) == [("orphaned", name)]
    before = {
        table: pi.open(index).rows(table).num_rows for table in ("events", "segments", "utterances")
    }
    mend(index)
    assert check(Store.at(index)) == []
    if name in before:
        assert pi.open(index).rows(name).num_rows == before[name] - 1


def test_damaged_files_are_moved_and_never_deleted(index):
    DAMAGE["file cut"](index, "events")
    cut = data_file(index, "events")
    held, name = cut.read_bytes(), cut.name
    mend(index)
    [aside] = (index / DAMAGED).rglob(name)
    assert aside.read_bytes() == held
    assert not cut.exists()


def test_erasing_removes_the_moved_damaged_files(index):
    DAMAGE["file cut"](index, "events")
    mend(index)
    receipt = erase(Store.at(index), Scope.parse(None, ["cam1"], None, None))
    assert receipt["sidecars"]["damaged"] == 1
    assert not (index / DAMAGED).exists()


def test_a_repair_is_refused_while_a_run_works(index):
    now = datetime.now(tz=UTC)
    at_work = a_run("r7", "cam1", start=now, end=now + US, heartbeat_at=now)
    write_deltalake(index / "runs", runs_table([at_work]), mode="append")
    DAMAGE["newest entry empty"](index, "events")
    with pytest.raises(ConfigError, match=r"run r7 on here \(process 7\) is working on it"):
        mend(index)
    assert not (index / DAMAGED).exists()


def test_readers_are_refused_until_a_repair_has_finished(index):
    DAMAGE["newest entry empty"](index, "events")

    class KilledError(Exception):
        pass

    def killed(_rows, _windows):
        raise KilledError

    with pytest.raises(KilledError):
        repair(Store.at(index), killed)
    assert (index / REPAIRING).exists()
    with pytest.raises(IndexDamagedError, match="a repair was not finished"):
        pi.open(index)
    with pytest.raises(IndexDamagedError, match="a repair was not finished"):
        pi.Writer(index)
    assert ("half mended", "videos") in found(index)
    mend(index)
    assert check(Store.at(index)) == []
    assert pi.open(index).videos().num_rows == 3


def test_the_command_ends_with_its_own_exit_code_and_tells_in_words_and_json(index, capsys):
    def run(*more):
        with pytest.raises(SystemExit) as ended:
            cli.main(["check", "--index", str(index), *more])
        return ended.value.code, capsys.readouterr().out

    assert run() == (0, "sound: the index is complete, readable and consistent\n")
    DAMAGE["newest entry empty"](index, "segments")
    code, out = run()
    assert code == EXIT_DAMAGED
    assert "segments: log entry 3 is empty; the changes of that commit are lost" in out
    code, out = run("--json")
    assert code == EXIT_DAMAGED
    assert [finding["kind"] for finding in json.loads(out)["found"]] == ["log", "underived"]
    code, out = run("--repair")
    assert code == 0
    assert "2 repaired; run timereel index again for what was lost" in out
    assert run()[0] == 0


def test_what_is_derived_again_takes_the_place_of_what_was_lost(index):
    from pipeline.index.repair import Derived

    lost = tables("v1", 600)
    put_none(index, "events", "video_id = 'v1'")
    put_none(index, "segments", "video_id = 'v1'")
    put_none(index, "utterances", "video_id = 'v1'")

    def derive(videos, windows):
        assert [row["video_id"] for row in videos] == ["v1"]
        assert windows.num_rows == 2
        return Derived(
            tables={
                "segments": rows("segments", *lost["segments"]),
                "utterances": rows("utterances", *lost["utterances"]),
            },
            num_events={"v1": 1},
            join=lambda held, _done, _gone: pa.concat_tables(
                [held, rows("events", *lost["events"])]
            ),
            reach_s=timedelta(seconds=1).total_seconds(),
        )

    repair(Store.at(index), derive)
    assert statuses(index)["v1"] == "done"
    assert pi.open(index).events().num_rows == 3
    assert pi.open(index).segments().num_rows == 3
    assert pi.open(index).utterances().num_rows == 3
