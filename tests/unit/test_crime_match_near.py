"""Who was near: verdicts, support, visits, what every match carries, and the form of its JSON."""

import json
import math

import numpy as np
import pytest
from pyproj import Geod

from crime_match.near import match_of, near
from crime_match.question import Question
from crime_match.trails import WearerTrail
from crime_match.visits import label_of
from engine.activations import Activation
from engine.events import DeviceEvent
from engine.fixes import ABSENT, SOURCES, Fixes
from engine.flags import CLOCK_WRONG, IMPLAUSIBLE, SAME_TIME
from engine.times import MINUTE_US, SECOND_US, parse_time, to_iso

WGS84 = Geod(ellps="WGS84")
LAT, LON = 51.5, -0.1
FROM_US = parse_time("2026-03-01T10:00:00Z")
TO_US = FROM_US + 30 * MINUTE_US
ALWAYS = (Activation("tag", "w", 0),)

KEYS = [
    "wearer", "device", "verdict", "support", "closest_m", "closest_at", "n_fixes", "visits", "dwell_s", "probability",
    "required_speed_mps", "coverage", "worst_gap_s", "sources", "fixes", "parameters", "reasons", "before", "after",
]  # fmt: skip


def question(**changed):
    return Question(**{"lat": LAT, "lon": LON, "from_us": FROM_US, "to_us": TO_US} | changed)


def trail(rows, wearer="w", activations=ALWAYS, events=(), exclusion_m=None):
    """Rows of (minute after 10:00, metres east, metres north[, accuracy_m[, source[, flags]]]); accuracy None: absent."""
    full = [(*row, *(10.0, "gps", 0)[len(row) - 3 :]) for row in rows]
    n = len(full)
    lons, lats = [], []
    for _, east, north, *_ in full:
        lon, lat, _ = WGS84.fwd(LON, LAT, math.degrees(math.atan2(east, north)), math.hypot(east, north))
        lons.append(round(lon * 1e7))
        lats.append(round(lat * 1e7))
    fixes = Fixes.of(
        ("other", "tag"), device=np.ones(n), time_us=[FROM_US + round(row[0] * 60) * SECOND_US for row in full],
        lat_e7=lats, lon_e7=lons, source=[SOURCES[row[4]] for row in full],
        accuracy_cm=[ABSENT if row[3] is None else round(row[3] * 100) for row in full],
    )  # fmt: skip
    radius_m = np.array([15.0 if row[3] is None else row[3] for row in full], np.float64)
    exclusion = np.maximum(radius_m * 8, 16.0) if exclusion_m is None else np.full(n, exclusion_m)
    flags = np.array([row[5] for row in full], np.uint8)
    return WearerTrail(
        wearer,
        ("tag",),
        fixes,
        flags,
        radius_m / 2.45,
        radius_m,
        exclusion,
        np.zeros(len(fixes), np.uint8),
        np.full(len(fixes), 960_000_000),
        activations,
        events,
    )


def away(east=50_000.0, step=1, **kwargs):
    """Fixes every `step` minutes from 9:00 to 11:30, all at one place far off."""
    return trail([(minute, east, 0.0) for minute in range(-60, 91, step)], **kwargs)


def test_placed_by_one_fix_whose_circle_lies_half_inside():
    match = match_of(question(), trail([(-60, 900, 0), (5, 95, 0, 50), (60, 900, 0)]))
    assert (match.verdict, match.support, match.n_fixes) == ("placed", "weak", 1)
    assert match.required_speed_mps is None
    assert match.fixes[0]["share"] == pytest.approx(0.505, abs=0.005)
    outside = match_of(question(), trail([(-60, 900, 0), (5, 96, 0, 50), (60, 900, 0)]))
    assert (outside.verdict, outside.n_fixes) == ("possible", 0)


def test_min_fixes_leaves_a_single_fix_possible_and_says_so():
    match = match_of(question(min_fixes=2), trail([(5, 0, 0)]))
    assert (match.verdict, match.n_fixes, match.required_speed_mps) == ("possible", 1, 0.0)
    assert "fewer than the 2 that place" in match.reasons[0]


def test_padding_belongs_to_the_window_with_its_edges():
    assert match_of(question(), trail([(-10, 0, 0)])).verdict == "placed"
    assert match_of(question(), trail([(40, 0, 0)])).verdict == "placed"
    assert match_of(question(), trail([(-11, 0, 0)])).verdict == "unmonitored"


