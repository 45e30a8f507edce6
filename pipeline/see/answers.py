"""Rows of tables as JSON: times in UTC, file names instead of locations, packed for the wire."""

import gzip
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import Response

from pipeline.export.formats import python_rows, to_json

_MIN_PACKED_BYTES = 1000
_GZIP_LEVEL = 5


def answer(request: Request, content: Any, status: int = 200) -> Response:  # noqa: ANN401 - any JSON
    """JSON, with times as ISO 8601 in UTC; packed if the client can unpack it."""
    data = to_json(content).encode()
    headers = {"Vary": "Accept-Encoding"}
    if len(data) > _MIN_PACKED_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        data = gzip.compress(data, _GZIP_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(data, status, headers, "application/json")


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """The rows with ``file``, the name of the file, in place of its location."""
    maps = {field.name for field in table.schema if pa.types.is_map(field.type)}
    return [
        _shown({k: dict(v) if k in maps and v is not None else v for k, v in row.items()})
        for row in python_rows(table)
    ]


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name != "uri"}
    if "uri" in row:
        shown["file"] = file_name(row["uri"])
    if row.get("parts"):
        shown["parts"] = [_shown(part) for part in row["parts"]]
    return shown


def file_name(uri: str) -> str:
    """The last part of a location: folders and servers are nobody's business."""
    return PurePosixPath(uri.partition("?")[0]).name
