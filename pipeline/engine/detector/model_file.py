"""The description of a detector: ``model.yaml`` in its folder, beside the ONNX file."""

from math import exp, log
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from pipeline.config.section import Section
from pipeline.config.yaml_text import read_yaml
from pipeline.errors import ConfigError, EngineStartError

FILE = "model.yaml"
_LEAST = 1e-6
"""Distance of a score from 0 and 1, where odds have no logarithm."""
OutputFamily = Literal["nanodet", "yolox", "detr"]


class Input(Section):
    """How a picture is given to the network: ``(value - mean) / std`` of levels 0 to 255."""

    width: int = Field(ge=32, le=4096)
    height: int = Field(ge=32, le=4096)
    fit: Literal["letterbox", "stretch"] = "letterbox"
    """``letterbox`` keeps the shape: the picture is put into the upper left, the rest is filled."""
    fill: int = Field(default=0, ge=0, le=255)
    layout: Literal["nchw", "nhwc"] = "nchw"
    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Of each channel, in the order of ``channels``."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


class Calibration(Section):
    """Platt scaling: how often boxes with a score are right, as measured on footage with truth."""

    slope: float = Field(gt=0)
    offset: float

    def share_right(self, score: float) -> float:
        """The share of the boxes with this score that are right."""
        score = min(max(score, _LEAST), 1 - _LEAST)
        odds = log(score / (1 - score))
        return 1 / (1 + exp(-self.slope * odds - self.offset))


class Label(Section):
    """What the engine reports, and the classes of the network that count as it."""

    classes: tuple[str, ...] = Field(min_length=1)
    threshold: float = Field(default=0.5, gt=0, le=1)
    """The score with which an object is believed."""
    keep: float = Field(default=0.35, gt=0, le=1)
    """The score with which an object that is believed is still there."""
    moves: float = Field(default=0.0, ge=0)
    """How far the middle of an object must get from where it began, in sizes of the object."""
    calibration: Calibration | None = None
    """Of ``python -m tests.bench.calibrate_detector``; without it the score is the confidence."""

    def confidence(self, score: float) -> float:
        """How sure one may be of a box with this score."""
        return self.calibration.share_right(score) if self.calibration else score

    @model_validator(mode="after")
    def _keep_is_weaker(self) -> Self:
        if self.keep > self.threshold:
            raise ValueError(f"keep={self.keep} is more than threshold={self.threshold}")
        return self


class DetectorModel(Section):
    """One ONNX detector."""

    name: str
    weights: str = Field(pattern=r"^[^/\\]+\.onnx$")
    """Name of the ONNX file in the same folder."""
    output: OutputFamily
    """What the network gives: see ``decoding``."""
    input: Input
    iou: float = Field(default=0.6, gt=0, le=1)
    """Of two boxes of one label that overlap more, only the better one is kept."""
    classes: tuple[str, ...] = Field(min_length=1)
    """In the order of the network's scores."""
    labels: dict[str, Label]

    @model_validator(mode="after")
    def _classes_are_known(self) -> Self:
        for label, spec in self.labels.items():
            if unknown := set(spec.classes) - set(self.classes):
                raise ValueError(f"labels.{label}.classes: {sorted(unknown)} are none of `classes`")
        return self


def read_model(folder: Path) -> DetectorModel:
    """The description in a model's folder.

    Raises:
        EngineStartError: there is none, or it is not valid.
    """
    path = folder / FILE
    if not path.is_file():
        raise EngineStartError(
            f"{folder}: has no {FILE}; name a folder such as models/nanodet-g of "
            "timereel's repository, by its full path if you run timereel elsewhere"
        )
    try:
        return DetectorModel.model_validate(read_yaml(path))
    except (ConfigError, ValidationError) as exc:
        raise EngineStartError(f"{path}: {exc}") from exc
