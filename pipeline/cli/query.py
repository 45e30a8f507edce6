"""The commands that query an index. They import only what a query needs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import (
    CameraOption,
    FormatOption,
    FromOption,
    IndexOption,
    SetOption,
    ToOption,
)
from pipeline.cli.terminal import echo, skipped_cameras
from pipeline.errors import ConfigError
from pipeline.export.formats import write_rows
from pipeline.index import Order, QueryOptions, list_runs, open_index
from pipeline.index.coverage import Kind
from pipeline.index.hits import HitOrder, SearchedTable, Within
from pipeline.index.query_filters import MAX_LIMIT
from pipeline.tables.schema import AskedTable

if TYPE_CHECKING:
    from pipeline.engine.embed import Embedder

app = typer.Typer()

VideoOption = Annotated[
    str | None, typer.Option("--video", help="Id, uri or file name of one video.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=0, max=MAX_LIMIT, help="Maximum number of rows.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML run configuration; its section embedding.")
]
SemanticOption = Annotated[
    bool, typer.Option("--semantic", help="Search by meaning: the nearest 20, or --limit.")
]
SpeakerOption = Annotated[
    list[str] | None, typer.Option("--speaker", help="Only what this speaker says; repeatable.")
]
Seconds = Annotated[float | None, typer.Option(metavar="S", min=0, help="Seconds.")]


@app.command()
def query(
    index_uri: IndexOption,
    start: FromOption = None,
    end: ToOption = None,
    camera: CameraOption = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="May be repeated.")] = None,
    zone: Annotated[
        list[str] | None,
        typer.Option("--zone", help="Only events of a zone; none: only what an engine saw."),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Substring, in any language and case.")
    ] = None,
    video: VideoOption = None,
    speaker: SpeakerOption = None,
    level: Annotated[
        str | None, typer.Option("--level", help="chapter, video or day of summaries.")
    ] = None,
    min_confidence: Annotated[
        float | None, typer.Option("--min-confidence", help="Leaves out rows without one.")
    ] = None,
    min_duration: Seconds = None,
    max_duration: Seconds = None,
    table: Annotated[AskedTable, typer.Option("--table", help="What to list.")] = "events",
    order_by: Annotated[Order, typer.Option("--order-by", help="Ascending.")] = "time",
    descending: Annotated[bool, typer.Option("--desc", help="Descending.")] = False,  # noqa: FBT002
    review: Annotated[
        list[str] | None,
        typer.Option(
            "--review",
            help="Only events that are open, confirmed, rejected or corrected by people.",
        ),
    ] = None,
    limit: LimitOption = None,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", help="A fingerprint, or all; default: newest per video."),
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option(
            "--sql", help="One SELECT over events, tracks, segments, utterances, slides ..."
        ),
    ] = None,
    pages: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--pages", help="Of utterances: also the page on screen, and the one spoken of."
        ),
    ] = False,
    edit: Annotated[
        str | None,
        typer.Option("--edit", metavar="FILE", help="Rows as an edit list: .otio or .edl."),
    ] = None,
    form: FormatOption = "table",
) -> None:
    """List what happened in a wall-clock range: all rows that overlap the range."""
    index = open_index(index_uri)
    filters: QueryOptions = {
        "camera": camera,
        "label": label,
        "zone": zone,
        "text": text,
        "video": video,
        "speaker": speaker,
        "level": level,
        "min_confidence": min_confidence,
        "min_duration_s": min_duration,
        "max_duration_s": max_duration,
        "review": review,
        "limit": limit,
        "fingerprint": fingerprint,
    }
    if sql is None:
        filters |= {"order_by": order_by, "descending": descending}
        rows = index.rows(table, start, end, **filters)
    elif any(value is not None for value in (start, end, *filters.values())):
        raise ConfigError(
            "--sql cannot be combined with filters; put range, camera and limit into the SELECT"
        )
    else:
        rows = index.sql(sql)
    if pages:
        if sql is not None or table != "utterances":
            raise ConfigError("--pages: pages belong to what is said; add --table utterances")
        from pipeline.meetings.pages import with_pages  # noqa: PLC0415 - few queries need it

        rows = with_pages(index, rows)
    if edit is None:
        write_rows(rows, form, sys.stdout.buffer)
        return
    from pipeline.clips.edit_list import write_edit_list  # noqa: PLC0415 - most queries need none
    from pipeline.clips.plan import cuts_around  # noqa: PLC0415

    cuts = cuts_around(index, rows.to_pylist(), 0)
    write_edit_list(edit, cuts)
    echo(f"{len(cuts)} cuts in {edit}", err=True)


@app.command()
def coverage(
    index_uri: IndexOption,
    start: FromOption = None,
    end: ToOption = None,
    camera: CameraOption = None,
    kind: Annotated[
        Kind | None, typer.Option("--kind", help="What was seen, or heard; else either of them.")
    ] = None,
    form: FormatOption = "table",
) -> None:
    """Show what is known about each time: analysed, quiet, failed, no footage and so on."""
    states = open_index(index_uri).coverage(start, end, camera=camera, kind=kind)
    write_rows(states, form, sys.stdout.buffer)


@app.command()
def runs(index_uri: IndexOption, limit: LimitOption = None, form: FormatOption = "table") -> None:
    """List runs, newest first: running, done, incomplete, budget, interrupted or lost."""
    rows = list_runs(open_index(index_uri))
    write_rows(rows if limit is None else rows.slice(0, limit), form, sys.stdout.buffer)


@app.command()
def search(
    words: Annotated[str, typer.Argument(help='Words, or a "phrase in quotes".')],
    index_uri: IndexOption,
    start: FromOption = None,
    end: ToOption = None,
    camera: CameraOption = None,
    video: VideoOption = None,
    table: Annotated[
        SearchedTable | None, typer.Option("--table", help="Only the rows of this table.")
    ] = None,
    within: Annotated[
        Within | None, typer.Option("--in", help="Only what was seen, said, or shown on slides.")
    ] = None,
    speaker: SpeakerOption = None,
    order_by: Annotated[
        HitOrder, typer.Option("--order-by", help="Order of the best hits.")
    ] = "score",
    limit: LimitOption = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Read all texts again.")] = False,  # noqa: FBT002
    semantic: SemanticOption = False,  # noqa: FBT002
    config: ConfigOption = None,
    overrides: SetOption = None,
    form: FormatOption = "table",
) -> None:
    """Find every moment at which the words occur: wall clock, file, time in the file, text."""
    from pipeline.index import search as search_index  # noqa: PLC0415

    index = open_index(index_uri)
    filters: search_index.SearchOptions = {
        "camera": camera,
        "video": video,
        "table": table,
        "within": within,
        "speaker": speaker,
        "order_by": order_by,
        "limit": limit,
    }
    if semantic:
        embedder = _embedder(config, overrides)
        vector = embedder.question(words)
        rows = search_index.by_meaning(index, vector, embedder.name, start, end, **filters)
    else:
        if rebuild:
            search_index.remove_sidecar(index)
        rows = search_index.by_words(index, words, start, end, **filters)
    write_rows(rows, form, sys.stdout.buffer)


@app.command()
def embed(index_uri: IndexOption, config: ConfigOption = None, overrides: SetOption = None) -> None:
    """Make the vectors for search --semantic, for all texts that have none yet."""
    from pipeline.flow.driver.embed import embed_index  # noqa: PLC0415

    embedder = _embedder(config, overrides)
    done = embed_index(index_uri, embedder.texts, embedder.name)
    for run in done.others:
        echo(skipped_cameras(run, "making vectors for"), err=True)
    echo(f"{done.num_vectors} vectors made", err=True)


def _embedder(config: Path | None, overrides: list[str] | None) -> "Embedder":
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.engine.embed import open_embedder  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ())).embedding
    if settings is None:
        raise ConfigError(
            "nothing makes vectors: set embedding.kind=local, or embedding.base_url and "
            "embedding.model of an endpoint"
        )
    return open_embedder(settings)
