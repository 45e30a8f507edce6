"""``timereel track``: where one object was, as one HTML file."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import ConfigOption, IndexOption, SetOption, event_of
from pipeline.cli.terminal import echo
from pipeline.errors import ConfigError, NoSourcesError, SourceError, UnreachableError
from pipeline.index import open_index
from pipeline.records.sanitize import sanitized

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.index import Index

app = typer.Typer()


@app.command()
def track(
    out: Annotated[str, typer.Argument(help="The HTML file to write; may be in a bucket.")],
    index_uri: IndexOption,
    event_id: Annotated[str, typer.Option("--event", help="Id of an event with boxes.")],
    num_pictures: Annotated[
        int, typer.Option("--pictures", min=1, max=48, help="Spread evenly over its time.")
    ] = 8,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Write what is known of one object: its times, places, pictures, zones and its drawn path."""
    from pipeline.clips.picture import picture_size  # noqa: PLC0415 - a query needs none of it
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.report.track import Shown, evenly, page_of_track  # noqa: PLC0415
    from pipeline.storage.targets import staged  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    index = open_index(index_uri)
    event = event_of(index, event_id)
    if event["of_event_id"]:  # what a zone tells of an object: the object is meant
        event = index.event(event["of_event_id"]) or event
    size = picture_size(index, event)
    if not event["boxes"] or size is None:
        raise ConfigError(
            f"event {event_id} has no boxes; an event of the detector or of a task with boxes has"
        )
    moments = [box["at"] for box in evenly(event["boxes"], num_pictures)]
    pictures = [Shown(at=at, webp=webp) for at, webp in _pictures(index, event, moments, settings)]
    told = [
        row
        for row in index.events(event["start"], event["end"], camera=event["camera"]).to_pylist()
        if row["of_event_id"] == event["event_id"]
    ]
    zones = settings.zones_of(event["camera"])
    page = page_of_track(event, size, pictures, told, zones)
    with staged(out) as path:
        path.write_text(page, encoding="utf-8")
    echo(sanitized(f"{out}: {len(event['boxes'])} places, {len(pictures)} pictures"), err=True)


def _pictures(
    index: "Index",
    event: dict[str, Any],
    moments: list[datetime],
    settings: "Config",
) -> list[tuple[datetime, bytes]]:
    """The pictures of these moments; the one that was kept where there is no recording any more."""
    from pipeline.clips.picture import picture_at, picture_of  # noqa: PLC0415
    from pipeline.timebase import datetime_to_ns  # noqa: PLC0415

    decode, access = settings.decode, settings.sources.access
    try:
        return [
            (at, picture_at(index, event, datetime_to_ns(at), decode=decode, access=access).webp)
            for at in moments
        ]
    except (NoSourcesError, SourceError, UnreachableError) as exc:
        echo(sanitized(f"no pictures from the recording: {exc}"), err=True)
    try:
        kept = picture_of(index, event, decode=decode, access=access)
    except (NoSourcesError, SourceError, UnreachableError):
        return []
    return [(kept.at, kept.webp)]
