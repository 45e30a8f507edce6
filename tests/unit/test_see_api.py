"""What the server of the page answers, over real sockets."""

import asyncio
import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from httpx import Client

import pipeline.index as pi
from pipeline.cli.serve import detector_of
from pipeline.config import DecodeConfig, SampleConfig
from pipeline.index.filters import Where
from pipeline.index.status import IndexStatus
from pipeline.media.sound import probe_sound
from pipeline.see import lanes
from pipeline.see.indexes import GivenUpError, Indexes, TooSlowError
from pipeline.see.metrics import MAX_CAMERAS, Metrics
from pipeline.timebase import datetime_to_ns
from tests.index_rows import at, event, in_file, open_with_four_events, rows, utterance, video
from tests.page_server import served
from tests.sounds import beeps, make_sound
from tests.videos import source_of

http = Client(timeout=120)
WRITE = {"X-Timereel": "1", "Content-Type": "application/json"}
DAY = {"start": "2026-03-01T08:00:00Z", "end": "2026-03-01T09:00:00Z"}


@pytest.fixture
def index(tmp_path):
    return open_with_four_events(tmp_path)


@pytest.fixture
def address(index):
    with served(index.store.root) as (address, _):
        yield address


@pytest.fixture
def ask(address):
    return lambda path, **params: http.get(f"{address}/api/v1/{path}", params=params)


@pytest.fixture
def say(address):
    return lambda **said: http.post(
        f"{address}/api/v1/feedback", headers=WRITE, content=json.dumps(said)
    )


def test_lanes_count_what_a_list_holds_and_have_the_coverage_of_each_bin(ask):
    drawn = ask("lanes", **DAY, bins=60).json()
    listed = ask("events", **DAY).json()["events"]
    assert [one["event_id"] for one in drawn["events"]] == [one["event_id"] for one in listed]
    assert ask("count", **DAY).json() == {"num_events": 4}
    assert drawn["step_us"] == 60_000_000
    assert drawn["density"] == {}
    assert drawn["coverage"]["cam1"] == [0, 10, "not_analysed"]
    assert ask("overview", **DAY, bins=60).json()["labels"] == ["motion", "black"]


def test_lanes_of_more_events_than_are_drawn_one_by_one_have_their_number_in_each_bin(
    ask, monkeypatch
):
    monkeypatch.setattr(lanes, "_MAX_EVENTS", 3)
    found = ask("lanes", **DAY, bins=60).json()
    assert found["events"] is None
    assert found["density"]["cam2"] == {"motion": [1, 1]}


def test_answers_name_files_and_never_where_they_lie(ask, index):
    for path in ("about", "events", "events/long", "videos", "cameras", "runs", "summaries"):
        text = ask(path).text
        assert index.store.root not in text
        assert '"uri"' not in text
    assert ask("videos").json()["videos"][0]["file"] == "v1.mp4"


def test_a_large_answer_is_packed_for_who_can_unpack_it(ask):
    assert ask("events").headers["content-encoding"] == "gzip"
    assert ask("events").json()["events"]


def test_a_statement_is_a_row_and_the_newest_counts_and_chooses(say, ask, index):
    assert say(verdict="confirmed", event_id="long", said_by="Ada").status_code == 201
    assert say(verdict="corrected", event_id="long", label="delivery").status_code == 201
    assert say(verdict="rejected", event_id="short").status_code == 201
    assert say(verdict="open", event_id="short").status_code == 201
    reviews = {one["event_id"]: one["review"] for one in ask("events").json()["events"]}
    assert reviews["long"]["label"] == "delivery"
    assert reviews["short"] is None
    found = ask("events", review="corrected").json()["events"]
    assert [one["event_id"] for one in found] == ["long"]
    assert index.rows("feedback").num_rows == 4
    assert index.event("long")["label"] == "motion"


def test_a_statement_is_checked(say):
    for said, status in (
        ({"verdict": "confirmed", "event_id": "none"}, 404),
        ({"verdict": "corrected", "event_id": "long"}, 422),
        ({"verdict": "corrected", "event_id": "long", "end": "2020-01-01T00:00:00Z"}, 422),
        ({"verdict": "perhaps", "event_id": "long"}, 422),
        ({"verdict": "missed", "camera": "cam1", "label": "x"}, 422),
        ({"verdict": "missed", "camera": "cam9", "label": "x", **DAY}, 404),
        ({"verdict": "missed", "camera": "cam1", "label": "x", **DAY}, 201),
        ({"verdict": "confirmed", "event_id": "long", "more": 1}, 422),
    ):
        assert say(**said).status_code == status, said


