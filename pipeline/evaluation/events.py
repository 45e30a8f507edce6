"""Compare found events with true ones: how many, how exact, and what was taken for what.

Knows nothing of models, indexes or videos: both sides come as `TimedEvent`s, and a `group` (a
clip, a camera) says what belongs together.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

MIN_TIOU: Final = 0.5
NUM_BINS: Final = 10
NOTHING: Final = "(nothing)"
# Times come as decimal text on both sides; a difference in the last bit is no difference.
_TIME_NOISE_S: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedEvent:
    """An event of one group; `fields` are its further answers, such as a colour, sorted by name."""

    group: str
    label: str
    fields: tuple[tuple[str, str], ...] = ()
    start_s: float
    end_s: float
    confidence: float | None = None
    """Of a found event: the probability its finder gave it."""

    @property
    def identity(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What it is, whenever it is."""
        return (self.label, self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A true event and the one found for it."""

    truth: TimedEvent
    found: TimedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What was looked at: every group, also those in which nothing is, and how it was sampled."""

    groups: tuple[str, ...]
    hours: float
    sample_step_s: Mapping[str, float]


def tiou(truth: TimedEvent, found: TimedEvent) -> float:
    """Intersection over union of two times; two equal instants have 1."""
    union = max(truth.end_s, found.end_s) - min(truth.start_s, found.start_s)
    shared = min(truth.end_s, found.end_s) - max(truth.start_s, found.start_s)
    if union <= 0:
        return 1.0
    return max(0.0, shared) / union


def match_events(
    truth: Sequence[TimedEvent],
    found: Sequence[TimedEvent],
    *,
    key: Callable[[TimedEvent], object],
    likeness: Callable[[TimedEvent, TimedEvent], float],
    least: float,
) -> list[Match]:
    """Pairs of equal group and key, the most alike first, each event once, none below `least`."""
    by_key: dict[object, list[int]] = defaultdict(list)
    for index, event in enumerate(found):
        by_key[event.group, key(event)].append(index)
    pairs: list[tuple[float, int, int]] = []
    for truth_index, event in enumerate(truth):
        for found_index in by_key[event.group, key(event)]:
            value = likeness(event, found[found_index])
            if value >= least:
                pairs.append((value, truth_index, found_index))
    matches: list[Match] = []
    used_truth: set[int] = set()
    used_found: set[int] = set()
    for _, truth_index, found_index in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:])):
        if truth_index not in used_truth and found_index not in used_found:
            used_truth.add(truth_index)
            used_found.add(found_index)
            matches.append(Match(truth=truth[truth_index], found=found[found_index]))
    return matches


def evaluate(
    truth: Sequence[TimedEvent], found: Sequence[TimedEvent], footage: Footage
) -> dict[str, Any]:
    """All scores as plain numbers, ready for JSON."""

    def by_label(event: TimedEvent) -> object:
        return event.label

    def by_identity(event: TimedEvent) -> object:
        return event.identity

    overlapping = match_events(truth, found, key=by_label, likeness=tiou, least=MIN_TIOU)
    strict = match_events(truth, found, key=by_identity, likeness=tiou, least=MIN_TIOU)

    def within_a_step(true: TimedEvent, other: TimedEvent) -> float:
        allowed_s = footage.sample_step_s[true.group] + _TIME_NOISE_S
        off_s = max(abs(true.start_s - other.start_s), abs(true.end_s - other.end_s))
        return -off_s if off_s <= allowed_s else -float("inf")

    near = match_events(truth, found, key=by_label, likeness=within_a_step, least=-float("1e9"))
    identified = match_events(
        truth,
        found,
        key=by_identity,
        likeness=lambda true, other: -abs(true.start_s - other.start_s),
        least=-float("inf"),
    )
    num_truth, num_found = len(truth), len(found)
    empty = set(footage.groups) - {event.group for event in truth}
    noisy = {event.group for event in found}
    num_false = num_found - len(overlapping)
    return {
        "num_groups": len(footage.groups),
        "num_truth": num_truth,
        "num_found": num_found,
        "event_f1": f1(len(overlapping), num_truth, num_found),
        "event_precision": _ratio(len(overlapping), num_found),
        "event_recall": _ratio(len(overlapping), num_truth),
        "event_f1_with_fields": f1(len(strict), num_truth, num_found),
        "event_f1_within_a_step": f1(len(near), num_truth, num_found),
        "label_f1": f1(_shared_labels(truth, found), num_truth, num_found),
        "start_error_s": _mean_off(overlapping, "start"),
        "end_error_s": _mean_off(overlapping, "end"),
        "identity_recall": _ratio(len(identified), num_truth),
        "identified_start_error_s": _mean_off(identified, "start"),
        "identified_end_error_s": _mean_off(identified, "end"),
        "identified_start_error_steps": _mean_steps(identified, footage),
        "false_events_per_hour": round(num_false / footage.hours, 3) if footage.hours else None,
        "empty_groups": {"num": len(empty), "num_without_events": len(empty - noisy)},
        "calibration": calibration(found, [match.found for match in overlapping]),
        "per_label": _per_label(truth, found, overlapping),
        "confusion": _confusion(truth, found),
    }


