"""One run of a job, its figures and how it ended: the records of the table ``runs``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

EndState = Literal["done", "incomplete", "budget", "interrupted"]
"""How a run ends that writes its own end."""
RunState = EndState | Literal["running", "lost"]
"""``lost``: it stopped without writing its end, and a later run wrote that."""


Work = Literal["index", "summarize", "embed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """What a run has done so far."""

    num_videos_done: int = 0
    num_videos_failed: int = 0
    num_videos_superseded: int = 0
    num_videos_outstanding: int = 0
    """Files that the next run must continue, because their store did not answer."""
    num_windows: int = 0
    num_events: int = 0
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0
    decode_cpu_s: float = 0.0
    gpu_s: float = 0.0
    """GPU-seconds that were reserved, whether the GPUs had work or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, as of its last heartbeat."""

    run_id: str
    state: RunState = "running"
    start: datetime
    end: datetime | None = None
    """When it wrote its end, or when another run found that it was lost."""
    heartbeat_at: datetime
    host: str
    pid: int
    process: str
    """A name that no other process ever has: see ``pipeline.processes.identity``."""
    job_id: str | None = None
    """Id of the Ray job that the run was submitted as; None if it was not submitted."""
    job_metadata: Mapping[str, str] = field(default_factory=dict)
    """What the submitter said about that job."""
    task: str
    """"" for a run whose work is of all tasks."""
    works: tuple[Work, ...] = ("index",)
    """What it does for its cameras; a run that indexes may summarize as well."""
    fingerprint: str
    version: str
    keep: bool = False
    """Whether answers of other fingerprints stay in the index."""
    cameras: tuple[str, ...] = ()
    """Its leases: no other run of this task does one of ``works`` for these cameras now, unless
    both ``keep``."""
    shard: str | None = None
    exit_code: int | None = None
    figures: RunFigures = RunFigures()
    error: str = ""
