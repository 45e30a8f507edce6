"""Checks that the rows of an index agree: windows with their video, events with their windows.

Only videos count whose row says that they are complete. The rows that a killed run left of other
videos are no contradiction, because the next run continues from them.
"""

# ruff: noqa: S608 - names and paths are quoted

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import duckdb

from pipeline.index import duck
from pipeline.index.check_files import Stored
from pipeline.index.findings import Finding, Key
from pipeline.index.store import Store
from pipeline.index.validate import ID_COLUMN
from pipeline.tables.schema import TableName

_KEY = "video_id, task, fingerprint"
# Both ends of a range are rounded down to microseconds, and an empty range is made 1 us long.
_ROUNDING_US = 2
_PENDING_AGAIN = "it becomes pending: the next run asks the engine about the missing part alone"
# Tables in which an id must be unique; for duplicate windows see ``_OVERLAPPING``.
_UNIQUE_IDS: tuple[TableName, ...] = (
    "videos",
    "events",
    "segments",
    "utterances",
    "summaries",
    "feedback",
    "evidence",
    "slides",
    "alerts",
)

_VIEWS = f"""
CREATE TEMP VIEW complete AS FROM videos WHERE status IN ('done', 'partial');
CREATE TEMP TABLE existing AS
    SELECT {_KEY} FROM videos UNION SELECT {_KEY} FROM windows;
CREATE TEMP TABLE cut AS SELECT DISTINCT {_KEY} FROM windows WHERE status = 'erased';
CREATE TEMP TABLE begun AS
    SELECT DISTINCT {_KEY}, uri FROM windows ANTI JOIN videos USING ({_KEY});
CREATE TEMP VIEW pieces AS SELECT event_id, unnest(parts).video_id AS video_id, task, fingerprint,
    len(parts) > 1 AND pieces IS NULL AS is_guessed, zone FROM events;
CREATE TEMP VIEW finished_events AS FROM events
    ANTI JOIN (FROM pieces ANTI JOIN complete USING ({_KEY})) USING (event_id, task, fingerprint);
CREATE TEMP TABLE unsupported AS
    SELECT event_id, task, fingerprint FROM finished_events WHERE len(parts) > 0 AND (
        len(list_distinct(window_ids)) <> len(window_ids)
        OR abs(epoch_us("start") - epoch_us(list_min(list_transform(parts, lambda p: p.start))))
            > {_ROUNDING_US}
        OR abs(epoch_us("end") - epoch_us(list_max(list_transform(parts, lambda p: p."end"))))
            > {_ROUNDING_US}
        OR pieces IS NOT NULL AND (len(pieces) <> len(parts)
            OR list_sum(list_transform(pieces, lambda p: p.num_window_ids)) <> len(window_ids)
            OR list_sum(list_transform(pieces, lambda p: p.num_boxes)) <> len(boxes)))
    UNION SELECT event_id, task, fingerprint FROM (
        SELECT event_id, task, fingerprint, unnest(window_ids) AS window_id FROM finished_events
    ) ANTI JOIN windows USING (window_id, task, fingerprint);
"""

_DOUBLED = """
SELECT {id}, task, fingerprint, any_value(video_id) AS video_id, any_value(camera) AS camera,
    min("start") AS "start", max("end") AS "end", count(*) AS n
FROM {table} GROUP BY {id}, task, fingerprint HAVING count(*) > 1
"""

# Windows of a complete video that overlap.
_OVERLAPPING = f"""
SELECT {_KEY}, any_value(camera) AS camera, min("start") AS "start", max("end") AS "end",
    list(DISTINCT shard_id) AS shard_ids
FROM (SELECT *, max("end") OVER (PARTITION BY {_KEY} ORDER BY "start", "end"
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_until FROM windows)
SEMI JOIN complete USING ({_KEY})
WHERE epoch_us(covered_until) - epoch_us("start") > {_ROUNDING_US} GROUP BY {_KEY}
"""

