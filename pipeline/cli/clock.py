"""``timereel clock``: what was assumed of each camera's clock, and what speaks against it."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from pipeline.cli.options import ConfigOption, FormatOption, SetOption, locations_of
from pipeline.cli.sources import SrcArgument, files_in_words
from pipeline.cli.terminal import echo
from pipeline.export.formats import write_rows
from pipeline.records.sanitize import sanitized
from pipeline.timebase import NS_PER_S

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.sources import Listed, Take

app = typer.Typer()

_LOCAL_IN_FILE = {"frames", "date"}
"""Clocks inside of files that have no zone."""

_HOUR_NS = 3600 * NS_PER_S


@app.command()
def clock(
    src: SrcArgument = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    form: FormatOption = "table",
) -> None:
    """Show what was assumed of each camera's clock, what speaks against it, and what mends it."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.sources import survey_videos  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    locations = locations_of(src, settings)
    settings = settings.naming(locations)
    videos = survey_videos(locations, settings.sources).videos
    settings = settings.knowing({video.source.camera for video in videos})
    rows = list(_rows(videos, settings))
    if form != "table":
        import pyarrow as pa  # noqa: PLC0415 - people read lines

        write_rows(pa.Table.from_pylist(rows), form, sys.stdout.buffer)
        return
    for line in _lines(rows):
        echo(line)


def _rows(videos: Sequence["Listed"], settings: "Config") -> Iterator[dict[str, Any]]:
    """For each camera its findings, or one row that says that there is none."""
    from pipeline.sources import CameraOffset, findings, refused  # noqa: PLC0415
    from pipeline.timebase import ns_to_datetime  # noqa: PLC0415

    takes: dict[str, list[Take]] = defaultdict(list)
    skipped: dict[str, list[str]] = defaultdict(list)
    for listed in videos:
        if "does not exist in" in listed.source.problem:
            skipped[listed.source.camera].append(listed.source.problem)
    clocks: dict[str, Counter[str]] = defaultdict(Counter)
    for camera, name, take in _takes(videos, settings):
        clocks[camera][name] += 1
        if take:
            takes[camera].append(take)
    for camera in sorted(clocks):
        correction = settings.clock.of(camera)
        own = takes[camera]
        about = {
            "camera": camera,
            "num_files": clocks[camera].total(),
            "start": ns_to_datetime(min(t.span.start_ns for t in own)) if own else None,
            "end": ns_to_datetime(max(t.span.end_ns for t in own)) if own else None,
            "clock": ", ".join(f"{name} {n:,}" for name, n in clocks[camera].most_common()),
            "zone": ", ".join(sorted({take.zone or "named" for take in own})),
            "correction": str(correction),
        }
        offset = CameraOffset(camera, correction.offset_ns)
        found = refused(skipped[camera], settings.sources.timezone)
        found += findings(offset, own, datetime.now(tz=UTC)) if own else []
        for one in found:
            at = None if one.at_ns is None else ns_to_datetime(one.at_ns)
            yield about | {"at": at, "finding": one.text, "config": one.config}
        if not found:
            yield about | {"at": None, "finding": "", "config": ""}


def _takes(
    videos: Sequence["Listed"], settings: "Config"
) -> Iterator[tuple[str, str, "Take | None"]]:
    """Camera, clock and recording of each file; files whose name has both ends are not opened."""
    from pipeline.flow.task.crash_isolation import probe_all_isolated  # noqa: PLC0415
    from pipeline.flow.task.stages import Planned  # noqa: PLC0415
    from pipeline.records import STATED_CLOCKS  # noqa: PLC0415
    from pipeline.sources import Take  # noqa: PLC0415

    to_probe = []
    for listed in videos:
        source, end_ns = listed.source, listed.end_ns
        if source.problem or source.start_ns is None or end_ns is None or source.clock != "path":
            to_probe.append(listed)
        else:
            yield source.camera, source.clock, _named_take(listed, end_ns, settings)
    probed = probe_all_isolated([listed.source for listed in to_probe], settings)
    for listed, one in zip(to_probe, probed, strict=True):
        source = listed.source
        if not isinstance(one, Planned):
            yield source.camera, "cannot be read", None
            continue
        name = one.video.clock
        if name not in STATED_CLOCKS:
            yield source.camera, name, None
            continue
        zone = listed.zone or (settings.sources.timezone if name in _LOCAL_IN_FILE else "")
        span = one.video.utc(one.video.span)
        take = Take(uri=source.uri, span=span, zone=zone, written_ns=source.mtime_ns)
        yield source.camera, name, take


def _named_take(listed: "Listed", end_ns: int, settings: "Config") -> "Take":
    from pipeline.sources import Take  # noqa: PLC0415
    from pipeline.timebase import TimeRange  # noqa: PLC0415

    source, start_ns = listed.source, listed.source.start_ns or 0
    if end_ns <= start_ns:  # the clock was set back, by whole hours, while it recorded
        end_ns += ((start_ns - end_ns) // _HOUR_NS + 1) * _HOUR_NS
    utc_ns = settings.clock.of(source.camera).utc_ns
    return Take(
        uri=source.uri,
        span=TimeRange(utc_ns(start_ns), utc_ns(end_ns)),
        zone=listed.zone,
        written_ns=source.mtime_ns,
        is_end_named=True,
    )


def _lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    shown = None
    for row in rows:
        if row["camera"] != shown:
            shown = row["camera"]
            span = f"{row['start']:%Y-%m-%d %H:%M}Z to {row['end']:%Y-%m-%d %H:%M}Z" if row[
                "start"] else "no time that anybody has stated"  # fmt: skip
            yield sanitized(f"{shown}: {files_in_words(row['num_files'])}, {span}")
            zone = row["zone"] or "none"
            correction = row["correction"] or "none"
            yield f"  clock: {row['clock']}; zone assumed: {zone}; correction: {correction}"
        if row["finding"]:
            at = f"{row['at']:%Y-%m-%d %H:%M}Z  " if row["at"] else ""
            yield f"  {at}{sanitized(row['finding'])}"
            if row["config"]:
                yield f"    {sanitized(row['config'])}"
        elif row["start"]:
            yield "  nothing speaks against this clock"
        else:
            yield "  there is no time to compare; put it into the names, or into sidecars"
