"""Search: every moment at which something is said, by its words or by its meaning."""

from typing import TypedDict, Unpack

import duckdb
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.index import duck, hits, vectors
from pipeline.index.filters import Names, Span, When
from pipeline.index.hits import SEARCHED, Hits, MomentOrder, Searched, Words
from pipeline.index.query import Index
from pipeline.index.vectors import Vectors

NEAREST = 20
_LOOK_AT_ONCE = 4


class Wanted(TypedDict, total=False):
    """Which moments count; what is left out, or None, does not matter."""

    camera: Names
    video: str | None
    table: Searched | None
    order_by: MomentOrder
    limit: int | None


def by_words(
    index: Index, asked: str, start: When = None, end: When = None, **wanted: Unpack[Wanted]
) -> pa.Table:
    """Every moment in ``[start, end)`` at which all the words occur, by BM25 over n-grams.

    A word counts wherever it is part of a text, in any language and case; words in double quotes
    count together. Columns: see ``hits.rows``.

    Raises:
        ConfigError: no words, or ``timereel[search]`` is not installed.
    """
    from pipeline.index.ngram_index import Sidecar  # noqa: PLC0415 - needs the extra `search`

    span = Span.parse(start, end)
    with duck.connect(index.store) as connection:
        words = Words.parse(connection, asked)
        if not words.each:
            raise ConfigError(f"search for {asked!r}: there is no word in it")
        sidecar = Sidecar.of(index.store)
        sidecar.refresh(index.store, connection, searched_files(index))
        return _best(connection, index, sidecar.find(words, span), words, span=span, wanted=wanted)


def by_meaning(
    index: Index,
    question: Vectors,
    embedder: str,
    start: When = None,
    end: When = None,
    **wanted: Unpack[Wanted],
) -> pa.Table:
    """The moments in ``[start, end)`` whose vectors are nearest to ``question`` [D].

    Every moment is near to some degree, so ``limit`` is NEAREST where none is given. The score is
    the cosine. Columns: see ``hits.rows``.

    Raises:
        ConfigError: the index has no vectors, or they are of another model.
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
    wanted: Wanted,
) -> pa.Table:
    """The best ``limit`` of the hits that count, or all of them."""
    cameras = index.cameras(wanted.get("camera"))
    sources = hits.sources(
        index, span, cameras, table=wanted.get("table"), video=wanted.get("video")
    )
    limit = wanted.get("limit")
    count = len(ranked.keys) if limit is None else _LOOK_AT_ONCE * max(limit, 1)
    # The row of a hit may be gone, or not be wanted: look further until there are enough.
    while True:
        found = hits.rows(connection, sources, ranked.best(count), words, limit=limit)
        if limit is None or found.num_rows >= limit or count >= len(ranked.keys):
            break
        count *= 10
    if wanted.get("order_by") == "time":
        found = found.sort_by([(name, "ascending") for name in ("start", "camera", "id")])
    return found


def forget(index: Index) -> None:
    """Remove the sidecar of ``by_words``; the next search builds it again."""
    from pipeline.index.ngram_index import Sidecar  # noqa: PLC0415 - needs the extra `search`

    Sidecar.of(index.store).forget()


def searched_files(index: Index) -> dict[str, Searched]:
    """The current files of everything that can be searched, with their table."""
    return {path: name for name in SEARCHED for path in index.files(name)}
