"""What ``timereel status`` says: how far each camera is covered, what waits, fails and costs."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

import pipeline.index as pi
from pipeline.cli.app import app
from pipeline.errors import EXIT_LATE
from pipeline.index.replace import replace
from pipeline.index.status import NEW_FOR, index_status
from pipeline.index.validate import conform
from pipeline.records import RunFigures
from pipeline.tables.runs import runs_table
from tests.index_rows import US, at, rows, video, window
from tests.unit.test_runs import a_run

NOW = at(3600)


def write(root, videos, windows=()):
    writer = pi.Writer(root)
    if windows:
        writer.write_windows(rows("windows", *windows))
    for task in {one.get("task", "t") for one in videos}:
        of_task = [one for one in videos if one.get("task", "t") == task]
        writer.finish_videos(rows("videos", *of_task), rows("events"), rows("segments"))
    return pi.open(root)


def write_runs(root, *runs):
    replace(pi.Writer(root).store, "runs", conform("runs", runs_table(runs)), "true")


def cameras(index, **options):
    found = index_status(index, **{"cameras": None, "now": NOW} | options).cameras
    return {row["camera"]: row for row in found.to_pylist()}


def test_a_camera_is_covered_to_the_end_of_its_last_file_that_is_done(tmp_path):
    index = write(tmp_path / "i", [video("a", 0, 600), video("b", 600, 1200)])
    assert cameras(index)["cam1"]["covered_end"] == at(1200)


def test_of_a_file_that_is_not_done_the_windows_say_how_far_it_is_covered(tmp_path):
    index = write(
        tmp_path / "i",
        [
            video("a", 0, 600),
            video("b", 600, 1200, status="partial"),
            video("c", 1200, 1800, status="pending"),
        ],
        [
            window("b", 0, 600, 700, video_id="b"),
            window("b", 1, 700, 800, video_id="b", status="quiet"),
            window("b", 2, 800, 900, video_id="b", status="failed"),
            window("x", 0, 5000, 6000, video_id="nobody", camera="cam1"),
        ],
    )
    row = cameras(index)["cam1"]
    assert (row["covered_end"], row["footage_end"]) == (at(800), at(1800))
    assert (row["num_pending"], row["pending_s"]) == (1, 600)


def test_a_camera_of_which_nothing_was_analysed_is_covered_to_no_time_and_always_late(tmp_path):
    index = write(tmp_path / "i", [video("a", 0, 600, status="failed", indexed_at=NOW)])
    found = index_status(index, cameras=None, now=NOW)
    assert found.cameras["covered_end"].to_pylist() == [None]
    assert [row["camera"] for row in found.late(at(-1e9))] == ["cam1"]


@pytest.mark.parametrize(("late_from", "is_late"), [(at(600) - US, False), (at(600), True)])
def test_a_camera_that_is_covered_to_exactly_the_limit_is_late(tmp_path, late_from, is_late):
    index = write(tmp_path / "i", [video("a", 0, 600)])
    assert bool(index_status(index, cameras=None, now=NOW).late(late_from)) == is_late


def test_each_camera_and_each_task_has_its_own_lag_and_globs_choose_cameras(tmp_path):
    index = write(
        tmp_path / "i",
        [
            video("a", 0, 600, camera="gate-1"),
            video("b", 0, 900, camera="gate-2"),
            video("c", 0, 300, camera="hall", task="other"),
        ],
    )
    assert {name: row["covered_end"] for name, row in cameras(index).items()} == {
        "gate-1": at(600),
        "gate-2": at(900),
        "hall": at(300),
    }
    assert set(cameras(index, cameras=["gate-*"])) == {"gate-1", "gate-2"}


def test_a_failure_is_new_for_a_day_and_not_a_moment_longer(tmp_path):
    index = write(
        tmp_path / "i",
        [
            video("a", 0, 600, status="failed", indexed_at=NOW - NEW_FOR),
            video("b", 0, 600, status="failed", indexed_at=NOW - NEW_FOR + US),
        ],
    )
    row = cameras(index)["cam1"]
    assert (row["num_failed"], row["num_newly_failed"]) == (2, 1)


def test_of_each_kind_of_run_only_the_one_that_ended_last_is_told(tmp_path):
    root = tmp_path / "i"
    write(root, [video()])
    hour = timedelta(hours=1)
    now = datetime.now(tz=UTC)
    write_runs(
        root,
        a_run("old", state="done", start=now - 9 * hour, end=now - 8 * hour),
        a_run("new", state="incomplete", start=now - 7 * hour, end=now - 6 * hour),
        a_run("other", state="budget", shard="1/2", start=now - 9 * hour, end=now - hour),
        a_run("going", "cam1", start=now - hour, heartbeat_at=now),
        a_run("silent", "cam2", shard="2/2", start=now - 2 * hour, heartbeat_at=now - hour),
    )
    found = index_status(pi.open(root), cameras=None, now=now)
    assert [run.run_id for run in found.running] == ["going"]
    assert {run.run_id for run in found.last} == {"new", "other", "silent"}
    assert {run.state for run in found.last} == {"incomplete", "budget", "lost"}


def test_what_a_month_cost_is_the_sum_of_its_runs(tmp_path):
    root = tmp_path / "i"
    write(root, [video()])
    figures = RunFigures(num_prompt_tokens=10, num_output_tokens=5, decode_cpu_s=1800, gpu_s=7200)
    march = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
    april = datetime(2026, 4, 1, tzinfo=UTC)
    starts = enumerate((march, march, april))
    write_runs(root, *(a_run(f"r{i}", start=t, figures=figures) for i, t in starts))
    months = index_status(pi.open(root), cameras=None, now=NOW).months.to_pylist()
    assert [(m["month"], m["num_runs"], m["num_prompt_tokens"]) for m in months] == [
        ("2026-04", 1, 10),
        ("2026-03", 2, 20),
    ]
    assert (months[1]["decode_cpu_hours"], months[1]["gpu_hours"]) == (1.0, 4.0)


def invoke(capsys, *args):
    with pytest.raises(SystemExit) as ended:
        app(["status", *map(str, args)])
    return ended.value.code or 0, capsys.readouterr().out


def test_the_command_ends_with_its_own_code_when_a_camera_is_late(tmp_path, capsys):
    write(tmp_path / "i", [video("a", 0, 600, camera="gate"), video("b", 0, 900, camera="hall")])
    code, out = invoke(capsys, "--index", tmp_path / "i", "--late", "2026-03-01T08:12:00Z")
    assert code == EXIT_LATE
    assert "late: gate (t): covered to 2026-03-01T08:10:00Z" in out
    assert "late: hall" not in out
    assert invoke(capsys, "--index", tmp_path / "i", "--late", "2026-03-01T08:00:00Z")[0] == 0


def test_the_json_document_names_late_cameras_lags_and_costs(tmp_path, capsys):
    root = tmp_path / "i"
    write(root, [video("a", 0, 600, camera="gate")])
    figures = RunFigures(gpu_s=3600)
    write_runs(
        root, a_run("r1", state="done", end=datetime(2026, 4, 1, tzinfo=UTC), figures=figures)
    )
    code, out = invoke(
        capsys, "--index", root, "--json", "--late", "2h", "--usd-per-gpu-hour", "2.5"
    )
    document = json.loads(out)
    assert (code, document["late"]) == (EXIT_LATE, ["gate"])
    assert document["months"][0]["usd"] == 2.5
    (camera,) = document["cameras"]
    assert camera["lag_s"] > 0


def test_an_index_without_runs_says_so(tmp_path, capsys):
    write(tmp_path / "i", [video()])
    code, out = invoke(capsys, "--index", tmp_path / "i")
    assert code == 0
    assert "no run has been recorded" in out


def test_the_command_does_not_import_what_takes_longer_than_the_question(tmp_path):
    root = tmp_path / "i"
    write(root, [video("a", 0, 600, camera="gate")])
    write_runs(root, a_run("r1", state="done", end=datetime(2026, 4, 1, tzinfo=UTC)))
    code = (
        "import sys; from pipeline.cli.app import app\n"
        "for words in ([], ['--json'], ['--late', '2h']):\n"
        f"    app(['status', '--index', {str(root)!r}, *words], standalone_mode=False)\n"
        "print(*{'pandas', 'pipeline.config', 'pipeline.sources'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "covered to 2026-03-01T08:10:00Z" in done.stdout
    assert done.stdout.endswith("\n\n")
