"""The report is one file that says what the index holds, and in which nothing runs."""

import base64
import hashlib
import io
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import pipeline.index as pi
from pipeline.errors import ConfigError
from pipeline.records import Feedback
from pipeline.report.content import read_report
from pipeline.report.pictures import MAX_PER_CAMERA, candidates, ranked, within
from pipeline.report.render import render
from pipeline.report.timeline import Axis
from pipeline.report.words import WORDS
from pipeline.timebase import TimeRange, datetime_to_ns
from tests.index_rows import at, event, rows, video, window

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'\u202egnp.exe 监视"
SHOWN = HOSTILE.replace("\u202e", " ")
CAMERAS = ("gate", "lobby", HOSTILE)


class Page(HTMLParser):
    """What a browser makes of a page: its elements and its text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def picture(number):
    noise = np.random.default_rng(number).integers(0, 255, (9, 16, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((320, 180)).save(out, "WEBP", quality=70)
    return out.getvalue()


def events_of(number, camera):
    """Thirty events: two labels, the second of which is rare and unsure."""
    for i in range(30):
        label, confidence = ("vehicle", 0.3) if i == 17 else ("person", 0.5 + i / 100)
        yield event(
            f"{number}-{i}", at(20 * i), at(20 * i + 10), camera=camera, video_id=f"v{number}",
            label=label, text=f"{HOSTILE} {i}" if i == 3 else f"somebody {i}",
            confidence=confidence,
        )  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Three cameras of ten minutes, one with an evil name, a file that failed, and reviews."""
    writer = pi.Writer(tmp_path_factory.mktemp("index") / "archive & co")
    for number, camera in enumerate(CAMERAS):
        own = {"camera": camera, "video_id": f"v{number}"}
        windows = (
            window(f"s{number}", 0, 0, 300, **own),
            window(f"s{number}", 1, 300, 450, status="quiet", **own),
            window(f"s{number}", 2, 450, 600, status="failed", error="damaged", **own),
        )
        evidence = (
            {"evidence_id": f"p{number}-{i}", "window_id": f"s{number}-0", "at": at(20 * i + 5),
             "shard_id": f"s{number}", "start": at(0), "end": at(600), "webp": picture(i), **own}
            for i in range(30)
        )  # fmt: skip
        writer.write_windows(rows("windows", *windows), rows("evidence", *evidence))
        status = {"status": "partial", "warnings": [f"a hole {HOSTILE}"]} if number == 2 else {}
        writer.finish_videos(
            rows("videos", video(f"v{number}", camera=camera, num_events=30, **status)),
            rows("events", *events_of(number, camera)),
        )
    bad = {"uri": f"x/{HOSTILE}.mp4", "status": "failed", "footage": [], "error": HOSTILE}
    writer.finish_videos(rows("videos", video("bad", 100, 101, camera="gate", **bad)))
    chapter = {"level": "chapter", "summary_id": "c", "title": "Morning", "text": HOSTILE}
    day = {"level": "day", "summary_id": "d", "title": "A quiet day", "text": "Nobody came."}
    times = {"start": at(0), "end": at(600), "camera": "gate"}
    writer.write_summaries(
        rows("summaries", chapter | times | {"video_id": "v0"}, day | times), [at(0).date()]
    )
    found = TimeRange(datetime_to_ns(at(0)), datetime_to_ns(at(10)))
    said = Feedback(
        event_id="0-0", verdict="corrected", camera="gate", label="courier", span=found,
        was_label="person", was_span=found, task="t", fingerprint="f1", video_id="v0", uri="",
        note=HOSTILE, said_by="anna", said_at=datetime(2026, 3, 2, tzinfo=UTC),
    )  # fmt: skip
    missed = Feedback.missed(
        camera="lobby", label="fall", span=found, task="t", said_by="li", said_at=said.said_at
    )
    pi.write_feedback(writer.store, [said, missed])
    return writer.open()


@pytest.fixture(scope="module")
def content(index):
    return read_report(index, None, None, None)


@pytest.fixture(scope="module")
def page(index, content):
    return render(content, dict(candidates(index, content.events)), "archive & co", "en")


def test_the_page_runs_and_loads_nothing(page):
    parsed = Page(page)
    assert parsed.named("script") == parsed.named("link") == parsed.named("iframe") == []
    assert not [name for _, given in parsed.elements for name in given if name.startswith("on")]
    assert all(given["src"].startswith("data:image/webp;") for given in parsed.named("img"))
    assert not re.search(r"""(url|src|href)\s*[=(]\s*["']?(https?:)?//""", page)
    [policy] = [m["content"] for m in parsed.named("meta") if "http-equiv" in m]
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert f"style-src 'sha256-{digest}'" in policy


def test_hostile_texts_are_text(page):
    parsed = Page(page)
    assert "\u202e" not in page
    shown = " ".join(SHOWN.split())
    # Camera, event, chapter, file, its cause, the note of a person.
    assert parsed.text.count(shown) >= 6
    assert all(set(given) == {"alt", "src"} for given in parsed.named("img"))


