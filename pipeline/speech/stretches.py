"""Cuts sound where nobody speaks into stretches that every speech engine takes at once. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pipeline.records.speech import NS_PER_SAMPLE, Samples, SoundTrack, Stretch
from pipeline.timebase import NS_PER_MS, NS_PER_S, TimeRange

MAX_STRETCH_NS = 28 * NS_PER_S
"""Whisper hears 30 s at once, and what is padded must fit too."""
# A voice begins at the higher probability and lasts while the lower one is reached.
_BEGINS = 0.5
_LASTS = 0.35
_MIN_PAUSE_NS = 450 * NS_PER_MS
_TURN_NS = 150 * NS_PER_MS
# A shorter noise is no voice that anybody can be told by, as in the defaults of Silero VAD; at the
# seam of two speakers it takes the last word of the one for the other.
_LEAST_TURN_NS = 250 * NS_PER_MS
_PAD_NS = 200 * NS_PER_MS
# Voices with a shorter pause are heard together: an engine knows words by those around them, and
# a call for one word costs as much as one for 28 s.
_TOGETHER_NS = 2000 * NS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What an engine is given at once, and where in it a voice is heard; media time."""

    span: TimeRange
    voice: tuple[TimeRange, ...]


def stretches_of(
    track: SoundTrack, samples: Samples, found: Iterable[Voice], within: TimeRange
) -> tuple[Stretch, ...]:
    """The sound of each voice that was found in the samples of a track, which begin ``within``."""
    stretches = []
    for one in found:
        first, last = (
            (at_ns - within.start_ns) // NS_PER_SAMPLE
            for at_ns in (one.span.start_ns, one.span.end_ns)
        )
        stretches.append(
            Stretch(
                track=track,
                start_ns=one.span.start_ns,
                samples=samples[first:last],
                voice=one.voice,
            )
        )
    return tuple(stretches)


def voices(
    probabilities: npt.NDArray[np.float32], samples_per_value: int, within: TimeRange
) -> list[Voice]:
    """Stretches of at most ``MAX_STRETCH_NS``, ascending, that do not overlap.

    Args:
        probabilities: of a voice, for each ``samples_per_value`` samples from ``within`` on.
        samples_per_value: how many samples each stands for.
        within: media time of the sound.
    """
    step_ns = samples_per_value * NS_PER_SAMPLE
    heard = [
        part
        for one in _heard(probabilities, step_ns, within, _MIN_PAUSE_NS)
        for part in _cut(one, probabilities, step_ns, within)
    ]
    # Half of a pause at most, so that stretches never overlap.
    middles = [(before.end_ns + after.start_ns) // 2 for before, after in pairwise(heard)]
    borders = pairwise([within.start_ns, *middles, within.end_ns])
    stretches: list[Voice] = []
    for one, (low_ns, high_ns) in zip(heard, borders, strict=bool(heard)):
        span = TimeRange(
            _on_sample(max(low_ns, one.start_ns - _PAD_NS), within),
            _on_sample(min(high_ns, one.end_ns + _PAD_NS), within),
        )
        last = stretches[-1] if stretches else None
        if (
            last
            and one.start_ns - last.voice[-1].end_ns <= _TOGETHER_NS
            and span.end_ns - last.span.start_ns <= MAX_STRETCH_NS
        ):
            stretches[-1] = Voice(
                span=TimeRange(last.span.start_ns, span.end_ns), voice=(*last.voice, one)
            )
        else:
            stretches.append(Voice(span=span, voice=(one,)))
    return stretches


def group(spans: Iterable[TimeRange], within: TimeRange) -> list[tuple[TimeRange, bool]]:
    """Ranges that tile ``within``, and whether somebody speaks in each of them.

    Spans that overlap, as those of several tracks, are in one range. Spans that touch are not.
    """
    joined: list[TimeRange] = []
    for span in sorted(spans):
        if joined and span.start_ns < joined[-1].end_ns:
            joined[-1] = TimeRange(joined[-1].start_ns, max(joined[-1].end_ns, span.end_ns))
        else:
            joined.append(span)
    tiles: list[tuple[TimeRange, bool]] = []
    at_ns = within.start_ns
    for span in joined:
        if at_ns < span.start_ns:
            tiles.append((TimeRange(at_ns, span.start_ns), False))
        tiles.append((span, True))
        at_ns = span.end_ns
    if at_ns < within.end_ns:
        tiles.append((TimeRange(at_ns, within.end_ns), False))
    return tiles


def turns(
    probabilities: npt.NDArray[np.float32], samples_per_value: int, within: TimeRange
) -> list[TimeRange]:
    """Where a voice is heard, ascending, cut at each pause in which another one may begin.

    What is too short for a voice is left out: its words go to the voice that is nearest.

    Args:
        probabilities: of a voice, for each ``samples_per_value`` samples from ``within`` on.
        samples_per_value: how many samples each stands for.
        within: media time of the sound.
    """
    heard = _heard(probabilities, samples_per_value * NS_PER_SAMPLE, within, _TURN_NS)
    return [one for one in heard if one.duration_ns >= _LEAST_TURN_NS]


def _heard(
    probabilities: npt.NDArray[np.float32], step_ns: int, within: TimeRange, min_pause_ns: int
) -> list[TimeRange]:
    """Where a voice is heard, without its shorter pauses."""
    heard: list[TimeRange] = []
    begin: int | None = None
    last = 0
    for number, probability in enumerate(probabilities.tolist()):
        if probability >= _BEGINS or (begin is not None and probability >= _LASTS):
            begin, last = number if begin is None else begin, number + 1
        elif begin is not None and (number + 1 - last) * step_ns >= min_pause_ns:
            heard.append(_range(begin, last, step_ns, within))
            begin = None
    if begin is not None:
        heard.append(_range(begin, last, step_ns, within))
    return heard


def _range(first: int, last: int, step_ns: int, within: TimeRange) -> TimeRange:
    start_ns = within.start_ns + first * step_ns
    return TimeRange(start_ns, min(within.end_ns, within.start_ns + last * step_ns))


def _cut(
    voice: TimeRange, probabilities: npt.NDArray[np.float32], step_ns: int, within: TimeRange
) -> Sequence[TimeRange]:
    """A voice without pauses, in parts of which each fits: cut where it is weakest."""
    most_ns = MAX_STRETCH_NS - 2 * _PAD_NS
    parts = []
    while voice.duration_ns > most_ns:
        first = (voice.start_ns + most_ns // 2 - within.start_ns) // step_ns
        last = (voice.start_ns + most_ns - within.start_ns) // step_ns
        weakest = first + int(np.argmin(probabilities[first:last]))
        cut_ns = within.start_ns + weakest * step_ns
        parts.append(TimeRange(voice.start_ns, cut_ns))
        voice = TimeRange(cut_ns, voice.end_ns)
    return [*parts, voice]


def _on_sample(at_ns: int, within: TimeRange) -> int:
    if at_ns >= within.end_ns:
        return within.end_ns
    return within.start_ns + (at_ns - within.start_ns) // NS_PER_SAMPLE * NS_PER_SAMPLE
