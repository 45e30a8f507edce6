"""What a body of ``/audio/transcriptions`` says: bytes of a stranger become checked values.

The text is the answer. Languages, words and segments only describe it, and are left out where they
make no sense.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, WrapValidator

from pipeline.engine.endpoint_answers import (
    MAX_TEXT_CHARS,
    EndpointError,
    OptionalText,
    Text,
    or_empty,
    read_as,
)

_Second = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Timed:
    """A word or a segment; seconds from the start of the sound that was sent."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcription:
    """One answer."""

    text: str
    language: str
    """As ``en``; "" if the endpoint does not say, or says it in words."""
    words: tuple[Timed, ...]
    """Empty if the endpoint times no words."""
    segments: tuple[Timed, ...]


class _Word(BaseModel):
    word: Text
    start: _Second
    end: _Second


class _Segment(BaseModel):
    text: Text
    start: _Second
    end: _Second


class _Answer(BaseModel):
    text: Text
    language: OptionalText = None
    words: Annotated[list[_Word], Field(fail_fast=True), WrapValidator(or_empty)] = []
    segments: Annotated[list[_Segment], Field(fail_fast=True), WrapValidator(or_empty)] = []


def read_transcription(body: bytes) -> Transcription:
    """The transcription in a body of ``verbose_json``.

    Raises:
        EndpointError: there is none, or none that can be read.
    """
    answer = read_as(_Answer, body)
    if len(answer.text) > MAX_TEXT_CHARS:
        raise EndpointError(
            f"the answer has {len(answer.text)} characters, at most {MAX_TEXT_CHARS} fit"
        )
    code = (answer.language or "").lower()
    is_code = code.isascii() and code.isalpha() and 2 <= len(code) <= 3  # noqa: PLR2004 - ISO 639
    return Transcription(
        text=answer.text.strip(),
        language=code if is_code else "",
        words=tuple(
            Timed(one.word, one.start, one.end) for one in answer.words if one.word.strip()
        ),
        segments=tuple(
            Timed(one.text, one.start, one.end) for one in answer.segments if one.text.strip()
        ),
    )
