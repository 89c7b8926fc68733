"""Strength of a placement: placements from packed tracks, comparable windows, chance, and the permutation test."""

import json
import math
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.calibration.chance import shuffled, surveyed
from benchmarks.calibration.one_town import real_town
from crime_match.passage import passage_of
from crime_match.strength.chance import chance, period_of
from crime_match.strength.placements import count, mark
from crime_match.strength.routine import routine
from crime_match.strength.series import permute, series
from crime_match.strength.shifts import Calendar, before, shifted, step_days, within_block
from crime_match.strength.survey import events_of, survey
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_time, to_datetime
from tests.property.strength_worlds import (
    FOUR_WEEKS,
    LONDON,
    M_LAT,
    M_LON,
    MONDAY_US,
    asked_at,
    both,
    days_at,
    drawn_rows,
    local,
    question,
    still,
    town,
    trails_of,
    walk,
    windows_of,
)  # fmt: skip

HOME = Path(__file__).resolve().parents[2]


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_counts_and_marks_are_those_of_the_passage(seed):
    rng = np.random.default_rng(seed)
    trails = trails_of([walk(rng, int(rng.integers(1, 400))) for _ in range(int(rng.integers(1, 5)))])
    radius_m, min_fixes = float(rng.choice([1.0, 30.0, 100.0, 5_000.0])), int(rng.integers(1, 4))
    asked = []
    for _ in range(20):
        from_us = MONDAY_US + int(rng.integers(-3_600, 40_000)) * SECOND_US
        to_us = from_us + int(rng.choice([0, 60, 3_600, 40_000])) * SECOND_US
        asked.append(
            question(from_us, to_us, radius_m=radius_m, min_fixes=min_fixes, pad_us=int(rng.choice([0, 600])) * SECOND_US)
        )
    windows = windows_of(asked)
    seen = [passage_of(q, trail) for trail in trails for q in asked]
    n_fixes = [int(passage.has_weight.sum()) for passage in seen]
    n_placing = [int(passage.qualifies.sum()) for passage in seen]
    rows = np.repeat(np.arange(len(trails)), len(asked))
    counted = count(
        trails.tracks, asked[0], rows, np.tile(windows.start_us, len(trails)), np.tile(windows.end_us, len(trails))
    )
    assert counted.n_fixes.tolist() == n_fixes
    assert counted.n_placing.tolist() == n_placing
    bits = 1 << np.arange(len(asked))
    for hours in (None, trails.hours):
        marks = mark(trails.tracks, asked[0], windows, hours)
        assert marks.monitored.tolist() == ((np.array(n_fixes) > 0).reshape(len(trails), -1) @ bits).tolist()
        assert marks.placed.tolist() == ((np.array(n_placing) >= min_fixes).reshape(len(trails), -1) @ bits).tolist()


@pytest.mark.parametrize(
    ("lat", "lon"), [(0.0, 179.9999), (-17.0, -179.99995), (89.9995, 20.0), (69.0, 30.0), (-89.9, 0.0)]
)
def test_the_box_never_hides_a_placing_fix(lat, lon):
    """Around 180 degrees and near the poles too: every fix that the passage counts is counted."""
    rng = np.random.default_rng(7)
    n = 3000
    north, east = rng.normal(0.0, 150.0, (2, n))
    lats = np.clip(lat + north * M_LAT, -90.0, 90.0)
    lons = lon + east * M_LAT / max(math.cos(math.radians(lat)), 1e-3)
    lons = (lons + 180.0) % 360.0 - 180.0
    trails = trails_of([still(MONDAY_US + np.arange(n) * SECOND_US)])
    trails.rows.fixes.lat_e7[:], trails.rows.fixes.lon_e7[:] = np.rint(lats * 1e7), np.rint(lons * 1e7)
    asked = question(MONDAY_US, MONDAY_US + n * SECOND_US, lat=lat, lon=lon)
    expected = int(passage_of(asked, trails[0]).qualifies.sum())
    counted = count(trails.tracks, asked, np.array([0]), np.array([asked.start_us]), np.array([asked.end_us]))
    assert counted.n_placing.tolist() == [expected]
    assert expected > 100
    assert mark(trails.tracks, asked, windows_of([asked]), trails.hours).placed.tolist() == [1]


