"""Validates rows before they are written: they must match the schema exactly."""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import IndexDamagedError
from pipeline.tables.schema import TABLES, ReadTable, TableName

ID_COLUMN: dict[ReadTable, str] = {
    "videos": "video_id",
    "windows": "window_id",
    "events": "event_id",
    "segments": "segment_id",
    "vectors": "vector_id",
    "summaries": "summary_id",
    "runs": "run_id",
    "erasures": "erasure_id",
    "feedback": "feedback_id",
    "evidence": "evidence_id",
    "utterances": "utterance_id",
    "slides": "slide_id",
    "alerts": "row_id",
    "tracks": "track_id",
}


def conform(name: TableName, rows: pa.Table) -> pa.Table:
    """The rows in the declared column order, sorted by (date, camera, start), as one chunk.

    Delta casts silently: in an integer column it stores 2.5 as 2 and '12' as 12. So the types are
    checked here, and another type is a bug of the caller. One chunk keeps the order, because
    delta-rs distributes several batches over several threads.

    Raises:
        TypeError: a column is missing, unknown or of another type.
        ValueError: a required value is null, a range is empty, a date is not the date of its start,
            or an id occurs twice.
    """
    schema = TABLES[name]
    if differing := set(rows.schema.names) ^ set(schema.names):
        raise TypeError(f"{name}: columns {sorted(differing)} are missing or unknown")
    for field in schema:
        actual = rows.schema.field(field.name)
        if actual.type != field.type:
            raise TypeError(f"{name}.{field.name}: is {actual.type}, must be {field.type}")
        if not field.nullable and rows[field.name].null_count:
            raise ValueError(f"{name}.{field.name}: {rows[field.name].null_count} nulls")
    rows = rows.select(schema.names).cast(schema)
    _check_ranges(name, rows)
    order = [name for name in ("date", "camera", "start") if name in schema.names]
    return rows.sort_by([(name, "ascending") for name in order]).combine_chunks()


def conform_stored(root: str, name: TableName, rows: pa.Table) -> pa.Table:
    """As ``conform``, for rows that an index held: what is wrong with them is no bug, but damage.

    Raises:
        IndexDamagedError: says what is wrong.
    """
    try:
        return conform(name, rows.select(TABLES[name].names).cast(TABLES[name]))
    except (TypeError, ValueError, KeyError, pa.ArrowException) as exc:
        raise IndexDamagedError(root, f"rows that are no rows of timereel: {exc}") from exc


def _check_ranges(name: TableName, rows: pa.Table) -> None:
    if not rows.num_rows:
        return
    if pc.any(pc.less_equal(rows["end"], rows["start"])).as_py():
        raise ValueError(f"{name}: a range is empty; end must be after start")
    dated = next(field.name for field in rows.schema if pa.types.is_timestamp(field.type))
    if not pc.all(pc.equal(rows["date"], rows[dated].cast(pa.date32()))).as_py():
        raise ValueError(f"{name}: a date is not the UTC date of its {dated}")
    made_by = [column for column in ("task", "fingerprint") if column in rows.schema.names]
    if rows.group_by([ID_COLUMN[name], *made_by]).aggregate([]).num_rows != rows.num_rows:
        raise ValueError(f"{name}: the same {ID_COLUMN[name]} occurs twice")
