"""From sound and texts to what is said; pure functions on records.

stretches   where in a range of sound somebody speaks, cut into what an engine takes at once
tracks      who speaks on each track, where each speaker has one
captions    WebVTT, SubRip and transcripts of meetings, as what is said
speakers    who speaks, by the voices of a whole video (clusters)
utterances  what is said in a video, sentence by sentence
"""

from pipeline.speech.captions import parse_captions
from pipeline.speech.speakers import VoiceRules, told_by_voice
from pipeline.speech.stretches import MAX_STRETCH_NS, Voice, group, stretches_of, turns, voices
from pipeline.speech.tracks import speakers_by_track
from pipeline.speech.utterances import utterances_of_video

__all__ = [
    "MAX_STRETCH_NS",
    "Voice",
    "VoiceRules",
    "group",
    "parse_captions",
    "speakers_by_track",
    "stretches_of",
    "told_by_voice",
    "turns",
    "utterances_of_video",
    "voices",
]
