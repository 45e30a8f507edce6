"""summarize: captions and events become chapters, then a video's and a day's summary.

    captions.py   window captions as timestamped segments
    chapters.py   where one chapter ends and the next begins (pure)
    prompt.py     numbered lines -> messages; an answer -> sentences that cite them (pure, strict)
    extract.py    a summary that only counts and quotes, for where no model writes (pure)
    tell.py       one text about some lines, by a model that is handed in or without one
    levels.py     chapter -> video -> day

A sentence never carries a time of the model's: it names the lines that it rests on, and their
times are its time.
"""

from pipeline.summarize.captions import Caption, segments_of_video
from pipeline.summarize.levels import (
    SummaryDay,
    SummaryVideo,
    day_inputs_of,
    inputs_of,
    summarize_day,
)
from pipeline.summarize.prompt import PROMPT_ID
from pipeline.summarize.summarizer import Summarizer

__all__ = [
    "PROMPT_ID",
    "Caption",
    "Summarizer",
    "SummaryDay",
    "SummaryVideo",
    "day_inputs_of",
    "inputs_of",
    "segments_of_video",
    "summarize_day",
]
