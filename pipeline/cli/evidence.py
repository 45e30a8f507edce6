"""``timereel evidence``: the picture of an event."""

from typing import Annotated

import typer

from pipeline.cli.options import ConfigOption, IndexOption, SetOption, event_of
from pipeline.cli.terminal import echo
from pipeline.index import open_index
from pipeline.records.sanitize import sanitized

app = typer.Typer()


@app.command()
def evidence(
    out: Annotated[str, typer.Argument(help="The WebP file to write; may be in a bucket.")],
    index_uri: IndexOption,
    event_id: Annotated[str, typer.Option("--event", help="Id of the event.")],
    boxes: Annotated[bool, typer.Option("--boxes", help="Draw its boxes into the file.")] = False,  # noqa: FBT002
    zones: Annotated[bool, typer.Option("--zones", help="Draw zones of --config, too.")] = False,  # noqa: FBT002
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Write the picture of an event: the one that was kept, or a new one from the recording."""
    from pipeline.clips.picture import picture_of, with_boxes, with_zones  # noqa: PLC0415
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.storage.targets import staged  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    index = open_index(index_uri)
    event = event_of(index, event_id)
    picture = picture_of(index, event, decode=settings.decode, access=settings.sources.access)
    webp = with_boxes(index, event, picture) if boxes else picture.webp
    if zones:
        webp = with_zones(webp, settings.zones_of(event["camera"]).values())
    with staged(out) as path:
        path.write_bytes(webp)
    source = "as the engine was shown it" if picture.is_kept else "from the recording"
    at = picture.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    echo(sanitized(f"{out}: {event['camera']} at {at}, {source}"), err=True)
