"""summarize: captions and events become chapters, then a video's and a day's summary.

    captions.py    window captions as timestamped segments
    chapters.py    where one chapter ends and the next begins (pure)
    prompt.py      numbered lines -> messages; an answer -> sentences that cite lines (pure, strict)
    extract.py     a summary without a model: counts events, quotes captions (pure)
    summarizer.py  the text of one summary, by a model or without one
    levels.py      chapter -> video -> day

The model writes no times. Each sentence names the lines that it summarizes, and gets their times.
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
