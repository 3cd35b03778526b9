"""The times that exports write."""

import pytest

from cem_rag_app.persona.history.times import parse_time

MOMENT = 1709643873.0  # 2024-03-05 13:04:33 UTC


@pytest.mark.parametrize(
    "value",
    [
        1709643873,
        1709643873.0,
        "1709643873",
        1709643873000,
        "1709643873000",
        1709643873000000,
        "2024-03-05T13:04:33Z",
        "2024-03-05T13:04:33+00:00",
        "2024-03-05T21:04:33+0800",
        "2024-03-05 21:04:33",
        "2024/3/5 21:04:33",
        "2024.03.05 21:04:33",
        "2024年3月5日 21:04:33",
        "2024年3月5日 21时04分33秒",
        " 2024-03-05T21:04:33.000 ",
    ],
)
def test_one_moment_in_every_spelling(value):
    assert parse_time(value, 8.0) == MOMENT


def test_seconds_may_be_left_out_and_fractions_kept():
    assert parse_time("2024/3/5 21:04", 8.0) == MOMENT - 33
    assert parse_time("2024-03-05T13:04:33.25Z", 8.0) == MOMENT + 0.25
    assert parse_time("2024-03-05", 0.0) == 1709596800.0


def test_a_time_that_names_its_zone_keeps_it():
    assert parse_time("2024-03-05T10:04:33-03:00", 8.0) == MOMENT
    assert parse_time("2024-03-05 21:04:33", 0.0) == MOMENT + 8 * 3600


@pytest.mark.parametrize(
    "value", [None, "", "gestern", True, [], -5, "2024-13-01", "2024-02-30 10:00", "25:00", "1960-01-01", 1e30, "nan"]
)
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueError, match=r"time|1970|month|day|range"):
        parse_time(value, 8.0)
