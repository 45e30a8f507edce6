"""What a range may be given as, and what is no time."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ConfigError
from pipeline.index.filters import Span
from tests.index_rows import open_with_four_events

MIDNIGHT = Span.parse("2026-03-01T00:00:00Z", None)
EIGHT = Span.parse("2026-03-01T08:00:00.000001Z", None)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return open_with_four_events(tmp_path_factory.mktemp("an index"))


@pytest.mark.parametrize(
    ("start", "span"),
    [
        (date(2026, 3, 1), MIDNIGHT),
        (np.datetime64("2026-03-01"), MIDNIGHT),
        (np.datetime64("2026-03"), MIDNIGHT),
        (np.datetime64("2026-03-01T08:00:00.000001"), EIGHT),
        (np.datetime64("2026-03-01T08:00:00.000001999"), EIGHT),
        (pd.Timestamp("2026-03-01T08:00:00.000001999"), EIGHT),
        (pd.Timestamp("2026-03-01T09:00:00.000001", tz="Europe/Berlin"), EIGHT),
    ],
)
def test_a_date_and_the_times_of_numpy_and_pandas_are_times(start, span):
    assert Span.parse(start, None) == span


@pytest.mark.parametrize("no_time", [pd.NaT, np.datetime64("NaT"), np.datetime64("NaT", "ns")])
def test_a_value_that_is_no_time_is_refused_with_a_remedy(index, no_time):
    with pytest.raises(ConfigError, match="NaT is no time; leave that end of the range open"):
        index.coverage(None, no_time)


@pytest.mark.parametrize(
    "end",
    [
        "9999-12-31T23:59:59.999999-00:01",
        "0001-01-01T00:00:00+00:01",
        pd.Timestamp("9999-12-31T23:59:59.999999-00:01"),
        np.datetime64("10000-01-01"),
        np.datetime64("0000-12-31"),
        np.datetime64("300000-01-01"),  # wraps around in microseconds
        np.datetime64(10**9, "Y"),
        np.datetime64(2**63 - 1, "Y"),
    ],
)
def test_a_time_outside_of_the_years_that_python_has_is_refused(index, end):
    with pytest.raises(ConfigError, match="is outside the years 1 to 9999 in UTC"):
        index.coverage(None, end)


@pytest.mark.parametrize("end", ["10000-01-01", "2026-13-01", "NaT"])
def test_a_text_that_is_no_time_is_refused(index, end):
    with pytest.raises(ConfigError, match="is not an ISO 8601 time"):
        index.coverage(None, end)


@pytest.mark.parametrize("as_given", [str, datetime.fromisoformat, np.datetime64])
def test_the_first_and_the_last_microsecond_that_python_has_are_times(index, as_given):
    first, last = as_given("0001-01-01T00:00:00"), as_given("9999-12-31T23:59:59.999999")
    assert index.events(first, last).num_rows == 4
    states = index.coverage(first, last)
    assert states["start"][0].as_py() == datetime.min.replace(tzinfo=UTC)
    assert states["end"][-1].as_py() == datetime.max.replace(tzinfo=UTC)
