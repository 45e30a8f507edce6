"""``timereel minutes``: what one recording showed and said, each line with its time and page."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.options import ConfigOption, IndexOption, SetOption
from pipeline.cli.terminal import echo
from pipeline.errors import ConfigError
from pipeline.index import open_index
from pipeline.records.sanitize import sanitized

app = typer.Typer()

Form = Literal["md", "docx", "html", "json", "webvtt"]


@app.command()
def minutes(
    index_uri: IndexOption,
    video: Annotated[str, typer.Option("--video", help="Id, uri or file name of one video.")],
    form: Annotated[Form, typer.Option("--format", help="How they are written.")] = "md",
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Else they go to stdout.")
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Write minutes: chapters by the pages shown, sentences, figures, questions, decisions, tasks.

    All is quoted from what was said and shown, with its time in the file and the page on screen.
    With --config, or --set engine=..., its model also writes an agenda, a summary, decisions, tasks
    and open questions, each line with what it rests on; they are kept in the index.
    webvtt holds the chapters alone; query --table utterances --format webvtt writes what is said.
    """
    from pipeline.report.minutes import as_html, as_json, as_webvtt, read_meeting  # noqa: PLC0415
    from pipeline.report.minutes_docx import write_docx  # noqa: PLC0415
    from pipeline.report.minutes_markdown import as_markdown  # noqa: PLC0415
    from pipeline.storage.targets import staged  # noqa: PLC0415

    if form == "docx" and out is None:
        raise ConfigError("--format docx is no text for a terminal; name a file with --out")
    problem = _written(index_uri, video, config, overrides) if config or overrides else ""
    meeting = read_meeting(open_index(index_uri), video, problem=problem)
    write = {"md": as_markdown, "html": as_html, "json": as_json, "webvtt": as_webvtt}
    if out is None:
        sys.stdout.write(write[form](meeting))
        return
    with staged(out) as path:
        if form == "docx":
            write_docx(meeting, Path(path))
        else:
            path.write_text(write[form](meeting), encoding="utf-8")
    noted = meeting.minutes
    echo(
        sanitized(
            f"{out}: {len(noted.chapters)} chapters, {len(noted.notes)} notes,"
            f" {len(noted.told)} lines of a model, {noted.num_dropped} dropped"
        ),
        err=True,
    )


def _written(
    index_uri: str, video: str, config: Path | None, overrides: Sequence[str] | None
) -> str:
    """Let the model write what it has not written yet; why it has not, or ""."""
    from pipeline.config import load_config  # noqa: PLC0415 - quoting needs none of it
    from pipeline.flow.driver.minutes import write_minutes_of  # noqa: PLC0415
    from pipeline.processes.logs import configure_logs  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    if not settings.writes_summaries:
        raise ConfigError(
            f"engine.kind={settings.engine.kind}: is no model that writes; name one by --config or"
            " --set engine=..., as docs/engines.md shows, or leave both out"
        )
    configure_logs()
    return write_minutes_of(index_uri, video, settings)
