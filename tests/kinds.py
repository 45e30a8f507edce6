"""Generated videos that no recipe can make: several tracks, joined files, cut files."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av

from tests.videos import make_video, picture_of


def edit_list_in_mid_gop(path: Path) -> range:
    """A stream copy that starts between keyframes: an edit list hides the lead-in."""
    whole = make_video(path.with_name("whole.mp4"), num_frames=60, gop=20, bframes=0)
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(whole)) as old, av.open(str(path), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        hidden = 27
        for packet in old.demux(video=0):
            if packet.size and packet.pts is not None:
                number = round(packet.pts * packet.time_base * 25)
                if number < 20:
                    continue
                shift = int(hidden / 25 / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.pts - shift
                packet.stream = stream
                new.mux(packet)
    return range(hidden, 60)


def resolution_change(path: Path) -> range:
    """One camera whose operator changed the picture size between two frames."""
    ticks = [90_000 + 3600 * i for i in range(60)]
    large = _numbered(path.with_name("large.ts"), range(30), ticks[:30], 160, 96)
    small = _numbered(path.with_name("small.ts"), range(30, 60), ticks[30:], 96, 64)
    path.write_bytes(large.read_bytes() + small.read_bytes())
    return range(60)


def _numbered(path: Path, numbers: range, ticks: list[int], width: int, height: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = _TICK
        stream.options = {"preset": "ultrafast", "g": "10", "bf": "0"}
        for number, tick in zip(numbers, ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(picture_of(number, width, height), format="rgb24")
            frame.pts, frame.time_base = tick, _TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def clock_starts_again(path: Path) -> range:
    """Two recordings joined as they are: the clock of the second begins like that of the first."""
    ticks = [90_000 + 3600 * i for i in range(30)]
    first = _numbered(path.with_name("first.ts"), range(30), ticks, 160, 96)
    second = _numbered(path.with_name("second.ts"), range(30, 60), ticks, 160, 96)
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return range(60)


def several_frames_per_packet(path: Path) -> range:
    """Recorders put several frames into one PES packet, which has the time of the first alone."""
    return join_packets(path, bframes=0)


def several_reordered_frames_per_packet(path: Path) -> range:
    """The same with frames that are not shown in the order in which they are stored."""
    return join_packets(path, bframes=2)


def join_packets(path: Path, *, bframes: int, per_packet: int = 3, num_frames: int = 60) -> range:
    """A transport stream, ``per_packet`` frames of which share a PES packet and its time."""
    raw = make_video(
        path.with_name("raw.h264"), num_frames=num_frames, gop=20, bframes=bframes, time_base=_FRAME
    )
    with av.open(str(raw)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [bytes(packet) for packet in old.demux(video=0) if packet.size]
        for number in range(0, num_frames, per_packet):
            joined = av.Packet(b"".join(packets[number : number + per_packet]))
            joined.dts = 90_000 + 3600 * number
            joined.pts = joined.dts + 3600 * _delay(number, bframes)
            joined.time_base, joined.stream = _TICK, stream
            joined.is_keyframe = number == 0
            new.mux(joined)
    return range(num_frames)


def _delay(number: int, bframes: int) -> int:
    """Frames from the decoding to the display of a packet, where each P has ``bframes`` B after."""
    if not bframes:
        return 0
    in_gop = number % 20
    return 1 + (bframes if in_gop and in_gop % (bframes + 1) == 1 else -(in_gop > 0))


def several_tracks(path: Path) -> range:
    """The main picture is the second of three tracks; the others show nothing."""
    with av.open(str(path), "w") as container:
        streams = []
        for width, height in ((64, 64), (160, 96), (96, 64)):
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"preset": "ultrafast", "g": "10"}
            streams.append(stream)
        for number in range(40):
            for stream in streams:
                shown = number if stream is streams[1] else 0
                picture = picture_of(shown, stream.width, stream.height)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, _FRAME
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    return range(40)


def cover_art_first(path: Path) -> range:
    """A large picture attached as the first video track, as music shops and some phones do."""
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 96, "yuv420p"
        video.options = {"preset": "ultrafast", "g": "10"}
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(picture_of(number, 160, 96), format="rgb24")
            frame.pts, frame.time_base = number, _FRAME
            if number == 0:
                art = av.VideoFrame.from_ndarray(picture_of(9999, 640, 480), format="rgb24")
                art.pts, art.time_base = 0, _FRAME
                container.mux([*cover.encode(art), *cover.encode()])
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return range(30)


def cut_while_recording(path: Path) -> range:
    """A fragmented file of a recorder that lost power; all complete fragments are intact."""
    live = {"movflags": "frag_keyframe+empty_moov"}
    whole = make_video(path, num_frames=80, gop=20, bframes=0, container_options=live)
    data = whole.read_bytes()
    last = [at for at in range(len(data)) if data[at : at + 4] == b"moof"][3] - 4
    path.write_bytes(data[: last + 20])
    return range(60)


_TICK, _FRAME = Fraction(1, 90_000), Fraction(1, 25)
KINDS: dict[str, Callable[[Path], range]] = {
    "edit list in mid-GOP.mp4": edit_list_in_mid_gop,
    "resolution change.ts": resolution_change,
    "clock starts again.ts": clock_starts_again,
    "several frames per PES.ts": several_frames_per_packet,
    "several reordered frames per PES.ts": several_reordered_frames_per_packet,
    "several tracks.mkv": several_tracks,
    "cover art first.mp4": cover_art_first,
    "cut while recording.mp4": cut_while_recording,
}
"""Makes the file, and returns the numbers that its shown frames show."""
