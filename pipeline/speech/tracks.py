"""Who speaks on each track of a recording that has a track for each speaker. Pure."""

from collections import Counter
from collections.abc import Sequence

from pipeline.records import SoundTrack


def speakers_by_track(tracks: Sequence[SoundTrack]) -> dict[int, str]:
    """By the number of the track: its title, else its language, else ``track 2`` for the second.

    Names that several tracks share get the number of the track as well. One track alone may hold
    many speakers, so that its name is nobody's: there "" stands.
    """
    if len(tracks) <= 1:
        return {track.number: "" for track in tracks}
    names = {track.number: track.title or track.language for track in tracks}
    uses = Counter(names.values())
    return {
        number: name
        if name and uses[name] == 1
        else " ".join(filter(None, (name, f"track {number + 1}")))
        for number, name in names.items()
    }
