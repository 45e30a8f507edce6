"""The table ``windows``: for each prompt what the model was shown, and what it answered."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from pipeline.records import (
    Completion,
    PageView,
    Verification,
    Video,
    VoicePrint,
    WindowResult,
)
from pipeline.tables.columns import Column, Columns, list_of
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
from pipeline.timebase import TimeRange


@dataclass(frozen=True, slots=True)
class AnsweredWindow:
    """The record behind a row."""

    video: Video
    result: WindowResult

    @property
    def utc(self) -> TimeRange:
        """When it was."""
        return self.video.utc(self.result.span)


VERIFICATION: Columns[Verification] = Columns(
    "A verification of a short range of a window, with its own receipt.",
    [
        *media_range("span"),
        Column("frame_pts", pa.list_(INT64), "Ticks of its frames.", path="frame_pts"),
        Column(
            "markers", STRINGS, "Time texts that the model was shown.", path="completion.markers"
        ),
        Column("completion", STRING, "What the model answered.", path="completion.text"),
        Column(
            "finish_reason",
            STRING,
            "Why the model stopped to write.",
            path="completion.finish_reason",
        ),
        Column(
            "confidences",
            pa.list_(FLOAT32),
            "Probability of the label of each event in the answer.",
            path="completion.confidences",
        ),
        Column(
            "num_prompt_tokens",
            INT32,
            "Tokens of its prompt.",
            path="completion.num_prompt_tokens",
        ),
        Column(
            "num_output_tokens",
            INT32,
            "Tokens of its answer.",
            path="completion.num_output_tokens",
        ),
        Column("error", STRING, "Why there is no answer; else empty.", path="completion.error"),
    ],
)

VIEW: Columns[PageView] = Columns(
    "A stretch of a window with one page on screen, or with none.",
    [
        *media_range("span", is_stored_exactly=True),
        *exact_media_range("span"),
        Column(
            "frame_pts",
            pa.list_(INT64),
            "Ticks of the frame that shows the page first, and of each that adds to it.",
            path="frame_pts",
        ),
        Column(
            "picture",
            STRING,
            "What stands still: a small grey WebP in base64; empty if that is no page.",
            path="picture",
        ),
        Column(
            "text",
            STRING,
            "The words on it; empty where nobody reads them.",
            path="text",
            from_row=lambda row: row["text"] or "",
            nullable=True,
        ),
    ],
)

VOICE: Columns[VoicePrint] = Columns(
    "A moment of a window with one voice.",
    [
        *media_range("span", is_stored_exactly=True),
        *exact_media_range("span"),
        Column("track", INT32, "Number of the audio track in the file, from 0.", path="track"),
        Column(
            "vector",
            STRING,
            "What the network made of the voice: signed bytes in base64.",
            path="vector",
        ),
        Column(
            "alike",
            pa.list_(FLOAT32),
            "Mean cosine with each voice that has a name, in the order of the names.",
            path="alike",
        ),
    ],
)

COLUMNS: Columns[AnsweredWindow] = Columns(
    "Each window once: the receipt of what a model was shown, and what it answered.",
    [
        *range_columns(camera="video.camera", utc="utc"),
        Column(
            "status", STRING, "`analysed`, `quiet`, `failed` or `erased`.", path="result.status"
        ),
        Column(
            "quiet_reason",
            STRING,
            "Why no engine was asked, of a quiet window: nothing changes, or no wanted object.",
            path="result.quiet_reason",
            from_row=lambda row: row["quiet_reason"] or "",
            nullable=True,
        ),
        Column(
            "told",
            STRING,
            "What the model was told before its question of what a detector saw; else empty.",
            path="result.told",
            from_row=lambda row: row["told"] or "",
            nullable=True,
        ),
        *file_columns(video_id="result.video_id", uri="video.uri"),
        *media_range("result.span", is_stored_exactly=True),
        Column("window_id", STRING, "Hash of the frames and their times.", path="result.window_id"),
        Column(
            "shard_id", STRING, "The windows that were decoded together.", path="result.shard_id"
        ),
        *exact_media_range("result.span"),
        Column(
            "frame_pts",
            pa.list_(INT64),
            "The frames that were looked at, as ticks of the stream's `time_base` (see `videos`).",
            path="result.frame_pts",
        ),
        Column(
            "frame_s",
            pa.list_(SECONDS),
            "The same frames as seconds in the file.",
            to_row=lambda window: [
                seconds(window.video.media_ns(pts)) for pts in window.result.frame_pts
            ],
        ),
        Column(
            "num_suspect_frames",
            INT32,
            "How many of the frames may be damaged.",
            path="result.num_suspect",
        ),
        Column(
            "markers",
            STRINGS,
            "The time texts that the model was shown for the frames.",
            path="result.markers",
        ),
        Column(
            "completion",
            STRING,
            "What the model answered first, word for word.",
            path="result.text",
        ),
        Column(
            "finish_reason", STRING, "Why the model stopped to write.", path="result.finish_reason"
        ),
        Column(
            "confidences",
            pa.list_(FLOAT32),
            "For each event of the completion, the probability that the model gave to its label.",
            path="result.confidences",
            from_row=lambda row: tuple(row["confidences"] or ()),
            nullable=True,
        ),
        list_of(
            "looks",
            VERIFICATION,
            "Second looks at the borders of events.",
            path="result.verifications",
            makers={"": Verification, "completion": Completion},
            nullable=True,
        ),
        Column(
            "num_prompt_tokens",
            INT32,
            "Tokens of all prompts, second looks included.",
            path="result.num_prompt_tokens",
        ),
        Column(
            "num_output_tokens",
            INT32,
            "Tokens of all answers, second looks included.",
            path="result.num_output_tokens",
        ),
        Column("decode_cpu_s", SECONDS, "CPU seconds of decoding.", path="result.decode_cpu_s"),
        Column(
            "engine_s",
            SECONDS,
            "Its share of the seconds in which an engine was busy.",
            path="result.engine_s",
        ),
        Column("error", STRING, "Why it failed; else empty.", path="result.error"),
        *PROVENANCE,
        list_of(
            "views",
            VIEW,
            "The pages on screen, where slides are looked for; the table `slides` joins them.",
            path="result.views",
            makers={"": PageView},
            nullable=True,
        ),
        list_of(
            "voices",
            VOICE,
            "The voices in it, where they tell speakers apart; `utterances` says who speaks.",
            path="result.voices",
            makers={"": VoicePrint},
            nullable=True,
        ),
    ],
)


def windows_table(
    results: Iterable[tuple[Video, WindowResult]], provenance: Provenance
) -> pa.Table:
    """Rows of ``windows``."""
    answered = (AnsweredWindow(video, result) for video, result in results)
    return COLUMNS.table(answered, **provenance.columns())


def window_results(table: pa.Table) -> list[WindowResult]:
    """The records behind rows of ``windows``, to build events from again."""
    read = COLUMNS.reader({"result": WindowResult}, "result")
    return [read(row) for row in table.to_pylist()]
