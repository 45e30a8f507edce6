"""Writes a clip: its pictures and its sound, side by side."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

from av.video.stream import VideoStream

from pipeline.config import DecodeConfig
from pipeline.errors import ConfigError, SourceError
from pipeline.media.clip import encode
from pipeline.media.clip.canvas import Caption
from pipeline.media.clip.copying import Split, can_be_joined, from_keyframe, whole_gops
from pipeline.media.clip.output import Output, new_file
from pipeline.media.clip.pieces import TICK_S, Piece, durations, in_order
from pipeline.media.clip.sound import RATE_HZ, Samples, samples
from pipeline.media.clip.sound_track import SoundTrack
from pipeline.media.clip.stretch import Stretch, find_stretch
from pipeline.media.demux import AnyPacket
from pipeline.records import Cut, CutMode, Shown
from pipeline.storage.access import PUBLIC, Access

OnProgress: TypeAlias = Callable[[Fraction, Fraction], None]
"""Called with the seconds that are written, and the seconds in all."""


def write_clip(
    path: Path,
    cuts: Sequence[Cut],
    *,
    mode: CutMode = "exact",
    caption: Caption | None = None,
    decode: DecodeConfig | None = None,
    access: Access = PUBLIC,
    on_progress: OnProgress = lambda _written_s, _all_s: None,
) -> list[Shown]:
    """Write the cuts, one after the other, into one new file.

    In mode ``exact`` the pictures become H.264; whole GOPs are copied if all cuts are H.264 of one
    kind and have no caption. Mode ``copy`` encodes no picture. The sound becomes AAC in both.

    Args:
        path: a local file, one of ``SUFFIXES``; an existing one is replaced.
        cuts: at least one.
        mode: see ``CutMode``.
        caption: what to write on each picture; for mode ``exact`` only.
        decode: limits for pictures.
        access: what may be opened.
        on_progress: called after each frame.

    Raises:
        SourceError: a file cannot be used, has changed, or shows nothing in its range.
        UnreachableError: its medium does not answer.
        ConfigError: these cuts cannot be copied into one file.
        TargetError: the file cannot be written.
    """
    run = encode.Encoding(decode or DecodeConfig(), access)
    stretches = [find_stretch(cut, decode=run.decode, access=access) for cut in cuts]
    pieces = in_order(stretches, _splits(stretches, mode, is_captioned=caption is not None))
    with new_file(path) as output:
        stream, packets = _pictures(output, pieces, caption, run)
        has_sound = any(stretch.sound_index is not None for stretch in stretches)
        sound = (
            SoundTrack(output.container, output.mux, _sound_of(pieces, access))
            if has_sound
            else None
        )
        lasts = durations(pieces)
        for packet in packets:
            tick = packet.pts or 0
            packet.stream, packet.duration = stream, lasts.get(tick, 0)
            output.mux(packet)
            if sound is not None:
                sound.write_until(tick * TICK_S)
            on_progress(tick * TICK_S, pieces[-1].end_s)
        if sound is not None:
            sound.write_until(pieces[-1].end_s)
            sound.end()
        receipts = [piece.receipt(run.num_encoded[number]) for number, piece in enumerate(pieces)]
        _check_shown(receipts)
    return receipts


def _sound_of(pieces: Sequence[Piece], access: Access) -> Iterator[Samples]:
    for piece in pieces:
        begin, end = (round(at_s * RATE_HZ) for at_s in (piece.at_s, piece.end_s))
        video, number = piece.stretch.video, piece.stretch.sound_index
        yield from samples(video, number, piece.media.start_ns, end - begin, access)


def _check_shown(receipts: Sequence[Shown]) -> None:
    for receipt in receipts:
        if not receipt.num_frames:
            raise SourceError(
                f"{receipt.cut.video.uri}: none of the {receipt.num_missing} frames of this range"
                " can be decoded; the file is damaged there, choose another range"
            )


def _splits(stretches: list[Stretch], mode: CutMode, *, is_captioned: bool) -> list[Split]:
    if mode == "copy":
        return [from_keyframe(stretch) for stretch in stretches]
    if can_be_joined(stretches) and not is_captioned:
        return [whole_gops(stretch) for stretch in stretches]
    return [Split(head=one.shown, rows=range(0), copied=(), tail=()) for one in stretches]


def _pictures(
    output: Output, pieces: list[Piece], caption: Caption | None, run: encode.Encoding
) -> tuple[VideoStream, Iterator[AnyPacket]]:
    stretches = [piece.stretch for piece in pieces]
    if not any(piece.split.copied for piece in pieces):
        stream = encode.encoded_stream(output.container, pieces)
        return stream, encode.encoded(stream, pieces, caption, run)
    if can_be_joined(stretches):
        return encode.spliced_stream(output.container, pieces), encode.spliced(pieces, run)
    kinds = {(one.video.codec, one.extradata) for one in stretches}
    if len(kinds) > 1:
        codecs = ", ".join(sorted({one.video.codec for one in stretches}))
        raise ConfigError(
            f"--copy cannot join these {len(stretches)} cuts, because their pictures are encoded"
            f" in different ways ({codecs}); leave out --copy or --join"
        )
    return output.same_stream(pieces[0], run.access), encode.copied(pieces, run)