# Footage of a complete video without a window.
_UNANSWERED = f"""
WITH shown AS (SELECT {_KEY}, camera, unnest(footage) AS f FROM complete),
answered AS (
    SELECT {_KEY}, f, sum(epoch_us(least(w."end", f."end"))
        - epoch_us(greatest(w."start", f.start))) AS us
    FROM shown JOIN (SELECT {_KEY}, "start", "end" FROM windows) w USING ({_KEY})
    WHERE w."start" < f."end" AND w."end" > f.start GROUP BY ALL
), missing AS (
    SELECT *, epoch_us(f."end") - epoch_us(f.start) - coalesce(us, 0) AS missing_us
    FROM shown LEFT JOIN answered USING ({_KEY}, f)
)
SELECT {_KEY}, any_value(camera) AS camera, min(f.start) AS "start", max(f."end") AS "end",
    sum(missing_us)::BIGINT AS missing_us
FROM missing WHERE missing_us > {_ROUNDING_US} GROUP BY {_KEY}
"""

# Complete videos with another number of event pieces, segments, utterances or slides than it says.
# What zones tell does not count: it depends on the files beside, too. An older timereel counted in
# another way; for its rows it is only an error if all are missing.
_MISCOUNTED = f"""
SELECT {_KEY}, camera, uri, "start", "end",
    coalesce(n, 0) || ' {{table}} instead of ' || num_{{table}} AS problem
FROM complete ANTI JOIN cut USING ({_KEY})
LEFT JOIN (SELECT {_KEY}, count(*) AS n, bool_or({{is_guessed}}) AS is_guessed
    FROM {{source}} GROUP BY {_KEY}) USING ({_KEY})
WHERE CASE WHEN clock_start_ns IS NULL THEN num_{{table}} > 0 AND n IS NULL
    ELSE num_{{table}} <> coalesce(n, 0) AND NOT coalesce(is_guessed, false) END
"""

# Events that differ from the sum of their pieces, or that refer to windows that do not exist.
_UNSUPPORTED = f"""
SELECT {_KEY}, camera, uri, "start", "end", 'an event that its windows do not support' AS problem
FROM complete SEMI JOIN (FROM pieces SEMI JOIN unsupported USING (event_id, task, fingerprint))
USING ({_KEY})
UNION SELECT {_KEY}, camera, uri, "start", "end", 'a segment whose windows are missing' AS problem
FROM complete SEMI JOIN (
    FROM (SELECT {_KEY}, unnest(window_ids) AS window_id FROM segments)
    ANTI JOIN windows USING (window_id, task, fingerprint)
) USING ({_KEY})
UNION SELECT {_KEY}, camera, uri, "start", "end",
    'an utterance whose windows are missing' AS problem
FROM complete SEMI JOIN (
    FROM (SELECT {_KEY}, unnest(window_ids) AS window_id FROM utterances)
    ANTI JOIN windows USING (window_id, task, fingerprint)
) USING ({_KEY})
UNION SELECT {_KEY}, camera, uri, "start", "end", 'a slide whose windows are missing' AS problem
FROM complete SEMI JOIN (
    FROM (SELECT {_KEY}, unnest(window_ids) AS window_id FROM slides)
    ANTI JOIN windows USING (window_id, task, fingerprint)
) USING ({_KEY})
UNION SELECT {_KEY}, camera, uri, "start", "end", 'a slide of a page that its deck has not'
    AS problem
FROM complete SEMI JOIN (
    FROM slides JOIN (SELECT {_KEY}, len(deck_pages) AS num_pages FROM complete) USING ({_KEY})
    WHERE deck_page > num_pages
) USING ({_KEY})
"""

_UNDERIVED = f"""
SELECT {_KEY}, camera, "start", "end", string_agg(problem, ', ' ORDER BY problem) AS problem,
    bool_or(EXISTS (SELECT 1 FROM begun AS b WHERE b.task = problems.task
        AND (b.video_id = problems.video_id OR b.uri = problems.uri))) AS is_begun
FROM ({{problems}}) AS problems GROUP BY {_KEY}, camera, "start", "end"
"""

# Rows of videos that have neither a row in ``videos`` nor windows.
_ORPHANED: dict[TableName, str] = {
    "events": f"""FROM events SEMI JOIN (FROM pieces ANTI JOIN existing USING ({_KEY}))
        USING (event_id, task, fingerprint)""",
    "segments": f"FROM segments ANTI JOIN existing USING ({_KEY})",
    "utterances": f"FROM utterances ANTI JOIN existing USING ({_KEY})",
    "slides": f"FROM slides ANTI JOIN existing USING ({_KEY})",
    "summaries": "FROM (FROM summaries WHERE video_id <> '') ANTI JOIN existing USING (video_id)",
    "evidence": f"""FROM (FROM evidence SEMI JOIN complete USING ({_KEY}))
        ANTI JOIN windows USING (window_id, task, fingerprint)""",
    "vectors": "FROM (FROM vectors WHERE video_id <> '') ANTI JOIN existing USING (video_id)",
}


