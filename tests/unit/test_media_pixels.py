"""Small pictures are upright and have the right size, colours and range."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.config import DecodeConfig, FrameConfig, SampleConfig
from pipeline.media import decode_frames, luma_size, probe, save_jpeg, source_size, target_size
from pipeline.records import Frame, Video
from tests.videos import make_video, number_in, source_of

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128)]


def frames_of(path: Path, config: FrameConfig | None = None) -> tuple[Video, list[Frame]]:
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    want = packets.shown_pts.tolist()
    frame = config or FrameConfig()
    return video, list(decode_frames(video, packets, want, frame=frame, rgb=True))


def coloured(path: Path, codec: str, pix_fmt: str, size: tuple[int, int], **context: int) -> Path:
    """One frame per colour, converted exactly as ``context`` says."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.options = {"qp": "0", "qscale": "1"} if codec == "libx264" else {}
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        for number, colour in enumerate(COLOURS):
            picture = np.full((size[1], size[0], 3), colour, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            matrix = "ITU709" if context.get("colorspace") == 1 or size[0] >= 1280 else "ITU601"
            frame = frame.reformat(format=pix_fmt, dst_colorspace=matrix)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "size", "context"),
    [
        ("libx264", "yuv420p", (320, 192), {}),
        ("libx264", "yuv420p", (1280, 720), {}),
        ("libx264", "yuv420p", (320, 192), {"colorspace": 1}),
        ("libx264", "yuv420p10le", (320, 192), {}),
        ("libx264", "yuv444p", (321, 193), {}),
        ("mjpeg", "yuvj420p", (320, 192), {}),
        ("ffv1", "bgr0", (320, 192), {}),
    ],
)
def test_colours_and_greys_are_preserved(
    tmp_path: Path, codec: str, pix_fmt: str, size: tuple[int, int], context: dict[str, int]
) -> None:
    path = coloured(tmp_path / "colours.mkv", codec, pix_fmt, size, **context)
    _, frames = frames_of(path)
    assert len(frames) == len(COLOURS)
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert frame.rgb is not None
        assert np.abs(frame.rgb.mean(axis=(0, 1)) - colour).max() < 6, colour
    greys = [frame.luma.mean() for frame in frames[3:]]
    assert greys == pytest.approx([255, 0, 128], abs=3)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_pictures_are_turned_upright(tmp_path: Path, rotation: int) -> None:
    path = make_video(tmp_path / "turned.mp4", rotation=rotation, num_frames=40, bframes=0)
    video, frames = frames_of(path, FrameConfig(luma_width=96))
    assert video.rotation == rotation
    assert source_size(video) == ((160, 96) if rotation % 180 == 0 else (96, 160))
    for number, frame in enumerate(frames):
        assert frame.rgb is not None
        for picture in (frame.luma, frame.rgb):
            assert (picture.shape[0] > picture.shape[1]) == (rotation % 180 == 90)
            assert number_in(np.rot90(picture, -rotation // 90)) == number


def test_non_square_pixels_are_stretched(tmp_path: Path) -> None:
    path = make_video(tmp_path / "wide.mkv", width=160, height=160, sar=Fraction(2), num_frames=3)
    _, frames = frames_of(path)
    assert frames[0].luma.shape == (80, 160)
    assert frames[0].rgb is not None
    assert frames[0].rgb.shape == (160, 320, 3)


def test_pictures_keep_their_size_when_the_stream_changes(tmp_path: Path) -> None:
    parts = [
        make_video(tmp_path / "a.ts", num_frames=20, bframes=0),
        make_video(
            tmp_path / "b.ts",
            pts=[72_000 + 3600 * i for i in range(20)],
            bframes=0,
            width=320,
            height=192,
        ),
    ]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    _, frames = frames_of(both)
    assert len({frame.luma.shape for frame in frames}) == 1
    assert [number_in(frame.luma) for frame in frames] == [*range(20), *range(20)]


def test_interlaced_pictures_are_not_black(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "tv.ts", num_frames=10, bframes=0, options={"x264-params": "tff=1:bframes=0"}
    )
    _, frames = frames_of(path)
    assert [number_in(frame.luma) for frame in frames] == list(range(10))


@given(
    width=st.integers(1, 8000),
    height=st.integers(1, 8000),
    sar=st.fractions(Fraction(1, 4), 4, max_denominator=64),
    budget=st.integers(32 * 32, 4_000_000),
)
def test_target_sizes_respect_the_pixel_limit_and_the_source(
    width: int, height: int, sar: Fraction, budget: int
) -> None:
    wide, high = target_size(width, height, sar, budget)
    assert wide % 32 == high % 32 == 0
    assert wide * high <= budget
    assert wide <= max(32, width * sar)
    assert high <= max(32, height)


def test_target_sizes_of_common_formats() -> None:
    assert target_size(1920, 1080, Fraction(1), 768 * 448) == (768, 448)
    assert target_size(320, 180, Fraction(1), 768 * 448) == (320, 160)
    assert target_size(1, 1, Fraction(1), 768 * 448) == (32, 32)
    assert luma_size(1920, 1080, Fraction(1), 160) == (160, 90)
    assert luma_size(100, 75, Fraction(1), 160) == (100, 76)


def test_a_saved_jpeg_shows_the_picture(tmp_path: Path) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, :48] = 200
    save_jpeg(picture, tmp_path / "a.jpg")
    again = np.asarray(Image.open(tmp_path / "a.jpg"))
    assert again.shape == picture.shape
    assert np.abs(again.astype(int) - picture).mean() < 3


def test_an_interlaced_frame_gives_the_picture_of_one_instant(tmp_path: Path) -> None:
    """Upper fields are white and lower fields black; whole frames would show combs."""
    path = tmp_path / "interlaced.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        stream.options = {"x264-params": "tff=1:bframes=0", "preset": "ultrafast"}
        combed = np.zeros((192, 320, 3), np.uint8)
        combed[::2] = 255
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(combed, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    video, frames = frames_of(path)
    assert (video.width, video.height) == (320, 192)
    assert len(frames) == 10
    for frame in frames:
        assert frame.rgb is not None
        assert frame.luma.min() > 240
        assert frame.rgb.min() > 240
