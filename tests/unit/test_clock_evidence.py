"""A wrong clock is found by what it does to a tree, and the line that mends it mends it."""

import json
import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli.app import app

MINUTES = timedelta(minutes=10)
HOUR = timedelta(hours=1)


def record(root, begun, num_files, clock, *, camera="gate", written=True, step=MINUTES):
    """Files of ten minutes without a hole; ``clock`` makes of UTC what the recorder shows."""
    for number in range(num_files):
        start, end = begun + number * step, begun + number * step + MINUTES
        name = f"{camera}_{clock(start):%Y%m%d%H%M%S}_{clock(end):%Y%m%d%H%M%S}.mp4"
        copies = len(list(root.glob(f"{name[:-4]}*")))
        path = root / (f"{name[:-4]} ({copies}).mp4" if copies else name)
        path.write_bytes(b"x")
        if written:
            os.utime(path, (end.timestamp(), end.timestamp()))
        else:  # copied together
            os.utime(path, (1_790_000_000, 1_790_000_000))


def local(zone):
    return lambda utc: utc.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def found(root, *settings):
    arguments = [value for one in settings for value in ("--set", one)]
    ran = CliRunner().invoke(app, ["clock", str(root), "--format", "jsonl", *arguments])
    rows = list(map(json.loads, ran.stdout.splitlines()))
    return [(row["finding"], row["config"]) for row in rows if row["finding"]]


def as_setting(line):
    """A line of config as the value of --set."""
    [(section, settings)] = yaml.safe_load(line).items()
    [(key, value)] = settings.items()
    return f"{section}.{key}={json.dumps(value)}"


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_a_right_clock_has_no_findings(tmp_path):
    record(tmp_path, at(2026, 3, 14, 9), 12, local("UTC"))
    assert found(tmp_path) == []


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("begun", [at(2026, 3, 14, 9), at(2026, 7, 1, 20)])
def test_local_times_that_were_taken_for_utc_name_the_zone_that_mends_them(tmp_path, zone, begun):
    record(tmp_path, begun, 12, local(zone))
    [(text, config)] = found(tmp_path)
    assert "as in another zone" in text
    assert found(tmp_path, as_setting(config)) == []


def test_a_clock_without_summer_time_in_a_zone_that_has_it(tmp_path):
    record(tmp_path, at(2026, 7, 1, 9), 12, local("Etc/GMT-1"))
    [(text, config)] = found(tmp_path, "sources.timezone=Europe/Paris")
    assert "written 1 h after their end" in text
    assert found(tmp_path, as_setting(config)) == []


@pytest.mark.parametrize("days", [-1, 1, 9, -400])
def test_a_wrong_day_is_mended_by_an_offset(tmp_path, days):
    record(tmp_path, at(2026, 3, 14, 9), 12, lambda utc: utc + timedelta(days=days, seconds=7))
    [(text, config)] = found(tmp_path)
    assert "a wrong day or a wrong clock" in text
    assert config == f'clock: {{cameras: {{"gate": {{offset_s: {-days * 86400 - 7}}}}}}}'
    assert found(tmp_path, as_setting(config)) == []


def test_spring_of_a_copied_tree_is_a_gap_that_the_zone_closes(tmp_path):
    record(tmp_path, at(2026, 3, 28, 22), 24, local("Europe/Berlin"), written=False)
    [(text, config)] = found(tmp_path)
    assert (text[:46], config) == (
        "a gap of 1 h where summer time begins in Europ", "sources: {timezone: Europe/Berlin}"
    )  # fmt: skip
    assert found(tmp_path, as_setting(config)) == []


def test_autumn_of_a_copied_tree_is_time_shown_twice_that_the_zone_explains(tmp_path):
    record(tmp_path, at(2026, 10, 24, 22), 36, local("Europe/Berlin"), written=False)
    [(text, config)] = found(tmp_path)
    assert text.startswith("1 h are shown twice where summer time ends in Europe/Berlin")
    assert config == "sources: {timezone: Europe/Berlin}"
    [(text, config)] = found(tmp_path, as_setting(config))
    assert "the hour that comes twice in Europe/Berlin" in text
    assert config == "sources: {ambiguous: later}"


