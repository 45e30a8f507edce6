"""Events as the files of datasets and benchmarks; times are seconds in each video.

    activitynet   {video: {"duration", "timestamps": [[start, end]], "sentences": [...]}}
    qvhighlights  one line for each video and label: {"qid", "query", "vid", "duration",
                  "relevant_windows", "relevant_clip_ids"}; a clip has two seconds. Nobody has said
                  how salient a clip is, so there are no saliency scores.
    coco          COCO-VID: videos, images, annotations with instances, categories
    mot           MOTChallenge: one text for each video, frames counted from 1

Videos are named by their ids. The number of a frame is its time times the frame rate of the video,
rounded, so in a video of variable rate it is no index of a frame.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor
from typing import Any, TypeAlias

from pipeline.records import upright_size
from pipeline.records.file_names import file_name

Row: TypeAlias = Mapping[str, Any]

_CLIP_S = 2.0
_MAX_CLIPS = 302_400
"""A week of them; no video lasts longer."""
_MAX_RATE = 1e6
"""Frames per second. Above it, and below none at all, a row is of no camera."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What the datasets say of a video, from its row."""

    video_id: str
    uri: str
    duration_s: float
    rate: float
    width: int
    height: int
    """Upright."""
    start: datetime
    """UTC of media time 0."""

    @classmethod
    def of_row(cls, row: Row) -> "Footage":
        """From a row of ``videos``."""
        width, height = upright_size(row["width"], row["height"], row["rotation"])
        length_s = row["video_s"] + row["overlap_s"]
        rate = row["num_frames"] / length_s if length_s else 1.0
        return cls(
            video_id=row["video_id"],
            uri=row["uri"],
            duration_s=(row["end"] - row["clock_start"]).total_seconds(),
            rate=rate if 0 < rate < _MAX_RATE else 1.0,
            width=width,
            height=height,
            start=row["clock_start"],
        )

    def frame(self, at: datetime) -> int:
        """Number of the frame at a UTC time, from 0."""
        return max(0, round((at - self.start).total_seconds() * self.rate))


def activitynet(events: Iterable[Row], videos: Mapping[str, Footage]) -> dict[str, Any]:
    """Captions as the ActivityNet challenge has them."""
    found: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for event in events:
        for part in parts_of(event, videos):
            sentence = event["text"] or event["label"]
            found[part["video_id"]].append((part["media_start"], part["media_end"], sentence))
    return {
        video_id: {
            "duration": videos[video_id].duration_s,
            "timestamps": [[start_s, end_s] for start_s, end_s, _ in sorted(told)],
            "sentences": [sentence for _, _, sentence in sorted(told)],
        }
        for video_id, told in found.items()
    }


def qvhighlights(events: Iterable[Row], videos: Mapping[str, Footage]) -> Iterator[dict[str, Any]]:
    """Moments by query, as QVHighlights has them; a label is a query."""
    windows: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    for event in events:
        for part in parts_of(event, videos):
            asked = (part["video_id"], event["label"])
            windows[asked].append([part["media_start"], part["media_end"]])
    for number, ((video_id, label), found) in enumerate(windows.items()):
        clips = {
            clip
            for start_s, end_s in found
            for clip in range(
                max(0, floor(start_s / _CLIP_S)), min(_MAX_CLIPS, ceil(end_s / _CLIP_S))
            )
        }
        yield {
            "qid": number,
            "query": label,
            "vid": video_id,
            "duration": videos[video_id].duration_s,
            "relevant_windows": sorted(found),
            "relevant_clip_ids": sorted(clips),
        }


def coco(events: Iterable[Row], videos: Mapping[str, Footage]) -> dict[str, Any]:
    """Boxes of events; each event is an instance."""
    rows = list(events)
    labels = sorted({row["label"] for row in rows})
    numbers = {video_id: number for number, video_id in enumerate(videos, start=1)}
    images: dict[tuple[str, int], dict[str, Any]] = {}
    annotations: list[dict[str, Any]] = []
    for instance, event in enumerate(rows, start=1):
        for video, frame, box in boxes_of(event, videos):
            image = images.setdefault(
                (video.video_id, frame),
                {
                    "id": len(images) + 1,
                    "video_id": numbers[video.video_id],
                    "frame_id": frame,
                    "file_name": f"{file_name(video.video_id)}/{frame:06d}.jpg",
                    "width": video.width,
                    "height": video.height,
                },
            )
            sides = box["x1"] - box["x0"], box["y1"] - box["y0"]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "video_id": image["video_id"],
                    "instance_id": instance,
                    "category_id": labels.index(event["label"]) + 1,
                    "bbox": [box["x0"], box["y0"], *sides],
                    "area": sides[0] * sides[1],
                    "iscrowd": 0,
                }
            )
    return {
        "videos": [{"id": numbers[one], "name": one} for one in videos],
        "images": list(images.values()),
        "annotations": annotations,
        "categories": [{"id": i, "name": label} for i, label in enumerate(labels, start=1)],
    }


def mot(events: Iterable[Row], videos: Mapping[str, Footage]) -> dict[str, str]:
    """The text of each video that has boxes, by its id; a class is the number of its label."""
    rows = list(events)
    labels = sorted({row["label"] for row in rows})
    lines: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for track, event in enumerate(rows, start=1):
        confidence = 1.0 if event["confidence"] is None else event["confidence"]
        label = labels.index(event["label"]) + 1
        for video, frame, box in boxes_of(event, videos):
            sides = box["x1"] - box["x0"], box["y1"] - box["y0"]
            corners = ",".join(f"{side:.2f}" for side in (box["x0"], box["y0"], *sides))
            line = f"{frame + 1},{track},{corners},{confidence:.4f},{label},1"
            lines[video.video_id].append((frame, track, line))
    return {
        video_id: "".join(f"{line}\n" for _, _, line in sorted(told))
        for video_id, told in lines.items()
    }


def parts_of(event: Row, videos: Mapping[str, Footage]) -> list[Row]:
    """The parts of an event in these videos."""
    return [part for part in event["parts"] or [event] if part["video_id"] in videos]


def boxes_of(
    event: Row, videos: Mapping[str, Footage]
) -> Iterator[tuple[Footage, int, Mapping[str, Any]]]:
    """Each box with its video and frame; of two boxes at one frame the later counts.

    A recording of sound alone has no boxes, whatever its rows say.
    """
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    for box in event["boxes"]:
        for part in parts_of(event, videos):
            if part["start"] <= box["at"] <= part["end"]:
                video = videos[part["video_id"]]
                if video.width > 0 and video.height > 0:
                    found[video.video_id, video.frame(box["at"])] = box
                break
    for (video_id, frame), box in found.items():
        yield videos[video_id], frame, box
