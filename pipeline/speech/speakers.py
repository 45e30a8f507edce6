"""Who speaks, by the voices of a whole video. Pure: what a network heard is in the windows."""

import base64
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import exp

import numpy as np
import numpy.typing as npt

from pipeline.records import Said, VoicePrint
from pipeline.speech.clusters import Vectors, unit, voices_among
from pipeline.speech.utterances import sentences, text_of
from pipeline.timebase import NS_PER_MS, NS_PER_S, TimeRange, joined

_LEAST_VOICE_NS = 3 * NS_PER_S
"""Whoever speaks less in a whole video is no speaker of their own."""
_CLEAR_NS = 800 * NS_PER_MS
"""Shorter voices are not clear enough to say how many speakers there are."""
_NEAR_NS = 2 * NS_PER_S
"""A word is said by nobody whose voice is farther away."""
_SLOPE = 8.0
"""Of the confidence over the lead of the nearest voice; set on dialogues with known truth."""
_SWITCH = 0.3
"""How much more alike, added over its words, another voice must be to take them over."""
_NAMELESS = "\0"
"""Begins the name of a voice until it has a number; nobody is called so."""
_NUMBERED = re.compile(r"speaker (\d{1,6})")

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceRules:
    """When voices are one speaker, and what the speakers are called."""

    same: float
    """The least mean cosine of vectors of one speaker."""
    least_confidence: float
    """With less the speaker stays unknown."""
    names: tuple[str, ...] = ()
    """Of the voices that are known, in the order of ``VoicePrint.alike``."""


def told_by_voice(
    answers: Sequence[tuple[str, Sequence[Said]]], prints: Iterable[VoicePrint], rules: VoiceRules
) -> list[tuple[str, list[Said]]]:
    """The same answers, cut into sentences of one speaker each; who is known already stays so.

    Args:
        answers: id and words of each window of a video (media time).
        prints: all voices of the same video.
        rules: decide who is who.
    """
    tracks = {
        track: _Voices(list(of_track), rules)
        for track, of_track in groupby(
            sorted(prints, key=lambda one: (one.track, one.span)), key=lambda one: one.track
        )
    }
    cut = [
        (
            window_id,
            [
                part
                for one in said
                for part in (
                    [one] if one.speaker or one.track not in tracks else tracks[one.track].cut(one)
                )
            ],
        )
        for window_id, said in answers
    ]
    return _numbered(cut)


