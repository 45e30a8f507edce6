"""The rows of ``timereel sources``: every file, and what is known of it or why it is left out."""

import pyarrow as pa

from pipeline.sources.found_files import Listed, Listing, PassedOver
from pipeline.timebase import ns_to_datetime

_TIME = pa.timestamp("us", tz="UTC")
_SCHEMA = pa.schema(
    [
        ("status", pa.string()),  # video, failed, unreachable, passed over or sidecar
        ("camera", pa.string()),
        ("start", _TIME),
        ("end", _TIME),
        ("clock", pa.string()),
        ("known_by", pa.string()),
        ("camera_by", pa.string()),
        ("template", pa.string()),
        ("num_bytes", pa.int64()),
        ("warnings", pa.list_(pa.string())),
        ("reason", pa.string()),
        ("uri", pa.string()),
    ]
)
_IN_FILE = "in the file"


def survey_table(listing: Listing) -> pa.Table:
    """The videos by camera, start and URI; then all other files by URI."""
    rows = [*map(_video, listing.videos), *map(_other, listing.passed_over)]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _video(video: Listed) -> dict[str, object]:
    source, hints = video.source, video.hints
    reason = source.unreachable or source.problem
    end_ns = hints.end_ns if source.clock == "path" else None
    return {
        "status": "unreachable" if source.unreachable else "failed" if reason else "video",
        "camera": source.camera,
        "start": None if source.start_ns is None else ns_to_datetime(source.start_ns),
        "end": None if end_ns is None else ns_to_datetime(end_ns),
        "clock": _IN_FILE if source.clock == "none" else source.clock,
        "known_by": how_known(video),
        "camera_by": video.camera_by,
        "template": hints.template,
        "num_bytes": source.num_bytes,
        "warnings": list(source.warnings),
        "reason": reason,
        "uri": source.uri,
    }


def how_known(video: Listed) -> str:
    """The profile or setting that read the path, else the clock."""
    if video.source.clock == "sidecar":
        return "sidecar"
    return video.hints.rule or _IN_FILE


def _other(other: PassedOver) -> dict[str, object]:
    status = "sidecar" if other.is_sidecar else "passed over"
    return {"status": status, "reason": other.reason, "uri": other.uri}