def test_it_says_what_the_index_holds(page):
    text = Page(page).text
    assert "Report 2026-03-01" in text
    assert "2026-03-01 08:00:00 to 2026-03-01 08:10:00 · all times UTC" in text
    assert "index archive & co" in text
    for said in ("3 cameras", "4 recordings", "30 min footage", "footage 10 min", "90 events",
                 "2 failed or partial",
                 "2 events reviewed", "Summary of the day 2026-03-01: A quiet day", "Nobody came.",
                 "08:10:00 Morning", "corrected courier", "missed fall",
                 "6 more events without a picture here:"):  # fmt: skip
        assert said in text


def test_the_timeline_has_the_coverage_and_the_events_at_their_places(content):
    gate = next(camera for camera in content.cameras if camera.name == "gate")
    assert [(one.name, one.x, one.width) for one in gate.coverage] == [
        ("analysed", 0.0, 50.0), ("quiet", 50.0, 25.0), ("failed", 75.0, 25.0),
    ]  # fmt: skip
    places = {mark.title.partition(" ")[0]: (mark.x, mark.width, mark.row) for mark in gate.marks}
    assert places["08:00:00"] == (0.0, 1.67, 0)
    assert places["08:05:40"] == (56.67, 1.66, 1)  # the rare label has a row of its own
    assert len(gate.marks) == 30


def test_events_that_nobody_could_tell_apart_are_one_mark(tmp_path):
    writer = pi.Writer(tmp_path)
    made = [event(f"e{i}", at(300 + i / 10), at(300.05 + i / 10), label="x") for i in range(500)]
    writer.finish_videos(rows("videos", video(end=86_400.0)), rows("events", *made))
    [camera] = read_report(writer.open(), None, None, None).cameras
    assert [mark.num for mark in camera.marks] == [500]


def test_a_period_and_a_camera_can_be_named(index):
    some = read_report(index, at(100), at(200), "gat*")
    assert [camera.name for camera in some.cameras] == ["gate"]
    assert sorted(row["event_id"] for row in some.events) == [f"0-{i}" for i in range(5, 10)]
    assert some.cameras[0].footage_s == 100.0
    with pytest.raises(ConfigError, match="no footage to report on"):
        read_report(index, None, None, "nowhere")


def test_every_label_of_every_camera_has_a_picture_before_surer_events_have_one(index, content):
    first = ranked(content.events)[: 2 * len(CAMERAS)]
    assert {(row["camera"], row["label"]) for row in first} == {
        (camera, label) for camera in CAMERAS for label in ("person", "vehicle")
    }
    assert {row["event_id"] for row in first if row["label"] == "person"} == {
        "0-29",
        "1-29",
        "2-29",
    }
    chosen = dict(candidates(index, content.events))
    assert len(chosen) == MAX_PER_CAMERA * len(CAMERAS)
    assert chosen["0-29"] == picture(29)


def test_pictures_fill_no_more_than_their_bytes():
    pictures = [("a", bytes(300)), ("b", bytes(301)), ("c", bytes(3))]
    assert list(within(pictures, 408)) == ["a", "c"]  # 400 and 4 as text; b would take 404
    assert list(within(pictures, 399)) == ["c"]
    assert list(within(pictures, 0)) == []


def test_both_languages_have_all_words_and_the_page_is_in_the_one_asked_for(content):
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    text = Page(render(content, {}, "archive", "zh")).text
    assert "报告 2026-03-01" in text
    assert not [word for word in WORDS["en"].values() if len(word) > 12 and word in text]


def test_the_command_writes_a_file_no_larger_than_asked(cli, index, tmp_path):
    out = tmp_path / "made" / "report.html"
    cli.run("report", "--index", index.store.root, "--max-bytes", "110000", out)
    assert "pictures" in cli.err
    assert 80_000 < out.stat().st_size <= 110_000
    assert Page(out.read_text(encoding="utf-8")).named("img")


@pytest.mark.parametrize(
    ("start", "end", "first", "number"),
    [
        ((2026, 3, 1), (2026, 3, 1, 0, 0, 10), "00:00:00", 10),
        ((2026, 3, 1), (2026, 3, 2), "00:00", 8),
        ((2026, 1, 1), (2026, 10, 28), "01-07", 10),
        ((2026, 1, 1), (2026, 10, 29), "2026-04", 3),
        ((2008, 12, 4), (2026, 11, 28), "2010-01", 8),
        ((1970, 1, 1), (2069, 12, 31), "1980-01", 9),
    ],
)
def test_the_line_of_a_period_has_few_round_times_whatever_its_length(start, end, first, number):
    ticks = Axis(start=datetime(*start, tzinfo=UTC), end=datetime(*end, tzinfo=UTC)).ticks()
    places = [x for x, _ in ticks]
    assert (ticks[0][1], len(ticks)) == (first, number)
    assert all(after - before >= 9 for before, after in pairwise(places))


@pytest.mark.parametrize(
    ("end", "days"),
    [((2026, 3, 1, 9), "2026-03-01"), ((2026, 3, 2), "2026-03-01"),
     ((2026, 3, 2, 0, 0, 1), "2026-03-01 \u2013 2026-03-02")],
)  # fmt: skip
def test_a_report_is_named_after_its_first_and_last_day(end, days):
    axis = Axis(start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(*end, tzinfo=UTC))
    assert axis.days() == days
