"""The plan of a clip: where each cut lies in it, and what becomes of each frame. Pure functions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from pipeline.media.clip.copying import Split
from pipeline.media.clip.stretch import Stretch
from pipeline.records import Shown
from pipeline.timebase import NS_PER_S, TimeRange

TICK_S = Fraction(1, 90_000)
"""Of all clips. It holds the times of all usual frame rates, and those of a variable rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One cut, and its place in the clip."""

    stretch: Stretch
    split: Split
    media: TimeRange
    at_s: Fraction
    """Seconds from the start of the clip."""

    @property
    def end_s(self) -> Fraction:
        """Seconds from the start of the clip at which it ends."""
        return self.at_s + Fraction(self.media.duration_ns, NS_PER_S)

    def ticks(self) -> dict[int, int]:
        """The tick in the clip of each tick in the file, ascending, each of them once."""
        start_s = Fraction(self.media.start_ns, NS_PER_S)
        ticks: dict[int, int] = {}
        last = round(self.at_s / TICK_S) - 1
        for pts in sorted({*self.split.head, *self.split.copied, *self.split.tail}):
            shown_s = self.at_s + max(Fraction(0), self.stretch.media_s(pts) - start_s)
            ticks[pts] = last = max(round(shown_s / TICK_S), last + 1)
        return ticks

    def receipt(self, num_encoded: int) -> Shown:
        """What the clip shows of the cut, once ``num_encoded`` frames came out of the encoder."""
        split, ticks = self.split, sorted(self.ticks())
        num_wanted = len(split.head) + len(split.tail)
        return Shown(
            cut=self.stretch.cut,
            media=self.media,
            at_s=self.at_s,
            first_pts=ticks[0],
            last_pts=ticks[-1],
            time_base=self.stretch.video.time_base,
            num_frames=num_encoded + len(split.copied),
            num_copied=len(split.copied),
            num_missing=num_wanted - num_encoded,
            has_sound=self.stretch.sound_index is not None,
        )


def in_order(stretches: Iterable[Stretch], splits: Iterable[Split]) -> list[Piece]:
    """The pieces one after the other; each lasts as long as what it shows."""
    pieces, at_s = [], Fraction(0)
    for stretch, split in zip(stretches, splits, strict=True):
        piece = Piece(stretch=stretch, split=split, media=_media(stretch, split), at_s=at_s)
        pieces.append(piece)
        at_s = piece.end_s
    return pieces


def _media(stretch: Stretch, split: Split) -> TimeRange:
    """The cut, or more where frames before and behind it are copied with it."""
    asked, video = stretch.cut.media, stretch.video
    if split.head or split.tail or set(split.copied) <= set(stretch.shown):
        return asked
    ticks = sorted(split.copied)
    usual = int(np.median(np.diff(ticks))) if len(ticks) > 1 else 0
    end_ns = video.media_ns(ticks[-1] + usual) if ticks[-1] > stretch.shown[-1] else 0
    return TimeRange(video.media_ns(ticks[0]), max(asked.end_ns, end_ns))


def decode_ticks(pieces: Iterable[Piece]) -> Iterator[int]:
    """When each packet is decoded, in decode order: as late as the order of display allows."""
    shown: list[int] = []
    for piece in pieces:
        ticks, split = piece.ticks(), piece.split
        shown += [ticks[pts] for pts in (*split.head, *split.copied, *split.tail)]
    ordered = sorted(shown)
    place = {tick: i for i, tick in enumerate(ordered)}
    delay = max(i - place[tick] for i, tick in enumerate(shown))
    step = max(1, (ordered[-1] - ordered[0]) // max(1, len(ordered) - 1))
    yield from (ordered[0] - step * (delay - i) for i in range(delay))
    yield from ordered[: len(ordered) - delay]


def durations(pieces: Iterable[Piece]) -> dict[int, int]:
    """How long each frame stays on screen, by its tick in the clip."""
    found: dict[int, int] = {}
    for piece in pieces:
        ticks = [*piece.ticks().values(), round(piece.end_s / TICK_S)]
        found |= {a: max(1, b - a) for a, b in pairwise(ticks)}
    return found
