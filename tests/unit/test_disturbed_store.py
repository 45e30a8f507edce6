"""Footage behind a server that fails for a while: rows as if it had not, at once or a run later."""

import json
from unittest import mock

import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem
from tenacity import wait_none

from pipeline.config import load_config
from pipeline.errors import EXIT_INCOMPLETE
from pipeline.flow.driver import archive as driver
from pipeline.index import list_runs, open_index
from pipeline.index.check import check
from pipeline.index.store import Store
from pipeline.sources import list_sources
from pipeline.storage import file, retry
from tests.disturbed import KINDS, Disturbance, disturbed_server, folder, upstream
from tests.hard import without_ray
from tests.videos import make_video

MEASURED = frozenset({"indexed_at", "decode_cpu_s", "engine_s"})
TABLES = ("videos", "windows", "events", "segments")
# A shard is a window of ten seconds.
CUT = ("sample.fps=1", "plan.max_window_frames=10", "plan.shard_cost_s=0.000001")
BUCKET = "s3://archive"
LIES = {"short", "truncate"}
NAMES = ("gate_20260301T080000Z.mp4", "gate_20260301T080100Z.mp4", "yard_20260301T080000Z.ts")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three minutes of two cameras; the second file of the gate goes on where the first ends."""
    root = tmp_path_factory.mktemp("archive")
    for name in NAMES:
        make_video(root / name, num_frames=300, rate=5, gop=50, bframes=0, options={"qp": "4"})
    return root


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Small reads, no pauses, a short limit: a server that stalls is noticed at once."""
    monkeypatch.setattr(retry, "PAUSE", wait_none())
    monkeypatch.setattr(retry, "LIMIT_S", 0.5)
    monkeypatch.setattr(file, "_BLOCK_BYTES", 16 * 1024)
    with mock.patch.multiple(
        driver, running_ray=mock.DEFAULT, probe_graph=mock.DEFAULT, answer_graph=mock.DEFAULT
    ):
        without_ray.leave_out_ray()
        yield


def index(address, where):
    """One run as of the command: over the files by their addresses, or over a whole bucket."""
    config = load_config(None, CUT)
    names = [f"{address}/{name}" for name in NAMES]
    locations = [address] if address == BUCKET else names
    config = config.naming(locations)
    sources = list_sources(locations, config.sources)
    return driver.index_archive(sources, config, str(where), on_progress=lambda _: None)


def held(where, address):
    """All that the index says, but for what was measured and where the server happened to be."""
    index = open_index(str(where))
    tables = {
        name: [
            {column: value for column, value in row.items() if column not in MEASURED}
            for row in getattr(index, name)().to_pylist()
        ]
        for name in TABLES
    }
    host = address.removeprefix("http://")
    text = json.dumps(tables, default=str, sort_keys=True).replace(host, "server")
    return json.loads(text) | {"coverage": index.coverage().to_pylist()}


@pytest.fixture(scope="module")
def undisturbed(archive, tmp_path_factory):
    where = tmp_path_factory.mktemp("undisturbed")
    with (
        mock.patch.multiple(
            driver, running_ray=mock.DEFAULT, probe_graph=mock.DEFAULT, answer_graph=mock.DEFAULT
        ),
        disturbed_server(folder(archive), Disturbance()) as address,
    ):
        without_ray.leave_out_ray()
        report = index(address, where)
        assert (report.videos_done, report.outstanding, report.failures) == (3, [], [])
        return held(where, address)


@pytest.mark.parametrize("kind", [*KINDS, "mixed"])
def test_with_two_in_five_answers_disturbed_the_rows_are_the_same_in_this_run_or_the_next(
    archive, tmp_path, undisturbed, kind
):
    disturbance = Disturbance(KINDS if kind == "mixed" else (kind,), share=0.4, seed=7)
    with disturbed_server(folder(archive), disturbance) as address:
        first = index(address, tmp_path / "index")
        assert disturbance.num_disturbed > 10
        # What is said to be half as long, twice over, is a file that was cut off: until it grows.
        assert LIES & {*disturbance.kinds} or not first.failures
        disturbance.share = 0.0
        then = index(address, tmp_path / "index")
        assert (then.failures, then.outstanding) == ([], [])
        assert held(tmp_path / "index", address) == undisturbed


def test_a_store_that_goes_away_while_its_footage_is_decoded_costs_nothing(
    archive, tmp_path, undisturbed, monkeypatch
):
    where, disturbance = tmp_path / "index", Disturbance(("refuse",))

    def probe_and_lose(sources, config):
        yield from without_ray.probe_here(sources, config)
        disturbance.share, disturbance.well_gets = 1.0, disturbance.num_gets + 20

    monkeypatch.setattr(driver, "probe_graph", probe_and_lose)
    with disturbed_server(folder(archive), disturbance) as address:
        report = index(address, where)
        assert report.outstanding
        assert not report.failures
        for left in report.outstanding:
            assert "503" in left.error
            assert "run the same command again" in left.error
        states = open_index(str(where)).coverage()["state"].to_pylist()
        assert {"analysed", "pending"} <= {*states} <= {"analysed", "quiet", "pending"}
        assert sum(report.windows.values()) == open_index(str(where)).windows().num_rows
        [run] = list_runs(open_index(str(where))).to_pylist()
        assert (run["state"], run["exit_code"]) == ("incomplete", EXIT_INCOMPLETE)
        assert run["num_videos_outstanding"] == len(report.outstanding)
        assert run["error"] == report.outstanding[-1].error
        assert check(Store.at(str(where))) == []
        monkeypatch.setattr(driver, "probe_graph", without_ray.probe_here)
        disturbance.share = 0.0
        again = index(address, where)
        assert again.videos_done == len(report.outstanding)
        assert held(where, address) == undisturbed


@pytest.fixture
def line(archive, monkeypatch):
    """What disturbs the line to an S3 server that has the archive in a bucket."""
    server, line = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False), Disturbance()
    server.start()
    host, port = server.get_host_and_port()
    with disturbed_server(upstream(f"{host}:{port}"), line) as address:
        usual = {"ENDPOINT_URL": address, "ACCESS_KEY_ID": "some", "SECRET_ACCESS_KEY": "body"}
        for name, value in usual.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        S3FileSystem.clear_instance_cache()
        store = S3FileSystem()
        store.makedirs("archive", exist_ok=True)  # buckets outlive their server
        for name in NAMES:
            store.put_file(str(archive / name), f"archive/{name}")
        yield line
    S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.parametrize("kinds", [("drop", "stall", "refuse", "die"), ("short",)])
def test_a_bucket_over_a_line_that_is_disturbed_gives_the_same_rows(line, tmp_path, kinds):
    assert index(BUCKET, tmp_path / "undisturbed").videos_done == 3
    line.kinds, line.share, line.num_disturbed = kinds, 0.4, 0
    S3FileSystem.clear_instance_cache()
    first = index(BUCKET, tmp_path / "index")
    assert line.num_disturbed > 10
    assert LIES & {*kinds} or not first.failures
    line.share = 0.0
    then = index(BUCKET, tmp_path / "index")
    assert (then.failures, then.outstanding) == ([], [])
    assert held(tmp_path / "index", BUCKET) == held(tmp_path / "undisturbed", BUCKET)
