"""From sound and texts to what is said; pure functions on records.

stretches   where in a range of sound somebody speaks, cut into what an engine takes at once
answers     what an engine said of a window, as the JSON that the index keeps
captions    WebVTT, SubRip and transcripts of meetings, as what is said
utterances  what is said in a video, sentence by sentence
"""

from pipeline.speech.answers import read_said, write_said
from pipeline.speech.captions import parse_captions
from pipeline.speech.stretches import MAX_STRETCH_NS, Voice, group, voices
from pipeline.speech.utterances import utterances_of_video

__all__ = [
    "MAX_STRETCH_NS",
    "Voice",
    "group",
    "parse_captions",
    "read_said",
    "utterances_of_video",
    "voices",
    "write_said",
]
