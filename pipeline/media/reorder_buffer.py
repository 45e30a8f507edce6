"""Holds decoded frames until their GOP is known to be whole, then gives them out in order."""

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline.media.frame_spill import FrameSpill
from pipeline.records import Frame

# Of colour pictures; further ones wait in a temporary file.
MAX_COLOUR_BYTES = 16 * 1024 * 1024
# Of grey pictures. Past this, which is 1,000 frames without a keyframe, the earliest go out with
# what is known about their GOP by then.
MAX_LUMA_BYTES = 16 * 1024 * 1024


class ReorderBuffer:
    """Frames by pts; the GOPs they belong to settle in decode order."""

    def __init__(self, wanted: Sequence[frozenset[int]]) -> None:
        self._wanted = wanted
        self._all = frozenset().union(*wanted)
        self._gop_of = {pts: number for number, part in enumerate(wanted) for pts in part}
        self._held: dict[int, Frame] = {}
        self._order: list[int] = []
        self._given: set[int] = set()
        self._last_given: int | None = None
        self._marked: set[int] = set()
        self._marked_before: dict[int, int] = {}
        self._settled = 0
        self._luma_bytes = 0
        self._colour_bytes = 0
        self._spill = FrameSpill()
        # The earliest frame that the GOPs from here on still owe.
        self._owed = [0] * (len(wanted) + 1)
        earliest = max(self._all, default=0) + 1
        for number in range(len(wanted), -1, -1):
            if number < len(wanted) and wanted[number]:
                earliest = min(earliest, *wanted[number])
            self._owed[number] = earliest

    def wants(self, pts: int | None) -> bool:
        """Whether this frame is asked for and not given out yet."""
        return pts in self._all and pts not in self._given

    def put(self, frame: Frame) -> None:
        """Keep a frame; a later one with the same pts replaces it, as it does on screen."""
        if self._last_given is not None and frame.pts < self._last_given:
            return
        if frame.pts in self._held:
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
        self._held[frame.pts] = frame

    def is_marked(self, gop: int) -> bool:
        """Whether the GOP is damaged."""
        return gop in self._marked

    def mark(self, gop: int) -> None:
        """Something in this GOP is damaged."""
        self._marked.add(gop)

    def clear(self, gop: int) -> None:
        """What looked like damage came from entering the stream too late."""
        self._marked.discard(gop)

    def depend(self, gop: int, former: int, before_pts: int) -> None:
        """If ``former`` is damaged, so are the frames of ``gop`` shown before ``before_pts``."""
        if former in self._marked:
            self._marked_before[gop] = before_pts

    def missing(self, gop: int) -> frozenset[int]:
        """Wanted frames of this GOP that have not come."""
        return frozenset(
            pts for pts in self._wanted[gop] if pts not in self._held and pts not in self._given
        )

    def close_gop(self, gop: int) -> None:
        """No more frames of this GOP will come; GOPs settle in order."""
        self._settled = gop + 1

    def release(self) -> Iterator[Frame]:
        """Frames that nothing can come before or be learned about; the earliest if memory is up."""
        owed = self._owed[self._settled]
        everything = self._settled == len(self._wanted)
        num_given = 0
        for pts in self._order:
            over = self._luma_bytes > MAX_LUMA_BYTES
            if not (over or everything or pts < owed):
                break
            num_given += 1
            yield self._give(pts)
        del self._order[:num_given]

    def _give(self, pts: int) -> Frame:
        frame = self._remove(pts)
        self._given.add(pts)
        self._last_given = pts
        gop = self._gop_of[pts]
        suspect = gop in self._marked or pts < self._marked_before.get(gop, pts)
        return replace(frame, suspect=suspect) if suspect else frame

    def close(self) -> None:
        """Drop the frames that nobody has taken."""
        self._spill.close()

    def _remove(self, pts: int) -> Frame:
        frame = self._held.pop(pts)
        self._luma_bytes -= frame.luma.nbytes
        if pts in self._spill:
            return replace(frame, colour=self._spill.take(pts))
        if frame.colour is not None:
            self._colour_bytes -= frame.colour.num_bytes
        return frame
