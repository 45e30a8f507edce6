"""Every way out of an index whose texts are hostile: read as its format is read, nothing breaks it.

``test_hostile_rows`` says that no command ends with a traceback or shows a raw control character.
Here each format is parsed again, and must hold as many rows, cells, cues and tags as it was given.
"""

import csv
import io
import json
import random
import re
import sys
import unicodedata
import zipfile
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler
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
from pipeline.cli.app import main
from pipeline.config import DecodeConfig
from pipeline.config.alerts import SinkConfig
from pipeline.export.formats import write_rows
from pipeline.index.status import index_status
from pipeline.records.file_names import file_name
from pipeline.see.metrics import Metrics
from pipeline.storage.access import PUBLIC
from tests.alert_archive import Archive, config
from tests.answering import answering
from tests.hostile_rows import COMMANDS, MARKUP, TEXT
from tests.index_rows import at, event, rows, segment, utterance, video
from tests.unit.test_ask import NOTHING

PIECES = (
    *("=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\uff1d1", '";\n=2', "'", '"', ",", ";"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</style>", "]]>", "{{7*7}}"),
    *("00:00:00.000 --> 00:01:00.000", "-->", "\n\n1\n", "<v Ada>", "{\\an8}", "NOTE", "STYLE"),
    *("[a](javascript:alert(1))", "![a](http://127.0.0.1:9/x)", "```", "# a", "| a |", "---"),
    *("<!channel>", "@everyone", "HTTPS://127.0.0.1:9/", "ftp://a.test/", "www.a.test", "a\\"),
    *("\\u0000", "\\n", "\x1b]0;a\x07", "\x9b2J", "\u202egpj", "\u2067", "\u2028", "\x00", "\r"),
    *("\U000e0061\U000e0062", "\ufffe", "\ud7ff", "../../a", "CON", "%00", "$(id)", "`id`", " "),
)
UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
LONG = ("=<b>\u202e " * 2**18)[: 2**20]


def hostile_texts(num):
    """All pieces, and pieces in a row, by chance; the same in each run."""
    chance = random.Random(1)
    mixed = ("".join(chance.choices(PIECES, k=chance.randint(2, 5))) for _ in range(num))
    return [*PIECES, COMMANDS, MARKUP, TEXT, *mixed, LONG]


TEXTS = hostile_texts(20)
NOTED = "We decided to pay 40 euros?"
"""What minutes take down."""
TIMED = {"clock_start_ns": 0, "origin_pts": 0, "time_base": "1/1000", "num_frames": 100}
SIZE = {"width": 64, "height": 48}


