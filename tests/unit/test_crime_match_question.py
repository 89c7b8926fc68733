"""The question refuses what makes no sense, and names it."""

import math

import pytest

from crime_match.question import Question
from engine.errors import InputError
from engine.times import MINUTE_US, parse_time

FROM_US = parse_time("2026-03-01T10:00:00Z")
GOOD = {"lat": 51.5, "lon": -0.1, "from_us": FROM_US, "to_us": FROM_US + 30 * MINUTE_US}


def test_defaults_are_the_ministrys():
    question = Question(**GOOD)
    assert (question.radius_m, question.pad_us, question.max_speed_mps, question.min_fixes) == (
        100.0,
        10 * MINUTE_US,
        55.0,
        1,
    )
    assert question.start_us == FROM_US - 10 * MINUTE_US
    assert question.end_us == FROM_US + 40 * MINUTE_US


def test_from_equal_to_is_a_window_of_its_padding():
    question = Question(**GOOD | {"to_us": FROM_US})
    assert question.end_us - question.start_us == 20 * MINUTE_US


def test_uncertainty_widens_possible_and_excluded_only():
    question = Question(**GOOD, uncertainty_m=40.0)
    assert (question.radius_m, question.reach_m) == (100.0, 140.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lat", 90.1), ("lat", math.nan), ("lat", True), ("lon", -180.5), ("lon", math.inf), ("radius_m", 0.0),
        ("radius_m", -1.0), ("uncertainty_m", -0.1), ("pad_us", -1), ("max_speed_mps", 0.0), ("max_speed_mps", math.nan),
        ("min_fixes", 0), ("min_fixes", 1.5), ("min_fixes", True),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_name(field, value):
    with pytest.raises(InputError) as caught:
        Question(**GOOD | {field: value})
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field} is {value!r}")
    assert caught.value.expected


def test_an_end_before_the_start_is_refused():
    with pytest.raises(InputError, match=r"to is '2026-03-01T09:59:59.000Z'.*not before from"):
        Question(**GOOD | {"to_us": FROM_US - 1_000_000})


def test_all_parameters_are_on_record():
    record = Question(**GOOD).parameters()
    assert record["from"] == "2026-03-01T10:00:00.000Z"
    assert record["pad_s"] == 600.0
    assert record["overlap"] == 0.5
