"""The table ``vectors``: embeddings of texts. Its rows are made in Arrow, without records."""

from typing import Any

import pyarrow as pa

from pipeline.tables.columns import Column, Columns
from pipeline.tables.shared import PROVENANCE, STRING, range_columns

_MADE_BY = {column.name: column for column in PROVENANCE}

COLUMNS: Columns[Any] = Columns(
    "The vectors of what events and segments say, for search by meaning.",
    [
        *range_columns(camera="camera", utc="span"),
        Column("video_id", STRING, "Id of the video that the row of the text is of."),
        Column("vector_id", STRING, "Hash of the table, the row and its text."),
        Column(
            "embedder", STRING, "The model that made the vector; others do not compare with it."
        ),
        Column(
            "vector",
            pa.binary(),
            "Half-precision floats of unit length, little-endian.",
        ),
        _MADE_BY["task"],
        _MADE_BY["fingerprint"],
    ],
)
