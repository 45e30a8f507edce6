"""The whole job, on Ray, while the server that has the footage goes away and comes back."""

import json
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.disturbed import Disturbance, disturbed_server, folder
from tests.videos import make_video

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

NAME = "gate_20260301T080000Z.mp4"
CUT = ("--set", "sample.fps=1", "--set", "plan.shard_cost_s=0.000001")


def windows_of(cli: Cli, index: Path, address: str) -> list[dict]:
    asked = ("query", "--index", index, "--table", "windows", "--format", "jsonl")
    text = cli.run(*asked).replace(address, "http://server")
    rows = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in row.items() if k not in {"decode_cpu_s", "engine_s"}} for row in rows]


def test_files_of_a_lost_server_are_indexed_by_the_next_run_without_an_option(
    cli: Cli, tmp_path: Path
) -> None:
    root = tmp_path / "archive"
    root.mkdir()
    make_video(root / NAME, num_frames=120, rate=1, gop=20, bframes=0)
    disturbance = Disturbance(("refuse",))
    with disturbed_server(folder(root), disturbance) as address:
        command = ("index", f"{address}/{NAME}", *CUT, "--json", "--index")
        assert cli.json(*command, tmp_path / "undisturbed")["videos"]["done"] == 1
        disturbance.asked.clear()
        cli.run("probe", f"{address}/{NAME}")
        # The probe, and one or two of the six shards.
        disturbance.well_gets = 2 * disturbance.num_gets + 1
        disturbance.share = 1.0
        report = cli.json(*command, tmp_path / "index", code=7)
        assert [left["uri"] for left in report["outstanding"]] == [f"{address}/{NAME}"]
        assert report["failures"] == []
        states = cli.run("coverage", "--index", tmp_path / "index", "--format", "jsonl")
        assert "pending" in states
        assert "failed" not in states
        disturbance.share = 0.0
        again = cli.json(*command, tmp_path / "index")
        assert (again["videos"]["done"], again["outstanding"]) == (1, [])
        assert windows_of(cli, tmp_path / "index", address) == windows_of(
            cli, tmp_path / "undisturbed", address
        )
