"""``timereel status``: what an operator, or a monitor, asks of an index."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.ages import parse_since
from pipeline.cli.options import CameraOption, IndexOption, JsonOption
from pipeline.cli.terminal import echo
from pipeline.errors import EXIT_LATE
from pipeline.export.formats import to_json
from pipeline.records.sanitize import sanitized

if TYPE_CHECKING:
    from pipeline.index.status import IndexStatus
    from pipeline.records import Run

app = typer.Typer()

_MAX_LINES = 20
"""Cameras that the text names; the JSON names all."""

LateOption = Annotated[
    str | None,
    typer.Option(
        "--late",
        metavar="T",
        help="Exit code 9 if a camera is covered to no later than this: an age such as 2h, or a "
        "time.",
    ),
]
PriceOption = Annotated[
    float | None,
    typer.Option("--usd-per-gpu-hour", min=0, help="Says what each month's GPU-hours cost."),
]


@app.command()
def status(
    index_uri: IndexOption,
    camera: CameraOption = None,
    late: LateOption = None,
    usd_per_gpu_hour: PriceOption = None,
    as_json: JsonOption = False,  # noqa: FBT002 - Typer's form of a flag
) -> None:
    """Show runs, how late each camera is, what waits and fails, and what each month cost."""
    from pipeline.index import open_index  # noqa: PLC0415
    from pipeline.index.status import index_status  # noqa: PLC0415

    now = datetime.now(tz=UTC)
    oldest = parse_since(late, now, "--late") if late else None
    found = index_status(open_index(index_uri), cameras=camera, now=now)
    late_cameras = found.late(oldest) if oldest else []
    if as_json:
        echo(to_json(_document(found, late_cameras, now, usd_per_gpu_hour)))
    else:
        for line in _lines(found, late_cameras, now, usd_per_gpu_hour):
            echo(sanitized(line))
    if late_cameras:
        raise typer.Exit(EXIT_LATE)


def _document(
    found: "IndexStatus",
    late_cameras: list[dict[str, Any]],
    now: datetime,
    usd_per_gpu_hour: float | None,
) -> dict[str, Any]:
    from pipeline.tables.shared import utc_rows  # noqa: PLC0415 - as the index

    return {
        "at": now,
        "running": [_run(run) for run in found.running],
        "last_runs": [_run(run) for run in found.last],
        "cameras": [{**row, "lag_s": _lag_s(row, now)} for row in utc_rows(found.cameras)],
        "late": sorted({row["camera"] for row in late_cameras}),
        "months": [month | _cost(month, usd_per_gpu_hour) for month in found.months.to_pylist()],
    }


def _run(run: "Run") -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "state": run.state,
        "task": run.task,
        "works": run.works,
        "shard": run.shard,
        "host": run.host,
        "pid": run.pid,
        "job_id": run.job_id,
        "start": run.start,
        "heartbeat_at": run.heartbeat_at,
        "end": run.end,
        "exit_code": run.exit_code,
        "num_cameras": len(run.cameras),
        "num_windows": run.figures.num_windows,
        "num_videos_outstanding": run.figures.num_videos_outstanding,
        "error": run.error,
    }


def _work(run: "Run") -> str:
    return f"{', '.join(run.works)} {run.task}".rstrip()


def _cost(month: dict[str, Any], usd_per_gpu_hour: float | None) -> dict[str, Any]:
    return {} if usd_per_gpu_hour is None else {"usd": month["gpu_hours"] * usd_per_gpu_hour}


def _lag_s(row: dict[str, Any], now: datetime) -> float | None:
    end = row["covered_end"]
    return None if end is None else (now - end).total_seconds()


def _lines(
    found: "IndexStatus",
    late_cameras: list[dict[str, Any]],
    now: datetime,
    usd_per_gpu_hour: float | None,
) -> Iterator[str]:
    from pipeline.tables.shared import utc_rows  # noqa: PLC0415 - as the index

    for run in found.running:
        silent_s = (now - run.heartbeat_at).total_seconds()
        yield (
            f"running: {run.run_id} ({_work(run)}) on {run.host}, pid {run.pid}, "
            f"since {_at(run.start)}; {_count(len(run.cameras), 'camera')}, "
            f"{run.figures.num_windows} windows, heartbeat {silent_s:.0f} s ago"
        )
    for run in found.last:
        error = f": {run.error}" if run.error else ""
        yield (
            f"last run: {run.run_id} ({_work(run)}) ended as {run.state} at "
            f"{_at(run.end or run.heartbeat_at)}{error}"
        )
    if not (found.running or found.last):
        yield "no run has been recorded"
    rows = utc_rows(found.cameras)
    pending, failed, new = (
        sum(row[name] for row in rows) for name in ("num_pending", "num_failed", "num_newly_failed")
    )
    pending_h = sum(row["pending_s"] for row in rows) / 3600
    yield (
        f"{_count(len({row['camera'] for row in rows}), 'camera')}; {_count(pending, 'file')} "
        f"pending ({pending_h:.1f} h); {_count(failed, 'file')} failed, {new} of them since a day"
    )
    # The latest first: that is where somebody must look.
    rows.sort(key=lambda row: (row["covered_end"] is not None, row["covered_end"] or now))
    is_late = {(row["camera"], row["task"]) for row in late_cameras}
    for row in rows[:_MAX_LINES]:
        mark = "late: " if (row["camera"], row["task"]) in is_late else ""
        yield f"  {mark}{row['camera']} ({row['task']}): {_covered(row, now)}"
    if len(rows) > _MAX_LINES:
        yield f"  and {len(rows) - _MAX_LINES} more, which are less late; --json names all"
    for month in found.months.to_pylist():
        cost = _cost(month, usd_per_gpu_hour)
        tokens = month["num_prompt_tokens"] + month["num_output_tokens"]
        usd = f", {cost['usd']:.2f} USD" if cost else ""
        yield (
            f"{month['month']}: {_count(month['num_runs'], 'run')}, "
            f"{month['num_windows']} windows, {tokens} tokens, "
            f"{month['decode_cpu_hours']:.2f} CPU-hours of decoding, "
            f"{month['gpu_hours']:.2f} GPU-hours{usd}"
        )


def _covered(row: dict[str, Any], now: datetime) -> str:
    parts = []
    lag_s = _lag_s(row, now)
    if lag_s is None:
        parts.append("nothing is covered yet")
    else:
        parts.append(f"covered to {_at(row['covered_end'])}, {_age(lag_s)} ago")
    if row["num_pending"]:
        parts.append(f"{_count(row['num_pending'], 'file')} pending")
    if row["num_failed"]:
        parts.append(f"{_count(row['num_failed'], 'file')} failed")
    return "; ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _age(age_s: float) -> str:
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if abs(age_s) >= 2 * unit_s:
            return f"{age_s / unit_s:.0f} {unit}"
    return f"{age_s:.0f} s"