def disagreements(store: Store, stored: Stored) -> list[Finding]:
    """The contradictions in the rows of the files that can be read."""
    with duck.connect(store) as connection:
        for name, paths in stored.paths.items():
            source = duck.scan(store, name, paths, is_mixed=name in stored.mixed)
            connection.execute(f"CREATE TEMP VIEW {name} AS FROM {source}")
        connection.execute(_VIEWS)
        unanswered = list(_unanswered(connection))
        pending = {finding.video for finding in unanswered}
        return [
            *_doubled(connection, stored),
            *unanswered,
            *(finding for finding in _underived(connection) if finding.video not in pending),
            *_orphaned(connection, stored),
        ]


def _doubled(connection: duckdb.DuckDBPyConnection, stored: Stored) -> Iterator[Finding]:
    for name in filter(stored.paths.get, _UNIQUE_IDS):
        id_column = ID_COLUMN[name]
        sql = _DOUBLED.format(id=id_column, table=name)
        for row in duck.fetch(connection, sql).to_pylist():
            yield Finding(
                kind="doubled",
                table=name,
                what=f"{row[id_column]} occurs {row['n']} times",
                what_is_lost=f"nothing is lost; {_where(row)} is reported more than once",
                repair="one of its rows is kept",
                video=_key(row),
                ids=(row[id_column],),
            )


def _unanswered(connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    for row in duck.fetch(connection, _OVERLAPPING).to_pylist():
        yield Finding(
            kind="unanswered",
            table="windows",
            what=f"windows of video {row['video_id']} overlap",
            what_is_lost=f"it is unknown which answers for {_where(row)} are right",
            repair=f"their shards are removed; {_PENDING_AGAIN}",
            video=_key(row),
            ids=tuple(row["shard_ids"]),
        )
    for row in duck.fetch(connection, _UNANSWERED).to_pylist():
        yield Finding(
            kind="unanswered",
            table="windows",
            what=f"video {row['video_id']} is complete by its row, but windows are missing",
            what_is_lost=f"answers for {row['missing_us'] / 1e6:.3f} s of {_where(row)} are lost",
            repair=_PENDING_AGAIN,
            video=_key(row),
        )


def _underived(connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    miscounted = (
        _MISCOUNTED.format(
            table="events", source="(FROM pieces WHERE zone IS NULL)", is_guessed="is_guessed"
        ),
        *(
            _MISCOUNTED.format(table=name, source=name, is_guessed="false")
            for name in ("segments", "utterances", "slides")
        ),
    )
    sql = _UNDERIVED.format(problems=" UNION ".join((*miscounted, _UNSUPPORTED)))
    for row in duck.fetch(connection, sql).to_pylist():
        yield Finding(
            # A killed run had begun to index this file again. Deriving events from the old windows
            # as well would report that time twice.
            kind="unanswered" if row["is_begun"] else "underived",
            table="events",
            what=f"video {row['video_id']} has {row['problem']}",
            what_is_lost=f"the events of {_where(row)} are wrong",
            repair=_PENDING_AGAIN if row["is_begun"] else "it is derived from windows again",
            video=_key(row),
        )


def _orphaned(connection: duckdb.DuckDBPyConnection, stored: Stored) -> Iterator[Finding]:
    for name in filter(stored.paths.get, _ORPHANED):
        sql = (
            f"SELECT task, fingerprint, list({ID_COLUMN[name]}) AS ids, "
            'any_value(camera) AS camera, min("start") AS "start", max("end") AS "end" '
            f"FROM ({_ORPHANED[name]}) GROUP BY ALL"
        )
        for row in duck.fetch(connection, sql).to_pylist():
            yield Finding(
                kind="orphaned",
                table=name,
                what=f"{len(row['ids'])} {name} belong to videos that the index does not hold",
                what_is_lost=f"the windows they were made from are lost, {_where(row)}",
                repair="they are removed",
                video=("", row["task"], row["fingerprint"]),
                ids=tuple(row["ids"]),
            )


def _key(row: Mapping[str, Any]) -> Key:
    return row["video_id"], row["task"], row["fingerprint"]


def _where(row: Mapping[str, datetime]) -> str:
    start, end = (row[name].isoformat().replace("+00:00", "Z") for name in ("start", "end"))
    return f"{row['camera']} from {start} to {end}"
