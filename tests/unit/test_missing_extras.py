"""What a part says whose package is not installed: the package, the extra, and the way out."""

import sys
from pathlib import Path

import pytest

from pipeline.engine.page_text import open_page_reader
from pipeline.errors import ConfigError, EngineStartError
from pipeline.minutes import make_minutes
from pipeline.report.minutes import Meeting
from pipeline.report.minutes_docx import write_docx


def test_reading_pages_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    open_page_reader.cache_clear()
    with pytest.raises(EngineStartError, match=r"install timereel\[ocr\], or set"):
        open_page_reader()


def test_a_word_document_names_its_extra(monkeypatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "docx", None)
    nothing = Meeting(
        uri="v.mp4", camera="cam", start="", minutes=make_minutes([], []), cautions=()
    )
    with pytest.raises(ConfigError, match=r"pip install 'timereel\[docx\]'"):
        write_docx(nothing, tmp_path / "minutes.docx")
