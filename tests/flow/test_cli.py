"""The command line is a contract: commands, options, output and exit codes."""

import json
import subprocess
import sys
from importlib.metadata import version
from itertools import pairwise

import pytest

from pipeline.index import Writer
from tests.conftest import LOBBY, ROOT
from tests.index_rows import at, event, rows, video


def test_frames_are_those_of_the_sample_grid_with_their_own_pts(cli, tmp_path):
    rows = json.loads(cli.run("frames", LOBBY, "--fps", "1", "--json", "--out", tmp_path / "jpg"))
    assert len(rows) == 140
    first = rows[0]
    assert (first["pts"], first["keyframe"], first["width"], first["height"]) == (0, True, 768, 416)
    for k, row in enumerate(rows):
        assert row["pts_ns"] == k * 1_000_000_000
    assert len(list((tmp_path / "jpg").glob("*.jpg"))) == 140


def test_version_prints_the_version(cli):
    assert cli.run("--version") == f"timereel {version('timereel')}\n"


def test_probe_prints_what_is_known_about_a_video(cli):
    facts = cli.json("probe", LOBBY, "--json")
    assert (facts["codec"], facts["width"], facts["height"]) == ("h264", 768, 432)
    assert facts["num_frames"] == 1394
    assert facts["footage_s"] == [[0.0, 139.4]]
    assert facts["clock_start"] == "2026-03-14T09:00:00.000000Z"


def test_plan_tiles_the_video(cli):
    plan = json.loads(cli.run("plan", LOBBY, "--set", "plan.shard_cost_s=0.5", "--json"))
    shards = plan["per_shard"]
    assert len(shards) > 1
    assert shards[0]["media_start"] == 0.0
    assert shards[-1]["media_end"] == 139.4
    for shard, following in pairwise(shards):
        assert shard["media_end"] == following["media_start"]
    assert sum(shard["frames"] for shard in shards) == 1394


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["index", "nowhere", "--index", "x"], 2, "nowhere: does not exist"),
        (["index", "--index", "x"], 2, "no sources"),
        (["index", str(LOBBY)], 2, "no index"),
        (["index", str(LOBBY), "--index", "x", "--set", "sample.fps=0"], 2, "sample.fps = 0"),
        (["index", str(LOBBY), "--index", "x", "--config", "gone.yaml"], 2, "gone.yaml"),
        (["index", "pipeline/flow", "--index", "x"], 5, "no videos"),
        (["frames", str(LOBBY), "--fps", "0"], 2, "sample.fps = 0"),
        (["frames", str(LOBBY), "--fps", "nan"], 2, "sample.fps = "),
        (["query", "--index", "nowhere"], 2, "nowhere"),
        (["query"], 2, "--index"),
        (["query", "--index", "x", "--order-by", "colour"], 2, "colour"),
        (["query", "--index", "x", "--format", "xml"], 2, "xml"),
        (["nonsense"], 2, "nonsense"),
        (["probe", "pyproject.toml"], 4, "pyproject.toml"),
        (["config", "validate", "gone.yaml"], 2, "gone.yaml"),
    ],
)
def test_an_error_ends_with_its_exit_code_and_a_message(cli, args, code, said):
    cli.run(*args, code=code)
    assert said in cli.err
    assert "Traceback" not in cli.err


def test_config_show_prints_all_settings(cli):
    shown = cli.run("config", "show", "configs/signals.yaml", "--set", "sample.fps=2.5")
    assert "fps: 2.5" in shown
    assert "fingerprint: " in shown


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    of_video = {"media_start": 1.0, "media_end": 3.0, "uri": "/rec/v1.mp4"}
    Writer(folder).finish_videos(
        rows("videos", video(uri="/rec/v1.mp4")),
        rows(
            "events",
            event("e1", at(1), at(3), label="person", text="红色的车", confidence=0.9, **of_video),
            event("e2", at(2), at(3), label="dog", text="a dog", confidence=0.4, **of_video),
        ),
    )
    return folder


def test_query_filters_orders_and_writes_every_format(cli, index):
    ask = ("query", "--index", index)
    rows = cli.rows(*ask, "--min-confidence", 0.3, "--max-duration", 2, "--order-by",
                     "duration", "--video", "v1.mp4")  # fmt: skip
    assert [row["event_id"] for row in rows] == ["e2", "e1"]
    assert "00:00:01.000 --> 00:00:03.000\nperson: 红色的车" in cli.run(*ask, "--format", "webvtt")
    counts = cli.rows(
        *ask, "--sql", "SELECT label, count(*) AS n FROM events GROUP BY 1 ORDER BY 1"
    )
    assert counts == [{"label": "dog", "n": 1}, {"label": "person", "n": 1}]
    for refused in ("COPY events TO 'x.csv'", "SELECT * FROM read_csv('/etc/passwd')"):
        cli.run(*ask, "--sql", refused, code=2)
        assert "error: sql: " in cli.err
    cli.run(*ask, "--sql", "SELECT 1", "--limit", 1, code=2)
    assert "put range, camera and limit into the SELECT" in cli.err


def test_a_query_imports_nothing_that_it_does_not_need(index):
    code = (
        "import sys, pipeline.cli\n"
        "try:\n"
        "    pipeline.cli.main(['query', '--index', sys.argv[1], '--format', sys.argv[2]])\n"
        "finally:\n"
        "    heavy = {'ray', 'av', 'torch', 'pandas', 'vllm'} & set(sys.modules)\n"
        "    print(sorted(heavy), file=sys.stderr)"
    )
    for form in ("table", "jsonl"):
        done = subprocess.run(
            [sys.executable, "-c", code, index, form], capture_output=True, text=True, check=True
        )
        assert done.stdout.count("dog") > 0
        assert done.stderr.strip() == "[]"


WARNED = """
import sys, time
import ray
from ray._private.utils import publish_error_to_driver
from pipeline import cli
from pipeline.cli import progress

class WarnedOnce(progress._Lines):
    is_warned = False

    def __call__(self, report):
        if ray.is_initialized() and not self.is_warned:
            self.is_warned = True
            client = ray._private.worker.global_worker.gcs_client
            publish_error_to_driver("task", "it failed. Error: Traceback\\nhere", gcs_client=client)
            time.sleep(2)  # a thread of Ray's prints it

progress._Lines = WarnedOnce
cli.main(sys.argv[1:])
"""


@pytest.mark.ray
def test_warnings_of_a_raylet_do_not_get_into_the_json(tmp_path):
    config = ROOT / "configs" / "signals.yaml"
    command = ["index", LOBBY, "--config", config, "--index", tmp_path / "index", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", WARNED, *map(str, command)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    [warning] = [line for line in done.stderr.splitlines() if "it failed" in line]
    assert json.loads(warning)["message"] == "(raylet) it failed."
    assert "here" not in done.stderr
    assert json.loads(done.stdout)["videos"]["done"] == 1
