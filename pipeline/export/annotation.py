"""Events as what people correct in tools for labelling; a file is one video.

label-studio  a task for each video with a prediction: spans of frames on the timeline, and boxes of
              objects; the labels stand in a config of their own. Frames count from 1.
cvat          "CVAT for video 1.1": a track for each object with boxes. Frames count from 0.

Both tools count frames at an even rate: of a video of variable rate, make one of constant rate
first. They draw a box between two boxes by themselves.
"""

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.export.datasets import Footage, Row, boxes_of, parts_of
from pipeline.records.sanitize import sanitized, xml_text

_MODEL_VERSION = "timereel"
_PERCENT = 100.0


def label_studio(events: Iterable[Row], videos: Mapping[str, Footage]) -> list[dict[str, Any]]:
    """A task for each video with an event."""
    results: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        label = xml_text(event["label"])
        for part in parts_of(event, videos):
            video = videos[part["video_id"]]
            first = video.frame(part["start"]) + 1
            span = {"start": first, "end": max(first, video.frame(part["end"]))}
            value = {"ranges": [span], "timelinelabels": [label]}
            results[video.video_id].append(_result(event, "events", "timelinelabels", value))
        for video_id, boxes in _by_video(event, videos).items():
            value = _track(videos[video_id], boxes, label)
            results[video_id].append(_result(event, "boxes", "videorectangle", value))
    return [
        {
            "data": {"video": videos[video_id].uri, "video_id": video_id},
            "predictions": [{"model_version": _MODEL_VERSION, "result": result}],
        }
        for video_id, result in results.items()
    ]


def label_studio_config(events: Iterable[Row]) -> str:
    """The labelling interface that the tasks are for."""
    view = ET.Element("View")
    labels = _labels(events)
    ET.SubElement(view, "Video", name="video", value="$video")
    for kind, name in (("TimelineLabels", "events"), ("Labels", "objects")):
        group = ET.SubElement(view, kind, name=name, toName="video")
        for label in labels:
            ET.SubElement(group, "Label", value=label)
    ET.SubElement(view, "VideoRectangle", name="boxes", toName="video")
    return ET.tostring(view, encoding="unicode") + "\n"


def _result(event: Row, name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{event['event_id']}-{name}",
        "from_name": name,
        "to_name": "video",
        "type": kind,
        "value": value,
        "meta": {"text": [sanitized(event["text"])]},
        **({} if event["confidence"] is None else {"score": event["confidence"]}),
    }


def _track(
    video: Footage, boxes: Sequence[tuple[int, Mapping[str, Any]]], label: str
) -> dict[str, Any]:
    last = len(boxes) - 1
    return {
        "framesCount": round(video.duration_s * video.rate),
        "duration": video.duration_s,
        "labels": [label],
        "sequence": [
            {
                "frame": frame + 1,
                "time": frame / video.rate,
                "enabled": number < last,  # the last box ends the object
                "rotation": 0,
                "x": box["x0"] / video.width * _PERCENT,
                "y": box["y0"] / video.height * _PERCENT,
                "width": (box["x1"] - box["x0"]) / video.width * _PERCENT,
                "height": (box["y1"] - box["y0"]) / video.height * _PERCENT,
            }
            for number, (frame, box) in enumerate(boxes)
        ],
    }


def cvat(events: Iterable[Row], videos: Mapping[str, Footage]) -> dict[str, str]:
    """The XML of each video that has boxes, by its id."""
    rows = list(events)
    tracks: dict[str, list[ET.Element]] = defaultdict(list)
    for event in rows:
        for video_id, boxes in _by_video(event, videos).items():
            tracks[video_id].append(_cvat_track(len(tracks[video_id]), event, boxes))
    texts = {}
    for video_id, found in tracks.items():
        root = ET.Element("annotations")
        ET.SubElement(root, "version").text = "1.1"
        root.append(_meta(videos[video_id], _labels(rows)))
        root.extend(found)
        ET.indent(root)
        texts[video_id] = ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
    return texts


def _meta(video: Footage, labels: Iterable[str]) -> ET.Element:
    num_frames = max(1, round(video.duration_s * video.rate))
    meta = ET.Element("meta")
    task = ET.SubElement(meta, "task")
    for name, text in {
        "name": xml_text(video.video_id),
        "size": str(num_frames),
        "mode": "interpolation",
        "overlap": "0",
        "start_frame": "0",
        "stop_frame": str(num_frames - 1),
    }.items():
        ET.SubElement(task, name).text = text
    group = ET.SubElement(task, "labels")
    for label in labels:
        one = ET.SubElement(group, "label")
        ET.SubElement(one, "name").text = label
        ET.SubElement(one, "attributes")
    size = ET.SubElement(task, "original_size")
    ET.SubElement(size, "width").text = str(video.width)
    ET.SubElement(size, "height").text = str(video.height)
    return meta


def _cvat_track(
    number: int, event: Row, boxes: Sequence[tuple[int, Mapping[str, Any]]]
) -> ET.Element:
    track = ET.Element("track", id=str(number), label=xml_text(event["label"]), source="auto")
    last_frame, last = boxes[-1]
    shown = [(frame, box, "0") for frame, box in boxes]
    for frame, box, outside in [*shown, (last_frame + 1, last, "1")]:  # it is gone then
        ET.SubElement(
            track,
            "box",
            frame=str(frame),
            outside=outside,
            occluded="0",
            keyframe="1",
            xtl=f"{box['x0']:.2f}",
            ytl=f"{box['y0']:.2f}",
            xbr=f"{box['x1']:.2f}",
            ybr=f"{box['y1']:.2f}",
            z_order="0",
        )
    return track


def _by_video(
    event: Row, videos: Mapping[str, Footage]
) -> dict[str, list[tuple[int, Mapping[str, Any]]]]:
    """The boxes of an event by video, each with its frame, in their order."""
    found: dict[str, list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
    for video, frame, box in boxes_of(event, videos):
        found[video.video_id].append((frame, box))
    return {video_id: sorted(boxes, key=lambda one: one[0]) for video_id, boxes in found.items()}


def _labels(events: Iterable[Row]) -> list[str]:
    return sorted({xml_text(event["label"]) for event in events})
