"""What the sections of all engines share.

Each engine has its own section beside its code: ``pipeline.config.registry`` finds it by its kind.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from pipeline.config.section import Operational, Seconds, Section
from pipeline.config.voices import VoicesConfig


def _without_secrets(url: str, way_out: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "must be http(s)://HOST/PATH without a user, a password, a query or a fragment; put "
            f"{way_out}"
        )
    return url


_ENDPOINT_KEY = "the key into an environment variable and name that in api_key_env"
_ADDRESS = "the whole address into an environment variable and name that in webhook_env"

EndpointUrl = Annotated[
    str,
    Field(pattern=r"^https?://"),
    AfterValidator(partial(_without_secrets, way_out=_ENDPOINT_KEY)),
]
"""It is stored with each video, shown and logged, so that no secret may be in it."""
WebhookUrl = Annotated[
    str, Field(pattern=r"^https?://"), AfterValidator(partial(_without_secrets, way_out=_ADDRESS))
]
"""It is shown and logged, too."""


_KEY_NAMES = re.compile(
    r"(?:[a-z]+[_-])*(?:api[_-]?key|authorization|password|secret|headers|cookies?|apprise)(?:_env)?"
    r"|(?:hf|auth|access|bearer|refresh)?[_-]?token",
    re.IGNORECASE,
)


def may_name_a_key(name: object) -> bool:
    """Whether a value of this name may be a key, so that it is neither stored nor shown."""
    return _KEY_NAMES.fullmatch(str(name)) is not None


def _without_keys(args: dict[str, Any]) -> dict[str, Any]:
    """They are stored and shown as the address is; a key among them would be too."""
    for name in _names(args):
        if may_name_a_key(name):
            raise ValueError(
                f"{name} may hold a key, and settings are stored and shown; put the key into an "
                "environment variable and name that in api_key_env"
            )
    return args


def _names(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from map(str, value)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _names(item)


Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of an environment variable; most keys that somebody writes in its place are none."""

Args = Annotated[dict[str, Any], AfterValidator(_without_keys)]
"""Arguments by the names of what an engine hands them to; none may be a key."""


class EngineConfig(Section):
    """What every engine's section has."""

    kind: str
    """The name under which the engine is registered."""


class RatesConfig(Section):
    """What a GPU is assumed to do and to cost. Only ``timereel plan`` and budgets use it."""

    gpu: str = ""
    """Which GPU the figures are for."""
    prompt_tokens_per_gpu_s: float = Field(gt=0)
    """Prompt tokens that one GPU reads in a second."""
    output_tokens_per_gpu_s: float = Field(gt=0)
    """Tokens that one GPU writes in a second."""
    output_tokens_per_window: float = Field(default=200.0, gt=0)
    """Tokens of a usual answer."""
    usd_per_gpu_hour: float = Field(default=2.5, ge=0)
    """US dollars for one hour of one GPU."""
    error_factor: float = Field(default=2.0, ge=1)
    """The truth is taken to lie between a figure divided and multiplied by this."""
    source: str = ""
    """Where the figures come from."""


class VerifyConfig(Section):
    """Verification: short ranges around the borders of events are shown again, with more frames."""

    fps: float = Field(default=4.0, ge=0.001, le=1000)
    """Points of the sample grid per second in the ranges that are shown again."""
    reach_s: Seconds = Field(default=2.0, gt=0)
    """Time shown to either side of a border; it must be more than a border can be wrong by."""
    max_looks: int = Field(default=8, gt=0)
    """At most so many ranges are shown again for one window."""


class ModelEngineConfig(EngineConfig):
    """What every engine that asks a model has."""

    model: str
    """Name of the model."""
    max_output_tokens: int = Field(default=1024, gt=0)
    """Of the answer alone."""
    max_concurrency: Operational[int] = Field(default=16, gt=0)
    """Requests in flight per replica."""
    replicas: Operational[int] = Field(default=1, gt=0)
    """How many copies of the model answer at a time."""
    verify: VerifyConfig | None = None
    """Check each event once more, at its borders; None takes the first answer."""

    @property
    def gpus_per_replica(self) -> float:
        """GPUs that Ray keeps for one replica, all on one node."""
        return 0.0

    @property
    def answers_as(self) -> str:
        """The name of the model in the rows."""
        return self.model

    @property
    def reads_markers(self) -> bool:
        """Whether an answer's markers are read from what the model was given, not from the plan."""
        return False


class SpeechEngineConfig(EngineConfig):
    """What every engine has that tells what is said."""

    replicas: Operational[int] = Field(default=1, gt=0)
    """How many copies of the engine listen at a time."""
    voices: VoicesConfig | None = None
    """Tells the speakers of a recording with one track apart by their voices; None does not."""

    def answering(self) -> dict[str, Any]:
        """All that decides an answer; earlier versions told no voices apart."""
        kept = super().answering()
        if self.voices is None:
            del kept["voices"]
        return kept

    @property
    def cpus_per_replica(self) -> float:
        """CPUs that Ray keeps for one replica."""
        return 1.0

    @property
    def gpus_per_replica(self) -> float:
        """GPUs that Ray keeps for one replica, all on one node."""
        return 0.0

    @property
    def answers_as(self) -> str:
        """The name of the model in the rows."""
        return self.kind
