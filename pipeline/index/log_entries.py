"""The files of a transaction log: which are damaged, and up to which version it can be read."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeGuard

import pyarrow as pa

from pipeline.index.links import ODD_FILE
from pipeline.index.store_errors import refuse_closed
from pipeline.records.strict_json import read_json

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_NAME = re.compile(r"([0-9]{20})\.(?:json|checkpoint\..*|[0-9]{20}\.compacted\.json)")
_STAGED = re.compile(r"#[0-9]+$")
"""A file that is being written has such a name; if its writer is killed, it stays."""

_MISSING = "is missing"
_STRANGE = "has a form that timereel does not write"
_MAX_CHARS = 200
_WRITTEN = re.compile(r"[0-9]{20}\.checkpoint\.parquet")
_DATA_FILE = re.compile(
    r"(?:date=(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})/)?[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}\.parquet",
    re.ASCII,
)
"""What timereel names its data files. Readers take any other name for more than it says: for a
pattern, a URL, an encoded path, a way up, a chain, or a folder."""

_LOOKED_AT = frozenset({"path", "partitionValues", "deletionVector"})
_FORBIDS_WRITES = re.compile(r"delta\.(?:appendOnly|constraints\..*)", re.DOTALL)
_ACTIONS = frozenset(
    {"add", "remove", "metaData", "protocol", "commitInfo", "txn", "cdc", "domainMetadata"}
)
HINT = "_last_checkpoint"
"""The file that names the newest checkpoint; the library needs none, but not a wrong one."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log entry, or a checkpoint, which stands for all entries up to its version."""

    version: int
    path: str
    is_checkpoint: bool
    problem: str
    """Empty if the file is intact."""

    def __str__(self) -> str:
        return f"{self.kind} {self.version} {self.problem or 'is intact'}"

    @property
    def kind(self) -> str:
        """What it is called in messages."""
        return "checkpoint" if self.is_checkpoint else "log entry"


