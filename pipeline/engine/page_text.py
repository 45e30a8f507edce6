"""Reads the words on a page with RapidOCR, whose package ships its models: Chinese and English."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import EngineStartError
from pipeline.records.sanitize import sanitized_lines

_MAX_CHARS = 10_000
"""Of one page; a page that people can read has less."""


@cache
def open_page_reader() -> Callable[[npt.NDArray[np.uint8]], str]:
    """What reads an RGB picture [H, W, 3]; one for all shards of a process.

    Raises:
        EngineStartError: the package is not installed, or cannot be loaded.
    """
    try:
        from rapidocr_onnxruntime import RapidOCR  # noqa: PLC0415 - part of the extra `ocr`
    except ImportError as exc:
        raise EngineStartError(
            f"slides.read_text needs rapidocr-onnxruntime ({exc}); install timereel[ocr], or set"
            " slides.read_text=false"
        ) from exc
    network = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    return lambda picture: _text(network, picture)


def _text(network: Any, picture: npt.NDArray[np.uint8]) -> str:  # noqa: ANN401 - it has no types
    # Screens stand upright: to look for turned lines would take as long as to read them.
    lines, _ = network(np.ascontiguousarray(picture[:, :, ::-1]), use_cls=False)
    text = "\n".join(str(line[1]) for line in lines or ())
    return sanitized_lines(text)[:_MAX_CHARS]
