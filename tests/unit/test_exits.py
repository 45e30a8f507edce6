"""Every way out of an index whose texts are hostile: read as its format is read, nothing breaks it.

``test_hostile_rows`` says that no command ends with a traceback or shows a raw control character.
Here each format is parsed again, and must hold as many rows, cells, cues and tags as it was given.
"""

import csv
import io
import json
import re
import sys
import unicodedata
import zipfile
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import anyio
import pytest
from markdown_it import MarkdownIt
from mcp import Client
from prometheus_client.parser import text_string_to_metric_families

import pipeline.index as pi
from pipeline.agents.server import Tools, make_server
from pipeline.alerts.message import Message
from pipeline.alerts.sinks import open_sink
from pipeline.config import DecodeConfig
from pipeline.config.alerts import SinkConfig
from pipeline.export.formats import write_rows
from pipeline.index.status import index_status
from pipeline.records.file_names import file_name
from pipeline.see.metrics import Metrics
from pipeline.storage.access import PUBLIC
from tests.alert_archive import config
from tests.hostile_archive import NOTED, TEXTS, UNSAFE, hostile_archive, page_of
from tests.index_rows import at


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return hostile_archive(tmp_path_factory.mktemp("exits") / "index")


@pytest.fixture(scope="module")
def index(archive):
    return pi.open(archive.folder)


TABLES = ("events", "segments", "utterances")


def written(table, form):
    out = io.BytesIO()
    write_rows(table, form, out)
    return out.getvalue().decode()


@pytest.mark.parametrize("name", TABLES)
def test_a_spreadsheet_reads_each_row_and_no_formula(index, name):
    table = index.rows(name)
    limit = csv.field_size_limit(2**21)  # of this reader alone
    read = list(csv.reader(io.StringIO(written(table, "csv"), newline="")))
    csv.field_size_limit(limit)
    assert len(read) == table.num_rows + 1
    assert {len(row) for row in read} == {table.num_columns}
    numbers = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")
    cells = [cell for row in read for cell in row if not numbers.fullmatch(cell)]
    starts = {unicodedata.normalize("NFKC", cell.lstrip())[:1] for cell in cells}
    assert not starts & set("=+-@")
    assert not [cell for cell in cells if UNSAFE.search(cell)]


@pytest.mark.parametrize("name", TABLES)
def test_json_lines_read_back_equal_and_hold_nothing_raw(index, name):
    table = index.rows(name)
    lines = written(table, "jsonl")
    assert [json.loads(line)["text"] for line in lines.splitlines()] == table["text"].to_pylist()
    assert not UNSAFE.search(lines)


@pytest.mark.parametrize("name", TABLES)
def test_a_player_reads_as_many_cues_as_there_are_rows(index, name):
    table = index.rows(name)
    vtt = written(table, "webvtt")
    head, note, *cues = vtt.rstrip("\n").split("\n\n")
    assert (head, note.partition(" ")[0]) == ("WEBVTT", "NOTE")
    assert len(cues) == table.num_rows
    for cue in cues:
        timing, _, text = cue.partition("\n")
        assert re.fullmatch(r"[\d:.]+ --> [\d:.]+", timing)
        assert "-->" not in text
        assert "<" not in re.sub("^<v [^<>\n]+>", "", text)
    blocks = written(table, "srt").rstrip("\n").split("\n\n")
    assert len(blocks) == table.num_rows
    for number, block in enumerate(blocks, start=1):
        told, timing, text = block.split("\n", 2)
        assert told == str(number)
        assert re.fullmatch(r"[\d:,]+ --> [\d:,]+", timing)
        assert not set("<>{}") & set(text)
    assert not UNSAFE.search(vtt)


class Tags(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self):
        super().__init__()
        self.bad = []

    def handle_starttag(self, tag, attrs):
        if tag in {"script", "iframe", "object", "embed", "base", "link", "form", "meta"}:
            self.bad += [tag] if tag != "meta" or dict(attrs).get("http-equiv") == "refresh" else []
        for name, value in attrs:
            leads = name in {"href", "src", "action"} and not re.match("#|data:image/", value or "")
            if name.startswith("on") or leads:
                self.bad.append((tag, name, value))


