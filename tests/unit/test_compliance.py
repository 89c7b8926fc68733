"""Compliance by hand-made scenes and against the truth of a simulated town: what each night is called, and nobody is lost."""

from __future__ import annotations

import io
import json
from collections import Counter
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from alerts.compliance import VERDICTS, Period, Window, presence_windows, time_in, verdict_of, zone_stays
from alerts.tag_care import DeviceRows, tag_care
from engine.activations import Activation, Activations
from engine.errors import InputError
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.times import HOUR_US, MINUTE_US, parse_time
from engine.wearers import Wearer
from geofence.curfew import Curfew, read_curfews
from geofence.episodes import OPEN_US, Episode
from geofence.filter import IN, OUT, SINGLE, UNKNOWN
from geofence.zone import Zone, read_zones
from tagwatch.compliance import Inquiry, Report, from_files
from tagwatch.compliance_table import records, show, write_csv
from tagwatch.monitor import Conditions

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MONDAY = date(2026, 1, 5)
ALWAYS = [(-(2**62), 2**62)]


def at(minute: float, night: str = "2026-01-05") -> int:
    """Minutes after 22:00 UTC of a night."""
    return parse_time(f"{night}T22:00:00Z") + round(minute * MINUTE_US)


def period(as_of: float = 2000, first: date = MONDAY, last: date = MONDAY) -> Period:
    return Period(first, last, at(as_of))


def curfew(**more: Any) -> Curfew:
    row = {
        "id": "c", "wearer": "tag", "place": {"lat": 53, "lon": -1, "radius_m": 80}, "timezone": "Europe/London",
        "weekly": [{"days": DAYS, "start": "22:00", "end": "06:00"}],
    }  # fmt: skip
    return read_curfews([row | more])[0]


def states(*pieces: tuple[int, float]) -> list[Episode]:
    """(state, minute at which it begins)"""
    ends = [*(at(minute) for _, minute in pieces[1:]), OPEN_US][: len(pieces)]
    return [Episode(state, at(minute), end) for (state, minute), end in zip(pieces, ends, strict=True)]


def night(every: list[Episode], monitored: Any = ALWAYS, as_of: float = 2000, **more: Any) -> Window:
    (window,) = presence_windows([(curfew(**more), every)], monitored, period(as_of))
    return window


def minutes(window: Window) -> tuple[float, float, float]:
    return window.in_us / MINUTE_US, window.out_us / MINUTE_US, window.unknown_us / MINUTE_US


@pytest.mark.parametrize(
    ("pieces", "verdict", "spent"),
    [
        ([(IN, -60)], "kept", (480, 0, 0)),
        ([(IN, -60), (OUT, 100), (IN, 110)], "kept", (470, 10, 0)),
        ([(IN, -60), (OUT, 100), (IN, 111)], "partly_kept", (469, 11, 0)),
        ([(OUT, -60), (IN, 475)], "partly_kept", (5, 475, 0)),
        ([(OUT, -60)], "missed", (0, 480, 0)),
        ([(IN, -60), (UNKNOWN, 100), (IN, 130)], "kept", (450, 0, 30)),
        ([(IN, -60), (UNKNOWN, 100), (IN, 131)], "not_verifiable", (449, 0, 31)),
        ([(UNKNOWN, -60)], "not_verifiable", (0, 0, 480)),
        ([], "not_verifiable", (0, 0, 480)),
        ([(IN, -60), (UNKNOWN, 100), (OUT, 200), (IN, 300)], "partly_kept", (280, 100, 100)),
        ([(OUT, -60), (UNKNOWN, 240)], "missed", (0, 240, 240)),
        ([(OUT, -60), (UNKNOWN, 200)], "partly_kept", (0, 200, 280)),
        ([(SINGLE, -60)], "not_verifiable", (0, 0, 480)),
    ],
)  # fmt: skip
def test_what_a_night_is_called(pieces: Any, verdict: str, spent: tuple[float, ...]) -> None:
    window = night(states(*pieces), grace_minutes=10)
    assert (window.verdict, minutes(window), window.day) == (verdict, spent, MONDAY)


@given(st.integers(0, 600), st.integers(0, 600), st.integers(0, 600), st.integers(0, 60), st.integers(0, 120))
def test_kept_is_never_said_of_what_nobody_could_verify(i: int, o: int, u: int, grace: int, limit: int) -> None:
    verdict = verdict_of(i, o, u, grace, limit)
    assert verdict in VERDICTS
    assert (verdict == "kept") <= (o <= grace and u <= limit and 2 * u <= i + o + u)
    assert (verdict in ("missed", "partly_kept")) == (o > grace)
    assert (verdict == "missed") <= (i == 0 and o >= u)


