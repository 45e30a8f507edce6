"""Of a file that has grown only new windows are answered, and the rows are those of the whole."""

import json
import os
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import Config, load_config
from pipeline.flow.driver import archive as driver
from pipeline.flow.driver.report import Report
from pipeline.index import Writer, open_index
from pipeline.index.erase import erase
from pipeline.index.filters import Where
from pipeline.index.scope import Scope
from pipeline.records import Completion, PacketIndex
from pipeline.sources import list_sources
from pipeline.tables.schema import TABLES
from pipeline.timebase import NS_PER_S
from tests.growing import KINDS, asking, grow
from tests.hard import without_ray
from tests.index_rows import at
from tests.unit.test_plan import make_packets, make_video, plan_of
from tests.videos import Recipe, damage

RECIPE = Recipe(num_frames=240, rate=2, gop=8, bframes=2)
"""Two minutes, a keyframe every four seconds."""
SHARES = (0.32, 0.55, 0.8, 1.0)
"""No part ends at a keyframe, because the last shard of a shorter file could be whole then."""
SETTINGS = ("plan.shard_cost_s=0.004", "plan.max_window_frames=8", "sample.fps=2")
"""Shards of some ten seconds."""
NAME = "cam1_20260301T080000Z"
IS_WRITTEN = "sources.settle_s=3600"
"""What was modified now is still being written."""

# Columns that depend on the run: its time, its costs, and the time of the file.
_OF_THE_RUN = {"indexed_at", "decode_cpu_s", "engine_s", "etag", "config"}