@pytest.fixture
def made(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    at_index = ("--index", archive.folder)
    commands = {
        "report": ("report", "OUT", *at_index, "html"),
        **{
            form: ("minutes", "--video", "v1", "--format", form, "--out", "OUT", *at_index, form)
            for form in ("html", "md", "docx", "json")
        },
    }
    return lambda name: page_of(tmp_path, *commands[name])


@pytest.mark.parametrize("name", ["report", "html"])
def test_a_page_has_no_tag_of_a_row_and_no_way_out(made, name):
    page, tags = made(name).read_text(), Tags()
    tags.feed(page)
    assert tags.bad == []
    assert page.count("--&gt;") > 1
    assert "&lt;script&gt;" in page
    assert not UNSAFE.search(page)


def test_markdown_has_no_markup_of_a_row(made):
    text = made("md").read_text()
    assert text.count(NOTED) > len(TEXTS) / 2
    flat = [
        inner
        for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
        for inner in (token, *(token.children or ()))
    ]
    made_of = {"heading", "paragraph", "bullet_list", "list_item", "inline", "text", "softbreak"}
    kinds = {re.sub("_(open|close)$", "", token.type) for token in flat}
    assert kinds - {"text_special"} <= made_of
    # What some viewers make a link of, though it is none in Markdown.
    assert not re.search(r"(?i)\b(https?|ftp)://|\bwww\.|(?<!\\)@", text)


def test_a_document_holds_text_and_leads_nowhere(made):
    with zipfile.ZipFile(made("docx")) as document:
        parts = {name: document.read(name) for name in document.namelist()}
    for name, part in parts.items():
        if name.endswith((".xml", ".rels")):
            ET.fromstring(part)  # noqa: S314 - our own
        assert not (name.endswith(".rels") and b'TargetMode="External"' in part)
    body = "".join(ET.fromstring(parts["word/document.xml"]).itertext())  # noqa: S314
    assert "<script>" in body
    assert body.count(NOTED) > len(TEXTS) / 2
    assert not UNSAFE.search(body)


def test_an_agent_gets_plain_ids_and_short_lines(index):
    server = make_server(Tools(index, decode=DecodeConfig(), access=PUBLIC))
    day = {"start": "2026-03-01T08:00:00Z", "end": "2026-03-01T09:00:00Z"}

    async def told():
        async with Client(server) as client:
            asked = [("query", {"limit": 200, "table": table}) for table in ("events", "segments")]
            asked += [("search", {"words": "HYPERLINK"}), ("coverage", {})]
            return [(await client.call_tool(tool, day | more)) for tool, more in asked]

    events, segments, found, coverage = anyio.run(told)
    assert events.structured_content["num_matching"] == len(TEXTS) + 1
    for answer in (events, segments, found, coverage):
        assert not UNSAFE.search("".join(part.text for part in answer.content))
    for answer in (events, segments, found):
        assert answer.structured_content["rows"]
        for row in answer.structured_content["rows"]:
            assert re.fullmatch(r"[\w.-]{0,100}", row["id"], re.ASCII)
            for text in row["recorded"].values():
                assert len(text) <= 400
                assert not UNSAFE.search(text)


def test_a_message_is_short_calls_nobody_and_leads_nowhere(archive, tmp_path):
    rules = config(labels=[], late_after_s=1e9, same_within_s=0)
    archive.evaluate(rules)
    messages = [
        Message(message_id="m", sink="s", alerts=[alert], timezone="UTC")
        for alert in archive.alerts()
    ]
    assert len(messages) > len(TEXTS) / 2
    lines, program = tmp_path / "lines.jsonl", tmp_path / "program.jsonl"
    copy = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, open(sys.argv[1], 'wb'))"
    deliver = open_sink("s", SinkConfig(jsonl=str(lines)))
    for message in messages:
        deliver(message)
        assert "\n" not in message.title
        assert not re.search(r"[<>`]|@\w|\]\(|://", message.title + message.text)
    open_sink("s", SinkConfig(command=(sys.executable, "-c", copy, str(program))))(messages[0])
    told = lines.read_bytes().splitlines()
    assert len(told) == len(messages)
    for line in (*told, program.read_bytes()):
        assert len(line) < 6000
        assert not UNSAFE.search(line.decode())
        [alert] = json.loads(line)["alerts"]
        assert not UNSAFE.search("".join(str(value) for value in alert.values()))


def test_a_scraper_reads_the_figures_of_a_hostile_camera(index):
    metrics = Metrics(lambda: 0)
    metrics.show({"gate": index_status(index, cameras=None, now=at(3600))}, at(3600))
    text = metrics.text().body.decode()
    cameras = {
        sample.labels["camera"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "camera" in sample.labels
    }
    assert len(cameras) == 1
    assert not UNSAFE.search(text)


def test_a_name_of_a_file_is_one_plain_name():
    names = list(map(file_name, TEXTS))
    assert len(set(names)) == len(set(TEXTS))
    assert all(re.fullmatch(r"[\w.-]{1,130}", name) and not name.startswith(".") for name in names)
