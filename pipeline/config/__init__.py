"""One frozen settings tree per run. Defaults stand here and nowhere else.

A YAML file is whole: no inheritance. Unknown keys are refused, ``None`` means off.

footage   sources, clocks, sampling, decoding, cutting, the gate
engines   what the sections of all engines share; verification, rates
embedding what makes vectors of texts
registry  which engines there are, each with a section of its own (engine_kind)
run       stitching, summaries, commits, budgets, the cluster
alerts    which events are told to whom, and when
voices    what tells speakers apart by their voices
zones     parts of the picture, and what is reported of the objects there
tree      all of it, and which of it decides what a row says (fingerprints)
read      YAML, overrides, and errors that name every wrong key
reference what every setting means, as text, page and JSON schema (reference_formats)
"""

from pipeline.config.embedding import EmbeddingConfig
from pipeline.config.engines import (
    EngineConfig,
    ModelEngineConfig,
    RatesConfig,
    SpeechEngineConfig,
    VerifyConfig,
)
from pipeline.config.footage import (
    CameraClock,
    ClockConfig,
    DecodeConfig,
    FrameConfig,
    GateConfig,
    ObjectGateConfig,
    PlanConfig,
    SampleConfig,
    SourcesConfig,
)
from pipeline.config.read import config_for_stored, load_config, stored_config
from pipeline.config.run import (
    BudgetConfig,
    ClusterConfig,
    CommitConfig,
    StitchConfig,
    SummariesConfig,
)
from pipeline.config.tree import Config
from pipeline.config.voices import VoicesConfig
from pipeline.config.zones import ZoneConfig

__all__ = [
    "BudgetConfig",
    "CameraClock",
    "ClockConfig",
    "ClusterConfig",
    "CommitConfig",
    "Config",
    "DecodeConfig",
    "EmbeddingConfig",
    "EngineConfig",
    "FrameConfig",
    "GateConfig",
    "ModelEngineConfig",
    "ObjectGateConfig",
    "PlanConfig",
    "RatesConfig",
    "SampleConfig",
    "SourcesConfig",
    "SpeechEngineConfig",
    "StitchConfig",
    "SummariesConfig",
    "VerifyConfig",
    "VoicesConfig",
    "ZoneConfig",
    "config_for_stored",
    "load_config",
    "stored_config",
]
