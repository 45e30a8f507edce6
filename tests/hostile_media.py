"""Videos made to exhaust a reader: small files that promise much, large ones that hold nothing."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import av

from tests.conftest import LOBBY
from tests.videos import make_video

_LARGEST = 65_535
_MANY = 89_000_000
"""Samples; FFmpeg allocates no more than 2^31 bytes at once, and an entry of its index has 24."""


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def offset_of(data: bytes, kind: bytes) -> int:
    """Where the content of the first box of this kind begins."""
    return data.index(kind) + 4


def put(data: bytearray, at: int, form: str, *values: int) -> None:
    struct.pack_into(form, data, at, *values)


def borders(path: Path) -> list[int]:
    """Where boxes begin and end, those inside ``moov`` and its tracks too."""
    data, found = path.read_bytes(), set()
    pending = [(0, len(data))]
    while pending:
        at, end = pending.pop()
        while at + 8 <= end:
            size, kind = struct.unpack_from(">I4s", data, at)
            if size < 8:
                break
            found |= {at, at + 8, at + size}
            if kind in {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"edts"}:
                pending.append((at + 8, at + size))
            at += size
    return sorted(found - {len(data)})


def _small(folder: Path) -> bytearray:
    return bytearray(make_video(folder / "small.mp4", num_frames=10, bframes=0).read_bytes())


def giant_size_in_the_header(folder: Path) -> bytes:
    data = _small(folder)
    put(data, offset_of(data, b"avc1") + 24, ">HH", _LARGEST, _LARGEST)
    return bytes(data)


def giant_gif(folder: Path) -> bytes:
    data = bytearray(make_video(folder / "a.gif", codec="gif", pix_fmt="rgb8").read_bytes())
    put(data, 6, "<HH", _LARGEST, _LARGEST)
    return bytes(data)


def giant_motion_jpeg(folder: Path) -> bytes:
    path = make_video(folder / "a.avi", codec="mjpeg", pix_fmt="yuvj420p", bframes=0)
    data = bytearray(path.read_bytes())
    at = 0
    while (at := data.find(b"\xff\xc0\x00\x11", at)) >= 0:
        put(data, at + 5, ">HH", _LARGEST, _LARGEST)
        at += 1
    return bytes(data)


def giant_raw_picture(_folder: Path) -> bytes:
    return b"YUV4MPEG2 W65535 H65535 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(1000)


def _with_samples(data: bytearray, count: int, size: int) -> bytes:
    """All samples in one chunk, each of one size and as long as the others."""
    put(data, offset_of(data, b"stsz") + 4, ">II", size, count)
    put(data, offset_of(data, b"stsc") + 8, ">III", 1, count, 1)
    put(data, offset_of(data, b"stts") + 8, ">II", count, 1)
    return bytes(data)


def eighty_nine_million_samples(folder: Path) -> bytes:
    return _with_samples(_small(folder), _MANY, 1)


def samples_of_no_size(folder: Path) -> bytes:
    return _with_samples(_small(folder), _MANY, 0)


def two_billion_samples(folder: Path) -> bytes:
    return _with_samples(_small(folder), 2**31 - 1, 1)


def timescale(value: int) -> Callable[[Path], bytes]:
    def made(folder: Path) -> bytes:
        data = _small(folder)
        put(data, offset_of(data, b"mdhd") + 12, ">II", value, 2**32 - 1)
        return bytes(data)

    return made


def huge_metadata(folder: Path) -> bytes:
    path = folder / "metadata.mkv"
    with av.open(str(LOBBY)) as old, av.open(str(path), "w") as new:
        new.metadata["comment"] = "x" * 50_000_000
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None and packet.dts * packet.time_base < 3:
                packet.stream = stream
                new.mux(packet)
    return path.read_bytes()


def huge_metadata_in_mp4(folder: Path) -> bytes:
    """Behind the video; ``free`` keeps the offsets of the samples."""
    data = _small(folder)
    text = box(b"data", struct.pack(">II", 1, 0), b"x" * 50_000_000)
    handler = box(b"hdlr", bytes(8), b"mdirappl", bytes(9))
    meta = box(b"meta", bytes(4), handler, box(b"ilst", box(b"\xa9cmt", text)))
    return _at_the_end_of_moov(data, box(b"udta", meta))


def _at_the_end_of_moov(data: bytearray, extra: bytes) -> bytes:
    start = offset_of(data, b"moov") - 8
    (size,) = struct.unpack_from(">I", data, start)
    assert start + size == len(data)
    put(data, start, ">I", size + len(extra))
    return bytes(data) + extra


def three_hundred_attachments(folder: Path) -> bytes:
    path = folder / "attached.mkv"
    with av.open(str(LOBBY)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number in range(300):
            new.add_attachment(f"{number}.ttf", "application/x-truetype-font", bytes(100_000))
        for packet in old.demux(video=0):
            if packet.dts is not None and packet.dts * packet.time_base < 3:
                packet.stream = stream
                new.mux(packet)
    return path.read_bytes()


def hundreds_of_tracks(folder: Path) -> bytes:
    data = _small(folder)
    start = offset_of(data, b"trak") - 8
    (size,) = struct.unpack_from(">I", data, start)
    return _at_the_end_of_moov(data, bytes(data[start : start + size]) * 500)


def names_another_file(folder: Path) -> bytes:
    """The data reference is an alias of QuickTime: the samples lie in another file, by its path."""
    data = _small(folder)
    path = os.fsencode(make_video(folder / "other.mp4", num_frames=10, bframes=0))
    path += bytes(len(path) % 2)
    levels = struct.pack(">HH", 1, 1)
    places = struct.pack(">HH", 2, len(path)) + path + b"\xff\xff\x00\x00"
    alias = bytes(10) + b"\x01v" + bytes(38) + b"\x09other.mp4" + bytes(54 + 16)
    entry = box(b"alis", bytes(4), alias, levels, bytes(16), places)
    old = data.index(b"url ") - 4
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = data.index(kind) - 4
        put(data, at, ">I", struct.unpack_from(">I", data, at)[0] + len(entry) - 12)
    data[old : old + 12] = entry
    return bytes(data)


def many_samples_in_the_last_fragment(folder: Path) -> bytes:
    data = _fragments(folder)
    put(data, data.rindex(b"trun") + 4, ">II", 0, _MANY)
    return bytes(data)


def many_samples_in_a_fragment(folder: Path) -> bytes:
    """A run of samples without any field of their own: 8 bytes for all of them."""
    data = _fragments(folder)
    put(data, offset_of(data, b"trun"), ">II", 0, _MANY)
    return bytes(data)


def _fragments(folder: Path) -> bytearray:
    live = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    path = make_video(folder / "live.mp4", num_frames=80, bframes=0, container_options=live)
    return bytearray(path.read_bytes())


def playlist(text: str) -> Callable[[Path], bytes]:
    def made(folder: Path) -> bytes:
        make_video(folder / "other.ts", num_frames=10, bframes=0)
        return text.format(folder=folder).encode()

    return made


def megabytes_of_data_beside_the_video(folder: Path) -> bytes:
    """In a stream of its own, in packets of 1 MB."""
    path = folder / "data.ts"
    with av.open(str(LOBBY)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        beside = new.add_data_stream("bin_data")
        for packet in old.demux(video=0):
            if packet.dts is not None and packet.dts * packet.time_base < 3:
                packet.stream = stream
                new.mux(packet)
                extra = av.Packet(bytes(1_000_000))
                extra.stream, extra.time_base = beside, packet.time_base
                extra.pts = extra.dts = packet.dts
                new.mux(extra)
    return path.read_bytes()


def linked_segment(folder: Path) -> bytes:
    """Matroska that names the file in which it goes on, in the place of the writer's name."""
    make_video(folder / "other.mkv", num_frames=5)
    data = make_video(folder / "first.mkv", num_frames=10).read_bytes()
    at = data.index(b"WA")
    length = data[at + 2] - 0x80
    name = b"other.mkv".ljust(length - 1, b"\0")
    link = b"\x3e\x83\xbb" + bytes([0x80 + length - 1]) + name
    return data[:at] + link + data[at + 3 + length :]


HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "giant size in the header": giant_size_in_the_header,
    "giant gif": giant_gif,
    "giant motion jpeg": giant_motion_jpeg,
    "giant raw picture": giant_raw_picture,
    "89 million samples": eighty_nine_million_samples,
    "samples of no size": samples_of_no_size,
    "two billion samples": two_billion_samples,
    "many samples in a fragment": many_samples_in_a_fragment,
    "many samples in the last fragment": many_samples_in_the_last_fragment,
    "timescale 0": timescale(0),
    "timescale 1": timescale(1),
    "largest timescale": timescale(2**32 - 1),
    "50 MB of metadata": huge_metadata,
    "50 MB of metadata in MP4": huge_metadata_in_mp4,
    "300 attachments": three_hundred_attachments,
    "500 tracks": hundreds_of_tracks,
    "75 MB of data beside the video": megabytes_of_data_beside_the_video,
    "linked segment": linked_segment,
    "reference to another file": names_another_file,
    "HLS": playlist("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n"),
    "concat": playlist("ffconcat version 1.0\nfile {folder}/other.ts\n"),
}
"""Makes the bytes of the file; the folder is for its own files."""
