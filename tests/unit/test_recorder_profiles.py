"""Trees of recorders: each name was written by strftime or by hand, never by the code under test.

A line of ``recorder_trees`` has the start in UTC (``-``: the name has none; ``twin``: a small copy
of another file of the tree), the camera and the path. Local times are those of Berlin; each tree
has midnight, noon, both changes of summer time and numbers of one digit.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError
from pipeline.sources import from_path, list_sources
from pipeline.sources.recorder_profile import built_in
from pipeline.timebase import ns_to_datetime
from tests.conftest import ROOT

TREES = Path(__file__).with_name("recorder_trees")
NAMES = sorted(path.stem for path in TREES.glob("*.txt"))


def expected(name):
    """By path: the start and the camera, of the files that are no twins."""
    lines = (TREES / f"{name}.txt").read_text().splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {path: (start, camera) for start, camera, path in rows if start != "twin"}


def make(root, paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def found(root, **config):
    sources = list_sources([str(root)], SourcesConfig(timezone="Europe/Berlin", **config))
    assert [source.problem for source in sources if source.problem] == []
    return {
        source.uri.removeprefix(f"{root}/"): (
            "-" if source.start_ns is None else written(source.start_ns),
            source.camera,
        )
        for source in sources
    }


def written(utc_ns):
    return ns_to_datetime(utc_ns).isoformat().replace("+00:00", "Z")


def test_every_profile_has_a_tree_of_at_least_twenty_names():
    assert sorted(built_in()) == NAMES
    assert len(NAMES) >= 18
    assert {name for name in NAMES if len(expected(name)) < 20} == set()


def test_the_page_names_every_profile_and_each_of_its_lines_is_true():
    page = (ROOT / "docs" / "recorders.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 5]
    examples = {row.split("`")[1]: row.split("`")[3] for row in rows if row.split("`")[1] in NAMES}
    assert sorted(examples) == NAMES
    assert all(path in expected(name) for name, path in examples.items())
    assert {name for name in NAMES if built_in()[name].about not in page} == set()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("profile", ["named", "auto"])
def test_a_tree_gives_its_cameras_and_its_times(tmp_path, name, profile):
    make(tmp_path, right := expected(name))
    assert found(tmp_path, profile=name if profile == "named" else "auto") == right


def test_many_recorders_in_one_folder_keep_their_own_times(tmp_path):
    right = {f"{name}/{path}": row for name in NAMES for path, row in expected(name).items()}
    make(tmp_path, right)
    assert found(tmp_path) == right


def test_without_a_profile_a_recorders_name_is_only_a_name():
    path = "2026-03-14/09/front/05.30.mp4"
    assert from_path(path, SourcesConfig(profile="none")).start_ns is None
    assert from_path(path, SourcesConfig(profile="frigate")).camera == "front"


def test_ones_own_templates_go_before_a_profile():
    config = SourcesConfig(templates=("{start:%Y-%m-%d/%H}/{camera}/{start:%M.%S}",),
                           profile="frigate", timezone="Asia/Tokyo")  # fmt: skip
    hints = from_path("2026-03-14/09/front/05.30.mp4", config)
    assert written(hints.start_ns) == "2026-03-14T00:05:30Z"
    assert hints.rule == "sources.templates"


OWN = """
about: Our recorder
named_by: its manual, page 12
zone: UTC
views: {B: rear}
paths:
  - "{camera}/{start:%-d.%-m.%Y}/{start:%-Hh%-M}-{end:%-Hh%-M} {view:B}"
  - "{camera}/{start:%-d.%-m.%Y}/{start:%-Hh%-M}-{end:%-Hh%-M}"
