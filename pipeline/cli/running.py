"""``timereel ...``: thin. Rows go to stdout; progress, logs and errors to stderr.

Each command imports what it needs itself: ``timereel query`` must not pay for Ray.
"""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pipeline.cli import asking, upkeep
from pipeline.cli.asking import CameraOption, FromOption, IndexOption, ToOption
from pipeline.errors import (
    EXIT_BUDGET,
    EXIT_ENGINE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_SOME_FAILED,
    EXIT_USAGE,
    ConfigError,
    SourceError,
    TimereelError,
)
from pipeline.export.formats import to_json
from pipeline.plain import plain
from pipeline.records import SummaryLevel

app = typer.Typer(
    name="timereel",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

config_app = typer.Typer(help="Look at run configurations.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(asking.app)
app.add_typer(upkeep.app)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - Typer's form of a flag
    if asked:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"timereel {version('timereel')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Which this is."),
    ] = False,
) -> None:
    """Turn archives of long video into a time index, and ask it."""


ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML run configuration; without it: signals.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting.")
]
AddressOption = Annotated[
    str | None, typer.Option("--address", help="Ray cluster; without it: an embedded Ray.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
KeepOption = Annotated[
    bool, typer.Option("--keep", help="Keep what other settings answered; queries get the newest.")
]
RetryFailedOption = Annotated[
    bool, typer.Option("--retry-failed", help="Also ask again what the engine failed to answer.")
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
    address: AddressOption = None,
    include_erased: IncludeErasedOption = False,  # noqa: FBT002 - Typer's form of a flag
    keep: KeepOption = False,  # noqa: FBT002
    retry_failed: RetryFailedOption = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Index videos; run it again and only what is missing is done."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.flow import index_archive  # noqa: PLC0415
    from pipeline.progress import shown_progress  # noqa: PLC0415
    from pipeline.sources import list_sources  # noqa: PLC0415

    _log_to_stderr()
    settings = load_config(config, tuple(overrides or ()))
    locations = src or settings.sources.locations
    where = index_uri or settings.index
    if not locations:
        raise ConfigError("no sources: name them, or set sources.locations in the config")
    if not where:
        raise ConfigError("no index: give --index DIR, or set index in the config")
    sources = list_sources(locations, settings.sources)
    try:
        with shown_progress() as on_progress:
            report = index_archive(
                sources,
                settings,
                where,
                address=address,
                include_erased=include_erased,
                keep=keep,
                retry_failed=retry_failed,
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        typer.echo("interrupted: run the same command again to go on", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    for uri, reason in report.failures:
        typer.echo(plain(f"failed: {reason if uri in reason else f'{uri}: {reason}'}"), err=True)
    if as_json:
        typer.echo(json.dumps(report.to_json(), ensure_ascii=False))
    else:
        typer.echo(_summary(report))
    if report.stopped:
        typer.echo(
            f"stopped: {report.stopped}; what is whole is kept, the same command goes on", err=True
        )
        raise typer.Exit(EXIT_BUDGET)
    raise typer.Exit(EXIT_SOME_FAILED if report.failures else EXIT_OK)


def _summary(report: Any) -> str:  # noqa: ANN401 - the report's class would import Ray here
    if report.videos_skipped == report.num_sources:
        return f"nothing to do: {report.videos_skipped} videos are indexed already"
    windows = report.windows
    return (
        f"videos: {report.videos_done} done, {report.videos_skipped} skipped, "
        f"{len(report.failures)} failed; {report.analysed_ns / 3.6e12:.3f} video-hours, "
        f"{windows['analysed']} windows analysed, {windows['quiet']} quiet, "
        f"{windows['failed']} failed; {report.num_events} events; "
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
    from pipeline.flow.summaries import stored_configs, summarize_index  # noqa: PLC0415

    given = tuple(overrides or ())
    runs = [load_config(config, given)] if config else stored_configs(index_uri, given, task)
    for settings in runs:
        try:
            report = summarize_index(
                index_uri, settings, level=level, start=start, end=end, camera=camera,
                address=address,
            )  # fmt: skip
        except KeyboardInterrupt:
            typer.echo("interrupted: run the same command again to go on", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        for reason, times in report.errors.items():
            typer.echo(f"{times} counted and quoted instead: {reason}", err=True)
        figures = {"task": settings.task.name, **report.to_json()}
        typer.echo(json.dumps(figures) if as_json else _told(figures))


def _told(figures: dict[str, Any]) -> str:
    counts = ", ".join(f"{n} {level}s" for level, n in figures["summaries"].items())
    return (
        f"{figures['task']}: {counts}; {figures['extractive']} of them counted and quoted, not "
        f"written by a model; {figures['days']['skipped']} days had nothing new"
    )


@app.command()
def frames(
    file: Annotated[str, typer.Argument(help="A video.")],
    fps: Annotated[float, typer.Option("--fps", help="Points of the sample grid per second.")],
    as_json: JsonOption = False,  # noqa: FBT002
    out: Annotated[Path | None, typer.Option("--out", help="Save JPEGs into this folder.")] = None,
) -> None:
    """List the frames exactly as an engine gets them."""
    from pipeline.config import Config, SampleConfig  # noqa: PLC0415
    from pipeline.media import decode_frames, probe, save_jpeg  # noqa: PLC0415
    from pipeline.plan import grid_pts, packets_for  # noqa: PLC0415

    settings = Config(sample=SampleConfig(fps=fps))
    video, packets = probe(_one_source(file), sample=settings.sample, decode=settings.decode)
    want_pts = [int(pts) for pts in grid_pts(video, packets.shown_pts, fps)]
    if out:
        out.mkdir(parents=True, exist_ok=True)
    rows = []
    for frame in decode_frames(
        video, packets_for(packets, want_pts), want_pts, frame=settings.frame, rgb=True
    ):
        rgb = frame.rgb
        assert rgb is not None  # noqa: S101 - asked for above
        height, width = rgb.shape[:2]
        rows.append(
            {
                "pts": frame.pts,
                "time_base": str(video.time_base),
                "pts_ns": _pts_ns(frame.pts, video),
                "media_s": video.media_ns(frame.pts) / 1e9,
                "keyframe": frame.keyframe,
                "suspect": frame.suspect,
                "width": width,
                "height": height,
            }
        )
        if out:
            save_jpeg(rgb, out / f"{frame.pts:012d}.jpg")
    _write_json_or_lines(rows, as_json=as_json)
    if len(rows) < len(want_pts):
        missing = len(want_pts) - len(rows)
        raise SourceError(f"{file}: {missing} of {len(want_pts)} frames could not be decoded")


def _pts_ns(pts: int, video: Any) -> int:  # noqa: ANN401 - Video, without importing it here
    from pipeline.timebase import pts_to_ns  # noqa: PLC0415

    return pts_to_ns(pts, video.time_base)


@app.command()
def probe(
    file: Annotated[str, typer.Argument(help="A video.")],
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show what is known of a video without decoding it."""
    from pipeline.config import Config  # noqa: PLC0415
    from pipeline.media import probe as probe_video  # noqa: PLC0415
    from pipeline.timebase import ns_to_datetime  # noqa: PLC0415

    settings = Config()
    video, packets = probe_video(_one_source(file), sample=settings.sample, decode=settings.decode)
    facts = {
        "uri": video.uri,
        "video_id": video.video_id,
        "content_id": video.content_id,
        "camera": video.camera,
        "clock": video.clock,
        "clock_start": ns_to_datetime(video.start_ns),
        "codec": video.codec,
        "width": video.width,
        "height": video.height,
        "rotation": video.rotation,
        "time_base": str(video.time_base),
        "origin_pts": video.origin_pts,
        "num_frames": video.num_frames,
        "num_keyframes": video.num_keyframes,
        "num_packets": len(packets),
        "footage_s": [[f.start_ns / 1e9, f.end_ns / 1e9] for f in video.footage],
        "warnings": list(video.warnings),
    }
    if as_json:
        typer.echo(to_json(facts))
    else:
        for name, value in facts.items():
            typer.echo(f"{name:14} {value}")


@app.command()
def plan(
    src: Annotated[list[str], typer.Argument(help="Files, folders, globs, URLs, list files.")],
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Say what a run would take, and how videos would be cut: frames, tokens, hours, money."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.flow.estimate import Estimate, plan_once, shard_figures  # noqa: PLC0415
    from pipeline.flow.stages import Failure  # noqa: PLC0415
    from pipeline.sources import list_sources  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    estimate = Estimate(settings)
    failures: list[dict[str, str]] = []
    shards: list[dict[str, Any]] = []
    sources = list_sources(src, settings.sources)
    for planned in plan_once(sources, settings):
        if isinstance(planned, Failure):
            failures.append({"uri": planned.source.uri, "error": planned.error})
            typer.echo(plain(f"failed: {planned.error}"), err=True)
            continue
        estimate.add(planned)
        shards.extend(shard_figures(planned))
    if as_json:
        typer.echo(to_json({**estimate.to_json(), "failures": failures, "per_shard": shards}))
        return
    num_copies = len(sources) - estimate.num_videos - len(failures)
    typer.echo(
        f"{'videos':14} {estimate.num_videos:,}; {len(failures)} cannot be read, "
        f"{num_copies} are copies of others"
    )
    for name, figure in estimate.lines():
        typer.echo(f"{name:14} {figure}")


@app.command()
def doctor(
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Check this machine and whether the configured engine tells the time; exit code 3 if not."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.doctor import examine  # noqa: PLC0415

    checks = []
    for check in examine(load_config(config, tuple(overrides or ()))):
        checks.append(asdict(check))
        if not as_json:
            typer.echo(f"{check.verdict:4}  {check.name:14}  {plain(check.detail)}")
    if as_json:
        typer.echo(to_json(checks))
    failed = [check["name"] for check in checks if check["verdict"] == "FAIL"]
    if failed:
        typer.echo(f"error: not fit for a run: {', '.join(failed)}", err=True)
        raise typer.Exit(EXIT_ENGINE)


@config_app.command("show")
def config_show(
    file: Annotated[Path, typer.Argument(help="A YAML run configuration.")],
    overrides: SetOption = None,
) -> None:
    """Print the resolved settings, defaults included."""
    import yaml  # noqa: PLC0415

    from pipeline.config import load_config  # noqa: PLC0415

    settings = load_config(file, tuple(overrides or ()))
    typer.echo(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False).rstrip())
    typer.echo(f"# fingerprint: {settings.fingerprint}")


@config_app.command("validate")
def config_validate(
    file: Annotated[Path, typer.Argument(help="A YAML run configuration.")],
    overrides: SetOption = None,
) -> None:
    """Check a configuration; exit code 2 and every wrong key if it is not valid."""
    from pipeline.config import load_config  # noqa: PLC0415

    settings = load_config(file, tuple(overrides or ()))
    typer.echo(f"{file}: valid; fingerprint {settings.fingerprint}")


def _one_source(file: str) -> Any:  # noqa: ANN401 - Source, without importing it here
    from pipeline.config import SourcesConfig  # noqa: PLC0415
    from pipeline.sources import list_sources  # noqa: PLC0415

    [source, *others] = list_sources([file], SourcesConfig())
    if others:
        raise ConfigError(f"{file}: name one video, not {len(others) + 1}")
    if source.problem:
        raise SourceError(f"{file}: {source.problem}")
    return source


def _write_json_or_lines(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        typer.echo("[" + ",\n ".join(to_json(row) for row in rows) + "]")
        return
    for row in rows:
        typer.echo("  ".join(f"{name}={value}" for name, value in row.items()))


def _log_to_stderr() -> None:
    import structlog  # noqa: PLC0415 - a fifth of the time that a query takes

    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command; end with the exit codes of ``errors.py``."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    try:
        app(args=argv)
    except TimereelError as exc:
        typer.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    sys.exit(EXIT_USAGE)  # the app always ends by itself
