"""Who indexed what, when, and how it ended: the records behind the table ``runs``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

EndState = Literal["done", "incomplete", "budget", "interrupted"]
"""How a run ends that can say so itself."""
RunState = EndState | Literal["running", "lost"]
"""``lost``: it went without a word, and whoever came next has written so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """What a run has done so far."""

    num_videos_done: int = 0
    num_videos_failed: int = 0
    num_videos_superseded: int = 0
    num_videos_outstanding: int = 0
    """Files that the next run must go on with, as their store did not answer."""
    num_windows: int = 0
    num_events: int = 0
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0
    decode_cpu_s: float = 0.0
    gpu_s: float = 0.0
    """Seconds for which GPUs were held, whether they had work or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, as it is known at its last sign of life."""

    run_id: str
    state: RunState = "running"
    start: datetime
    end: datetime | None = None
    """When it said that it ended, or was found to be lost."""
    heartbeat_at: datetime
    host: str
    pid: int
    process: str
    """What no other process is ever called: see ``pipeline.processes.identity``."""
    job_id: str | None = None
    """Of the Ray job that the run was submitted as, and what its submitter said of it."""
    job_metadata: Mapping[str, str] = field(default_factory=dict)
    task: str
    fingerprint: str
    version: str
    keep: bool = False
    """Whether it leaves the answers of other fingerprints as they are."""
    cameras: tuple[str, ...] = ()
    """Those whose footage no other run of this task touches meanwhile, unless both ``keep``."""
    shard: str | None = None
    exit_code: int | None = None
    figures: RunFigures = RunFigures()
    error: str = ""
