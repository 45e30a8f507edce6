"""Does what listens hear known words at their times? A famous sentence goes through it."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from statistics import median

from pipeline.config import Config
from pipeline.config.engine_kind import SpeechEngine
from pipeline.engine.voice_activity import SAMPLES_PER_VALUE, voice_probabilities
from pipeline.media.sound import probe_sound, read_sound
from pipeline.records import Said, Source
from pipeline.speech import stretches_of, voices
from pipeline.storage.access import PUBLIC
from pipeline.timebase import NS_PER_S

CLIP = Path(__file__).with_name("speech.ogg")
"""The inaugural address of 20 January 1961; in the public domain."""
SENTENCE = (
    "And so, my fellow Americans, ask not what your country can do for you, ask what you can do"
    " for your country."
)
BEGINS_S = {0: 0.32, 5: 3.29, 14: 8.15}
"""Seconds at which some of its words begin, by ear and by eye."""
_LEAST_WORDS = 0.8
_MOST_OFF_S = 0.3


@dataclass(frozen=True, slots=True)
class Hearing:
    """What was heard of the sentence."""

    num_words: int
    """Words of the sentence that were heard, in order."""
    off_s: float | None
    """Median of how far their starts are off; None if no word has a time."""

    @property
    def is_right(self) -> bool:
        """Whether enough words were heard, at their times."""
        is_heard = self.num_words >= _LEAST_WORDS * len(words_of(SENTENCE))
        return is_heard and (self.off_s is None or self.off_s <= _MOST_OFF_S)

    @property
    def detail(self) -> str:
        """One sentence."""
        times = "times no words" if self.off_s is None else f"starts off by {self.off_s:.2f} s"
        heard = f"heard {self.num_words} of {len(words_of(SENTENCE))} words of an English sentence"
        return f"{heard}, {times}" if self.is_right else f"{heard}, {times}; do not index with it"


def hear_sentence(config: Config, engine: SpeechEngine) -> Hearing:
    """Ask the engine about the clip.

    Raises:
        EngineStartError: the endpoint is gone, or what finds voices is not installed.
        WindowError: it has no answer that can be believed.
    """
    num_bytes = CLIP.stat().st_size
    source = Source(
        uri=str(CLIP), num_bytes=num_bytes, etag="", camera="", start_ns=None, clock="none"
    )
    sound = probe_sound(source, sample=config.sample, decode=config.decode)
    [track] = sound.tracks
    [within] = sound.video.footage
    samples, _ = read_sound(sound.video, track, within, access=PUBLIC)
    found = voices(voice_probabilities(samples), SAMPLES_PER_VALUE, within)
    stretches = stretches_of(track, samples, found, within)
    return judged([said for one in stretches for said in engine.transcribe(one)])


def judged(said: list[Said]) -> Hearing:
    """What was heard beside what is known."""
    timed = [
        (text, word.span.start_ns / NS_PER_S)
        for one in said
        for word in one.words
        for text in words_of(word.text)
    ]
    heard = [text for text, _ in timed] or words_of(" ".join(one.text for one in said))
    matcher = SequenceMatcher(None, words_of(SENTENCE), heard, autojunk=False)
    at = {
        block.a + number: block.b + number
        for block in matcher.get_matching_blocks()
        for number in range(block.size)
    }
    off_s = [abs(timed[at[n]][1] - true_s) for n, true_s in BEGINS_S.items() if timed and n in at]
    return Hearing(len(at), median(off_s) if off_s else None)


def words_of(text: str) -> list[str]:
    """Words without signs and case."""
    return re.findall(r"[a-z']+", text.lower())