def test_autumn_of_a_clock_that_does_not_follow_summer_time_is_a_gap_without_one(tmp_path):
    record(tmp_path, at(2026, 10, 24, 22), 36, local("Etc/GMT-1"), written=False)
    [(text, config)] = found(tmp_path, "sources.timezone=Europe/Berlin")
    assert "none by the names: no summer time" in text
    assert config == "sources: {timezone: Etc/GMT-1}"
    assert found(tmp_path, as_setting(config)) == []


def test_spring_of_a_clock_that_does_not_follow_summer_time_has_times_that_do_not_exist(tmp_path):
    record(tmp_path, at(2026, 3, 29, 0), 18, local("Etc/GMT-1"), written=False)
    rows = found(tmp_path, "sources.timezone=Europe/Berlin")
    text, config = rows[0]
    assert text == "6 files have a local time that does not exist: no summer time"
    assert found(tmp_path, as_setting(config)) == []


@pytest.mark.parametrize("hours", [1, 5, -3])
def test_a_recorder_that_moved_zones(tmp_path, hours):
    moved = at(2026, 3, 14, 12)
    record(tmp_path, at(2026, 3, 14, 9), 36,
           lambda utc: utc + (timedelta(hours=hours) if utc >= moved else timedelta()))  # fmt: skip
    texts = [text for text, _ in found(tmp_path)]
    assert any("the clock was moved" in text for text in texts)


def test_a_recorder_that_was_set_forward_in_a_copied_tree(tmp_path):
    moved = at(2026, 3, 14, 12)

    def clock(utc):
        return utc + HOUR * 3 if utc >= moved else utc

    record(tmp_path, at(2026, 3, 14, 9), 36, clock, written=False)
    [(text, config)] = found(tmp_path)
    assert text.startswith("a gap of 3 h, as if the clock had been set forward")
    assert config.endswith("{offset_s: -10800}}}")


def test_a_clock_that_nobody_has_set(tmp_path):
    record(tmp_path, at(2026, 3, 14, 9), 2, lambda utc: utc - (at(2026, 3, 14) - at(2000, 1, 1)))
    [(text, config)] = found(tmp_path)
    assert "begins on 2000-01-01, as clocks do that nobody has set" in text
    assert found(tmp_path, as_setting(config)) == []


def test_two_views_under_one_name_are_time_shown_twice(tmp_path):
    record(tmp_path, at(2026, 3, 14, 9), 6, local("UTC"), written=False)
    record(tmp_path, at(2026, 3, 14, 9, 2), 6, local("UTC"), written=False)
    [(text, config)] = found(tmp_path)
    assert (text[:20], config) == ("58 min are shown twi", "")


def test_holes_of_a_camera_that_records_on_motion_mean_nothing(tmp_path):
    record(tmp_path, at(2026, 3, 14, 9), 12, local("UTC"), written=False, step=timedelta(hours=1))
    assert found(tmp_path) == []


def test_files_that_were_copied_together_say_nothing(tmp_path):
    record(tmp_path, at(2026, 3, 14, 9), 12, local("UTC"), written=False)
    assert found(tmp_path) == []


def test_times_that_name_their_zone_are_never_said_to_be_in_another(tmp_path):
    for number in range(8):
        end = at(2026, 3, 14, 9) + number * MINUTES
        path = tmp_path / f"cam_{end:%Y%m%dT%H%M%SZ}.mp4"
        path.write_bytes(b"x")
    assert found(tmp_path) == []  # cannot be read, so nothing is known of their ends


def test_people_read_what_was_assumed(tmp_path):
    record(tmp_path, at(2026, 3, 14, 9), 12, local("Europe/Berlin"), camera='a"b\x1b')
    ran = CliRunner().invoke(app, ["clock", str(tmp_path), "--set", "clock.offset_s=2"])
    lines = ran.stdout.splitlines()
    assert lines[0] == 'a"b : 12 files, 2026-03-14 10:00Z to 2026-03-14 12:00Z'
    assert lines[1] == "  clock: path 12; zone assumed: UTC; correction: +2000000000 ns"
    assert "12 files were written 1 h before their end, as in another zone" in lines[2]
    assert lines[3] == "    sources: {timezone: Europe/Berlin}"
