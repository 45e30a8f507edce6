"""The log of a table as files: which of them are whole, and up to which version it can be read."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_NAME = re.compile(r"(\d{20})\.(json|checkpoint\..*)$")
_ACTIONS = frozenset(
    {"add", "remove", "metaData", "protocol", "commitInfo", "txn", "cdc", "domainMetadata"}
)
_HINT = "_last_checkpoint"
"""The file that names the newest checkpoint; the library does without it, not with a wrong one."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """An entry of the log, or a checkpoint: what all entries up to its version amount to."""

    version: int
    path: str
    is_checkpoint: bool
    problem: str
    """Empty if it is whole."""

    def __str__(self) -> str:
        kind = "checkpoint" if self.is_checkpoint else "log entry"
        return f"{kind} {self.version} {self.problem or 'is whole'}"


def log_files(filesystem: "AbstractFileSystem", folder: str) -> list[LogFile]:
    """What is in a ``_delta_log`` by version; an entry that is missing in between is there, too.

    Every file is read. The file that names the newest checkpoint is among them where it is wrong.
    """
    if not filesystem.exists(folder):
        return []
    paths = filesystem.find(folder, maxdepth=1)
    named = [(match, path) for path in paths if (match := _NAME.search(path))]
    files = [
        LogFile(
            int(match[1]),
            path,
            is_checkpoint=match[2] != "json",
            problem=_problem(filesystem, path, is_checkpoint=match[2] != "json"),
        )
        for match, path in named
    ]
    entries = {file.version for file in files if not file.is_checkpoint}
    # The oldest entries are deleted once a checkpoint stands for them.
    first = min(entries, default=0) if any(file.is_checkpoint for file in files) else 0
    files += [
        LogFile(version, f"{folder}/{version:020}.json", is_checkpoint=False, problem="is missing")
        for version in range(first, max(entries, default=-1))
        if version not in entries
    ]
    files += _wrong_hint(filesystem, f"{folder}/{_HINT}", files)
    return sorted(files, key=lambda file: (file.version, file.is_checkpoint))


def last_whole(files: Sequence[LogFile]) -> int:
    """The newest version up to which a log can be read; -1 if there is none."""
    whole = [file for file in files if not file.problem]
    version = max((file.version for file in whole if file.is_checkpoint), default=-1)
    entries = {file.version for file in whole if not file.is_checkpoint}
    while version + 1 in entries:
        version += 1
    return version


def entry_problem(text: bytes) -> str:
    """What is wrong with a log entry; "" if nothing is."""
    if not text:
        return "is empty"
    try:
        actions = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return "is not JSON"
    if not all(isinstance(action, dict) and action.keys() & _ACTIONS for action in actions):
        return "is no log entry"
    for action in actions:
        if told := (action.get("commitInfo") or {}).get("operationMetrics"):
            return _shortfall(told, actions)
    return ""


def _shortfall(told: Mapping[str, Any], actions: Iterable[Mapping[str, Any]]) -> str:
    """An entry that was cut between two lines tells of more files than it names."""
    kinds = [kind for action in actions for kind in action]
    for kind, metric in (("add", "num_added_files"), ("remove", "num_removed_files")):
        count = told.get(metric)
        if isinstance(count, int) and kinds.count(kind) < count:
            return f"names {kinds.count(kind)} of {count} files"
    return ""


def _problem(filesystem: "AbstractFileSystem", path: str, *, is_checkpoint: bool) -> str:
    if not is_checkpoint:
        return entry_problem(filesystem.cat_file(path))
    if not path.endswith(".parquet"):
        return ""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only where a log is looked into

    try:
        with filesystem.open(path, "rb") as file:
            pq.ParquetFile(file).read(columns=["add", "metaData"])
    except (OSError, pa.ArrowException) as exc:
        return f"cannot be read ({str(exc).splitlines()[0]})"
    return ""


def _wrong_hint(
    filesystem: "AbstractFileSystem", path: str, files: Sequence[LogFile]
) -> list[LogFile]:
    """The library goes by the hint even where there is no such checkpoint."""
    if not filesystem.exists(path):
        return []
    try:
        version = int(json.loads(filesystem.cat_file(path))["version"])
    except (ValueError, KeyError, TypeError):
        return [LogFile(-1, path, is_checkpoint=True, problem="is named by a file that is no JSON")]
    if any(file.is_checkpoint and file.version == version for file in files):
        return []
    return [LogFile(version, path, is_checkpoint=True, problem="is missing, though it is named")]
