"""Of each event the picture nearest its middle is kept, and it goes with what it shows."""

import io
import json
from datetime import timedelta
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import pipeline.index as pi
from pipeline.clips.picture import made_pictures, picture_of, with_boxes
from pipeline.config import DecodeConfig, load_config
from pipeline.config.run import EvidenceConfig
from pipeline.errors import NoSourcesError, SourceError
from pipeline.flow.driver import archive as driver
from pipeline.index import maintain
from pipeline.index.check import check
from pipeline.index.erase import erase
from pipeline.index.filters import Where
from pipeline.index.scope import Scope
from pipeline.records import Completion
from pipeline.sources import list_sources
from pipeline.storage.access import PUBLIC
from tests.growing import asking
from tests.hard import without_ray
from tests.index_rows import at
from tests.unit.test_growth import model_config
from tests.videos import make_video, number_in

RATE = 2
WINDOW_S = 4
"""Eight frames."""
EVENTS = {8: (1.0, 3.0), 20: (0.0, 1.5), 24: (2.0, 4.0), 28: (0.0, 2.0)}
"""Start of a window in seconds -> the event in it; the last two are one event."""


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    ours = ("running_ray", "probe_graph", "answer_graph")
    with mock.patch.multiple(driver, **{name: getattr(driver, name) for name in ours}):
        without_ray.leave_out_ray()
        monkeypatch.setattr(driver, "answer_graph", asking(answer))
        yield


def answer(window):
    begin_s = window.plan.span.start_ns // 10**9
    start, end = EVENTS.get(begin_s, (0.0, 0.0))
    event = {"label": "enter", "text": "somebody", "start": start, "end": end}
    found = [event] if end else []
    return Completion(text=json.dumps({"events": found}), finish_reason="stop")


def run(path, where, **changes):
    config = model_config().model_copy(update=changes)
    sources = list_sources([str(path)], config.sources)
    driver.index_archive(sources, config, str(where), on_progress=lambda _report: None)
    return pi.open(where)


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "cam1_20260301T080000Z.mp4"
    return make_video(path, num_frames=80, rate=RATE, gop=8, bframes=2)


@pytest.fixture
def index(recording, tmp_path):
    return run(recording, tmp_path / "index")


def pictures(index):
    """Second of the event's start -> its row of evidence."""
    events = index.events().to_pylist()
    found = pi.evidence_of(index, events)
    return {row["media_start"]: found.get(row["event_id"]) for row in events}


def shown_in(webp):
    return number_in(np.asarray(Image.open(io.BytesIO(webp)).convert("RGB")))


def test_the_picture_of_an_event_is_the_frame_nearest_its_middle(index):
    found = pictures(index)
    assert {start: shown_in(row["webp"]) for start, row in found.items()} == {
        9.0: 20,  # 9 to 11 s, and two frames a second
        20.0: 41,  # 20 to 21.5 s: frame 41 is at 20.5 s, frame 42 as near
        26.0: 54,  # 26 to 30 s: each window has its picture, at 27 and 29 s
    }
    for row in found.values():
        assert row["media_s"] * RATE == shown_in(row["webp"])
        assert row["at"] == at(row["media_s"])
        assert len(row["webp"]) < 10_000


def test_the_picture_is_one_that_the_receipt_of_its_window_names(index):
    receipts = {row["window_id"]: row["frame_pts"] for row in index.windows().to_pylist()}
    rows = index.rows("evidence").to_pylist()
    assert len(rows) == len(EVENTS)
    assert all(row["pts"] in receipts[row["window_id"]] for row in rows)


def test_without_evidence_in_the_config_no_picture_is_kept(recording, tmp_path):
    index = run(recording, tmp_path / "index", evidence=EvidenceConfig(pictures=False))
    assert index.events().num_rows == 3
    assert index.rows("evidence").num_rows == 0
    assert set(pictures(index).values()) == {None}


def test_an_engine_that_sees_no_colour_has_colour_pictures(recording, tmp_path):
    without_ray.leave_out_ray()
    settings = ("sample.fps=2", "gate.kind=none")
    config = load_config(None, settings)
    sources = list_sources([str(recording)], config.sources)
    driver.index_archive(sources, config, str(tmp_path / "s"), on_progress=lambda _report: None)
    index = pi.open(tmp_path / "s")
    found = pi.evidence_of(index, events := index.events().to_pylist())
    assert events
    assert len(found) == len(events)
    for row in found.values():
        assert Image.open(io.BytesIO(row["webp"])).size == (160, 96)
        assert shown_in(row["webp"]) == row["media_s"] * RATE


def test_pictures_are_as_wide_as_the_video_is_shown_and_at_most_320(tmp_path):
    wide = make_video(tmp_path / "cam1_20260301T080000Z.mp4", num_frames=80, rate=RATE, width=640,
                      height=360, gop=8, rotation=90)  # fmt: skip
    [row, *_] = run(wide, tmp_path / "index").rows("evidence").to_pylist()
    assert Image.open(io.BytesIO(row["webp"])).size == (320, 569)


