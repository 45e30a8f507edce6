"""Packets whose picture no other refers to are the ones that FFmpeg itself would leave out."""

from pathlib import Path

import av
import pytest

from pipeline.media.nal import unreferenced
from tests.videos import make_video


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "raw"])
def test_what_no_other_picture_refers_to_is_told_from_the_packet(
    tmp_path: Path, codec: str, suffix: str
) -> None:
    raw = {"libx264": "h264", "libx265": "hevc"}[codec]
    path = make_video(tmp_path / f"a.{suffix.replace('raw', raw)}", codec=codec, gop=12)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        may_leave_out = unreferenced(stream.codec_context)
        assert may_leave_out
        told = [may_leave_out(packet) for packet in container.demux(stream) if packet.size]
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        context.thread_type, context.skip_frame = "NONE", "NONREF"
        num_referenced = sum(1 for _ in container.decode(video=0))
    assert len(told) == 60
    assert told.count(False) == num_referenced < 60
    assert told[0] is False


def test_other_codecs_do_not_say(tmp_path: Path) -> None:
    with av.open(str(make_video(tmp_path / "a.webm", codec="libvpx-vp9"))) as container:
        assert unreferenced(container.streams.video[0].codec_context) is None


@pytest.mark.parametrize("extradata", [b"", b"\1", b"\1\x42", b"\0\0\1\x67"])
def test_extradata_that_is_cut_off_or_missing_is_no_bug(extradata: bytes) -> None:
    for codec in ("h264", "hevc"):
        context = av.CodecContext.create(codec, "r")
        context.extradata = extradata
        may_leave_out = unreferenced(context)
        assert may_leave_out
        for data in (b"", b"\0", b"\0\0\1", b"\xff" * 9, b"\0\0\0\1"):
            assert may_leave_out(av.Packet(data)) in {True, False}
