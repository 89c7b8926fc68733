"""Times to and from text, and activations: which wearer a fix belongs to."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.activations import UNASSIGNED, Activation, Activations
from engine.errors import InputError
from engine.fixes import Fixes, concat
from engine.times import EARLIEST_US, LATEST_US, from_datetime, parse_time, to_datetime, to_iso, to_isos

MOMENT = st.integers(EARLIEST_US, LATEST_US - 1)


@given(MOMENT)
def test_text_and_back_is_exact_to_the_microsecond(time_us: int) -> None:
    assert parse_time(to_iso(time_us)) == time_us
    assert from_datetime(to_datetime(time_us)) == time_us
    assert parse_time(f"{time_us // 10**6}.{time_us % 10**6:06d}") == time_us


def test_text_has_milliseconds_or_microseconds() -> None:
    assert to_iso(1_774_747_800_000_000) == "2026-03-29T01:30:00.000Z"
    assert to_iso(1_774_747_800_120_000) == "2026-03-29T01:30:00.120Z"
    assert to_iso(1_774_747_800_000_001) == "2026-03-29T01:30:00.000001Z"


@pytest.mark.parametrize(
    "text", ["2026-03-29T01:30:00Z", "2026-03-29 02:30:00+01:00", "2026-03-28T20:30-0500", 1_774_747_800, "1774747800.0"]
)
def test_one_instant_in_many_forms(text: str | float) -> None:
    assert parse_time(text) == 1_774_747_800_000_000


@pytest.mark.parametrize(
    "value",
    ["", "now", "2026-02-30T00:00:00Z", "2026-03-29T25:00:00Z", "1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z", True, None,
     "2026-03-29T01:30:00", "1e9", float("nan"), float("inf"), "NaN"],
)  # fmt: skip
def test_what_is_no_time_is_refused_by_field_and_value(value: object) -> None:
    with pytest.raises(InputError) as fault:
        parse_time(value, field="to")  # type: ignore[arg-type]
    assert fault.value.field == "to"
    assert fault.value.expected


def test_a_time_without_offset_is_read_in_the_zone_that_is_said() -> None:
    assert parse_time("2026-07-01T02:30:00", ZoneInfo("Europe/London")) == parse_time("2026-07-01T01:30:00Z")


def test_an_activation_holds_from_its_start_to_before_its_end() -> None:
    rows = Activations([Activation("tag", "ann", 10, 20), Activation("tag", "bob", 20, 30), Activation("other", "ann", 0)])
    fixes = Fixes.of(
        ("tag", "other", "nobody"), device=[0, 0, 0, 0, 0, 1, 2], time_us=[9, 10, 19, 20, 30, 10**15, 15],
        lat_e7=[0] * 7, lon_e7=[0] * 7,
    )  # fmt: skip
    found = rows.of_fixes(fixes).tolist()
    assert [rows.rows[k].wearer if k != UNASSIGNED else None for k in found] == [
        None, "ann", "ann", "bob", None, "ann", None,
    ]  # fmt: skip
    assert [row.device for row in rows.of_wearer("ann")] == ["other", "tag"]


def test_no_activations_assign_nothing() -> None:
    fixes = Fixes.of(("tag",), device=[0], time_us=[9], lat_e7=[0], lon_e7=[0])
    assert Activations().of_fixes(fixes).tolist() == [UNASSIGNED]


def test_two_wearers_of_one_device_at_one_time_are_refused() -> None:
    with pytest.raises(InputError, match="device tag is on ann and on bob"):
        Activations([Activation("tag", "ann", 0, 20), Activation("tag", "bob", 19, 30)])


def test_an_activation_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(InputError, match=r"to is .*: device tag: expected later than"):
        Activations([Activation("tag", "ann", 20_000_000, 20_000_000)])


def test_silence_is_the_sum_of_the_plan() -> None:
    assert Activation("tag", "ann", 0).silence_us == 960_000_000


def test_an_error_says_where_and_what() -> None:
    fault = InputError("is odd", field="lat", value="x" * 99, expected="degrees").at("row 3").at("trail.csv")
    assert str(fault) == f"trail.csv, row 3: lat is '{'x' * 58}…: is odd: expected degrees"
    assert str(InputError(field="lat", expected="degrees")) == "lat is missing: expected degrees"


def test_joining_batches_joins_their_device_names() -> None:
    one = Fixes.of(("a", "b"), device=[1, 0], time_us=[1, 2], lat_e7=[1, 2], lon_e7=[0, 0])
    two = Fixes.of(("b", "c"), device=[0, 1], time_us=[3, 4], lat_e7=[3, 4], lon_e7=[0, 0])
    both = concat([one, Fixes.empty(), two])
    assert [both.devices[d] for d in both.device] == ["b", "a", "b", "c"]
    assert both.lat_e7.tolist() == [1, 2, 3, 4]
    assert both.take(np.array([3])).time_us.tolist() == [4]


def test_a_column_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="column lon_e7 has shape"):
        Fixes.of(("a",), device=[0], time_us=[1], lat_e7=[1], lon_e7=[1, 2])


@given(st.lists(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)), st.sampled_from([1, 1000, 1_000_000]))
def test_many_times_are_told_as_each_by_itself(times, step):
    times = [moment // step * step for moment in times if moment // step * step >= -62_135_596_800_000_000]
    assert to_isos(np.array(times, np.int64)) == [to_iso(moment) for moment in times]
