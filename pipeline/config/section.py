"""What every section of the tree is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(le=1e9)]
"""At most thirty years: what is longer is a slip, and ends beyond every calendar."""


class Section(BaseModel):
    """Frozen; unknown keys are refused, and so is what is no number: nan and the infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
