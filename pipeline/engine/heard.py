"""What no speech engine is believed, and when the words were said that it is believed."""

import re
import zlib

from pipeline.errors import WindowError
from pipeline.records import Stretch, Word
from pipeline.timebase import NS_PER_MS, NS_PER_S, TimeRange, seconds_to_ns

MAX_COMPRESSION = 2.4
"""Text that compresses better repeats itself: the model is caught in a loop."""
MAX_WORDS_PER_S = 8
"""Nobody speaks faster; a Chinese or Japanese character counts as a word."""
_FEW_WORDS = 8
_CHARACTERS = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_CHARACTERS}]|[^\W{_CHARACTERS}]+(?:['\u2019]\w+)?")


def refuse_repeats(text: str) -> None:
    """Refuse a text that repeats itself.

    Raises:
        WindowError: it does.
    """
    raw = text.strip().encode("utf-8", "replace")
    compression = len(raw) / len(zlib.compress(raw))
    if compression > MAX_COMPRESSION:
        raise WindowError(
            f"the model repeats itself (compression {compression:.1f}, more than"
            f" {MAX_COMPRESSION}): {text.strip()[:60]!r}"
        )


def refuse_haste(text: str, stretch: Stretch) -> None:
    """Refuse more words than somebody says in the time in which a voice is heard.

    Raises:
        WindowError: there are more.
    """
    num_words = len(_WORD.findall(text))
    voice_s = sum(one.duration_ns for one in stretch.voice) / NS_PER_S
    if num_words > max(_FEW_WORDS, MAX_WORDS_PER_S * voice_s):
        raise WindowError(
            f"{num_words} words in {voice_s:.1f} s of voice are more than {MAX_WORDS_PER_S} a"
            " second, which nobody says"
        )


def timed_word(
    text: str, start_s: float, end_s: float, stretch: Stretch, probability: float | None = None
) -> Word:
    """A word with media times; the engine counts seconds from the start of the stretch.

    Models know times by attention, which begins in a pause: so a word begins and ends with the
    voice that it lies in.
    """
    start_ns, end_ns = _inside(start_s, end_s, stretch)
    voice = max(stretch.voice, key=lambda one: _common_ns(one, start_ns, end_ns))
    if _common_ns(voice, start_ns, end_ns) > 0:
        start_ns, end_ns = max(start_ns, voice.start_ns), min(end_ns, voice.end_ns)
    return Word(span=TimeRange(start_ns, end_ns), text=text.strip(), probability=probability)


def timed_sentence(start_s: float, end_s: float, stretch: Stretch) -> TimeRange:
    """Media time of several words, without the silence before the first and after the last.

    Seconds count from the start of the stretch. There may be pauses in it.
    """
    start_ns, end_ns = _inside(start_s, end_s, stretch)
    heard = [one for one in stretch.voice if _common_ns(one, start_ns, end_ns) > 0]
    if heard:
        start_ns, end_ns = max(start_ns, heard[0].start_ns), min(end_ns, heard[-1].end_ns)
    return TimeRange(start_ns, end_ns)


def _inside(start_s: float, end_s: float, stretch: Stretch) -> tuple[int, int]:
    last_ns = stretch.span.end_ns
    start_ns = min(stretch.start_ns + seconds_to_ns(max(0.0, start_s)), last_ns - NS_PER_MS)
    end_ns = min(stretch.start_ns + seconds_to_ns(max(0.0, end_s)), last_ns)
    return start_ns, max(end_ns, start_ns + NS_PER_MS)


def _common_ns(voice: TimeRange, start_ns: int, end_ns: int) -> int:
    return min(voice.end_ns, end_ns) - max(voice.start_ns, start_ns)
