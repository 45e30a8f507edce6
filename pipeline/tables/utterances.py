"""The table ``utterances``: what is said, when, by whom, word by word."""

from collections.abc import Iterable
from contextlib import suppress

import pyarrow as pa

from pipeline.errors import IndexFormatError
from pipeline.records import Utterance, Word
from pipeline.tables.columns import Column, Columns, list_of
from pipeline.tables.shared import (
    FLOAT32,
    INT32,
    PROVENANCE,
    STRING,
    STRINGS,
    Provenance,
    file_columns,
    media_range,
    range_columns,
    utc_range,
)

WORD: Columns[Word] = Columns(
    "One spoken word.",
    [
        *utc_range("span"),
        Column("text", STRING, "The word as the engine writes it.", path="text"),
        Column(
            "probability",
            FLOAT32,
            "How sure the engine is of the word, 0 to 1; null where it does not say.",
            path="probability",
            nullable=True,
        ),
    ],
)

COLUMNS: Columns[Utterance] = Columns(
    "What is said: about a sentence of one speaker in each row.",
    [
        *range_columns(camera="camera", utc="span"),
        *file_columns(video_id="video_id", uri="uri"),
        *media_range("media"),
        Column("utterance_id", STRING, "Hash of what the utterance is.", path="utterance_id"),
        Column(
            "track",
            INT32,
            "Number of the audio track in the file, from 0; -1 where it comes from a text.",
            path="track",
        ),
        Column("speaker", STRING, "Who speaks; empty where nobody knows.", path="speaker"),
        Column("language", STRING, "Code such as `en`; empty if not known.", path="language"),
        Column("text", STRING, "What is said.", path="text"),
        list_of(
            "words",
            WORD,
            "Each word with its time; empty where the engine times no words.",
            path="words",
            makers={"": Word},
        ),
        Column(
            "confidence",
            FLOAT32,
            "Mean probability of its words; null where the engine does not say.",
            path="confidence",
            nullable=True,
        ),
        Column(
            "window_ids",
            STRINGS,
            "The windows whose sound it was heard in: which samples, and the engine's answer.",
            path="window_ids",
        ),
        *PROVENANCE,
        Column(
            "speaker_confidence",
            FLOAT32,
            "How sure it is who speaks, 0 to 1; null where that was not told by the voice.",
            path="speaker_confidence",
            nullable=True,
        ),
    ],
)


def utterances_table(utterances: Iterable[Utterance], provenance: Provenance) -> pa.Table:
    """Rows of ``utterances``."""
    return COLUMNS.table(utterances, **provenance.columns())


def utterances_of_table(table: pa.Table) -> list[Utterance]:
    """The records behind rows of ``utterances``."""
    read = COLUMNS.reader({"": Utterance})
    return [read(row) for row in table.to_pylist()]


def whole_utterances_of_table(table: pa.Table) -> list[Utterance]:
    """As ``utterances_of_table``, without rows that are no rows of timereel."""
    read, found = COLUMNS.reader({"": Utterance}), []
    for row in table.to_pylist():
        with suppress(IndexFormatError):
            found.append(read(row))
    return found
