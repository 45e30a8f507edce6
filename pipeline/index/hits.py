"""Moments that a search has hit: rows of events and segments, best first, matches marked.

Whatever found them is only asked which rows; everything that is shown comes from the tables, so a
row that is gone or has changed since never comes up.
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
from pipeline.index.filters import ALL, ALWAYS, Cameras, Span, Where
from pipeline.index.query import Index
from pipeline.index.replace import on_dates
from pipeline.index.validate import ID_COLUMN
from pipeline.timebase import NS_PER_US, ns_to_datetime

Searched = Literal["events", "segments"]
SEARCHED: tuple[Searched, ...] = get_args(Searched)
MomentOrder = Literal["score", "time"]
Sources: TypeAlias = Mapping[Searched, tuple[str, Where]]
"""By table: what to select from, and which rows of it count."""

# All that a row says; what is searched and what the excerpt is cut from.
SAID: dict[Searched, str] = {
    "events": (
        "concat_ws(' | ', nullif(replace(label, '_', ' '), ''), nullif(text, ''), "
        "nullif(array_to_string(map_values(fields), ' | '), ''))"
    ),
    "segments": "text",
}
# Two names of a row in 64 bits. CONTENT_KEY is also of what it says, and the same in every version
# of DuckDB; ROW_KEY costs a fortieth.
CONTENT_KEY = {
    name: (
        f"(md5_number_lower(concat_ws(chr(31), '{name}', task, fingerprint, {ID_COLUMN[name]}, "
        f"{SAID[name]})) >> 1)"
    )
    for name in SEARCHED
}
ROW_KEY = {name: f"hash('{name}', task, fingerprint, {ID_COLUMN[name]})" for name in SEARCHED}
# The text of a whole video or day says again what its windows say, without the moment.
_MOMENTS = "level NOT IN ('video', 'day')"
_LABEL: dict[Searched, str] = {"events": "label", "segments": "level"}
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
    """Rows and how well each matches; position ``i`` of each is hit ``i``, the best first."""

    key_of: Mapping[Searched, str]
    """How ``keys`` are made: ROW_KEY or CONTENT_KEY."""
    keys: Sequence[int] = ()
    scores: Sequence[float] = ()
    starts_us: Sequence[int] = ()

    def best(self, count: int) -> "Hits":
        """The first of them."""
        return Hits(self.key_of, self.keys[:count], self.scores[:count], self.starts_us[:count])

    @property
    def dates(self) -> set[date]:
        """UTC dates on which they start."""
        return {
            ns_to_datetime(day * _DAY_NS).date() for day in {us // _DAY_US for us in self.starts_us}
        }


@dataclass(frozen=True, slots=True)
class Words:
    """What must occur, each as a part of the text in any case; lower case, none empty."""

    each: tuple[str, ...]

    @classmethod
    def parse(cls, connection: duckdb.DuckDBPyConnection, asked: str) -> "Words":
        """Split at spaces; ``"quoted words"`` stay together.

        DuckDB folds the case of both sides, so that they agree in every script.
        """
        found = [quoted or word for quoted, word in re.findall(r'"([^"]+)"|([^\s"]+)', asked)]
        folded = connection.execute("SELECT lower(trim(unnest(?::VARCHAR[])))", [found]).fetchall()
        return cls(tuple(dict.fromkeys(word for (word,) in folded if word)))


def sources(
    index: Index,
    span: Span = ALWAYS,
    cameras: Cameras = ALL,
    *,
    table: Searched | None = None,
    video: str | None = None,
) -> Sources:
    """Where moments of a range are, and which rows count."""
    found = {}
    for name in SEARCHED if table is None else (table,):
        where = query_filters.conditions(name, {"video": video}).overlaps(span).of(cameras)
        if name == "segments":
            where.add(_MOMENTS)
        found[name] = index.source(name, span, cameras), where
    return found


def said(sources: Sources, key_of: Mapping[Searched, str], more: str = "true") -> str:
    """One SELECT over all of ``sources``, with their key and what they say."""
    parts = [
        f"""SELECT '{name}' AS "table", {_LABEL[name]} AS kind, {ID_COLUMN[name]} AS id,
            {SAID[name]} AS said, {key_of[name]} AS key, {_COLUMNS}
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
    """Hits among the rows of ``sources`` that count and have all words in them, the best first.

    Columns score, table, camera, start, end, label, excerpt, media_start, media_end, uri, text,
    id, video_id, task, model, fingerprint. ``excerpt`` is the part of the text around the first
    match, each match between ``**``.
    """
    # Both before anything else of a row is looked at: other dates are not even opened.
    only = f"{on_dates(hits.dates)} AND {{key}} IN (SELECT key FROM hits)" if hits.keys else "false"
    verified = Where()
    for word in words.each:
        verified.add("contains(lower(said), ?)", word)
    first = f"greatest(1, {_first_match(words)} - {_CHARS_BEFORE})"
    sql = f"""
        WITH hits AS (SELECT unnest(?::UBIGINT[]) AS key, unnest(?::DOUBLE[]) AS score),
        said AS ({said(sources, hits.key_of, only)}),
        cut AS (SELECT *, {first} AS cut_at FROM said JOIN hits USING (key) WHERE {verified.sql})
        SELECT score, "table", camera, "start", "end", kind AS label,
            {_marked(words)} AS excerpt,
            media_start, media_end, uri, text, id, video_id, task, model, fingerprint
        FROM cut ORDER BY score DESC, "start", camera, id {query_filters.limited(limit)}"""
    asked = [value for _, where in sources.values() for value in where.values]
    values = [list(hits.keys), list(hits.scores), *asked, *verified.values]
    return duck.fetch(connection, sql, Where(values=values))


def _first_match(words: Words) -> str:
    if not words.each:
        return "1"
    return f"least({', '.join(f'strpos(lower(said), {duck.quote(w)})' for w in words.each)})"


def _marked(words: Words) -> str:
    cut = f"replace(substr(said, cut_at, {_EXCERPT_CHARS}), chr(10), ' ')"
    if words.each:
        longest_first = sorted(words.each, key=len, reverse=True)
        pattern = duck.quote(f"({'|'.join(map(re.escape, longest_first))})")
        cut = f"regexp_replace({cut}, {pattern}, '**\\1**', 'gi')"
    return (
        f"if(cut_at > 1, '\u2026', '') || {cut} || "
        f"if(length(said) >= cut_at + {_EXCERPT_CHARS}, '\u2026', '')"
    )
