"""Finds the captions of a recording: texts beside it, else the tracks of text inside it."""

import re
from posixpath import splitext

from pipeline.config import Config
from pipeline.errors import SourceError
from pipeline.flow.task.beside import names_beside
from pipeline.media.text_tracks import text_tracks
from pipeline.records import Said, Video
from pipeline.speech import parse_captions
from pipeline.speech.captions import SUFFIXES
from pipeline.storage.access import Access
from pipeline.storage.locations import read_bytes

_MAX_BYTES = 32 * 1024 * 1024
# Zoom names the picture's size in the recording, and not in the transcript beside it.
_SIZE = re.compile(r"_\d{3,5}x\d{3,5}$")
_LANGUAGE = re.compile(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")


def captions_of(video: Video, config: Config) -> tuple[Said, ...]:
    """What the captions of a recording say; media time.

    Raises:
        SourceError: there are none, or they cannot be read.
        UnreachableError: the medium does not answer.
    """
    access = config.sources.access
    folder = video.uri.rpartition("/")[0]
    for name, language in _beside(video.uri, access):
        said = parse_captions(_text(f"{folder}/{name}", access), language=language)
        if said:
            return said
    for language, text in text_tracks(video, access):
        if said := parse_captions(text, language=language):
            return said
    stem = splitext(video.uri.rpartition("/")[2])[0]
    raise SourceError(
        f"{video.uri}: has no captions: there is neither {stem}.vtt nor {stem}.srt beside it, nor a"
        " track of text in it; put them there, or set speech.kind to an engine that listens"
    )


def _beside(uri: str, access: Access) -> list[tuple[str, str]]:
    """Names of texts with the name of the recording, and the language that they state."""
    name = uri.rpartition("/")[2]
    stem = splitext(name)[0]
    stems = {name, stem, _SIZE.sub("", stem)}
    found = []
    for other in sorted(names_beside(uri, access)):
        base, suffix = splitext(other)
        if suffix.lower() not in SUFFIXES:
            continue
        for known in stems:
            extra = base.removeprefix(known) if base.startswith(known) else None
            if extra == "" or (extra and extra[0] == "." and extra.count(".") == 1):
                language = extra[1:] if extra and _LANGUAGE.match(extra[1:]) else ""
                found.append((len(extra), other, language))
                break
    return [(other, language) for _, other, language in sorted(found)]


def _text(uri: str, access: Access) -> str:
    try:
        data = read_bytes(uri, access, max_bytes=_MAX_BYTES)
    except OSError as exc:
        raise SourceError(f"{uri} cannot be read: {exc}; repair it, or move it elsewhere") from exc
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return data.decode(encoding, "replace")
