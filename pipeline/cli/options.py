"""The command-line options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.export.formats import Format

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