def boxed(second):
    """Two boxes of an event that begins at this second."""
    sides = {"x0": 1.0, "y0": 1.0, "x1": 9.0, "y1": 9.0}
    return [{"at": at(second + more)} | sides for more in (0, 1)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """One hostile camera with an event, a caption and an utterance of each hostile text."""
    archive = Archive(tmp_path_factory.mktemp("exits") / "index")
    about = {"camera": TEXT, "media_start": 1.0, "media_end": 2.0}
    every = list(enumerate(TEXTS))
    archive.writer.finish_videos(
        rows("videos", video("v1", camera=TEXT, error=LONG, warnings=TEXTS, **TIMED, **SIZE)),
        rows(
            "events",
            *(
                event(
                    f"e{n}",
                    at(n),
                    at(n + 1),
                    label=text,
                    text=text,
                    uri="v1.mp4",
                    boxes=boxed(n),
                    **about,
                )
                for n, text in every
            ),
            event(f"e{TEXT}", at(500), at(501), label="person", uri="v1.mp4", **about),
        ),
        rows(
            "segments", *(segment(f"g{n}", text=text, uri="v1.mp4", **about) for n, text in every)
        ),
        utterances=rows(
            "utterances",
            *(
                utterance(
                    f"u{n}", n, n + 1, text=f"{text} {NOTED}", speaker=text, uri="v1.mp4", **about
                )
                for n, text in every[:-1]
            ),
        ),
    )
    return archive


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


def page_of(folder, *command):
    path = folder / f"page.{command[-1]}"
    with pytest.raises(SystemExit) as ended:
        main([*(str(one).replace("OUT", str(path)) for one in command[:-1])])
    assert ended.value.code == 0
    return path


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


@pytest.fixture
def exported(archive, tmp_path):
    """Writes the events in a form, for tools that label and compare; gives the texts of files."""

    def export(form):
        command = ("export", "OUT", "--format", form, "--index", archive.folder)
        path = page_of(tmp_path, *command, form)
        files = {one.name: one.read_text() for one in (path, *path.glob("*")) if one.is_file()}
        assert not [name for name, text in files.items() if UNSAFE.search(text)]
        return files

    return export


NUM_EVENTS, NUM_BOXED = len(TEXTS) + 1, len(TEXTS)


def test_a_tool_that_labels_reads_each_event_and_knows_its_label(exported):
    files = exported("label-studio")
    [task] = json.loads(files["tasks.json"])
    [prediction] = task["predictions"]
    values = [result["value"] for result in prediction["result"]]
    spans = [value["timelinelabels"] for value in values if "timelinelabels" in value]
    tracks = [value["labels"] for value in values if "labels" in value]
    assert (len(spans), len(tracks)) == (NUM_EVENTS, NUM_BOXED)
    view = ET.fromstring(files["config.xml"])  # noqa: S314 - our own
    assert [part.tag for part in view] == [
        "Video", "TimelineLabels", "Labels", "VideoRectangle",
    ]  # fmt: skip
    known = {label.get("value") for label in view.iter("Label")}
    assert known == {label for labels in spans for label in labels}
    assert all(set(labels) <= known for labels in tracks)


def test_an_annotation_of_cvat_has_a_track_for_each_object_and_no_tag_of_a_row(exported):
    [text] = exported("cvat").values()
    annotations = ET.fromstring(text)  # noqa: S314 - our own
    assert {part.tag for part in annotations} == {"version", "meta", "track"}
    tracks = annotations.findall("track")
    assert [len(track.findall("box")) for track in tracks] == [3] * NUM_BOXED
    assert {part.tag for track in tracks for part in track} == {"box"}
    known = {name.text or "" for name in annotations.findall("meta/task/labels/label/name")}
    assert {track.get("label") for track in tracks} <= known


def test_a_benchmark_reads_as_many_boxes_sentences_and_moments_as_there_are(exported, index):
    labels = set(index.events()["label"].to_pylist())
    coco = json.loads(exported("coco")["page.coco"])
    assert len(coco["annotations"]) == 2 * NUM_BOXED
    assert {category["name"] for category in coco["categories"]} == labels
    [lines] = exported("mot").values()
    fields = [[float(field) for field in line.split(",")] for line in lines.splitlines()]
    assert [len(line) for line in fields] == [9] * 2 * NUM_BOXED
    [captions] = json.loads(exported("activitynet")["page.activitynet"]).values()
    assert len(captions["sentences"]) == len(captions["timestamps"]) == NUM_EVENTS
    moments = exported("qvhighlights")["page.qvhighlights"].splitlines()
    assert {json.loads(line)["query"] for line in moments} == labels
    assert len(moments) == len(labels)


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


@pytest.fixture
def inbox():
    """The address of a server, and the bodies that it was sent."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

    with answering(Handler) as address:
        yield address.removeprefix("http://"), bodies


def of_xml(body):
    told = {part.tag.rpartition("}")[2]: part.text for part in ET.fromstring(body).iter()}  # noqa: S314
    return {"title": told["Subject"], "message": told["Message"]}


@pytest.mark.filterwarnings("ignore:'imghdr'")
@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("xml", of_xml)])
def test_apprise_sends_the_words_of_each_message(archive, inbox, monkeypatch, form, read):
    archive.evaluate(config(labels=[], late_after_s=1e9, same_within_s=0))
    messages = [
        Message(message_id="m", sink="s", alerts=[alert], timezone="UTC")
        for alert in archive.alerts()
    ]
    address, bodies = inbox
    monkeypatch.setenv("PHONES", f"{form}://{address}/{form}")
    deliver = open_sink("s", SinkConfig(apprise_env="PHONES"))
    for message in messages:
        deliver(message)
    told = [read(body) for body in bodies]
    assert len(told) > len(TEXTS) / 2
    assert [one["title"] for one in told] == [one.title.strip() for one in messages]
    assert [one["message"] for one in told] == [one.text.strip() for one in messages]
    assert not UNSAFE.search("".join(bodies))


def test_a_model_that_is_asked_reads_rows_as_data_and_cites_them_on_lines(index, serve, capsys):
    look = {"tool": "query", "start": str(at(0)), "end": str(at(600)), "table": "events"}

    def cite(body):
        told, _ = json.JSONDecoder().raw_decode(body["messages"][-1]["content"])
        given.extend(told["rows"])
        cited = [{"ids": [row["id"]], "text": row["recorded"]["text"]} for row in told["rows"]]
        return json.dumps(NOTHING | {"tool": "answer", "sentences": cited})

    given = []
    endpoint = serve((200, json.dumps(NOTHING | look)), (200, cite))
    engine = {"kind": "openai", "model": "m", "base_url": endpoint.url, "max_retries": 0}
    asked = ("ask", "What?", "--index", index.store.root, "--set", f"engine={json.dumps(engine)}")
    with pytest.raises(SystemExit) as ended:
        main([*asked])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert len(given) >= 10
    assert "<|im_end|>" not in json.dumps(given)
    assert not UNSAFE.search("".join(str(row) for row in given))
    assert not UNSAFE.search(told)
    cited = [line for line in told.splitlines() if re.match(r"\[[\w.-]+\] ", line)]
    assert len(cited) == len({line.partition(" ")[0] for line in cited}) > 1
    assert {line.partition("]")[0][1:] for line in cited} <= {row["id"] for row in given}


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
