"""Recordings with beeps at known times, in the containers that move their sound about."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.videos import picture_of

RATE_HZ = 48_000
BLOCK = 960


def beeps(starts_s, length_s):
    """A tone of 0.2 s at each of these times [N]."""
    at_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    sounding = np.zeros(len(at_s), bool)
    for start_s in starts_s:
        sounding |= (at_s >= start_s) & (at_s < start_s + 0.2)
    return np.where(sounding, 0.6 * np.sin(2 * np.pi * 900 * at_s), 0.0).astype(np.float32)


def make_sound(path: Path, tracks, *, codec, pictures_s=0.0, titles=(), without_s=()):
    """``tracks`` are samples with the second at which they begin; ``without_s`` loses packets.

    With pictures, those begin at 0 and last ``pictures_s``.
    """
    with av.open(str(path), "w") as container:
        shown = container.add_stream("mpeg4", rate=10) if pictures_s else None
        if shown:
            shown.width, shown.height, shown.pix_fmt = 64, 48, "yuv420p"
        streams = [container.add_stream(codec, rate=RATE_HZ, layout="mono") for _ in tracks]
        for stream, title in zip(streams, titles, strict=False):
            stream.metadata["title"] = title
        packets = []
        if shown:
            for number in range(round(pictures_s * 10)):
                frame = av.VideoFrame.from_ndarray(picture_of(number, 64, 48), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                packets += shown.encode(frame)
            packets += shown.encode()
        for stream, (samples, begins_s) in zip(streams, tracks, strict=True):
            packets += _encoded(stream, samples, begins_s)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            at_s = float(packet.pts * packet.time_base)
            is_lost = any(low <= at_s < high for low, high in without_s)
            if not (is_lost and packet.stream in streams):
                container.mux(packet)
    return path


def _encoded(stream, samples, begins_s):
    context = stream.codec_context
    size = context.frame_size or BLOCK
    packets = []
    for first in range(0, len(samples), size):
        block = samples[None, first : first + size]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", "mono")
        frame.sample_rate = RATE_HZ
        frame.pts, frame.time_base = round(begins_s * RATE_HZ) + first, Fraction(1, RATE_HZ)
        packets += stream.encode(_as(frame, context))
    return packets + stream.encode()


def _as(frame, context):
    if context.format.name == "fltp":
        return frame
    resampler = av.AudioResampler(format=context.format, layout="mono", rate=RATE_HZ)
    pts, time_base = frame.pts, frame.time_base
    frame.pts = None
    [made] = resampler.resample(frame)
    made.pts, made.time_base = pts, time_base
    return made


def onsets(samples, rate_hz=16_000):
    """Seconds at which it becomes loud after 0.3 s of silence."""
    loud = np.flatnonzero(np.abs(samples) > 0.15)
    if not len(loud):
        return []
    starts = [loud[0], *loud[1:][np.diff(loud) > 0.3 * rate_hz]]
    return [round(int(at) / rate_hz, 4) for at in starts]


def add_text(path: Path, out: Path, cues):
    """The same recording with a track of SubRip; cues are media milliseconds and bytes."""
    one = out.parent.parent / "one.srt"
    one.write_text("1\n00:00:00,000 --> 00:00:01,000\nx\n\n")
    with av.open(str(path)) as old, av.open(str(one)) as texts, av.open(str(out), "w") as new:
        copies = {s.index: new.add_stream_from_template(s) for s in old.streams}
        track = new.add_stream_from_template(texts.streams[0])
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
        for start_ms, text in cues:
            cue = av.Packet(text)
            cue.stream, cue.time_base = track, Fraction(1, 1000)
            cue.pts = cue.dts = start_ms
            cue.duration = 400
            new.mux(cue)
