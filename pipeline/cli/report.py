"""``timereel report``: a period as one HTML file that opens anywhere and prints."""

from functools import partial
from typing import Annotated

import typer

from pipeline.cli.options import (
    CameraOption,
    ConfigOption,
    FromOption,
    IndexOption,
    SetOption,
    ToOption,
)
from pipeline.cli.terminal import echo
from pipeline.index import open_index
from pipeline.records.sanitize import sanitized
from pipeline.report.words import Language

app = typer.Typer()


@app.command()
def report(
    out: Annotated[str, typer.Argument(help="The HTML file to write; may be in a bucket.")],
    index_uri: IndexOption,
    start: FromOption = None,
    end: ToOption = None,
    camera: CameraOption = None,
    language: Annotated[Language, typer.Option("--lang", help="Of the words on the page.")] = "en",
    max_bytes: Annotated[
        int, typer.Option("--max-bytes", min=100_000, help="Size that pictures may fill it to.")
    ] = 5_000_000,
    picture_s: Annotated[
        float,
        typer.Option("--picture-s", min=0, help="Seconds to make pictures that were not kept."),
    ] = 20.0,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Write a report: figures, timelines, events with pictures, chapters, and what failed."""
    from pipeline.clips.picture import made_pictures  # noqa: PLC0415
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.report.content import read_report  # noqa: PLC0415 - a query needs none of it
    from pipeline.report.pictures import candidates  # noqa: PLC0415
    from pipeline.report.render import page_within  # noqa: PLC0415
    from pipeline.storage.targets import staged  # noqa: PLC0415

    index = open_index(index_uri)
    content = read_report(index, start, end, camera)
    name = index.store.root.rpartition("/")[2]
    settings = load_config(config, tuple(overrides or ()))
    make = partial(
        made_pictures,
        index,
        decode=settings.decode,
        access=settings.sources.access,
        for_s=picture_s,
    )
    pictures = candidates(index, content.events, make)
    page, num = page_within(content, pictures, max_bytes, name=name, language=language)
    with staged(out) as path:
        path.write_text(page, encoding="utf-8")
    echo(sanitized(f"{out}: {len(page.encode()):,} bytes, {num} pictures"), err=True)
