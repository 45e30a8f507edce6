"""Which found event is which true one.

Knows nothing of models, indexes or videos: both sides come as `TimedEvent`s, and a `group` (a
clip, a camera) says what belongs together.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

MIN_TIOU: Final = 0.5


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
