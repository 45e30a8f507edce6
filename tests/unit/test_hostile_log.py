"""A log that somebody else has written names no file outside of its table, whatever is done."""

import glob
import json
import os
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, unquote

import hypothesis.strategies as st
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given

import pipeline.index as pi
from pipeline.errors import IndexDamagedError, IndexFormatError
from pipeline.flow.driver.rederive import derive
from pipeline.index import log_gate
from pipeline.index.by_date import rows_by_date
from pipeline.index.check import check
from pipeline.index.erase import Scope, erase
from pipeline.index.log_entries import names_data_file
from pipeline.index.maintain import compact, vacuum
from pipeline.index.repair import repair
from pipeline.index.sidecars import pictures_folder, rollup_folder, search_folder
from tests.hostile_log import NO_DATA_FILES, hostile_paths
from tests.index_rows import at, event, rows, video
from tests.watched import watched

PRIVATE = "nobody who asks this index may read this"


@pytest.fixture
def store(tmp_path):
    """An index, beside another one that is none of its readers' business."""
    for name in ("index", "victim"):
        writer = pi.Writer(tmp_path / name)
        text = PRIVATE if name == "victim" else "a car"
        writer.finish_videos(
            rows("videos", video()), rows("events", event(f"e-{name}", at(1), at(2), text=text))
        )
    return pi.Writer(tmp_path / "index").store


def doctor(store, path, size):
    """Add a log entry to ``events`` that names ``path``."""
    log = Path(store.table_uri("events"), "_delta_log")
    newest = max(log.glob("*.json"))
    lines = [
        line for entry in sorted(log.glob("*.json")) for line in entry.read_text().splitlines()
    ]
    actions = [json.loads(line) for line in lines]
    [*_, added] = [action for action in actions if "add" in action]
    added["add"] |= {"path": path, "size": size}
    if path.startswith("date="):
        added["add"]["partitionValues"] = {"date": path[5:15]}
    info = {"commitInfo": {"timestamp": 1, "operation": "WRITE"}}
    entry = log / f"{int(newest.stem) + 1:020}.json"
    entry.write_text("\n".join(json.dumps(action) for action in (info, added)) + "\n")


def victims_file(store):
    [path] = Path(store.root).parent.glob("victim/events/date=*/*.parquet")
    return path


def linked(store, part):
    """Put a link in the place of a part of ``events``; it leads to that part of the other index."""
    table, other = Path(store.table_uri("events")), Path(store.root).with_name("victim") / "events"
    path = next(iter(sorted(table.glob(part)))) if part else table
    target = next(iter(sorted(other.glob(part)))) if part else other
    path.rename(path.with_name("former"))
    path.symlink_to(target)


