"""Streams without a container have no times: their own rate is used, or they are refused."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from pipeline.config import DecodeConfig, FrameConfig, SampleConfig
from pipeline.errors import SourceError
from pipeline.media import decode_frames, probe
from pipeline.plan import packets_for
from pipeline.records import Video
from tests.videos import number_in, picture_of, source_of

RATE = 10
NO_RATE = {"x265-params": "log-level=none:vui-timing-info=0:bframes=0"}


def bare(path: Path, form: str, codec: str, options: dict[str, str] | None = None) -> Path:
    """3 s at 10 frames per second, each with its number."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.options = options or {}
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(picture_of(number, 160, 96), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def numbers_at(path: Path) -> tuple[Video, list[tuple[float, int]]]:
    video, packets = probe(source_of(path), sample=SampleConfig(), decode=DecodeConfig())
    want = packets.shown_pts.tolist()
    frames = decode_frames(
        video, packets_for(packets, want), want, frame=FrameConfig(luma_width=160), rgb=False
    )
    return video, [(video.media_ns(frame.pts) / 1e9, number_in(frame.luma)) for frame in frames]


H264 = {"preset": "ultrafast", "bf": "0"}
HEVC = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0"}


@pytest.mark.parametrize(
    ("name", "form", "codec", "options", "has_times"),
    [
        ("a.264", "h264", "libx264", H264, False),
        ("a.h265", "hevc", "libx265", HEVC, False),
        ("a.y4m", "yuv4mpegpipe", "wrapped_avframe", {}, True),
        ("a.ivf", "ivf", "libvpx", {}, True),
        # The content decides where the name says nothing, or something wrong.
        ("recording", "h264", "libx264", H264, False),
        ("a.mp4", "hevc", "libx265", HEVC, False),
        ("a.dat", "yuv4mpegpipe", "wrapped_avframe", {}, True),
        ("b.bin", "ivf", "libvpx", {}, True),
    ],
)
def test_the_rate_in_the_stream_is_taken(
    tmp_path: Path, name: str, form: str, codec: str, options: dict[str, str], *, has_times: bool
) -> None:
    video, frames = numbers_at(bare(tmp_path / name, form, codec, options))
    assert frames == [(pytest.approx(i / RATE), i) for i in range(30)]
    assert ("its 10 frames per second come from" in " ".join(video.warnings)) is not has_times


@pytest.mark.parametrize(
    ("form", "codec", "options"), [("hevc", "libx265", NO_RATE), ("mjpeg", "mjpeg", {})]
)
def test_a_stream_that_does_not_say_its_rate_is_refused_with_the_way_out(
    tmp_path: Path, form: str, codec: str, options: dict[str, str]
) -> None:
    path = tmp_path / f"a.{form}"
    if codec == "mjpeg":
        pictures = av.CodecContext.create("mjpeg", "w")
        pictures.width, pictures.height, pictures.pix_fmt = 160, 96, "yuvj420p"
        pictures.time_base = Fraction(1, RATE)
        frames = [av.VideoFrame(160, 96, "yuvj420p") for _ in range(30)]
        for number, frame in enumerate(frames):
            frame.pts = number
        path.write_bytes(b"".join(bytes(p) for frame in frames for p in pictures.encode(frame)))
    else:
        bare(path, form, codec, options)
    with pytest.raises(SourceError, match=r"neither times nor a frame rate.* -framerate 25"):
        numbers_at(path)