def test_shifted_windows_keep_the_wall_clock_over_the_change_of_clocks():
    asked = question(local("2026-03-31T22:00"), local("2026-04-01T06:00"))
    found = shifted(asked, [-4, -3, -2, 0], "Europe/London")
    starts = [to_datetime(int(t) + asked.pad_us).astimezone(LONDON).isoformat() for t in found.start_us]
    assert [text[11:16] for text in starts] == ["22:00"] * 4
    lengths_h = ((found.end_us - found.start_us) / HOUR_US - 1 / 3).round(6).tolist()
    assert lengths_h == [8.0, 7.0, 8.0, 8.0]  # the clocks go forward in the night of the 28th
    back = shifted(question(local("2026-10-17T22:00"), local("2026-10-18T06:00")), [7], "Europe/London")
    assert float(back.end_us[0] - back.start_us[0]) / HOUR_US - 1 / 3 == pytest.approx(9.0)
    gap = shifted(question(local("2026-03-28T01:30"), local("2026-03-28T01:30"), pad_us=0), [1], "Europe/London")
    assert gap.start_us.tolist() == gap.end_us.tolist() == [parse_time("2026-03-29T01:00:00Z")]


@given(
    start_min=st.integers(0, 400 * 1440), length_min=st.integers(0, 31 * 1440), days=st.integers(-60, 60),
    zone=st.sampled_from(["Europe/London", "America/Sao_Paulo", "Australia/Lord_Howe", "UTC"]),
)  # fmt: skip
def test_a_shift_moves_the_wall_clock_by_whole_days(start_min, length_min, days, zone):
    tz = ZoneInfo(zone)
    asked = question(MONDAY_US + start_min * MINUTE_US, MONDAY_US + (start_min + length_min) * MINUTE_US)
    found = shifted(asked, [days], zone)
    start_us, end_us = int(found.start_us[0]) + asked.pad_us, int(found.end_us[0]) - asked.pad_us
    assert start_us <= end_us
    if days == 0:
        assert (start_us, end_us) == (asked.from_us, asked.to_us)
    for then_us, now_us in ((asked.from_us, start_us), (asked.to_us, end_us)):
        wall = to_datetime(then_us).astimezone(tz).replace(tzinfo=None) + timedelta(days=days)
        got = to_datetime(now_us).astimezone(tz).replace(tzinfo=None)
        steady = wall.replace(tzinfo=tz).utcoffset() == wall.replace(tzinfo=tz, fold=1).utcoffset()
        assert got == wall or not steady or length_min < 180


def test_the_night_of_friday_is_compared_with_nights_of_monday_to_friday():
    friday = question(local("2026-02-27T23:00"), local("2026-02-28T04:00"))
    found = before(friday, "Europe/London")
    assert len(found.days) == 20
    weekdays = {to_datetime(int(t) + friday.pad_us).weekday() for t in found.start_us}
    assert weekdays == {0, 1, 2, 3, 4}
    saturday = question(local("2026-02-28T00:30"), local("2026-02-28T04:00"))
    assert len(before(saturday, "Europe/London").days) == 8


@pytest.mark.parametrize(
    ("hours", "step", "n"),
    [(8, 1, 20), (23.5, 1, 20), (24, 7, 4), (72, 7, 4), (170, 14, 2), (20 * 24, 21, 1), (30 * 24, 35, 0)],
)
def test_windows_longer_than_a_day_are_shifted_by_whole_weeks(hours, step, n):
    asked = question(local("2026-02-25T10:00"), local("2026-02-25T10:00") + round(hours * HOUR_US))
    found = before(asked, "Europe/London")
    assert (step_days(asked), len(found.days)) == (step, n)
    assert np.all(found.end_us < asked.start_us)
    edges = np.sort(np.concatenate([found.start_us, found.end_us]))
    assert np.all(np.diff(edges) >= 0)


@given(n_days=st.integers(1, 200), own=st.integers(0, 199), hours=st.sampled_from([1, 8, 30]), by_class=st.booleans())
def test_every_day_of_a_block_is_compared_with_the_same_days(n_days, own, hours, by_class):
    """What makes the test exact: whichever of the days was the crime's, the set of days is the same."""
    own %= n_days
    calendar = Calendar(MONDAY_US, MONDAY_US + n_days * DAY_US - SECOND_US, "UTC", by_class)
    from_us = MONDAY_US + own * DAY_US + 9 * HOUR_US
    asked = question(from_us, from_us + hours * HOUR_US)
    found = within_block(asked, calendar)
    assert 1 <= len(found.days) <= 63
    if asked.end_us > calendar.last_us:
        return
    for days in found.days.tolist():
        again = question(from_us + days * DAY_US, from_us + days * DAY_US + hours * HOUR_US)
        other = within_block(again, calendar)
        assert other.start_us.tolist() == found.start_us.tolist()
        assert (other.days + days).tolist() == found.days.tolist()