"""


def test_a_profile_of_ones_own_is_a_few_lines_of_yaml(tmp_path):
    (tmp_path / "ours.yaml").write_text(OWN)
    config = SourcesConfig(profile=str(tmp_path / "ours.yaml"))
    hints = from_path("/x/gate/4.3.2026/23h5-0h5.mkv", config)
    assert (hints.camera, written(hints.start_ns)) == ("gate", "2026-03-04T23:05:00Z")
    assert written(hints.end_ns) == "2026-03-05T00:05:00Z"
    assert from_path("/x/gate/4.3.2026/23h5-0h5 B.mkv", config).view == "rear"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("about: x\nnamed_by: y\npaths: []", "paths: .* docs/recorders.md has the form"),
        ("about: x\nnamed_by: y\npaths: ['{when}']", r"'\{when\}': \{when\} is unknown; use"),
        ("about: x\nnamed_by: y\npaths: ['{camera}{*}']", "two free pieces touch"),
        ("about: x\nnamed_by: y\npaths: ['{start:%Q}']", "%Q is not supported"),
        ("about: x\nnamed_by: y\npaths: [a]\nwhere: b", "where: Extra inputs"),
        ("[", "is not YAML"),
    ],
)
def test_a_profile_that_is_none_is_refused_with_the_way_out(tmp_path, text, message):
    (tmp_path / "ours.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        from_path("x.mp4", SourcesConfig(profile=str(tmp_path / "ours.yaml")))


def test_an_unknown_profile_names_those_that_there_are():
    with pytest.raises(ConfigError, match="profile=frigatte: is none of auto, none, agentdvr,"):
        from_path("x.mp4", SourcesConfig(profile="frigatte"))


@pytest.mark.parametrize(
    ("template", "name", "utc"),
    [
        ("{start:%Y%m%d}/{*}_{start:%H%M%S}", "20260314/x_090530", "2026-03-14T09:05:30Z"),
        ("{start:%m/%d/%y/%I.%M %p}", "03/14/26/12.05 AM", "2026-03-14T00:05:00Z"),
        ("{start:%m/%d/%y/%I.%M %p}", "03/14/26/12.05 pm", "2026-03-14T12:05:00Z"),
        ("{start:%d-%b-%Y %Hh}", "14-Mar-2026 09h", "2026-03-14T09:00:00Z"),
        ("{start:%Y-%j %H}", "2026-073 09", "2026-03-14T09:00:00Z"),
        ("{start:%Y%m%d %H%M%S.%f}", "20260314 090530.5", "2026-03-14T09:05:30.500000Z"),
        ("{start:%Y%m%d %H%M %Z}", "20260314 0905 GMT-4:30", "2026-03-14T13:35:00Z"),
        ("{start:%Y%m%d %H%M %Z}", "20260314 0905 PST", "2026-03-14T17:05:00Z"),
        ("{start:epoch_s}", "1773479130.25", "2026-03-14T09:05:30.250000Z"),
        ("{start:epoch_ms}", "1773479130250.125", "2026-03-14T09:05:30.250125Z"),
        ("{start:epoch_us}", "1773479130250125", "2026-03-14T09:05:30.250125Z"),
        ("{start:%Y%m%d %H%M%S}", "20260314 240000", "2026-03-15T00:00:00Z"),
        ("{start:%Y%m%d}-{start:%Y%m%d %H}", "20260313-20260314 09", "2026-03-14T09:00:00Z"),
    ],
)
def test_a_time_may_stand_in_any_pieces(template, name, utc):
    hints = from_path(f"/a/{name}.mp4", SourcesConfig(templates=(template,)))
    assert written(hints.start_ns) == utc


def test_nanoseconds_of_a_name_are_kept():
    config = SourcesConfig(templates=("{start:epoch_s}", "{start:%Y%m%dT%H%M%S.%fZ}"))
    assert from_path("1773479130.123456789.mp4", config).start_ns == 1773479130_123456789
    assert from_path("20260314T090530.123456789Z.mp4", config).start_ns == 1773479130_123456789


@pytest.mark.parametrize(
    "name",
    ["20260314 240001", "20260314 096000", "20260314 090060", "20261314 090000", "00000000 000000"],
)
def test_digits_that_are_no_time_are_left_alone(name):
    config = SourcesConfig(templates=("{start:%Y%m%d %H%M%S}",))
    assert from_path(f"{name}.mp4", config).start_ns is None


@given(st.text(st.sampled_from("0129_-. /[]{}GMTRecSABXx"), max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_name_is_read_or_left_alone(name):
    from_path(f"/{name}.mp4", SourcesConfig())


@pytest.mark.parametrize("piece", ["_20260314", "20260314_", "a-1", "RecM_", "2026-03-14_09-", "["])
def test_a_hostile_name_as_long_as_a_path_can_be_is_soon_given_up(piece):
    # A pattern that tries its free pieces again would still be at it when the test times out.
    name = (piece * 4000)[:4000]
    assert from_path(f"/{name}.mp4", SourcesConfig()).start_ns is None
    assert from_path(f"/{piece * 10_000}.mp4", SourcesConfig()).rule == ""
