"""The table ``runs``: who worked on what, when, and how it ended."""

from collections.abc import Iterable

import pyarrow as pa

from pipeline.records import Run, RunFigures
from pipeline.tables.columns import Column, Columns
from pipeline.tables.shared import (
    DATE,
    INT32,
    INT64,
    SECONDS,
    STRING,
    STRINGS,
    TEXT_BY_NAME,
    TIME,
    utc_rows,
)

COLUMNS: Columns[Run] = Columns(
    "Who indexed, summarized or made vectors: written at the start of a run, with every heartbeat, "
    "and at the end.",
    [
        Column("date", DATE, "UTC date of `start`.", to_row=lambda run: run.start.date()),
        Column("start", TIME, "When the run began.", path="start"),
        Column(
            "end",
            TIME,
            "When it said that it ended, or was found to be lost; null until then.",
            path="end",
            nullable=True,
        ),
        Column(
            "state",
            STRING,
            "`running`, `done`, `incomplete`, `budget`, `interrupted` or `lost`.",
            path="state",
        ),
        Column("heartbeat_at", TIME, "Its last sign of life.", path="heartbeat_at"),
        Column("run_id", STRING, "Id of the run.", path="run_id"),
        Column("host", STRING, "The machine of the driver.", path="host"),
        Column("pid", INT32, "Process id of the driver there.", path="pid"),
        Column(
            "process",
            STRING,
            "Names the process for good, where a host's name and a process id come again.",
            path="process",
        ),
        Column("job_id", STRING, "Of a submitted Ray job.", path="job_id", nullable=True),
        Column(
            "job_metadata",
            TEXT_BY_NAME,
            "What the submitter said of that job.",
            path="job_metadata",
            to_row=lambda run: list(run.job_metadata.items()),
            from_row=lambda row: dict(row["job_metadata"]),
        ),
        Column("task", STRING, "Name of the task; empty if the work is of all tasks.", path="task"),
        Column(
            "works",
            STRINGS,
            "What it does for its cameras: `index`, `summarize`, `embed`; null in rows of older "
            "versions, which index.",
            path="works",
            from_row=lambda row: tuple(row["works"] or ["index"]),
            nullable=True,
        ),
        Column("fingerprint", STRING, "Hash of its settings.", path="fingerprint"),
        Column("version", STRING, "Version of timereel.", path="version"),
        Column("keep", pa.bool_(), "Whether answers of other fingerprints stay.", path="keep"),
        Column(
            "cameras",
            STRINGS,
            "The lease: no other run of this task does the same work for these cameras meanwhile, "
            "unless both keep the answers of other fingerprints.",
            path="cameras",
        ),
        Column(
            "shard", STRING, "Its share of the archive, as `3/16`.", path="shard", nullable=True
        ),
        Column("exit_code", INT32, "Exit code of the driver.", path="exit_code", nullable=True),
        Column("num_videos_done", INT64, "Videos that are whole.", path="figures.num_videos_done"),
        Column("num_videos_failed", INT64, "Videos that failed.", path="figures.num_videos_failed"),
        Column(
            "num_videos_superseded",
            INT64,
            "Videos of whose time other files speak.",
            path="figures.num_videos_superseded",
        ),
        Column(
            "num_videos_outstanding",
            INT64,
            "Files that the next run must go on with, as their store did not answer.",
            path="figures.num_videos_outstanding",
        ),
        Column("num_windows", INT64, "Windows that were committed.", path="figures.num_windows"),
        Column("num_events", INT64, "Events that the index has more.", path="figures.num_events"),
        Column("num_prompt_tokens", INT64, "Tokens of prompts.", path="figures.num_prompt_tokens"),
        Column("num_output_tokens", INT64, "Tokens of answers.", path="figures.num_output_tokens"),
        Column("decode_cpu_s", SECONDS, "CPU seconds of decoding.", path="figures.decode_cpu_s"),
        Column(
            "gpu_s",
            SECONDS,
            "Seconds for which GPUs were reserved, whether they had work or not.",
            path="figures.gpu_s",
        ),
        Column("error", STRING, "Why it did not end well; else empty.", path="error"),
    ],
)


def runs_table(runs: Iterable[Run]) -> pa.Table:
    """Rows of ``runs``, in the given order."""
    return COLUMNS.table(runs)


def runs_of_table(rows: pa.Table) -> list[Run]:
    """The runs behind rows that ``runs_table`` has made."""
    read = COLUMNS.reader({"": Run, "figures": RunFigures})
    return [read(row) for row in utc_rows(rows)]
