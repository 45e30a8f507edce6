"""Patterns of list files take linear time, and mean what they mean elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError
from pipeline.sources import list_sources
from pipeline.sources.globs import check_glob, matches


@pytest.mark.parametrize(
    ("name", "pattern", "is_match"),
    [
        ("a/b.mp4", "a/*.mp4", True), ("a/c/b.mp4", "a/*.mp4", False),
        ("a/b.mp4", "a/**/*.mp4", True), ("a/c/d/b.mp4", "a/**/*.mp4", True),
        ("a/c/b.mp4", "**/c/*.mp4", True), ("a/b", "a/?", True), ("a/bc", "a/?", False),
        ("a/b", "a/[bc]", True), ("b/b", "a/**", False), ("a", "**", True),
    ],
)  # fmt: skip
def test_a_pattern_matches_whole_paths_part_by_part(name, pattern, is_match):
    assert matches(name, pattern) == is_match


def test_many_stars_and_a_long_name_take_no_exponential_time():
    assert not matches("a" * 2000, "*a" * 200 + "b")


@given(st.text("ab/*?[", max_size=20), st.text("ab/", max_size=20))
def test_any_pattern_can_be_matched(pattern, name):
    matches(name, pattern)


def test_a_pattern_that_walks_a_tree_many_times_is_refused_and_costs_its_line(tmp_path):
    (tmp_path / "gate_20260301T080000Z.mp4").write_bytes(b"x")
    check_glob("a/**/b/**/*.mp4")
    with pytest.raises(ConfigError, match="more than 2 times"):
        check_glob("a/**/**/**/*.mp4")
    lines = tmp_path / "list.txt"
    lines.write_text(f"{tmp_path}/**/**/**/*.mp4\n{tmp_path}/*.mp4\n")
    listed = list_sources([str(lines)], SourcesConfig())
    assert [bool(one.problem) for one in listed].count(False) == 1
    assert any("more than 2 times" in one.problem for one in listed)
