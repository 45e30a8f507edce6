"""The frozen records that pass from one stage to the next. They hold data and do no work.

Media time is nanoseconds since ``Video.origin_pts`` (the container's start). Only ``Video.utc``
turns it into wall-clock time. Every range is half-open.

clocks     what can say when a recording began, in the order of trust
footage    list and probe: sources, videos, packet indexes
windows    plan, decode, gate and engine: shards, frames, windows, completions, results
findings   parse, stitch and summarize: observations, events, segments, summaries
speech     stretches of sound, words and utterances
slides     what stands on a screen: views of windows, and slides; the deck that was shown
numbered_lines  what a model writes sentences from, which name the lines they rest on
runs       who indexed what, when, and how it ended
alerts     what a rule has found, and who was told
"""

from pipeline.records.alerts import Alert, AlertState, Happening, HappeningKind
from pipeline.records.clips import Cut, CutMode, Shown
from pipeline.records.clocks import CLOCKS, STATED_CLOCKS, Clock
from pipeline.records.feedback import Feedback, FeedbackVerdict
from pipeline.records.findings import (
    NOTE_KINDS,
    SUMMARY_LEVELS,
    Box,
    Event,
    Line,
    NoteKind,
    Observation,
    Part,
    Segment,
    Summary,
    SummaryLevel,
    SummaryMethod,
    Verdict,
    WrittenNote,
)
from pipeline.records.footage import (
    DIGEST_BYTES,
    LEAD_IN_KEYFRAMES,
    NO_PACKETS,
    NO_PTS,
    IndexedFile,
    Ownership,
    PacketIndex,
    Precedence,
    Source,
    Video,
    VideoStatus,
    Yielded,
    make_id,
    upright_size,
)
from pipeline.records.runs import EndState, Run, RunFigures, RunState, Work
from pipeline.records.slides import NO_DECK, Deck, DeckPage, PageView, Slide
from pipeline.records.speech import Said, SoundTrack, Stretch, Utterance, VoicePrint, Word
from pipeline.records.windows import (
    Colour,
    Completion,
    Frame,
    Picture,
    Shard,
    Sighting,
    Verification,
    Window,
    WindowPlan,
    WindowResult,
    WindowStatus,
    name_shard,
)

__all__ = [
    "CLOCKS",
    "DIGEST_BYTES",
    "LEAD_IN_KEYFRAMES",
    "NOTE_KINDS",
    "NO_DECK",
    "NO_PACKETS",
    "NO_PTS",
    "STATED_CLOCKS",
    "SUMMARY_LEVELS",
    "Alert",
    "AlertState",
    "Box",
    "Clock",
    "Colour",
    "Completion",
    "Cut",
    "CutMode",
    "Deck",
    "DeckPage",
    "EndState",
    "Event",
    "Feedback",
    "FeedbackVerdict",
    "Frame",
    "Happening",
    "HappeningKind",
    "IndexedFile",
    "Line",
    "NoteKind",
    "Observation",
    "Ownership",
    "PacketIndex",
    "PageView",
    "Part",
    "Picture",
    "Precedence",
    "Run",
    "RunFigures",
    "RunState",
    "Said",
    "Segment",
    "Shard",
    "Shown",
    "Sighting",
    "Slide",
    "SoundTrack",
    "Source",
    "Stretch",
    "Summary",
    "SummaryLevel",
    "SummaryMethod",
    "Utterance",
    "Verdict",
    "Verification",
    "Video",
    "VideoStatus",
    "VoicePrint",
    "Window",
    "WindowPlan",
    "WindowResult",
    "WindowStatus",
    "Word",
    "Work",
    "WrittenNote",
    "Yielded",
    "make_id",
    "name_shard",
    "upright_size",
]
