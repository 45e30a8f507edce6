"""NIST's scores of activities (ActEV18_AD): what is missed, and how well found times agree.

An instance that was found belongs to at most one true one of its activity, and the other way
round, such that as many pairs as possible overlap by more than 0.2; of equal choices the one with
the surer instances, and then the one with the greater overlap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import ConfigError

RATES = (0.01, 0.03, 0.1, 0.15, 0.2, 1.0)
"""False alarms per minute."""
_LEAST_OVERLAP = 0.2
_FOR_OVERLAP, _FOR_CONFIDENCE = 1e-8, 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One instance, as the frames of files that show it; ends are exclusive."""

    label: str
    frames: Mapping[str, tuple[tuple[int, int], ...]]
    confidence: float = 1.0

    @property
    def num_frames(self) -> int:
        """How many frames show it."""
        return sum(end - first for spans in self.frames.values() for first, end in spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What was looked at."""

    num_frames: int
    minutes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """What was found for the true instances of one label."""

    pairs: tuple[tuple[Activity, Activity], ...]
    """True and found."""
    num_missed: int
    false_alarms: tuple[Activity, ...]


def score(
    labels: Iterable[str],
    truth: Sequence[Activity],
    found: Sequence[Activity],
    footage: Footage,
) -> dict[str, Any]:
    """``p_miss@RATErfa`` and ``n-mide`` by label, and their means."""
    by_label: dict[str, dict[str, float | None]] = {}
    for label in labels:
        aligned = align(
            [one for one in truth if one.label == label],
            [one for one in found if one.label == label],
            confidences=[one.confidence for one in found],
        )
        misses = {f"p_miss@{rate:g}rfa": p_miss(aligned, footage, rate) for rate in RATES}
        by_label[label] = {**misses, "n-mide": n_mide(aligned, footage)}
    names = [f"p_miss@{rate:g}rfa" for rate in RATES] + ["n-mide"]
    means = {f"mean-{name}": _mean(one[name] for one in by_label.values()) for name in names}
    return {"mean": means, "by_activity": by_label}


def align(
    truth: Sequence[Activity], found: Sequence[Activity], *, confidences: Sequence[float]
) -> Alignment:
    """The best pairs; a confidence counts by its place between the least and greatest of all."""
    try:
        from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise ConfigError("this score needs scipy: pip install '.[evaluate]'") from exc
    likeness = np.zeros((len(truth), len(found)))
    least, most = (min(confidences), max(confidences)) if confidences else (0.0, 0.0)
    for row, true in enumerate(truth):
        for column, other in enumerate(found):
            shared = _shared(true, other)
            overlap = shared / (true.num_frames + other.num_frames - shared) if shared else 0.0
            if overlap > _LEAST_OVERLAP:
                place = (other.confidence - least) / (most - least) if most > least else 1.0
                likeness[row, column] = 1 + _FOR_OVERLAP * overlap + _FOR_CONFIDENCE * place
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    pairs = [(r, c) for r, c in zip(rows, columns, strict=True) if likeness[r, c] > 0]
    used = {column for _, column in pairs}
    return Alignment(
        pairs=tuple((truth[row], found[column]) for row, column in pairs),
        num_missed=len(truth) - len(pairs),
        false_alarms=tuple(one for number, one in enumerate(found) if number not in used),
    )


def p_miss(aligned: Alignment, footage: Footage, rate: float) -> float:
    """The share of true instances that are missed at so many false alarms a minute.

    Between the points of the curve it is linear; before the first point all are missed.
    """
    num_truth = len(aligned.pairs) + aligned.num_missed
    right = np.array([other.confidence for _, other in aligned.pairs])
    wrong = np.array([one.confidence for one in aligned.false_alarms])
    falling = np.unique(np.concatenate([right, wrong]))[::-1]
    alarms = [float((wrong >= least).sum()) / footage.minutes for least in falling]
    if not num_truth or not alarms or rate < alarms[0]:
        return 1.0
    misses = [1 - float((right >= least).sum()) / num_truth for least in falling]
    return float(np.interp(rate, alarms, misses))


def n_mide(aligned: Alignment, footage: Footage) -> float | None:
    """Mean share of missed and falsely shown frames of the pairs."""
    shares = []
    for true, other in aligned.pairs:
        shared, rest = _shared(true, other), footage.num_frames - true.num_frames
        missed = (true.num_frames - shared) / true.num_frames
        shares.append(missed + (other.num_frames - shared) / rest if rest > 0 else missed)
    return _mean(shares)


def _shared(true: Activity, other: Activity) -> int:
    return sum(
        max(0, min(end, other_end) - max(first, other_first))
        for name, spans in true.frames.items()
        for first, end in spans
        for other_first, other_end in other.frames.get(name, ())
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def read_footage(files: Mapping[str, Any]) -> Footage:
    """From a file index."""
    num_frames, minutes = 0, 0.0
    for about in files.values():
        frames = sum(end - first for first, end in _spans(about["selected"]))
        num_frames += frames
        minutes += frames / about["framerate"] / 60
    return Footage(num_frames=num_frames, minutes=minutes)


def read_activities(document: Mapping[str, Any]) -> list[Activity]:
    """From a file of true or found activities."""
    return [
        Activity(
            label=one["activity"],
            frames={name: _spans(signal) for name, signal in one["localization"].items()},
            confidence=one.get("presenceConf", 1.0),
        )
        for one in document["activities"]
    ]


def _spans(signal: Mapping[str, int]) -> tuple[tuple[int, int], ...]:
    """The frames at which a signal is 1; it changes at the frames that it names."""
    changes = sorted((int(frame), value) for frame, value in signal.items())
    found: list[tuple[int, int]] = []
    first: int | None = None
    for frame, value in changes:
        if value and first is None:
            first = frame
        elif not value and first is not None:
            found.append((first, frame))
            first = None
    return tuple(found)
