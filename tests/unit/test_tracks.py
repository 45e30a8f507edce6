"""Tracks: every object with boxes and its path, read out of the events that are there."""

import pytest

import pipeline.index as pi
from tests.index_rows import at, event, rows, video


def box(second, x, y):
    return {"at": at(second), "x0": x - 5.0, "y0": y - 20.0, "x1": x + 5.0, "y1": y}


# Its feet go 30 to the right and 40 down, then straight back.
WALK = [box(0, 100, 100), box(1, 130, 140), box(2, 100, 100)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracks") / "index"
    seen = [
        event("walk", at(0), at(3), label="person", text="person", boxes=WALK, confidence=0.5),
        event("stand", at(1), at(8), label="vehicle", text="car", boxes=[box(1, 50, 50)]),
        event("dark", at(0), at(9), label="black"),
    ]
    told = [
        event("left", at(2), at(3), label="leaves", boxes=WALK[2:], zone="yard"),
        event("came", at(0), at(1), label="enters", boxes=WALK[:1], zone="yard"),
    ]
    crowd = event("both", at(1), at(3), label="count", boxes=WALK[1:], zone="yard")
    all_events = [*seen, *({**one, "of_event_id": "walk"} for one in told), crowd]
    pi.Writer(folder).finish_videos(rows("videos", video()), rows("events", *all_events))
    return folder


def shown(table):
    return [
        (row["track_id"], row["label"], row["duration_s"], row["path_px"], row["event_ids"])
        for row in table.to_pylist()
    ]


ALL = [
    ("walk", "person", 3.0, 100.0, ["walk", "came", "left"]),
    ("stand", "vehicle", 7.0, 0.0, ["stand"]),
]


def test_a_track_is_an_event_with_boxes_its_path_and_what_zones_tell_of_it(folder):
    index = pi.open(folder)
    assert shown(index.tracks()) == ALL
    assert index.tracks()["boxes"].to_pylist()[0] == WALK
    assert shown(index.sql("SELECT * FROM tracks ORDER BY start")) == ALL
    assert index.tracks(fingerprint="all").equals(index.tracks())


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"end": at(1)}, ALL[:1]),  # what it did later belongs to it all the same
        ({"start": at(3)}, ALL[1:]),
        ({"start": at(8)}, []),
        ({"label": "person"}, ALL[:1]),
        ({"text": "CAR"}, ALL[1:]),
        ({"video": "v1"}, ALL),
        ({"min_confidence": 0.5}, ALL[:1]),
        ({"order_by": "duration", "descending": True}, ALL[::-1]),
        ({"camera": "other*"}, []),
    ],
)
def test_tracks_are_asked_for_as_events_are(folder, asked, found):
    assert shown(pi.open(folder).tracks(**asked)) == found


def test_the_command_line_lists_and_exports_tracks(folder, cli, tmp_path):
    listed = cli.rows("query", "--index", folder, "--table", "tracks")
    assert [row["track_id"] for row in listed] == ["walk", "stand"]
    cli.run("export", tmp_path / "plain", "--index", folder, "--format", "parquet")
    assert (tmp_path / "plain" / "tracks" / "2026-03-01.parquet").is_file()


def test_an_index_without_events_has_no_tracks(tmp_path):
    pi.Writer(tmp_path).finish_videos(rows("videos", video()))
    assert pi.open(tmp_path).tracks(at(0), at(9)).num_rows == 0
