"""``timereel ask``: an answer in which each sentence names the rows on which it rests."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import (
    ConfigOption,
    FromOption,
    IndexOption,
    JsonOption,
    SetOption,
    ToOption,
)
from pipeline.cli.terminal import echo
from pipeline.errors import EXIT_INCOMPLETE, EXIT_OK, ConfigError
from pipeline.export.formats import to_json
from pipeline.index import open_index

if TYPE_CHECKING:
    from pipeline.agents.answers import Found
    from pipeline.agents.look import Look
    from pipeline.agents.question import Told

app = typer.Typer()

_SAID = {
    "unproven": "Rows were found, but no sentence of the answer rests on them.",
    "nothing_seen": "Nothing was found in the time that was looked at.",
    "not_analysed": "Not analysed: there is footage of that time, and nobody has looked at it.",
    "no_footage": "No footage: the index has no recording of that time.",
    "nothing_asked": "The model asked the index for no rows.",
}


@app.command()
def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION")],
    index_uri: IndexOption,
    config: ConfigOption = None,
    start: FromOption = None,
    end: ToOption = None,
    max_steps: Annotated[
        int, typer.Option("--max-steps", min=2, max=50, help="Requests to the model.")
    ] = 8,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="Of all requests and answers.")
    ] = 100_000,
    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="S", min=1, max=86_400, help="Seconds in all.")
    ] = 300.0,
    as_json: JsonOption = False,  # noqa: FBT002 - Typer's form of a flag
    overrides: SetOption = None,
) -> None:
    """Ask the configured model, which looks rows up; a sentence that rests on none is left out.

    Exit code 7: a limit was reached, or the model failed, before there was an answer.
    """
    from pipeline.agents.question import Limits, answer  # noqa: PLC0415 - a query needs none of it
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.engine import open_text_model  # noqa: PLC0415
    from pipeline.index.filters import Span  # noqa: PLC0415
    from pipeline.processes.logs import configure_logs  # noqa: PLC0415

    configure_logs()
    settings = load_config(config, tuple(overrides or ()))
    if not settings.writes_summaries:
        raise ConfigError(
            f"engine.kind={settings.engine.kind}: is no model that can be asked in words; name one"
            " by --config or --set engine=..., as docs/engines.md shows"
        )
    index, within = open_index(index_uri), Span.parse(start, end)
    limits = Limits(max_steps=max_steps, max_tokens=max_tokens, timeout_s=timeout_s)
    engine = open_text_model(settings)
    try:
        told = asyncio.run(answer(question, index, engine, limits, within=within))
    finally:
        engine.shutdown()
    echo(to_json(told.model_dump()) if as_json else _text(told))
    raise typer.Exit(EXIT_INCOMPLETE if told.state == "stopped" else EXIT_OK)


def _text(told: "Told") -> str:
    from pipeline.agents.look import rows_of  # noqa: PLC0415 - see above

    lines = [f"{one.text} [{', '.join(one.ids)}]" for one in told.sentences]
    if not lines:
        lines = [_SAID.get(told.state, f"There is no answer: {told.stopped}.")]
    rows = rows_of(told.looks)
    cited = dict.fromkeys(one for sentence in told.sentences for one in sentence.ids)
    lines += ["", *(f"[{row.id}] {_row(row)}" for one in cited for row in rows[one])]
    lines += [f"looked: {one.told}: {_found(one)}" for one in told.looks]
    if told.left_out:
        reasons = "; ".join(dict.fromkeys(one.reason for one in told.left_out))
        lines.append(f"{len(told.left_out)} sentences left out: {reasons}")
    return "\n".join(line.replace("\n", " ") for line in lines)


def _row(row: "Found") -> str:
    what = row.recorded
    return " ".join(filter(None, (what.camera, row.start, row.end, what.label, what.text)))


def _found(look: "Look") -> str:
    states = look.found.coverage_s.items()
    covered = ", ".join(f"{state.replace('_', ' ')} {s:g} s" for state, s in states)
    return f"{look.found.num_matching} rows; {covered}"
