"""Transaction logs as nobody writes them: changed entries, checkpoints and links of a table."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from hypothesis import strategies as st

from tests.damage import entries

NUMBERS = st.sampled_from([10**30, 2**63, -1, 1.5, float("nan"), float("inf"), 0])
WORDS = st.sampled_from(["", "9" * 5000, "x", "\ud800", "\x1b[31m", "%", "null", "true", "date"])
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=5)
ODD = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["path", "add", "date", "type", "x"]), inner)
    ),
    max_leaves=6,
)
PROPERTIES = st.sampled_from(
    ["timereel.schema_version", "timereel.tables", "timereel.mixed_columns",
     "delta.checkpointInterval", "delta.columnMapping.mode", "delta.enableDeletionVectors",
     "delta.dataSkippingStatsColumns", "delta.logRetentionDuration", "delta.appendOnly"]
)  # fmt: skip

Change = Callable[[Path, Path], None]
"""Changes the table in the first folder; the second folder is one that it must not lead to."""


NO_DATA_FILES = (
    "*/*.parquet",
    "**/*.parquet",
    "date=2026-03-01/?.parquet",
    "date=2026-03-01/[a-z]*.parquet",
    "date=2026-03-01/{a,b}.parquet",
    "date=*/x.parquet",
    "%2A/%2A.parquet",
    "date=2026-03-01/%2e%2e/x.parquet",
    "..",
    ".",
    "",
    "date=2026-03-01",
    "date=2026-03-01/",
    "date=2026-03-01/./x.parquet",
    "date=2026-03-01//x.parquet",
    "date=2026-03-01/x.parquet/y.parquet",
    "_delta_log/x.parquet",
    "_delta_log/00000000000000000000.json",
    "~/x.parquet",
    "$HOME/x.parquet",
    "x.parquet::zip",
    "x.parquet?version=1",
    "x.csv",
    "a b.parquet",
    "a'b.parquet",
    'a"b.parquet',
    "a\nb.parquet",
    "a\0b.parquet",
    "\u202ea.parquet",
    "監.parquet",
    "date=٢٠٢٦-03-01/x.parquet",
    "date=tomorrow/x.parquet",
    "x" * 5000 + ".parquet",
)
"""Names that some reader takes for a pattern, a folder, a URL or another file."""


def hostile_paths(table: Path, victim: Path) -> list[str]:
    """Names of a file outside of the table, in every way that a log can name one."""
    file = next(victim.glob("events/date=*/*.parquet"))
    up = os.path.relpath(file, table)
    return [
        up,
        f"date=2026-03-01/../{up}",
        str(file),
        f"file://{file}",
        f"file:{file}",
        up.replace("../", "..%2F"),
        up.replace("../", "%2e%2e/"),
        f"/{up}",
        f"./{up}",
        f"date=2026-03-01//{file}",
        os.path.relpath(victim / "thesis.txt", table),
        os.path.relpath(victim, table),
        "..",
        *NO_DATA_FILES,
    ]


def places(node: object, here: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """Every place in a JSON value."""
    if not isinstance(node, dict | list):
        return []
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    return [p for key in keys for p in ((*here, key), *places(node[key], (*here, key)))]


def _change_values(draw: st.DrawFn, actions: list[dict]) -> None:
    for _ in range(draw(st.integers(1, 3))):
        found = places(actions)
        if not found:
            return
        *way, last = draw(st.sampled_from(found))
        node = actions
        for key in way:
            node = node[key]
        if draw(st.integers(0, 2)):
            node[last] = draw(ODD)
        else:
            del node[last]


def _change_stats(draw: st.DrawFn, actions: list[dict]) -> None:
    for action in actions:
        if isinstance(stats := (action.get("add") or {}).get("stats"), str):
            try:
                parsed = [json.loads(stats)]
            except ValueError:  # another change came first
                continue
            _change_values(draw, parsed)
            text = json.dumps(parsed)[1:-1]
            action["add"]["stats"] = draw(
                st.sampled_from([text, text[: len(text) // 2], "[" * 9999])
            )


def _change_schema(draw: st.DrawFn, actions: list[dict]) -> None:
    for action in actions:
        if isinstance(schema := (action.get("metaData") or {}).get("schemaString"), str):
            parsed = [json.loads(schema)]
            _change_values(draw, parsed)
            action["metaData"]["schemaString"] = json.dumps(parsed)[1:-1]


def _change_properties(draw: st.DrawFn, actions: list[dict]) -> None:
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"][draw(PROPERTIES)] = draw(
                st.sampled_from(
                    ["9" * 5000, "-1", "x", "true", "name", "٣", "", "1e9", "interval x"]
                )
                | SCALARS
            )


def _deletion_vector(draw: st.DrawFn, actions: list[dict], table: Path, victim: Path) -> None:
    vector = {
        "storageType": draw(st.sampled_from(["p", "u", "i", "x"])),
        "pathOrInlineDv": draw(st.sampled_from(hostile_paths(table, victim))),
        "offset": draw(st.sampled_from([0, 1, -1, 2**40])),
        "sizeInBytes": draw(st.sampled_from([36, 0, 2**31 - 1])),
        "cardinality": draw(st.sampled_from([1, 0, 2**60])),
    }
    for action in actions:
        if "add" in action:
            action["add"]["deletionVector"] = vector
        if "protocol" in action and draw(st.booleans()):
            action["protocol"] = _protocol(["deletionVectors"])


def _protocol(features: list[str]) -> dict:
    return {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": features,
        "writerFeatures": features,
    }


def _other_actions(draw: st.DrawFn, actions: list[dict], table: Path, victim: Path) -> None:
    path = draw(st.sampled_from(hostile_paths(table, victim)))
    actions.append(
        draw(
            st.sampled_from(
                [
                    {"cdc": {"path": path, "partitionValues": {}, "size": 1, "dataChange": False}},
                    {"remove": {"path": path, "dataChange": True, "deletionTimestamp": 1}},
                    {"sidecar": {"path": path, "sizeInBytes": 1, "modificationTime": 1}},
                    {"checkpointMetadata": {"version": 1}},
                    {"txn": {"appId": "a", "version": 10**30}},
                    {"domainMetadata": {"domain": "delta.x", "configuration": "[" * 9999}},
                    {"protocol": _protocol(["v2Checkpoint", "klingon"])},
                    {"protocol": {"minReaderVersion": 99, "minWriterVersion": 99}},
                ]
            )
        )
    )


def _hostile_names(draw: st.DrawFn, actions: list[dict], table: Path, victim: Path) -> None:
    path = draw(st.sampled_from(hostile_paths(table, victim)))
    size = next(victim.glob("events/date=*/*.parquet")).stat().st_size
    for action in actions:
        for kind in ("add", "remove"):
            if kind in action:
                action[kind] |= {"path": path, "size": size}


def _loads(text: bytes) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def _dumps(actions: list[dict]) -> bytes:
    return "\n".join(map(json.dumps, actions)).encode()


def _next(table: Path) -> Path:
    newest = entries(table.parent, table.name)[-1]
    return newest.with_name(f"{int(newest.name[:20]) + 1:020}.json")


def _change_entry(
    kind: int, draw: st.DrawFn, actions: list[dict], table: Path, victim: Path
) -> None:
    match kind:
        case 0:
            _change_values(draw, actions)
        case 1:
            _change_stats(draw, actions)
        case 2:
            _change_schema(draw, actions)
        case 3:
            _change_properties(draw, actions)
        case 4:
            _deletion_vector(draw, actions, table, victim)
        case 5:
            _other_actions(draw, actions, table, victim)
        case _:
            _hostile_names(draw, actions, table, victim)


@st.composite
def changed_entries(draw: st.DrawFn) -> Change:
    """An entry with other values, or a new one that is a changed copy of another."""
    number, is_new = draw(st.integers(0, 5)), draw(st.booleans())
    kind = draw(st.integers(0, 6))
    data = draw(st.data())

    def change(table: Path, victim: Path) -> None:
        if not (found := entries(table.parent, table.name)):
            return
        entry = found[number % len(found)]
        try:
            actions = _loads(entry.read_bytes())
        except (ValueError, RecursionError):  # another change came first
            return
        try:
            _change_entry(kind, data.draw, actions, table, victim)
        except (AttributeError, TypeError, KeyError, ValueError, RecursionError):
            return  # another change has left nothing of that kind to change
        (_next(table) if is_new else entry).write_bytes(_dumps(actions))

    return change


@st.composite
def torn_entries(draw: st.DrawFn) -> Change:
    """An entry of which bytes are gone or others, or one with a strange number."""
    number, end = draw(st.integers(0, 5)), draw(st.integers(0, 3000))
    middle = draw(
        st.binary(max_size=6) | st.sampled_from([b"[" * 50_000, b"\0" * 9, b"{}\n", b"5\n"])
    )
    keeps_rest, name = (
        draw(st.booleans()),
        draw(st.sampled_from([None, None, None, 3, 9, 10**19, 2**63])),
    )

    def change(table: Path, _victim: Path) -> None:
        if not (found := entries(table.parent, table.name)):
            return
        entry = found[number % len(found)]
        text = entry.read_bytes()
        text = text[:end] + middle + (text[end:] if keeps_rest else b"")
        if name is not None:
            entry = entry.with_name(f"{name:020}.json")
        entry.write_bytes(text)

    return change


HINT_KEYS = ("version", "size", "parts", "checkpointSchema", "v2Checkpoint")


@st.composite
def changed_checkpoints(draw: st.DrawFn) -> Change:
    """A checkpoint that names other files, is torn, or is another file; and odd hints."""
    kind, data = draw(st.integers(0, 5)), draw(st.data())

    def change(table: Path, victim: Path) -> None:
        draw = data.draw
        try:
            made = DeltaTable(table)
            made.create_checkpoint()
        except (DeltaError, OSError):  # another change came first
            return
        log = table / "_delta_log"
        path = log / f"{made.version():020}.checkpoint.parquet"
        hint = log / "_last_checkpoint"
        if draw(st.booleans()):
            for entry in entries(table.parent, table.name):
                entry.unlink()
        match kind:
            case 0:
                _checkpoint_naming(path, draw(st.sampled_from(hostile_paths(table, victim))))
            case 1:
                content = path.read_bytes()
                at = draw(st.integers(0, len(content)))
                path.write_bytes(content[:at] + draw(st.binary(max_size=4)) + content[at:][1:])
            case 2:
                shutil.copyfile(next(table.rglob("date=*/*.parquet"), path), path.with_suffix(".x"))
                path.with_suffix(".x").rename(path)
            case 3:
                hint.write_text(json.dumps(draw(ODD)))
            case 4:
                told = draw(st.dictionaries(st.sampled_from(HINT_KEYS), ODD, min_size=1))
                hint.write_text(json.dumps({"version": made.version(), "size": 4} | told))
            case _:
                sidecar = {"path": draw(st.sampled_from(hostile_paths(table, victim)))}
                sidecar |= {"sizeInBytes": 1, "modificationTime": 1, "tags": None}
                actions = [
                    {"checkpointMetadata": {"version": made.version()}},
                    {"sidecar": sidecar},
                ]
                name = "80a083e8-7026-4e79-81be-64bd76c43a11"
                (log / f"{made.version():020}.checkpoint.{name}.json").write_bytes(_dumps(actions))
                path.unlink()

    return change


def _checkpoint_naming(path: Path, name: str) -> None:
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows:
        for kind in ("add", "remove"):
            if row.get(kind):
                row[kind]["path"] = name
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


@st.composite
def links(draw: st.DrawFn) -> Change:
    """A file or folder of the table that is a link to the same of somebody else's."""
    number, beside = draw(st.integers(0, 50)), draw(st.booleans())

    def change(table: Path, victim: Path) -> None:
        paths = [path for path in (table, *sorted(table.rglob("*"))) if not path.is_symlink()]
        if not paths:
            return
        path = paths[number % len(paths)]
        target = victim / "events" / path.relative_to(table)
        if not target.exists():
            target = next(victim.glob("events/date=*/*.parquet"))
            target = target.parent if path.is_dir() else target
        if beside and not os.path.lexists(table / "more"):
            (table / "more").symlink_to(victim)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to(target)

    return change


CHANGES = st.tuples(
    st.lists(
        st.one_of(changed_entries(), changed_entries(), torn_entries(), changed_checkpoints()),
        max_size=2,
    ),
    # Last, as the other changes would be made through the link.
    st.lists(links(), max_size=1),
).map(lambda parts: [*parts[0], *parts[1]])
