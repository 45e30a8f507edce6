"""What is exported is read back by the tools it is for, or by readers that follow their rules."""

import json
import xml.etree.ElementTree as ET

import opentimelineio as otio
import pytest
import srt
from pycocotools.coco import COCO

from pipeline.cli.app import main
from pipeline.export import annotation, datasets
from pipeline.index.feedback import write_feedback
from pipeline.records import Feedback
from pipeline.timebase import TimeRange, datetime_to_ns
from tests.clips import index_of, probed, shown
from tests.index_rows import at, event, rows, video
from tests.videos import make_video


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two cameras; a sunset runs from one file of the sea into the next."""
    root = tmp_path_factory.mktemp("archive")
    sea1 = probed(make_video(root / "sea one.mp4", num_frames=100), camera="sea")
    sea2 = probed(make_video(root / "sea2.mp4", num_frames=100), camera="sea", start_s=4.0)
    hill = probed(make_video(root / "hill.mp4", num_frames=100, rate=10), camera="hill")
    index = index_of(
        root / "index",
        [sea1, sea2, hill],
        [
            ("s1", sea1, 3.0, 4.0, "sunset"),
            ("s2", sea2, 0.0, 1.0, "sunset"),
            ("boat", sea2, 2.0, 2.4, "boat"),
            ("s3", hill, 1.0, 2.5, "sunset"),
        ],
    )
    return root, index


@pytest.fixture
def run(capsys):
    def run(*args, code=0):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, args)])
        out, run.err = capsys.readouterr()
        assert ended.value.code == code, run.err
        return out

    return run


def test_every_segment_with_a_sunset_is_kept_in_order(archive, run, tmp_path):
    root, _ = archive
    run("query", "--index", root / "index", "--text", "sunset", "--edit", tmp_path / "out.otio")
    clips = list(otio.adapters.read_from_file(str(tmp_path / "out.otio")).find_clips())
    assert [
        (
            clip.media_reference.target_url.rsplit("/", 1)[-1],
            clip.source_range.start_time.to_seconds(),
            clip.source_range.duration.to_seconds(),
        )
        for clip in clips
    ] == [("hill.mp4", 1.0, 1.5), ("sea one.mp4", 3.0, 1.0), ("sea2.mp4", 0.0, 1.0)]
    assert list(clips[1].metadata["timereel"]["events"]) == ["s1", "s2"]
    assert clips[0].metadata["timereel"]["start"] == at(1).isoformat()
    run("clip", "--index", root / "index", "--text", "sunset", "--join", tmp_path / "out.mp4")
    assert len(shown(tmp_path / "out.mp4")) == 15 + 25 + 25


def test_an_edl_holds_the_same_cuts_in_whole_frames_and_in_order(archive, run, tmp_path):
    root, _ = archive
    out = tmp_path / "out.edl"
    run("export", out, "--index", root / "index", "--label", "sunset", "--format", "edl")
    timeline = otio.adapters.read_from_file(str(out), rate=25)
    assert len(timeline.tracks) == 1
    assert [
        (one.source_range.start_time.to_seconds(), one.source_range.duration.to_seconds())
        for one in timeline.find_clips()
    ] == [(1.0, 1.52), (3.0, 1.0), (0.0, 1.0)]


def test_an_edl_of_a_camera_whose_frames_no_time_code_counts_loses_nothing(archive, run, tmp_path):
    root, _ = archive
    out = tmp_path / "out.edl"
    run("export", out, "--index", root / "index", "--camera", "hill", "--format", "edl")
    [clip] = otio.adapters.read_from_file(str(out), rate=24).find_clips()
    assert clip.source_range.start_time.to_seconds() <= 1.0
    assert clip.source_range.end_time_exclusive().to_seconds() >= 2.5


def test_an_edit_list_without_footage_or_of_another_suffix_is_refused(archive, run, tmp_path):
    root, _ = archive
    of_index = ("query", "--index", root / "index", "--edit")
    run(*of_index, tmp_path / "x.xml", code=2)
    assert "ends with .otio or .edl" in run.err
    run(*of_index, tmp_path / "x.otio", "--text", "volcano", code=5)
    assert list(tmp_path.iterdir()) == []


def test_srt_holds_the_cues_of_one_file_and_no_markup(archive, run):
    root, _ = archive
    text = run("query", "--index", root / "index", "--video", "sea2.mp4", "--format", "srt")
    cues = list(srt.parse(text, ignore_errors=False))
    assert [(one.start.total_seconds(), one.end.total_seconds(), one.content) for one in cues] == [
        (0.0, 1.0, "sunset: a sunset"), (2.0, 2.4, "boat: a boat")
    ]  # fmt: skip


def test_no_text_can_break_a_cue_of_srt():
    from pipeline.export.webvtt import srt as document

    row = {
        "uri": "a",
        "media_start": 0.0,
        "media_end": 1.0,
        "text": "<b>a</b>\n\n1\n{\\an8}b --> c",
    }
    [cue] = srt.parse(document([row]), ignore_errors=False)
    assert cue.content == "\u2039b\u203aa\u2039/b\u203a\n1\n(\\an8)b --\u203a c"


def test_activitynet_captions_have_a_sentence_for_each_range(archive, run, tmp_path):
    root, index = archive
    out = tmp_path / "captions.json"
    run("export", out, "--index", root / "index", "--format", "activitynet")
    by_uri = {row["uri"].rsplit("/", 1)[-1]: row["video_id"] for row in index.videos().to_pylist()}
    captions = json.loads(out.read_text())
    assert captions[by_uri["sea2.mp4"]] == {
        "duration": 4.0,
        "timestamps": [[0.0, 1.0], [2.0, 2.4]],
        "sentences": ["a sunset", "a boat"],
    }
    assert captions[by_uri["hill.mp4"]]["duration"] == 10.0


def test_qvhighlights_lines_name_the_clips_of_two_seconds_that_their_windows_touch(
    archive, run, tmp_path
):
    root, _ = archive
    out = tmp_path / "moments.jsonl"
    run("export", out, "--index", root / "index", "--format", "qvhighlights")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len({line["qid"] for line in lines}) == len(lines) == 4
    hill = next(line for line in lines if line["duration"] == 10.0)
    assert (hill["query"], hill["relevant_windows"]) == ("sunset", [[1.0, 2.5]])
    assert hill["relevant_clip_ids"] == [0, 1]


@pytest.fixture(scope="module")
def with_boxes(tmp_path_factory):
    root = tmp_path_factory.mktemp("boxes")
    video = probed(make_video(root / "a.mp4", num_frames=50), camera="gate")
    index_of(
        root / "index",
        [video],
        [("e1", video, 0.0, 1.0, "person"), ("e2", video, 0.4, 1.0, "car")],
        boxes={
            "e1": [
                {"at": at(0.04 * i), "x0": i, "y0": 2, "x1": i + 10, "y1": 22} for i in range(5)
            ],
            "e2": [{"at": at(0.4), "x0": 30, "y0": 40, "x1": 50, "y1": 60}],
        },
    )
    return root, video


def test_boxes_are_read_by_pycocotools(with_boxes, run, tmp_path):
    root, video = with_boxes
    run("export", tmp_path / "coco.json", "--index", root / "index", "--format", "coco")
    read = COCO(str(tmp_path / "coco.json"))
    person = read.getCatIds(catNms=["person"])
    boxes = read.loadAnns(read.getAnnIds(catIds=person))
    assert [box["bbox"] for box in boxes] == [[i, 2, 10, 20] for i in range(5)]
    images = read.loadImgs([box["image_id"] for box in boxes])
    assert [image["frame_id"] for image in images] == [0, 1, 2, 3, 4]
    assert {(image["width"], image["height"]) for image in images} == {(160, 96)}
    assert read.dataset["videos"] == [{"id": 1, "name": video.video_id}]


def test_boxes_are_lines_of_mot_in_order_of_their_frames(with_boxes, run, tmp_path):
    root, video = with_boxes
    run("export", tmp_path / "mot", "--index", root / "index", "--format", "mot")
    text = (tmp_path / "mot" / f"{video.video_id}.txt").read_text()
    lines = [line.split(",") for line in text.splitlines()]
    assert [int(line[0]) for line in lines] == [1, 2, 3, 4, 5, 11]
    assert lines[-1] == ["11", "2", "30.00", "40.00", "20.00", "20.00", "0.5000", "1", "1"]


def said(event_id, video, verdict, start_s, end_s, label, **more):
    start_ns = datetime_to_ns(at(start_s))
    return Feedback(
        event_id=event_id, verdict=verdict, camera=video.camera, label=label,
        span=TimeRange(start_ns, datetime_to_ns(at(end_s))), was_label=None, was_span=None,
        task="t", fingerprint="f1", video_id=video.video_id, uri=video.uri, note="",
        said_by="a", said_at=at(0), **more,
    )  # fmt: skip


@pytest.fixture
def judged(tmp_path):
    video = probed(make_video(tmp_path / "a.mp4", num_frames=500), camera="gate")
    index = index_of(
        tmp_path / "index",
        [video],
        [
            ("right", video, 2.0, 3.0, "person"),
            ("wrong", video, 8.0, 9.0, "person"),
            ("unseen", video, 14.0, 15.0, "person"),
            ("beside", video, 15.5, 16.0, "person"),
        ],
    )
    write_feedback(
        index.store,
        [
            said("right", video, "corrected", 2.2, 3.0, "person"),
            said("wrong", video, "rejected", 8.0, 9.0, "person"),
            said("beside", video, "confirmed", 15.5, 16.0, "person"),
        ],
    )
    return tmp_path


@pytest.mark.parametrize("form", ["qwen", "ms-swift", "llamafactory"])
def test_judged_events_become_clips_with_a_question_and_the_right_answer(judged, run, form):
    out = judged / "train"
    run("export", out, "--index", judged / "index", "--format", form, "--pad", "1")
    if form == "ms-swift":
        rows = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
        assert all(set(row) == {"messages", "videos"} for row in rows)
    else:
        rows = json.loads((out / "train.json").read_text())
    if form == "qwen":
        assert all(row["conversations"][0]["value"].startswith("<video>\n") for row in rows)
        got = [(row["video"], row["conversations"][1]["value"]) for row in rows]
    else:
        assert [row["messages"][0]["content"].count("<video>") for row in rows] == [1, 1]
        got = [(row["videos"][0], row["messages"][1]["content"]) for row in rows]
    # Beside the third, an event was found about which nobody has said anything.
    assert [(name, json.loads(answer)) for name, answer in got] == [
        ("clips/right.mp4", [{"label": "person", "start": 1.0, "end": 1.8}]),
        ("clips/wrong.mp4", []),
    ]
    numbers = [number for _, number in shown(out / got[0][0])]
    assert numbers == list(range(30, 100))
    if form == "llamafactory":
        info = json.loads((out / "dataset_info.json").read_text())["timereel"]
        assert (out / info["file_name"]).exists()
        assert info["tags"]["role_tag"] in rows[0]["messages"][0]


def test_training_data_of_an_index_that_nobody_has_judged_is_refused(archive, run, tmp_path):
    root, _ = archive
    run("export", tmp_path / "x", "--index", root / "index", "--format", "qwen", code=5)
    assert "no event with known footage" in run.err


def read_xml(text):
    return ET.fromstring(text)  # noqa: S314 - our own


def test_a_task_of_label_studio_has_spans_and_tracks_in_frames_from_one(with_boxes, run, tmp_path):
    root, video = with_boxes
    out = tmp_path / "ls"
    run("export", out, "--index", root / "index", "--format", "label-studio")
    [task] = json.loads((out / "tasks.json").read_text())
    assert task["data"] == {"video": video.uri, "video_id": video.video_id}
    results = {one["id"]: one for one in task["predictions"][0]["result"]}
    assert results["e1-events"]["value"] == {
        "ranges": [{"start": 1, "end": 25}],
        "timelinelabels": ["person"],
    }
    track = results["e1-boxes"]["value"]
    assert (track["framesCount"], track["duration"]) == (50, 2.0)
    assert [one["frame"] for one in track["sequence"]] == [1, 2, 3, 4, 5]
    assert [one["enabled"] for one in track["sequence"]] == [True, True, True, True, False]
    last = track["sequence"][-1]
    assert [last[side] for side in ("x", "y", "width", "height")] == pytest.approx(
        [4 / 160 * 100, 2 / 96 * 100, 10 / 160 * 100, 20 / 96 * 100]
    )
    config = read_xml((out / "config.xml").read_text())
    controls = {one.get("name"): one.get("toName") for one in config if one.get("toName")}
    assert all(controls[one["from_name"]] == one["to_name"] for one in results.values())
    assert {one.get("value") for one in config.iter("Label")} == {"car", "person"}


def test_tracks_of_cvat_begin_and_end_at_their_frames(with_boxes, run, tmp_path):
    root, video = with_boxes
    run("export", tmp_path / "cvat", "--index", root / "index", "--format", "cvat")
    read = read_xml((tmp_path / "cvat" / f"{video.video_id}.xml").read_text())
    assert read.findtext("version") == "1.1"
    assert (read.findtext("meta/task/size"), read.findtext("meta/task/stop_frame")) == ("50", "49")
    assert read.findtext("meta/task/original_size/width") == "160"
    assert [one.text for one in read.findall("meta/task/labels/label/name")] == ["car", "person"]
    tracks = {one.get("label"): one.findall("box") for one in read.findall("track")}
    assert [(int(box.get("frame")), box.get("outside")) for box in tracks["car"]] == [
        (10, "0"), (11, "1")
    ]  # fmt: skip
    assert [box.get("xtl") for box in tracks["person"]] == [
        "0.00", "1.00", "2.00", "3.00", "4.00", "4.00"
    ]  # fmt: skip
    assert tracks["car"][0].attrib == {
        "frame": "10", "outside": "0", "occluded": "0", "keyframe": "1", "z_order": "0",
        "xtl": "30.00", "ytl": "40.00", "xbr": "50.00", "ybr": "60.00",
    }  # fmt: skip


ODD_VIDEOS = {
    "sound alone": {"width": 0, "height": 0},
    "frames in no time": {"video_s": 5e-324, "num_frames": 1},
    "frames before time": {"video_s": -1.0},
    "an age": {"end": at(2.5e11)},
}


@pytest.mark.parametrize("changes", ODD_VIDEOS.values(), ids=ODD_VIDEOS)
def test_a_video_that_no_camera_makes_ends_no_export(changes):
    row = video(num_frames=100, video_s=600.0, width=64, height=48, clock_start=at(0)) | changes
    [made] = rows("videos", row).to_pylist()
    videos = {"v1": datasets.Footage.of_row(made)}
    box = {"at": at(1), "x0": 1.0, "y0": 1.0, "x1": 9.0, "y1": 9.0}
    found = event("e", at(0), at(2), label="a", boxes=[box], media_start=0.0, media_end=9.9e9)
    events = rows("events", found).to_pylist()
    for name in (datasets.coco, datasets.mot, annotation.cvat, annotation.label_studio):
        assert name(events, videos) is not None
    [line] = datasets.qvhighlights(events, videos)
    assert len(line["relevant_clip_ids"]) < 1e6
    assert line["relevant_windows"] == [[0.0, 9.9e9]]


def test_a_hostile_label_ends_no_element_of_an_export():
    from datetime import timedelta

    from pipeline.export import annotation
    from pipeline.export.datasets import Footage

    label = 'a"/></track><x>\x00\x1b&\ud800'
    video = Footage(
        video_id="v", uri="v.mp4", duration_s=2.0, rate=25.0, width=160, height=96, start=at(0)
    )
    part = {"video_id": "v", "start": at(0), "end": at(0) + timedelta(seconds=1)}
    box = {"at": at(0), "x0": 0, "y0": 0, "x1": 1, "y1": 1}
    row = {"event_id": "e", "label": label, "text": label, "confidence": None}
    row |= {"parts": [part], "boxes": [box]}
    [text] = annotation.cvat([row], {"v": video}).values()
    told = read_xml(text).find("track").get("label")
    config = read_xml(annotation.label_studio_config([row]))
    [task] = annotation.label_studio([row], {"v": video})
    said_labels = task["predictions"][0]["result"][0]["value"]["timelinelabels"]
    assert {told, *said_labels} == {one.get("value") for one in config.iter("Label")}
    assert told.startswith('a"/></track><x> &')
