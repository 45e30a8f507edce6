"""What one speaker says is erased: from every table, for good, and nobody else's words go."""

import shutil
from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest

import pipeline.index as pi
from pipeline.errors import ConfigError
from pipeline.flow.driver.rederive import derive
from pipeline.index.check import check
from pipeline.index.erase import apply_orders, erase
from pipeline.index.erase_speaker import WARNING
from pipeline.index.filters import Where
from pipeline.index.maintain import vacuum
from pipeline.index.repair import repair
from pipeline.index.replace import replace
from pipeline.index.scope import Scope
from pipeline.index.search import by_words
from pipeline.index.vectors import embed_missing
from pipeline.tables.schema import TABLES
from tests.meetings import CUES, ray_left_out, run, told, write_meetings
from tests.sounds import beeps, make_sound
from tests.state.scripted import KilledError, at_write, kill
from tests.unit.test_index_erase import everything_stored

ADA = Scope.parse(speaker="Ada")
GRACE = [("room", 2.0, "Grace", "价格不变。"), ("call", 2.0, "Grace", "价格不变。")]


@pytest.fixture(autouse=True)
def _here():
    with ray_left_out():
        yield


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """A folder with the meetings and their index, to copy."""
    folder = tmp_path_factory.mktemp("indexed")
    with ray_left_out():
        run(write_meetings(folder / "meetings"), folder / "index")
    return folder


@pytest.fixture
def meetings(indexed):
    return indexed / "meetings"


@pytest.fixture
def index(indexed, tmp_path):
    shutil.copytree(indexed / "index", tmp_path / "index")
    return pi.open(tmp_path / "index")


def answers(index):
    return str(index.select_all("windows", Where()).to_pylist())


def orders(index):
    rows = index.select_all("erasures", Where(), order="ORDER BY asked_at").to_pylist()
    return [(row["state"], row["speakers"], row["reason"]) for row in rows]


def test_the_words_are_gone_from_every_table_and_after_vacuum_from_every_byte(index, cli, tmp_path):
    where = tmp_path / "index"
    embed_missing(index, lambda texts: np.ones((len(texts), 2), np.float32), "m")
    assert cli.run("search", "40", "--index", where, "--format", "jsonl")
    assert "40 euros" in everything_stored(where)
    before = index.coverage(kind="heard").to_pylist()
    receipt = cli.json("erase", "--index", where, "--speaker", "Ada")
    assert receipt["rows"] == {"windows": 2, "utterances": 2, "vectors": 2, "summaries": 0}
    assert {(one["camera"], one["whole"]) for one in receipt["videos"]} == {
        ("room", False), ("call", False)
    }  # fmt: skip
    assert receipt["sidecars"]["search"] == 1
    index = pi.open(where)
    assert told(index) == GRACE
    assert index.coverage(kind="heard").to_pylist() == before
    videos = index.videos(task="speech").to_pylist()
    assert [(row["num_utterances"], row["warnings"][-1]) for row in videos] == [(1, WARNING)] * 2
    vacuum(index.store, retention=timedelta(0))
    stored = everything_stored(where)
    assert "40 euros" not in stored
    assert "价格不变" in stored
    assert check(index.store) == []


def test_a_speaker_is_asked_for_by_name_in_queries_and_searches(index):
    assert told(index, speaker="Grace") == GRACE
    found = by_words(index, "40", speaker="Ada", camera="room").to_pylist()
    assert [(row["table"], row["label"]) for row in found] == [("utterances", "Ada")]
    assert by_words(index, "40", speaker="Grace").num_rows == 0
    with pytest.raises(ConfigError, match="events have no speaker"):
        index.events(speaker="Ada")


def test_only_the_named_videos_and_cameras_lose_them(index):
    erase(index.store, Scope.parse(camera="call", speaker="Ada"))
    index = pi.open(index.store.root)
    assert [who for _, _, who, _ in told(index, camera="room")] == ["Ada", "Grace"]
    assert told(index, camera="call") == GRACE[1:]


def test_a_range_with_a_speaker_and_a_speaker_whom_nobody_knows_erase_nothing(index):
    with pytest.raises(ConfigError, match="no range"):
        Scope.parse(speaker="Ada", start="2026-03-01")
    assert erase(index.store, Scope.parse(speaker="ada"))["rows"] == {
        "windows": 0, "utterances": 0, "vectors": 0, "summaries": 0
    }  # fmt: skip
    assert orders(pi.open(index.store.root)) == []


def test_whoever_listens_again_brings_no_word_back(index, meetings):
    erase(index.store, ADA)
    _, heard = run(meetings, index.store.root, "clock.offset_s=5")
    assert heard.videos_done == 2
    index = pi.open(index.store.root)
    assert [row[2:] for row in told(index)] == [row[2:] for row in GRACE]
    assert "40 euros" not in answers(index)
    assert orders(index) == [("standing", ["Ada"], "command")]
    assert check(index.store) == []


def test_a_recording_that_comes_later_keeps_its_words(index, tmp_path):
    erase(index.store, ADA)
    hall = tmp_path / "hall_20260302T080000Z.m4a"
    make_sound(hall, [(beeps([2.0], 4.0), 0.0)], codec="aac")
    hall.with_suffix(".vtt").write_text(CUES, encoding="utf-8")
    run(hall, index.store.root)
    assert [who for _, _, who, _ in told(pi.open(index.store.root), camera="hall")] == [
        "Ada", "Grace"
    ]  # fmt: skip


def test_killed_at_any_commit_the_next_command_completes_it(indexed, tmp_path):
    for number in range(1, 9):
        copy = tmp_path / f"killed {number}"
        shutil.copytree(indexed / "index", copy)
        store = pi.Writer(copy).store
        with suppress(KilledError), at_write(number, kill, before=True):
            erase(store, ADA)
            break
        if number > 1:  # from its first commit on the order stands
            apply_orders(pi.open(copy))
            assert told(pi.open(copy)) == GRACE
            assert "40 euros" not in answers(pi.open(copy))
            assert check(store) == []
    assert number > 4


def test_a_repair_from_windows_brings_no_word_back(index):
    erase(index.store, ADA)
    replace(index.store, "utterances", TABLES["utterances"].empty_table(), "true")
    repair(index.store, derive)
    assert told(pi.open(index.store.root)) == GRACE
