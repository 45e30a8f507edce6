"""``timereel report``: a period as one HTML file that opens anywhere and prints."""

from typing import Annotated

import typer

from pipeline.cli.options import CameraOption, FromOption, IndexOption, ToOption
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
) -> None:
    """Write a report: figures, timelines, events with pictures, chapters, and what failed."""
    from pipeline.report.content import read_report  # noqa: PLC0415 - a query needs none of it
    from pipeline.report.pictures import candidates  # noqa: PLC0415
    from pipeline.report.render import page_within  # noqa: PLC0415
    from pipeline.storage.targets import staged  # noqa: PLC0415

    index = open_index(index_uri)
    content = read_report(index, start, end, camera)
    name = index.store.root.rpartition("/")[2]
    pictures = candidates(index, content.events)
    page, num = page_within(content, pictures, max_bytes, name=name, language=language)
    with staged(out) as path:
        path.write_text(page, encoding="utf-8")
    echo(sanitized(f"{out}: {len(page.encode()):,} bytes, {num} pictures"), err=True)
