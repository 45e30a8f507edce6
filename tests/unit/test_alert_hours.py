"""Hours are those of a clock on the wall, also on the two days of the year on which it is moved."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts.hours import within
from pipeline.config.alerts import WeekHours
from pipeline.timebase import TimeRange, datetime_to_ns, ns_to_datetime

BERLIN = ZoneInfo("Europe/Berlin")


def parts(start, end, *hours, zone="Europe/Berlin"):
    span = TimeRange(*(datetime_to_ns(datetime.fromisoformat(at)) for at in (start, end)))
    return [
        tuple(f"{ns_to_datetime(ns):%d %H:%M}" for ns in (part.start_ns, part.end_ns))
        for part in within(span, hours, zone)
    ]


SPRING = ("2026-03-29T00:00Z", "2026-03-29T04:00Z")
AUTUMN = ("2026-10-24T23:00Z", "2026-10-25T03:00Z")


@pytest.mark.parametrize(
    ("range_", "hours", "expected"),
    [
        (SPRING, "02:00-03:00", []),  # an hour that does not exist
        (SPRING, "02:30-04:00", [("29 01:00", "29 02:00")]),
        (SPRING, "01:00-02:30", [("29 00:00", "29 01:00")]),
        (AUTUMN, "02:00-03:00", [("25 00:00", "25 02:00")]),  # an hour that comes twice
        (AUTUMN, "02:30-03:00", [("25 00:30", "25 01:00"), ("25 01:30", "25 02:00")]),
        (AUTUMN, "03:00-04:00", [("25 02:00", "25 03:00")]),
        (AUTUMN, "sun", [("24 23:00", "25 03:00")]),
        (AUTUMN, "sat 22:00-02:30", [("24 23:00", "25 00:30"), ("25 01:00", "25 01:30")]),
    ],
)
def test_hours_follow_summer_time(range_, hours, expected):
    assert parts(*range_, hours) == expected


def test_hours_end_before_their_last_instant_and_go_over_midnight():
    assert parts("2026-01-05T20:59Z", "2026-01-06T07:00Z", "22:00-06:00") == [
        ("05 21:00", "06 05:00")
    ]
    assert parts("2026-01-06T05:00Z", "2026-01-06T06:00Z", "22:00-06:00") == []
    assert parts("2026-01-05T00:00Z", "2026-01-06T00:00Z") == [("05 00:00", "06 00:00")]


@settings(max_examples=60)
@given(
    st.sampled_from(
        [datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 10, 24, 20, tzinfo=UTC)]
    ),
    st.integers(0, 60 * 36),
    st.integers(0, 1440),
    st.integers(0, 1440),
    st.sampled_from(["", "sun ", "sat-sun ", "fri,sun "]),
)
def test_an_instant_is_in_hours_exactly_if_the_clock_on_the_wall_says_so(
    first, minutes, start, end, days
):
    at = first + timedelta(minutes=minutes)
    text = f"{days}{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    hours = WeekHours.parse(text)
    wall = at.astimezone(BERLIN)
    of_day = wall.hour * 60 + wall.minute
    inside = any(
        (wall.weekday() - back) % 7 in hours.days
        and hours.start_min <= of_day + back * 1440 < hours.end_min
        for back in (0, 1)
    )
    span = TimeRange(datetime_to_ns(at), datetime_to_ns(at) + 1000)
    assert bool(within(span, [text], "Europe/Berlin")) == inside
