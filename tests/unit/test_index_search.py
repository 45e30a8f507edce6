"""Search: what is found, how it is ranked and shown, and that it is never older than the tables."""

import shutil

import pytest

import pipeline.index as pi
from pipeline.errors import ConfigError
from pipeline.index import duck, hits, maintain
from pipeline.index.filters import Where
from pipeline.index.ngram_index import Sidecar
from pipeline.index.search import by_words, searched_files
from pipeline.index.store import Store
from pipeline.timebase import datetime_to_ns
from tests.golden import make
from tests.index_rows import US, at, event, rows, video

GOLDEN = sorted(make.FOLDER.parent.glob("v*"))


def segment(segment_id, start, end, text, **given):
    return {
        "segment_id": segment_id,
        "video_id": "v1",
        "level": "window",
        "start": start,
        "end": end,
        "text": text,
        **given,
    }


def written(folder, *events, segments=(), **of_video):
    writer = pi.Writer(folder)
    writer.finish_videos(
        rows("videos", video(**of_video)), rows("events", *events), rows("segments", *segments)
    )
    return writer


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return written(
        tmp_path_factory.mktemp("search"),
        event("label", at(100), at(200), label="price_mentioned", text="一个人在门口放下包裹"),
        event("often", at(10), at(20), label="slide", text="The PRICE list: price by price",
              fields=[("on_screen_text", "价格 9 元 (50% off)")]),
        event("other", at(300), at(301), label="dog", text="a dog runs", camera="cam2"),
        segments=[
            segment("hello", at(0), at(30), "somebody says hello"),
            segment("talk", at(30), at(60), "so " * 99 + "they talk about prices" + " on" * 99),
            segment("all", at(0), at(600), "price price price", level="video"),
        ],
    ).index  # fmt: skip


def ids(table):
    return table["id"].to_pylist()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("price", ["often", "label", "talk"]),  # more often, then in a shorter text
        ("PRICE", ["often", "label", "talk"]),
        ("价格", ["often"]),
        ("包", ["label"]),
        ("price 包裹", ["label"]),  # all of the words
        ('"by price"', ["often"]),
        ('"price by dog"', []),
        ("(50%", ["often"]),
        ("rices", ["talk"]),
        ("nothing", []),
    ],
)
def test_words_are_found_in_any_language_and_case_the_best_first(index, asked, found):
    assert ids(by_words(index, asked)) == found


def test_a_moment_says_when_where_and_what_was_matched(index):
    moment = by_words(index, "price").to_pylist()[0]
    assert (moment["camera"], moment["start"], moment["end"]) == ("cam1", at(10), at(20))
    assert moment["excerpt"] == (
        "slide | The **PRICE** list: **price** by **price** | 价格 9 元 (50% off)"
    )
    assert (moment["table"], moment["label"]) == ("events", "slide")
    [long] = by_words(index, "price", table="segments").to_pylist()
    assert long["excerpt"].startswith("\u2026")
    assert long["excerpt"].endswith("\u2026")
    assert "they talk about **price**s" in long["excerpt"]


def test_search_keeps_to_range_camera_video_table_order_and_limit(index):
    assert ids(by_words(index, "price", at(20), at(100))) == ["talk"]
    assert ids(by_words(index, "price", at(20) - US, at(100) + US)) == ["often", "label", "talk"]
    assert ids(by_words(index, "price", camera="cam2")) == []
    assert ids(by_words(index, "dog", camera="c*2")) == ["other"]
    assert ids(by_words(index, "price", video="v2")) == []
    assert ids(by_words(index, "price", table="events")) == ["often", "label"]
    assert ids(by_words(index, "price", order_by="time")) == ["often", "talk", "label"]
    assert ids(by_words(index, "price", limit=1)) == ["often"]
    assert ids(by_words(index, "price", limit=1, table="segments")) == ["talk"]
    assert ids(by_words(index, "price", limit=0)) == []
    for limit in (-1, 2**31, 10**30):
        with pytest.raises(ConfigError, match="limit"):
            by_words(index, "price", limit=limit)


def test_no_words_are_refused(index):
    with pytest.raises(ConfigError, match="no word"):
        by_words(index, ' "" ')


def test_search_is_as_new_as_the_tables_and_rows_that_are_gone_never_come_up(tmp_path):
    writer = written(tmp_path, event("a", at(1), at(2), text="red car"))
    index = writer.index
    assert ids(by_words(index, "car")) == ["a"]
    writer.finish_videos(
        rows("videos", video()), rows("events", event("a", at(1), at(2), text="dog"))
    )
    assert ids(by_words(index, "car")) == []
    assert ids(by_words(index, "dog")) == ["a"]
    writer.finish_videos(
        rows("videos", video("v2")),
        rows("events", event("b", at(3), at(4), text="dogs", video_id="v2")),
    )
    maintain.compact(index.store, min_age=maintain.MIN_AGE * 0)
    assert sorted(ids(by_words(index, "dog"))) == ["a", "b"]
    writer.finish_videos(rows("videos", video("v2")))
    assert ids(by_words(index, "dog")) == ["a"]


