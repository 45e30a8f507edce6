"""Rows of the index with plain values, for tests that care about one or two of them."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

import pipeline.index as pi
from pipeline.tables.schema import TABLES

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
US = timedelta(microseconds=1)
DAY = 86_400.0


def at(seconds: float) -> datetime:
    return T0 + timedelta(microseconds=round(seconds * 1_000_000))


def _default(kind):
    if pa.types.is_string(kind):
        return ""
    if pa.types.is_floating(kind):
        return 0.0
    if pa.types.is_integer(kind):
        return 0
    if pa.types.is_binary(kind):
        return b""
    if pa.types.is_boolean(kind):
        return False
    return T0 if pa.types.is_timestamp(kind) else []


def rows(name, *given):
    """A table of ``name``; what is not given is empty, ``date`` follows from ``start``."""
    schema = TABLES[name]
    filled = [
        {f.name: None if f.nullable else _default(f.type) for f in schema}
        | {"task": "t", "fingerprint": "f1", "camera": "cam1"}
        | one
        | {"date": one["start"].astimezone(UTC).date()}
        for one in given
    ]
    return pa.Table.from_pylist(filled, schema=schema)


def event(event_id, start, end, **given):
    row = {"event_id": event_id, "start": start, "end": end, "video_id": "v1", "uri": "", **given}
    own = {name: row[name] for name in ("video_id", "uri", "start", "end")}
    media = {"media_start": row.get("media_start", 0.0), "media_end": row.get("media_end", 1.0)}
    return {"parts": [own | media], **row}


def video(video_id="v1", start=0.0, end=600.0, **given):
    return {
        "video_id": video_id,
        "uri": f"{video_id}.mp4",
        "status": "done",
        "start": at(start),
        "end": at(end),
        "clock": "path",
        "footage": [{"start": at(start), "end": at(end)}],
        **given,
    }


def window(shard, number, start, end, **given):
    return {
        "window_id": f"{shard}-{number}",
        "shard_id": shard,
        "video_id": "v1",
        "status": "analysed",
        "start": at(start),
        "end": at(end),
        **given,
    }


def segment(segment_id, **given):
    return {"segment_id": segment_id, "video_id": "v1", "start": at(0), "end": at(600), **given}


def utterance(utterance_id, start=0.0, end=2.0, **given):
    made = {"utterance_id": utterance_id, "video_id": "v1", "start": at(start), "end": at(end)}
    return made | in_file(start, end) | given


def in_file(start, end):
    """Media time, of a file that begins at 0 s."""
    ns = {"media_start_ns": round(start * 1e9), "media_end_ns": round(end * 1e9)}
    return {"media_start": start, "media_end": end} | ns


def ids(table, column):
    return sorted(table[column].to_pylist())


def open_with_four_events(folder):
    """An index in ``folder``: two videos on two cameras, events at known places."""
    root = folder / "it's 100% 監視 *"
    writer = pi.Writer(root)
    writer.finish_videos(
        rows("videos", video("v1"), video("v2", camera="cam2")),
        rows(
            "events",
            event("late", at(500), at(501), label="black", text="Power CUT"),
            event("long", at(100), at(200), label="motion", text="一个人在门口放下包裹"),
            event("short", at(150.0001), at(150.000999), label="motion", text="a flicker"),
            event("other", at(100), at(110), label="motion", camera="cam2", video_id="v2"),
        ),
        rows("segments", {"segment_id": "s", "video_id": "v1", "start": at(0), "end": at(600)}),
    )
    return pi.open(root)
