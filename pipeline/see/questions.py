"""What a request may ask for. Everything is bounded; an unknown name is an error."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from pipeline.index import QueryOptions

Instant = Annotated[
    AwareDatetime, Field(ge=datetime(2, 1, 1, tzinfo=UTC), lt=datetime(9999, 1, 1, tzinfo=UTC))
]
"""A time to and from which one can count in any zone, without leaving the years there are."""
ReviewState = Literal["open", "confirmed", "rejected", "corrected", "missed"]


class OfIndex(BaseModel):
    """Which index is asked."""

    model_config = ConfigDict(extra="forbid")

    index: str = Field(default="", max_length=200)
    """Name of the index; the first one if empty."""


class InRange(OfIndex):
    """Rows of a range of time and some cameras."""

    start: Instant | None = None
    end: Instant | None = None
    camera: list[str] = Field(default_factory=list, max_length=1000)

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("end must be after start")
        return self


class OfEvents(InRange):
    """Events with these labels, texts and states of review."""

    label: list[str] = Field(default_factory=list, max_length=1000)
    text: str = Field(default="", max_length=200)
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    review: list[ReviewState] = Field(default_factory=list, max_length=5)

    @property
    def options(self) -> QueryOptions:
        """For the methods of ``Index``."""
        return {
            "camera": self.camera or None,
            "label": self.label or None,
            "text": self.text or None,
            "min_confidence": self.min_confidence,
            "review": self.review or None,
        }


class ListOfEvents(OfEvents):
    """A page of events."""

    limit: int = Field(default=60, ge=1, le=500)
    order_by: Literal["time", "confidence", "duration"] = "time"
    descending: bool = False


class Lanes(OfEvents):
    """Density and coverage in bins."""

    start: Instant
    end: Instant
    bins: int = Field(default=400, ge=1, le=2000)


class ListOfRows(InRange):
    """Rows of another table."""

    limit: int = Field(default=200, ge=1, le=2000)


class Transcript(InRange):
    """What is said and shown; without a range from the first word on."""

    limit: int = Field(default=200, ge=1, le=3000)


class ListOfVideos(ListOfRows):
    """Recordings, or those in which something went wrong."""

    status: list[Literal["done", "partial", "failed", "erased", "superseded", "pending"]] = Field(
        default_factory=list
    )


class Words(InRange):
    """A search by words."""

    words: str = Field(min_length=1, max_length=200)
    within: Literal["seen", "said", "shown"] | None = None
    limit: int = Field(default=60, ge=1, le=500)


class Moment(OfIndex):
    """What plays for an event, or for a moment of a camera."""

    event: str = Field(default="", max_length=100)
    camera: str = Field(default="", max_length=1000)
    at: Instant | None = None
    native: bool = True
    """False where the browser could not play the file itself."""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if bool(self.event) == (bool(self.camera) and self.at is not None):
            raise ValueError("name an event, or a camera and at")
        return self


class OfCamera(OfIndex):
    """A camera at a moment."""

    camera: str = Field(min_length=1, max_length=1000)
    at: Instant


class OfMedia(OfIndex):
    """A stretch of a video in nanoseconds of media time."""

    start_ns: int = Field(ge=0, lt=2**62)
    end_ns: int = Field(gt=0, lt=2**62)

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if not 0 < self.end_ns - self.start_ns <= MAX_CLIP_NS:
            raise ValueError(f"a clip has at most {MAX_CLIP_NS // 10**9} s, and more than none")
        return self


MAX_CLIP_NS = 120 * 10**9


class Statement(BaseModel):
    """What a person says about an event, or about one that nobody found."""

    model_config = ConfigDict(extra="forbid")

    index: str = Field(default="", max_length=200)
    verdict: Literal["confirmed", "rejected", "corrected", "missed", "open"]
    event_id: str = Field(default="", max_length=100)
    camera: str = Field(default="", max_length=1000)
    """Of a missed event."""
    label: str | None = Field(default=None, min_length=1, max_length=200)
    start: Instant | None = None
    end: Instant | None = None
    note: str = Field(default="", max_length=2000)
    said_by: str = Field(default="", max_length=100)
