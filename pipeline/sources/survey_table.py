"""The rows of ``timereel sources``: every file, and what is known of it or why it is left out."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.sources.found_files import Listing

_TIME = pa.timestamp("us", tz="UTC")
_FEW = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        ("status", _FEW),  # video, failed, unreachable, passed over or sidecar
        ("camera", _FEW),
        ("start", _TIME),
        ("end", _TIME),
        ("clock", _FEW),
        ("known_by", _FEW),
        ("camera_by", _FEW),
        ("template", _FEW),
        ("num_bytes", pa.int64()),
        ("warnings", pa.list_(pa.string())),
        ("reason", _FEW),
        ("uri", pa.large_string()),
    ]
)
_IN_FILE = "in the file"
_ROWS = 65_536


def survey_tables(listing: Listing) -> Iterator[pa.Table]:
    """The videos by camera, start and URI; then all other files by URI.

    Part by part, as all of them take a third of the memory of a listing beside it.
    """
    files = listing.videos.table
    for at in range(0, files.num_rows, _ROWS):
        yield _videos(files.slice(at, _ROWS))
    others = [
        {
            "status": "sidecar" if other.is_sidecar else "passed over",
            "reason": other.reason,
            "uri": other.uri,
        }
        for other in listing.passed_over
    ]
    yield pa.Table.from_pylist(others, _SCHEMA)


def _videos(files: pa.Table) -> pa.Table:
    unreachable, problem, clock = (
        files[name].cast(pa.string()) for name in ("unreachable", "problem", "clock")
    )
    reason = pc.if_else(pc.equal(unreachable, ""), problem, unreachable)
    is_good, is_reached = pc.equal(reason, ""), pc.equal(unreachable, "")
    rule = pc.if_else(pc.equal(files["rule"], ""), _IN_FILE, files["rule"])
    columns = {
        **{name: files[name] for name in _SCHEMA.names if name in files.column_names},
        "status": pc.if_else(is_good, "video", pc.if_else(is_reached, "failed", "unreachable")),
        "start": _time(files["start_ns"]),
        "end": _time(pc.if_else(pc.equal(clock, "path"), files["end_ns"], None)),
        "clock": pc.if_else(pc.equal(clock, "none"), _IN_FILE, clock),
        "known_by": pc.if_else(pc.equal(clock, "sidecar"), "sidecar", rule),
        "reason": reason,
    }
    return pa.table(
        [columns[name].cast(kind) for name, kind in zip(_SCHEMA.names, _SCHEMA.types, strict=True)],
        schema=_SCHEMA,
    )


def _time(utc_ns: pa.ChunkedArray) -> pa.ChunkedArray:
    return utc_ns.cast(pa.timestamp("ns", tz="UTC")).cast(_TIME, safe=False)