def test_a_night_that_is_not_over_is_running_and_one_to_come_is_not_listed() -> None:
    assert night(states((IN, -60)), as_of=300).verdict == "running"
    assert minutes(night(states((IN, -60)), as_of=300)) == (300, 0, 0)
    assert night(states((IN, -60)), as_of=480).verdict == "kept"
    assert presence_windows([(curfew(), [])], ALWAYS, period(0)) == []


def test_only_the_monitored_part_is_judged() -> None:
    every = states((OUT, -60), (IN, 240))
    fitted = night(every, [(at(240), at(9000))])
    assert (fitted.verdict, minutes(fitted)) == ("kept", (240, 0, 0))
    never = night(every, [(at(480), at(9000))])
    assert (never.verdict, minutes(never)) == ("not_monitored", (0, 0, 0))


def test_leave_is_cut_out_and_a_night_of_it_is_excused() -> None:
    leave = {"kind": "authorised", "reason": "work"}
    every = states((IN, -60), (OUT, 60), (IN, 180))
    window = night(every, exceptions=[{**leave, "from": "2026-01-05T23:00", "to": "2026-01-06T01:00"}])
    assert (window.verdict, minutes(window), window.authorised_us) == ("kept", (360, 0, 0), 2 * HOUR_US)
    assert (window.start_us, window.end_us) == (at(0), at(480))
    whole = night(every, exceptions=[{**leave, "from": "2026-01-05T20:00", "to": "2026-01-06T07:00"}])
    assert (whole.verdict, whole.authorised_us) == ("excused", 8 * HOUR_US)


def test_a_window_over_a_change_of_version_is_one() -> None:
    one, two = curfew(grace_minutes=10), curfew(weekly=[{"days": DAYS, "start": "21:00", "end": "06:00"}])
    change = at(240)
    versions = [(one._replace(holds=(-(2**62), change)), states((OUT, -60), (IN, 30))),
                (two._replace(holds=(change, 2**62)), states((IN, -60), (OUT, 300)))]  # fmt: skip
    windows = presence_windows(versions, ALWAYS, period(2000, MONDAY, date(2026, 1, 6)))
    assert [(w.start_us, w.end_us, w.verdict) for w in windows] == [
        (at(0), at(480), "partly_kept"), (at(23 * 60), at(32 * 60), "missed"),
    ]  # fmt: skip
    assert minutes(windows[0]) == (210 + 60, 30 + 180, 0)


def test_nights_are_told_by_the_local_day_they_start_on_and_last_as_long_as_the_clock_says() -> None:
    early = presence_windows([(curfew(weekly=[{"days": DAYS, "start": "00:30", "end": "06:00"}]), [])], ALWAYS,
                             Period(date(2026, 3, 29), date(2026, 3, 29), parse_time("2026-04-01T00:00:00Z")))  # fmt: skip
    assert [(w.day, w.unknown_us) for w in early] == [(date(2026, 3, 29), int(4.5 * HOUR_US))]
    london, howe = "Europe/London", "Australia/Lord_Howe"
    for zone_name, day, hours in (
        (london, date(2026, 3, 28), 7), (london, date(2026, 10, 24), 9),
        (howe, date(2026, 4, 4), 8.5), (howe, date(2026, 10, 3), 7.5),
    ):  # fmt: skip
        asked = Period(day, day, parse_time("2027-01-01T00:00:00Z"))
        (window,) = presence_windows([(curfew(timezone=zone_name), [])], ALWAYS, asked)
        assert (window.day, window.unknown_us) == (day, round(hours * HOUR_US))


@given(st.lists(st.tuples(st.sampled_from([IN, OUT, UNKNOWN]), st.integers(1, 200)), max_size=12), st.integers(0, 700))
def test_the_time_of_a_night_adds_up(lengths: list[tuple[int, int]], as_of: int) -> None:
    starts = np.cumsum([-100, *(n for _, n in lengths)]).tolist()
    every = states(*((state, start) for (state, _), start in zip(lengths, starts, strict=False))) if lengths else []
    windows = presence_windows([(curfew(), every)], ALWAYS, period(as_of))
    assert len(windows) == (as_of > 0)
    for window in windows:
        by_minute = Counter(next((e.state for e in every if e.start_us <= at(m) < e.end_us), UNKNOWN)
                            for m in range(min(480, as_of)))  # fmt: skip
        assert minutes(window) == (by_minute[IN], by_minute[OUT], by_minute[UNKNOWN])
        assert time_in(every, [(window.start_us, min(window.end_us, at(as_of)))], IN) == window.in_us


def zone(**more: Any) -> Zone:
    properties = {"id": "z", "kind": "exclusion", "wearers": ["tag"], "radius_m": 100} | more
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [-1, 53]}, "properties": properties}
    return read_zones({"type": "FeatureCollection", "features": [feature]})[0]


