"""Search hits: the rows of several tables, best first, with their matches marked.

The search index only names rows. Everything that a hit shows is read from the tables, so a row that
was removed or has changed since is never shown.
"""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias, get_args

import duckdb
import pyarrow as pa

from pipeline.index import duck, query_filters
from pipeline.index.filters import ALL, ALWAYS, Cameras, Names, Span, Where
from pipeline.index.query import Index
from pipeline.index.replace import on_dates
from pipeline.index.validate import ID_COLUMN
from pipeline.timebase import NS_PER_US, ns_to_datetime

SearchedTable = Literal["events", "segments", "utterances", "slides"]
SEARCHED: tuple[SearchedTable, ...] = get_args(SearchedTable)
Within = Literal["seen", "said", "shown"]
TABLES_WITHIN: dict[Within, tuple[SearchedTable, ...]] = {
    "seen": ("events", "segments"),
    "said": ("utterances",),
    "shown": ("slides",),
}
HitOrder = Literal["score", "time"]
Sources: TypeAlias = Mapping[SearchedTable, tuple[str, Where]]
"""By table: what to select from, and which rows of it count."""

# The whole text of a row: it is searched, and the excerpt is cut from it.
ROW_TEXT: dict[SearchedTable, str] = {
    "events": (
        "concat_ws(' | ', nullif(replace(label, '_', ' '), ''), nullif(text, ''), "
        "nullif(array_to_string(map_values(fields), ' | '), ''))"
    ),
    "segments": "text",
    "utterances": "text",
    "slides": "concat_ws(chr(10), nullif(text, ''), nullif(deck_text, ''))",
}
# Two 64-bit keys of a row. CONTENT_KEY also depends on the text, and is the same in every version
# of DuckDB. ROW_KEY takes a fortieth of its time.
CONTENT_KEY = {
    name: (
        f"(md5_number_lower(concat_ws(chr(31), '{name}', task, fingerprint, {ID_COLUMN[name]}, "
        f"{ROW_TEXT[name]})) >> 1)"
    )
    for name in SEARCHED
}
ROW_KEY = {name: f"hash('{name}', task, fingerprint, {ID_COLUMN[name]})" for name in SEARCHED}
# The summary of a video or day repeats texts of its windows without their time.
_HAS_MOMENT = "level NOT IN ('video', 'day')"
_LABEL: dict[SearchedTable, str] = {
    "events": "label",
    "segments": "level",
    "utterances": "speaker",
    "slides": "'page ' || coalesce(deck_page, page)",
}
_COLUMNS = (
    'date, camera, "start", "end", media_start, media_end, uri, text, video_id, task, model, '
    "fingerprint"
)
_DAY_US = 86_400_000_000
_DAY_NS = _DAY_US * NS_PER_US
_EXCERPT_CHARS = 160
_CHARS_BEFORE = 50


