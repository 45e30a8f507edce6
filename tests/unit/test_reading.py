"""docs/reading.md: every snippet reads the right rows of an index written twice."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pytest

from pipeline.index import Writer
from tests.conftest import ROOT
from tests.index_rows import DAY, at, event, rows, video

_DOC = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
_HEADED = re.split(r"^## ", _DOC, flags=re.MULTILINE)


def snippets(text):
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


SNIPPETS = [
    pytest.param(code, id=f"{name}-{i}", marks=pytest.mark.ray if name == "Ray" else ())
    for section in _HEADED[1:]
    for name in [section.partition("\n")[0]]
    for i, code in enumerate(snippets(section))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Old rows under the new ones, a day before and after; one event that began before."""
    folder = tmp_path_factory.mktemp("reading") / "index"
    writer = Writer(folder)
    of_cam = {"camera": "gate1"}
    for generation in ("old", "new"):
        writer.finish_videos(
            rows("videos", video(**of_cam)),
            rows(
                "events",
                event(f"{generation}-before", at(-DAY), at(-DAY + 5), **of_cam),
                event(f"{generation}-runs-on", at(-5), at(0.5), **of_cam),
                event(f"{generation}-inside", at(10), at(11), **of_cam),
                event(f"{generation}-after", at(3600), at(3601), **of_cam),
            ),
        )
    return folder


def ids(found):
    match type(found).__module__.partition(".")[0]:
        case "pandas" | "polars":
            return sorted(found["event_id"])
        case "pyarrow":
            return sorted(found["event_id"].to_pylist())
        case "ray":
            return sorted(row["event_id"] for row in found.take_all())
        case _:
            return sorted(row["event_id"] for row in found.collect())


@pytest.fixture
def engines(monkeypatch):
    """Ray and Spark are small, and end with the test."""
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
    if "pyspark" in sys.modules and (
        spark := sys.modules["pyspark"].sql.SparkSession.getActiveSession()
    ):
        spark.stop()


@pytest.mark.usefixtures("engines")
@pytest.mark.parametrize("code", SNIPPETS)
def test_the_snippet_reads_the_current_rows_of_the_range(code, folder, cli, tmp_path):
    for library in re.findall(r"^(?:import|from) (\w+)", code, flags=re.MULTILINE):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    if "pyspark" in code and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    [preamble] = snippets(_HEADED[0])
    told = {
        "/data/index": str(folder),
        "datetime(2026, 3, 14, 9,": "datetime(2026, 3, 1, 8,",
        "datetime(2026, 3, 14, 10,": "datetime(2026, 3, 1, 9,",
        "out/plain": str(tmp_path / "plain"),
    }
    source = preamble + code
    for shown, here in told.items():
        source = source.replace(shown, here)
    if command := re.search(r"# timereel (export .*)", source):
        cli.run(*command[1].split())
    if "ray.data" in code:
        import ray

        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    names = {}
    exec(source, names)  # noqa: S102 - the document's own code
    if "events" not in names:
        assert len(names["rows"]) == 4
        assert not any(i.startswith("old") for i in ids(names["rows"]))
        return
    assert ids(names["events"]) == ["new-inside", "new-runs-on"]


def test_a_reader_that_globs_the_folder_is_wrong(folder):
    import pyarrow.parquet as pq

    globbed = [
        pq.read_table(path, partitioning=None) for path in Path(folder).glob("events/*/*.parquet")
    ]
    assert sum(table.num_rows for table in globbed) == 8
