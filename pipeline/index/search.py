"""Searches what was seen, said and shown on slides, by words or by meaning."""

from typing import TypedDict, Unpack

import duckdb
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.index import duck, hits, vectors
from pipeline.index.filters import Names, Span, When
from pipeline.index.hits import (
    SEARCHED,
    TABLES_WITHIN,
    HitOrder,
    Hits,
    SearchedTable,
    Within,
    Words,
)
from pipeline.index.query import Index
from pipeline.index.vectors import Vectors

NEAREST = 20
_HITS_PER_ROW = 4


class SearchOptions(TypedDict, total=False):
    """Which hits to return; an option that is missing or None has no effect."""

    camera: Names
    video: str | None
    table: SearchedTable | None
    within: Within | None
    """What was ``seen``, ``said`` or ``shown`` on slides; it names the tables."""
    speaker: Names
    """Only what these say."""
    order_by: HitOrder
    limit: int | None


def by_words(
    index: Index, query: str, start: When = None, end: When = None, **wanted: Unpack[SearchOptions]
) -> pa.Table:
    """Every row in ``[start, end)`` whose text contains all words, ranked by BM25.

    A word may be any part of a text, in any language and case; words in double quotes must occur
    together. Columns: see ``hits.rows``.

    Raises:
        ConfigError: the query has no words, ``timereel[search]`` is not installed, or no folder
            can be written that it needs.
    """
    from pipeline.index.ngram_index import Sidecar  # noqa: PLC0415 - needs the extra `search`

    span = Span.parse(start, end)
    with duck.connect(index.store) as connection:
        words = Words.parse(connection, query)
        if not words.words:
            raise ConfigError(f"search for {query!r}: it has no words; give at least one")
        sidecar = Sidecar.of(index.store)
        found = sidecar.search(index.store, connection, searched_files(index), words, span)
        return _best(connection, index, found, words, span=span, wanted=wanted)


def by_meaning(
    index: Index,
    question: Vectors,
    embedder: str,
    start: When = None,
    end: When = None,
    **wanted: Unpack[SearchOptions],
) -> pa.Table:
    """What was seen or said in ``[start, end)`` whose vectors are nearest to ``question`` [D].

    Every vector has some similarity, so without a ``limit`` it is NEAREST. The score is the cosine.
    Columns: see ``hits.rows``.

    Raises:
        ConfigError: the index has no vectors, or another model made them.
    """
    span, cameras = Span.parse(start, end), index.cameras(wanted.get("camera"))
    if wanted.get("limit") is None:
        wanted["limit"] = NEAREST
    with duck.connect(index.store) as connection:
        ranked = vectors.nearest(connection, index, question, embedder, span=span, cameras=cameras)
        return _best(connection, index, ranked, Words(()), span=span, wanted=wanted)


def _best(
    connection: duckdb.DuckDBPyConnection,
    index: Index,
    ranked: Hits,
    words: Words,
    *,
    span: Span,
    wanted: SearchOptions,
) -> pa.Table:
    """The best ``limit`` of the hits that still exist and are wanted, or all of them."""
    cameras = index.cameras(wanted.get("camera"))
    table, within = wanted.get("table"), wanted.get("within")
    speaker = wanted.get("speaker")
    if speaker and not within and not table:
        within = "said"
    tables = TABLES_WITHIN[within] if within else (table,) if table else SEARCHED
    sources = hits.sources(
        index, span, cameras, tables=tables, video=wanted.get("video"), speaker=speaker
    )
    limit = wanted.get("limit")
    count = len(ranked.keys) if limit is None else _HITS_PER_ROW * max(limit, 1)
    # A row may have been removed, or be unwanted: read more hits until there are enough rows.
    while True:
        rows = hits.rows(connection, sources, ranked.best(count), words, limit=limit)
        if limit is None or rows.num_rows >= limit or count >= len(ranked.keys):
            break
        count *= 10
    if wanted.get("order_by") == "time":
        rows = rows.sort_by([(name, "ascending") for name in ("start", "camera", "id")])
    return rows


def remove_sidecar(index: Index) -> None:
    """Remove the sidecar of ``by_words``; the next search builds it again."""
    from pipeline.index.ngram_index import Sidecar  # noqa: PLC0415 - needs the extra `search`

    Sidecar.of(index.store).remove()


def searched_files(index: Index) -> dict[str, SearchedTable]:
    """The current files of all searched tables: path to table."""
    return {path: name for name in SEARCHED for path in index.files(name)}
