"""Embedding vectors of the texts of rows, in the table ``vectors``; searched by brute force.

The key of a vector depends on the text. So a row whose text changes has no vector until it is
embedded again, and the next ``embed_missing`` removes the vectors of removed rows.
"""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Callable, Sequence

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.errors import ConfigError, IndexFormatError
from pipeline.index import duck, hits
from pipeline.index.filters import Cameras, Span, Where
from pipeline.index.hits import CONTENT_KEY, Hits
from pipeline.index.query import Index
from pipeline.index.replace import Confirm, all_of, equal, replace, unleased
from pipeline.index.validate import conform
from pipeline.tables.schema import VECTORS

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
"""Texts become vectors of unit length [N, D]."""

# Half the size of float32, and precise enough to rank texts.
_STORED = np.dtype("<f2")


def embed_missing(index: Index, embed: Embed, embedder: str, confirm: Confirm = unleased) -> int:
    """Embed every row without a vector, remove vectors of removed rows; return how many were made.

    There is one commit per UTC date, so a stopped run continues with the next date. Vectors of two
    embedders cannot be compared; an index may have both. ``confirm`` is called before each commit.
    """
    index.store.create_table("vectors")
    num_made = 0
    with duck.connect(index.store) as connection:
        sources = hits.sources(index)
        texts = hits.text_select(sources, CONTENT_KEY)
        values = [value for _, where in sources.values() for value in where.values]
        existing = (
            f"(SELECT * FROM {index.source('vectors')} WHERE embedder = {duck.quote(embedder)})"
        )
        dates = duck.fetch(
            connection,
            f"WITH s AS (SELECT date, key::VARCHAR AS key FROM ({texts}) WHERE said <> ''), "
            f"h AS (SELECT date, vector_id AS key FROM {existing}) "
            "SELECT DISTINCT date FROM ((FROM s EXCEPT FROM h) UNION ALL (FROM h EXCEPT FROM s)) "
            "ORDER BY 1",
            Where(values=values),
        )["date"].to_pylist()
        for day in dates:
            rows = duck.fetch(
                connection,
                f"SELECT s.*, s.key::VARCHAR AS vector_id, h.vector FROM ({texts}) AS s "
                f"LEFT JOIN {existing} AS h ON h.date = s.date AND h.vector_id = s.key::VARCHAR "
                "WHERE s.date = ? AND said <> ''",
                Where(values=[*values, day]),
            )
            num_made += _replace_day(index, rows, str(day), embed, embedder, confirm=confirm)
    return num_made


def _replace_day(
    index: Index, rows: pa.Table, day: str, embed: Embed, embedder: str, *, confirm: Confirm
) -> int:
    vectors = rows["vector"].to_pylist()
    missing = [i for i, vector in enumerate(vectors) if vector is None]
    if missing:
        texts = rows["said"].to_pylist()
        embedded = embed([texts[i] for i in missing]).astype(_STORED)
        for i, vector in zip(missing, embedded, strict=True):
            vectors[i] = vector.tobytes()
    columns = {
        **{name: rows[name] for name in VECTORS.names if name in rows.column_names},
        "embedder": pa.array([embedder] * rows.num_rows, pa.string()),
        "vector": pa.array(vectors, pa.binary()),
    }
    table = pa.table([columns[name] for name in VECTORS.names], names=VECTORS.names)
    predicate = all_of(f"date = '{day}'", equal("embedder", embedder))
    replace(index.store, "vectors", conform("vectors", table.cast(VECTORS)), predicate, confirm)
    return len(missing)


def nearest(
    connection: duckdb.DuckDBPyConnection,
    index: Index,
    question: Vectors,
    embedder: str,
    *,
    span: Span,
    cameras: Cameras,
) -> Hits:
    """All vectors of the range, ordered by their cosine with ``question`` [D], largest first.

    Raises:
        ConfigError: the index has no vectors yet, or they have another size.
    """
    try:
        source = index.source("vectors", span, cameras)
    except IndexFormatError as exc:  # the index is older than this table
        raise ConfigError(f"{index.store.root} has no vectors: run timereel embed first") from exc
    where = Where().overlaps(span).of(cameras).add("embedder = ?", embedder)
    # A vector of somebody else may have an id of any form; it is of no row.
    where.add("key IS NOT NULL")
    rows = duck.fetch(
        connection,
        "SELECT TRY_CAST(vector_id AS UBIGINT) AS key, vector, "
        f'epoch_us("start") AS start_us FROM {source} WHERE {where.sql}',
        where,
    )
    if not rows.num_rows:
        return Hits(CONTENT_KEY)
    stored = rows["vector"].to_pylist()
    if {len(vector) for vector in stored} != {len(question) * _STORED.itemsize}:
        raise ConfigError(
            f"vectors of {embedder} in the index have another size than {len(question)}: the model "
            "behind this name has changed; serve it under another name"
        )
    vectors = np.frombuffer(b"".join(stored), _STORED).reshape(rows.num_rows, -1)
    with np.errstate(invalid="ignore"):  # one of somebody else may hold NaN: it is like nothing
        scores = vectors.astype(np.float32) @ question
    scores = np.nan_to_num(scores, nan=-1, posinf=-1, neginf=-1)
    order = np.argsort(-scores, kind="stable")
    keys, starts_us = (rows[name].to_numpy()[order].tolist() for name in ("key", "start_us"))
    return Hits(CONTENT_KEY, keys, scores[order].tolist(), starts_us)
