"""The exams of the demo model: clips with seeds that training never uses, and the scores."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from jobs.training.clip import EMPTY, Clip, ClipMix, make_clip
from pipeline.demo.language import COLORS, LABELS, PROMPT, PROMPTS, SHAPES, UNSEEN_PROMPTS
from pipeline.demo.scene import FRAMES_PER_PATCH, patch_times_ms
from pipeline.evaluation.matching import TimedEvent
from pipeline.evaluation.scores import Footage, evaluate

# Training seeds with (seed, 1, number), so an exam never draws a clip of training.
_EXAM_STREAM: Final = 2
_MS_PER_HOUR: Final = 3_600_000


Ask = Callable[[Sequence[Clip], Sequence[str]], list[str]]
"""Answers clips with prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """Which clips to ask about, and how to ask."""

    num_clips: int
    seed: int
    min_frames: int = 8
    max_frames: int = 32
    height_px: int = 96
    width_px: int = 160
    # The default prompt, all listed ones in turn, or wordings that training never used.
    wording: str = "default"
    empty: bool = False
    degraded_chance: float = 0.35


def suite(seed: int, *, num_clips: int) -> dict[str, Exam]:
    """The exams of the model card: three seeds, then other inputs that a pipeline may send."""
    some = max(1, num_clips // 3)
    exams = {
        f"seed {seed + offset}": Exam(num_clips=num_clips, seed=seed + offset)
        for offset in range(3)
    }
    return exams | {
        "empty": Exam(num_clips=max(1, num_clips * 2 // 3), seed=seed + 3, empty=True),
        "8-16 frames": Exam(num_clips=some, seed=seed + 4, max_frames=16),
        "2-7 frames": Exam(num_clips=some, seed=seed + 5, min_frames=2, max_frames=7),
        "listed prompts": Exam(num_clips=some, seed=seed + 6, wording="listed"),
        "unseen prompts": Exam(num_clips=some, seed=seed + 7, wording="unseen"),
        "224x128": Exam(num_clips=some, seed=seed + 8, height_px=128, width_px=224),
        "320x192": Exam(num_clips=some, seed=seed + 9, height_px=192, width_px=320),
        "384x224": Exam(num_clips=some, seed=seed + 10, height_px=224, width_px=384),
    }


def exam_clips(exam: Exam) -> list[Clip]:
    """The exam's clips; the same exam gives the same clips."""
    clips: list[Clip] = []
    for index in range(exam.num_clips):
        rng = np.random.default_rng((exam.seed, _EXAM_STREAM, index))
        num_frames = int(rng.integers(exam.min_frames, exam.max_frames + 1))
        clips.append(
            make_clip(
                rng,
                num_frames=num_frames,
                height_px=exam.height_px,
                width_px=exam.width_px,
                mix=EMPTY if exam.empty else ClipMix(),
                degraded_chance=exam.degraded_chance,
            )
        )
    return clips


def exam_prompts(exam: Exam) -> list[str]:
    """The prompt of each clip."""
    wordings = {"default": (PROMPT,), "listed": PROMPTS, "unseen": UNSEEN_PROMPTS}[exam.wording]
    return [wordings[index % len(wordings)] for index in range(exam.num_clips)]


def sit(exams: Mapping[str, Exam], ask: Ask) -> dict[str, dict[str, Any]]:
    """Ask every exam and score the answers, by the exam's name."""
    scores: dict[str, dict[str, Any]] = {}
    for name, exam in exams.items():
        clips = exam_clips(exam)
        started_s = time.monotonic()
        answers = ask(clips, exam_prompts(exam))
        spent_s = time.monotonic() - started_s
        scores[name] = {
            "seed": exam.seed,
            "frame": f"{exam.width_px}x{exam.height_px}",
            "frames_per_clip": [exam.min_frames, exam.max_frames],
            "wording": exam.wording,
            "clips_per_second": round(len(clips) / spent_s, 2),
            **score(clips, answers),
        }
    return scores


def parse_answer(text: str) -> list[dict[str, Any]] | None:
    """The events of an answer; None if the answer does not match the schema exactly."""
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        return None
    if not isinstance(answer, dict) or set(answer) != {"events", "summary"}:
        return None
    if not isinstance(answer["summary"], str) or not isinstance(answer["events"], list):
        return None
    return answer["events"] if all(map(_is_event, answer["events"])) else None


def _is_event(event: object) -> bool:
    if not isinstance(event, dict):
        return False
    is_number = all(
        isinstance(event.get(name), int | float) and not isinstance(event.get(name), bool)
        for name in ("start", "end")
    )
    return (
        is_number
        and set(event) <= {"color", "shape", "label", "start", "end"}
        and event.get("label") in LABELS
        and event.get("color", COLORS[0]) in COLORS
        and event.get("shape", SHAPES[0]) in SHAPES
    )


def score(clips: Sequence[Clip], answers: Sequence[str]) -> dict[str, Any]:
    """The scores of the answers; times are those of the markers, as the model writes them."""
    truth: list[TimedEvent] = []
    found: list[TimedEvent] = []
    num_valid = num_right = num_exact = num_times = num_shown_times = 0
    steps_s: dict[str, float] = {}
    covered_ms = 0.0
    for index, (clip, answer) in enumerate(zip(clips, answers, strict=True)):
        group = f"clip{index:05d}"
        times_ms = clip.frame_times_ms
        step_ms = (times_ms[-1] - times_ms[0]) / max(1, len(times_ms) - 1)
        steps_s[group] = step_ms / 1000
        covered_ms += step_ms * len(times_ms)
        shown = {float(marker) for marker in clip.markers}
        events = parse_answer(answer)
        num_valid += events is not None
        num_exact += answer == clip.answer
        clip_truth = [
            _timed(
                group,
                (event.label, event.color, event.shape),
                (float(clip.markers[event.first_patch]), float(clip.markers[event.last_patch])),
            )
            for event in clip.events
        ]
        clip_found = [
            _timed(
                group,
                (event["label"], event.get("color"), event.get("shape")),
                (event["start"], event["end"]),
            )
            for event in events or ()
        ]
        num_times += 2 * len(clip_found)
        num_shown_times += sum(
            time_s in shown for event in clip_found for time_s in (event.start_s, event.end_s)
        )
        num_right += events is not None and set(clip_truth) == set(clip_found)
        truth += clip_truth
        found += clip_found
    footage = Footage(groups=tuple(steps_s), hours=covered_ms / _MS_PER_HOUR, sample_step_s=steps_s)
    whole_patches = _over_patches(clips, truth), _over_patches(clips, found)
    return {
        "num_clips": len(clips),
        "valid_json": round(num_valid / len(clips), 4),
        "clips_right": round(num_right / len(clips), 4),
        "answers_exact": round(num_exact / len(clips), 4),
        "times_shown_in_prompt": round(num_shown_times / num_times, 4) if num_times else None,
        "event_f1_over_whole_patches": evaluate(*whole_patches, footage)["event_f1"],
        **evaluate(truth, found, footage),
    }


def _timed(
    group: str, identity: tuple[str, str | None, str | None], span_s: tuple[float, float]
) -> TimedEvent:
    label, color, shape = identity
    fields = {"color": color, "shape": shape}
    return TimedEvent(
        group=group,
        label=label,
        fields=tuple((name, value) for name, value in fields.items() if value is not None),
        start_s=float(span_s[0]),
        end_s=float(span_s[1]),
    )


def _over_patches(clips: Sequence[Clip], events: Sequence[TimedEvent]) -> list[TimedEvent]:
    """The events with the time that their patches cover: half a patch more on each side."""
    halves_s = {f"clip{index:05d}": _patch_length_s(clip) / 2 for index, clip in enumerate(clips)}
    return [
        TimedEvent(
            group=event.group,
            label=event.label,
            fields=event.fields,
            start_s=event.start_s - halves_s[event.group],
            end_s=event.end_s + halves_s[event.group],
        )
        for event in events
    ]


def _patch_length_s(clip: Clip) -> float:
    times_ms = patch_times_ms(clip.frame_times_ms).mean(1)
    if len(times_ms) > 1:
        return float(times_ms[-1] - times_ms[0]) / (len(times_ms) - 1) / 1000
    return float(np.ptp(clip.frame_times_ms)) * FRAMES_PER_PATCH / 1000
