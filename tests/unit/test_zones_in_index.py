"""Zones from end to end: files with a walk that is known, the index, and zones that change."""

import json
from unittest import mock

import av
import numpy as np
import pytest
from PIL import Image

import pipeline.index as pi
from pipeline.config import Config
from pipeline.flow.driver import archive as driver
from pipeline.flow.driver.rederive import derive
from pipeline.index.check import check
from pipeline.index.erase import erase
from pipeline.index.filters import Cameras, Span
from pipeline.index.repair import repair
from pipeline.index.scope import Scope
from pipeline.index.store import Store
from pipeline.sources import list_sources
from pipeline.timebase import datetime_to_ns
from tests.damage import data_file
from tests.detectors import CELL, HEIGHT, WIDTH, make_detector
from tests.hard import without_ray
from tests.index_rows import at, event, rows, video

# A bright square goes a cell to the right each second; its middle is (2 n + 3) / 32 of the width
# in second n. Frames are a tenth of a second apart, the second file begins with second 6.
YARD = [[9 / 32, 0], [19 / 32, 0], [19 / 32, 1], [9 / 32, 1]]
SEAM = [[14 / 32, 0], [14 / 32, 1]]
ZONES = {
    "yard": {"polygon": YARD, "rules": ["in_zone", "enters", "leaves"], "loiters_s": 6.0},
    "seam": {"line": SEAM, "camera": "gate"},
}
ZERO_NS = 1_773_478_800 * 10**9
PERSON = (None, "person", 0.0, 12.0)


@pytest.fixture(autouse=True)
def _here():
    ours = ("running_ray", "probe_graph", "answer_graph")
    with mock.patch.multiple(driver, **{name: getattr(driver, name) for name in ours}):
        without_ray.leave_out_ray()
        yield


