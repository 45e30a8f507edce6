"""The commands that inspect before a run: a video, a plan, a configuration, this machine."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.ages import parse_since
from pipeline.cli.options import ConfigOption, JsonOption, SetOption, SinceOption, one_source
from pipeline.cli.terminal import echo
from pipeline.errors import EXIT_ENGINE, SourceError
from pipeline.export.formats import to_json
from pipeline.records.sanitize import sanitized

app = typer.Typer()
config_app = typer.Typer(help="Show and check run configurations.", no_args_is_help=True)
app.add_typer(config_app, name="config")


@app.command()
def frames(
    file: Annotated[str, typer.Argument(help="A video.")],
    fps: Annotated[float, typer.Option("--fps", help="Points of the sample grid per second.")],
    as_json: JsonOption = False,  # noqa: FBT002
    out: Annotated[Path | None, typer.Option("--out", help="Save JPEGs into this folder.")] = None,
) -> None:
    """List the sampled frames of a video, as an engine gets them."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.export.parquet_folder import make_folder  # noqa: PLC0415
    from pipeline.media import save_jpeg  # noqa: PLC0415

    settings = load_config(overrides=(f"sample.fps={fps}",)).naming([file])
    video, want_pts, decoded = _sampled(file, settings)
    if out:
        make_folder(out)
    rows = []
    for frame in decoded:
        rows.append(_row_of(frame, video))
        if out:
            save_jpeg(frame.rgb, out / f"{frame.pts:012d}.jpg")
    _write_json_or_lines(rows, as_json=as_json)
    if len(rows) < len(want_pts):
        missing = len(want_pts) - len(rows)
        raise SourceError(f"{file}: {missing} of {len(want_pts)} frames could not be decoded")


def _sampled(
    file: str,
    settings: Any,  # noqa: ANN401 - Config, without importing it here
) -> tuple[Any, list[int], Iterator[Any]]:
    """The video, the pts of its sample grid, and as they come those of its frames that decode."""
    from pipeline.media import decode_frames, probe  # noqa: PLC0415
    from pipeline.plan import grid_pts, packets_for  # noqa: PLC0415
    from pipeline.sources import local_to_utc  # noqa: PLC0415

    access = settings.sources.access
    video, packets = probe(
        one_source(file, settings.sources),
        sample=settings.sample,
        decode=settings.decode,
        access=access,
        to_utc=partial(local_to_utc, config=settings.sources),
    )
    want_pts = [int(pts) for pts in grid_pts(video, packets.shown_pts, settings.sample.fps)]
    decoded = decode_frames(
        video,
        packets_for(packets, want_pts),
        want_pts,
        frame=settings.frame,
        rgb=True,
        access=access,
    )
    return video, want_pts, decoded


def _row_of(frame: Any, video: Any) -> dict[str, Any]:  # noqa: ANN401 - Frame and Video, as above
    from pipeline.timebase import pts_to_ns  # noqa: PLC0415

    height, width = frame.rgb.shape[:2]
    return {
        "pts": frame.pts,
        "time_base": str(video.time_base),
        "pts_ns": pts_to_ns(frame.pts, video.time_base),
        "media_s": video.media_ns(frame.pts) / 1e9,
        "keyframe": frame.keyframe,
        "suspect": frame.suspect,
        "width": width,
        "height": height,
    }


@app.command()
def probe(
    file: Annotated[str, typer.Argument(help="A video.")],
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show what is known about a video without decoding it."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.media import probe as probe_video  # noqa: PLC0415
    from pipeline.sources import is_being_written, local_to_utc, still_written  # noqa: PLC0415
    from pipeline.timebase import ns_to_datetime  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ())).naming([file])
    source = one_source(file, settings.sources)
    waiting = is_being_written(source, settings.sources.settle_s, datetime.now(tz=UTC))
    if waiting:
        echo(sanitized(f"{file}: {still_written(1)}; a later run would index it"), err=True)
    video, packets = probe_video(
        source,
        sample=settings.sample,
        decode=settings.decode,
        correction=settings.clock.of(source.camera),
        access=settings.sources.access,
        to_utc=partial(local_to_utc, config=settings.sources),
    )
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
        "waiting": waiting,
        "warnings": list(video.warnings),
    }
    if as_json:
        echo(to_json(facts))
    else:
        for name, value in facts.items():
            echo(f"{name:14} {value}")


