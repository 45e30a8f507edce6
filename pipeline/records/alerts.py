"""What a rule has found, and what became of telling one sink about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pipeline.records.footage import make_id
from pipeline.timebase import TimeRange

HappeningKind = Literal["event", "count", "absence"]
AlertState = Literal["waiting", "sent", "dropped", "dead"]
"""``dropped``: it was late, and its rule wants no late ones. ``dead``: its sink never took it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What a rule has found; UTC."""

    rule: str
    kind: HappeningKind
    camera: str
    label: str
    span: TimeRange
    text: str = ""
    confidence: float | None = None
    event_ids: tuple[str, ...] = ()
    video_id: str = ""
    """The file in which the first event begins; "" for an absence."""
    uri: str = ""
    task: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One happening for one sink. It keeps its id while events grow or get other ids."""

    alert_id: str
    """The same for all sinks; made once."""
    sink: str
    what: Happening
    is_late: bool
    revision: int = 1
    """Raised when the alert has grown so much that its sink should hear of it again."""
    found_at: datetime
    changed_at: datetime
    """When this revision was made."""
    state: AlertState = "waiting"
    sent_revision: int = 0
    """The newest that its sink has taken; 0 before the first."""
    sent_at: datetime | None = None
    num_tries: int = 0
    """Failed tries of this revision."""
    due_at: datetime
    """No try before this."""
    error: str = ""
    """Why the last try failed."""
    message_id: str = ""
    """Id of the message that tells it, alone or with others; "" before the first try. A message
    that is tried again has the same id, so that its receiver can tell."""
    claimed_by: str = ""
    """The process that is sending it; "" for none."""
    claimed_at: datetime | None = None

    @property
    def row_id(self) -> str:
        """Names the alert for this sink."""
        return make_id("alert", self.alert_id, self.sink)