def test_routine_counts_only_windows_in_which_he_was_monitored():
    """28 days; monitored on 10 of the 20 weekdays before, at the place on 3 of them, far away otherwise; weekends do not count."""
    weekdays = [d for d in range(28) if d % 7 < 5]
    here, away = weekdays[4:7], weekdays[7:14]
    trails = trails_of([both(days_at(here, 10), days_at(away, 10, north=5000.0), days_at([5, 6, 28], 10))])
    asked = question(MONDAY_US + 28 * DAY_US + 10 * HOUR_US, MONDAY_US + 28 * DAY_US + 10 * HOUR_US + 20 * MINUTE_US)
    found = routine(trails.tracks, asked, 0)
    assert found == {
        "windows": 10, "placed": 3, "days": 28, "weekdays": "monday to friday", "every_days": 1, "timezone": "Europe/London",
        "left_out": {"unmonitored": 10},
    }  # fmt: skip
    long = question(asked.from_us, asked.to_us + 30 * DAY_US)
    assert routine(trails.tracks, long, 0)["windows"] == 0
    assert "too long" in routine(trails.tracks, long, 0)["reason"]


def test_who_lives_next_door_is_there_every_night():
    trails = trails_of([days_at(range(29), 22, 60, north=30.0), days_at(range(29), 22, 60, north=3000.0)])
    asked = question(MONDAY_US + 28 * DAY_US + 22 * HOUR_US, MONDAY_US + 28 * DAY_US + 23 * HOUR_US)
    near, far = (routine(trails.tracks, asked, k) for k in (0, 1))
    assert (near["windows"], near["placed"]) == (20, 20)
    assert (far["windows"], far["placed"]) == (20, 0)


def test_chance_is_the_sum_of_the_wearers_own_rates():
    """Nine weekdays beside the crime's: one is there on 3 of 9, one on 1 of 2, one never, one is not monitored now."""
    weekdays = [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]
    crime = 7
    others = [d for d in weekdays if d != crime]
    trails = trails_of([
        both(days_at([*others[:3], crime], 10), days_at(others[3:], 10, north=4000.0)),
        both(days_at([0], 10), days_at([1, crime], 10, north=4000.0)),
        days_at(sorted([*weekdays, 5, 6, 12, 13]), 10, east=9000.0),
        days_at(others, 10),
    ])  # fmt: skip
    asked = question(MONDAY_US + crime * DAY_US + 10 * HOUR_US, MONDAY_US + crime * DAY_US + 10 * HOUR_US + 20 * MINUTE_US)
    calendar = Calendar(MONDAY_US, MONDAY_US + 14 * DAY_US)
    found = chance(trails.tracks, asked, calendar)
    assert found == {
        "days": 9, "days_with_placed": 9, "wearer_windows": 29, "placed": 13, "rate": round(13 / 29, 9), "monitored": 3,
        "expected": round(4 / 10 + 1 / 3, 6),
    }  # fmt: skip
    assert chance(trails.tracks, asked, calendar, trails.hours) == found


def test_chance_says_why_there_is_no_figure():
    trails = trails_of([days_at([0], 10)])
    asked = question(MONDAY_US + 10 * HOUR_US, MONDAY_US + 11 * HOUR_US)
    found = chance(trails.tracks, asked, Calendar(*period_of(trails.tracks)))
    assert (found["days"], found["expected"]) == (0, None)
    assert "no other day" in found["reason"]


def test_p_values_are_uniform_or_conservative_under_the_null():
    """400 batches: p <= alpha no more often than alpha for a wearer, and for the least of all wearers after adjusting."""
    rng = np.random.default_rng(11)
    single, adjusted = [], []
    for seed in range(400):
        rows = drawn_rows(rng, 8, 12, 20)
        found = permute(rows, 8, [20] * 8, 199, seed)
        single += ((1 + found.as_many) / 200).tolist()
        adjusted.append(((1 + found.as_small) / 200).min())
    for alpha in (0.01, 0.05, 0.1, 0.2):
        for values in (single, adjusted):
            over = int(np.sum(np.array(values) <= alpha))
            assert stats.binom.sf(over - 1, len(values), alpha) > 1e-4, (alpha, over, len(values))
    assert np.mean(np.array(adjusted) <= 0.2) > 0.1  # conservative, not mute