def version_in(name: str) -> int | None:
    """The version of a log file: of an entry, or of a checkpoint or the like; else None."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match and not _STAGED.search(name) else None


def is_entry(name: str) -> bool:
    """Whether a log file is an entry, so the changes of one version."""
    return name[20:] == ".json"


def log_files(filesystem: "AbstractFileSystem", folder: str) -> list[LogFile]:
    """Read all files of a ``_delta_log``; the result is sorted by version.

    It includes missing entries between others, and the file that names the newest checkpoint if
    that file is wrong.
    """
    if not filesystem.exists(folder):
        return []
    found = filesystem.find(folder, maxdepth=1, detail=True)
    files = [
        LogFile(
            version,
            path,
            is_checkpoint=not is_entry(name),
            problem=ODD_FILE
            if facts.get("islink") or facts["type"] != "file"
            else _problem(filesystem, path),
        )
        for path, facts in found.items()
        for name in [path.rpartition("/")[2]]
        if (version := version_in(name)) is not None
    ]
    entries = {file.version for file in files if not file.is_checkpoint}
    checkpoint = max((file.version for file in files if file.is_checkpoint), default=-1)
    # The oldest entries are deleted once a checkpoint includes them.
    first = min(entries, default=0) if checkpoint >= 0 else 0
    # Of a gap only its first entry: somebody may have numbered one a trillion.
    files += [
        LogFile(version, f"{folder}/{version:020}.json", is_checkpoint=False, problem=_MISSING)
        for version in {first, checkpoint + 1, *(entry + 1 for entry in entries)} - entries
        if version < max(entries, default=-1)
    ]
    files += _wrong_hint(filesystem, f"{folder}/{HINT}", files)
    return sorted(files, key=lambda file: (file.version, file.is_checkpoint))


def last_readable_version(files: Sequence[LogFile]) -> int:
    """The newest version up to which a log can be read; -1 if there is none."""
    intact = [file for file in files if not file.problem]
    version = max((file.version for file in intact if file.is_checkpoint), default=-1)
    entries = {file.version for file in intact if not file.is_checkpoint}
    while version + 1 in entries:
        version += 1
    return version


def gap(versions: Iterable[int], checkpoint: int) -> str:
    """The fault of a log that lacks an entry after its newest checkpoint, but has a later one."""
    later = sorted(version for version in versions if version > checkpoint)
    for wanted, version in enumerate(later, checkpoint + 1):
        if version != wanted:
            return f"log entry {wanted} {_MISSING}"
    return ""


def entry_problem(text: bytes) -> str:
    """The fault of a log entry; "" if it has none."""
    if not text:
        return "is empty"
    try:
        actions = [read_json(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return "is not JSON"
    if not all(map(_is_action, actions)):
        return "is no log entry"
    for action in actions:
        problems = [_file_problem(kind, action.get(kind)) for kind in ("add", "remove")]
        problems.append(_table_problem(action.get("metaData")))
        if problem := next(filter(None, problems), ""):
            return problem
    for action in actions:
        metrics = (action.get("commitInfo") or {}).get("operationMetrics")
        if isinstance(metrics, dict):
            return _missing_files(metrics, actions)
    return ""


def _is_action(action: object) -> bool:
    if not isinstance(action, dict) or not action.keys() & _ACTIONS:
        return False
    return all(value is None or isinstance(value, dict) for value in action.values())


def names_data_file(path: object) -> TypeGuard[str]:
    """Whether a log may name this as a data file of its table."""
    return isinstance(path, str) and _DATA_FILE.fullmatch(path) is not None


def _missing_files(metrics: Mapping[str, Any], actions: Iterable[Mapping[str, Any]]) -> str:
    """The fault of an entry that was cut between two lines: it counts more files than it names."""
    kinds = [kind for action in actions for kind in action]
    for kind, metric in (("add", "num_added_files"), ("remove", "num_removed_files")):
        count = metrics.get(metric)
        if isinstance(count, int) and kinds.count(kind) < count:
            return f"names {kinds.count(kind)} of {count} files"
    return ""


def _problem(filesystem: "AbstractFileSystem", path: str) -> str:
    try:
        with filesystem.open(path, "rb") as file:
            return file_problem(path.rpartition("/")[2], file)
    except OSError as exc:
        refuse_closed(path, exc)
        return _unreadable(exc)


def file_problem(name: str, file: IO[bytes]) -> str:
    """The fault of a log file; "" if it has none.

    Raises:
        OSError: it cannot be read.
    """
    if is_entry(name):
        return entry_problem(file.read())
    return _checkpoint_problem(file) if _WRITTEN.fullmatch(name) else _STRANGE


def _checkpoint_problem(file: IO[bytes]) -> str:
    import pyarrow.parquet as pq  # noqa: PLC0415 - it takes 20 ms; a new index has no checkpoint

    try:
        return _fault_of_checkpoint(pq.ParquetFile(file).read())
    except (OSError, pa.ArrowException, ValueError) as exc:  # a text may be no UTF-8
        return _unreadable(exc)


def _fault_of_checkpoint(actions: pa.Table) -> str:
    if "sidecar" in actions.column_names and actions["sidecar"].null_count < actions.num_rows:
        return _STRANGE
    for kind in ("add", "remove"):
        if kind in actions.column_names:
            files = actions[kind].combine_chunks().drop_null()
            if not pa.types.is_struct(files.type):
                return _STRANGE
            # Without the statistics, which are long.
            named = [f.name for f in files.type if f.name in _LOOKED_AT]
            columns = [files.field(name) for name in named]
            of_files = pa.Table.from_arrays(columns, names=named).to_pylist()
            if problem := next(filter(None, (_file_problem(kind, one) for one in of_files)), ""):
                return problem
    if "metaData" in actions.column_names:
        tables = actions["metaData"].combine_chunks().drop_null()
        if not pa.types.is_struct(tables.type):
            return _STRANGE
        return next(filter(None, map(_table_problem, tables.to_pylist())), "")
    return ""


def _unreadable(exc: Exception) -> str:
    return f"cannot be read ({' '.join(str(exc).split())[:_MAX_CHARS]})"


def _table_problem(table: Mapping[str, Any] | None) -> str:
    """The fault of what a log says of its table: what no row may be written to."""
    try:
        # A checkpoint's map is read as pairs.
        names = [str(name) for name in dict((table or {}).get("configuration") or {})]
    except (TypeError, ValueError):
        return "has properties that are none"
    for name in filter(_FORBIDS_WRITES.fullmatch, names):
        return f"forbids timereel to write ({name[:_MAX_CHARS]!r})"
    return ""


def _file_problem(kind: str, action: Mapping[str, Any] | None) -> str:
    if not action:
        return ""
    vector = action.get("deletionVector")
    if vector and (not isinstance(vector, dict) or any(v is not None for v in vector.values())):
        return "has a deletion vector, which timereel neither writes nor reads"
    path = action.get("path")
    if not names_data_file(path):
        return f"names what is no file of the table, {str(path)[:_MAX_CHARS]!r}"
    return _date_problem(path, action.get("partitionValues")) if kind == "add" else ""


def _date_problem(path: str, told: object) -> str:
    """The fault of a file whose folder has another date than the log says, or than none."""
    match = _DATA_FILE.fullmatch(path)
    date = match["date"] if match else None
    try:
        values = dict(told)  # type: ignore[call-overload] # a checkpoint's map is read as pairs
    except (TypeError, ValueError):
        values = None
    if values != ({"date": date} if date else {}):
        return f"gives {path!r} another date than its folder has"
    return ""


def _wrong_hint(
    filesystem: "AbstractFileSystem", path: str, files: Sequence[LogFile]
) -> list[LogFile]:
    """The hint file as a damaged file, if wrong: the library trusts it without a checkpoint too."""
    if not filesystem.exists(path):
        return []
    try:
        version = int(json.loads(filesystem.cat_file(path))["version"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return [
            LogFile(-1, path, is_checkpoint=True, problem="is named by a file that is not JSON")
        ]
    if any(file.is_checkpoint and file.version == version for file in files):
        return []
    return [LogFile(version, path, is_checkpoint=True, problem="is named but missing")]
