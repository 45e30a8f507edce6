"""What an engine said of a window, as JSON: the row of the window keeps it, and it is read back.

Rows may come from somebody else's index, so what is read is checked.
"""

import json
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import WindowError
from pipeline.records import Said, Word
from pipeline.records.sanitize import sanitized, storable
from pipeline.records.speech import FROM_TEXT
from pipeline.records.strict_json import read_json
from pipeline.timebase import NS_PER_MS, TimeRange

_Ms = Annotated[int, Field(ge=0, le=10**12)]


class _Word(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    start_ms: _Ms
    end_ms: _Ms
    text: str
    probability: float | None = Field(default=None, ge=0, le=1)


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    start_ms: _Ms
    end_ms: _Ms
    text: str
    track: int = Field(ge=FROM_TEXT, le=1000)
    speaker: str = ""
    language: str = ""
    words: tuple[_Word, ...] = ()
    speaker_confidence: float | None = Field(default=None, ge=0, le=1)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    said: tuple[_Said, ...]


def write_said(said: Iterable[Said], window: TimeRange) -> str:
    """JSON with times in milliseconds since the start of the window."""
    listed = [
        {
            **_times(one.span, window),
            "text": sanitized(storable(one.text)),
            "track": one.track,
            "speaker": sanitized(storable(one.speaker)),
            "language": one.language,
            "words": [
                {
                    **_times(word.span, window),
                    "text": sanitized(storable(word.text)),
                    "probability": word.probability and round(word.probability, 3),
                }
                for word in one.words
            ],
            **_confidence(one),
        }
        for one in said
    ]
    return json.dumps({"said": listed}, ensure_ascii=False, separators=(",", ":"))


def read_said(text: str, window: TimeRange) -> tuple[Said, ...]:
    """The records behind the JSON; none where nobody spoke.

    Raises:
        WindowError: it is no such JSON.
    """
    if not text:
        return ()
    try:
        answer = _Answer.model_validate(read_json(text))
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise WindowError(f"the answer is no speech: {place}: {first['msg']}") from exc
    except (ValueError, RecursionError) as exc:
        raise WindowError(f"the answer is no speech: it is not JSON ({exc})") from exc
    return tuple(
        Said(
            span=_range(one, window),
            text=one.text,
            track=one.track,
            speaker=one.speaker,
            language=one.language,
            words=tuple(
                Word(span=_range(word, window), text=word.text, probability=word.probability)
                for word in one.words
            ),
            speaker_confidence=one.speaker_confidence,
        )
        for one in answer.said
    )


def _confidence(one: Said) -> dict[str, float]:
    """Only where there is one, as earlier versions refuse it."""
    known = one.speaker_confidence
    return {} if known is None else {"speaker_confidence": round(known, 3)}


def _times(span: TimeRange, window: TimeRange) -> dict[str, int]:
    start_ms = max(0, round((span.start_ns - window.start_ns) / NS_PER_MS))
    end_ms = round((min(span.end_ns, window.end_ns) - window.start_ns) / NS_PER_MS)
    return {"start_ms": start_ms, "end_ms": max(end_ms, start_ms)}


def _range(one: _Said | _Word, window: TimeRange) -> TimeRange:
    """In the window; at least a millisecond, as no range is empty."""
    last_ns = window.end_ns - NS_PER_MS
    start_ns = max(window.start_ns, min(window.start_ns + one.start_ms * NS_PER_MS, last_ns))
    end_ns = min(window.start_ns + one.end_ms * NS_PER_MS, window.end_ns)
    return TimeRange(start_ns, max(end_ns, start_ns + NS_PER_MS))