def test_permuted_counts_agree_with_the_exact_chance():
    rows = drawn_rows(np.random.default_rng(3), 10, 8, 25)
    found = permute(rows, 10, [25] * 10, 20_000, 5)
    p = found.as_many / 20_000
    error = np.sqrt(found.tail * (1.0 - found.tail) / 20_000)
    assert np.all(np.abs(p - found.tail) <= 5.0 * error + 1e-9)
    for k, w in enumerate(found.wearer.tolist()):
        mine = rows.wearer == w
        shares = np.bitwise_count(rows.placed[mine]) / np.bitwise_count(rows.monitored[mine])
        pmf = np.ones(1)
        for share in shares:
            pmf = np.convolve(pmf, [1.0 - share, share])
        assert found.tail[k] == pytest.approx(pmf[int(found.n_placed[k]) :].sum(), rel=1e-9)
        assert found.expected[k] == pytest.approx(shares.sum())


def test_a_planted_burglar_at_three_of_ten_crimes_is_found():
    rng = np.random.default_rng(42)
    days = rng.permutation([d for d in range(28) if d % 7 < 5])[:10].tolist()
    places = [(d, *rng.uniform(-2500.0, 2500.0, 2)) for d in days]
    trails = trails_of(town(rng, 40, 28, places[:3], burglar=17))
    crimes = [(f"c{k}", asked_at(*place)) for k, place in enumerate(places)]
    calendar = Calendar(*period_of(trails.tracks))
    found = series(survey(trails.tracks, crimes, calendar, trails.hours), crimes, trails.wearers)
    first = found["ranked"][0]
    assert (first["wearer"], set(first["crimes"])) == ("w17", {"c0", "c1", "c2"})
    assert first["p_adjusted"] <= 0.05
    assert first["expected"] < 0.3
    assert (found["crimes"], found["events"], found["wearers"]) == (10, 10, 40)
    again = series(survey(trails.tracks, crimes[::-1], calendar), crimes[::-1], trails.wearers)
    assert json.dumps(again) == json.dumps(found)


def test_the_neighbour_of_many_crimes_is_not_surprising():
    """He lives beside all five: placed at each, and would be on any day."""
    trails = trails_of([days_at(range(28), 14, 60, north=20.0), days_at(range(28), 14, 60, north=4000.0)])
    crimes = [(f"c{d}", asked_at(d, 0.0, 3.0 * d)) for d in (1, 3, 8, 9, 15)]
    found = series(survey(trails.tracks, crimes, FOUR_WEEKS), crimes, trails.wearers)
    (row,) = found["ranked"]
    assert (row["events"], row["p"], row["p_exact"], row["p_adjusted"]) == (5, 1.0, 1.0, 1.0)
    assert row["expected"] == pytest.approx(5.0)


def test_crimes_of_one_event_count_once_and_move_together():
    near = [("a", asked_at(7, 0.0, 0.0)), ("b", asked_at(7, 90.0, 0.0)), ("c", asked_at(7, 250.0, 0.0))]
    far = [("d", asked_at(7, 700.0, 0.0)), ("e", asked_at(8, 0.0, 0.0))]
    crimes = [*far, *near]
    named = [[crimes[k][0] for k in event] for event in events_of(crimes)]
    assert sorted(named) == [["a", "b", "c"], ["d"], ["e"]]
    trails = trails_of([both(days_at([7], 14), days_at([d for d in range(14) if d != 7], 14, north=5000.0))])
    found = series(survey(trails.tracks, near, FOUR_WEEKS._replace(last_us=MONDAY_US + 14 * DAY_US)), near, trails.wearers)
    (row,) = found["ranked"]
    assert (row["crimes"], row["events"]) == (["a", "b"], 1)
    assert row["expected"] == pytest.approx(0.1)
    assert found["same_event"] == [["a", "b", "c"]]


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_events_are_the_connected_crimes(seed):
    rng = np.random.default_rng(seed)
    crimes = [
        (
            f"c{k}",
            asked_at(
                int(rng.integers(3)), *rng.uniform(0, 1500, 2), hour=int(rng.integers(24)), minutes=int(rng.integers(600))
            ),
        )
        for k in range(25)
    ]
    events = events_of(crimes)
    assert sorted(k for event in events for k in event) == list(range(25))
    number = {k: e for e, event in enumerate(events) for k in event}
    joined = {k: {k} for k in range(25)}
    for i in range(25):
        for j in range(25):
            one, two = crimes[i][1], crimes[j][1]
            apart = math.hypot((one.lat - two.lat) / M_LAT, (one.lon - two.lon) / M_LON)
            if one.start_us <= two.end_us and two.start_us <= one.end_us and apart < 199.0:
                assert number[i] == number[j]
                joined[i].add(j)
    reached = {0}
    while (more := set().union(*(joined[k] for k in reached))) != reached:
        reached = more
    if all(number[k] != number[0] or k in reached for k in range(25)):
        return
    assert any(  # an edge between 199 m and 201 m, which the plane of this test cannot tell
        abs(math.hypot((a.lat - b.lat) / M_LAT, (a.lon - b.lon) / M_LON) - 200.0) < 2.0
        for _, a in crimes for _, b in crimes
    )  # fmt: skip


