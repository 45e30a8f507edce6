import os
from datetime import UTC, datetime

import fsspec
import pytest
from structlog.testing import capture_logs

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError, NoSourcesError, SourceError
from pipeline.sources import from_path, list_sources
from pipeline.timebase import ns_to_datetime

CONFIG = SourcesConfig()


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


def start_of(uri, **settings):
    hints = from_path(uri, SourcesConfig(**settings))
    return hints.camera, None if hints.start_ns is None else ns_to_datetime(hints.start_ns)


def listed(*locations, config=CONFIG):
    return list_sources([str(location) for location in locations], config)


def test_the_usual_name_gives_camera_and_start():
    assert start_of("/a/cam01_20260314T090000Z.mp4") == ("cam01", at(2026, 3, 14, 9))


def test_a_utc_offset_in_the_name_is_applied():
    assert start_of("cam02_20260314T143000+0530.mp4") == ("cam02", at(2026, 3, 14, 9))


def test_the_name_of_a_copy_gives_the_time_of_the_original():
    assert start_of("cam01_20260314T090150Z (1).mp4") == ("cam01", at(2026, 3, 14, 9, 1, 50))


def test_a_template_may_span_folders():
    template = "{camera}/{*}/{start:%Y-%m-%d_%H-%M-%S}"
    hints = start_of("s3://b/gate/x/2026-07-01_12-00-00.mkv", templates=(template,))
    assert hints == ("gate", at(2026, 7, 1, 12))


def test_times_without_a_zone_are_in_the_configured_zone():
    settings = {"templates": ("{camera}_{start:%Y%m%d%H%M%S}",), "timezone": "Europe/Berlin"}
    assert start_of("c_20260701120000.mp4", **settings)[1] == at(2026, 7, 1, 10)
    assert start_of("c_20260101120000.mp4", **settings)[1] == at(2026, 1, 1, 11)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{camera}-{start:epoch_s}", "c-1773478800.mp4"),
        ("{camera}-{start:epoch_ms}", "c-1773478800000.mp4"),
        ("{camera}-{start:epoch_us}", "c-1773478800000000.mp4"),
        ("{camera}-{start:epoch_ns}", "c-1773478800000000000.mp4"),
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


