"""Search: every moment at which something is said, by its words or by its meaning."""

from typing import TypedDict, Unpack

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.index import duck, moments, questions
from pipeline.index.filters import Cameras, Names, Span, When, Where
from pipeline.index.moments import SEARCHED, MomentOrder, Searched, Words
from pipeline.index.query import Index

# The text of a whole video or day says again what its windows say, without the moment.
_MOMENTS = "level NOT IN ('video', 'day')"


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
    count together. Columns: see ``moments.rows``.

    Raises:
        ConfigError: no words, or ``timereel[search]`` is not installed.
    """
    from pipeline.index.grams import Sidecar  # noqa: PLC0415 - needs the extra `search`

    span = Span.parse(start, end)
    with duck.connect(index.store) as connection:
        words = Words.parse(connection, asked)
        if not words.each:
            raise ConfigError(f"search for {asked!r}: there is no word in it")
        sidecar = Sidecar.of(index.store)
        sidecar.refresh(index.store, connection, searched_files(index))
        sources = _sources(index, span, wanted)
        return moments.rows(
            connection,
            sources,
            sidecar.find(words, span),
            words,
            order_by=wanted.get("order_by", "score"),
            limit=wanted.get("limit"),
        )


def searched_files(index: Index) -> dict[str, Searched]:
    """The current files of everything that can be searched, with their table."""
    return {path: name for name in SEARCHED for path in index.files(name)}


def _sources(index: Index, span: Span, wanted: Wanted) -> dict[Searched, tuple[str, Where]]:
    cameras = Cameras.parse(wanted.get("camera"))
    only = wanted.get("table")
    sources = {}
    for name in SEARCHED if only is None else (only,):
        where = questions.conditions(name, {"video": wanted.get("video")})
        where = where.also(Where().overlaps(span).of(cameras))
        if name == "segments":
            where.add(_MOMENTS)
        sources[name] = index.source(name, span, cameras), where
    return sources
