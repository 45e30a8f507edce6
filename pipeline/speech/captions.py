"""Captions as what is said: WebVTT, SubRip, and the transcripts that Teams and Zoom write so."""

import html
import re
from collections.abc import Iterator

from pipeline.records import Said
from pipeline.records.sanitize import sanitized, storable
from pipeline.records.speech import FROM_TEXT
from pipeline.timebase import NS_PER_MS, TimeRange

SUFFIXES = (".vtt", ".srt")

_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMES = re.compile(rf"^[ \t]*{_CLOCK}[ \t]+-->[ \t]+{_CLOCK}")
_VOICE = re.compile(r"<v(?:\.[^\s>]{0,100})?[ \t]([^>]{1,200})>")
_TAG = re.compile(r"<[^<>]{0,300}>|\{\\[^{}]{0,100}\}")
# A number of thousands of digits is none of HTML, and Python refuses to read it.
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
# Zoom and many tools write who speaks before the text.
_NAMED = re.compile(r"^([^\W\d_][^:\uff1a<>]{0,60})[:\uff1a]\s+(?=\S)")
# Drones write their telemetry as subtitles: dates and figures, which nobody says.
_TELEMETRY = re.compile(r"\d{4}[-./]\d\d[-./]\d\d[ T]\d\d:\d\d:\d\d|FrameCnt|\[iso\s*:")
_MAX_CUES = 200_000
_MAX_CUE_CHARS = 10_000
"""Nobody can read as much in one cue; the rest of it is left out."""
_MIN_NAMED = 3
"""A name before a colon is that of a speaker if so many cues begin with a name."""


def parse_captions(text: str, *, language: str = "") -> tuple[Said, ...]:
    """What is said, by start, with media times; none if it is no captions, or telemetry."""
    if _TELEMETRY.search(text[:20_000]):
        return ()
    cues = sorted(_cues(text), key=lambda cue: cue[0])
    named = [_NAMED.match(said) for _, said, speaker in cues if not speaker]
    has_names = sum(match is not None for match in named) >= min(_MIN_NAMED, len(named) or 1)
    return tuple(
        Said(span=span, text=said, track=FROM_TEXT, speaker=speaker, language=language)
        for span, text_of_cue, voice in cues
        for speaker, said in [_speaker(text_of_cue, voice, has_names=has_names)]
        if said
    )


def _speaker(text: str, voice: str, *, has_names: bool) -> tuple[str, str]:
    if not voice and has_names and (match := _NAMED.match(text)):
        return match[1].strip(), text[match.end() :].strip()
    return voice, text


def _cues(text: str) -> Iterator[tuple[TimeRange, str, str]]:
    """Time, text and speaker of each cue."""
    blocks = re.split(r"\n[ \t]*\n", storable(text).replace("\r\n", "\n").replace("\r", "\n"))
    for block in blocks[:_MAX_CUES]:
        lines = block.strip("\n\ufeff").split("\n")
        at = next((n for n, line in enumerate(lines[:3]) if _TIMES.match(line)), None)
        if at is None:
            continue
        times = _TIMES.match(lines[at])
        assert times is not None  # noqa: S101 - it matched above
        start_ns, end_ns = _ns(*times.groups()[:4]), _ns(*times.groups()[4:])
        marked = "\n".join(lines[at + 1 :])[:_MAX_CUE_CHARS]
        voice = _VOICE.search(marked)
        said = _plain(_TAG.sub("", marked))
        if said and start_ns < end_ns:
            speaker = _plain(voice[1]) if voice else ""
            yield TimeRange(start_ns, end_ns), said, speaker


def _plain(text: str) -> str:
    return sanitized(_REFERENCE.sub(lambda found: html.unescape(found[0]), text))


def _ns(hours: str | None, minutes: str, seconds: str, fraction: str) -> int:
    whole_s = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
    return (whole_s * 1000 + int(fraction.ljust(3, "0"))) * NS_PER_MS