def test_placing_uses_the_vicinity_and_possible_the_widened_one():
    rows = [(minute, 300.0, 0.0) for minute in range(-20, 60)]
    slow = {"max_speed_mps": 0.05}
    assert match_of(question(**slow), trail(rows, exclusion_m=20.0)).verdict == "excluded"
    wide = match_of(question(uncertainty_m=250.0, **slow), trail(rows, exclusion_m=20.0))
    assert (wide.verdict, wide.n_fixes) == ("possible", 0)


def test_a_fix_without_weight_never_places():
    match = match_of(question(), trail([(5, 0, 0, 10, "gps", IMPLAUSIBLE)]))
    assert match.verdict == "unmonitored"
    assert match.fixes[0]["flags"] == ["implausible"]
    assert match.closest_m is None
    assert match_of(question(), trail([(5, 0, 0, 10, "gps", SAME_TIME)])).verdict == "placed"


def test_a_radius_of_zero_is_a_point_and_an_absent_one_is_assumed():
    assert match_of(question(), trail([(5, 99.9, 0, 0)])).verdict == "placed"
    assert match_of(question(), trail([(5, 100.1, 0, 0)])).verdict == "possible"
    fix = match_of(question(), trail([(5, 50, 0, None)])).fixes[0]
    assert (fix["accuracy_m"], fix["radius_m"], fix["assumed_radius"]) == (None, 15.0, True)


def test_support_needs_the_filter_and_two_fixes():
    rows = [(5, 0, 0), (6, 10, 0), (7, 5000, 0)]
    sure = match_of(question(), trail(rows), lambda *_: np.array([0.9, 0.95, 0.97]))
    assert (sure.support, sure.probability) == ("strong", 0.97)
    one = match_of(question(), trail(rows), lambda *_: np.array([0.9, 0.95, np.nan]))
    assert (one.support, one.probability) == ("weak", 0.95)
    assert one.fixes[2]["p"] is None
    unknown = match_of(question(), trail(rows))
    assert (unknown.support, unknown.probability) == ("weak", None)


def test_mast_fixes_alone_are_cell_however_sure():
    rows = [(5, 0, 0, 80, "lbs"), (6, 0, 0, 80, "lbs")]
    sure = match_of(question(), trail(rows), lambda *_: np.ones(2))
    assert (sure.verdict, sure.support) == ("placed", "cell")
    mixed = match_of(question(), trail([*rows, (7, 0, 0)]), lambda *_: np.ones(3))
    assert mixed.support == "strong"


def test_presence_sees_vicinity_and_whole_trail():
    seen = []

    def presence(wearer_trail, first, last, lat_e7, lon_e7, radius_m):
        seen.append((len(wearer_trail.fixes), first, last, lat_e7, lon_e7, radius_m))
        return np.zeros(last - first)

    match_of(question(radius_m=80.0, uncertainty_m=30.0), trail([(-60, 0, 0), (5, 0, 0)]), presence)
    assert seen == [(2, 1, 2, 515_000_000, -1_000_000, 80.0)]
    with pytest.raises(ValueError, match="shape"):
        match_of(question(), trail([(5, 0, 0)]), lambda *_: np.zeros(2))


def test_excluded_far_away_all_along_with_the_speed_it_would_have_taken():
    match = match_of(question(), away())
    assert match.verdict == "excluded"
    # There and back between two fixes a minute apart: 2 x (50 km - 100 m - 80 m) in 60 s.
    assert match.required_speed_mps == pytest.approx(2 * (50_000 - 180) / 60, abs=0.02)
    assert (match.coverage, match.worst_gap_s) == (1.0, 60.0)
    assert match.reasons == ["presence would need at least 1660.67 m/s, more than the maximum of 55 m/s"]


def test_a_hole_long_enough_to_come_and_go_makes_it_possible():
    rows = [(minute, 20_000.0, 0.0) for minute in range(-60, 91) if not 0 < minute < 13]
    match = match_of(question(), trail(rows))
    assert match.verdict == "possible"
    assert match.required_speed_mps == pytest.approx(2 * (20_000 - 180) / (13 * 60), abs=0.02)
    assert match.required_speed_mps <= 55


def test_who_need_not_have_moved_to_be_there_is_told_so_in_words():
    match = match_of(question(), trail([(minute, 230, 0, 20) for minute in range(-60, 91, 10)]))  # exclusion radius 160 m
    assert (match.verdict, match.required_speed_mps) == ("possible", 0.0)
    assert match.reasons == [
        "presence would need no movement: the exclusion circles of the fixes next to it in time reach into the vicinity"
    ]


@pytest.mark.parametrize("sides", ["both", "before", "after"])
def test_without_a_fix_in_the_window_its_sides_may_still_exclude(sides):
    before, after = [(-11, 300_000, 0)], [(41, 300_000, 0)]
    far = {"both": before + after, "before": before, "after": after}[sides]
    assert match_of(question(), trail(far)).verdict == "excluded"
    near_by = match_of(question(), trail([(minute, 60_000, 0) for minute, *_ in far]))
    assert (near_by.verdict, near_by.required_speed_mps) == ("unmonitored", None)


