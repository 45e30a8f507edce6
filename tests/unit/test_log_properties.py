"""A log that came from somebody else may say of its table what makes a write a bug of a library."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

import pipeline.index as pi
from pipeline.errors import IndexDamagedError
from pipeline.flow.driver.rederive import derive
from pipeline.index.check import check
from pipeline.index.maintain import compact
from pipeline.index.repair import repair
from tests.index_rows import at, event, rows, video


@pytest.fixture
def store(tmp_path):
    writer = pi.Writer(tmp_path / "index")
    for name in ("v1", "v2"):
        made = event(f"e{name}", at(1), at(2), video_id=name)
        writer.finish_videos(rows("videos", video(name)), rows("events", made))
    return writer.store


def log(store):
    return Path(store.table_uri("events"), "_delta_log")


def say(store, configuration):
    """Add an entry that changes the properties of ``events``."""
    entries = sorted(log(store).glob("*.json"))
    actions = [json.loads(line) for line in entries[0].read_text().splitlines()]
    [about] = [action["metaData"] for action in actions if "metaData" in action]
    changed = about | {"configuration": configuration}
    path = entries[-1].with_name(f"{len(entries):020}.json")
    path.write_text(json.dumps({"metaData": changed}))


FORBIDS = {
    "delta.appendOnly": "forbids timereel to write",
    "delta.constraints.mine": "forbids timereel to write",
}
USES = {
    "events": lambda store: pi.open(store.root).events(),
    "compact": lambda store: compact(store, min_age=timedelta(0)),
    "write": lambda store: pi.Writer(store.root).finish_videos(rows("videos", video("v3"))),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", FORBIDS)
def test_a_table_that_may_not_be_written_to_is_damage_for_all_and_mended(store, name, use):
    before = pi.open(store.root).events().num_rows
    say(store, {name: "true"})
    with pytest.raises(IndexDamagedError, match=FORBIDS[name]):
        USES[use](store)
    assert FORBIDS[name] in " ".join(map(str, check(store)))
    repair(store, derive)
    assert check(store) == []
    assert pi.open(store.root).events().num_rows == before
    USES[use](store)


@pytest.mark.parametrize("configuration", [5, "a", [5], [["a"]], [{}]])
def test_properties_that_are_none_are_damage_and_no_bug(store, configuration):
    say(store, configuration)
    with pytest.raises(IndexDamagedError, match="events: log entry"):
        pi.open(store.root).events()


def test_a_checkpoint_of_such_a_table_is_refused(store):
    table = store.handle("events")
    table.alter.set_table_properties({"delta.appendOnly": "true"})
    table.create_checkpoint()
    assert f"checkpoint {table.version()} forbids timereel to write" in " ".join(
        map(str, check(store))
    )
    with pytest.raises(IndexDamagedError, match="forbids timereel to write"):
        pi.open(store.root).events()