def write_walk(path, first_s, stop_s):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "10", "g": "10", "bf": "0"}
        for number in range(first_s * 10, stop_s * 10):
            picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
            left = CELL * (number // 10 + 1)
            picture[3 * CELL : 4 * CELL, left : left + CELL] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    write_walk(folder / "gate_20260314T090000Z.mp4", 0, 6)
    write_walk(folder / "gate_20260314T090006Z.mp4", 6, 12)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(make_detector(tmp_path_factory.mktemp("model") / "bright"))


@pytest.fixture
def run(archive, model, tmp_path):
    """Index the archive, or a part of it, with these zones."""

    def index(name="*", **zones):
        config = Config.model_validate(
            {
                "engine": {"kind": "detector", "model": model, "fps": 10},
                "sample": {"fps": 10},
                "frame": {"rgb_max_pixels": WIDTH * HEIGHT},
                "task": {"name": "walk", "labels": {"person": "somebody"}, "prompt": ""},
                "zones": zones,
            }
        )
        sources = list_sources([str(archive / f"gate_{name}.mp4")], config.sources)
        return driver.index_archive(
            sources, config, str(tmp_path / "index"), on_progress=lambda _report: None
        )

    return index


def told(folder, **options):
    """Zone, rule, start and end in seconds since the first frame; those with no zone first."""
    rows = pi.open(folder).events(**options).to_pylist()
    return sorted(
        (
            row["zone"],
            row["label"],
            *((datetime_to_ns(row[end]) - ZERO_NS) / 10**9 for end in ("start", "end")),
        )
        for row in rows
    )


def tracks(folder):
    """Seconds, steps of a cell, and the zones and rules of each object's events."""
    index = pi.open(folder)
    names = {row["event_id"]: (row["zone"], row["label"]) for row in index.events().to_pylist()}
    return [
        (
            row["duration_s"],
            row["path_px"] / CELL,
            sorted(names[event_id] for event_id in row["event_ids"] if names[event_id][0]),
        )
        for row in index.tracks().to_pylist()
    ]


WHOLE = [
    ("seam", "crosses", 6.0, 6.1),
    ("yard", "enters", 3.0, 3.1),
    ("yard", "in_zone", 3.0, 9.0),
    ("yard", "leaves", 9.0, 9.1),
    ("yard", "loiters", 3.0, 9.0),
]


def in_zones(folder):
    return told(folder, zone=["yard", "seam"])


def test_what_zones_tell_is_exact_also_over_the_seam_of_two_files(run, tmp_path):
    run(**ZONES)
    folder = tmp_path / "index"
    assert told(folder, zone="none") == [PERSON]
    assert in_zones(folder) == WHOLE
    index = pi.open(folder)
    [crossing] = index.events(zone="seam").to_pylist()
    assert crossing["text"] == "person crosses seam to the left"
    assert crossing["fields"] == [("object", "person"), ("direction", "left")]
    assert (crossing["media_start"], crossing["uri"][-20:]) == (0.0, "20260314T090006Z.mp4")
    assert [box["at"] for box in crossing["boxes"]] == [crossing["start"]]
    [seen] = index.events(zone="none").to_pylist()
    assert crossing["of_event_id"] == seen["event_id"]
    assert (seen["picture_width"], seen["picture_height"]) == (WIDTH, HEIGHT)
    assert index.sql("SELECT count(*) AS n FROM events WHERE zone = 'yard'")["n"][0].as_py() == 4
    assert check(Store.at(folder)) == []


@pytest.mark.parametrize("order", [("*00Z", "*06Z"), ("*06Z", "*00Z")])
def test_files_that_come_one_after_the_other_tell_the_same(run, tmp_path, order):
    for name in order:
        run(name, **ZONES)
    assert in_zones(tmp_path / "index") == WHOLE
    # One object, whichever file came first: its path and all that zones tell of it.
    assert tracks(tmp_path / "index") == [(12.0, 11.0, [row[:2] for row in WHOLE])]


def test_changed_zones_are_derived_from_what_is_stored_and_no_frame_is_decoded(run, tmp_path):
    run(**ZONES)
    folder = tmp_path / "index"
    before = pi.open(folder).windows().to_pylist()
    yard = {"polygon": YARD, "loiters_s": 6.001}
    with mock.patch.object(driver, "answer_graph", side_effect=AssertionError):
        report = run(yard=yard)
        assert (report.videos_done, in_zones(folder)) == (2, [])
        assert run(yard=yard).videos_skipped == 2
        run(yard=yard | {"loiters_s": 6.0})
        assert in_zones(folder) == WHOLE[-1:]
        run()
    assert told(folder) == [PERSON]
    assert pi.open(folder).windows().to_pylist() == before
    assert check(Store.at(folder)) == []


def test_erasing_footage_erases_what_zones_told_of_it_and_splits_what_ran_on(run, tmp_path):
    run(**ZONES)
    folder = tmp_path / "index"
    span = Span.parse("2026-03-14T09:00:00Z", "2026-03-14T09:00:06Z")
    erase(Store.at(folder), Scope(cameras=Cameras(exact=("gate",)), span=span))
    assert in_zones(folder) == [
        ("seam", "crosses", 6.0, 6.1),
        ("yard", "in_zone", 6.0, 9.0),
        ("yard", "leaves", 9.0, 9.1),
        ("yard", "loiters", 6.0, 9.0),
    ]
    assert tracks(folder) == [(6.0, 5.0, [row[:2] for row in in_zones(folder)])]
    assert check(Store.at(folder)) == []


def test_lost_events_are_derived_again_with_the_zones_of_the_last_run(run, tmp_path):
    run(**ZONES)
    folder = tmp_path / "index"
    before = pi.open(folder).events().to_pylist()
    data_file(folder, "events").unlink()
    repair(Store.at(folder), derive)
    assert pi.open(folder).events().to_pylist() == before
    assert check(Store.at(folder)) == []
    assert run(**ZONES).videos_done == 2
    assert run(**ZONES).videos_skipped == 2


def test_the_page_of_an_object_has_its_times_places_pictures_zones_and_path(run, cli, tmp_path):
    run(**ZONES)
    folder = tmp_path / "index"
    [person] = pi.open(folder).events(zone="none").to_pylist()
    out = tmp_path / "track.html"
    config = tmp_path / "zones.yaml"
    config.write_text(json.dumps({"zones": ZONES}))
    name = ("--index", folder, "--event", person["event_id"])
    cli.run("track", out, *name, "--config", config, "--pictures", 4)
    page = out.read_text()
    # Under the path, and four pictures of which each has the box of its moment.
    assert page.count("data:image/webp;base64,") == 5
    assert page.count('stroke="#ff4040"') == 4
    assert "2026-03-14 09:00:00.000 to 2026-03-14 09:00:12.000 UTC" in page
    assert "<b>12.0 s</b>" in page
    assert "<b>120</b>" in page
    assert "person crosses seam to the left" in page
    feet = [f"{(box['x0'] + box['x1']) / 2:.1f},{box['y1']:.1f}" for box in person["boxes"]]
    assert page.count(f'points="{" ".join(feet)}"') == 2
    assert "<script" not in page

    # What a zone tells leads to its object.
    [crossing] = pi.open(folder).events(zone="seam").to_pylist()
    cli.run("track", out, "--index", folder, "--event", crossing["event_id"], "--pictures", 1)
    assert f"event {person['event_id']}" in out.read_text()

    webp = tmp_path / "zones.webp"
    cli.run("evidence", webp, *name, "--zones", "--config", config)
    picture = np.asarray(Image.open(webp).convert("RGB")).astype(int)
    edge = picture[:, round(9 / 32 * picture.shape[1])]
    assert (edge[:, 2] - edge[:, 0] > 60).mean() > 0.9  # a blue line down the picture


def test_an_event_that_is_not_there_or_has_no_boxes_has_no_page(cli, tmp_path):
    folder, out = tmp_path / "index", tmp_path / "x.html"
    black = event("black", at(0), at(1), label="black")
    pi.Writer(folder).finish_videos(rows("videos", video()), rows("events", black))
    cli.run("track", out, "--index", folder, "--event", "other", code=5)
    assert "no event other" in cli.err
    cli.run("track", out, "--index", folder, "--event", "black", code=2)
    assert "event black has no boxes" in cli.err
    assert not out.exists()
