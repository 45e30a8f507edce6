"""Small copies that a camera writes beside its recordings: found by the rules of its profile."""

from collections.abc import Collection
from typing import TypeAlias

from pipeline.sources.found_files import Listed, PassedOver

_Key: TypeAlias = tuple[object, ...]


def without_twins(videos: Collection[Listed]) -> tuple[list[Listed], list[PassedOver]]:
    """The videos without those whose large twin is among them, and the others with the reason.

    A small file without a twin that can be opened stays: it is all that there is.
    """
    large: dict[_Key, str] = {}
    for video in videos:
        is_whole = video.source.num_bytes and not video.source.problem
        if video.rule and is_whole and not video.is_low_resolution:
            large.setdefault(_key(video), video.source.uri)
    kept, passed = [], []
    for video in videos:
        twin = large.get(_key(video)) if video.is_low_resolution else None
        if twin is None:
            kept.append(video)
        else:
            reason = f"a small twin, to be indexed if it is named alone: of {twin}"
            passed.append(PassedOver(video.source.uri, reason))
    return kept, passed


def _key(video: Listed) -> _Key:
    """Equal for files that show the same; without a time, only files of one folder do."""
    source = video.source
    place = source.uri.rpartition("/")[0] if source.start_ns is None else source.start_ns
    return video.rule, source.camera, video.number, place
