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
    "several tracks.mkv": several_tracks,
    "cover art first.mp4": cover_art_first,
    "cut while recording.mp4": cut_while_recording,
}
"""Makes the file, and returns the numbers that its shown frames show."""