WAYS = {
    "up": os.path.relpath,
    "up after down": lambda path, table: f"date=2026-03-14/../{os.path.relpath(path, table)}",
    "absolute": lambda path, _: str(path),
    "file url": lambda path, _: f"file://{path}",
    "percent-encoded": lambda path, table: os.path.relpath(path, table).replace("../", "..%2F"),
    "other server": lambda *_: "http://127.0.0.1:9/evil.parquet",
}
USES = {
    "events": lambda store: pi.open(store.root).events(),
    "files": lambda store: pi.open(store.root).files("events"),
    "sql": lambda store: pi.open(store.root).sql("SELECT * FROM events"),
    "events of a camera": lambda store: pi.open(store.root).events(camera="cam1"),
    "compact": lambda store: compact(store, min_age=timedelta(0)),
    "erase": lambda store: erase(store, Scope.parse(camera="*")),
}
ALL_USES = USES | {
    "write": lambda store: pi.Writer(store.root).finish_videos(
        rows("videos", video("v2")), rows("events", event("e2", at(3), at(4), video_id="v2"))
    ),
    "vacuum": lambda store: vacuum(store, retention=timedelta(0)),
    "export": lambda store: list(rows_by_date(pi.open(store.root), "events")),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("way", WAYS)
def test_a_file_outside_of_the_table_is_refused_by_whoever_uses_it(store, way, use):
    path = victims_file(store)
    doctor(store, WAYS[way](path, store.table_uri("events")), path.stat().st_size)
    with pytest.raises(IndexDamagedError, match="no file of the table") as caught:
        USES[use](store)
    assert PRIVATE not in str(caught.value)
    assert path.exists()


@pytest.mark.parametrize("way", WAYS)
def test_check_names_the_entry_and_what_it_names(store, way):
    path = victims_file(store)
    doctor(store, WAYS[way](path, store.table_uri("events")), path.stat().st_size)
    [finding] = [f for f in check(store) if f.table == "events" and f.kind == "log"]
    assert "names what is no file of the table" in str(finding)
    assert path.exists()


def test_sql_reads_no_text_file_that_a_log_names(store):
    doctor(store, "../../../../../../../../../etc/passwd", 1)
    path = f"{store.table_uri('events')}/../../../../../../../../../etc/passwd"
    with pytest.raises(IndexDamagedError):
        pi.open(store.root).sql(f"SELECT content FROM read_text('{path}'), events")  # noqa: S608


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_data_file_that_is_a_link_or_lies_behind_one_is_refused(store, what):
    path, table = victims_file(store), Path(store.table_uri("events"))
    (table / "date=2026-03-15").mkdir()
    link = table / ("date=2026-03-15/x.parquet" if what == "file" else "date=2026-03-16")
    link.symlink_to(path if what == "file" else path.parent)
    name = "date=2026-03-15/x.parquet" if what == "file" else f"date=2026-03-16/{path.name}"
    doctor(store, name, path.stat().st_size)
    with pytest.raises(IndexDamagedError, match="no file of the table"):
        pi.open(store.root).events()


@pytest.mark.parametrize("use", ALL_USES)
@pytest.mark.parametrize("part", ["", "_delta_log", "_delta_log/*1.json"])
def test_a_table_or_a_log_that_is_a_link_is_refused_and_not_even_listed(store, part, use):
    linked(store, part)
    with watched(Path(store.root).with_name("victim")) as outside:
        with pytest.raises(IndexDamagedError, match="symbolic link"):
            ALL_USES[use](store)
        assert outside.taken() == []


@pytest.mark.parametrize("part", ["", "_delta_log", "_delta_log/*1.json", "date=*"])
def test_a_link_is_found_by_check_and_moved_away_by_repair(store, part):
    linked(store, part)
    with watched(Path(store.root).with_name("victim")) as outside:
        assert "symbolic link" in " ".join(map(str, check(store)))
        repair(store, derive)
        assert check(store) == []
        assert outside.taken() == []


def test_a_checkpoint_that_names_a_file_outside_of_the_table_is_refused_and_left_out(store):
    table = store.handle("events")
    table.create_checkpoint()
    path = Path(store.table_uri("events"), f"_delta_log/{table.version():020}.checkpoint.parquet")
    actions = pq.read_table(path)
    changed = actions.to_pylist()
    for action in changed:
        if action["add"]:
            action["add"]["path"] = os.path.relpath(victims_file(store), store.table_uri("events"))
    pq.write_table(pa.Table.from_pylist(changed, schema=actions.schema), path)
    with watched(Path(store.root).with_name("victim")) as outside:
        with pytest.raises(IndexDamagedError, match="no file of the table"):
            pi.open(store.root).events()
        assert "no file of the table" in " ".join(map(str, check(store)))
        repair(store, derive)
        assert outside.taken() == []
    assert check(store) == []


def test_a_checkpoint_with_a_name_that_is_no_text_is_damage_and_no_bug(store):
    store.handle("events").create_checkpoint()
    path = max(Path(store.table_uri("events"), "_delta_log").glob("*.checkpoint.parquet"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"date=", b"\x80ate="))
    with pytest.raises(IndexDamagedError, match="events: checkpoint"):
        pi.open(store.root).events()
    assert any(f.table == "events" and f.kind == "log" for f in check(store))


def test_an_entry_with_a_giant_number_is_damage_like_any_other(store):
    Path(store.table_uri("events"), f"_delta_log/{10**18:020}.json").write_text("{}")
    found = [str(finding) for finding in check(store)]
    assert len(found) < 5
    repair(store, derive)
    assert check(store) == []


def with_vector(store, where):
    """Give a file of ``events`` a deletion vector in a file of the other index; return that."""
    table = Path(store.table_uri("events"))
    target = victims_file(store)
    vector = {"storageType": "p", "pathOrInlineDv": f"file://{target}", "offset": 0}
    vector |= {"sizeInBytes": 36, "cardinality": 1}
    if where == "checkpoint":
        handle = store.handle("events")
        handle.create_checkpoint()
        path = table / f"_delta_log/{handle.version():020}.checkpoint.parquet"
        actions = pq.read_table(path)
        changed = actions.to_pylist()
        for action in changed:
            if action["add"]:
                action["add"]["deletionVector"] = vector
        pq.write_table(pa.Table.from_pylist(changed, schema=actions.schema), path)
    else:
        newest = max((table / "_delta_log").glob("*.json"))
        [*_, added] = map(json.loads, newest.read_text().splitlines())
        added["add"]["deletionVector"] = vector
        text = json.dumps(added)
        if where == "entry with a key twice":
            text = f'{text[:-1]}, "add": null}}'
        elif where == "entry with an escaped key":
            text = text.replace("deletionVector", "deletion\\u0056ector")
        elif where == "compacted entries":
            newest = newest.with_name(f"{0:020}.{int(newest.stem):020}.compacted.json")
        newest.write_text(text)
    return target


VECTORS = ("entry", "entry with an escaped key", "entry with a key twice", "checkpoint")


@pytest.mark.parametrize("where", [*VECTORS, "compacted entries"])
def test_a_log_with_a_deletion_vector_is_refused_by_all_and_what_it_names_is_not_opened(
    store, where
):
    reader = pi.open(store.root)
    reader.events()  # so it already follows the table
    with_vector(store, where)
    with watched(Path(store.root).with_name("victim")) as outside:
        for name, use in ALL_USES.items():
            with pytest.raises(
                IndexDamagedError, match=r"events: (log entry|checkpoint)"
            ) as caught:
                use(store)
            assert PRIVATE not in str(caught.value), name
            assert outside.taken() == [], name
        if where.startswith("entry"):
            newest = max(Path(store.table_uri("events"), "_delta_log").glob("*.json"))
            newest.rename(newest.with_name(f"{int(newest.stem) + 1:020}.json"))
            with pytest.raises(IndexDamagedError):
                reader.events()
        assert outside.taken() == []
        assert any(f.table == "events" and f.kind == "log" for f in check(store))
        repair(store, derive)
        assert outside.taken() == []
    assert check(store) == []


def test_a_checkpoint_that_timereel_wrote_is_intact_also_after_a_killed_writer(store):
    log = Path(store.table_uri("events"), "_delta_log")
    store.handle("events").create_checkpoint()
    newest = max(log.glob("*.checkpoint.parquet"))
    newest.with_name(f"{newest.name}#1").write_bytes(newest.read_bytes()[:50])
    assert pi.open(store.root).events().num_rows == 1
    assert [finding for finding in check(store) if finding.kind == "log"] == []


def test_a_log_is_read_once_per_process_and_again_only_where_it_is_new(store, monkeypatch):
    read = []
    original = log_gate.file_problem
    monkeypatch.setattr(
        log_gate, "file_problem", lambda name, file: read.append(name) or original(name, file)
    )
    store.check_log("events")
    read.clear()
    store.check_log("events")
    assert read == []
    newest = max(Path(store.table_uri("events"), "_delta_log").glob("*.json"))
    newest.with_name(f"{int(newest.stem) + 1:020}.json").write_text('{"commitInfo": {}}')
    store.check_log("events")
    assert read == [f"{int(newest.stem) + 1:020}.json"]


@pytest.mark.parametrize("part", ["_delta_log/*1.json", "date=*/*.parquet"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_nobody_waits_for_its_writer(store, part):
    path = min(Path(store.table_uri("events")).glob(part))
    path.unlink()
    os.mkfifo(path)
    for use in ALL_USES.values():
        with pytest.raises(IndexDamagedError):
            use(store)
    assert any("special file" in str(finding) for finding in check(store))


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_hint_at_a_checkpoint_that_is_a_link_or_a_pipe_is_refused_unread(store, kind):
    hint = Path(store.table_uri("events"), "_delta_log", "_last_checkpoint")
    hint.symlink_to(victims_file(store)) if kind == "link" else os.mkfifo(hint)
    with watched(Path(store.root).with_name("victim")) as outside:
        for use in ALL_USES.values():
            with pytest.raises(IndexDamagedError, match="_last_checkpoint is a symbolic link or"):
                use(store)
        assert "_last_checkpoint is a symbolic link or" in " ".join(map(str, check(store)))
        assert outside.taken() == []


def test_a_table_with_features_that_timereel_does_not_read_is_refused(store):
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    action = {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}}
    newest = max(Path(store.table_uri("events"), "_delta_log").glob("*.json"))
    newest.with_name(f"{int(newest.stem) + 1:020}.json").write_text(json.dumps(action))
    with pytest.raises(IndexFormatError, match="another program has given events features"):
        pi.open(store.root).events()


def test_vacuum_and_erase_leave_what_lies_behind_a_link(store, tmp_path):
    precious = tmp_path / "precious"
    (precious / "sub").mkdir(parents=True)
    for name in ("thesis.txt", "sub/movie.parquet"):
        (precious / name).write_text("x")
    Path(store.table_uri("events"), "more").symlink_to(precious)
    Path(store.root, "_damaged").symlink_to(precious)
    with pytest.raises(IndexDamagedError, match="events/more is a symbolic link"):
        vacuum(store, retention=timedelta(0))
    repair(store, derive)
    vacuum(store, retention=timedelta(0))
    Path(store.root, "search").symlink_to(precious)
    erase(store, Scope.parse(camera="*"))
    vacuum(store, retention=timedelta(0))
    assert sorted(str(p.relative_to(precious)) for p in precious.rglob("*.*")) == [
        "sub/movie.parquet",
        "thesis.txt",
    ]
    assert not os.path.lexists(f"{store.root}/search")
    assert not os.path.lexists(f"{store.root}/_damaged")


@pytest.mark.parametrize("folder", [search_folder, rollup_folder, pictures_folder])
@pytest.mark.parametrize("kind", ["link", "link to a folder", "pipe"])
def test_a_sidecar_that_came_with_links_or_pipes_is_not_used(
    store, tmp_path, monkeypatch, folder, kind
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    own = folder(store)
    assert own.is_relative_to(store.root)
    (own / "v1").mkdir(parents=True)
    odd = own / "v1" / "files.tmp"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to(tmp_path if "folder" in kind else victims_file(store))
    assert folder(store).is_relative_to(tmp_path / "cache")


def test_what_is_no_name_of_a_data_file_is_refused_by_every_reader_and_repaired(store):
    other = victims_file(store)
    table = Path(store.table_uri("events"))
    names = [*NO_DATA_FILES, *hostile_paths(table, other.parents[2])]
    for name in names:
        doctor(store, name, 1)
        for use in (USES["events"], USES["files"], ALL_USES["vacuum"]):
            with pytest.raises(IndexDamagedError, match="no file of the table"):
                use(store)
        max((table / "_delta_log").glob("*.json")).unlink()
    assert pi.open(store.root).events().num_rows == 1
    doctor(store, next(name for name in names if "*" in name), 1)
    repair(store, derive)
    assert check(store) == []


@pytest.mark.parametrize("told", [None, {}, {"date": None}, {"date": "2026-03-15"}, [["date"]], 5])
def test_a_file_of_another_date_than_its_folder_is_refused_by_every_reader(store, told):
    for entry in sorted((Path(store.table_uri("events")) / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in entry.read_text().splitlines()]
        for action in actions:
            if "add" in action:
                action["add"]["partitionValues"] = told
        entry.write_text("\n".join(map(json.dumps, actions)))
    for use in (USES["events"], USES["files"], ALL_USES["vacuum"]):
        with pytest.raises(IndexDamagedError, match="another date than its folder"):
            use(store)
    repair(store, derive)
    assert check(store) == []


@given(
    st.lists(
        st.sampled_from(["..", "/", "date=2026-03-14/", "%2e", "%2F", "*", "?", "[a]", ":", "x"])
        | st.characters(),
        min_size=1,
    )
)
def test_a_name_that_a_log_may_name_is_that_of_one_file_for_every_reader(parts):
    name = "".join(parts) + ".parquet"
    if names_data_file(name):
        assert re.sub(r"^date=[0-9-]{10}/", "", name).isascii()
        assert os.path.normpath(f"/table/{name}") == f"/table/{name}" == unquote(f"/table/{name}")
        assert glob.escape(name) == name == quote(name, safe="=/")
