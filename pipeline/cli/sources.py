"""The commands that say what timereel makes of footage before anything is decoded."""

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
import typer

from pipeline.cli.options import ConfigOption, FormatOption, SetOption, locations_of
from pipeline.cli.terminal import echo
from pipeline.errors import NoSourcesError
from pipeline.export.formats import each_row, write_rows
from pipeline.records.sanitize import sanitized

if TYPE_CHECKING:
    from pipeline.sources import Listing

app = typer.Typer()

_WIDTHS = {"status": 11, "camera": 16, "start": 24, "end": 24, "known_by": 17}

SrcArgument = Annotated[
    list[str] | None, typer.Argument(help="Files, folders, globs, URLs, list files.")
]


@app.command()
def sources(
    src: SrcArgument = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    form: FormatOption = "table",
) -> None:
    """List each file with camera, start, end and how they are known, or why it is passed over."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.sources import survey, survey_tables  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    locations = locations_of(src, settings)
    listing = survey(locations, settings.naming(locations).listed_sources)
    parts = survey_tables(listing)
    if form not in ("table", "jsonl"):
        parts = iter([pa.concat_tables(parts)])
    for rows in parts:
        if form == "table":
            for row in each_row(rows):
                echo(_line(row))
        else:
            write_rows(rows, form, sys.stdout.buffer)
    for line in _summary(listing, settings.sources.timezone):
        echo(sanitized(line), err=True)
    if not listing.videos:
        raise NoSourcesError(f"no videos in {', '.join(locations)}: check the path or the glob")


def _line(row: dict[str, Any]) -> str:
    """One file on one line; an archive has too many of them for a drawn table."""
    cells = [_cell(row[name]).ljust(width) for name, width in _WIDTHS.items()]
    reason = f"  ({_cell(row['reason'])})" if row["reason"] else ""
    return "  ".join([*cells, _cell(row["uri"])]) + reason


def _cell(value: datetime | str | None) -> str:
    if isinstance(value, datetime):
        return value.isoformat(" ", "milliseconds") + "Z"
    return sanitized(value or "")


def _summary(listing: "Listing", timezone: str) -> Iterator[str]:
    """What was taken, and why; the zone of local times; what was passed over."""
    for row in sorted(listing.videos.by_template(), key=lambda row: not row["rule"]):
        files = files_in_words(row["num"])
        if row["rule"]:
            yield f"{row['rule']}: {files} by {row['template']}, such as {row['uri']}"
        else:
            yield f"no profile: {files} with neither camera nor time in the path"
    if alone := listing.videos.num_with("camera_by", "file name"):
        named = files_in_words(alone)
        yield f"a camera of its own: {named}, since nothing names one; set sources.camera"
    if listing.videos.num_with("clock", "path"):
        yield f"zone of times that name none: {timezone} (sources.timezone), or that of a profile"
    kinds = Counter(other.reason.partition(": ")[0] for other in listing.passed_over)
    for reason, number in kinds.most_common():
        yield f"passed over: {files_in_words(number)}: {reason}"


def files_in_words(number: int) -> str:
    """Such as 1 file, or 1,200 files."""
    return "1 file" if number == 1 else f"{number:,} files"
