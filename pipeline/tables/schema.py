"""The tables on disk. These schemas are the contract; code adapts to them.

Times are UTC microseconds; ``media_*`` are seconds in the file ``uri``. Every range is half-open.
Additive changes keep ``SCHEMA_VERSION``'s readers working; anything else raises it.
"""

from typing import Literal

import pyarrow as pa

SCHEMA_VERSION = 1

TableName = Literal[
    "videos", "windows", "events", "segments", "vectors", "summaries", "runs", "erasures"
]
AskedTable = Literal["videos", "windows", "events", "segments", "summaries"]
"""Those that a person asks for rows."""

_TIME = pa.timestamp("us", tz="UTC")


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


# The first columns are those that file statistics are asked for: date, camera, start, end.
_RANGE = [
    _required("date", pa.date32()),
    _required("camera", pa.string()),
    _required("start", _TIME),
    _required("end", _TIME),
]
_MEDIA = [
    _required("video_id", pa.string()),
    _required("uri", pa.string()),
    _required("media_start", pa.float64()),
    _required("media_end", pa.float64()),
]
# What made the row: `fingerprint` covers content-independent configuration, task and model.
_MAKER = [
    _required("task", pa.string()),
    _required("model", pa.string()),
    _required("prompt_id", pa.string()),
    _required("fingerprint", pa.string()),
]