def test_a_wearer_without_fixes_is_unmonitored_not_an_error():
    match = match_of(question(), trail([]))
    assert match.verdict == "unmonitored"
    assert (match.coverage, match.worst_gap_s, match.device) == (0.0, 3000.0, "tag")
    assert "no fix bounds where the wearer could have been" in match.reasons
    json.loads(match.to_json())


def event(minute, kind, value="", device="tag"):
    return DeviceEvent(device, FROM_US + minute * MINUTE_US, kind, value)


def until(minute, start=-1000):
    return Activation("tag", "w", FROM_US + start * MINUTE_US, FROM_US + minute * MINUTE_US)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([event(-500, "strap_tamper")], "strap tamper of tag since 2026-03-01T01:40:00.000Z"),
        ([event(39, "strap_tamper")], "strap tamper"),
        ([event(-30, "power_off")], "power of tag off"),
        ([event(-30, "power_off"), event(5, "power_on")], "power of tag off"),
        ([event(5, "power_off"), event(6, "power_on")], "power of tag off"),
        ([event(5, "fault", "17")], "fault 17 of tag"),
    ],
)  # fmt: skip
def test_a_tag_that_was_not_on_throughout_excludes_nobody(events, said):
    match = match_of(question(), away(events=events))
    assert match.verdict == "possible"
    assert match.reasons[-1].startswith(f"not excluded: {said}")
    assert match.required_speed_mps > 55


@pytest.mark.parametrize(
    "events",
    [
        [event(60, "strap_tamper")], [event(41, "power_off")], [event(-30, "power_off"), event(-20, "power_on")],
        [event(-500, "fault")], [event(41, "fault")], [event(5, "battery", "50")], [event(5, "case_tamper")],
        [event(5, "strap_tamper", device="someone else's")],
    ],
)  # fmt: skip
def test_what_does_not_touch_the_window_does_not_hinder(events):
    assert match_of(question(), away(events=events)).verdict == "excluded"


def test_a_tamper_of_the_wearer_before_does_not_hinder():
    activations = [
        Activation("tag", "before", 0, FROM_US - 100 * MINUTE_US),
        Activation("tag", "w", FROM_US - 90 * MINUTE_US),
    ]
    assert (
        match_of(question(), away(activations=activations[1:], events=[event(-500, "strap_tamper")])).verdict == "excluded"
    )


def test_a_fix_sent_after_a_tampering_bounds_nobody():
    """Tampered with after the window, before the only fix that follows: that fix is where the tag was."""
    rows = [(-20, 100_000, 0), (-9, 100_000, 0), (70, 100_000, 0)]
    assert match_of(question(), trail(rows)).verdict == "possible"
    rows = [(-20, 300_000, 0), (-9, 300_000, 0), (70, 300_000, 0)]
    assert match_of(question(), trail(rows)).verdict == "excluded"
    match = match_of(question(), trail(rows, events=[event(60, "strap_tamper")]))
    assert match.verdict == "possible"
    assert "strap tamper" in match.reasons[-1]


@pytest.mark.parametrize("activations", [(), (until(40),), (until(5), until(1000, start=5)), (until(1000, start=-9),)])
def test_one_activation_must_cover_the_window_to_its_last_instant(activations):
    match = match_of(question(), away(activations=activations))
    assert match.verdict == "possible"
    assert match.reasons[-1] == "not excluded: no one activation covers the whole window"


def test_a_wrong_clock_in_the_window_hinders_and_before_it_only_until_a_good_fix():
    rows = [(minute, 50_000.0, 0.0) for minute in range(-60, 91)]
    wrong = [*rows[:70], (9.5, 50_000.0, 0.0, 10, "gps", CLOCK_WRONG), *rows[70:]]
    match = match_of(question(), trail(wrong))
    assert match.verdict == "possible"
    assert match.reasons[-1] == "not excluded: clock of tag wrong at 2026-03-01T10:09:30.000Z"
    early = [*rows[:41], (-19.5, 50_000.0, 0.0, 10, "gps", CLOCK_WRONG), *rows[41:]]
    assert match_of(question(), trail(early)).verdict == "excluded"


def test_contradictory_fixes_are_told():
    rows = [(minute, 60_000.0 if minute < 10 else 120_000.0, 0.0) for minute in range(-60, 91)]
    match = match_of(question(), trail(rows))
    assert "contradict each other" in " ".join(match.reasons)


