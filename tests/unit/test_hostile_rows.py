"""Whatever an index of somebody else holds: commands end with a sentence and tell nothing raw."""

import re

import pyarrow as pa
import pytest

from pipeline.cli.app import main
from pipeline.errors import EXIT_BUG
from pipeline.index.stored_rows import MAX_TEXT_BYTES, oddity
from tests.hostile_rows import KINDS, TEXT, hostile_index

TABLES = ("videos", "windows", "events", "tracks", "segments", "utterances", "slides", "summaries")
EXPORTS = (
    *("parquet", "otio", "edl", "activitynet", "qvhighlights", "coco", "mot", "label-studio"),
    *("cvat", "drawio", "qwen", "ms-swift", "llamafactory"),
)
# Line breaks and tabs are what texts are made of.
UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
BINARY = {".parquet", ".docx"}


def commands(out, name, event):
    """Every command that shows rows, with what it writes under ``out``."""
    shown = [("query", "--table", table) for table in (*TABLES, "feedback")]
    yield from ((*one, "--format", form) for one in shown for form in ("table", "csv", "jsonl"))
    for table in ("events", "utterances"):
        yield from (("query", "--table", table, "--format", form) for form in ("webvtt", "srt"))
    yield "query", "--sql", "SELECT * FROM events"
    yield from (("query", "--edit", f"{out}/edit.{kind}") for kind in ("otio", "edl"))
    yield from (("coverage",), ("coverage", "--kind", "heard"), ("runs",), ("alerts", "status"))
    yield from (("status",), ("status", "--json"), ("status", "--late", "2h"))
    yield from (("search", "HYPERLINK", "--in", kind) for kind in ("seen", "said", "shown"))
    for form in ("md", "html", "json", "docx"):
        yield "minutes", "--video", name, "--format", form, "--out", f"{out}/minutes.{form}"
    yield "report", f"{out}/report.html"
    yield "track", f"{out}/track.html", "--event", event
    # An edit list is known by its suffix.
    yield from (("export", f"{out}/made.{form}", "--format", form) for form in EXPORTS)
    yield from (("clip", f"{out}/clips", "--label", "*"), ("check",), ("vacuum",), ("embed",))
    yield from (("erase", "--camera", "*", "--dry-run"), ("erase", "--camera", "*"))


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_ends_a_command_with_a_traceback_or_comes_out_raw(
    tmp_path, monkeypatch, capfdbinary, kind
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    index, out = hostile_index(tmp_path / "index", kind), tmp_path / "out"
    out.mkdir()
    name, event = (TEXT, TEXT) if kind == "everything" else ("v1", "e1")
    for command in commands(out, name, event):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--index", str(index)])
        told = [text.decode() for text in capfdbinary.readouterr()]
        assert ended.value.code != EXIT_BUG, (command, told)
        assert not [text for text in told if UNSAFE.search(text)], command
    shown = [path for path in out.rglob("*") if path.is_file() and path.suffix not in BINARY]
    assert {path for path in shown if UNSAFE.search(path.read_bytes().decode())} == set()
    if kind == "texts":
        forms = {".md", ".html", ".edl", ".otio", ".xml", ".activitynet", ".qvhighlights", ".coco"}
        assert {path.suffix for path in shown} >= forms


@pytest.mark.parametrize("name", ["text", "window_ids"])
def test_a_text_has_at_most_16_mib(name):
    longest = "x" * MAX_TEXT_BYTES
    for text, is_odd in ((longest, False), (longest + "x", True)):
        table = pa.table({name: [text if name == "text" else ["a", text]]})
        assert ("more than 16,777,216 bytes" in oddity("events", table)) == is_odd


def test_rows_of_every_batch_are_checked():
    good, bad = (pa.table({"confidence": pa.array([value], pa.float32())}) for value in (1, 2e10))
    assert oddity("events", pa.concat_tables([good, good])) == ""
    assert "confidence" in oddity("events", pa.concat_tables([good, bad]))
