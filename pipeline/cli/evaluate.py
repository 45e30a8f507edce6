"""``timereel evaluate``: how good an index is, against a file that holds the truth."""

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from pipeline.cli.terminal import echo
from pipeline.errors import ConfigError
from pipeline.index import open_index
from pipeline.records.sanitize import sanitized

if TYPE_CHECKING:
    from pipeline.evaluation.matching import TimedEvent
    from pipeline.evaluation.scores import Footage
    from pipeline.report.scores import Figures

app = typer.Typer()

TruthFormat: TypeAlias = Literal[
    "timereel", "activitynet", "qvhighlights", "charades", "actev", "mot", "soccernet"
]
TableOption = Annotated[
    bool, typer.Option("--table", help="Truth and found side by side, instead of JSON.")
]


@app.command()
def evaluate(
    truth_file: Annotated[
        str,
        typer.Option(
            "--truth",
            metavar="FILE",
            help="JSON with the true events and the recorded files; feedback: what people said.",
        ),
    ],
    index_uri: Annotated[
        str | None, typer.Option("--index", help="Folder or URL of the index.")
    ] = None,
    found_file: Annotated[
        Path | None, typer.Option("--found", help="JSON with found events, instead of --index.")
    ] = None,
    sample_step_s: Annotated[
        float, typer.Option("--sample-step", metavar="S", min=0, help="Seconds between frames.")
    ] = 1.0,
    as_table: TableOption = False,  # noqa: FBT002 - Typer's form of a flag
    form: Annotated[
        TruthFormat, typer.Option("--truth-format", help="Of a benchmark, with --found.")
    ] = "timereel",
    file_index: Annotated[
        Path | None, typer.Option("--file-index", help="Of actev: the files and their frames.")
    ] = None,
    activity_index: Annotated[
        Path | None, typer.Option("--activity-index", help="Of actev: the activities.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="A B", help="Two fingerprints: is B better than A?"),
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="OUT", help="Also write a page with plots.")
    ] = None,
) -> None:
    """Score events against the truth; exit code 0 whatever the scores are."""
    from pipeline.evaluation import scores, truth  # noqa: PLC0415 - a query needs none of it

    write_page = partial(_write_page, html, index_uri, found_file, truth_file)
    if form != "timereel":
        if found_file is None or index_uri is not None:
            raise ConfigError(f"{form} compares two files: name --truth and --found")
        from pipeline.evaluation.benchmarks import score_files  # noqa: PLC0415

        figures = score_files(
            form,
            Path(truth_file),
            found_file,
            file_index=file_index,
            activity_index=activity_index,
        )
        write_page(figures)
        echo(json.dumps(figures, indent=1))
        return
    if compare is not None:
        figures = _compare(index_uri, truth_file, compare)
        write_page(figures)
        echo(json.dumps(figures, indent=1))
        return

    if truth_file == "feedback":
        true_events, found, footage = _reviewed(index_uri, found_file, sample_step_s)
        figures = scores.evaluate(true_events, found, footage)
        write_page(figures)
        _print(true_events, found, figures, as_table=as_table)
        return
    true_events, footage = truth.read_truth(Path(truth_file), sample_step_s=sample_step_s)
    match index_uri, found_file:
        case str(), None:
            found = truth.events_of_rows(open_index(index_uri).events(zone="none").to_pylist())
        case None, Path():
            found = truth.read_found(found_file)
        case _:
            raise ConfigError("name the found events with either --index or --found")
    figures = scores.evaluate(true_events, found, footage)
    write_page(figures)
    _print(true_events, found, figures, as_table=as_table)


def _write_page(
    out: str | None, index_uri: str | None, found_file: Path | None, truth: str, figures: "Figures"
) -> None:
    """Write the page of scores where one is asked for."""
    if out is None:
        return
    from pipeline.report.scores import page_of_scores  # noqa: PLC0415 - few want one
    from pipeline.storage.targets import staged  # noqa: PLC0415

    found = str(found_file or index_uri).rpartition("/")[2]  # no path of this machine
    page = page_of_scores(figures, truth=truth.rpartition("/")[2], found=found)
    with staged(out) as path:
        path.write_text(page, encoding="utf-8")


