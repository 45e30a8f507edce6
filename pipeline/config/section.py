"""What every section of the tree is, and the marks of settings that decide no answer."""

from enum import Enum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pipeline.config.weights import file_id, weights_id

Seconds = Annotated[float, Field(le=1e9)]
"""At most thirty years: what is longer is a slip, and ends beyond every calendar."""


class Mark(Enum):
    """How a setting enters the fingerprint. Without a mark its value does: it decides an answer."""

    OPERATIONAL = "operational"
    CONTENT = "content"
    FILE = "file"


_Setting = TypeVar("_Setting")

Operational = Annotated[_Setting, Mark.OPERATIONAL]
"""Where, when, how fast or for how much something is done: the answer is the same."""
ByContent = Annotated[_Setting, Mark.CONTENT]
"""A model folder counts by what it holds, wherever it lies; any other name counts as it is."""
ByFile = Annotated[_Setting, Mark.FILE]
"""The same for a file, or for files by name."""


class Section(BaseModel):
    """Frozen; unknown keys are refused, and so is what is no number: nan and the infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def answering(self) -> dict[str, Any]:
        """All that decides an answer, as JSON: the section without its operational settings."""
        kept = self.model_dump(mode="json")
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if Mark.OPERATIONAL in field.metadata:
                del kept[name]
            elif Mark.CONTENT in field.metadata and value:
                kept[name] = weights_id(value) or value
            elif Mark.FILE in field.metadata and isinstance(value, dict):
                kept[name] = {key: file_id(path) or path for key, path in value.items()}
            elif Mark.FILE in field.metadata and value:
                kept[name] = file_id(value) or value
            elif isinstance(value, Section):
                kept[name] = value.answering()
        return kept
