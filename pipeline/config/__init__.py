"""One frozen settings tree per run. Defaults stand here and nowhere else.

A YAML file is whole: no inheritance. Unknown keys are refused, ``None`` means off.

footage   sources, clocks, sampling, decoding, cutting, the gate
engines   signals, vllm, openai; second looks, rates; embeddings
run       stitching, summaries, commits, budgets, the cluster
tree      all of it, and which of it decides what a row says (fingerprints)
read      YAML, overrides, and errors that name every wrong key
"""

from pipeline.config.engines import (
    EmbeddingConfig,
    EngineConfig,
    ModelEngineConfig,
    OpenAIEngineConfig,
    RatesConfig,
    SignalsEngineConfig,
    VerifyConfig,
    VllmEngineConfig,
)
from pipeline.config.footage import (
    CameraClock,
    ClockConfig,
    DecodeConfig,
    FrameConfig,
    GateConfig,
    PlanConfig,
    SampleConfig,
    SourcesConfig,
)
from pipeline.config.read import load_config, stored_config
from pipeline.config.run import (
    BudgetConfig,
    ClusterConfig,
    CommitConfig,
    StitchConfig,
    SummariesConfig,
)
from pipeline.config.tree import Config

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
    "OpenAIEngineConfig",
    "PlanConfig",
    "RatesConfig",
    "SampleConfig",
    "SignalsEngineConfig",
    "SourcesConfig",
    "StitchConfig",
    "SummariesConfig",
    "VerifyConfig",
    "VllmEngineConfig",
    "load_config",
    "stored_config",
]