def calibration(found: Sequence[TimedEvent], right: Iterable[TimedEvent]) -> dict[str, Any] | None:
    """How far confidences are what they say: of events told with 0.8, 80 % should be right.

    ``ece`` is the expected calibration error (Naeini et al. 2015): the mean distance of confidence
    and precision over ten equal bins, by their number of events; ``brier`` the mean squared
    distance of confidence and being right. None if no event has a confidence.
    """
    left = Counter(right)
    told: list[tuple[float, bool]] = []
    for event in found:
        is_right = left[event] > 0
        left[event] -= is_right
        if event.confidence is not None:
            told.append((event.confidence, is_right))
    if not told:
        return None
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, is_right in told:
        bins[min(int(confidence * NUM_BINS), NUM_BINS - 1)].append((confidence, is_right))
    rows = [
        {
            "from": index / NUM_BINS,
            "num": len(held),
            "mean_confidence": round(sum(c for c, _ in held) / len(held), 4),
            "precision": round(sum(is_right for _, is_right in held) / len(held), 4),
        }
        for index, held in sorted(bins.items())
    ]
    off = sum(row["num"] * abs(row["mean_confidence"] - row["precision"]) for row in rows)
    return {
        "num": len(told),
        "ece": round(off / len(told), 4),
        "brier": round(sum((c - is_right) ** 2 for c, is_right in told) / len(told), 4),
        "bins": rows,
    }


def f1(num_matches: int, num_truth: int, num_found: int) -> float:
    """The harmonic mean of precision and recall; 1 when there is nothing and nothing was found."""
    total = num_truth + num_found
    return round(2 * num_matches / total, 4) if total else 1.0


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _mean_off(matches: Iterable[Match], which: str) -> float | None:
    offs = [
        abs(match.truth.start_s - match.found.start_s)
        if which == "start"
        else abs(match.truth.end_s - match.found.end_s)
        for match in matches
    ]
    return round(sum(offs) / len(offs), 4) if offs else None


def _mean_steps(matches: Sequence[Match], footage: Footage) -> float | None:
    offs = [
        abs(match.truth.start_s - match.found.start_s) / footage.sample_step_s[match.truth.group]
        for match in matches
    ]
    return round(sum(offs) / len(offs), 4) if offs else None


def _shared_labels(truth: Sequence[TimedEvent], found: Sequence[TimedEvent]) -> int:
    true_counts = Counter((event.group, event.label) for event in truth)
    return (true_counts & Counter((event.group, event.label) for event in found)).total()


def _per_label(
    truth: Sequence[TimedEvent], found: Sequence[TimedEvent], matches: Sequence[Match]
) -> dict[str, dict[str, float]]:
    true_counts = Counter(event.label for event in truth)
    found_counts = Counter(event.label for event in found)
    matched = Counter(match.truth.label for match in matches)
    return {
        label: {
            "num_truth": true_counts[label],
            "num_found": found_counts[label],
            "num_matches": matched[label],
            "event_f1": f1(matched[label], true_counts[label], found_counts[label]),
        }
        for label in sorted(true_counts | found_counts)
    }


def _confusion(
    truth: Sequence[TimedEvent], found: Sequence[TimedEvent]
) -> dict[str, dict[str, int]]:
    """True label to what was found at its time; right labels are paired before wrong ones."""

    def likeness(true: TimedEvent, other: TimedEvent) -> float:
        return tiou(true, other) + 2 * (true.label == other.label) + (true.fields == other.fields)

    def overlapping(true: TimedEvent, other: TimedEvent) -> float:
        return likeness(true, other) if tiou(true, other) >= MIN_TIOU else -1.0

    matches = match_events(truth, found, key=lambda _: None, likeness=overlapping, least=0.0)
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for match in matches:
        table[match.truth.label][match.found.label] += 1
    missed = Counter(event.label for event in truth)
    missed.subtract(Counter(match.truth.label for match in matches))
    invented = Counter(event.label for event in found)
    invented.subtract(Counter(match.found.label for match in matches))
    for label, number in missed.items():
        if number:
            table[label][NOTHING] = number
    for label, number in invented.items():
        if number:
            table[NOTHING][label] = number
    return {label: dict(sorted(row.items())) for label, row in sorted(table.items())}


def side_by_side(
    truth: Sequence[TimedEvent], found: Sequence[TimedEvent]
) -> list[tuple[TimedEvent | None, TimedEvent | None]]:
    """Every event once, in the order of group and time: with its match, missed, or invented."""
    matches = match_events(
        truth, found, key=lambda event: event.label, likeness=tiou, least=MIN_TIOU
    )
    pairs: list[tuple[TimedEvent | None, TimedEvent | None]] = [
        (match.truth, match.found) for match in matches
    ]
    missed = Counter(truth)
    missed.subtract(match.truth for match in matches)
    invented = Counter(found)
    invented.subtract(match.found for match in matches)
    pairs += [(event, None) for event in missed.elements()]
    pairs += [(None, event) for event in invented.elements()]

    def at(pair: tuple[TimedEvent | None, TimedEvent | None]) -> tuple[str, float]:
        event = pair[0] or pair[1]
        return (event.group, event.start_s) if event else ("", 0.0)

    return sorted(pairs, key=at)


def events_from_json(events: Iterable[Mapping[str, Any]]) -> list[TimedEvent]:
    """Events as a truth file or an exported index holds them: camera, label, fields, UTC times."""
    return [
        TimedEvent(
            group=str(event["camera"]),
            label=str(event["label"]),
            fields=tuple(sorted((name, str(value)) for name, value in event["fields"].items())),
            start_s=utc_seconds(event["start"]),
            end_s=utc_seconds(event["end"]),
            confidence=event.get("confidence"),
        )
        for event in events
    ]


def utc_seconds(text: str) -> float:
    """An ISO 8601 time with its zone as seconds since 1970."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone: write it as 2026-03-14T09:00:00Z")
    return at.timestamp()
