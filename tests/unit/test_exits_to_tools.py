"""Tools that label, compare, tell and answer: each reads an index whose texts are hostile."""

import json
import re
from http.server import BaseHTTPRequestHandler
from xml.etree import ElementTree as ET

import pytest

import pipeline.index as pi
from pipeline.alerts.message import Message
from pipeline.alerts.sinks import open_sink
from pipeline.cli.app import main
from pipeline.config.alerts import SinkConfig
from tests.alert_archive import config
from tests.answering import answering
from tests.hostile_archive import TEXTS, UNSAFE, hostile_archive, page_of
from tests.index_rows import at
from tests.unit.test_ask import NOTHING


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return hostile_archive(tmp_path_factory.mktemp("exits") / "index")


@pytest.fixture(scope="module")
def index(archive):
    return pi.open(archive.folder)


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