def test_stays_are_counted_while_the_zone_is_in_force() -> None:
    every = states((OUT, -60), (IN, 0), (UNKNOWN, 10), (IN, 20), (OUT, 30), (IN, 100), (OUT, 105), (SINGLE, 200))
    stays = zone_stays([(zone(), every)], ALWAYS, (at(-60), at(300)))
    assert (stays.n_entries, stays.wrong_us, stays.n_single) == (2, 25 * MINUTE_US, 1)
    half = zone_stays([(zone(), every)], ALWAYS, (at(25), at(102)))
    assert (half.n_entries, half.wrong_us) == (2, 7 * MINUTE_US)
    assert zone_stays([(zone(), every)], [(at(40), at(90))], (at(-60), at(300))).n_entries == 0
    versions = [(zone()._replace(holds=(-(2**62), at(5))), every), (zone()._replace(holds=(at(5), 2**62)), every)]
    assert zone_stays(versions, ALWAYS, (at(-60), at(300)))[:2] == stays[:2]


def test_being_out_of_an_inclusion_zone_is_counted_and_the_unknown_told() -> None:
    every = states((IN, 0), (OUT, 60), (IN, 90), (UNKNOWN, 200))
    stays = zone_stays([(zone(kind="inclusion"), every)], ALWAYS, (at(-30), at(300)))
    assert stays[:4] == (1, 30 * MINUTE_US, 130 * MINUTE_US, 330 * MINUTE_US)


WORN = Activation("tag", "W", at(0), at(1000))


