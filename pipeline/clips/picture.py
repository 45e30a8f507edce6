"""The picture of an event: the one that was kept, or else made from the recording and remembered.

Boxes are drawn when asked for, into a copy: no picture is kept with anything drawn into it.
"""

import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from PIL import Image, ImageDraw

from pipeline.clips.plan import cuts_of
from pipeline.clips.ranges import Wanted
from pipeline.config import DecodeConfig, ZoneConfig
from pipeline.errors import NoSourcesError, SourceError, UnreachableError
from pipeline.index import Index, evidence_of, remembered
from pipeline.index.filters import Where
from pipeline.media import WEBP_WIDTH, webp_of
from pipeline.media.clip import still_picture
from pipeline.processes.crash_isolation import ProcessDiedError, in_child_process
from pipeline.processes.watchdog import watchdog
from pipeline.records import Cut, make_id, upright_size
from pipeline.storage.access import Access
from pipeline.timebase import NS_PER_US, TimeRange, datetime_to_ns, ns_to_datetime

Row: TypeAlias = Mapping[str, Any]

_LINE = (255, 64, 64)
_ZONE_LINE = (64, 200, 255)
_STALL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPicture:
    """A small picture of an event."""

    webp: bytes
    at: datetime
    """When it was taken."""
    is_kept: bool
    """Whether it is one that the engine was shown; else it was made from the recording."""


def picture_of(index: Index, event: Row, *, decode: DecodeConfig, access: Access) -> EventPicture:
    """The picture of a row of ``events``.

    Raises:
        NoSourcesError: none was kept, and its footage was erased or never was there.
        SourceError: none was kept, and the file is gone, has changed or cannot be decoded.
        UnreachableError: none was kept, and the medium does not answer.
    """
    if kept := evidence_of(index, [event]).get(event["event_id"]):
        return EventPicture(webp=kept["webp"], at=kept["at"], is_kept=True)
    return picture_at(index, event, _middle_ns(event), decode=decode, access=access)


def picture_at(
    index: Index, event: Row, at_ns: int, *, decode: DecodeConfig, access: Access
) -> EventPicture:
    """The picture at a moment of an event, in UTC, made from the recording.

    Raises:
        NoSourcesError: its footage was erased or never was there.
        SourceError: the file is gone, has changed or cannot be decoded.
        UnreachableError: the medium does not answer.
    """
    span = TimeRange(at_ns, at_ns + NS_PER_US)
    cuts = cuts_of(index, Wanted(camera=event["camera"], span=span))
    if not cuts:
        raise NoSourcesError(
            f"event {event['event_id']}: there is no footage of it any more; coverage says why"
        )
    name = make_id(event["event_id"], event["fingerprint"], cuts[0].video.video_id, span)

    def made() -> bytes:
        return _small(still_picture(cuts[0], decode=decode, access=access))

    webp = remembered(index.store, name, made)
    return EventPicture(webp=webp, at=ns_to_datetime(at_ns), is_kept=False)


def made_pictures(
    index: Index, events: Sequence[Row], *, decode: DecodeConfig, access: Access, for_s: float
) -> Iterator[tuple[str, bytes]]:
    """Event id and WebP, made from the recordings, in this order, for so many seconds at most.

    A recording that is gone, was erased, or hangs or crashes its decoder gives no picture.
    """
    ends_at = time.monotonic() + for_s
    left: list[tuple[str, Cut]] = []
    for event in events:
        if time.monotonic() > ends_at:
            return
        at_ns = _middle_ns(event)
        span = TimeRange(at_ns, at_ns + NS_PER_US)
        cuts = cuts_of(index, Wanted(camera=event["camera"], span=span))
        left += [(event["event_id"], cut) for cut in cuts[:1]]
    while left:
        try:
            for event_id, webp in in_child_process(_stills, list(left), decode, access):
                left.pop(0)
                if webp:
                    yield event_id, webp
                if time.monotonic() > ends_at:
                    return
        except ProcessDiedError:
            left.pop(0)  # the one that it was working on


def _stills(
    wanted: Sequence[tuple[str, Cut]], decode: DecodeConfig, access: Access
) -> Iterator[tuple[str, bytes]]:
    """In a child process: each picture, empty where there is none."""
    with watchdog(_STALL_S):
        for event_id, cut in wanted:
            webp = b""
            with suppress(SourceError, UnreachableError):
                webp = _small(still_picture(cut, decode=decode, access=access))
            yield event_id, webp


def picture_size(index: Index, event: Row) -> tuple[int, int] | None:
    """Width and height of the upright picture that the boxes are in; None if nobody knows."""
    if event["picture_width"] and event["picture_height"]:
        return event["picture_width"], event["picture_height"]
    where = Where().add("video_id = ?", event["video_id"])
    columns = ["width", "height", "rotation"]
    for row in index.select("videos", where, columns=columns).to_pylist():
        return upright_size(row["width"], row["height"], row["rotation"])
    return None


def with_boxes(index: Index, event: Row, picture: EventPicture) -> bytes:
    """The picture with the boxes of the moment that is nearest to it; WebP."""
    boxes: Sequence[Row] = event["boxes"]
    size = picture_size(index, event)
    if not boxes or size is None:
        return picture.webp
    nearest = min(boxes, key=lambda box: abs(box["at"] - picture.at))["at"]
    image = Image.open(io.BytesIO(picture.webp), formats=["WEBP"]).convert("RGB")
    draw = ImageDraw.Draw(image)
    across, down = image.width / size[0], image.height / size[1]
    for box in boxes:
        if box["at"] == nearest:
            corners = (box["x0"] * across, box["y0"] * down, box["x1"] * across, box["y1"] * down)
            draw.rectangle(corners, outline=_LINE, width=2)
    return webp_of(image)


def with_zones(webp: bytes, zones: Iterable[ZoneConfig]) -> bytes:
    """The picture with zones drawn into it; WebP."""
    image = Image.open(io.BytesIO(webp), formats=["WEBP"]).convert("RGB")
    draw = ImageDraw.Draw(image)
    for zone in zones:
        shape = (*zone.polygon, *zone.polygon[:1]) or zone.line
        draw.line([(x * image.width, y * image.height) for x, y in shape], _ZONE_LINE, width=2)
    return webp_of(image)


def _middle_ns(event: Row) -> int:
    """The whole microsecond in the middle of an event; UTC."""
    twice_middle_ns = datetime_to_ns(event["start"]) + datetime_to_ns(event["end"])
    return twice_middle_ns // 2 // NS_PER_US * NS_PER_US


def _small(picture: Image.Image) -> bytes:
    picture.thumbnail((WEBP_WIDTH, picture.height))
    return webp_of(picture)