def test_a_maximum_speed_below_the_wearers_own_excludes_nobody():
    rows = [(minute, 35.0 * 60 * minute, 30_000.0) for minute in range(-60, 91)]
    motorway = trail(rows, exclusion_m=40.0)
    slow, fast = match_of(question(max_speed_mps=30.0), motorway), match_of(question(), motorway)
    assert (slow.verdict, fast.verdict) == ("possible", "excluded")
    assert slow.required_speed_mps == fast.required_speed_mps > 900
    assert "so many fixes contradict each other" in slow.reasons[0]


def test_visits_labels_bearings_and_dwell():
    rows = [
        (-20, 0, -5000), (0, 0, -900), (1, 0, -50), (2, 0, 0), (2.5, 9000, 0, 10, "gps", IMPLAUSIBLE), (3, 50, 0),
        (4, 900, 0), (8, 60, 0), (9, 0, 900),
    ]  # fmt: skip
    match = match_of(question(), trail(rows))
    assert [(v["label"], v["n_fixes"]) for v in match.visits] == [("A", 3), ("B", 1)]
    assert match.visits[0]["entered"] == to_iso(FROM_US + MINUTE_US)
    assert match.visits[0]["left"] == to_iso(FROM_US + 3 * MINUTE_US)
    assert match.visits[0]["entry_bearing_deg"] == pytest.approx(0.0, abs=0.1)
    assert match.visits[0]["exit_bearing_deg"] == pytest.approx(90.0, abs=0.1)
    assert match.visits[1]["entry_bearing_deg"] == pytest.approx(270.0, abs=0.1)
    assert [fix["label"] for fix in match.fixes] == [None, "A1", "A2", None, "A3", None, "B1", None]
    assert match.dwell_s == 120.0
    assert (match.closest_m, match.closest_at) == (0.0, to_iso(FROM_US + 2 * MINUTE_US))


def test_a_way_in_from_before_the_window_has_its_bearing():
    match = match_of(question(), trail([(-11, -900, 0), (-9, 0, 0)]))
    assert match.visits[0]["entry_bearing_deg"] == pytest.approx(90.0, abs=0.1)
    assert match.visits[0]["exit_bearing_deg"] is None
    assert match.before["distance_m"] == pytest.approx(900, abs=0.01)
    assert match.after is None


def test_labels_go_on_past_z():
    assert [label_of(k) for k in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


def test_coverage_and_worst_gap():
    match = match_of(question(), trail([(-11, 0, 0), (10, 0, 0), (10.5, 0, 0)]))
    # 1.5 min from the fix before the window, then 2.5 + 0.5 + 2.5 min of 50.
    assert match.coverage == pytest.approx((1.5 + 5.5) / 50)
    assert match.worst_gap_s == 29.5 * 60
    instant = match_of(question(to_us=FROM_US, pad_us=0), trail([(1, 0, 0)]))
    assert (instant.coverage, instant.worst_gap_s) == (1.0, 0.0)


def test_sources_count_fixes_that_carry_weight():
    rows = [(1, 0, 0), (2, 0, 0, 30, "wifi"), (3, 0, 0), (4, 0, 0, 10, "gps", CLOCK_WRONG)]
    assert match_of(question(), trail(rows)).sources == {"gps": 2, "wifi": 1}


def test_order_is_verdict_then_closest_then_wearer():
    trails = [
        trail([], wearer="nothing"), away(wearer="far"), trail([(5, 40, 0)], wearer="b"), trail([(5, 40, 0)], wearer="a"),
        trail([(5, 10, 0)], wearer="c"), trail([(5, 700, 0)], wearer="maybe"),
    ]  # fmt: skip
    matches = near(question(), trails)
    assert [m.wearer for m in matches] == ["c", "a", "b", "maybe", "far", "nothing"]
    assert [m.verdict for m in matches] == ["placed"] * 3 + ["possible", "excluded", "unmonitored"]


def test_json_has_the_keys_of_the_contract_in_order():
    record = json.loads(match_of(question(), trail([(5, 0, 0)])).to_json())
    assert list(record) == KEYS
    assert list(record["fixes"][0])[:6] == ["time", "lat", "lon", "accuracy_m", "source", "p"]
    assert list(record["visits"][0]) == ["label", "entered", "left", "entry_bearing_deg", "exit_bearing_deg", "n_fixes"]
    assert record["parameters"]["max_speed_mps"] == 55.0


def test_the_same_input_gives_the_same_bytes_wearers_in_any_order():
    trails = [trail([(5, 40, 0)], wearer=name) for name in "cab"]
    one, two = near(question(), trails), near(question(), trails[::-1])
    assert [m.to_json() for m in one] == [m.to_json() for m in two]
