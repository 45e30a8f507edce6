"""What people have judged as training data: clips, each with a question and the right answer.

A sample is the time around judged events, in which everything is judged: where an event was found
that nobody has looked at, nobody knows the right answer. Times in an answer count from the start of
the clip, since that is the video that the model will see.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pipeline.clips.plan import Order, cuts_of
from pipeline.clips.ranges import Wanted, in_time_order
from pipeline.errors import ConfigError, NoSourcesError
from pipeline.index import Index
from pipeline.records import Cut
from pipeline.records.file_names import file_name
from pipeline.records.sanitize import escaped_json
from pipeline.storage.targets import staged
from pipeline.tables.columns import Row
from pipeline.timebase import NS_PER_S, TimeRange, datetime_to_ns, ns_to_datetime

TrainingFormat: TypeAlias = Literal["qwen", "ms-swift", "llamafactory"]

_TRUE = ("confirmed", "corrected", "missed")
_QUESTION = (
    "When does each of these happen in the video: {labels}? Answer with a JSON list of objects with"
    " label, start and end, in seconds; an empty list if nothing of it happens."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One clip with its question and answer."""

    order: Order
    question: str
    answer: str


def samples_of(index: Index, folder: str, *, pad_ns: int) -> list[Sample]:
    """The samples of all that people have said about an index, by time.

    Raises:
        NoSourcesError: nobody has judged an event whose footage is known.
        ConfigError: a label would be taken for the tag of a video.
    """
    judged = [row for row in index.reviews().to_pylist() if row["verdict"] != "open"]
    samples = []
    for task in sorted({row["task"] for row in judged}):
        of_task = [row for row in judged if row["task"] == task]
        labels = sorted({row["label"] for row in of_task})
        if any("<" in label for label in labels):
            raise ConfigError(
                f"a label holds '<', which stands for tags in training data: {labels}"
            )
        for wanted in in_time_order(_around(of_task, pad_ns)):
            cuts = cuts_of(index, wanted)
            if cuts and not _unjudged(index, wanted, of_task):
                name = f"clips/{file_name('-'.join(wanted.event_ids))}.mp4"
                true = [row for row in of_task if row["verdict"] in _TRUE]
                samples.append(
                    Sample(
                        order=Order(target=f"{folder.rstrip('/')}/{name}", cuts=tuple(cuts)),
                        question=_QUESTION.format(labels=", ".join(labels)),
                        answer=json.dumps(_answer(true, wanted.camera, cuts), ensure_ascii=False),
                    )
                )
    if not samples:
        raise NoSourcesError("no event with known footage is confirmed, corrected or rejected yet")
    return samples


def _around(judged: Iterable[Row], pad_ns: int) -> list[Wanted]:
    return [
        Wanted(
            camera=row["camera"],
            span=TimeRange(
                datetime_to_ns(row["start"]) - pad_ns, datetime_to_ns(row["end"]) + pad_ns
            ),
            event_ids=(row["event_id"],),
        )
        for row in judged
    ]


def _unjudged(index: Index, wanted: Wanted, judged: Iterable[Row]) -> bool:
    start, end = (ns_to_datetime(ns) for ns in (wanted.span.start_ns, wanted.span.end_ns))
    known = {row["event_id"] for row in judged}
    tasks = {row["task"] for row in judged}
    found = index.events(start, end, camera=wanted.camera, zone="none").to_pylist()
    return any(row["event_id"] not in known for row in found if row["task"] in tasks)


def _answer(true: Iterable[Row], camera: str, cuts: Sequence[Cut]) -> list[dict[str, Any]]:
    answer = []
    for row in true:
        start_s, end_s = (_clip_s(cuts, datetime_to_ns(row[border])) for border in ("start", "end"))
        if row["camera"] == camera and start_s < end_s:
            answer.append({"label": row["label"], "start": start_s, "end": end_s})
    return sorted(answer, key=lambda one: (one["start"], one["end"], one["label"]))


def _clip_s(cuts: Iterable[Cut], utc_ns: int) -> float:
    """Seconds in the clip at a time: the footage that it shows before then."""
    before_ns = sum(max(0, min(cut.utc.end_ns, utc_ns) - cut.utc.start_ns) for cut in cuts)
    return round(before_ns / NS_PER_S, 2)


def write_samples(folder: str, samples: Sequence[Sample], form: TrainingFormat) -> None:
    """Write the questions and answers beside their clips, in the form of a training program.

    Raises:
        TargetError: a file cannot be written.
    """
    rows = [_row(sample, folder, form) for sample in samples]
    match form:
        case "ms-swift":
            _write(f"{folder}/train.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
        case "qwen":
            _write(f"{folder}/train.json", json.dumps(rows, indent=1))
        case "llamafactory":
            _write(f"{folder}/train.json", json.dumps(rows, indent=1))
            _write(f"{folder}/dataset_info.json", json.dumps(_DATASET_INFO, indent=1))


_DATASET_INFO = {
    "timereel": {
        "file_name": "train.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "videos": "videos"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    }
}


def _row(sample: Sample, folder: str, form: TrainingFormat) -> dict[str, Any]:
    video = sample.order.target.removeprefix(f"{folder.rstrip('/')}/")
    if form == "qwen":
        said = [
            {"from": "human", "value": f"<video>\n{sample.question}"},
            {"from": "gpt", "value": sample.answer},
        ]
        return {"video": video, "conversations": said}
    messages = [
        {"role": "user", "content": f"<video>{sample.question}"},
        {"role": "assistant", "content": sample.answer},
    ]
    return {"messages": messages, "videos": [video]}


def _write(target: str, text: str) -> None:
    with staged(target) as path:
        path.write_text(escaped_json(text), encoding="utf-8")
