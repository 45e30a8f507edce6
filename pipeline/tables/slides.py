"""The table ``slides``: which page was shown when."""

from collections.abc import Iterable

import pyarrow as pa

from pipeline.records import Slide
from pipeline.tables.columns import Column, Columns
from pipeline.tables.shared import (
    FLOAT32,
    INT32,
    INT64,
    PROVENANCE,
    SECONDS,
    STRING,
    STRINGS,
    Provenance,
    exact_media_range,
    file_columns,
    media_range,
    range_columns,
    seconds,
)

COLUMNS: Columns[Slide] = Columns(
    "Each showing of a page: of a talk or meeting, when which page was on the screen. "
    "Footage of cameras has none.",
    [
        *range_columns(camera="camera", utc="span"),
        *file_columns(video_id="video_id", uri="uri"),
        *media_range("media", is_stored_exactly=True),
        *exact_media_range("media"),
        Column("slide_id", STRING, "Hash of what the showing is.", path="slide_id"),
        Column(
            "page",
            INT32,
            "Pages count from 1 as they appear, and a page that is shown again keeps its number.",
            path="page",
        ),
        Column(
            "frame_pts",
            pa.list_(INT64),
            "The first frame that shows the page, and each that adds to it, as ticks of the "
            "stream's `time_base` (see `videos`).",
            path="frame_pts",
        ),
        Column(
            "step_s",
            pa.list_(SECONDS),
            "Seconds in the file at which something was added to the page.",
            to_row=lambda slide: list(map(seconds, slide.steps)),
        ),
        Column(
            "steps_ns",
            pa.list_(INT64),
            "The same to the nanosecond.",
            path="steps",
        ),
        Column(
            "picture",
            STRING,
            "The page at the end, small and grey: WebP in base64, transparent where the picture "
            "never rests.",
            path="picture",
        ),
        Column("window_ids", STRINGS, "The windows that show it.", path="window_ids"),
        *PROVENANCE,
        Column(
            "text",
            STRING,
            "The words on the page, line by line; null or empty where nobody reads them.",
            path="text",
            from_row=lambda row: row["text"] or "",
            nullable=True,
        ),
        Column(
            "deck_page",
            INT32,
            "The number of the page in the deck beside the recording, from 1; null where there is "
            "no deck, or it has no such page.",
            path="deck_page",
            nullable=True,
        ),
        Column(
            "deck_score",
            FLOAT32,
            "How much it is like that page, 0 to 1.",
            path="deck_score",
            nullable=True,
        ),
        Column(
            "deck_text",
            STRING,
            "The words that the deck has on that page.",
            path="deck_text",
            from_row=lambda row: row["deck_text"] or "",
            nullable=True,
        ),
    ],
)


def slides_table(slides: Iterable[Slide], provenance: Provenance) -> pa.Table:
    """Rows of ``slides``."""
    return COLUMNS.table(slides, **provenance.columns())


def slides_of_table(table: pa.Table) -> list[Slide]:
    """The records behind rows of ``slides``."""
    read = COLUMNS.reader({"": Slide})
    return [read(row) for row in table.to_pylist()]
