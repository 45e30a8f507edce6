"""One ONNX detector, loaded once per process: pictures in, labelled boxes out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.engine.detector.decoding import DECODERS, Floats, best_of_overlapping
from pipeline.engine.detector.model_file import DetectorModel, Input, Label, read_model
from pipeline.engine.onnx_session import open_onnx
from pipeline.errors import EngineStartError

_MAX_BOXES = 100
"""Of one label in one picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The objects of one label in one picture, the surest first."""

    boxes: Floats
    """x0, y0, x1, y1 in pixels of the upright source picture [N, 4]."""
    scores: Floats
    """[N]"""
    classes: tuple[str, ...]
    """What the network calls each."""


class Network:
    """A detector and the labels that are wanted of it."""

    def __init__(self, model: DetectorModel, session: Any, labels: Mapping[str, Label]) -> None:  # noqa: ANN401 - onnxruntime has no types
        self._model = model
        self._session = session
        self.labels = dict(labels)
        """How each is found."""
        self._classes = {
            label: np.array([model.classes.index(name) for name in spec.classes], np.intp)
            for label, spec in labels.items()
        }
        # The least score of each class that anybody wants to see.
        self._least = np.full(len(model.classes), np.inf, np.float32)
        for label, spec in labels.items():
            chosen = self._classes[label]
            self._least[chosen] = np.minimum(self._least[chosen], spec.keep)

    def find(
        self, pictures: Sequence[npt.NDArray[np.uint8]], source: tuple[int, int]
    ) -> Iterator[dict[str, Found]]:
        """What each RGB picture [H, W, 3] shows, by label. One call of the network for all.

        ``source`` is the width and height of the source picture that they were scaled from.
        """
        given = np.stack([_as_input(picture, self._model.input) for picture in pictures])
        outputs = self._session.run(None, {self._session.get_inputs()[0].name: given})
        for number, picture in enumerate(pictures):
            boxes, scores = DECODERS[self._model.output](
                [one[number] for one in outputs], self._model, self._least
            )
            height, width = picture.shape[:2]
            across, down = _scale(width, height, self._model.input)
            to_source = np.array([source[0] / width / across, source[1] / height / down] * 2)
            limits = np.array(source * 2, np.float32)
            yield self._found(np.clip(boxes * to_source, 0, limits).astype(np.float32), scores)

    def _found(self, boxes: Floats, scores: Floats) -> dict[str, Found]:
        found = {}
        for label, spec in self.labels.items():
            of_label = scores[:, self._classes[label]]
            best = of_label.max(axis=1, initial=0.0)
            chosen = np.flatnonzero(best >= spec.keep)
            chosen = chosen[best_of_overlapping(boxes[chosen], best[chosen], self._model.iou)]
            chosen = chosen[:_MAX_BOXES]
            found[label] = Found(
                boxes=boxes[chosen],
                scores=best[chosen],
                classes=tuple(spec.classes[i] for i in of_label[chosen].argmax(axis=1)),
            )
        return found


def open_network(folder: str, labels: Sequence[str], *, threads: int) -> Network:
    """The detector in a folder, for these labels.

    Raises:
        EngineStartError: it is not there, cannot be loaded, or does not know a label.
    """
    model = read_model(Path(folder))
    wanted = {label: _spec(label, model) for label in labels}
    path = Path(folder) / model.weights
    if not path.is_file():
        raise EngineStartError(f"{path}: there is no such file; {folder} names it as its weights")
    return Network(model, open_onnx(path, threads=threads, extra="detector"), wanted)


def _spec(label: str, model: DetectorModel) -> Label:
    """How the model finds a label: as its file says, or by a class of that name."""
    if label in model.labels:
        return model.labels[label]
    if label in model.classes:
        return Label(classes=(label,))
    raise EngineStartError(
        f"label {label}: the detector {model.name} knows {', '.join(model.labels)} and the "
        f"classes {', '.join(model.classes)}; name one of these"
    )


def _scale(width: int, height: int, to: Input) -> tuple[float, float]:
    """By how much a picture is scaled across and down."""
    across, down = to.width / width, to.height / height
    if to.fit == "letterbox":
        across = down = min(across, down)
    return across, down


def _as_input(picture: npt.NDArray[np.uint8], to: Input) -> Floats:
    """One RGB picture as the network wants it."""
    height, width = picture.shape[:2]
    across, down = _scale(width, height, to)
    size = (max(1, round(width * across)), max(1, round(height * down)))
    scaled = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    canvas = np.full((to.height, to.width, 3), to.fill, np.uint8)
    canvas[: size[1], : size[0]] = scaled
    if to.channels == "bgr":
        canvas = canvas[:, :, ::-1]
    levels = (canvas - np.array(to.mean, np.float32)) / np.array(to.std, np.float32)
    if to.layout == "nchw":
        levels = levels.transpose(2, 0, 1)
    return np.ascontiguousarray(levels, np.float32)