def test_several_indexes_have_the_names_of_their_folders(tmp_path):
    roots = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        roots.append(open_with_four_events(tmp_path / name).store.root)
    with served(*roots) as (address, _):
        names = http.get(f"{address}/api/v1/about").json()["indexes"]
        assert len(set(names)) == 2
        for name in names:
            found = http.get(f"{address}/api/v1/events", params={"index": name}).json()
            assert len(found["events"]) == 4
        assert http.get(f"{address}/api/v1/events?index=c").status_code == 404


def test_every_route_is_described_and_counted_by_its_pattern(index):
    with served(index.store.root) as (address, _):
        paths = http.get(f"{address}/openapi.json").json()["paths"]
        assert {"/api/v1/events/{event_id}", "/api/v1/lanes", "/api/v1/feedback"} <= set(paths)
        http.get(f"{address}/api/v1/events/long")
        http.get(f"{address}/api/v1/events/none")
        figures = http.get(f"{address}/metrics").text
        route = 'route="/api/v1/events/{event_id}"'
        assert f'timereel_requests_total{{{route},status="200"}} 1.0' in figures
        assert f'timereel_requests_total{{{route},status="404"}} 1.0' in figures


def test_the_figures_say_how_far_each_camera_is_behind(index):
    with served(index.store.root) as (address, _):
        figures = http.get(f"{address}/metrics").text
    lags = re.findall(r'timereel_camera_lag_seconds{camera="(cam\d)",.*} (\S+)', figures)
    assert {camera for camera, _ in lags} == {"cam1", "cam2"}
    assert all(float(lag) > 0 for _, lag in lags)
    assert "timereel_running_runs{index=" in figures


def test_of_many_cameras_only_the_latest_have_a_figure_and_one_never_looked_at_is_the_latest():
    now, cameras = datetime(2026, 3, 1, tzinfo=UTC), []
    for number in range(MAX_CAMERAS + 1):
        end = now - timedelta(seconds=number) if number else None
        row = {"task": "t", "camera": f"cam{number}", "covered_end": end}
        cameras.append(row | {"pending_s": 2.0, "num_failed": 1})
    status = IndexStatus(running=(), last=(), cameras=pa.Table.from_pylist(cameras), months=None)
    metrics = Metrics(lambda: 0)
    for _ in range(2):  # figures are shown anew, not added
        metrics.show({"a": status}, now)
    figures = bytes(metrics.text().body).decode()
    lags = dict(re.findall(r'lag_seconds{camera="(\w+)".*} (\S+)', figures))
    assert len(lags) == MAX_CAMERAS
    assert lags["cam0"] == "+Inf"
    assert "cam1" not in lags
    assert lags["cam2"] == "2.0"
    assert f'timereel_pending_seconds{{index="a",task="t"}} {2.0 * len(cameras)}' in figures
    assert f'timereel_failed_videos{{index="a",task="t"}} {len(cameras)}.0' in figures


class Gone:
    """A request whose client has gone at once."""

    async def receive(self):
        return {"type": "http.disconnect"}


class Waiting:
    """A request whose client waits for ever."""

    async def receive(self):
        await asyncio.Event().wait()


def endless(index):
    hours = "SELECT sum(sqrt(a.range * b.range)) FROM range(10000000) a, range(10000000) b"
    return index.fetch(hours, Where())


def test_a_question_whose_client_has_gone_is_interrupted_and_the_reader_goes_on(index):
    async def work():
        served_index = Indexes([index.store.root]).get("")
        with pytest.raises(GivenUpError):
            await served_index.ask(Gone(), endless)
        return await served_index.ask(Waiting(), lambda reader: reader.events().num_rows)

    assert asyncio.run(work()) == 4


def test_a_question_that_takes_too_long_is_interrupted(index, monkeypatch):
    monkeypatch.setattr("pipeline.see.indexes._LIMIT_S", 0.2)

    async def work():
        await Indexes([index.store.root]).get("").ask(Waiting(), endless)

    with pytest.raises(TooSlowError):
        asyncio.run(work())


