"""Keeps decoded frames until their GOP is complete, then releases them in presentation order."""

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.media.frame_spill import FrameSpill
from pipeline.records import Frame

# Limit for colour pictures in memory; further ones go to a temporary file.
MAX_COLOUR_BYTES = 16 * 1024 * 1024
# Limit for grey pictures, about 1,000 frames without a keyframe. Beyond it the earliest frames are
# released with the damage that is known of their GOP so far.
MAX_LUMA_BYTES = 16 * 1024 * 1024


class ReorderBuffer:
    """Frames by pts; their GOPs are closed in decode order."""

    def __init__(self, wanted: Sequence[frozenset[int]]) -> None:
        self._wanted = wanted
        self._all = frozenset().union(*wanted)
        self._gop_of = {pts: number for number, part in enumerate(wanted) for pts in part}
        self._frames: dict[int, Frame] = {}
        self._order: list[int] = []
        self._released: set[int] = set()
        self._last_released_pts: int | None = None
        self._damaged: set[int] = set()
        self._damaged_before_pts: dict[int, int] = {}
        self._num_closed = 0
        self._luma_bytes = 0
        self._colour_bytes = 0
        self._spill = FrameSpill()
        # By number of closed GOPs: the earliest pts that the other GOPs may still bring.
        self._earliest_missing_pts = [0] * (len(wanted) + 1)
        earliest = max(self._all, default=0) + 1
        for number in range(len(wanted), -1, -1):
            if number < len(wanted) and wanted[number]:
                earliest = min(earliest, *wanted[number])
            self._earliest_missing_pts[number] = earliest

    def wants(self, pts: int | None) -> bool:
        """Whether this frame is wanted and not yet released."""
        return pts in self._all and pts not in self._released

    def put(self, frame: Frame) -> None:
        """Add a frame; it replaces an earlier one with the same pts, as it does on screen."""
        if self._last_released_pts is not None and frame.pts < self._last_released_pts:
            return
        if frame.pts in self._frames:
            self._remove(frame.pts)
        else:
            insort(self._order, frame.pts)
        self._luma_bytes += frame.luma.nbytes
        colour_bytes = 0 if frame.colour is None else frame.colour.num_bytes
        if frame.colour is not None and self._colour_bytes + colour_bytes > MAX_COLOUR_BYTES:
            self._spill.store(frame.pts, frame.colour)
            frame = replace(frame, colour=None)
            colour_bytes = 0
        self._colour_bytes += colour_bytes
        self._frames[frame.pts] = frame

    def is_damaged(self, gop: int) -> bool:
        """Whether the GOP is damaged."""
        return gop in self._damaged

    def mark_damaged(self, gop: int) -> None:
        """Record that a part of this GOP is damaged."""
        self._damaged.add(gop)

    def clear_damage(self, gop: int) -> None:
        """Remove the mark; only a late entry into the stream made the GOP look damaged."""
        self._damaged.discard(gop)

    def inherit_damage(self, gop: int, former: int, before_pts: int) -> None:
        """If ``former`` is damaged, so are the frames of ``gop`` shown before ``before_pts``."""
        if former in self._damaged:
            self._damaged_before_pts[gop] = before_pts

    def missing(self, gop: int) -> frozenset[int]:
        """Wanted frames of this GOP that were not added."""
        return frozenset(
            pts
            for pts in self._wanted[gop]
            if pts not in self._frames and pts not in self._released
        )

    def close_gop(self, gop: int) -> None:
        """Record that no more frames of this GOP will come; call it in decode order."""
        self._num_closed = gop + 1

    def release(self) -> Iterator[Frame]:
        """Yield the frames that no open GOP can precede; the earliest ones if memory is full."""
        earliest_missing_pts = self._earliest_missing_pts[self._num_closed]
        all_closed = self._num_closed == len(self._wanted)
        num_released = 0
        for pts in self._order:
            is_full = self._luma_bytes > MAX_LUMA_BYTES
            if not (is_full or all_closed or pts < earliest_missing_pts):
                break
            num_released += 1
            yield self._release(pts)
        del self._order[:num_released]

    def _release(self, pts: int) -> Frame:
        frame = self._remove(pts)
        self._released.add(pts)
        self._last_released_pts = pts
        gop = self._gop_of[pts]
        suspect = gop in self._damaged or pts < self._damaged_before_pts.get(gop, pts)
        return replace(frame, suspect=suspect) if suspect else frame

    def close(self) -> None:
        """Drop the frames that nobody has taken."""
        self._spill.close()

    def _remove(self, pts: int) -> Frame:
        frame = self._frames.pop(pts)
        self._luma_bytes -= frame.luma.nbytes
        if pts in self._spill:
            return replace(frame, colour=self._spill.take(pts))
        if frame.colour is not None:
            self._colour_bytes -= frame.colour.num_bytes
        return frame
