"""Camera-like footage for benchmarks: 1080p with texture, sensor noise, wind and passers-by."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

_NOISE_FIELDS = 8
_NOISE_LEVELS = 2.0


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One encoding of the scene."""

    codec: str = "libx264"
    gop: int = 50
    bframes: int = 3
    kilobits: int = 2000
    width: int = 1920
    height: int = 1080
    rate: int = 25
    quiet: bool = False
    """Nothing moves but the noise."""
    pans: bool = False
    """Everything moves."""
    options: dict[str, str] = field(default_factory=dict)


def make(path: Path, cut: Cut, *, seconds: int, once: int = 20) -> Path:
    """Encode ``once`` seconds of the scene, and repeat their packets until the file is as long."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    scene, part = path.with_suffix(".scene.mp4"), path.with_suffix(".part.mp4")
    _encode(scene, cut, once)
    _repeat(scene, part, num_frames=seconds * cut.rate, rate=cut.rate)
    scene.unlink()
    part.rename(path)
    return path


def _encode(path: Path, cut: Cut, seconds: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(cut.codec, rate=cut.rate)
        stream.width, stream.height, stream.pix_fmt = cut.width, cut.height, "yuv420p"
        stream.bit_rate = cut.kilobits * 1000
        stream.options = {**_options(cut), **cut.options}
        for picture in _scene(cut, seconds * cut.rate):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode())


def _options(cut: Cut) -> dict[str, str]:
    shared = f"keyint={cut.gop}:min-keyint={cut.gop}:scenecut=0:bframes={cut.bframes}"
    if cut.codec == "libx265":
        return {"preset": "ultrafast", "x265-params": f"{shared}:open-gop=0:log-level=none"}
    return {"preset": "veryfast", "x264-params": shared}


def _scene(cut: Cut, num_frames: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Pictures in the layout of yuv420p [height * 3 / 2, width]."""
    rng = np.random.default_rng(5)
    width, height = cut.width, cut.height
    ground = _texture(rng, height, width)
    noise = [
        rng.normal(0, _NOISE_LEVELS, (height, width)).astype(np.int16) for _ in range(_NOISE_FIELDS)
    ]
    chroma = np.repeat(_texture(rng, height // 2, width) // 4 + 96, 1, axis=0).astype(np.uint8)
    walkers = rng.uniform(0, 1, (6, 4))
    for number in range(num_frames):
        luma = np.roll(ground, 3 * number, axis=1) if cut.pans else ground
        luma = luma + np.roll(noise[number % _NOISE_FIELDS], 37 * number, axis=1)
        if not cut.quiet:
            _wind(luma, number)
            _walk(luma, walkers, number / cut.rate)
        yield np.concatenate([np.clip(luma, 16, 235).astype(np.uint8), chroma])


def _texture(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.int16]:
    """Pink noise: detail of every size, as in a yard or a room."""
    total = np.zeros((height, width), np.float32)
    for size in (270, 90, 30, 10, 3):
        rough = rng.normal(0, 6 + size / 12, (height // size + 2, width // size + 2))
        total += np.kron(rough, np.ones((size, size)))[:height, :width].astype(np.float32)
    return (total + 110).astype(np.int16)


def _wind(luma: npt.NDArray[np.int16], number: int) -> None:
    """A bush in a corner that sways."""
    height, width = luma.shape
    bush = luma[height * 2 // 3 :, : width // 5]
    bush[:] = np.roll(bush, round(4 * np.sin(number / 6)), axis=1)


def _walk(luma: npt.NDArray[np.int16], walkers: npt.NDArray[np.float64], at_s: float) -> None:
    height, width = luma.shape
    for start, lane, size, speed in walkers:
        tall, wide = int(height * (0.08 + 0.12 * size)), int(height * (0.03 + 0.05 * size))
        x = int((start + (0.02 + 0.06 * speed) * at_s) * width) % (width - wide)
        y = int(lane * (height - tall))
        luma[y : y + tall, x : x + wide] = luma[y : y + tall, x : x + wide] // 2 + int(90 * size)


def _repeat(source: Path, target: Path, *, num_frames: int, rate: int) -> None:
    with av.open(str(source)) as old:
        stream = old.streams.video[0]
        packets = [packet for packet in old.demux(stream) if packet.size]
        times = [(packet.pts, packet.dts) for packet in packets]
        length = int(Fraction(len(packets), rate) / stream.time_base)
        with av.open(str(target), "w") as new:
            copy = new.add_stream_from_template(stream)
            copy.time_base = stream.time_base
            for number in range(num_frames):
                turn, row = divmod(number, len(packets))
                packet = packets[row]
                packet.pts, packet.dts = (tick + turn * length for tick in times[row])
                packet.time_base = stream.time_base
                packet.stream = copy
                new.mux(packet)
