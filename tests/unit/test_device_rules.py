"""Device findings by example, and beside plain readings of the rules that look at every fix and every arrival."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.alert import ALGORITHM, GRADES, MOST_FIXES, Alert, to_json
from alerts.device_memory import NOTHING, DeviceMemory
from alerts.device_rules import device_alerts, follows, may_move, remember, unsettled
from alerts.device_scene import DeviceScene, DeviceSettings, Rows, arrange_events, events_of
from alerts.guidance import GUIDANCE
from alerts.position_rules import lost_quickly
from engine import flags
from engine.activations import FOREVER_US, Activation
from engine.events import DeviceEvent
from engine.fixes import ABSENT, Fixes
from engine.times import MINUTE_US, SECOND_US, parse_time
from engine.trail import Trail, arrange

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled
T0_US = parse_time("2026-03-28T18:00:00Z")
T0_S = T0_US // SECOND_US
WORN = Activation("T1", "ann", T0_US)
SILENT = 16  # minutes: 60 s + 600 s + 300 s


def rows(minutes: Iterable[float], **columns: Any) -> Rows:
    """Fixes at these minutes, received 30 seconds later, all well; columns by name, `delay_s` instead of `received_s`."""
    time_us = (T0_US + np.array(list(minutes), np.float64) * MINUTE_US).astype(np.int64)
    delay_s = columns.pop("delay_s", 30)
    plain: dict[str, Any] = {
        "time_us": time_us, "received_s": time_us // SECOND_US + delay_s, "flags": 0, "lat_e7": 530_000_000,
        "lon_e7": -10_000_000, "accuracy_cm": 500, "source": 1, "satellites": 10, "battery_pct": ABSENT,
    }  # fmt: skip
    types = {"time_us": np.int64, "received_s": np.int64, "flags": np.uint8}
    n = len(time_us)
    return Rows(
        *(
            np.broadcast_to(np.asarray((plain | columns)[name]), n).astype(types.get(name, np.int32))
            for name in Rows._fields
        )
    )


def event(minute: float, kind: str, value: str = "", received: float | None = None) -> DeviceEvent:
    return DeviceEvent("T1", at(minute), kind, value, T0_S + round(60 * (minute if received is None else received)))


def at(minute: float) -> int:
    return T0_US + round(minute * MINUTE_US)


def minute_of(text: str | None) -> float | None:
    return None if text is None else (parse_time(text) - T0_US) / MINUTE_US


def found(
    of: Rows, *events: DeviceEvent, as_of: float, rule: str = "", worn: Activation = WORN, **more: Any
) -> list[Alert]:
    ordered = tuple(sorted(events, key=lambda e: (e.time_us, e.kind, e.value)))
    alerts = device_alerts(DeviceScene("ann", worn, of, ordered, at(as_of), **more), [])
    return [a for a in alerts if a.rule.startswith(rule)]


def spans(alerts: Sequence[Alert]) -> list[tuple[float | None, float | None]]:
    return [(minute_of(a.began), minute_of(a.ended)) for a in alerts]


STEADY = rows(range(0, 120))


def test_a_tag_that_is_well_has_no_findings_and_a_small_memory() -> None:
    due: list[int] = []
    scene = DeviceScene("ann", WORN, STEADY, (event(5, "motion"), event(9, "no_motion")), at(120))
    assert device_alerts(scene, due) == []
    assert min(due) == at(119.5 + SILENT) + 1  # when silence would speak
    memory = remember(scene._replace(since_us=at(120)))
    assert memory.strap is None
    assert not memory.contact.gaps
    assert memory.battery == NOTHING.battery
    assert isinstance(memory, DeviceMemory)


def test_the_content_of_a_finding() -> None:
    (alert,) = found(STEADY, event(30.5, "strap_tamper"), as_of=40)
    assert (alert.wearer, alert.device, alert.subject, alert.grade, alert.condition) == (
        "ann",
        "T1",
        "T1",
        "critical",
        "active",
    )
    assert (minute_of(alert.began), alert.ended, alert.minutes, alert.posterior) == (30.5, None, 9.5, 1.0)
    assert [(minute_of(f.time), f.p) for f in alert.fixes] == [(30, 0.0)]  # where the tag was last; no place is asked about
    assert (alert.n_fixes, alert.why["algorithm"]) == (0, ALGORITHM)
    assert alert.family == ("tag.strap", "T1")
    assert alert.grade == GRADES["tag.strap"]


def test_strap_and_case_are_never_cleared_by_themselves_and_every_event_counts() -> None:
    events = [event(30, "strap_tamper"), event(32, "strap_tamper"), event(90, "strap_tamper"), event(31, "case_tamper")]
    case, strap = sorted(
        found(STEADY, *events, event(40, "power_on"), event(50, "charging"), as_of=100), key=lambda a: a.rule
    )
    assert (strap.rule, case.rule) == ("tag.strap", "tag.case")
    assert strap.active
    assert case.active
    assert (strap.why["n_events"], strap.why["n_times"], case.why["n_events"]) == (3, 2, 1)
    earlier = next(a for a in found(STEADY, *events, as_of=40) if a.rule == "tag.strap")
    assert earlier.substance() != strap.substance()  # a second burst is a new version
    again = next(a for a in found(STEADY, *events, as_of=31.9) if a.rule == "tag.strap")
    assert (again.why["n_times"], earlier.why["n_times"]) == (1, 1)
    assert again.substance() != earlier.substance()  # so is every event: one that follows soon may follow a closed alert


def test_open_findings_end_with_the_activation_the_strap_too() -> None:
    worn = WORN._replace(to_us=at(60))
    of, strap = rows(range(0, 60)), event(30, "strap_tamper")
    (alert,) = found(of, strap, as_of=59, worn=worn)
    assert alert.active
    (alert,) = found(of, strap, as_of=600, worn=worn)  # and nothing is expected after it: no silence
    assert (minute_of(alert.ended), alert.condition, alert.why["ended_with_activation"]) == (60, "cleared", True)
    assert alert.why["text"].endswith("ended with the activation")


def test_no_contact_begins_with_the_last_contact_and_the_next_clears_it() -> None:
    of = rows([0, 1, 2, 60, 61])
    assert found(rows([0, 1, 2]), as_of=2.5 + SILENT) == []
    due: list[int] = []
    device_alerts(DeviceScene("ann", WORN, rows([0, 1, 2]), (), at(2.5 + SILENT)), due)
    assert min(due) == at(2.5 + SILENT) + 1
    (alert,) = found(rows([0, 1, 2]), as_of=2.5 + SILENT + 0.01)
    assert (spans([alert]), alert.rule, alert.grade, alert.active) == ([(2.5, None)], "tag.no_contact", "high", True)
    assert spans(found(of, as_of=62)) == [(2.5, 60.5)]
    (joined,) = found(of, event(2.2, "heartbeat", received=30), event(2.3, "heartbeat", received=40), as_of=62)
    assert (spans([joined]), joined.minutes, joined.why["n_joined"]) == ([(2.5, 60.5)], 48.0, 2)  # 30 to 40 was contact
    assert not found(of, event(2.2, "heartbeat", received=30), as_of=40)[0].active
    apart = rows([0, *range(30, 61), 100])
    assert spans(found(apart, as_of=101)) == [(0.5, 30.5), (60.5, 100.5)]
    assert [minute_of(f.time) for f in found(of, as_of=62)[0].fixes] == [2]


def test_late_positions_do_not_undo_a_loss_of_contact() -> None:
    of = rows(range(0, 61), delay_s=np.where(np.arange(61) < 3, 30, (60 - np.arange(61)) * 60 + 30))
    assert spans(found(of, as_of=62)) == [(2.5, 60.5)]  # a backlog: every minute has a fix, all received at the end


def test_a_device_of_which_nothing_came_is_silent_from_its_beginning() -> None:
    none = rows([])
    assert found(none, as_of=SILENT) == []
    (alert,) = found(none, as_of=SILENT + 0.1)
    assert (spans([alert]), alert.fixes) == ([(0, None)], [])
    assert "after the activation began" in alert.why["text"]
    assert found(none, as_of=500, worn=WORN._replace(from_us=-(2**62))) == []  # no plan says when to expect it


def test_what_the_broker_says_of_a_connection_is_told_and_is_no_contact() -> None:
    of = rows([0, 1, 2])
    will = event(-3, "disconnected", received=8)
    (alert,) = found(of, will, as_of=40)
    assert (spans([alert]), minute_of(alert.why["connection_lost"])) == ([(2.5, None)], 8)
    assert found(STEADY, will, as_of=120) == []


def test_no_fix_needs_a_device_that_is_awake() -> None:
    of = rows([0, 1, 2, 60, 61])
    assert found(of, as_of=62, rule="tag.no_fix") == []
    assert found(of, event(17.9, "heartbeat"), as_of=62, rule="tag.no_fix") == []
    awake = found(of, event(18.1, "heartbeat"), event(40, "gps_lost"), as_of=62, rule="tag.no_fix")
    assert spans(awake) == [(2, 60)]
    assert spans(found(of, event(18.1, "heartbeat"), as_of=59.9, rule="tag.no_fix")) == [(2, None)]
    assert found(of, event(3, "power_off"), event(55, "power_on"), as_of=62, rule="tag.no_fix") == []
    late = rows([0, 1, 2, 10, 20, 30, 40, 50, 60, 61])
    assert found(late, event(18.1, "heartbeat"), as_of=62, rule="tag.no_fix") == []  # late positions fill the trail
    weightless = rows([0, 1, 2, 10, 60], flags=[0, 0, 0, flags.IMPLAUSIBLE, 0])
    assert spans(found(weightless, event(18.1, "heartbeat"), as_of=62, rule="tag.no_fix")) == [(2, 60)]


@pytest.mark.parametrize(
    ("counts", "quick"),
    [((12, 11, 5), True), ((12, 5), True), ((8, 4), True), ((7, 4), False), ((12, 9), False), ((5, 1), True), ((5,), False),
     ((4, 5, 12), False)],
)  # fmt: skip
def test_satellites_lost_faster_than_indoors(counts: tuple[int, ...], quick: bool) -> None:
    assert lost_quickly([(at(k), count) for k, count in enumerate(counts)]) == quick


def test_jamming_is_said_by_the_tag_or_inferred() -> None:
    (said,) = found(STEADY, event(30.5, "jamming"), as_of=120)
    assert (spans([said]), said.posterior, said.grade) == ([(30.5, 31)], 1.0, "high")
    masts = rows(range(0, 120), source=np.where(np.arange(120) < 31, 1, 5))
    assert spans(found(masts, event(30.5, "jamming"), as_of=119, rule="tag.jam")) == [
        (30.5, None)
    ]  # until satellites are back
    driving, lost = [event(-5, "motion"), event(25, "heartbeat"), event(50, "no_motion")], [12, 11, 4, 10, 10]
    of = rows([0, 1, 2, 60, 61], satellites=lost)
    (jam,) = found(of, *driving, as_of=62, rule="tag.jamming")
    assert (spans([jam]), jam.posterior, jam.why["grounds"]) == ([(2, 60)], 0.0, ["inferred"])
    indoors = [event(-5, "motion"), event(4, "no_motion"), event(25, "heartbeat")]
    assert found(of, *indoors, as_of=62, rule="tag.jamming") == []
    slowly = of._replace(satellites=np.array([12, 10, 9, 10, 10], np.int32))
    assert found(slowly, *driving, as_of=62, rule="tag.jamming") == []
    wireless = rows([0, 1, 2, 15, 30, 45, 60], satellites=[12, 11, 4, *[ABSENT] * 3, 10], source=[1, 1, 1, 6, 6, 6, 1])
    assert found(wireless, *driving, as_of=62, rule="tag.jamming") == []  # fixes went on


def test_faults_last_until_a_good_fix_and_a_switched_off_tag_is_one() -> None:
    of = rows([0, 1, 2, 40, 41])
    (fault,) = found(of, event(2.5, "fault", "E7"), event(3, "fault", "E9"), as_of=42, rule="tag.fault")
    assert (spans([fault]), fault.why["codes"], fault.grade) == ([(2.5, 40)], ["E7", "E9"], "low")
    (off,) = found(of, event(2.5, "power_off"), event(30, "power_on"), as_of=42, rule="tag.fault")
    assert (spans([off]), off.why["text"]) == ([(2.5, 30)], "The tag was switched off")


def test_battery_limits_and_hysteresis() -> None:
    levels = [40, 21, 20, 24, 20, 25, 20, 11, 10, 14, 15, 1, 0, 4, 5, 90]
    of = rows(np.arange(len(levels)) * 40, battery_pct=levels)

    def of_rule(rule: str) -> list[tuple[float | None, float | None]]:
        return spans(found(of, as_of=40 * len(levels), rule=rule))

    assert of_rule("tag.battery_low") == [(80, 200), (240, 600)]
    assert of_rule("tag.battery_critical") == [(320, 400), (440, 600)]
    assert of_rule("tag.battery_dead") == [(480, 560)]
    assert of_rule("tag.no_charge") == [(80, 200), (240, 600)]


def test_charging_clears_and_nothing_is_raised_until_the_level_falls() -> None:
    levels = [22, 20, 19, 19, 20, 21, 20, 19, 18]
    of = rows(np.arange(len(levels)) * 15, battery_pct=levels)
    charging = event(35, "charging")
    assert spans(found(of, charging, as_of=50, rule="tag.battery")) == [(15, 35)]
    assert spans(found(of, charging, as_of=200, rule="tag.battery")) == [(15, 35), (105, None)]
    again = found(of, event(31, "charging"), as_of=40, rule="tag.battery_low")
    assert spans(again) == [(15, 31)]
    soon = rows([0, 15, 30, 31, 32], battery_pct=[22, 20, 19, 17, 16])
    assert spans(found(soon, event(30.5, "charging"), as_of=40, rule="tag.battery_low")) == [(15, None)]  # joined


def test_battery_by_events_and_dead_by_power_off() -> None:
    of = rows(range(0, 30))
    assert spans(found(of, event(10, "battery", "19.5"), as_of=30, rule="tag.battery_low")) == [(10, None)]
    assert found(of, event(10, "battery", "20.5"), as_of=30, rule="tag.battery") == []
    off, on = event(20, "power_off"), event(28, "power_on")
    low = [event(10, "battery", "9"), off, on]
    assert spans(found(of, *low, as_of=29, rule="tag.battery_dead")) == [(20, 28)]
    assert found(of, *low, as_of=29, rule="tag.fault") == []  # the battery explains it
    assert found(of, event(10, "battery", "10"), off, as_of=29, rule="tag.battery_dead") == []
    wrong = rows(range(0, 30), battery_pct=3, flags=flags.CLOCK_WRONG)
    assert found(wrong, as_of=29, rule="tag.battery") == []  # the time of such a reading is not known


def test_not_charged_needs_readings_never_silence() -> None:
    low = rows(range(0, 50), battery_pct=15)
    assert found(low, as_of=300, rule="tag.no_charge") == []  # nothing came after 50 minutes
    assert spans(found(rows(range(0, 62), battery_pct=15), as_of=300, rule="tag.no_charge")) == [(0, None)]


def test_implausible_fixes_are_grouped_and_listed() -> None:
    bits = np.zeros(120, np.uint8)
    bits[[10, 12, 41, 80]] = flags.IMPLAUSIBLE
    of = STEADY._replace(flags=bits)
    one, two = found(of, as_of=119, rule="tag.implausible")
    assert spans([one, two]) == [(10, 41), (80, 80)]
    assert ([minute_of(f.time) for f in one.fixes], one.n_fixes, one.grade) == ([10, 12, 41], 3, "low")
    assert spans(found(of, as_of=109.9, rule="tag.implausible"))[1] == (80, None)
    many = STEADY._replace(flags=np.full(120, flags.CONTRADICTORY, np.uint8))
    (all_of_them,) = found(many, as_of=500, rule="tag.implausible")
    assert (all_of_them.n_fixes, len(all_of_them.fixes), minute_of(all_of_them.fixes[-1].time)) == (120, MOST_FIXES, 119)


def test_a_wrong_clock_goes_by_arrival() -> None:
    ahead = rows([0, 1, 100, 101], delay_s=[30, 30, -90 * 60, -90 * 60], flags=[0, 0, flags.CLOCK_WRONG, flags.CLOCK_WRONG])
    (alert,) = found(ahead, as_of=12, rule="tag.clock")  # although the fixes are dated later
    assert (spans([alert]), alert.grade, alert.n_fixes) == ([(10, None)], "medium", 2)
    assert spans(found(ahead, as_of=41, rule="tag.clock")) == [(10, 11)]
    assert found(ahead, as_of=9.9, rule="tag.clock") == []
    late = rows([0, 1], delay_s=9 * 3600)
    assert found(late, as_of=600, rule="tag.clock") == []  # a late upload alone is never clock wrong


def test_memory_that_cannot_be_gone_on_from_says_so() -> None:
    early = rows([100], delay_s=-6000, flags=flags.CLOCK_WRONG)
    assert follows(at(20), early)
    assert not follows(at(31), early)
    assert follows(at(500), rows([100]))


def test_grades_can_be_set() -> None:
    told = DeviceSettings(grades={**GRADES, "tag.strap": "high"}, low_pct=30)
    (strap,) = found(STEADY, event(30, "strap_tamper"), as_of=40, settings=told)
    assert strap.grade == "high"
    assert [a.rule for a in found(rows([0, 1], battery_pct=30), as_of=2, settings=told)] == ["tag.battery_low"]


def test_every_rule_has_its_guidance() -> None:
    assert set(GUIDANCE) == set(GRADES)
    assert all(part.strip().endswith(".") for guidance in GUIDANCE.values() for part in guidance)


def test_which_fixes_may_move_anything() -> None:
    of = rows(range(8), battery_pct=[ABSENT, 50, 20, 21, 50, 50, 50, 50], flags=[0, 0, 0, 0, 1, flags.SET_ASIDE, 0, 0])
    n = len(of.time_us)
    newest = np.where(np.arange(n) == 6, at(6), 0)
    heard = np.where(np.arange(n) == 7, of.received_s - 961, of.received_s)
    moves = may_move(of.time_us, of.received_s, of.flags, of.battery_pct, newest, heard, np.full(n, 960), np.zeros(n, bool))
    assert moves.tolist() == [False, False, True, False, True, False, True, True]
    assert unsettled(found(of, as_of=2, rule="tag.battery_low"))
    assert not unsettled(found(of, as_of=5, rule="tag.battery_low"))  # cleared
    (strap,) = found(STEADY, event(30, "strap_tamper"), as_of=40)
    assert not unsettled([strap])


def test_rows_of_a_trail_are_those_of_the_device_and_the_activation() -> None:
    time_us = T0_US + np.arange(10, dtype=np.int64) * MINUTE_US
    fixes = Fixes.of(("T1", "T2"), device=[0, 1] * 5, time_us=time_us, lat_e7=range(10), lon_e7=[0] * 10)
    trail = merged(fixes, [np.arange(10)])
    assert Rows.of(trail, 1, at(3), at(7)).lat_e7.tolist() == [3, 5]
    assert Rows.of(trail, 0, at(-5), FOREVER_US).lat_e7.tolist() == [0, 2, 4, 6, 8]


def test_events_are_arranged_whatever_order_they_come_in() -> None:
    one, two, late = event(5, "motion"), event(9, "fault", "E1"), event(5, "motion", received=90)
    other = one._replace(device="T2")
    for order in ([one, two, late, other], [other, late, two, one]):
        assert arrange_events(order) == {"T1": (one, two), "T2": (other,)}
    assert events_of((one, two), at(5), at(9)) == (one,)
    assert events_of((one, two), at(5.1), FOREVER_US) == (two,)


def merged(fixes: Fixes, parts: Iterable[Any]) -> Trail:
    trail = Trail("ann")
    for part in parts:
        some, n = fixes.take(np.asarray(part)), len(part)
        if n:
            trail.merge(arrange(some, np.zeros(n, np.int32), np.full(n, 0.95), np.full(n, 960_000_000))[0])
    return trail


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 9))
def test_the_order_of_arrival_changes_nothing(seed: int, n: int, n_parts: int) -> None:
    rng = np.random.default_rng(seed)
    time_us = T0_US + np.cumsum(rng.choice([60, 300, 2000], n)) * SECOND_US
    fixes = Fixes.of(
        ("T1",), device=np.zeros(n), time_us=time_us, lat_e7=530_000_000 + rng.choice([0, 0, 9_000_000], n),
        lon_e7=np.zeros(n), battery_pct=rng.integers(0, 40, n), received_s=time_us // SECOND_US + rng.choice([-900, 9, 4000], n),
    )  # fmt: skip
    again = np.concatenate([np.arange(n), rng.integers(0, n, n // 3)])
    one, other = merged(fixes, [np.arange(n)]), merged(fixes, np.array_split(rng.permutation(again), n_parts))
    texts = [[to_json(a) for a in found(Rows.of(t, 0, T0_US, FOREVER_US), as_of=9999)] for t in (one, other)]
    assert texts[0] == texts[1]


@settings(max_examples=150)
@given(st.lists(st.integers(0, 400), max_size=25), st.integers(0, 500), st.integers(0, 500))
def test_silences_as_a_plain_reading_finds_them(received: list[int], as_of: int, over: int) -> None:
    """Oracle: sort all arrivals, look at each pair."""
    of = rows([0.5 * k for k in range(len(received))], delay_s=0)
    of = of._replace(received_s=T0_S + 60 * np.array(received, np.int64))
    worn = WORN._replace(to_us=at(over + 1))
    marks = [*sorted({0, *received}), 10**9]
    expected: list[tuple[int, int | None]] = []
    for one, two in pairwise(marks):
        end = min(two, over + 1)
        if end - one > SILENT and as_of > one + SILENT:
            joins = bool(expected) and one - (expected[-1][1] or 0) < 30
            began = expected.pop()[0] if joins else one
            expected.append((began, end if as_of >= end else None))
    assert spans(found(of, as_of=as_of, rule="tag.no_contact", worn=worn)) == expected


@settings(max_examples=150)
@given(st.lists(st.sampled_from([0, 3, 5, 9, 10, 12, 15, 18, 20, 22, 24, 25, 60, ABSENT]), max_size=40))
def test_low_batteries_as_a_plain_reading_finds_them(levels: list[int]) -> None:
    """Oracle: every reading in turn; readings are further apart than findings are joined."""
    of = rows(np.arange(len(levels)) * 31, battery_pct=levels)
    for rule, limit in (("tag.battery_low", 20), ("tag.battery_critical", 10), ("tag.battery_dead", 0)):
        expected: list[tuple[float | None, float | None]] = []
        for k, level in enumerate(levels):
            is_open = bool(expected) and expected[-1][1] is None
            if level != ABSENT and not is_open and level <= limit:
                expected.append((31 * k, None))
            elif level != ABSENT and is_open and level >= limit + 5:
                expected[-1] = (expected[-1][0], 31 * k)
        assert spans(found(of, as_of=31 * len(levels) + 1, rule=rule)) == expected
