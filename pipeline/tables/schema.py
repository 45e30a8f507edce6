"""The tables on disk. Their schemas are the contract; code adapts to them.

Each table is declared in a module of its name. Additive changes keep the readers of
``SCHEMA_VERSION`` working; anything else raises it.
"""

from typing import Any, Literal

import pyarrow as pa

from pipeline.tables import (
    alerts,
    erasures,
    events,
    evidence,
    feedback,
    runs,
    segments,
    slides,
    summaries,
    tracks,
    utterances,
    vectors,
    videos,
    windows,
)
from pipeline.tables.columns import Columns

SCHEMA_VERSION = 1

TableName = Literal[
    "videos",
    "windows",
    "events",
    "segments",
    "vectors",
    "summaries",
    "runs",
    "erasures",
    "feedback",
    "evidence",
    "utterances",
    "slides",
    "alerts",
]
ReadTable = Literal[TableName, "tracks"]
"""Those that can be read: ``tracks`` is not stored."""
AskedTable = Literal[
    "videos",
    "windows",
    "events",
    "tracks",
    "segments",
    "utterances",
    "slides",
    "summaries",
    "feedback",
]
"""Those that a person asks for rows."""

DECLARED: dict[TableName, Columns[Any]] = {
    "videos": videos.COLUMNS,
    "windows": windows.COLUMNS,
    "events": events.COLUMNS,
    "segments": segments.COLUMNS,
    "vectors": vectors.COLUMNS,
    "summaries": summaries.COLUMNS,
    "runs": runs.COLUMNS,
    "erasures": erasures.COLUMNS,
    "feedback": feedback.COLUMNS,
    "evidence": evidence.COLUMNS,
    "utterances": utterances.COLUMNS,
    "slides": slides.COLUMNS,
    "alerts": alerts.COLUMNS,
}

TABLES: dict[TableName, pa.Schema] = {name: table.schema for name, table in DECLARED.items()}
READABLE: dict[ReadTable, Columns[Any]] = dict([*DECLARED.items(), ("tracks", tracks.COLUMNS)])
READ: dict[ReadTable, pa.Schema] = {name: table.schema for name, table in READABLE.items()}

VIDEOS = TABLES["videos"]
WINDOWS = TABLES["windows"]
EVENTS = TABLES["events"]
SEGMENTS = TABLES["segments"]
VECTORS = TABLES["vectors"]
RUNS = TABLES["runs"]
EVIDENCE = TABLES["evidence"]
UTTERANCES = TABLES["utterances"]
SLIDES = TABLES["slides"]
