"""Logs that nobody has thought of, through everything that reads one: no bug, nothing outside.

make input-fuzz EXAMPLES=5000
"""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline.index as pi
from pipeline.errors import TimereelError
from pipeline.export.parquet_folder import write_parquet_folder
from pipeline.flow.driver.rederive import derive
from pipeline.index.by_date import rows_by_date
from pipeline.index.check import check
from pipeline.index.erase import Scope, erase
from pipeline.index.maintain import compact, vacuum
from pipeline.index.repair import repair
from pipeline.index.store import Store
from pipeline.processes.memory_limit import memory_limit
from tests.hostile_log import CHANGES
from tests.index_rows import at, event, rows, segment, video, window
from tests.state import examples
from tests.watched import watched

PRIVATE = "nobody who asks this index may read this"
MAX_BYTES = 2**30


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """An index of two cameras, and beside it one that is none of its readers' business."""
    folder = tmp_path_factory.mktemp("base")
    for name, text in (("index", "a car"), ("victim", PRIVATE)):
        writer = pi.Writer(folder / name)
        for number, camera in enumerate(("cam1", "cam2")):
            own = {"video_id": f"v{number}", "camera": camera}
            writer.write_windows(rows("windows", window(f"s{number}", 0, 0, 5, **own)))
            writer.finish_videos(
                rows("videos", video(f"v{number}", camera=camera)),
                rows("events", event(f"{name}{number}", at(1), at(2), text=text, **own)),
                rows("segments", segment(f"g{number}", **own)),
            )
    (folder / "victim" / "thesis.txt").write_text(PRIVATE)
    return folder


USES = {
    "query": lambda store, _: pi.open(store.root).events().to_pylist(),
    "windows": lambda store, _: pi.open(store.root).windows(camera="cam1").to_pylist(),
    "coverage": lambda store, _: pi.open(store.root).coverage().to_pylist(),
    "histogram": lambda store, _: pi.open(store.root).histogram("2026-03-01", "2026-03-02"),
    "files": lambda store, _: pi.open(store.root).files("events"),
    "sql": lambda store, _: pi.open(store.root).sql("SELECT * FROM events").to_pylist(),
    "compact": lambda store, _: compact(store, min_age=timedelta(0)),
    "vacuum": lambda store, _: vacuum(store, retention=timedelta(0)),
    "erase": lambda store, _: erase(store, Scope.parse(camera="cam1")),
    "export": lambda store, target: write_parquet_folder(
        target, rows_by_date(pi.open(store.root), "events"), {}
    ),
    "check": lambda store, _: list(map(str, check(store))),
    "repair": lambda store, _: list(map(str, repair(store, derive))),
    "write": lambda store, _: pi.Writer(store.root).finish_videos(rows("videos", video("v9"))),
}


def test_no_log_ends_a_reader_with_a_bug_or_leads_it_out_of_the_table(base, tmp_path):
    victim = tmp_path / "victim"
    shutil.copytree(base / "victim", victim)
    index = tmp_path / "index"

    with watched(victim) as outside:

        @examples(few=60, steps=1)
        @given(
            changes=CHANGES,
            tables=st.lists(
                st.sampled_from(["events", "videos", "windows"]), min_size=3, max_size=3
            ),
            uses=st.lists(st.sampled_from(sorted(USES)), min_size=1, max_size=3),
        )
        def fuzzed(changes, tables, uses):
            shutil.rmtree(index, ignore_errors=True)
            shutil.copytree(base / "index", index)
            for change, table in zip(changes, tables, strict=False):
                change(index / table, victim)
            outside.taken()
            store = Store.at(index)
            for use in uses:
                told = answer(use, store, tmp_path / "export")
                assert PRIVATE not in told
                assert outside.taken() == []

        fuzzed()


def answer(use: str, store, target: Path) -> str:
    try:
        with memory_limit(MAX_BYTES):
            return repr(USES[use](store, target))
    except TimereelError as exc:
        return str(exc)
