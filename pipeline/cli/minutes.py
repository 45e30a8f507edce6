"""``timereel minutes``: what one recording showed and said, each line with its time and page."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli.options import ConfigOption, IndexOption, SetOption
from pipeline.cli.terminal import echo
from pipeline.errors import EXIT_OK, ConfigError, SummaryError
from pipeline.index import open_index
from pipeline.records import RunFigures
from pipeline.records.sanitize import sanitized
from pipeline.records.speech import HEARD

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.meetings.recording import Recording

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
    from pipeline.meetings.recording import read_recording  # noqa: PLC0415
    from pipeline.meetings.written import stored_minutes  # noqa: PLC0415
    from pipeline.processes.logs import configure_logs  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    if not settings.writes_summaries:
        raise ConfigError(
            f"engine.kind={settings.engine.kind}: is no model that writes; name one by --config or"
            " --set engine=..., as docs/engines.md shows, or leave both out"
        )
    configure_logs()
    index = open_index(index_uri)
    recording = read_recording(index, video)
    written = stored_minutes(index, recording)
    if written and written.is_by(settings):
        return ""
    return _as_a_run(index_uri, recording, settings)


def _as_a_run(index_uri: str, recording: "Recording", settings: "Config") -> str:
    """Write them while nobody else does, so that an order to erase holds for them; as above."""
    from pipeline.engine import open_text_model  # noqa: PLC0415 - see above
    from pipeline.flow.driver.run_identity import new_run  # noqa: PLC0415
    from pipeline.index import Writer, apply_orders  # noqa: PLC0415
    from pipeline.index.lease import take_lease  # noqa: PLC0415
    from pipeline.meetings.written import write  # noqa: PLC0415
    from pipeline.minutes import Writing  # noqa: PLC0415

    writer, done = Writer(index_uri), Writing()
    run = new_run(HEARD, settings.summaries_fingerprint, "summarize")
    with take_lease(
        writer.store,
        run,
        {recording.rows[0]["camera"]},
        figures=lambda: RunFigures(
            num_prompt_tokens=done.num_prompt_tokens, num_output_tokens=done.num_output_tokens
        ),
    ) as lease:
        if lease.others:
            lease.end("done", EXIT_OK)
            return f"run {lease.others[0].run_id} writes minutes of this camera now"
        engine = open_text_model(settings)
        problem = ""
        try:
            done = write(writer.leased(lease.confirm), recording, settings, engine)
        except SummaryError as exc:
            problem = str(exc)
        finally:
            engine.shutdown()
        lease.end("done", EXIT_OK, problem)
    apply_orders(writer.open())
    return problem
