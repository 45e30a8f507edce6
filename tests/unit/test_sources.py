import os
from datetime import UTC, datetime

import fsspec
import pytest

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError, NoSourcesError
from pipeline.sources import from_path, list_sources
from pipeline.timebase import ns_to_datetime

CONFIG = SourcesConfig()


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


def start_of(uri, **settings):
    camera, start_ns = from_path(uri, SourcesConfig(**settings))
    return camera, None if start_ns is None else ns_to_datetime(start_ns)


def listed(*locations, config=CONFIG):
    return list_sources([str(location) for location in locations], config)


def test_the_usual_name_gives_camera_and_start():
    assert start_of("/a/cam01_20260314T090000Z.mp4") == ("cam01", at(2026, 3, 14, 9))


def test_an_offset_in_the_name_is_honoured():
    assert start_of("cam02_20260314T143000+0530.mp4") == ("cam02", at(2026, 3, 14, 9))


def test_the_mark_of_a_copy_does_not_hide_the_time():
    assert start_of("cam01_20260314T090150Z (1).mp4") == ("cam01", at(2026, 3, 14, 9, 1, 50))


def test_a_template_may_span_folders():
    template = "{camera}/{*}/{start:%Y-%m-%d_%H-%M-%S}"
    found = start_of("s3://b/gate/x/2026-07-01_12-00-00.mkv", templates=(template,))
    assert found == ("gate", at(2026, 7, 1, 12))


def test_times_without_a_zone_are_in_the_configured_one():
    settings = {"templates": ("{camera}_{start:%Y%m%d%H%M%S}",), "timezone": "Europe/Berlin"}
    assert start_of("c_20260701120000.mp4", **settings)[1] == at(2026, 7, 1, 10)
    assert start_of("c_20260101120000.mp4", **settings)[1] == at(2026, 1, 1, 11)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{camera}-{start:epoch_s}", "c-1773478800.mp4"),
        ("{camera}-{start:epoch_ms}", "c-1773478800000.mp4"),
    ],
)
def test_epoch_names_are_read(template, name):
    assert start_of(name, templates=(template,)) == ("c", at(2026, 3, 14, 9))


def test_a_regex_with_named_groups_is_tried_after_the_templates():
    regex = r"(?P<camera>[a-z]+)@(?P<start>[-0-9T:]+Z)$"
    assert start_of("x/lobby@2026-03-14T09:00:00Z.mp4", regexes=(regex,)) == (
        "lobby",
        at(2026, 3, 14, 9),
    )


def test_digits_that_are_no_date_name_no_time():
    assert start_of("cam01_20261399T996100Z.mp4") == (None, None)


def test_an_unknown_placeholder_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"\{place\} is unknown; use \{camera\}"):
        start_of("x.mp4", templates=("{place}",))


def test_a_sidecar_fills_what_the_name_does_not_say(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"x")
    (tmp_path / "clip.json").write_text('{"camera": "lobby", "start": "2026-03-14T09:00:00Z"}')
    [source] = listed(tmp_path / "clip.mp4")
    assert (source.camera, source.clock) == ("lobby", "sidecar")
    assert ns_to_datetime(source.start_ns) == at(2026, 3, 14, 9)


def test_a_broken_sidecar_says_what_it_must_hold(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"x")
    (tmp_path / "clip.json").write_text('{"start": "yesterday"}')
    with pytest.raises(ConfigError, match="must hold"):
        listed(tmp_path / "clip.mp4")


def test_a_folder_is_searched_for_videos_only_and_sorted_by_camera_and_time(tmp_path):
    for name in ("b_20260314T090000Z.mp4", "a_20260314T100000Z.MP4", "a_20260314T090000Z.mkv"):
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / name).write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("no video")
    names = [os.path.basename(source.uri) for source in listed(tmp_path)]
    assert names == ["a_20260314T090000Z.mkv", "a_20260314T100000Z.MP4", "b_20260314T090000Z.mp4"]


def test_globs_and_overlapping_locations_list_each_file_once(tmp_path):
    (tmp_path / "one.mp4").write_bytes(b"x")
    (tmp_path / "two.bin").write_bytes(b"x")
    assert len(listed(tmp_path, tmp_path / "*.mp4", tmp_path / "*.bin")) == 2


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
    (tmp_path / "star*?[x].mp4").write_bytes(b"x")
    assert [s.problem for s in listed(tmp_path / "star*?[x].mp4")] == [""]


def test_a_list_file_may_hold_comments_and_stale_lines(tmp_path):
    (tmp_path / "one.mp4").write_bytes(b"x")
    (tmp_path / "all.txt").write_text(f"# mine\n{tmp_path}/one.mp4\n\n{tmp_path}/gone.mp4\n")
    found = {os.path.basename(s.uri): s.problem for s in listed(tmp_path / "all.txt")}
    assert found["one.mp4"] == ""
    assert "does not exist" in found["gone.mp4"]


def test_what_cannot_be_opened_is_listed_with_its_problem(tmp_path):
    (tmp_path / "a.mp4").symlink_to("b.mp4")
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    (tmp_path / "gone.mp4").symlink_to("nowhere.mp4")
    (tmp_path / "out.mp4").symlink_to("/etc/hostname")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "pipe.mp4")
    problems = {os.path.basename(s.uri): s.problem for s in listed(tmp_path)}
    assert sorted(problems) == ["a.mp4", "b.mp4", "folder.mp4", "gone.mp4", "out.mp4", "pipe.mp4"]
    assert all(problems.values())
    assert "/etc/hostname" in problems["out.mp4"]


def test_a_link_inside_the_folder_does_not_list_its_target_twice(tmp_path):
    (tmp_path / "real.mp4").write_bytes(b"x")
    (tmp_path / "link.mp4").symlink_to("real.mp4")
    assert [os.path.basename(s.uri) for s in listed(tmp_path)] == ["real.mp4"]


def test_a_name_that_is_not_utf8_is_reported_and_not_lost(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff.mp4", "wb") as file:
        file.write(b"x")
    [source] = listed(tmp_path)
    assert "not UTF-8" in source.problem


def test_remote_files_are_listed_through_fsspec():
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/cam01_20260314T090000Z.mp4", b"xyz")
    memory.pipe("/bucket/readme.md", b"no video")
    [source] = listed("memory://bucket")
    assert source.uri == "memory:///bucket/cam01_20260314T090000Z.mp4"
    assert (source.camera, source.num_bytes) == ("cam01", 3)
    assert listed("memory://bucket/*.mp4") == [source]


def test_a_missing_path_and_an_empty_folder_are_told_apart(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        listed(tmp_path / "gone")
    with pytest.raises(NoSourcesError, match="no videos"):
        listed(tmp_path)
