"""Engines answer windows with JSON of the task's schema; they know neither files nor Ray.

Each is described by an ``EngineKind``, which ``pipeline.config.registry`` finds by the name in
``engine.kind``: ``signals``, ``detector``, ``vllm``, ``openai``, ``captions``, ``whisper``,
``openai_speech`` and ``vllm_speech`` here, others in packages of their own.
"""

from typing import TYPE_CHECKING

from pipeline.config import Config, ObjectGateConfig
from pipeline.config.engine_kind import (
    EngineKind,
    Forecast,
    ModelEngine,
    PromptCounter,
    ShardEngine,
    SpeechEngine,
    TextEngine,
)
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.engine.detector.object_gate import ObjectGate

__all__ = [
    "EngineKind",
    "Forecast",
    "ModelEngine",
    "PromptCounter",
    "ShardEngine",
    "SpeechEngine",
    "TextEngine",
    "open_model",
    "open_object_gate",
    "open_shards",
    "open_speech",
    "open_text_model",
]


def open_object_gate(config: ObjectGateConfig | None) -> "ObjectGate | None":
    """What finds windows without a wanted object, if that is asked for.

    Raises:
        EngineStartError: the detector or its package is missing.
    """
    if config is None:
        return None
    from pipeline.engine.detector.object_gate import ObjectGate  # noqa: PLC0415 - few runs need it

    return ObjectGate(config)


def open_shards(config: Config) -> ShardEngine:
    """The configured engine for the windows of one shard.

    Raises:
        ConfigError: the configured engine is a model.
    """
    kind = config.engine_kind
    if kind.open_shards is None:
        raise ConfigError(f"engine.kind={config.engine.kind}: is a model, it answers no shards")
    return kind.open_shards(config.engine, config.task)


def open_model(config: Config) -> ModelEngine:
    """The configured model, ready to answer.

    Raises:
        ConfigError: the configured engine is no model.
        EngineStartError: it cannot be loaded or reached.
    """
    kind = config.engine_kind
    if kind.open_model is None:
        raise ConfigError(f"engine.kind={config.engine.kind}: is no model")
    return kind.open_model(config.engine, config.task, config.frame, config.plan)


def open_speech(config: Config) -> SpeechEngine:
    """The configured engine that listens.

    Raises:
        ConfigError: the configured engine does not listen.
        EngineStartError: it cannot be loaded or reached.
    """
    kind = config.engine_kind
    if kind.open_speech is None:
        raise ConfigError(f"engine.kind={config.engine.kind}: does not listen")
    return kind.open_speech(config.engine)


def open_text_model(config: Config) -> TextEngine:
    """The configured model, for words alone.

    Raises:
        ConfigError: the configured engine writes no summaries.
        EngineStartError: it cannot be loaded or reached.
    """
    kind = config.engine_kind
    if kind.open_text is None:
        raise ConfigError(f"engine.kind={config.engine.kind}: is no model that writes summaries")
    return kind.open_text(config.engine, config.summaries)