BOX = pa.struct(
    [
        ("at", _TIME),
        ("x0", pa.float32()),
        ("y0", pa.float32()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
    ]
)
PART = pa.struct(
    [
        ("video_id", pa.string()),
        ("uri", pa.string()),
        ("start", _TIME),
        ("end", _TIME),
        ("media_start", pa.float64()),
        ("media_end", pa.float64()),
    ]
)

# What one file alone shows of an event that runs through several, beside its PART. The event's
# window_ids and boxes are those of its pieces, one piece after the other.
PIECE = pa.struct(
    [
        ("event_id", pa.string()),
        ("text", pa.string()),
        ("confidence", pa.float32()),
        ("verdict", pa.string()),
        ("fields", pa.map_(pa.string(), pa.string())),
        ("num_window_ids", pa.int32()),
        ("num_boxes", pa.int32()),
    ]
)

# A stretch of a file's footage, and the file of its camera that speaks for it instead.
YIELDED = pa.struct(
    [("start", _TIME), ("end", _TIME), ("to_uri", pa.string()), ("to_video_id", pa.string())]
)

# A second look, with its own receipt; `completion` of the window stays the first answer.
VERIFICATION = pa.struct(
    [
        ("media_start", pa.float64()),
        ("media_end", pa.float64()),
        ("frame_pts", pa.list_(pa.int64())),
        ("markers", pa.list_(pa.string())),
        ("completion", pa.string()),
        ("finish_reason", pa.string()),
        ("confidences", pa.list_(pa.float32())),
        ("num_prompt_tokens", pa.int32()),
        ("num_output_tokens", pa.int32()),
        ("error", pa.string()),
    ]
)

EVENTS = pa.schema(
    [
        *_RANGE,
        _required("label", pa.string()),
        *_MEDIA,
        _required("event_id", pa.string()),
        _required("text", pa.string()),
        pa.field("confidence", pa.float32()),
        # What the second look made of it: confirmed, moved, split; null if there was none.
        pa.field("verdict", pa.string()),
        # By time, pixels of the upright source. Of a task that asks for boxes: one object's track.
        _required("boxes", pa.list_(BOX)),
        _required("fields", pa.map_(pa.string(), pa.string())),
        # One entry per file the event runs through; the first is (video_id, uri).
        _required("parts", pa.list_(PART)),
        # One entry per part, so that the event can be parted and joined again; null for one file.
        pa.field("pieces", pa.list_(PIECE)),
        _required("window_ids", pa.list_(pa.string())),
        *_MAKER,
    ]
)

SEGMENTS = pa.schema(
    [
        *_RANGE,
        _required("level", pa.string()),
        *_MEDIA,
        _required("segment_id", pa.string()),
        _required("text", pa.string()),
        _required("window_ids", pa.list_(pa.string())),
        *_MAKER,
    ]
)

WINDOWS = pa.schema(
    [
        *_RANGE,
        _required("status", pa.string()),
        *_MEDIA,
        _required("window_id", pa.string()),
        _required("shard_id", pa.string()),
        # media_start and media_end to the nanosecond: windows add up to their shard exactly. Null
        # in rows of an older timereel.
        pa.field("media_start_ns", pa.int64()),
        pa.field("media_end_ns", pa.int64()),
        # The receipt: which frames were looked at, which markers the model was shown for them.
        # Ticks of the stream's time_base (see videos), and the same as seconds in the file.
        _required("frame_pts", pa.list_(pa.int64())),
        _required("frame_s", pa.list_(pa.float64())),
        _required("num_suspect_frames", pa.int32()),
        _required("markers", pa.list_(pa.string())),
        _required("completion", pa.string()),
        _required("finish_reason", pa.string()),
        # Per event of the completion: the probability that the model gave to its label.
        pa.field("confidences", pa.list_(pa.float32())),
        pa.field("looks", pa.list_(VERIFICATION)),
        _required("num_prompt_tokens", pa.int32()),
        _required("num_output_tokens", pa.int32()),
        # What it cost: CPU seconds of decoding, and its share of the time an engine was busy.
        _required("decode_cpu_s", pa.float64()),
        _required("engine_s", pa.float64()),
        _required("error", pa.string()),
        *_MAKER,
    ]
)

VIDEOS = pa.schema(
    [
        *_RANGE,
        _required("status", pa.string()),
        _required("video_id", pa.string()),
        _required("uri", pa.string()),
        _required("num_bytes", pa.int64()),
        _required("etag", pa.string()),
        _required("content_id", pa.string()),
        _required("clock", pa.string()),
        # UTC of media time 0: start = clock_start + first frame.
        _required("clock_start", _TIME),
        # The same to the nanosecond, and the tick that is media time 0: with them events are made
        # of windows again, as they were. Null in rows of an older timereel and of failed files.
        pa.field("clock_start_ns", pa.int64()),
        pa.field("origin_pts", pa.int64()),
        # What was added to the camera's clock for that, and to the time since; "" if nothing.
        _required("clock_correction", pa.string()),
        _required("codec", pa.string()),
        _required("width", pa.int32()),
        _required("height", pa.int32()),
        _required("rotation", pa.int32()),
        _required("time_base", pa.string()),
        _required("num_frames", pa.int64()),
        # Seconds of footage, and of such footage as other files of the camera speak for.
        _required("video_s", pa.float64()),
        _required("overlap_s", pa.float64()),
        # Where a frame is on screen and this file speaks for it; what lies between is "no
        # footage", not "nothing seen".
        _required("footage", pa.list_(pa.struct([("start", _TIME), ("end", _TIME)]))),
        # The rest of it, ascending; null in rows of an older timereel.
        pa.field("yielded", pa.list_(YIELDED)),
        _required("num_shards", pa.int32()),
        _required("num_windows_analysed", pa.int32()),
        _required("num_windows_quiet", pa.int32()),
        _required("num_windows_failed", pa.int32()),
        _required("num_events", pa.int32()),
        _required("num_segments", pa.int32()),
        _required("num_prompt_tokens", pa.int64()),
        _required("num_output_tokens", pa.int64()),
        _required("decode_cpu_s", pa.float64()),
        _required("engine_s", pa.float64()),
        _required("warnings", pa.list_(pa.string())),
        _required("error", pa.string()),
        *_MAKER,
        _required("config", pa.string()),
        _required("indexed_at", _TIME),
    ]
)

VECTORS = pa.schema(
    [
        *_RANGE,
        _required("video_id", pa.string()),
        # Made of table, row and text; half-precision floats of unit length, little-endian.
        _required("vector_id", pa.string()),
        _required("embedder", pa.string()),
        _required("vector", pa.binary()),
        _required("task", pa.string()),
        _required("fingerprint", pa.string()),
    ]
)

SENTENCE = pa.struct(
    [
        ("start", _TIME),
        ("end", _TIME),
        ("text", pa.string()),
        # Ids of the segments and events that it rests on.
        ("sources", pa.list_(pa.string())),
    ]
)

SUMMARIES = pa.schema(
    [
        *_RANGE,
        # chapter, video, or day: a camera's UTC date, which has no video_id and no uri.
        _required("level", pa.string()),
        _required("video_id", pa.string()),
        _required("uri", pa.string()),
        pa.field("media_start", pa.float64()),
        pa.field("media_end", pa.float64()),
        _required("summary_id", pa.string()),
        _required("title", pa.string()),
        _required("text", pa.string()),
        _required("sentences", pa.list_(SENTENCE)),
        # model, or extractive: counted and quoted. `error` says why a model did not write it.
        _required("method", pa.string()),
        _required("error", pa.string()),
        _required("num_prompt_tokens", pa.int32()),
        _required("num_output_tokens", pa.int32()),
        _required("inputs_id", pa.string()),
        *_MAKER,
    ]
)

# Who indexed: written at the start, with every heartbeat, and at the end. `end` is null until then.
RUNS = pa.schema(
    [
        _required("date", pa.date32()),
        _required("start", _TIME),
        pa.field("end", _TIME),
        _required("state", pa.string()),
        _required("heartbeat_at", _TIME),
        _required("run_id", pa.string()),
        _required("host", pa.string()),
        _required("pid", pa.int32()),
        # One process for good, where a host's name and an id come again.
        _required("process", pa.string()),
        # Of a submitted Ray job.
        pa.field("job_id", pa.string()),
        _required("job_metadata", pa.map_(pa.string(), pa.string())),
        _required("task", pa.string()),
        _required("fingerprint", pa.string()),
        _required("version", pa.string()),
        _required("keep", pa.bool_()),
        # The lease: no other run of this task touches these cameras meanwhile, unless both keep
        # the answers of other fingerprints.
        _required("cameras", pa.list_(pa.string())),
        pa.field("shard", pa.string()),
        pa.field("exit_code", pa.int32()),
        _required("num_videos_done", pa.int64()),
        _required("num_videos_failed", pa.int64()),
        _required("num_videos_superseded", pa.int64()),
        _required("num_videos_outstanding", pa.int64()),
        _required("num_windows", pa.int64()),
        _required("num_events", pa.int64()),
        _required("num_prompt_tokens", pa.int64()),
        _required("num_output_tokens", pa.int64()),
        _required("decode_cpu_s", pa.float64()),
        _required("gpu_s", pa.float64()),
        _required("error", pa.string()),
    ]
)

# Orders to erase, each written before anything goes, with its receipt. One whose `state` is not
# `applied` is carried out by whoever comes next.
ERASURES = pa.schema(
    [
        _required("date", pa.date32()),
        _required("asked_at", _TIME),
        _required("state", pa.string()),
        _required("erasure_id", pa.string()),
        # command, or retention.
        _required("reason", pa.string()),
        # Of these videos (ids, uris, globs of uris; which of them are names) and of these cameras,
        # what overlaps the range. Empty or null: all.
        _required("videos", pa.list_(pa.string())),
        _required("known_videos", pa.list_(pa.string())),
        _required("cameras", pa.list_(pa.string())),
        _required("camera_globs", pa.list_(pa.string())),
        pa.field("start", _TIME),
        pa.field("end", _TIME),
        # Runs that were at work when it was carried out, and may bring back what they began with;
        # null until then.
        pa.field("waits_for", pa.list_(pa.string())),
        # The receipt: how many rows of each table have gone.
        _required("rows", pa.map_(pa.string(), pa.int64())),
        pa.field("applied_at", _TIME),
    ]
)

TABLES: dict[TableName, pa.Schema] = {
    "videos": VIDEOS,
    "windows": WINDOWS,
    "events": EVENTS,
    "segments": SEGMENTS,
    "vectors": VECTORS,
    "summaries": SUMMARIES,
    "runs": RUNS,
    "erasures": ERASURES,
}
