"""What is written beside the label of an event: a text, one of some values, or a number."""

from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)


class TaskNumber(BaseModel):
    """A number that is read off a picture; code compares it with limits, no model does."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min: float
    """Least number that can be shown; an answer below it is refused."""
    max: float
    """Greatest number that can be shown; an answer above it is refused."""
    unit: str = Field(default="", max_length=16)
    """What the number counts, such as ``MPa``."""
    above: dict[str, float] = Field(default_factory=dict)
    """Label -> limit: an event with a greater number has this label; the highest limit decides."""
    below: dict[str, float] = Field(default_factory=dict)
    """Label -> limit: an event with a smaller number has this label; the lowest limit decides."""

    @model_validator(mode="after")
    def _is_a_scale(self) -> Self:
        if self.min >= self.max:
            raise ValueError(f"min {self.min:g} must be less than max {self.max:g}")
        for label, limit in (self.above | self.below).items():
            if not self.min <= limit <= self.max:
                raise ValueError(
                    f"{label}: {limit:g} must lie between min {self.min:g} and max {self.max:g}"
                )
        return self

    @property
    def scale(self) -> str:
        """The scale in words, for the prompt."""
        unit = f" in {self.unit}" if self.unit else ""
        return f"A plain number{unit}, from {self.min:.12g} to {self.max:.12g}."

    def judged(self, number: float) -> tuple[str, str]:
        """The number as it is stored, with the limit that it breaks; and the label of that limit.

        As ``1.8 MPa > 1.6`` and ``over_limit``; without a broken limit there is no label.
        """
        shown = f"{number:.12g} {self.unit}".rstrip()
        over = max(((v, label) for label, v in self.above.items() if number > v), default=None)
        under = min(((v, label) for label, v in self.below.items() if number < v), default=None)
        broken = over or under
        if broken is None:
            return shown, ""
        return f"{shown} {'>' if over else '<'} {broken[0]:.12g}", broken[1]


class TaskField(BaseModel):
    """One extra field of every event; the model writes it before the label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    """What is to be written there, as the prompt will tell it."""
    values: tuple[str, ...] | None = None
    """Allowed values; None is free text."""
    required: bool = True
    """Whether the model must write it in every event."""
    max_chars: int = Field(default=400, gt=0)
    """Longest text of a free field."""
    alike: bool = False
    """Events are joined over a border only if their words here are similar, as titles of slides."""
    number: TaskNumber | None = None
    """A number on this scale instead of text."""
    pattern: str | None = Field(default=None, min_length=1, max_length=1000)
    """Regular expression that the whole text must match."""

    @field_validator("pattern")
    @classmethod
    def _compile(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        import regex  # noqa: PLC0415 - few tasks have one

        try:
            regex.compile(pattern)
        except (regex.error, RecursionError) as exc:  # the latter: groups in groups
            raise ValueError(f"{pattern!r} is no regular expression: {exc}") from exc
        return pattern

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if sum(one is not None for one in (self.values, self.number, self.pattern)) > 1:
            raise ValueError("a field has values, a number or a pattern, not several of them")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_off(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Earlier versions did not know these two: what is off must not change a fingerprint.
        kept: dict[str, Any] = handler(self)
        return {k: v for k, v in kept.items() if v is not None or k not in {"number", "pattern"}}

    @property
    def told(self) -> str:
        """What the prompt says of it; "" where nothing is to be said."""
        return " ".join(filter(None, (self.description, self.number.scale if self.number else "")))

    def json_schema(self) -> dict[str, Any]:
        """JSON schema of its value."""
        if self.number is not None:
            return {"type": "number", "minimum": self.number.min, "maximum": self.number.max}
        if self.values is not None:
            return {"enum": list(self.values)}
        text = {"type": "string", "maxLength": self.max_chars}
        return text | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})