def test_a_name_that_a_regex_takes_too_long_for_costs_that_file_and_no_other(tmp_path):
    regex = "(?P<camera>(a|a)*)!$"
    for name in ("a!.mp4", "a" * 200 + "!b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    fine, slow = listed(tmp_path, config=SourcesConfig(regexes=(regex,)))
    assert (fine.camera, fine.problem) == ("a", "")
    assert f"with {regex!r} takes more than 0.5 s" in slow.problem


def test_a_regex_that_is_none_is_refused_when_it_is_configured():
    with pytest.raises(ValueError, match=r"'\(' is no regular expression"):
        SourcesConfig(regexes=("(",))


def test_digits_that_are_not_a_date_give_no_time():
    assert start_of("cam01_20261399T996100Z.mp4") == (None, None)


def test_the_error_for_an_unknown_placeholder_names_the_known_ones():
    with pytest.raises(ConfigError, match=r"\{place\} is unknown; use \{camera\}"):
        start_of("x.mp4", templates=("{place}",))


def test_a_sidecar_gives_what_the_name_does_not_contain(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"x")
    (tmp_path / "clip.json").write_text('{"camera": "lobby", "start": "2026-03-14T09:00:00Z"}')
    [source] = listed(tmp_path / "clip.mp4")
    assert (source.camera, source.clock) == ("lobby", "sidecar")
    assert ns_to_datetime(source.start_ns) == at(2026, 3, 14, 9)


def test_a_broken_sidecar_fails_only_its_video_and_the_message_shows_a_valid_one(tmp_path):
    for name in ("clip.mp4", "other.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "clip.json").write_text('{"start": "yesterday"}')
    broken, fine = listed(tmp_path)
    assert "clip.json must hold" in broken.problem
    assert fine.problem == ""


LOCAL = ("{camera}_{start:%Y%m%d%H%M%S}",)


def test_a_time_in_the_hour_that_comes_twice_is_the_earlier_one_by_default_with_a_warning():
    # On 2026-10-25 at 03:00 CEST (01:00 UTC) the clocks of Berlin go back to 02:00.
    name, berlin = "c_20261025023000.mp4", {"templates": LOCAL, "timezone": "Europe/Berlin"}
    assert start_of(name, **berlin)[1] == at(2026, 10, 25, 0, 30)
    assert start_of(name, **berlin, ambiguous="later")[1] == at(2026, 10, 25, 1, 30)
    [warning] = from_path(name, SourcesConfig(**berlin)).warnings
    assert "comes twice in Europe/Berlin; the earlier was taken" in warning
    with pytest.raises(SourceError, match="comes twice"):
        start_of(name, **berlin, ambiguous="refuse")


@pytest.mark.parametrize(
    ("digits", "utc"),
    [
        ("20261025015959", at(2026, 10, 24, 23, 59, 59)),
        ("20261025030000", at(2026, 10, 25, 2)),
        ("20260329015959", at(2026, 3, 29, 0, 59, 59)),
        ("20260329030000", at(2026, 3, 29, 1)),
    ],
)
def test_times_on_the_borders_of_a_changed_hour_have_no_warning(digits, utc):
    hints = from_path(f"c_{digits}.mp4", SourcesConfig(templates=LOCAL, timezone="Europe/Berlin"))
    assert (ns_to_datetime(hints.start_ns), hints.warnings) == (utc, ())


def test_a_local_time_that_does_not_exist_fails_its_file_and_the_message_names_a_remedy(tmp_path):
    for digits in ("20260329020000", "20260329025959", "20260329033000"):
        (tmp_path / f"c_{digits}.mp4").write_bytes(b"x")
    config = SourcesConfig(templates=LOCAL, timezone="Europe/Berlin")
    problems = {s.uri[-18:-4]: s.problem for s in listed(tmp_path, config=config)}
    for digits in ("20260329020000", "20260329025959"):
        assert "does not exist in Europe/Berlin" in problems[digits]
        assert "Etc/GMT-1" in problems[digits]
    assert problems["20260329033000"] == ""


def test_a_time_with_an_offset_is_never_ambiguous():
    assert start_of("c_20261025T023000+0100.mp4", timezone="Europe/Berlin")[1] == at(
        2026, 10, 25, 1, 30
    )


def test_milliseconds_in_a_name_are_kept_exactly():
    assert start_of("cam01_20260314T090000.123Z.mp4") == (
        "cam01",
        at(2026, 3, 14, 9, 0, 0, 123_000),
    )


TELEMETRY = {
    "2023-09-07 10:11:12.345": at(2023, 9, 7, 8, 11, 11, 345_000),
    "2019-09-25 10:22:35,118,697": at(2019, 9, 25, 8, 22, 34, 118_697),
    "HOME(149.02,-20.25) 2017.08.05 14:11:51": at(2017, 8, 5, 12, 11, 50),
}


@pytest.mark.parametrize("line", TELEMETRY)
def test_the_telemetry_of_a_drone_gives_the_start_of_its_video(tmp_path, line):
    (tmp_path / "drone").mkdir()
    (tmp_path / "drone" / "DJI_0001.MP4").write_bytes(b"x")
    (tmp_path / "drone" / "DJI_0001.SRT").write_text(
        f"1\n00:00:01,000 --> 00:00:01,033\n<font size=28>FrameCnt: 1\n{line}\n[iso: 100]\n\n"
        "2\n00:00:01,033 --> 00:00:01,066\n2030-01-01 00:00:00.000\n"
    )
    [source] = listed(tmp_path, config=SourcesConfig(timezone="Europe/Berlin"))
    assert (source.clock, source.camera) == ("sidecar", "drone")
    assert ns_to_datetime(source.start_ns) == TELEMETRY[line]


def test_subtitles_without_a_time_are_not_telemetry_and_do_not_fail_the_video(tmp_path):
    (tmp_path / "talk.mp4").write_bytes(b"x")
    (tmp_path / "talk.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello in 2026\n")
    [source] = listed(tmp_path)
    assert (source.start_ns, source.problem) == (None, "")


def test_a_sidecar_beside_a_remote_video_is_found():
    memory = fsspec.filesystem("memory")
    memory.pipe("/noted/clip.mp4", b"xyz")
    memory.pipe("/noted/clip.json", b'{"camera": "lobby", "start": "2026-03-14T09:00:00Z"}')
    [source] = listed("memory://noted")
    assert (source.camera, source.clock) == ("lobby", "sidecar")


def test_a_folder_that_may_not_be_listed_for_sidecars_is_logged(monkeypatch):
    memory = fsspec.filesystem("memory")
    memory.pipe("/closed/clip.mp4", b"xyz")

    def refused(*_args, **_options):
        raise PermissionError("AccessDenied: s3:ListBucket")

    monkeypatch.setattr(type(memory), "ls", refused)
    with capture_logs() as lines:
        [source] = listed("memory://closed/clip.mp4")
    assert (source.start_ns, source.problem) == (None, "")
    [line] = lines
    assert line["event"].startswith("cannot be listed")
    assert (line["folder"], line["error"]) == ("memory:///closed/", "AccessDenied: s3:ListBucket")


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


def test_a_list_file_may_contain_comments_and_outdated_lines(tmp_path):
    (tmp_path / "one.mp4").write_bytes(b"x")
    (tmp_path / "all.txt").write_text(f"# mine\n{tmp_path}/one.mp4\n\n{tmp_path}/gone.mp4\n")
    problems = {os.path.basename(s.uri): s.problem for s in listed(tmp_path / "all.txt")}
    assert problems["one.mp4"] == ""
    assert "does not exist" in problems["gone.mp4"]


def test_a_path_that_cannot_be_opened_is_listed_with_its_problem(tmp_path):
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


def test_a_missing_path_and_an_empty_folder_raise_different_errors(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        listed(tmp_path / "gone")
    with pytest.raises(NoSourcesError, match="no videos"):
        listed(tmp_path)