def index(path: Path, where: Path, *overrides: str, config: Config | None = None) -> Report:
    config = config or load_config(None, (*SETTINGS, *overrides))
    return driver.index_archive(
        list_sources([str(path)], config.sources), config, str(where),
        on_progress=lambda _report: None,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _here():
    """Jobs run in this process, without Ray."""
    ours = ("running_ray", "probe_graph", "answer_graph")
    with mock.patch.multiple(driver, **{name: getattr(driver, name) for name in ours}):
        without_ray.leave_out_ray()
        yield


def all_rows(where: Path) -> dict[str, list[str]]:
    stored = open_index(str(where))
    return {
        name: sorted(
            str({key: row[key] for key in row if key not in _OF_THE_RUN})
            for row in stored.select_all(name, Where()).to_pylist()
        )
        for name in TABLES.keys() - {"runs"}
    }


def decoded(report: Report) -> int:
    return sum(report.windows.values())


def start_of_last_shard(where: Path) -> int:
    rows = open_index(str(where)).windows().to_pylist()
    [*_, last] = sorted(rows, key=lambda row: row["media_start_ns"])
    return min(row["media_start_ns"] for row in rows if row["shard_id"] == last["shard_id"])


def num_windows_from(where: Path, start_ns: int) -> int:
    starts = open_index(str(where)).windows()["media_start_ns"].to_pylist()
    return sum(start >= start_ns for start in starts)


@pytest.mark.parametrize("damaged", [None, 60])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_grows_gives_the_rows_of_the_whole_file(tmp_path, kind, damaged):
    path, grown = tmp_path / f"{NAME}{KINDS[kind]}", tmp_path / "grown"
    is_new_from_ns = 0
    for share in grow(kind, path, RECIPE, SHARES, damaged=damaged):
        report, whole = index(path, grown), tmp_path / f"whole{share}"
        index(path, whole)
        assert (report.videos_done, report.failures) == (1, [])
        assert all_rows(grown) == all_rows(whole), share
        # The last shard of the shorter file ended early, so it is answered again.
        assert decoded(report) == num_windows_from(whole, is_new_from_ns)
        is_new_from_ns = start_of_last_shard(whole)
        assert decoded(index(path, grown)) == 0
    assert is_new_from_ns > 100 * NS_PER_S
    statuses = open_index(str(grown)).windows()["status"].to_pylist()
    assert ("failed" in statuses) is (damaged is not None and kind != "ts")  # TS resynchronises


def settle(path: Path) -> None:
    """The recorder has closed the file long ago."""
    os.utime(path, ns=(0, 0))


def states(where: Path) -> list[str]:
    return [row["state"] for row in open_index(str(where)).coverage().to_pylist()]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_still_written_is_decoded_once_however_often_one_looks(tmp_path, kind):
    path, grown, whole = tmp_path / f"{NAME}{KINDS[kind]}", tmp_path / "grown", tmp_path / "whole"
    num_decoded = num_events = 0
    for _ in grow(kind, path, RECIPE, SHARES):
        for look in (1, 2):
            report = index(path, grown, IS_WRITTEN)
            assert (report.waiting, report.failures, report.exit_code("any")) == (
                [str(path)],
                [],
                0,
            )
            assert look == 1 or decoded(report) == 0
            num_decoded += decoded(report)
        stored = open_index(str(grown))
        assert stored.videos()["status"].to_pylist() == ["pending"]
        assert states(grown) == ["analysed", "pending"]
        assert stored.events().num_rows > num_events  # they are there before the file is closed
        num_events = stored.events().num_rows
    settle(path)
    report = index(path, grown, IS_WRITTEN)
    assert (report.waiting, report.videos_done) == ([], 1)
    index(path, whole)
    assert num_decoded + decoded(report) == open_index(str(whole)).windows().num_rows
    assert all_rows(grown) == all_rows(whole)


def test_what_the_index_has_of_a_file_stays_until_more_of_it_is_complete(tmp_path):
    """The shorter file was taken for whole; all of the longer one is one shard."""
    where, one_shard = tmp_path / "index", "plan.shard_cost_s=30"
    growing = steps(tmp_path)
    index(next(growing), where, one_shard)
    before = all_rows(where)
    path = next(growing)
    report = index(path, where, one_shard, IS_WRITTEN)
    assert (decoded(report), report.waiting) == (0, [str(path)])
    assert all_rows(where) == before
    settle(path)
    assert index(path, where, one_shard, IS_WRITTEN).videos_done == 1
    assert states(where) == ["analysed"]


def steps(tmp_path: Path, kind: str = "ts", name: str = NAME, shares=(0.6, 1.0)):
    path = tmp_path / f"{name}{KINDS[kind]}"
    for _ in grow(kind, path, RECIPE, shares):
        yield path


def test_a_file_without_a_stated_time_can_grow_too(tmp_path):
    first, second = (
        decoded(index(path, tmp_path / "index")) for path in steps(tmp_path, name="clip")
    )
    assert 0 < second < first
    stored = open_index(str(tmp_path / "index"))
    assert stored.videos().num_rows == 1
    assert set(stored.windows()["video_id"].to_pylist()) == set(
        stored.videos()["video_id"].to_pylist()
    )


def test_windows_that_a_killed_run_committed_for_the_shorter_file_are_reused(tmp_path):
    first, second = tmp_path / "index", tmp_path / "whole"
    growing = steps(tmp_path)
    path = next(growing)
    with (
        mock.patch.object(Writer, "finish_videos", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        index(path, first)
    num_left = open_index(str(first)).select_all("windows", Where()).num_rows
    assert num_left > 0
    path = next(growing)
    assert decoded(index(path, first)) < num_left
    index(path, second)
    assert all_rows(first) == all_rows(second)


def test_a_file_that_differs_from_its_start_is_answered_as_a_whole(tmp_path):
    growing = steps(tmp_path, kind="mkv")
    index(next(growing), tmp_path / "index")
    path = next(growing)
    damage(path, number=1)
    report = index(path, tmp_path / "index")
    assert decoded(report) == open_index(str(tmp_path / "index")).windows().num_rows


def test_with_other_settings_the_whole_file_is_answered(tmp_path):
    growing = steps(tmp_path)
    index(next(growing), tmp_path / "index")
    report = index(next(growing), tmp_path / "index", "frame.luma_width=96")
    assert decoded(report) == open_index(str(tmp_path / "index")).windows().num_rows


def test_erased_time_of_the_shorter_file_stays_erased(tmp_path):
    where = tmp_path / "index"
    growing = steps(tmp_path)
    path = next(growing)
    index(path, where)
    erase(Writer(str(where)).store, Scope.parse(video=str(path), start=at(20), end=at(30)))
    index(next(growing), where)
    stored = open_index(str(where))
    states = {row["state"] for row in stored.coverage(start=at(20), end=at(30)).to_pylist()}
    assert states == {"erased"}
    assert stored.videos()["status"].to_pylist() == ["done"]
    windows = sorted(stored.windows().to_pylist(), key=lambda row: row["media_start_ns"])
    assert all(a["media_end_ns"] == b["media_start_ns"] for a, b in pairwise(windows))


def model_config(**more: object) -> Config:
    """The configuration of a model, with one shard for the whole file."""
    return Config.model_validate(
        {
            "task": {"name": "gate", "labels": {"enter": "comes in"}, "summary": False},
            "engine": {"kind": "openai", "model": "m", "base_url": "http://nowhere/v1"},
            "sample": {"fps": 2},
            "plan": {"max_window_frames": 8},
            **more,
        }
    )


@pytest.fixture
def _asks_a_model(monkeypatch):
    """Stands for an endpoint: its answer depends on the pixels that it gets."""

    def answer(window):
        text, end = f"{window.rgb.mean():.6f}", 1.5  # invalid for a last window that is shorter
        event = {"label": "enter", "text": text, "start": 0.0, "end": end}
        return Completion(text=json.dumps({"events": [event]}), finish_reason="stop")

    monkeypatch.setattr(driver, "answer_graph", asking(answer))


@pytest.mark.usefixtures("_asks_a_model")
@pytest.mark.parametrize("damaged", [None, 60])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_asked_only_about_new_windows_of_the_last_shard(tmp_path, kind, damaged):
    path, grown = tmp_path / f"{NAME}{KINDS[kind]}", tmp_path / "grown"
    config = model_config()
    known_ns = 0
    for share in grow(kind, path, RECIPE, SHARES, damaged=damaged):
        whole = tmp_path / f"whole{share}"
        asked = decoded(index(path, grown, config=config))
        index(path, whole, config=config)
        assert all_rows(grown) == all_rows(whole), share
        stored = open_index(str(whole))
        num_new = sum(end > known_ns for end in stored.windows()["media_end_ns"].to_pylist())
        # Two windows had shared the rest, one lacked frames; with damage three more show it.
        assert asked <= num_new + 3 + (0 if damaged is None else 3)
        known_ns = max(stored.windows()["media_end_ns"].to_pylist())
    assert stored.events().num_rows > 5


@pytest.mark.usefixtures("_asks_a_model")
@pytest.mark.parametrize(
    "more",
    [
        {"gate": {"kind": "motion"}},
        {
            "engine": {
                "kind": "openai", "model": "m", "base_url": "http://nowhere/v1",
                "verify": {"fps": 4, "reach_s": 2},
            }
        },
    ],
)  # fmt: skip
def test_if_windows_depend_on_each_other_the_last_shard_is_answered_as_a_whole(tmp_path, more):
    config = model_config(**more)
    growing = steps(tmp_path)
    index(next(growing), tmp_path / "index", config=config)
    report = index(next(growing), tmp_path / "index", config=config)
    assert decoded(report) == open_index(str(tmp_path / "index")).windows().num_rows


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 12), st.sampled_from([0.5, 1.0, 7.3]), st.booleans())
def test_the_cuts_of_a_shorter_file_are_those_of_the_longer_one(data, gop, fps, reorder):
    gaps = data.draw(st.lists(st.integers(1, 400), min_size=2, max_size=120))
    pts = np.cumsum([0, *gaps]).tolist()
    shorter = data.draw(st.integers(1, len(pts) - 1))
    cuts = [
        [
            shard.span.start_ns
            for shard in plan_of(
                make_video([(0, upto[-1] + 40)], len(upto)),
                make_packets(upto, gop=gop, reorder=reorder),
                fps=fps,
                shard_cost_s=0.02,
            )
        ]
        for upto in (pts[:shorter], pts)
    ]
    assert cuts[0] == cuts[1][: len(cuts[0])]


def test_all_shards_but_the_last_have_the_configured_cost():
    pts = list(range(0, 600_000, 40))
    video, packets = make_video([(0, 600_000)], len(pts)), make_packets(pts, gop=5)
    *full, last = (shard.cost_s for shard in plan_of(video, packets, shard_cost_s=0.2))
    assert len(full) > 5
    assert all(0.19 < cost_s < 0.21 for cost_s in full)
    assert 0.1 <= last < 0.31


def test_only_a_whole_index_has_digests():
    packets = PacketIndex(
        pts=np.arange(4), dts=np.arange(4), num_bytes=np.ones(4, np.int32),
        keyframe=np.array([True, False] * 2), discard=np.zeros(4, bool),
        digests=np.zeros((2, 12), np.uint8),
    )  # fmt: skip
    assert len(packets[0:2].digests) == 0
