"""Which kinds of engines there are: ours, and those of other packages by their entry points.

Only the kind that is named is imported.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, TypeGuard

from pydantic import BeforeValidator, SerializeAsAny
from pydantic_core import PydanticCustomError

from pipeline.config.engine_kind import EngineKind
from pipeline.config.engines import EngineConfig, SpeechEngineConfig
from pipeline.config.task import Task
from pipeline.errors import ConfigError

GROUP = "timereel.engines"
DEFAULT_KIND = "signals"

# Not in the metadata of the installed package: that may be older than the code which runs, as in
# `ray job submit --working-dir .`, and would then not know them.
_NAMES = "signals detector vllm openai captions whisper openai_speech vllm_speech"
_OURS = {kind: EntryPoint(kind, f"pipeline.engine.{kind}:KIND", GROUP) for kind in _NAMES.split()}


def _registered() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)} | _OURS


def known_kinds() -> list[str]:
    """The names of all engines that are installed: ours first."""
    return [*_OURS, *sorted(_registered().keys() - _OURS.keys())]


def is_kind(name: object) -> TypeGuard[str]:
    """Whether an engine is called so."""
    return isinstance(name, str) and (name in _OURS or name in _registered())


@cache
def find_kind(name: str) -> EngineKind[Any]:
    """The description of an engine, by its name.

    Raises:
        ConfigError: there is none, or its package cannot be imported.
    """
    entry = _OURS.get(name) or _registered().get(name)
    if entry is None:
        raise ConfigError(f"engine.kind={name}: {_expected()}")
    try:
        kind = entry.load()
    except (ImportError, AttributeError) as exc:
        raise ConfigError(
            f"engine.kind={name}: its entry point {entry.value} cannot be loaded ({exc}); install "
            "the package that has it anew"
        ) from exc
    if not isinstance(kind, EngineKind):
        raise ConfigError(
            f"engine.kind={name}: its entry point {entry.value} names {type(kind).__name__}, "
            "where an EngineKind is needed; this is for the author of that package"
        )
    return kind


def default_engine() -> EngineConfig:
    """The engine of a run that names none."""
    settings: EngineConfig = find_kind(DEFAULT_KIND).settings.model_validate({})
    return settings


def default_task() -> Task:
    """The task of a run that names none, and whose engine has none of its own."""
    task = find_kind(DEFAULT_KIND).task
    assert task is not None  # noqa: S101 - the default engine is no model
    return task


def _expected() -> str:
    return (
        f"must be a section whose kind is one of {', '.join(sorted(_registered()))}, such as "
        f"engine: {{kind: {DEFAULT_KIND}}}; the package of another engine must be installed"
    )


def _as_settings(section: object) -> object:
    """A mapping from YAML as the section of the engine that it names."""
    if isinstance(section, EngineConfig):
        return section
    kind = section.get("kind", DEFAULT_KIND) if isinstance(section, dict) else None
    if not is_kind(kind):
        raise PydanticCustomError("engine_kind", "{expected}", {"expected": _expected()})
    return find_kind(kind).settings.model_validate(section)


def _as_speech(section: object) -> object:
    """A mapping from YAML as the section of an engine that tells what is said."""
    settings = _as_settings(section)
    if not isinstance(settings, SpeechEngineConfig):
        raise PydanticCustomError(
            "speech_kind",
            "must be a section whose kind is an engine for speech, as speech: {{kind: captions}}",
        )
    return settings


AnySpeechConfig = Annotated[SerializeAsAny[SpeechEngineConfig], BeforeValidator(_as_speech)]
"""The section of whichever engine for speech its ``kind`` names."""
AnyEngineConfig = Annotated[SerializeAsAny[EngineConfig], BeforeValidator(_as_settings)]
"""The section of whichever engine its ``kind`` names."""
