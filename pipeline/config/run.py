"""What becomes of the answers, and what a run may take."""

from typing import Literal

from pydantic import Field

from pipeline.config.engines import EndpointUrl
from pipeline.config.section import Operational, Seconds, Section


class StitchConfig(Section):
    """How observations become events."""

    max_gap_s: Seconds = Field(default=2.0, ge=0)
    """Events of the same label and fields with at most this gap are joined."""


class SummariesConfig(Section):
    """How chapters, videos and days are summarized; changing it never does a video again."""

    level: Operational[Literal["chapter", "video", "day"] | None] = None
    """Written at the end of each run, up to this; None leaves it to ``timereel summarize``."""
    instructions: str = ""
    """Added to the question: a language, or what matters to the readers."""
    max_sentences: int = Field(default=6, gt=0, le=50)
    """Of one text."""
    max_prompt_tokens: int = Field(default=8192, gt=0)
    """Of one call; longer logs are summarized in parts. The model's context is a limit, too."""
    max_output_tokens: int = Field(default=1536, gt=0)
    """Of the answer of one call."""
    min_chapter_s: Seconds = Field(default=60.0, ge=0)
    """No chapter is shorter, unless the video is."""
    max_chapter_s: Seconds = Field(default=900.0, gt=0)
    """No chapter is longer."""
    gap_s: Seconds = Field(default=300.0, gt=0)
    """So long a time without anything to tell ends a chapter."""


class SlidesConfig(Section):
    """Finds the pages that are shown in a meeting or a talk."""

    fps: float = Field(default=2.0, ge=0.5, le=10)
    """Frames that are compared per second, of those that ``sample.fps`` takes."""
    read_text: bool = False
    """Whether the words on each page are read, in pictures of ``frame.rgb_max_pixels``; needs the
    extra ``ocr``, and about a second of a CPU for each page."""


class EvidenceConfig(Section):
    """What is kept of the footage itself."""

    pictures: bool = True
    """Of each event the picture nearest its middle that the engine was shown, in the table
    ``evidence``, about 8 kB each; ``false`` keeps none."""


class CommitConfig(Section):
    """How often results reach the index."""

    shards: int = Field(default=256, gt=0)
    """Finished shards after which results are written to the index."""
    seconds: Seconds = Field(default=60.0, gt=0)
    """Time after which results are written to the index."""
    batch_videos: int | None = Field(default=None, gt=0)
    """Sources probed and planned together; None: 256, or 4096 where a model is loaded per batch."""
    batch_bytes: int = Field(default=10**12, gt=0)
    """Of the sources in a batch; the driver holds about 0.3 MB per hour of footage."""


class BudgetConfig(Section):
    """Where a run stops by itself. What is whole is kept; the same command goes on from there."""

    max_tokens: int | None = Field(default=None, gt=0)
    """Of prompts and answers together."""
    max_gpu_hours: float | None = Field(default=None, gt=0)
    """Of all replicas, idle or not, since the first was asked for."""


class ClusterConfig(Section):
    """What the Ray graph may use; the answers do not depend on it."""

    decode_cpus: float = Field(default=1.0, gt=0)
    """CPUs per decode task; one process per core is fastest."""
    max_decode_tasks: int | None = Field(default=None, gt=0)
    """Decode tasks at a time; None leaves it to Ray."""
    object_store_bytes: int | None = Field(default=None, gt=0)
    """Of the embedded Ray; None lets Ray choose. A model waits for windows where this is small: for
    each request of ``max_concurrency`` the RGB of nine was enough, of four it was not."""
    stall_s: Seconds = Field(default=3600, gt=0)
    """After so long without any result the open shards are submitted again, and after as long once
    more the run ends with exit code 7, and the next one goes on. The time in which a model loads
    counts, so a large model on a slow disk needs more."""
    traces: EndpointUrl | None = None
    """Where spans of probing, decoding, answering and committing are sent, as OTLP over HTTP
    (http://collector:4318/v1/traces); needs the extra ``otel``. A run is one trace."""
