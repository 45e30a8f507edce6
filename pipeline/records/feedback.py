"""What a person says about an event, or about one that nobody found."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from pipeline.records.footage import make_id
from pipeline.timebase import TimeRange

FeedbackVerdict = Literal["confirmed", "rejected", "corrected", "missed", "open"]
"""``missed`` is an event that nobody found; ``open`` takes back what was said before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One statement about an event. The newest of an event counts; none is ever changed."""

    event_id: str
    """Of an event that was missed: an id of its own, which later statements name."""
    verdict: FeedbackVerdict
    camera: str
    label: str
    """What it is, as the person says; of a rejected event what it was found as."""
    span: TimeRange
    """When it is, as the person says; UTC."""
    was_label: str | None
    """What it was found as; None for an event that was missed."""
    was_span: TimeRange | None
    """When it was found; UTC; None for an event that was missed."""
    task: str
    fingerprint: str
    """Of the answer that was looked at."""
    video_id: str
    """The file in which the event begins; "" if it is not known."""
    uri: str
    note: str
    said_by: str
    said_at: datetime

    @property
    def feedback_id(self) -> str:
        """Hash of what was said, by whom and when: to say it twice changes nothing."""
        return make_id(
            "feedback", self.event_id, self.task, self.verdict, self.said_by, self.said_at
        )

    @classmethod
    def missed(
        cls,
        *,
        camera: str,
        label: str,
        span: TimeRange,
        task: str,
        said_by: str,
        said_at: datetime,
        fingerprint: str = "",
        video_id: str = "",
        uri: str = "",
        note: str = "",
    ) -> Self:
        """An event that nobody found; the same one twice has the same id."""
        return cls(
            event_id=make_id("missed", camera, label, span, task),
            verdict="missed",
            camera=camera,
            label=label,
            span=span,
            was_label=None,
            was_span=None,
            task=task,
            fingerprint=fingerprint,
            video_id=video_id,
            uri=uri,
            note=note,
            said_by=said_by,
            said_at=said_at,
        )
