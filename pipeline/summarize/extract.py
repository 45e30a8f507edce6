"""A summary without a model: it counts events and quotes captions."""

from collections import Counter
from collections.abc import Callable, Sequence

from pipeline.records import Line
from pipeline.timebase import NS_PER_S, TimeRange

Clock = Callable[[int], str]
"""Formats a UTC instant in nanoseconds for a reader."""

_MAX_LISTED_TIMES = 6
_TITLE_LABELS = 3
_TITLE_CHARS = 80


def extractive(lines: Sequence[Line], clock: Clock, *, max_sentences: int) -> tuple[Line, ...]:
    """One sentence per label that says how often and when; without events, quoted captions.

    If there are more labels than ``max_sentences``, the most frequent labels are taken. If there
    are more captions, every n-th is quoted. Sentences are in the order of their start.
    """
    by_label: dict[str, list[Line]] = {}
    for line in lines:
        if line.label:
            by_label.setdefault(line.label, []).append(line)
    if by_label:
        labels = sorted(by_label, key=lambda label: -len(by_label[label]))[:max_sentences]
        sentences = [_counted(label, by_label[label], clock) for label in labels]
    else:
        captions = [line for line in lines if line.text]
        step = max(1, -(-len(captions) // max_sentences))
        sentences = captions[::step]
    return tuple(sorted(sentences, key=lambda line: (line.span, line.text)))


def extractive_title(lines: Sequence[Line]) -> str:
    """The most frequent labels with their counts, or the beginning of the first caption."""
    counts = Counter(line.label for line in lines if line.label)
    if counts:
        return ", ".join(f"{label} ({n})" for label, n in counts.most_common(_TITLE_LABELS))
    first = next((line.text for line in lines if line.text), "")
    return first if len(first) <= _TITLE_CHARS else first[: _TITLE_CHARS - 3] + "..."


def hull(lines: Sequence[Line]) -> TimeRange:
    """The range from the earliest start to the latest end."""
    return TimeRange(
        min(line.span.start_ns for line in lines), max(line.span.end_ns for line in lines)
    )


def _counted(label: str, lines: Sequence[Line], clock: Clock) -> Line:
    span = hull(lines)
    if len(lines) == 1:
        text = f"{label}: once, {clock(span.start_ns)} to {clock(span.end_ns)}."
    else:
        total_s = sum(line.span.duration_ns for line in lines) / NS_PER_S
        times = ", ".join(clock(line.span.start_ns) for line in lines[:_MAX_LISTED_TIMES])
        more = len(lines) - _MAX_LISTED_TIMES
        text = (
            f"{label}: {len(lines)} times, {total_s:.1f} s in all, from {times}"
            f"{f' and {more} more times' if more > 0 else ''}."
        )
    sources = tuple(dict.fromkeys(source for line in lines for source in line.sources))
    return Line(span=span, text=text, sources=sources, label=label)