def _compare(
    index_uri: str | None, truth_file: str, fingerprints: tuple[str, str]
) -> dict[str, Any]:
    from pipeline.evaluation import comparison, reviewed, truth  # noqa: PLC0415

    if index_uri is None:
        raise ConfigError("--compare reads two answers of an index: name --index")
    index = open_index(index_uri)
    found = []
    reviews = index.reviews().to_pylist() if truth_file == "feedback" else []
    for fingerprint in fingerprints:
        rows = index.events(fingerprint=fingerprint, zone="none").to_pylist()
        if not rows and not index.videos(fingerprint=fingerprint).num_rows:
            raise ConfigError(
                f"{index_uri} has no answers of the fingerprint {fingerprint}; index --keep keeps"
                " several, and query --table videos --fingerprint all lists them"
            )
        if truth_file == "feedback":
            rows = reviewed.reviewed_events(rows, reviews)
        found.append(truth.events_of_rows(rows))
    if truth_file == "feedback":
        true_events, _ = reviewed.reviewed_truth(reviews, sample_step_s=1.0)
    else:
        true_events, _ = truth.read_truth(Path(truth_file), sample_step_s=1.0)
    return comparison.compare(true_events, *found)


def _reviewed(
    index_uri: str | None, found_file: Path | None, sample_step_s: float
) -> "tuple[list[TimedEvent], list[TimedEvent], Footage]":
    """The truth that people wrote into an index, and its events that they judged."""
    from pipeline.evaluation import reviewed, truth  # noqa: PLC0415

    if index_uri is None or found_file is not None:
        raise ConfigError("--truth feedback reads what people said about an index: name --index")
    index = open_index(index_uri)
    reviews = index.reviews().to_pylist()
    if not reviews:
        raise ConfigError(f"{index_uri} holds no feedback; review some of its events first")
    true_events, footage = reviewed.reviewed_truth(reviews, sample_step_s=sample_step_s)
    events = reviewed.reviewed_events(index.events().to_pylist(), reviews)
    without_fields = [{**event, "fields": ()} for event in events]  # people judge label and time
    return true_events, truth.events_of_rows(without_fields), footage


def _print(
    truth: "list[TimedEvent]",
    found: "list[TimedEvent]",
    figures: dict[str, Any],
    *,
    as_table: bool,
) -> None:
    from pipeline.evaluation.matching import side_by_side  # noqa: PLC0415

    if as_table:
        _print_table(side_by_side(truth, found), figures)
    else:
        echo(json.dumps(figures, indent=1))


def _print_table(
    pairs: "list[tuple[TimedEvent | None, TimedEvent | None]]", figures: dict[str, Any]
) -> None:
    from rich.box import SIMPLE  # noqa: PLC0415 - only people need it
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("camera", "event", "from", "to", "found", box=SIMPLE)
    for true, found in pairs:
        event = true or found
        if event is None:
            raise AssertionError("a pair has at least one side")
        off = "missed" if found is None else "invented"
        if true and found:
            off = f"{found.start_s - true.start_s:+.1f} {found.end_s - true.end_s:+.1f} s"
        what = " ".join([*(value for _, value in event.fields), event.label])
        cells = (event.group, what, _clock(event.start_s), _clock(event.end_s), off)
        table.add_row(*(Text(sanitized(cell)) for cell in cells))
    console = Console()
    console.print(table)
    console.print(
        "from, to: the truth's (of an invented event its own); found: how far off it begins and "
        f"ends.\n{figures['num_truth']} true events, {figures['num_found']} found: "
        f"event F1 {figures['event_f1']:.2f} (label right, overlap at least half), "
        f"recall {_figure(figures['event_recall'], '.2f')}, "
        f"mean start error {_figure(figures['identified_start_error_s'], '.1f')} s",
        highlight=False,
    )


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S.%f")[:-5]
