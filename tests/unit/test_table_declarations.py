"""Each table is declared once: what is stored stays as it is, and every field has a column."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import get_args

import pyarrow as pa
import pytest

from pipeline.index.erase_orders import Erasure
from pipeline.index.filters import Cameras, Span
from pipeline.index.scope import Scope
from pipeline.records import (
    Alert,
    Box,
    Completion,
    Event,
    Feedback,
    Happening,
    Line,
    PageView,
    Part,
    Run,
    RunFigures,
    Segment,
    Slide,
    Summary,
    Utterance,
    Verification,
    Video,
    VoicePrint,
    WindowResult,
    Word,
    WrittenNote,
)
from pipeline.tables import (
    alerts,
    erasures,
    events,
    feedback,
    runs,
    segments,
    slides,
    summaries,
    utterances,
    videos,
    windows,
)
from pipeline.tables.columns import Column, Columns
from pipeline.tables.reference import reference
from pipeline.tables.schema import DECLARED, TABLES, TableName
from pipeline.tables.shared import STRING
from tests.conftest import ROOT


def described(name, field):
    return f"{name}.{field.name}: {field.type}{'' if field.nullable else ' not null'}"


@pytest.mark.parametrize("name", TABLES)
def test_stored_columns_stay_as_they_are_and_new_ones_may_be_null(name):
    golden = (ROOT / "tests" / "golden" / "columns.txt").read_text(encoding="utf-8").splitlines()
    before = [line for line in golden if line.startswith(f"{name}.")]
    now = [described(name, field) for field in TABLES[name]]
    assert [line for line in now if line in before] == before
    added = [line for line in now if line not in before]
    assert not [line for line in added if line.endswith(" not null")]


def test_every_table_has_a_declaration():
    assert get_args(TableName) == tuple(DECLARED) == tuple(TABLES)


@pytest.mark.parametrize(
    ("columns", "at", "record", "elsewhere"),
    [
        (windows.COLUMNS, "result", WindowResult, {"pictures"}),
        (windows.VERIFICATION, "", Verification, {"completion"}),
        (windows.VERIFICATION, "completion", Completion, {"told"}),
        (events.COLUMNS, "", Event, {"joined"}),
        (events.BOX, "", Box, set()),
        (events.PART, "", Part, set()),
        (segments.COLUMNS, "", Segment, set()),
        (utterances.COLUMNS, "", Utterance, set()),
        (utterances.WORD, "", Word, set()),
        (slides.COLUMNS, "", Slide, set()),
        (windows.VIEW, "", PageView, set()),
        (windows.VOICE, "", VoicePrint, set()),
        (summaries.COLUMNS, "summary", Summary, set()),
        (summaries.SENTENCE, "", Line, {"label"}),
        (summaries.NOTE, "", WrittenNote, set()),
        (runs.COLUMNS, "", Run, {"figures"}),
        (runs.COLUMNS, "figures", RunFigures, set()),
        (feedback.COLUMNS, "", Feedback, set()),
        (alerts.COLUMNS, "", Alert, {"what"}),
        (alerts.COLUMNS, "what", Happening, set()),
        (erasures.COLUMNS, "", Erasure, {"scope"}),
        (erasures.COLUMNS, "scope", Scope, {"cameras", "span"}),
        (erasures.COLUMNS, "scope.cameras", Cameras, set()),
        (erasures.COLUMNS, "scope.span", Span, set()),
        (
            videos.COLUMNS,
            "video",
            Video,
            {"stream_index", "sar", "footage", "yielded", "num_keyframes", "deck"},
        ),
    ],
)
def test_every_field_of_a_record_has_a_column(columns, at, record, elsewhere):
    """A field without one would come back as its default, and nobody would see it."""
    owned = [column.path.rpartition(".") for column in columns.columns]
    assert {name for owner, _, name in owned if name and owner == at} | elsewhere == {
        field.name for field in fields(record)
    }


def test_a_column_is_added_in_one_place():
    added = Column("note", STRING, "What a person wrote.", path="error", nullable=True)
    wider = Columns(runs.COLUMNS.doc, [*runs.COLUMNS.columns, added])
    run = Run(
        run_id="r", start=datetime(2026, 1, 1, tzinfo=UTC), host="h", pid=1, process="p",
        heartbeat_at=datetime(2026, 1, 1, tzinfo=UTC), task="t", fingerprint="f", version="1",
        error="full disk",
    )  # fmt: skip
    assert wider.schema == TABLES["runs"].append(pa.field("note", pa.string()))
    [row] = wider.table([run]).to_pylist()
    assert row["note"] == "full disk"
    assert wider.reader({"": Run, "figures": RunFigures})(row) == run


def test_the_page_of_tables_is_what_their_declarations_say():
    page = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    assert page == reference(), "run: python -m pipeline.tables.reference docs/tables.md"


def test_every_column_has_a_sentence_of_its_own():
    def sentences(columns):
        for column in columns.columns:
            yield column.doc
            if column.items:
                yield from sentences(column.items)

    docs = [doc for table in DECLARED.values() for doc in (table.doc, *sentences(table))]
    assert [doc for doc in docs if not doc.endswith(".") or "\n" in doc or "|" in doc] == []
