"""Follows objects from picture to picture of a camera. Pure: equal looks give equal objects.

In the next picture an object is at the box that overlaps most with where it should be by then at
its last speed, or that lies near there: pictures may be half a second apart. Sure boxes choose
first and weak ones continue what is left, as in ByteTrack (Zhang et al., "ByteTrack", 2022), but
only for a while: else whoever passes a thing that looks a little like a person leaves a track on
it. An object may begin with a weak box, as somebody does who comes through a door, but needs a sure
one to count.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp

import numpy as np

from pipeline.engine.detector.decoding import Floats, overlaps
from pipeline.engine.detector.model_file import Label
from pipeline.engine.detector.network import Found
from pipeline.timebase import NS_PER_S, BoolArray

_MIN_OVERLAP = 0.2
_MAX_DISTANCE = 0.7
"""Of the middles, in heights of the object."""
_SAME = 0.5
"""A new object that overlaps another one so much is the same, found twice."""
_STEADY_S = 0.5
"""Time after which what was known of the speed counts for a third (1 / e), at any rate of looks."""
_WEAK_NS = 3 * NS_PER_S
"""How long weak boxes alone continue an object."""

Look = tuple[int, Mapping[str, Found]]
"""Media time of a picture, and what was found in it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """Where an object is in one picture."""

    at_ns: int
    box: Floats
    """x0, y0, x1, y1 in pixels of the upright source picture [4]."""
    score: float
    kind: str
    """What the network calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """One object and where it was seen."""

    label: str
    first: Sight
    last: Sight
    speed: Floats
    """Of its middle, in pixels per second [2]."""
    num_looks: int
    was_sure: bool
    """Whether any box of it was sure: without one it is noise."""
    sure_ns: int
    """When one was last sure, or it began."""
    moved: float
    """How far its middle has been from where it began, in sizes of the object."""
    sights: tuple[Sight, ...]
    """Those of this window."""

    def box_at(self, at_ns: int) -> Floats:
        """Where it should be, if it goes on as it went."""
        ahead_s = (at_ns - self.last.at_ns) / NS_PER_S
        return self.last.box + np.tile(self.speed, 2).astype(np.float32) * np.float32(ahead_s)

    def seen(self, sight: Sight, *, is_sure: bool) -> "Followed":
        """The object after one more picture."""
        passed_s = (sight.at_ns - self.last.at_ns) / NS_PER_S
        speed = (_middle(sight.box) - _middle(self.last.box)) / np.float32(passed_s)
        if self.num_looks > 1:
            kept = np.float32(exp(-passed_s / _STEADY_S))
            speed = kept * self.speed + (1 - kept) * speed
        size = float(np.sqrt(np.prod(np.maximum(self.first.box[2:] - self.first.box[:2], 1))))
        away = float(np.linalg.norm(_middle(sight.box) - _middle(self.first.box))) / size
        return replace(
            self,
            last=sight,
            speed=speed,
            num_looks=self.num_looks + 1,
            was_sure=self.was_sure or is_sure,
            sure_ns=sight.at_ns if is_sure else self.sure_ns,
            moved=max(self.moved, away),
            sights=(*self.sights, sight),
        )


def follow(
    known: Iterable[Followed],
    looks: Sequence[Look],
    labels: Mapping[str, Label],
    *,
    gap_ns: int,
) -> list[Followed]:
    """The objects after these pictures: those ``known`` before, then the new ones.

    Args:
        known: objects of the window before.
        looks: the pictures of this window, in their order.
        labels: how sure each label must be.
        gap_ns: an object that is not seen for longer is gone.
    """
    objects = [replace(one, sights=()) for one in known]
    for at_ns, found in looks:
        for label, spec in labels.items():
            if label in found:
                is_sure = found[label].scores >= spec.threshold
                sights = [_sight(found[label], i, at_ns) for i in range(len(is_sure))]
                open_ones = [
                    i
                    for i, one in enumerate(objects)
                    if one.label == label and at_ns - one.last.at_ns <= gap_ns
                ]
                _continue(objects, open_ones, sights, is_sure.tolist())
                objects += _begin(label, objects, sights, is_sure.tolist())
    return objects


def _continue(
    objects: list[Followed], open_ones: list[int], sights: list[Sight], is_sure: list[bool]
) -> None:
    """Give the sights in one picture to the objects they continue."""
    for wanted in (True, False):
        given = [sight for sight, sure in zip(sights, is_sure, strict=True) if sure is wanted]
        if not given:
            continue
        free = [
            i
            for i in open_ones
            if objects[i].last not in sights
            and (wanted or given[0].at_ns - objects[i].sure_ns <= _WEAK_NS)
        ]
        if not free:
            continue
        places = np.stack([objects[i].box_at(given[0].at_ns) for i in free])
        for place, number in _pairs(places, np.stack([sight.box for sight in given])):
            one = free[place]
            objects[one] = objects[one].seen(given[number], is_sure=wanted)


def _begin(
    label: str, objects: list[Followed], sights: list[Sight], is_sure: list[bool]
) -> Iterator[Followed]:
    """New objects at the sights that continue none."""
    taken = [one.last.box for one in objects if one.last in sights]
    for sight, sure in zip(sights, is_sure, strict=True):
        if any(sight.box is box for box in taken):
            continue
        if taken and overlaps(sight.box[None], np.stack(taken)).max() > _SAME:
            continue
        taken.append(sight.box)
        yield Followed(
            label=label,
            first=sight,
            last=sight,
            speed=np.zeros(2, np.float32),
            num_looks=1,
            was_sure=sure,
            sure_ns=sight.at_ns,
            moved=0.0,
            sights=(sight,),
        )


def _pairs(places: Floats, boxes: Floats) -> Iterator[tuple[int, int]]:
    """Which place goes on at which box, the best pairs first; each is used once."""
    if not len(places) or not len(boxes):
        return
    shared = overlaps(places, boxes)
    between = _middle(places)[:, None] - _middle(boxes)[None]
    heights = np.maximum(places[:, 3] - places[:, 1], 1)
    away = np.linalg.norm(between, axis=2) / heights[:, None]
    likeness = shared + np.clip(1 - away, 0, 1) / 2
    allowed: BoolArray = (shared >= _MIN_OVERLAP) | (away < _MAX_DISTANCE)
    likeness = np.where(allowed, likeness, -1.0)
    for _ in range(min(likeness.shape)):
        row, column = np.unravel_index(int(likeness.argmax()), likeness.shape)
        if likeness[row, column] < 0:
            return
        yield int(row), int(column)
        likeness[row, :] = likeness[:, column] = -1.0


def _middle(boxes: Floats) -> Floats:
    return (boxes[..., :2] + boxes[..., 2:]) / np.float32(2)


def _sight(found: Found, number: int, at_ns: int) -> Sight:
    return Sight(
        at_ns=at_ns,
        box=found.boxes[number],
        score=float(found.scores[number]),
        kind=found.classes[number],
    )