@pytest.mark.parametrize(
    ("scope", "remaining"),
    [
        (Scope.parse(start=at(10), end=at(10.1)), [20.0, 26.0]),
        (Scope.parse(start=at(12), end=at(20)), [9.0, 20.0, 26.0]),  # touches two windows
        (Scope.parse(start=at(29), end=at(40)), [9.0, 20.0]),
        (Scope.parse(camera="cam1"), []),
    ],
)
def test_erasing_a_time_erases_its_pictures(index, scope, remaining):
    receipt = erase(index.store, scope)
    maintain.vacuum(index.store, retention=timedelta(0))
    left = pictures(index)
    kept = {row["media_s"] for row in index.rows("evidence").to_pylist()}
    assert [start for start, row in left.items() if row] == remaining
    assert receipt["rows"]["evidence"] == len(EVENTS) - len(kept)
    assert check(index.store) == []


def test_other_settings_replace_the_pictures_unless_both_are_kept(recording, tmp_path):
    where = tmp_path / "index"
    first = run(recording, where).rows("evidence")
    fewer = model_config().sample.model_copy(update={"fps": 1.0})
    second = run(recording, where, sample=fewer)
    now = second.rows("evidence")
    assert set(now["fingerprint"].to_pylist()).isdisjoint(first["fingerprint"].to_pylist())
    assert second.select_all("evidence", Where()).num_rows == now.num_rows
    assert check(second.store) == []


def test_the_same_run_again_changes_no_picture(recording, tmp_path):
    before = run(recording, tmp_path / "index").rows("evidence")
    assert run(recording, tmp_path / "index").rows("evidence") == before


def test_compaction_keeps_the_pictures(index):
    before = sorted(index.rows("evidence")["webp"].to_pylist())
    maintain.compact(index.store, min_age=timedelta(0))
    assert sorted(index.rows("evidence")["webp"].to_pylist()) == before


def made_now(recording, tmp_path):
    """An index without pictures, and its first event."""
    index = run(recording, tmp_path / "older", evidence=EvidenceConfig(pictures=False))
    return index, index.events().to_pylist()[0]


def test_where_no_picture_was_kept_it_is_made_from_the_recording_and_remembered(
    recording, tmp_path
):
    index, event = made_now(recording, tmp_path)
    settings = {"decode": DecodeConfig(), "access": PUBLIC}
    first = picture_of(index, event, **settings)
    assert (shown_in(first.webp), first.at, first.is_kept) == (20, at(10), False)
    recording.unlink()
    assert picture_of(index, event, **settings) == first
    erase(index.store, Scope.parse(start=at(30), end=at(31)))
    assert not list(Path(index.store.root).glob("pictures/*"))
    with pytest.raises(SourceError):
        picture_of(index, event, **settings)


def test_a_report_makes_the_pictures_that_were_not_kept_as_long_as_there_is_time(
    recording, tmp_path
):
    index, _ = made_now(recording, tmp_path)
    events = index.events().to_pylist()
    settings = {"decode": DecodeConfig(), "access": PUBLIC}
    made = dict(made_pictures(index, events, **settings, for_s=300))
    assert list(made) == [event["event_id"] for event in events]
    assert shown_in(made[events[0]["event_id"]]) == 20
    assert list(made_pictures(index, events, **settings, for_s=-1)) == []
    erase(index.store, Scope.parse(start=at(8), end=at(12)))
    assert events[0]["event_id"] not in dict(made_pictures(index, events, **settings, for_s=300))
    recording.write_bytes(b"no video")
    assert list(made_pictures(index, events, **settings, for_s=300)) == []


def test_erased_footage_gives_no_picture(recording, tmp_path):
    index, event = made_now(recording, tmp_path)
    erase(index.store, Scope.parse(start=at(8), end=at(12)))
    with pytest.raises(NoSourcesError, match="no footage of it any more"):
        picture_of(index, event, decode=DecodeConfig(), access=PUBLIC)


def test_boxes_are_drawn_on_request_into_a_copy(index):
    event = index.events().to_pylist()[0]
    kept = picture_of(index, event, decode=DecodeConfig(), access=PUBLIC)
    assert kept.is_kept
    where = [
        {"at": at(10), "x0": 40.0, "y0": 24.0, "x1": 120.0, "y1": 72.0},
        {"at": at(8), "x0": 0.0, "y0": 0.0, "x1": 10.0, "y1": 10.0},  # of another moment
    ]
    assert with_boxes(index, event, kept) == kept.webp  # it has none
    drawn = with_boxes(index, event | {"boxes": where}, kept)
    picture = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGB")).astype(int)
    redness = picture[..., 0] - picture[..., 1]
    assert redness[24, 60] > 60 < redness[60, 40]
    assert abs(redness[5, 5]) < 60 > abs(redness[48, 60])
    assert pi.evidence_of(index, [event])[event["event_id"]]["webp"] == kept.webp


def test_the_command_writes_the_picture(cli, index, tmp_path):
    event = index.events().to_pylist()[0]
    out = tmp_path / "out.webp"
    cli.run("evidence", "--index", index.store.root, "--event", event["event_id"], out)
    assert shown_in(out.read_bytes()) == 20
    assert "cam1 at 2026-03-01T08:00:10.000Z, as the engine was shown it" in cli.err
    cli.run("evidence", "--index", index.store.root, "--event", "nobody", out, code=5)
