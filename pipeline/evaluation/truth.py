"""The truth about an archive, and found events, as JSON files hold them.

    {"events": [{"camera": "gate", "label": "person", "fields": {"color": "red"},
                 "start": "2026-03-14T09:00:02Z", "end": "2026-03-14T09:00:09Z"}],
     "files": [{"camera": "gate", "start": "2026-03-14T09:00:00Z", "end": "2026-03-14T09:10:00Z"}]}

``files`` say what was recorded, also where nothing happens; a file of found events needs none.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ValidationError

from pipeline.errors import ConfigError
from pipeline.evaluation.matching import TimedEvent
from pipeline.evaluation.scores import Footage

_SECONDS_PER_HOUR = 3600


class _Event(BaseModel):
    camera: str
    label: str
    fields: dict[str, Any] = {}
    start: AwareDatetime
    end: AwareDatetime
    confidence: float | None = None

    def timed(self) -> TimedEvent:
        return TimedEvent(
            group=self.camera,
            label=self.label,
            fields=tuple(sorted((name, str(value)) for name, value in self.fields.items())),
            start_s=self.start.timestamp(),
            end_s=self.end.timestamp(),
            confidence=self.confidence,
        )


class _File(BaseModel):
    camera: str
    start: AwareDatetime
    end: AwareDatetime


class _Events(BaseModel):
    events: list[_Event]


class _Truth(_Events):
    files: list[_File]


_Document = TypeVar("_Document", bound=BaseModel)


def read_truth(path: Path, *, sample_step_s: float) -> tuple[list[TimedEvent], Footage]:
    """The true events, and the footage they are in, with a frame every ``sample_step_s``.

    Raises:
        ConfigError: the file cannot be read, or is no truth.
    """
    truth = _read(path, _Truth)
    cameras = tuple(sorted({file.camera for file in truth.files}))
    if unknown := sorted({event.camera for event in truth.events} - {*cameras}):
        raise ConfigError(f"{path}: has events of {', '.join(unknown)} but no files of that camera")
    covered_s = sum((file.end - file.start).total_seconds() for file in truth.files)
    footage = Footage(
        groups=cameras,
        hours=covered_s / _SECONDS_PER_HOUR,
        sample_step_s=dict.fromkeys(cameras, sample_step_s),
    )
    return [event.timed() for event in truth.events], footage


def read_found(path: Path) -> list[TimedEvent]:
    """The events of a JSON file.

    Raises:
        ConfigError: the file cannot be read, or does not hold events.
    """
    return [event.timed() for event in _read(path, _Events).events]


def events_of_rows(rows: Iterable[Mapping[str, Any]]) -> list[TimedEvent]:
    """The events of an index, from its rows."""
    return [
        _Event.model_validate({**row, "fields": dict(row["fields"] or ())}).timed() for row in rows
    ]


def _read(path: Path, kind: type[_Document]) -> _Document:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from exc
    except ValidationError as exc:
        lines = [f"  {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors()]
        raise ConfigError("\n".join([f"{path} is not valid:", *lines])) from exc