SCENE = """
import json
import numpy as np
from crime_match.strength.company_kernels import closest_pair
from crime_match.strength.placements import mark
from crime_match.strength.series import permute
from crime_match.strength.survey import events_of
from tests.property import strength_worlds as worlds
rng = np.random.default_rng(5)
trails = worlds.trails_of([worlds.walk(rng, 150) for _ in range(3)])
found = permute(worlds.drawn_rows(rng, 5, 6, 20), 5, [20] * 5, 30, 9)
asked = worlds.question(worlds.MONDAY_US + worlds.HOUR_US, worlds.MONDAY_US + 3 * worlds.HOUR_US)
marks = [mark(trails.tracks, asked, worlds.windows_of([asked]), hours) for hours in (None, trails.hours)]
near = closest_pair(*((t.fixes.time_us, t.fixes.lat_e7, t.fixes.lon_e7) for t in (trails[0], trails[1])), 150_000_000)
crimes = [(str(k), worlds.asked_at(0, 60.0 * k, 0.0)) for k in range(8)]
print(json.dumps([[column.tolist() for column in each] for each in (*marks, found)]), near, events_of(crimes))
"""


def test_with_and_without_the_compiler_the_answers_are_the_same():
    said = {
        off: subprocess.run(
            [sys.executable, "-W", "error", "-c", SCENE], cwd=HOME, env=os.environ | {"NUMBA_DISABLE_JIT": off},
            capture_output=True, text=True, check=True,
        ).stdout
        for off in ("0", "1")
    }  # fmt: skip
    assert said["0"] == said["1"]


def calibrated(found, n_least):
    """Placed by chance and the figure for it, added up over the crimes that have one."""
    rows = [k for k, row in enumerate(found.chance) if row["expected"] is not None]
    placed = sum(len(found.placed[k]) for k in rows)
    assert placed >= n_least
    return sum(found.chance[k]["expected"] for k in rows) / placed


def test_chance_is_right_for_shuffled_crimes_in_a_town():
    """Homes and shops, crimes beside them at any time: at least 400 placed by chance, the figure within a tenth."""
    rng = np.random.default_rng(8)
    trails = trails_of(town(rng, 40, 28))
    fixes, crimes = trails.rows.fixes, []
    for row in rng.integers(0, len(fixes), 1000).tolist():
        from_us = MONDAY_US + int(rng.integers(1, 27 * 1440)) * MINUTE_US
        place = {"lat": fixes.lat_e7[row] / 1e7 + float(rng.uniform(-60.0, 60.0)) * M_LAT, "lon": fixes.lon_e7[row] / 1e7}
        crimes.append((str(len(crimes)), question(from_us, from_us + int(rng.choice([10, 60, 480])) * MINUTE_US, **place)))
    assert calibrated(survey(trails.tracks, crimes, FOUR_WEEKS, trails.hours), 400) == pytest.approx(1.0, abs=0.1)


def test_chance_is_right_for_shuffled_crimes_on_real_trails(shared_data):
    found = real_town(shared_data)
    if found is None:
        pytest.skip("the phones are not in the real data folder")
    crimes = shuffled(found, 1600, np.random.default_rng(21))
    assert calibrated(surveyed(found, crimes), 400) == pytest.approx(1.0, abs=0.2)