@app.command()
def plan(
    src: Annotated[list[str], typer.Argument(help="Files, folders, globs, URLs, list files.")],
    config: ConfigOption = None,
    overrides: SetOption = None,
    since: SinceOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Estimate a run and show its shards: frames, tokens, hours, money."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.flow.driver.estimate import Estimate, plan_once, shard_figures  # noqa: PLC0415
    from pipeline.flow.driver.passes import passes_of  # noqa: PLC0415
    from pipeline.flow.task.stages import Planned  # noqa: PLC0415
    from pipeline.sources import (  # noqa: PLC0415
        is_being_written,
        modified_since,
        passed_over_message,
        still_written,
        survey_videos,
    )

    settings = load_config(config, tuple(overrides or ())).naming(src)
    now = datetime.now(tz=UTC)
    oldest = parse_since(since, now) if since else None
    estimate = Estimate(settings)
    failures: list[dict[str, str]] = []
    shards: list[dict[str, Any]] = []
    listing = survey_videos(src, settings.listed_sources)
    listed = listing.sources
    if oldest:
        listed = modified_since(listed, oldest)
    settle_s = settings.sources.settle_s
    sources = [source for source in listed if not is_being_written(source, settle_s, now)]
    num_waiting = len(listed) - len(sources)
    num_copies = 0
    for one, files in passes_of(settings, sources):
        num_left = len(files)
        for planned in plan_once(files, one):
            num_left -= 1
            if not isinstance(planned, Planned):
                failures.append(_told(planned))
            elif one is settings:
                estimate.add(planned)
                shards.extend(shard_figures(planned))
            else:
                estimate.add_sound(planned)
        num_copies = max(num_copies, num_left)
    if as_json:
        figures = {**estimate.to_json(), "waiting": num_waiting, "failures": failures}
        figures["passed_over"] = listing.num_passed_over
        echo(to_json({**figures, "per_shard": shards}))
        return
    num_unread = len({failure["uri"] for failure in failures})
    echo(
        f"{'videos':14} {estimate.num_videos:,}; {num_unread} cannot be read, "
        f"{num_copies} are copies of other files"
    )
    if num_waiting:
        echo(f"{'waiting':14} {still_written(num_waiting)}, and are not counted here")
    if listing.num_passed_over:
        echo(f"{'passed over':14} {passed_over_message(listing)}")
    for name, figure in estimate.lines():
        echo(f"{name:14} {figure}")


def _told(left_out: Any) -> dict[str, str]:  # noqa: ANN401 - a Probed, without importing it here
    from pipeline.flow.task.stages import Failure  # noqa: PLC0415

    status = "failed" if isinstance(left_out, Failure) else "outstanding"
    echo(sanitized(f"{status}: {left_out.error}"), err=True)
    return {"uri": left_out.source.uri, "error": left_out.error}


@app.command()
def doctor(
    config: ConfigOption = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Check this machine, and the times of the configured engine; exit code 3 on a failure."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.doctor.examine import examine  # noqa: PLC0415

    checks = []
    for check in examine(load_config(config, tuple(overrides or ()))):
        checks.append(asdict(check))
        if not as_json:
            echo(f"{check.verdict:4}  {check.name:14}  {sanitized(check.detail)}")
    if as_json:
        echo(to_json(checks))
    failed = [check["name"] for check in checks if check["verdict"] == "FAIL"]
    if failed:
        echo(f"error: not fit for a run: {', '.join(failed)}", err=True)
        raise typer.Exit(EXIT_ENGINE)


@config_app.command("show")
def config_show(
    file: Annotated[Path, typer.Argument(help="A YAML run configuration.")],
    overrides: SetOption = None,
) -> None:
    """Print all settings, with their defaults."""
    import yaml  # noqa: PLC0415

    from pipeline.config import load_config  # noqa: PLC0415

    settings = load_config(file, tuple(overrides or ()))
    echo(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False).rstrip())
    echo(f"# fingerprint: {settings.fingerprint}")


@config_app.command("validate")
def config_validate(
    file: Annotated[Path, typer.Argument(help="A YAML run configuration.")],
    overrides: SetOption = None,
) -> None:
    """Check a configuration; exit code 2 and a list of invalid keys if it is not valid."""
    from pipeline.config import load_config  # noqa: PLC0415

    settings = load_config(file, tuple(overrides or ()))
    echo(f"{file}: valid; fingerprint {settings.fingerprint}")


@config_app.command("explain")
def config_explain(
    key: Annotated[str | None, typer.Argument(help="Such as sample.fps; without it all.")] = None,
) -> None:
    """Say what a setting means, its default, and whether a change does videos again."""
    from pipeline.config.reference import explain  # noqa: PLC0415
    from pipeline.config.reference_formats import to_markdown, to_text  # noqa: PLC0415

    text = "\n".join(map(to_text, explain(key))) if key else to_markdown().rstrip()
    echo(text)


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of a configuration, for editors."""
    from pipeline.config.reference_formats import to_json_schema  # noqa: PLC0415

    echo(to_json(to_json_schema()))


def _write_json_or_lines(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        echo("[" + ",\n ".join(to_json(row) for row in rows) + "]")
        return
    for row in rows:
        echo("  ".join(f"{name}={value}" for name, value in row.items()))