def test_boxes_are_shares_of_the_upright_picture(tmp_path):
    writer = pi.Writer(tmp_path / "index")
    box = {"at": at(2), "x0": 10.0, "y0": 20.0, "x1": 60.0, "y1": 200.0}
    turned = video("v1", width=200, height=100, rotation=90, codec="h264")
    writer.finish_videos(
        rows("videos", turned),
        rows("events", event("e", at(1), at(3), boxes=[box])),
        rows("segments"),
    )
    with served(tmp_path / "index") as (address, _):
        [shown] = http.get(f"{address}/api/v1/events/e").json()["boxes"]
    assert {name: shown[name] for name in ("x0", "y0", "x1", "y1")} == {
        "x0": 0.1,
        "y0": 0.1,
        "x1": 0.6,
        "y1": 1.0,
    }


def test_the_demo_finds_persons_where_the_detector_is_and_else_motion(tmp_path):
    assert detector_of(tmp_path) is None
    for name in ("configs/cameras-cpu.yaml", "models/nanodet-g/model.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    config, overrides = detector_of(tmp_path)
    assert config == tmp_path / "configs/cameras-cpu.yaml"
    assert overrides == [f"engine.model={tmp_path / 'models/nanodet-g'}"]


def test_a_transcript_has_words_with_times_and_pages_with_pictures(tmp_path):
    webp = b"RIFF\0\0\0\0WEBPpage"
    pages = [("s1", base64.b64encode(webp).decode()), ("html", "PGI+"), ("none", "?"), ("", "")]
    shown = {"page": 1, "video_id": "v1", "start": at(0), "end": at(60)} | in_file(0, 60)
    words = [{"start": at(20), "end": at(21), "text": "Ja.", "probability": None}]
    said = utterance("u", 20, 21, speaker="Ada", text="Ja.", words=words, uri="/x/room.mp4")
    writer = pi.Writer(tmp_path)
    writer.finish_videos(
        rows("videos", video()),
        rows("events"),
        segments=rows("segments"),
        utterances=rows("utterances", said, utterance("later", 70, 72, text="See the last page.")),
        slides=rows("slides", *(shown | {"slide_id": i, "picture": p} for i, p in pages)),
    )
    with served(tmp_path) as (address, _):
        found = http.get(f"{address}/api/v1/transcript", params={"end": DAY["start"][:-3] + "30Z"})
        [one] = found.json()["utterances"]
        assert (one["speaker"], one["words"][0]["text"]) == ("Ada", "Ja.")
        assert one["words"][0]["start"] == "2026-03-01T08:00:20.000000Z"
        assert len(found.json()["slides"]) == len(pages)
        [one] = http.get(f"{address}/api/v1/topics").json()["topics"]
        assert (one["utterance_id"], one["topic_page"]) == ("later", 1)
        assert one["topic_reason"] == "position: last"
        told = {
            name: http.get(f"{address}/api/v1/slides/{name}/picture.webp")
            for name, _ in pages
            if name
        }
    assert (told["s1"].content, told["s1"].headers["Content-Type"]) == (webp, "image/webp")
    assert (told["html"].status_code, told["none"].status_code) == (404, 404)


SOUNDS = {
    "call.m4a": ("aac", "video/mp4"),
    "call.mp3": ("libmp3lame", "audio/mpeg"),
    "call.wav": ("pcm_s16le", "audio/wav"),
    "call.flac": ("flac", "audio/flac"),
    "call.ogg": ("libopus", "audio/ogg"),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_a_recording_of_sound_alone_plays_as_it_is(tmp_path, name):
    codec, kind = SOUNDS[name]
    path = make_sound(tmp_path / name, [(beeps([1.0], 3.0), 0.0)], codec=codec)
    found = probe_sound(source_of(path), sample=SampleConfig(), decode=DecodeConfig()).video
    own = {"uri": str(path), "num_bytes": found.num_bytes, "codec": found.codec, "task": "speech"}
    own |= {"origin_pts": found.origin_pts, "time_base": str(found.time_base)}
    own |= {"clock_start": at(0), "clock_start_ns": datetime_to_ns(at(0))}
    pi.Writer(tmp_path / "index").finish_videos(
        rows("videos", video("v1", 0, 3) | own), rows("events"), segments=rows("segments")
    )
    with served(tmp_path / "index") as (address, _):
        asked = {"camera": "cam1", "at": "2026-03-01T08:00:01Z"}
        [piece] = http.get(f"{address}/api/v1/playback", params=asked).json()["pieces"]
        sent = http.get(f"{address}{piece['url']}")
    assert (piece["is_native"], piece["content_type"], piece["media_start"]) == (True, kind, 1.0)
    assert (sent.content, sent.headers["Content-Type"]) == (path.read_bytes(), kind)