def test_a_sidecar_that_is_wrong_gives_no_wrong_row(tmp_path):
    index = written(tmp_path, event("a", at(1), at(2), text="red car")).index
    with duck.connect(index.store) as connection:
        words = hits.Words.parse(connection, "dog")
        key = connection.sql(
            f"SELECT {hits.ROW_KEY['events']} FROM {index.source('events')}"  # noqa: S608
        ).fetchall()[0][0]
        starts_us = [datetime_to_ns(at(1)) // 1000] * 2
        ranked = hits.Hits(hits.ROW_KEY, [key, 12345], [1.0, 2.0], starts_us)
        sources = {"events": (index.source("events"), Where())}
        assert hits.rows(connection, sources, ranked, words).num_rows == 0
        words = hits.Words.parse(connection, "car")
        assert ids(hits.rows(connection, sources, ranked, words)) == ["a"]


def test_a_sidecar_that_was_killed_or_removed_is_made_whole(tmp_path):
    index = written(tmp_path, event("a", at(1), at(2), text="red car")).index
    sidecar = Sidecar.of(index.store)
    assert sidecar.folder == tmp_path / "search"
    assert ids(by_words(index, "car")) == ["a"]
    next(sidecar.folder.glob("*/files.json")).unlink()  # killed before it was written
    assert ids(by_words(index, "car")) == ["a"]  # once
    sidecar.remove()
    assert ids(by_words(index, "car")) == ["a"]
    with duck.connect(index.store) as connection:
        assert sidecar.refresh(index.store, connection, searched_files(index)) == 0


def write(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def of_segment(change):
    """Changes one file of each kind that tantivy has written."""

    def changed(folder):
        for path in folder.iterdir():
            if path.suffix in {".idx", ".term", ".fast", ".pos"}:
                path.write_bytes(change(path.read_bytes()))

    return changed


FOREIGN = {
    "a list of lists": write("files.json", b"[[1]]"),
    "a list of numbers": write("files.json", b"[5]"),
    "no list": write("files.json", b"5"),
    "brackets": write("files.json", b"[" * 100_000),
    "half a character": write("files.json", b'["\\ud800"]'),
    "no JSON": write("meta.json", b"{"),
    "another schema": write("meta.json", b'{"index_settings": {}, "segments": [], "schema": [],'
                            b' "opstamp": 1}'),
    "damaged": of_segment(lambda data: data[:-9] + bytes(9)),
    "cut": of_segment(lambda data: data[:7]),
    "gone": lambda folder: [path.unlink() for path in folder.glob("*.term")],
}  # fmt: skip


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_a_sidecar_of_somebody_else_is_made_again_where_it_is_none(index, tmp_path, change):
    assert ids(by_words(index, "price")) == ["often", "label", "talk"]
    index = pi.open(shutil.copytree(index.store.root, tmp_path / "copy"))
    change(next(Sidecar.of(index.store).folder.glob("v*")))
    for _ in range(2):
        assert sorted(ids(by_words(index, "price"))) == ["label", "often", "talk"]


def test_a_copy_of_an_index_finds_each_row_once(index, tmp_path):
    assert ids(by_words(index, "price")) == ["often", "label", "talk"]
    index = pi.open(shutil.copytree(index.store.root, tmp_path / "copy"))
    next(Sidecar.of(index.store).folder.glob("*/files.json")).unlink()
    assert sorted(ids(by_words(index, "price"))) == ["label", "often", "talk"]


def test_where_no_sidecar_can_be_written_search_says_so(index, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    index = pi.open(shutil.copytree(index.store.root, tmp_path / "copy"))
    Sidecar.of(index.store).remove()
    for way in (tmp_path / "timereel", tmp_path / "copy" / "search"):
        way.write_text("in the way")
    with pytest.raises(ConfigError, match="timereel query --text"):
        by_words(index, "price")


def test_of_an_index_elsewhere_the_sidecar_is_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, two = (Sidecar.of(Store.at(f"s3://bucket/{name}")).folder for name in "ab")
    assert one.is_relative_to(tmp_path)
    assert one != two


def test_an_index_of_any_version_can_be_searched(tmp_path):
    for version in GOLDEN:
        index = pi.open(shutil.copytree(version, tmp_path / version.name))
        assert ids(by_words(index, "bag 一个人")) == ["e1"]


def test_of_kept_generations_the_newest_is_found(tmp_path):
    writer = pi.Writer(tmp_path)
    for number, text in enumerate(("an old red car", "a new red car")):
        by = {"fingerprint": f"f{number}"}
        writer.finish_videos(
            rows("videos", video(indexed_at=at(1000 + number), **by)),
            rows("events", event("a", at(1), at(2), text=text, **by)),
            keep=True,
        )
    assert writer.index.rows("events", fingerprint="all").num_rows == 2
    assert by_words(writer.index, "car")["text"].to_pylist() == ["a new red car"]
