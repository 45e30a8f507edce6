"""The figures of runs for Prometheus. Ray serves them on every node, with ``ray_`` before a name.

The driver counts results as they arrive; other processes count what only they see. How late a
camera is also grows when nothing runs, so the page of an index serves that (``see/metrics.py``).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ray.util.metrics import Counter, Gauge, Histogram

from pipeline.records import WindowResult
from pipeline.storage.retry import take_num_retries
from pipeline.timebase import NS_PER_S

# Of the driver.
WINDOWS = Counter("timereel_windows_total", "Windows that have a result.", ("task", "status"))
FOOTAGE = Counter("timereel_footage_seconds_total", "Footage that has a result.", ("task",))
TOKENS = Counter("timereel_tokens_total", "Tokens of the model.", ("task", "kind"))
DECODE_CPU = Counter("timereel_decode_cpu_seconds_total", "CPU time of decoding.", ("task",))
ENGINE = Counter(
    "timereel_engine_seconds_total", "Time in which a replica had work, of all replicas.", ("task",)
)
BACKLOG = Gauge("timereel_backlog_seconds", "Planned footage that has no result yet.", ("task",))
FILES_LEFT = Gauge("timereel_files_left", "Files of the run that are not finished.", ("task",))
FAILED_FILES = Gauge("timereel_failed_files", "Files that failed in the run.", ("task",))
COMMIT_TIME = Histogram(
    "timereel_commit_seconds",
    "Time of one commit of results.",
    [0.1, 0.3, 1, 3, 10, 30, 100],
    ("task",),
)
WORKER_WARNINGS = Counter(
    "timereel_worker_warnings_total", "Warnings and errors that workers have logged."
)

# Of the process that has seen it.
READ_RETRIES = Counter(
    "timereel_read_retries_total", "Reads that were made again because a store failed."
)
ASKED_WINDOWS = Gauge("timereel_asked_windows", "Windows that a replica of the model has now.")


def count(result: WindowResult, task: str) -> None:
    """Count the result of one window."""
    tags = {"task": task}
    WINDOWS.inc(tags=tags | {"status": result.status})
    for counter, amount, more in (
        (FOOTAGE, result.span.duration_ns / NS_PER_S, {}),
        (TOKENS, result.num_prompt_tokens, {"kind": "prompt"}),
        (TOKENS, result.num_output_tokens, {"kind": "output"}),
        (DECODE_CPU, result.decode_cpu_s, {}),
        (ENGINE, result.engine_s, {}),
    ):
        if amount > 0:  # Ray refuses to count nothing
            counter.inc(amount, tags | more)


def count_retries() -> None:
    """Count the reads that this process has made again since the last call."""
    if num_retries := take_num_retries():
        READ_RETRIES.inc(num_retries)


@contextmanager
def timed_commit(task: str) -> Iterator[None]:
    """Measure one commit, also one that fails."""
    began_s = time.monotonic()
    try:
        yield
    finally:
        COMMIT_TIME.observe(time.monotonic() - began_s, {"task": task})