def rows(times: list[float]) -> DeviceRows:
    time_us = np.array([at(t) for t in times], np.int64)
    return DeviceRows(time_us, time_us // 1_000_000)


def test_tampers_are_counted_in_the_period() -> None:
    events = [DeviceEvent("tag", at(m), kind, "", at(m) // 1_000_000) for m, kind in
              ((5, "strap_tamper"), (6, "case_tamper"), (7, "strap_tamper"), (8, "motion"))]  # fmt: skip
    assert tag_care(WORN, rows([0, 1, 2]), events, (at(0), at(20)))[:3] == (2, 1, 20 * MINUTE_US)
    assert tag_care(WORN, rows([0, 1, 2]), events, (at(6), at(7)))[:2] == (0, 1)


def test_hours_without_contact_go_by_arrival_and_those_without_a_fix_by_the_fix() -> None:
    every = [float(m) for m in range(0, 401)]
    late = tag_care(WORN, rows(every)._replace(received_s=np.full(401, at(400) // 1_000_000)), [], (at(0), at(400)))
    assert (late.no_contact_us, late.no_fix_us) == (400 * MINUTE_US - WORN.silence_us, 0)
    beats = [DeviceEvent("tag", at(m), "heartbeat", "", at(m) // 1_000_000) for m in range(0, 400, 10)]
    blind = tag_care(WORN, rows([0, 399]), beats, (at(0), at(400)))
    assert (blind.no_contact_us, blind.no_fix_us) == (0, 399 * MINUTE_US - WORN.silence_us)
    assert tag_care(WORN, rows([]), [], (at(100), at(200))).no_fix_us == 100 * MINUTE_US
    assert tag_care(WORN, rows([]), [], (at(-200), at(0))).worn_us == 0


def fixes_of(route: list[tuple[float, float]], device: str = "tag") -> Fixes:
    minute, metres = (np.array(c, np.float64) for c in zip(*route, strict=True))
    n = len(route)
    return Fixes.of(
        (device,), device=np.zeros(n), time_us=[at(m) for m in minute], lat_e7=np.round(530_000_000 + metres * 89.86),
        lon_e7=np.full(n, -10_000_000), accuracy_cm=np.full(n, 800), source=np.ones(n),
    )  # fmt: skip


def test_from_files_a_night_at_home_and_one_out_and_nobody_disappears() -> None:
    stays = [(float(m), 0.0 if m < 600 else 1500.0) for m in range(-60, 1980)]
    worn = [Activation("tag", "W1", at(-60)), Activation("quiet", "W2", at(-60))]
    curfews = [curfew(id=f"c{k}", wearer=f"W{k}") for k in (1, 2, 3)]
    people = [Wearer("W1", cohort="fixed"), Wearer("W2", cohort="flex"), Wearer("W9", cohort="free")]
    conditions = Conditions([zone(wearers=["W1"])], curfews, Activations(worn))
    asked = Inquiry(period(1979, MONDAY, date(2026, 1, 6)))
    reports = from_files(fixes_of(stays), conditions, people, [], asked)
    verdicts = {r.wearer.wearer: [w.verdict for w in r.windows] for r in reports}
    assert verdicts == {"W1": ["kept", "missed"], "W2": ["not_verifiable"] * 2, "W3": ["not_monitored"] * 2}
    assert reports[0].figures.zones["exclusion"][:2] == (1, 659 * MINUTE_US + MINUTE_US)
    assert reports[0].figures.rules["curfew.absent"] == 1
    assert reports[0].timezone == "Europe/London"
    (only,) = from_files(fixes_of(stays), conditions, people, [], Inquiry(asked.period, cohort="flex"))
    assert (only.wearer.wearer, only.figures.judged) == ("W2", 2)
    (named,) = from_files(fixes_of(stays), conditions, people, [], Inquiry(asked.period, wearer="W3"))
    assert named.figures.windows["not_monitored"] == 2
    for wrong in (Inquiry(asked.period, wearer="W4"), Inquiry(asked.period, cohort="gold")):
        with pytest.raises(InputError):
            from_files(fixes_of(stays), conditions, people, [], wrong)


def test_without_activations_the_device_is_the_wearer_from_its_first_fix_on() -> None:
    (report,) = from_files(fixes_of([(float(m), 0.0) for m in range(100, 600)]), Conditions((), [curfew()]), [], [],
                           Inquiry(period(599)))  # fmt: skip
    assert [(w.verdict, minutes(w)) for w in report.windows] == [("kept", (380, 0, 0))]


@pytest.fixture(scope="module")
def town() -> tuple[Any, list[Report], Period]:
    from tagwatch.simulate.world import simulate

    world = simulate(40, 4, 21)
    zones = read_zones(world.zones)
    conditions = Conditions(zones, read_curfews(world.curfews, zones), Activations(world.activations))
    asked = Inquiry(Period(date(2026, 3, 23), date(2026, 3, 25), int(world.fixes.time_us.max())))
    people = [Wearer(*w) for w in world.wearers]
    return world, from_files(world.fixes, conditions, people, world.events, asked), asked.period


def test_verdicts_agree_with_the_truth_of_a_town(town: tuple[Any, list[Report], Period]) -> None:
    world, reports, _ = town
    truth = {(k.curfew, k.window[0]): k for k in world.truth.curfews}
    agreed: Counter[tuple[str, str]] = Counter()
    for report in reports:
        for window in report.windows:
            if window.verdict not in VERDICTS:
                continue
            true = truth[window.curfew, window.start_us]
            kept = true.away_us <= window.grace_us
            agreed["kept" if kept else "missed" if not true.home_us else "partly_kept", window.verdict] += 1
    assert not [pair for pair in agreed if pair[1] == "kept" and pair[0] != "kept"], "nobody is called home who was not"
    said = {pair: count for pair, count in agreed.items() if pair[1] != "not_verifiable"}
    right = sum(count for pair, count in said.items() if pair[0] == pair[1])
    assert sum(said.values()) > 90
    assert right >= 0.95 * sum(said.values()), agreed
    assert agreed.total() - sum(said.values()) <= 0.1 * agreed.total(), agreed


def test_the_wearers_add_up_to_their_cohorts_and_these_to_the_total(town: tuple[Any, list[Report], Period]) -> None:
    _, reports, asked = town
    every = list(records(reports, asked))
    kinds = {kind: [r for r in every if r["kind"] == kind] for kind in ("wearer", "cohort", "total")}
    assert len(kinds["wearer"]) == 40
    (total,) = kinds["total"]
    for part in ("curfew", "tag"):
        for key, value in total[part].items():
            for kind in ("wearer", "cohort"):
                assert sum(r[part][key] for r in kinds[kind]) == pytest.approx(value, abs=0.05), (part, key)
    judged = total["curfew"]
    assert judged["windows"] == sum(judged[verdict] for verdict in VERDICTS)
    assert [r["wearer"] for r in kinds["wearer"]] == sorted(r["wearer"] for r in kinds["wearer"])
    json.dumps(every)


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_a_terminal(town: tuple[Any, list[Report], Period], width: int) -> None:
    _, reports, asked = town
    text = io.StringIO()
    show(reports, asked, Console(file=text, width=width), nights=True)
    assert "…" not in text.getvalue()
    assert max(len(line) for line in text.getvalue().splitlines()) <= width
    assert text.getvalue().count("W0001") == 3


def test_csv_has_one_line_a_record(town: tuple[Any, list[Report], Period]) -> None:
    import csv

    _, reports, asked = town
    text = io.StringIO()
    write_csv(records(reports, asked), text)
    read = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert len(read) == len(list(records(reports, asked)))
    assert read[-1]["kind"] == "total"
    assert int(read[-1]["curfew_kept"]) == sum(int(r["curfew_kept"]) for r in read if r["kind"] == "wearer")
