"""The commands that run jobs; Ctrl-C leaves a state from which the same command goes on."""

import json
from contextlib import AbstractContextManager, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.options import (
    CameraOption,
    ConfigOption,
    FromOption,
    IndexOption,
    JsonOption,
    SetOption,
    SinceOption,
    ToOption,
)
from pipeline.errors import (
    EXIT_BUDGET,
    EXIT_INTERRUPTED,
    ConfigError,
    FailOn,
)
from pipeline.records import Run, SummaryLevel
from pipeline.records.sanitize import sanitized

app = typer.Typer()

_NAMED_CAMERAS = 5

AddressOption = Annotated[
    str | None, typer.Option("--address", help="Ray cluster; without it: an embedded Ray.")
]
KeepOption = Annotated[
    bool, typer.Option("--keep", help="Keep what other settings answered; queries get the newest.")
]
RetryFailedOption = Annotated[
    bool, typer.Option("--retry-failed", help="Also ask again what the engine failed to answer.")
]
FailOnOption = Annotated[
    FailOn,
    typer.Option("--fail-on", help="Which failed files end the run with exit code 4."),
]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", metavar="N/M", help="Only the cameras of part N of M, such as 3/16."),
]
WaitOption = Annotated[
    bool,
    typer.Option("--wait", help="Wait for cameras that another run is at, then do what is left."),
]
IncludeErasedOption = Annotated[
    bool, typer.Option("--include-erased", help="Also what was erased from the index.")
]