class _Voices:
    """The speakers of one track; those without a name have a mark and a number."""

    def __init__(self, prints: Sequence[VoicePrint], rules: VoiceRules) -> None:
        """Find them among the voices of one track, by time."""
        self._rules = rules
        read = [(one, vector) for one in prints if (vector := _vector(one)) is not None]
        size = len(read[0][1]) if read else 0
        same_size = [(one, vector) for one, vector in read if len(vector) == size]
        self._spans = [one.span for one, _ in same_size]
        self._starts = [span.start_ns for span in self._spans]
        self._names: list[str] = []
        if not same_size:
            return
        vectors = unit(np.stack([vector for _, vector in same_size]))
        means = self._means(vectors)
        cosines = vectors @ means.T
        whose = cosines.argmax(axis=1)
        self._names = [
            self._name([one for (one, _), n in zip(same_size, whose, strict=True) if n == number])
            or f"{_NAMELESS}{number}"
            for number in range(len(means))
        ]
        # Two voices with one name are one speaker, who is as near as the nearer of them.
        names = list(dict.fromkeys(self._names))
        self._scores = np.stack(
            [cosines[:, [name == other for other in self._names]].max(axis=1) for name in names],
            axis=1,
        )
        self._names = names

    def cut(self, said: Said) -> Iterator[Said]:
        """The sentences, each of one speaker."""
        if not self._names:
            yield from sentences(said)
            return
        if not said.words:
            yield from (self._told(one, self._over(one.span)) for one in sentences(said))
            return
        scores = np.stack([self._near(word.span) for word in said.words])
        whose = _smoothed(scores, _SWITCH * (1 - self._rules.same))
        at = {word: number for number, word in enumerate(said.words)}
        for _, run in groupby(range(len(whose)), key=lambda number: whose[number]):
            words = tuple(said.words[number] for number in run)
            end_ns = max(word.span.end_ns for word in words)
            part = replace(
                said,
                span=TimeRange(words[0].span.start_ns, end_ns),
                text=text_of(words),
                words=words,
            )
            for one in sentences(part):
                yield self._told(one, scores[[at[word] for word in one.words]])

    def _means(self, vectors: Vectors) -> Vectors:
        clear = [n for n, span in enumerate(self._spans) if span.duration_ns >= _CLEAR_NS]
        clear = clear or list(range(len(self._spans)))

        def long_enough(group: Sequence[int]) -> bool:
            heard = joined(self._spans[clear[number]] for number in group)
            return sum(span.duration_ns for span in heard) >= _LEAST_VOICE_NS

        return voices_among(vectors[clear], self._rules.same, long_enough)

    def _name(self, prints: Sequence[VoicePrint]) -> str:
        """The name of the known voice that these are; "" if they are none, or nobody can say."""
        alike = [one.alike for one in prints if len(one.alike) == len(self._rules.names)]
        if not alike or not self._rules.names:
            return ""
        cosines = np.array(alike, np.float32).mean(axis=0)
        best = int(cosines.argmax())
        rest = max(self._rules.same, *np.delete(cosines, best).tolist(), -1.0)
        is_sure = self._confidence(float(cosines[best]) - rest) >= self._rules.least_confidence
        return self._rules.names[best] if is_sure else ""

    def _near(self, span: TimeRange) -> Scores:
        """How alike the voice at a time is to each speaker [K]; zeros if nobody is heard there."""
        middle_ns = (span.start_ns + span.end_ns) // 2
        low = bisect_left(self._starts, middle_ns - 2 * _NEAR_NS)
        high = bisect_right(self._starts, middle_ns + _NEAR_NS)
        near = [
            (max(one.start_ns - middle_ns, middle_ns - one.end_ns, 0), abs(_twice(one, middle_ns)))
            for one in self._spans[low:high]
        ]
        best = min(range(len(near)), key=near.__getitem__, default=None)
        if best is None or near[best][0] > _NEAR_NS:
            return np.zeros(len(self._names), np.float32)
        scores: Scores = self._scores[low + best]
        return scores

    def _over(self, span: TimeRange) -> Scores:
        """The same of all voices in a range of time [N, K]."""
        low = bisect_left(self._starts, span.start_ns - _NEAR_NS)
        high = bisect_left(self._starts, span.end_ns)
        inside = [number for number in range(low, high) if self._spans[number].overlaps(span)]
        scores: Scores = self._scores[inside]
        return scores

    def _told(self, said: Said, scores: Scores) -> Said:
        """Name the speaker of words with these scores [W, K], if it is sure enough."""
        scores = scores[scores.any(axis=1)]
        if not len(scores):
            return said
        mean = scores.mean(axis=0)
        best = int(mean.argmax())
        rest = np.delete(mean, best)
        lead = mean[best] - (rest.max() if len(rest) else self._rules.same)
        confidence = self._confidence(float(lead))
        is_sure = confidence >= self._rules.least_confidence
        return replace(
            said, speaker=self._names[best] if is_sure else "", speaker_confidence=confidence
        )

    def _confidence(self, lead: float) -> float:
        """0.5 where two are equally near."""
        return 1 / (1 + exp(-min(60.0, max(-60.0, _SLOPE * lead / (1 - self._rules.same)))))


def _twice(span: TimeRange, at_ns: int) -> int:
    """Twice the distance of the middle of a range, which has no half nanoseconds."""
    return span.start_ns + span.end_ns - 2 * at_ns


def _vector(one: VoicePrint) -> Vectors | None:
    """None if it is none: rows may come from somebody else's index."""
    try:
        vector = np.frombuffer(base64.b64decode(one.vector, validate=True), np.int8)
    except ValueError:
        return None
    return vector.astype(np.float32) if vector.any() else None


def _smoothed(scores: Scores, switch: float) -> list[int]:
    """For each word [W, K] who says it, so that no single word changes the speaker by chance."""
    total = scores[0]
    before = []
    for score in scores[1:]:
        moved = total.max() - switch
        before.append(np.where(total >= moved, np.arange(len(total)), total.argmax()))
        total = np.maximum(total, moved) + score
    whose = [int(total.argmax())]
    for step in reversed(before):
        whose.append(int(step[whose[-1]]))
    return whose[::-1]


def _numbered(
    answers: Sequence[tuple[str, Sequence[Said]]],
) -> list[tuple[str, list[Said]]]:
    """Voices without a name are ``speaker 1`` and so on, in the order in which they speak first."""
    spoken = sorted((one.span, one.track, one.speaker) for _, said in answers for one in said)
    speakers = list(dict.fromkeys((track, speaker) for _, track, speaker in spoken))
    # What an erasing has left keeps its number.
    taken = [int(found[1]) for _, name in speakers if (found := _NUMBERED.fullmatch(name))]
    unknown = [key for key in speakers if key[1].startswith(_NAMELESS)]
    names = {key: f"speaker {max(taken, default=0) + n}" for n, key in enumerate(unknown, 1)}
    return [
        (
            window_id,
            [
                replace(one, speaker=names.get((one.track, one.speaker), one.speaker))
                for one in said
            ],
        )
        for window_id, said in answers
    ]
