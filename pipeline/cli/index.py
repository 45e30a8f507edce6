"""The commands that run jobs. After Ctrl-C the same command continues where the job stopped."""

import json
from contextlib import AbstractContextManager, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.ages import parse_since
from pipeline.cli.every import repeat
from pipeline.cli.options import (
    CameraOption,
    ConfigOption,
    FromOption,
    IndexOption,
    JsonOption,
    SetOption,
    SinceOption,
    ToOption,
    locations_of,
)
from pipeline.cli.terminal import echo, skipped_cameras
from pipeline.errors import (
    EXIT_BUDGET,
    EXIT_INTERRUPTED,
    ConfigError,
    FailOn,
)
from pipeline.export.formats import to_json
from pipeline.records import SummaryLevel
from pipeline.records.sanitize import sanitized

app = typer.Typer()

_INTERRUPTED = "interrupted: run the same command again to continue"

AddressOption = Annotated[
    str | None, typer.Option("--address", help="Ray cluster; without it: an embedded Ray.")
]
KeepOption = Annotated[
    bool, typer.Option("--keep", help="Keep answers of other settings; queries get the newest.")
]
RetryFailedOption = Annotated[
    bool, typer.Option("--retry-failed", help="Ask again where the engine failed to answer.")
]
FailOnOption = Annotated[
    FailOn,
    typer.Option("--fail-on", help="Which failed files make the exit code 4."),
]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", metavar="N/M", help="Only the cameras of part N of M, such as 3/16."),
]
WaitOption = Annotated[
    bool,
    typer.Option("--wait", help="Wait until no other run is indexing the cameras."),
]
EveryOption = Annotated[
    str | None,
    typer.Option(
        "--every",
        metavar="T",
        help="Run again and again, at most once per T, such as 5m; Ctrl-C and SIGTERM end it.",
    ),
]
IncludeErasedOption = Annotated[
    bool, typer.Option("--include-erased", help="Index footage again that was erased.")
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
    every: EveryOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Index videos; a second run indexes only what is missing."""

    def run() -> int:
        return _index_once(
            src, index_uri, config, overrides, since=since, address=address,
            include_erased=include_erased, keep=keep, retry_failed=retry_failed, shard=shard,
            wait=wait, fail_on=fail_on, as_json=as_json,
        )  # fmt: skip

    if every is not None:
        repeat(run, every)
    raise typer.Exit(run())


def _index_once(
    src: list[str] | None,
    index_uri: str | None,
    config: Path | None,
    overrides: list[str] | None,
    *,
    since: str | None,
    address: str | None,
    include_erased: bool,
    keep: bool,
    retry_failed: bool,
    shard: str | None,
    wait: bool,
    fail_on: FailOn,
    as_json: bool,
) -> int:
    """List the sources and index what is missing; returns the exit code."""
    from pipeline.cli.progress import shown_progress  # noqa: PLC0415
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.flow.driver.archive import index_archive  # noqa: PLC0415
    from pipeline.flow.driver.passes import passes_of  # noqa: PLC0415
    from pipeline.processes.logs import configure_logs  # noqa: PLC0415
    from pipeline.sources import (  # noqa: PLC0415
        CameraShard,
        modified_since,
        passed_over_message,
        survey_videos,
    )

    configure_logs()
    settings = load_config(config, tuple(overrides or ()))
    locations = locations_of(src, settings)
    index_uri = index_uri or settings.index
    if not index_uri:
        raise ConfigError("no index: give --index DIR, or set index in the config")
    camera_shard = CameraShard.parse(shard) if shard else None
    oldest = parse_since(since, datetime.now(tz=UTC)) if since else None
    settings = settings.naming(locations)
    listing = survey_videos(locations, settings.listed_sources)
    if listing.num_passed_over:
        echo(passed_over_message(listing), err=True)
    sources = listing.sources
    if oldest:
        sources = modified_since(sources, oldest)
    reports = []
    try:
        for one, files in passes_of(settings, sources):
            with shown_progress() as on_progress, _stdout_of_ray_to_log():
                report = index_archive(
                    files,
                    one,
                    index_uri,
                    address=address,
                    include_erased=include_erased,
                    keep=keep,
                    retry_failed=retry_failed,
                    shard=camera_shard,
                    wait=wait,
                    fail_on=fail_on,
                    on_progress=on_progress,
                )
            _print_unfinished(report)
            reports.append(report)
            if report.stopped:
                break
    except KeyboardInterrupt:
        echo(_INTERRUPTED, err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        echo(to_json(_figures(settings, reports) | {"passed_over": listing.num_passed_over}))
    else:
        for report in reports:
            echo(_summary(report))
    if reports[-1].stopped:
        _print_stopped(reports[-1].stopped)
    return max(report.exit_code(fail_on) for report in reports)


def _figures(settings: Any, reports: list[Any]) -> dict[str, Any]:  # noqa: ANN401 - not imported here
    """Of the pass that looks; those of the pass that listens stand below ``speech``."""
    *seen, last = [report.to_json() for report in reports]
    if not settings.hears and seen:
        return {**seen[0], "speech": last}
    return dict(last)


def _print_unfinished(report: Any) -> None:  # noqa: ANN401 - Report, without importing it here
    for failed in report.failures:
        status = "failed as before" if failed.known else "failed"
        echo(sanitized(f"{status}: {_error_with_uri(failed)}"), err=True)
    for outstanding in report.outstanding:
        echo(sanitized(f"outstanding: {_error_with_uri(outstanding)}"), err=True)
    for run in report.others:
        echo(sanitized(skipped_cameras(run, "indexing")), err=True)


def _error_with_uri(file: Any) -> str:  # noqa: ANN401 - FailedFile or OutstandingFile
    error: str = file.error
    return error if file.uri in error else f"{file.uri}: {error}"


def _print_stopped(reason: str) -> None:
    echo(f"stopped: {reason}; run the same command again to continue", err=True)


def _summary(report: Any) -> str:  # noqa: ANN401 - Report, without importing it here
    from pipeline.sources import still_written  # noqa: PLC0415

    later = f"; {still_written(len(report.waiting))}" if report.waiting else ""
    if report.num_left:
        later += f"; {report.num_left} left to other runs"
    num_untouched = report.videos_skipped + len(report.waiting) + report.num_left
    if num_untouched == report.num_sources and not report.analysed_ns:
        return f"nothing to do: {report.videos_skipped} videos are indexed already{later}"
    windows = report.windows
    yielded = f", {report.yielded_ns / 1e9:.1f} s yielded" if report.yielded_ns else ""
    left_out = ""
    if report.erased_ns:
        left_out = f", {report.erased_ns / 1e9:.1f} s left out as erased or too old to keep"
    outstanding = f", {len(report.outstanding)} outstanding" if report.outstanding else ""
    superseded = f"{report.videos_superseded} superseded, " if report.videos_superseded else ""
    return (
        f"videos: {report.videos_done} done, {report.videos_skipped} skipped, {superseded}"
        f"{len(report.failures)} failed{outstanding}{yielded}{left_out}{later}; "
        f"{report.analysed_ns / 3.6e12:.3f} video-hours, {windows['analysed']} windows analysed, "
        f"{windows['quiet']} quiet, {windows['failed']} failed; {_found(report)}; "
        f"{report.wall_s:.1f} s ({report.real_time_factor:.1f}x real time)"
    )


def _found(report: Any) -> str:  # noqa: ANN401 - Report, without importing it here
    said = f"{report.num_utterances} utterances"
    return said if report.hears else f"{report.num_events} events"


@app.command()
def summarize(
    index_uri: IndexOption,
    start: FromOption = None,
    end: ToOption = None,
    camera: CameraOption = None,
    level: Annotated[SummaryLevel, typer.Option("--level", help="The highest level.")] = "day",
    task: Annotated[str | None, typer.Option("--task", help="Only this task.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="YAML run configuration; else the task of the index.",
        ),
    ] = None,
    overrides: SetOption = None,
    address: AddressOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Summarize chapters, videos and days from the index; nothing is decoded."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.flow.driver.spent import Spent  # noqa: PLC0415
    from pipeline.flow.summaries.summarize import stored_configs, summarize_index  # noqa: PLC0415

    keys = tuple(overrides or ())
    configs = [load_config(config, keys)] if config else stored_configs(index_uri, keys, task)
    spent = Spent()
    for settings in configs:
        try:
            with _stdout_of_ray_to_log():
                report = summarize_index(
                    index_uri, settings, level=level, start=start, end=end, camera=camera,
                    address=address, spent=spent,
                )  # fmt: skip
        except KeyboardInterrupt:
            echo(_INTERRUPTED, err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        for reason, times in report.errors.items():
            echo(f"{times} not written by the model: {reason}", err=True)
        for run in report.others:
            echo(sanitized(skipped_cameras(run, "summarizing")), err=True)
        figures = {"task": settings.task.name, **report.to_json()}
        echo(json.dumps(figures) if as_json else _summary_counts(figures))
        if report.stopped:
            _print_stopped(report.stopped)
            raise typer.Exit(EXIT_BUDGET)


def _summary_counts(figures: dict[str, Any]) -> str:
    counts = ", ".join(f"{n} {level}s" for level, n in figures["summaries"].items())
    return (
        f"{figures['task']}: {counts}; {figures['extractive']} of them extractive, without a "
        f"model; {figures['days']['skipped']} days were up to date"
    )


def _stdout_of_ray_to_log() -> AbstractContextManager[object]:
    """Keep stdout for rows: Ray prints warnings of a raylet there, whatever its log settings.

    The log must go to stderr: on stdout, its lines would come back to it without end.
    """
    from pipeline.processes.logs import configure_logs  # noqa: PLC0415

    configure_logs()
    return redirect_stdout(_RayOutput())


class _RayOutput(StringIO):
    """Logs the first line of each message. Tracebacks of failed tasks are in Ray's own logs."""

    def write(self, text: str) -> int:
        import structlog  # noqa: PLC0415 - a fifth of the time that a query takes
        from rich.text import Text  # noqa: PLC0415 - only needed here

        first_line, _, _ = Text.from_ansi(text).plain.strip().partition("\n")
        message, _, _ = first_line.partition("Error: Traceback")
        if message:
            structlog.get_logger().warning(sanitized(message))
        return len(text)