@dataclass(frozen=True, slots=True)
class Hits:
    """Rows and their scores; position ``i`` of each field is hit ``i``, the best first."""

    key_of: Mapping[SearchedTable, str]
    """The SQL of ``keys`` by table: ROW_KEY or CONTENT_KEY."""
    keys: Sequence[int] = ()
    scores: Sequence[float] = ()
    starts_us: Sequence[int] = ()

    def best(self, count: int) -> "Hits":
        """The first ``count`` hits."""
        return Hits(self.key_of, self.keys[:count], self.scores[:count], self.starts_us[:count])

    @property
    def dates(self) -> set[date]:
        """UTC dates on which the hits start."""
        return {
            ns_to_datetime(day * _DAY_NS).date() for day in {us // _DAY_US for us in self.starts_us}
        }


@dataclass(frozen=True, slots=True)
class Words:
    """Words that a text must contain, ignoring case; in lower case, none of them empty."""

    words: tuple[str, ...]

    @classmethod
    def parse(cls, connection: duckdb.DuckDBPyConnection, text: str) -> "Words":
        """Split a query at spaces; ``"quoted words"`` stay together.

        DuckDB folds the case of the query and of the rows, so both agree in every script.
        """
        words = [quoted or word for quoted, word in re.findall(r'"([^"]+)"|([^\s"]+)', text)]
        folded = connection.execute("SELECT lower(trim(unnest(?::VARCHAR[])))", [words]).fetchall()
        return cls(tuple(dict.fromkeys(word for (word,) in folded if word)))


def sources(
    index: Index,
    span: Span = ALWAYS,
    cameras: Cameras = ALL,
    *,
    tables: Sequence[SearchedTable] = SEARCHED,
    video: str | None = None,
    speaker: Names = None,
) -> Sources:
    """By table, the files that may hold rows of a range, and the conditions for its rows."""
    sources = {}
    for name in tables:
        options: query_filters.QueryOptions = {"video": video, "speaker": speaker}
        where = query_filters.conditions(name, options).overlaps(span).of(cameras)
        if name == "segments":
            where.add(_HAS_MOMENT)
        sources[name] = index.source(name, span, cameras), where
    return sources


def text_select(sources: Sources, key_of: Mapping[SearchedTable, str], more: str = "true") -> str:
    """One SELECT over all ``sources``, with the key of each row and its text as ``said``."""
    parts = [
        f"""SELECT '{name}' AS "table", {_LABEL[name]} AS kind, {ID_COLUMN[name]} AS id,
            {ROW_TEXT[name]} AS said, {key_of[name]} AS key, {_COLUMNS}
        FROM {source} WHERE {where.sql} AND {more.format(key=key_of[name])}"""
        for name, (source, where) in sources.items()
    ]
    return " UNION ALL ".join(parts)


def rows(
    connection: duckdb.DuckDBPyConnection,
    sources: Sources,
    hits: Hits,
    words: Words,
    *,
    limit: int | None = None,
) -> pa.Table:
    """Hits among the rows of ``sources`` whose text contains all words, the best first.

    Columns score, table, camera, start, end, label, excerpt, media_start, media_end, uri, text,
    id, video_id, task, model, fingerprint. ``excerpt`` is the part of the text around the first
    match, each match between ``**``.
    """
    # Both conditions apply before any other column is read: files of other dates are not opened.
    only = f"{on_dates(hits.dates)} AND {{key}} IN (SELECT key FROM hits)" if hits.keys else "false"
    verified = Where()
    for word in words.words:
        verified.add("contains(lower(said), ?)", word)
    first = f"greatest(1, {_first_match(words)} - {_CHARS_BEFORE})"
    sql = f"""
        WITH hits AS (SELECT unnest(?::UBIGINT[]) AS key, unnest(?::DOUBLE[]) AS score),
        said AS ({text_select(sources, hits.key_of, only)}),
        cut AS (SELECT *, {first} AS cut_at FROM said JOIN hits USING (key) WHERE {verified.sql})
        SELECT score, "table", camera, "start", "end", kind AS label,
            {_marked(words)} AS excerpt,
            media_start, media_end, uri, text, id, video_id, task, model, fingerprint
        FROM cut ORDER BY score DESC, "start", camera, id {query_filters.limited(limit)}"""
    source_values = [value for _, where in sources.values() for value in where.values]
    values = [list(hits.keys), list(hits.scores), *source_values, *verified.values]
    return duck.fetch(connection, sql, Where(values=values))


def _first_match(words: Words) -> str:
    if not words.words:
        return "1"
    return f"least({', '.join(f'strpos(lower(said), {duck.quote(w)})' for w in words.words)})"


def _marked(words: Words) -> str:
    cut = f"replace(substr(said, cut_at, {_EXCERPT_CHARS}), chr(10), ' ')"
    if words.words:
        longest_first = sorted(words.words, key=len, reverse=True)
        pattern = duck.quote(f"({'|'.join(map(re.escape, longest_first))})")
        cut = f"regexp_replace({cut}, {pattern}, '**\\1**', 'gi')"
    return (
        f"if(cut_at > 1, '\u2026', '') || {cut} || "
        f"if(length(said) >= cut_at + {_EXCERPT_CHARS}, '\u2026', '')"
    )
