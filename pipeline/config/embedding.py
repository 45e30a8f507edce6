"""What makes vectors of texts, for search by meaning. Its kinds are no engines: nothing is seen."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.config.engines import EndpointUrl, Variable
from pipeline.config.section import Seconds, Section


class EmbeddingConfig(Section):
    """What makes vectors of texts, for search by meaning."""

    kind: Literal["openai", "local"] = "openai"
    """An OpenAI-compatible endpoint, or the small model that comes with the extra ``search``."""
    base_url: EndpointUrl | None = None
    """Up to and including ``/v1``; this setting and those below are for an endpoint."""
    model: str | None = None
    """Name under which the endpoint serves the model."""
    api_key_env: Variable | None = None
    """Name of the environment variable that holds the key."""
    question_prefix: str = ""
    """Put before what is looked for, where a model wants an instruction there."""
    batch_texts: int = Field(default=64, gt=0)
    """Texts per request."""
    max_retries: int = Field(default=6, ge=0)
    """How often a failed request is repeated."""
    timeout_s: Seconds = Field(default=60.0, gt=0)
    """For one request."""

    @model_validator(mode="after")
    def _an_endpoint_has_a_name(self) -> Self:
        names = ("base_url", "model")
        given = [name for name in names if getattr(self, name) is not None]
        if self.kind == "openai" and len(given) < len(names):
            raise ValueError("kind=openai needs base_url and model; kind=local needs neither")
        if self.kind == "local" and given:
            raise ValueError(f"kind=local asks no endpoint: leave {' and '.join(given)} out")
        return self
