"""Nothing that is shown holds a character that commands a terminal or turns text around."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import warnings
import weakref
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.export.formats import to_json, write_rows
from pipeline.processes.crash_isolation import in_child_process
from pipeline.records.sanitize import sanitized, sanitized_lines
from tests.conftest import ROOT
from tests.state import examples

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\x00\r\u202egpj.\u2066\u2028"

texts = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from([*map(chr, (*range(32), *range(0x7F, 0xA0), *range(0x2028, 0x202F)))])
)
any_text = examples(60, 1)


def shown(table, form):
    out = io.BytesIO()
    write_rows(table, form, out)
    text = out.getvalue().decode()
    # CSV ends its lines so (RFC 4180).
    return text.replace("\r\n", "\n") if form == "csv" else text


@any_text
@given(texts, texts)
@example(EVIL, EVIL)
@example("--->", "a --> b\n\nc")
def test_no_format_that_is_shown_holds_an_unsafe_character(text, other):
    row = {
        "uri": text, "text": other, "media_start": 0.0, "media_end": 1.0, "parts": None,
        "names": [text, other], "inside": {"a": text},
    }  # fmt: skip
    table = pa.Table.from_pylist([row])
    for form in ("table", "csv", "jsonl", "webvtt"):
        assert not UNSAFE.search(shown(table, form)), form


@any_text
@given(texts)
@example(EVIL)
def test_the_name_of_a_column_is_shown_like_a_text(text):
    table = pa.table({text: [1]})
    for form in ("table", "csv", "jsonl"):
        assert not UNSAFE.search(shown(table, form)), form


@any_text
@given(texts)
@example(EVIL)
def test_json_lines_read_back_equal(text):
    [line] = shown(pa.table({"text": [text], "list": [[text]]}), "jsonl").splitlines()
    assert json.loads(line) == {"text": text, "list": [text]}


def test_json_of_half_a_surrogate_pair_can_be_written_and_reads_back_equal():
    assert json.loads(to_json("a\ud800").encode()) == "a\ud800"


@any_text
@given(texts)
@example(EVIL)
def test_parquet_keeps_the_text_as_it_is_stored(text):
    table = pa.table({"text": [text]})
    out = io.BytesIO()
    write_rows(table, "parquet", out)
    assert pa.parquet.read_table(io.BytesIO(out.getvalue())).equals(table)


@pytest.mark.parametrize("first", "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
@pytest.mark.parametrize("space", ["", " ", "\x00", "\u00a0"])
def test_csv_holds_no_formula(first, space):
    text = f"{space}{first}HYPERLINK(1)"
    table = pa.table({text: [text]})
    for row in csv.reader(io.StringIO(shown(table, "csv"))):
        assert row[0].startswith("'") or row[0].strip().startswith("HYPER")


@pytest.mark.parametrize("value", [-1, -1.5, Decimal("-2.5"), None, True])
def test_csv_keeps_numbers_as_they_are(value):
    [_, row] = csv.reader(io.StringIO(shown(pa.table({"a": [value], "b": [1]}), "csv")))
    assert row[0] == ("" if value is None else str(value))


def test_csv_takes_a_negative_interval_for_text():
    [_, row] = csv.reader(io.StringIO(shown(pa.table({"a": [timedelta(days=-1)]}), "csv")))
    assert row == ["'-1 day, 0:00:00"]


def test_a_type_that_parquet_lacks_is_refused_with_a_remedy():
    table = pa.table({"a": pa.array([{}], pa.struct([]))})
    with pytest.raises(ConfigError, match=r"parquet: .*cast that column to text"):
        write_rows(table, "parquet", io.BytesIO())


@any_text
@given(texts)
@example("\x85")
def test_a_text_of_several_lines_keeps_them_and_nothing_unsafe(text):
    lines = sanitized_lines(text)
    assert not UNSAFE.search(lines)
    assert lines.count("\n") == text.count("\n")
    assert "\n" not in sanitized(text)


def test_a_command_prints_through_one_function():
    prints = re.compile(r"\b(typer|click)\.(echo|secho)\(|\bprint\(|sys\.stderr\.write")
    found = [p.name for p in (ROOT / "pipeline/cli").glob("*.py") if prints.search(p.read_text())]
    # The cells of evaluate's table are clean before rich prints them.
    assert set(found) == {"terminal.py", "evaluate.py"}


def timereel(*arguments):
    """Its exit code, and what it prints to a terminal on both of its streams."""
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "timereel", *arguments], stdout=other_end, stderr=other_end, cwd=ROOT
    ) as process:
        os.close(other_end)
        printed = b""
        while chunk := _read(terminal):
            printed += chunk
    os.close(terminal)
    return process.returncode, printed.decode()


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize("command", [("probe",), ("frames", "--fps", "1"), ("config", "validate")])
def test_an_error_about_a_file_shows_its_name_without_commands(tmp_path, command):
    path = tmp_path / (EVIL.replace("\x00", "").replace("/", "") + ".mp4")
    path.write_bytes(b"no video: \x1b[31m")
    code, printed = timereel(*command, str(path))
    assert code in {2, 4}
    assert "owned" in printed
    assert not UNSAFE.search(printed.replace("\r\n", "\n"))


def bug_of(where, name):
    """In a child process: a bug or a warning that quotes a name."""
    if where == "warning":
        warnings.warn(name, stacklevel=1)
    elif where == "thread":
        thread = threading.Thread(target=bug_of, args=("stage", name))
        thread.start()
        thread.join()
    elif where == "end of an object":
        weakref.finalize(set(), bug_of, "stage", name)
    else:
        raise ValueError(name)
    return [()]


@pytest.mark.parametrize("where", ["stage", "thread", "warning", "end of an object"])
def test_the_bug_of_a_child_process_shows_a_name_without_commands(capfd, where):
    with suppress(RuntimeError):
        list(in_child_process(bug_of, where, f"gate{EVIL}gate"))
    said = capfd.readouterr().err
    assert "owned" in said
    assert not UNSAFE.search(said)


def test_a_log_line_for_people_shows_a_name_without_commands():
    program = (
        "from pipeline.processes.logs import configure_logs; import structlog;"
        "configure_logs(); log = structlog.get_logger();"
        f"evil = {EVIL!r}\n"
        "try: raise ValueError(evil)\n"
        "except ValueError: log.warning(evil, uri=evil, exc_info=True)"
    )
    terminal, other_end = pty.openpty()
    subprocess.run([sys.executable, "-c", program], stderr=other_end, check=True, cwd=ROOT)
    os.close(other_end)
    printed = _read(terminal).decode()
    os.close(terminal)
    assert printed.count("owned") == 3
    colours = re.compile(r"\x1b\[[0-9;]*m")
    assert not UNSAFE.search(colours.sub("", printed.replace("\r\n", "\n")))
    assert "\x1b[31m" not in printed.partition("Traceback")[2]


def test_what_ray_prints_and_what_is_logged_meanwhile_both_go_to_stderr_once():
    program = (
        "import structlog; from pipeline.cli.index import _stdout_of_ray_to_log\n"
        "with _stdout_of_ray_to_log():\n"
        "    print('a raylet says so'); structlog.get_logger().warning('a worker says so')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout == ""
    assert done.stderr.count("a raylet says so") == 1
    assert done.stderr.count("a worker says so") == 1
