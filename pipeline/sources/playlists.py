"""Which files of a folder are parts of a recording that a playlist describes."""

from collections.abc import Iterable

from pipeline.errors import SourceError, UnreachableError
from pipeline.storage.access import Access, is_remote
from pipeline.storage.playlists import is_playlist, read_playlist


def parts_of_playlists(uris: Iterable[str], access: Access) -> dict[str, str]:
    """By path of a file that is not listed for itself: why.

    The segments and headers of a playlist are one recording, which the playlist stands for. Of the
    playlists that a master playlist names, which show the same, the best one stands for all.
    """
    reasons: dict[str, str] = {}
    for uri in uris:
        if not is_playlist(uri) or is_remote(uri):
            continue
        try:
            playlist = read_playlist(uri, access)
        except (SourceError, UnreachableError):
            continue  # the playlist becomes a row that says so
        for part in playlist.parts:
            reasons[part.uri] = f"a part of a recording: {uri}"
        if playlist.variants:
            best, *others = playlist.variants
            reasons[uri] = f"names playlists of one recording; the best stands for all: {best}"
            reasons |= dict.fromkeys(others, f"the same recording as another playlist: {best}")
    return reasons