@app.command()
def index(
    src: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, globs, URLs, list files.")
    ] = None,
    index_uri: Annotated[
        str | None, typer.Option("--index", help="Folder or URL of the index.")
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    since: SinceOption = None,
    address: AddressOption = None,
    include_erased: IncludeErasedOption = False,  # noqa: FBT002 - Typer's form of a flag
    keep: KeepOption = False,  # noqa: FBT002
    retry_failed: RetryFailedOption = False,  # noqa: FBT002
    shard: ShardOption = None,
    wait: WaitOption = False,  # noqa: FBT002
    fail_on: FailOnOption = "new",
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Index videos; run it again and only what is missing is done."""
    from pipeline.cli.progress import shown_progress  # noqa: PLC0415
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.flow.driver.archive import index_archive  # noqa: PLC0415
    from pipeline.processes.logs import configure_logs  # noqa: PLC0415
    from pipeline.sources import (  # noqa: PLC0415
        CameraShard,
        list_sources,
        modified_since,
        parse_since,
    )

    configure_logs()
    settings = load_config(config, tuple(overrides or ()))
    locations = src or settings.sources.locations
    where = index_uri or settings.index
    if not locations:
        raise ConfigError("no sources: name them, or set sources.locations in the config")
    if not where:
        raise ConfigError("no index: give --index DIR, or set index in the config")
    part = CameraShard.parse(shard) if shard else None
    oldest = parse_since(since, datetime.now(tz=UTC)) if since else None
    sources = list_sources(locations, settings.sources)
    if oldest:
        sources = modified_since(sources, oldest)
    try:
        with shown_progress() as on_progress, _answers_alone_on_stdout():
            report = index_archive(
                sources,
                settings,
                where,
                address=address,
                include_erased=include_erased,
                keep=keep,
                retry_failed=retry_failed,
                shard=part,
                wait=wait,
                fail_on=fail_on,
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        typer.echo("interrupted: run the same command again to go on", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    for failed in report.failures:
        told = "failed as before" if failed.known else "failed"
        typer.echo(sanitized(f"{told}: {_why(failed)}"), err=True)
    for left in report.outstanding:
        typer.echo(sanitized(f"outstanding: {_why(left)}"), err=True)
    for other in report.others:
        typer.echo(sanitized(_at_work(other)), err=True)
    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        typer.echo(_summary(report))
    if report.stopped:
        _say_stopped(report.stopped)
    raise typer.Exit(report.exit_code(fail_on))


def _why(file: Any) -> str:  # noqa: ANN401 - of the report, as below
    error: str = file.error
    return error if file.uri in error else f"{file.uri}: {error}"


def _say_stopped(why: str) -> None:
    typer.echo(f"stopped: {why}; what is whole is kept, the same command goes on", err=True)


def _at_work(run: Run) -> str:
    silent_s = (datetime.now(tz=UTC) - run.heartbeat_at).total_seconds()
    more = len(run.cameras) - _NAMED_CAMERAS
    cameras = ", ".join(run.cameras[:_NAMED_CAMERAS]) + (f" and {more} more" if more > 0 else "")
    return (
        f"left to run {run.run_id} (host {run.host}, pid {run.pid}), which has been at work on "
        f"{cameras} since {run.start:%Y-%m-%dT%H:%M:%SZ}; heartbeat {silent_s:.0f} s ago"
    )


def _summary(report: Any) -> str:  # noqa: ANN401 - the report's class would import Ray here
    from pipeline.sources import still_written  # noqa: PLC0415

    later = f"; {still_written(len(report.waiting))}" if report.waiting else ""
    if report.num_left:
        later += f"; {report.num_left} left to other runs"
    if report.videos_skipped + len(report.waiting) + report.num_left == report.num_sources:
        return f"nothing to do: {report.videos_skipped} videos are indexed already{later}"
    windows = report.windows
    yielded = f", {report.yielded_ns / 1e9:.1f} s left to others" if report.yielded_ns else ""
    outstanding = f", {len(report.outstanding)} outstanding" if report.outstanding else ""
    given_up = f"{report.videos_superseded} superseded, " if report.videos_superseded else ""
    return (
        f"videos: {report.videos_done} done, {report.videos_skipped} skipped, {given_up}"
        f"{len(report.failures)} failed{outstanding}{yielded}{later}; "
        f"{report.analysed_ns / 3.6e12:.3f} video-hours, {windows['analysed']} windows analysed, "
        f"{windows['quiet']} quiet, {windows['failed']} failed; {report.num_events} events; "
        f"{report.wall_s:.1f} s ({report.real_time_factor:.1f}x real time)"
    )


@app.command()
def summarize(
    index_uri: IndexOption,
    start: FromOption = None,
    end: ToOption = None,
    camera: CameraOption = None,
    level: Annotated[SummaryLevel, typer.Option("--level", help="Up to which level.")] = "day",
    task: Annotated[str | None, typer.Option("--task", help="Only this task.")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML run configuration; without it: that of the index."),
    ] = None,
    overrides: SetOption = None,
    address: AddressOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Tell chapters, videos and days from what is indexed; nothing is decoded again."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.flow.driver.spent import Spent  # noqa: PLC0415
    from pipeline.flow.summaries.summarize import stored_configs, summarize_index  # noqa: PLC0415

    given = tuple(overrides or ())
    runs = [load_config(config, given)] if config else stored_configs(index_uri, given, task)
    spent = Spent()
    for settings in runs:
        try:
            with _answers_alone_on_stdout():
                report = summarize_index(
                    index_uri, settings, level=level, start=start, end=end, camera=camera,
                    address=address, spent=spent,
                )  # fmt: skip
        except KeyboardInterrupt:
            typer.echo("interrupted: run the same command again to go on", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        for reason, times in report.errors.items():
            typer.echo(f"{times} counted and quoted instead: {reason}", err=True)
        figures = {"task": settings.task.name, **report.to_json()}
        typer.echo(json.dumps(figures) if as_json else _told(figures))
        if report.stopped:
            _say_stopped(report.stopped)
            raise typer.Exit(EXIT_BUDGET)


def _told(figures: dict[str, Any]) -> str:
    counts = ", ".join(f"{n} {level}s" for level, n in figures["summaries"].items())
    return (
        f"{figures['task']}: {counts}; {figures['extractive']} of them counted and quoted, not "
        f"written by a model; {figures['days']['skipped']} days had nothing new"
    )


def _answers_alone_on_stdout() -> AbstractContextManager[object]:
    """What a raylet warns of, Ray prints to stdout, whatever it was told of logs."""
    return redirect_stdout(_RaySays())


class _RaySays(StringIO):
    """Each message as one line on stderr; a failed task's traceback is in Ray's own logs."""

    def write(self, text: str) -> int:
        import structlog  # noqa: PLC0415 - a fifth of the time that a query takes
        from rich.text import Text  # noqa: PLC0415 - for this alone

        first, _, _ = Text.from_ansi(text).plain.strip().partition("\n")
        said, _, _ = first.partition("Error: Traceback")
        if said:
            structlog.get_logger().warning(sanitized(said))
        return len(text)
