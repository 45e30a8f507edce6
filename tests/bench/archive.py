"""A year of a large archive as rows of the declared schemas, made from whole arrays at once.

``pipeline.tables`` makes each value of a row in Python, which is right for a job (a model answers
a few windows a second) and would take hours for 20 million rows. So this bypasses it; what follows
is the project's own: schemas, checks, order, file settings, Delta log.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from pipeline.index.replace import writer_properties
from pipeline.index.store import Store
from pipeline.index.validate import conform
from pipeline.records import make_id
from pipeline.tables.events import BOX, PART
from pipeline.tables.schema import TABLES, TableName

FIRST_DAY = datetime(2025, 3, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
TASK, FINGERPRINT = "surveillance", "5e1c0ffee0ddba11facade42"

_FIRST_US = int(FIRST_DAY.timestamp()) * 1_000_000
_TIME = pa.timestamp("us", tz="UTC")
_HEX = np.frombuffer("".join(f"{i:02x}" for i in range(256)).encode(), np.dtype("S2"))
_LABELS = ["person", "vehicle", "delivery", "animal", "crowd", "fall", "fight", "fire"]
_SHARES = [0.46, 0.3, 0.1, 0.08, 0.05, 0.005, 0.004, 0.001]
_WHO = ["a man", "a woman", "a child", "two people", "a courier", "一个人", "a dog", "a white van"]
_DOES = ["walks past", "waits at", "leaves", "enters", "runs from", "站在", "sets a box down at"]
_WHERE = [f"{kind} {number}" for kind in ("gate", "door", "shelf", "ramp") for number in range(40)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """How much is made; windows are a tenth of the events, segments a twentieth."""

    events: int
    cameras: int = 1000
    days: int = 365

    def commits(self) -> Iterator[dict[TableName, pa.Table]]:
        """Per day what its job writes: rows of that day, and 2 % of the three days before."""
        for day in range(self.days):
            chance = np.random.default_rng(day)
            made: dict[TableName, pa.Table] = {"videos": self._videos(day)}
            kinds = (("events", _events, 1), ("windows", _windows, 10), ("segments", _segments, 20))
            for name, make, share in kinds:
                made[name] = make(*self._spans(day, self.events // self.days // share, chance))
            yield made

    def _spans(self, day: int, rows: int, chance: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Camera, start and end of each row; median 8 s, 1 % to half an hour, 0.1 % to 6 h."""
        late = np.where(chance.random(rows) < 0.02, chance.integers(1, 4, rows), 0)
        start_us = np.maximum(day - late, 0) * DAY_US + chance.integers(0, DAY_US, rows)
        length_s = chance.lognormal(np.log(8), 0.8, rows)
        kind = chance.random(rows)
        length_s[kind < 0.01] = chance.uniform(60, 1800, (kind < 0.01).sum())
        length_s[kind < 0.001] = chance.uniform(1800, 21600, (kind < 0.001).sum())
        end_us = start_us + np.maximum((length_s * 1e6).astype(np.int64), 1)
        return chance.integers(0, self.cameras, rows), start_us, end_us

    def _videos(self, day: int) -> pa.Table:
        """One recording per camera and day."""
        start_us = np.full(self.cameras, day * DAY_US)
        return _videos(np.arange(self.cameras), start_us, start_us + DAY_US, DAY_US)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """Videos number ``first`` to ``last``, of 1000 cameras that make 20 a day each."""

    PER_DAY: ClassVar = 20_000
    _LENGTH_US: ClassVar = DAY_US // 20

    first: int
    last: int

    def tables(self, *, windows: int = 1, events: int = 1) -> dict[TableName, pa.Table]:
        """What a job writes of them, so many rows for each; a window is a shard of its own."""
        chance = np.random.default_rng(self.first)
        kinds = (("windows", _windows, windows), ("events", _events, events))
        made = {
            name: make(*self._spans(each, chance), self._LENGTH_US) for name, make, each in kinds
        }
        return made | {"segments": _segments(*self._whole()), "videos": self.videos()}

    def videos(self) -> pa.Table:
        """Their rows of ``videos`` alone."""
        return _videos(*self._whole())

    def _whole(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        camera, start_us, _ = self._spans(1, np.random.default_rng(self.first))
        return camera, start_us, start_us + self._LENGTH_US, self._LENGTH_US

    def _spans(self, each: int, chance: np.random.Generator) -> tuple[np.ndarray, ...]:
        number = np.repeat(np.arange(self.first, self.last), each)
        start_us = number // self.PER_DAY * DAY_US
        start_us += number % self.PER_DAY // 1000 * self._LENGTH_US
        if each > 1:
            start_us += chance.integers(0, self._LENGTH_US // 2, len(number))
        return number % 1000, start_us, start_us + 8_000_000


def write(store: Store, name: TableName, rows: pa.Table) -> None:
    """One commit. An append: ids are new here, so there is nothing to replace."""
    write_deltalake(
        store.handle(name),
        conform(name, rows),
        mode="append",
        writer_properties=writer_properties(name),
    )


def _videos(
    camera: np.ndarray, start_us: np.ndarray, end_us: np.ndarray, video_us: int
) -> pa.Table:
    base = _base(camera, start_us, end_us, video_us)
    return _table(
        "videos",
        base,
        status="done",
        num_bytes=4_000_000_000,
        content_id=base["video_id"],
        clock="path",
        clock_start=base["start"],
        codec="hevc",
        width=1920,
        height=1080,
        time_base="1/90000",
        num_frames=video_us * 15 // 1_000_000,
        video_s=video_us / 1e6,
        footage=_lists(pa.StructArray.from_arrays([base["start"], base["end"]], ["start", "end"])),
        num_shards=12,
        num_windows_quiet=800,
        num_windows_analysed=64,
        config="{}",
        indexed_at=base["end"],
    )


def _events(
    camera: np.ndarray, start_us: np.ndarray, end_us: np.ndarray, video_us: int = DAY_US
) -> pa.Table:
    chance = np.random.default_rng(int(start_us[0]))
    rows = len(camera)
    base = _base(camera, start_us, end_us, video_us)
    corners = [pa.array(chance.random(rows, np.float32)) for _ in range(4)]
    box = pa.StructArray.from_arrays([base["start"], *corners], fields=list(BOX.struct))
    part = pa.StructArray.from_arrays(
        [base[field.name] for field in PART.struct], fields=list(PART.struct)
    )
    return _table(
        "events",
        base,
        label=_words(_LABELS, chance.choice(len(_LABELS), rows, p=_SHARES)),
        event_id=_ids(chance, rows),
        text=_text(chance, rows),
        confidence=pa.array(chance.integers(50, 100, rows).astype(np.float32) / 100),
        boxes=_lists(box),
        parts=_lists(part),
        window_ids=_lists(_ids(chance, rows)),
    )


def _windows(
    camera: np.ndarray, start_us: np.ndarray, end_us: np.ndarray, video_us: int = DAY_US
) -> pa.Table:
    chance = np.random.default_rng(int(start_us[0]))
    rows, frames = len(camera), 8
    base = _base(camera, start_us, np.minimum(end_us, start_us + 16_000_000), video_us)
    frame_s = np.asarray(base["media_start"])[:, None] + np.arange(frames)
    pts = pa.array((frame_s * 90_000).astype(np.int64).ravel())
    return _table(
        "windows",
        base,
        status=_words(["analysed", "quiet"], chance.integers(0, 2, rows)),
        window_id=_ids(chance, rows),
        shard_id=_ids(chance, rows),
        frame_pts=_lists(pts, frames),
        frame_s=_lists(pa.array(frame_s.ravel()), frames),
        markers=_lists(_words([f"<{s}.0 seconds>" for s in range(8)], np.arange(rows * 8) % 8), 8),
        completion=_text(chance, rows),
        finish_reason="stop",
        num_prompt_tokens=1200,
        num_output_tokens=40,
    )


def _segments(
    camera: np.ndarray, start_us: np.ndarray, end_us: np.ndarray, video_us: int = DAY_US
) -> pa.Table:
    chance = np.random.default_rng(int(start_us[0]))
    rows = len(camera)
    return _table(
        "segments",
        _base(camera, start_us, end_us, video_us),
        level="window",
        segment_id=_ids(chance, rows),
        text=_text(chance, rows),
        window_ids=_lists(_ids(chance, rows)),
    )


def _base(
    camera: np.ndarray, start_us: np.ndarray, end_us: np.ndarray, video_us: int
) -> dict[str, pa.Array]:
    """What rows of all tables have; a video is ``video_us`` of one camera."""
    names = [f"cam{i:04}" for i in range(camera.max() + 1)]
    known, video = np.unique(start_us // video_us * 10_000 + camera, return_inverse=True)
    begins = (_FIRST_US + known // 10_000 * video_us).astype("datetime64[us]")
    begins = np.datetime_as_string(begins, "m").tolist()
    uris = [
        f"s3://footage/{names[i]}/{at}.mkv" for i, at in zip(known % 10_000, begins, strict=True)
    ]
    media_us = start_us % video_us
    return {
        "date": pa.array((_FIRST_US + start_us) // DAY_US).cast(pa.int32()).cast(pa.date32()),
        "camera": _words(names, camera),
        "start": pa.array(_FIRST_US + start_us).cast(_TIME),
        "end": pa.array(_FIRST_US + end_us).cast(_TIME),
        "video_id": _words([make_id(uri) for uri in uris], video),
        "uri": _words(uris, video),
        "media_start": pa.array(media_us / 1e6),
        "media_end": pa.array((media_us + end_us - start_us) / 1e6),
    }


def _table(name: TableName, base: dict[str, pa.Array], **columns: object) -> pa.Table:
    """The columns in the declared order; a plain value is repeated, what is missing is empty."""
    rows = len(base["camera"])
    made = base | {"task": TASK, "fingerprint": FINGERPRINT, "model": "qwen3-vl-8b"} | columns
    arrays = []
    for field in TABLES[name]:
        value = made.get(field.name, _nothing(field.type))
        if not isinstance(value, pa.Array):
            value = pa.repeat(pa.scalar(value, field.type), rows)
        arrays.append(value.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=TABLES[name])


def _nothing(kind: pa.DataType) -> object:
    if pa.types.is_string(kind):
        return ""
    if pa.types.is_boolean(kind):
        return False
    return 0 if pa.types.is_integer(kind) or pa.types.is_floating(kind) else []


def _ids(chance: np.random.Generator, rows: int) -> pa.Array:
    """Names of 24 hex digits, which do not compress, as real ones do not."""
    text = _HEX[chance.integers(0, 256, (rows, 12), dtype=np.uint8)]
    return pa.StringArray.from_buffers(
        rows, pa.py_buffer(np.arange(0, 24 * rows + 1, 24, dtype=np.int32)), pa.py_buffer(text)
    )


def _words(words: list[str], index: np.ndarray) -> pa.Array:
    return pa.array(words).take(pa.array(index))


def _text(chance: np.random.Generator, rows: int) -> pa.Array:
    parts = (_words(words, chance.integers(0, len(words), rows)) for words in (_WHO, _DOES, _WHERE))
    return pa.compute.binary_join_element_wise(*parts, " ")


def _lists(values: pa.Array, each: int = 1) -> pa.Array:
    """Lists of ``each`` values."""
    return pa.ListArray.from_arrays(
        pa.array(np.arange(0, len(values) + 1, each, dtype=np.int32)), values
    )
