"""Rendered archives: names, gaps, the border inside an event, and frames as the truth says."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline.demo.archive import (
    TRUTH_NAME,
    FileSpan,
    Recording,
    VideoForm,
    demo_recordings,
    needle_recording,
    truth_of,
    write_archive,
)
from pipeline.demo.scene import render

av = pytest.importorskip("av")


def at(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_demo_archive_has_a_border_inside_an_event_a_gap_and_quiet_time(seed):
    recordings = demo_recordings(seed)
    truth = truth_of(recordings)
    assert [recording.camera for recording in recordings] == ["cam01", "cam02"]
    for recording in recordings:
        files = [file for file in truth["files"] if file["camera"] == recording.camera]
        events = [event for event in truth["events"] if event["camera"] == recording.camera]
        border, resumed = files[0]["end"], files[2]["start"]
        assert border == files[1]["start"]
        assert files[1]["end"] < resumed
        assert any(event["start"] < border < event["end"] for event in events)
        # Every event lies wholly in footage: none in the gap, none cut by the archive's end.
        for event in events:
            inside_first_run = files[0]["start"] <= event["start"] < event["end"] <= files[1]["end"]
            inside_second_run = resumed <= event["start"] < event["end"] <= files[2]["end"]
            assert inside_first_run or inside_second_run
        quiet = [
            (at(later["start"]) - max(at(e["end"]) for e in events[: index + 1])).total_seconds()
            for index, later in enumerate(events[1:])
        ]
        assert max(quiet) > 60


def test_the_same_seed_gives_the_same_truth():
    assert truth_of(demo_recordings(4)) == truth_of(demo_recordings(4))
    assert truth_of(demo_recordings(4)) != truth_of(demo_recordings(5))


def test_files_are_named_by_the_clock_and_hold_the_frames_of_their_time(tmp_path):
    form = VideoForm(height_px=96, width_px=160, fps=4, crf=12)
    scene = demo_recordings(1, form=form)[0].scene
    recording = Recording(
        camera="cam07",
        scene=scene,
        files=(FileSpan(start_s=0, end_s=3), FileSpan(start_s=90, end_s=93)),
        first_frame_at=datetime(2026, 3, 14, 9, 0, tzinfo=UTC),
    )
    paths = write_archive(tmp_path, [recording], form)
    assert [path.name for path in paths] == [
        "cam07_20260314T090000Z.mp4",
        "cam07_20260314T090130Z.mp4",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [TRUTH_NAME, *(path.name for path in paths)]
    )
    assert json.loads((tmp_path / TRUTH_NAME).read_text()) == truth_of([recording])
    for path, start_s in zip(paths, (0, 90), strict=True):
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
        assert [float(frame.pts * frame.time_base) for frame in frames] == [
            number / 4 for number in range(12)
        ]
        for number in (0, 7):
            drawn = render(scene, start_s + number / 4).astype(float)
            decoded = frames[number].to_ndarray(format="rgb24").astype(float)
            assert np.abs(drawn.mean((0, 1)) - decoded.mean((0, 1))).max() < 4


def test_two_hours_of_needles_cost_nothing_until_they_are_rendered():
    recording = needle_recording(3)
    (span,) = recording.files
    assert span.end_s - span.start_s == 7200
    assert len(recording.scene.events()) == 5
    assert render(recording.scene, 7199.5).shape == (192, 320, 3)
