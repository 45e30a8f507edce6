"""The packets found to be unreferenced are the ones that FFmpeg itself skips."""

from pathlib import Path

import av
import pytest

from pipeline.media.nal import unreferenced
from tests.videos import make_video


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "raw"])
def test_unreferenced_pictures_are_found_from_the_packet(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    raw = {"libx264": "h264", "libx265": "hevc"}[codec]
    path = make_video(tmp_path / f"a.{suffix.replace('raw', raw)}", codec=codec, gop=12)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        is_unreferenced = unreferenced(stream.codec_context)
        assert is_unreferenced
        may_skip = [is_unreferenced(packet) for packet in container.demux(stream) if packet.size]
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        context.thread_type, context.skip_frame = "NONE", "NONREF"
        num_referenced = sum(1 for _ in container.decode(video=0))
    assert len(may_skip) == 60
    assert may_skip.count(False) == num_referenced < 60
    assert may_skip[0] is False


def test_other_codecs_have_no_test_for_unreferenced_pictures(tmp_path: Path) -> None:
    with av.open(str(make_video(tmp_path / "a.webm", codec="libvpx-vp9"))) as container:
        assert unreferenced(container.streams.video[0].codec_context) is None


@pytest.mark.parametrize("extradata", [b"", b"\1", b"\1\x42", b"\0\0\1\x67"])
def test_truncated_or_missing_extradata_raises_nothing(extradata: bytes) -> None:
    for codec in ("h264", "hevc"):
        context = av.CodecContext.create(codec, "r")
        context.extradata = extradata
        is_unreferenced = unreferenced(context)
        assert is_unreferenced
        for data in (b"", b"\0", b"\0\0\1", b"\xff" * 9, b"\0\0\0\1"):
            assert is_unreferenced(av.Packet(data)) in {True, False}
