"""What lists in a row of ``videos`` hold: footage, what was yielded, copies, pages of a deck."""

from dataclasses import dataclass

from pipeline.records import DeckPage, Video, Yielded
from pipeline.tables.columns import Column, Columns
from pipeline.tables.shared import INT64, STRING, utc_range
from pipeline.timebase import TimeRange


@dataclass(frozen=True, slots=True)
class YieldedUtc:
    """What a video has yielded, in UTC."""

    utc: TimeRange
    yielded: Yielded


SPAN: Columns[TimeRange] = Columns(
    "A range of UTC.",
    utc_range(),
)

YIELDED: Columns[YieldedUtc] = Columns(
    "A stretch of a file's footage, and the file of its camera that speaks for it instead.",
    [
        *utc_range("utc"),
        Column("to_uri", STRING, "The other file.", path="yielded.uri"),
        Column("to_video_id", STRING, "Its id.", path="yielded.video_id"),
    ],
)

MEDIA_SPAN: Columns[TimeRange] = Columns(
    "A range of media time.",
    [
        Column("start_ns", INT64, "Its begin, in nanoseconds of the file.", path="start_ns"),
        Column("end_ns", INT64, "Its end, exclusive.", path="end_ns"),
    ],
)

COPY: Columns[Video] = Columns(
    "Another file with the same content, camera and start.",
    [
        Column("uri", STRING, "The file.", path="uri"),
        Column("num_bytes", INT64, "Its size.", path="num_bytes"),
        Column("etag", STRING, "Changes when its content may have.", path="etag"),
        Column("clock", STRING, "What says when it began.", path="clock"),
    ],
)

DECK_PAGE: Columns[DeckPage] = Columns(
    "One page of a deck.",
    [
        Column("text", STRING, "Its words, line by line.", path="text"),
        Column(
            "picture",
            STRING,
            "How it looks, small and grey: WebP in base64; empty where the deck does not say.",
            path="picture",
        ),
    ],
)
