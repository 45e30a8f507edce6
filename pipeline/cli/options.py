"""The command-line options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import ConfigError, NoSourcesError, SourceError
from pipeline.export.formats import Format

if TYPE_CHECKING:
    from pipeline.config import Config, SourcesConfig
    from pipeline.index import Index
    from pipeline.records import Source

IndexOption = Annotated[str, typer.Option("--index", help="Folder or URL of the index.")]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="T", help="ISO 8601; without a zone: UTC.")
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="T", help="Exclusive end.")]
CameraOption = Annotated[
    list[str] | None, typer.Option("--camera", help="Camera, or a glob; may be repeated.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="YAML run configuration; without it the engine needs no model."),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How rows are written.")]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="T", help="Only files modified since a time, or an age such as 2h."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def locations_of(src: Sequence[str] | None, settings: "Config") -> Sequence[str]:
    """The sources of the command line, else those of the config.

    Raises:
        ConfigError: neither names any.
    """
    if locations := src or settings.sources.locations:
        return locations
    raise ConfigError("no sources: name them, or set sources.locations in the config")


def one_source(file: str, settings: "SourcesConfig") -> "Source":
    """The one video that a user names.

    Raises:
        ConfigError: there are several.
        SourceError: it cannot be used.
    """
    from pipeline.sources import list_sources  # noqa: PLC0415 - a query lists none

    [source, *others] = list_sources([file], settings)
    if others:
        raise ConfigError(f"{file}: name one video, not {len(others) + 1}")
    if source.problem:
        raise SourceError(f"{file}: {source.problem}")
    return source


def event_of(index: "Index", event_id: str) -> dict[str, Any]:
    """The row of an event.

    Raises:
        NoSourcesError: there is none with this id.
    """
    if (event := index.event(event_id)) is None:
        raise NoSourcesError(
            f"no event {event_id}; timereel query --format jsonl lists their event_id"
        )
    return event
