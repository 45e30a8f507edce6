"""Finds the moving windows in which none of the wanted objects is, so that no model is asked."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from pipeline.config import ObjectGateConfig
from pipeline.engine.detector.decoding import Floats
from pipeline.engine.detector.looks import Looks, every
from pipeline.engine.detector.network import open_network
from pipeline.records import Sighting, Window
from pipeline.timebase import BoolArray, seconds_to_ns

_BATCH_FRAMES = 4
"""Small: the first object that is found ends the search."""


class ObjectGate:
    """Judges windows, each for itself.

    One picture in which an object is believed is enough: what is sent in vain costs tokens, what is
    not sent is lost. An object that must move to be reported, such as a car, also has to be where
    something changed.
    """

    def __init__(self, config: ObjectGateConfig) -> None:
        self.labels = config.labels
        self.tells = config.tell
        self._step_ns = seconds_to_ns(1 / config.fps)
        self._network = open_network(config.model, config.labels, threads=config.threads)

    def wanted(self, window: Window, moved: BoolArray) -> tuple[Sighting, ...]:
        """The objects in the pictures, by time; without ``tell`` only the first that is found.

        Args:
            window: has RGB pictures.
            moved: which blocks of the picture changed in it [rows, columns].
        """
        found = self._wanted(window, moved)
        return tuple(found if self.tells else islice(found, 1))

    def _wanted(self, window: Window, moved: BoolArray) -> Iterator[Sighting]:
        looks = Looks(window, self._network.find, _BATCH_FRAMES)
        numbers = every(looks.frame_ns, self._step_ns)
        for first in range(0, len(numbers), _BATCH_FRAMES):
            batch = numbers[first : first + _BATCH_FRAMES]
            for number, found in zip(batch, looks.look(batch), strict=True):
                for label, objects in found.items():
                    for box, score in zip(objects.boxes, objects.scores, strict=True):
                        if self._is_wanted(label, box, score, window.video.upright_size, moved):
                            x0, y0, x1, y1 = map(float, box)
                            yield Sighting(
                                at_ns=looks.frame_ns[number], label=label, box=(x0, y0, x1, y1)
                            )

    def _is_wanted(
        self, label: str, box: Floats, score: float, size: tuple[int, int], moved: BoolArray
    ) -> bool:
        spec = self._network.labels[label]
        if score < spec.threshold or not spec.moves:
            return bool(score >= spec.threshold)
        blocks = np.array([moved.shape[1] / size[0], moved.shape[0] / size[1]] * 2) * box
        left, top = np.floor(blocks[:2]).astype(int)
        right, bottom = np.ceil(blocks[2:]).astype(int)
        return bool(moved[top:bottom, left:right].any())
