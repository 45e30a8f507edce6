"""How good found events are: how many are right, how exact, and what was taken for what."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.evaluation.calibration import calibration
from pipeline.evaluation.matching import MIN_TIOU, Match, TimedEvent, match_events, tiou

NOTHING: Final = "(nothing)"
# Times come as decimal text on both sides; a difference in the last bit is no difference.
_TIME_NOISE_S: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """What was looked at: every group, also those in which nothing is, and how it was sampled."""

    groups: tuple[str, ...]
    hours: float
    sample_step_s: Mapping[str, float]


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
