"""Generated videos in which every frame shows its own number, for all tests.

The picture is 16 black and white squares, 4 by 4: the bits of the frame's number. They survive any
codec and any scaling, so ``number_in`` tells from a decoded picture which frame it is.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from pipeline.records import Source

BITS = 16
SIDE = 4


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a video is made; ``pts[i]`` is the tick of the frame that shows number ``i``."""

    num_frames: int = 60
    rate: int = 25
    pts: Sequence[int] | None = None
    time_base: Fraction = Fraction(1, 90_000)
    """Of ``pts``."""
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    width: int = 160
    height: int = 96
    gop: int = 20
    bframes: int = 3
    open_gop: bool = False
    rotation: int = 0
    sar: Fraction | None = None
    options: dict[str, str] = field(default_factory=dict)
    """Of the encoder."""
    container_options: dict[str, str] = field(default_factory=dict)


def make_video(path: Path, recipe: Recipe | None = None, **changes: object) -> Path:
    """Write a video; the container follows from the suffix of ``path``."""
    recipe = recipe or Recipe()
    recipe = Recipe(**{**recipe.__dict__, **changes})  # type: ignore[arg-type]
    ticks = recipe.pts or [
        int(Fraction(i, recipe.rate) / recipe.time_base) for i in range(recipe.num_frames)
    ]
    with av.open(str(path), "w", options=recipe.container_options) as container:
        stream = container.add_stream(recipe.codec, rate=recipe.rate)
        stream.width, stream.height = recipe.width, recipe.height
        stream.pix_fmt = recipe.pix_fmt
        stream.codec_context.time_base = recipe.time_base
        stream.options = {**_codec_options(recipe), **recipe.options}
        if recipe.sar:
            stream.codec_context.sample_aspect_ratio = recipe.sar
        if recipe.rotation:
            stream.set_display_rotation(recipe.rotation)
        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(
                picture_of(number, recipe.width, recipe.height), format="rgb24"
            )
            frame.pts, frame.time_base = tick, recipe.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def damage(
    path: Path, *, number: int, part: slice = slice(5, None), filler: bytes = b"\xff"
) -> None:
    """Overwrite a part of the packet that was decoded as this number."""
    with av.open(str(path)) as container:
        hit = [p for p in container.demux(video=0) if p.size][number]
        start, stop, _ = part.indices(hit.size)
        data = bytearray(path.read_bytes())
        data[hit.pos + start : hit.pos + stop] = filler * (stop - start)
    path.write_bytes(data)


def picture_of(number: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """The picture that shows ``number`` [height, width, 3]."""
    bits = (number >> np.arange(BITS)) & 1
    rows = np.arange(height) * SIDE // height
    columns = np.arange(width) * SIDE // width
    grey = (bits.reshape(SIDE, SIDE)[np.ix_(rows, columns)] * 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def number_in(picture: npt.NDArray[np.uint8]) -> int:
    """The number that a decoded picture shows, grey [h, w] or colour [h, w, 3]."""
    grey = picture if picture.ndim == 2 else picture.mean(axis=2)
    height, width = grey.shape
    number = 0
    for bit in range(BITS):
        row, column = divmod(bit, SIDE)
        y, x = int((row + 0.5) * height / SIDE), int((column + 0.5) * width / SIDE)
        number |= int(grey[y - 1 : y + 2, x - 1 : x + 2].mean() > 127) << bit
    return number


def source_of(path: Path | str, **changes: object) -> Source:
    """The source record of a local file, as a listing would make it."""
    path = Path(path)
    facts = path.stat()
    known: dict[str, object] = {
        "uri": str(path),
        "num_bytes": facts.st_size,
        "etag": str(facts.st_mtime_ns),
        "camera": "cam1",
        "start_ns": None,
        "clock": "none",
    }
    return Source(**{**known, **changes})  # type: ignore[arg-type]


def footage_dir() -> Path | None:
    """The shared real and broken videos, if this machine has them."""
    given = os.environ.get("TIMEREEL_FOOTAGE")
    path = Path(given) if given else Path(__file__).parents[2] / "shared" / "footage"
    return path if (path / "manifest.json").exists() else None


def _codec_options(recipe: Recipe) -> dict[str, str]:
    options = {"g": str(recipe.gop), "bf": str(recipe.bframes)}
    match recipe.codec:
        case "libx264":
            flag = f"open-gop={int(recipe.open_gop)}:scenecut=0:bframes={recipe.bframes}"
            return {**options, "preset": "ultrafast", "x264-params": flag + ":b-adapt=0"}
        case "libx265":
            flag = f"open-gop={int(recipe.open_gop)}:scenecut=0:bframes={recipe.bframes}"
            flag += f":keyint={recipe.gop}:log-level=none:b-adapt=0:pools=1:frame-threads=1"
            return {"preset": "ultrafast", "x265-params": flag}
        case "libvpx-vp9":
            return {"g": str(recipe.gop), "deadline": "realtime", "cpu-used": "8"}
        case _:
            return options
