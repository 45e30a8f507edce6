"""The segments of a playlist as one file object: FFmpeg reads them one after the other."""

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import accumulate

from pipeline.errors import SourceError, TimereelError
from pipeline.storage.access import Access
from pipeline.storage.file import MediumFile
from pipeline.storage.playlists import Playlist, confined, read_playlist


class JoinedFile:
    """Reads like ``MediumFile``; one segment is open at a time."""

    def __init__(self, uri: str, access: Access) -> None:
        self.playlist = read_playlist(uri, access)
        if self.playlist.variants:
            raise SourceError(
                f"{uri}: only names other playlists of one recording; name one of them instead:"
                f" {self.playlist.variants[0]}"
            )
        self.name = self.playlist.parts[0].uri
        self.starts = starts_of(self.playlist)
        self.num_bytes = self.starts[-1]
        self._access = confined(uri, access)
        self._offset = 0
        self._file: MediumFile | None = None
        self._number = -1
        self._failure: TimereelError | None = None

    def check(self) -> None:
        """Raise the failure of the medium, if it failed."""
        if self._failure is not None:
            raise self._failure

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes, or fewer at the end of the last segment."""
        self.check()
        try:
            return self._read(size)
        except TimereelError as exc:
            self._failure = exc
            raise

    def _read(self, size: int) -> bytes:
        pieces = []
        while size > 0 and self._offset < self.num_bytes:
            number = bisect_right(self.starts, self._offset) - 1
            file = self._open(number)
            part = self.playlist.parts[number]
            file.seek(part.offset + self._offset - self.starts[number])
            data = file.read(min(size, self.starts[number + 1] - self._offset))
            if not data:
                raise SourceError(f"{part.uri}: has become shorter; run again")
            pieces.append(data)
            self._offset += len(data)
            size -= len(data)
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set and return the offset of the next read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._offset, os.SEEK_END: self.num_bytes}[whence]
        self._offset = base + offset
        return self._offset

    def tell(self) -> int:
        """Offset of the next read."""
        return self._offset

    def close(self) -> None:
        """Close the segment that is open."""
        if self._file is not None:
            self._file.close()
        self._file, self._number = None, -1

    def _open(self, number: int) -> MediumFile:
        if number != self._number or self._file is None:
            self.close()
            self._file = MediumFile(self.playlist.parts[number].uri, access=self._access)
            self._number = number
        return self._file


@contextmanager
def open_joined(uri: str, access: Access) -> Iterator[JoinedFile]:
    """Open the segments of a playlist for reading, as ``open_file`` opens one file.

    Raises:
        SourceError: the playlist or a segment cannot be read.
        UnreachableError: the medium does not answer.
    """
    with closing(JoinedFile(uri, access)) as file:
        try:
            yield file
        except Exception:
            file.check()
            raise
        file.check()


def starts_of(playlist: Playlist) -> list[int]:
    """Where each part begins in the joined file, and where the last one ends."""
    return [0, *accumulate(part.num_bytes for part in playlist.parts)]
