"""Incidents group what one cause explains, and hide nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerts.alert import GRADES, Alert, iso
from alerts.incidents import TAMPERS, Incident, incidents
from engine.times import MINUTE_US, parse_time

T0_US = parse_time("2026-03-28T18:00:00Z")


def alert(rule: str, began: float, ended: float | None = None, wearer: str = "ann", subject: str = "T1") -> Alert:
    return Alert(
        wearer=wearer, device="T1", rule=rule, subject=subject, grade=GRADES[rule],
        condition="active" if ended is None else "cleared", began=at(began), began_after=None,
        ended=None if ended is None else at(ended), posterior=1.0, minutes=0.0, n_fixes=0, fixes=[], why={},
    )  # fmt: skip


def at(minute: float) -> str:
    return iso(T0_US + round(minute * MINUTE_US))


def heads(*alerts: Alert) -> list[tuple[str, ...]]:
    """The rules of each incident, head first."""
    named = {f"{k}": each for k, each in enumerate(alerts)}
    return [tuple(named[i].rule.removeprefix("tag.") for i in one.alerts) for one in incidents(named.items())]


def test_an_empty_battery_explains_the_silence_after_it() -> None:
    ran_down = [alert("tag.battery_low", 0), alert("tag.no_charge", 0), alert("tag.battery_critical", 60),
                alert("tag.battery_dead", 120), alert("tag.no_contact", 125)]  # fmt: skip
    assert heads(*ran_down) == [("battery_low", "no_charge", "battery_critical", "battery_dead", "no_contact")]
    (one,) = incidents((f"{k}", each) for k, each in enumerate(ran_down))
    assert one == Incident("ann", "T1", "0", ("1", "2", "3", "4"), "high", True)  # the highest grade, not the head's
    charged = alert("tag.battery_low", 0, 40)
    assert heads(charged, alert("tag.no_contact", 80)) == [("battery_low",), ("no_contact",)]


def test_switched_off_and_jammed_explain_what_follows() -> None:
    assert heads(alert("tag.fault", 0, 200), alert("tag.no_contact", 1)) == [("fault", "no_contact")]
    assert heads(alert("tag.jamming", 5), alert("tag.no_fix", 6), alert("tag.no_contact", 7)) == [
        ("jamming", "no_fix", "no_contact")
    ]


def test_a_tamper_is_always_a_head() -> None:
    shielded = alert("tag.jamming", 0), alert("tag.no_fix", 1), alert("tag.strap", 20), alert("tag.no_contact", 25)
    assert heads(*shielded) == [("strap", "jamming", "no_fix", "no_contact")]
    assert heads(alert("tag.strap", 0), alert("tag.case", 1), alert("tag.no_contact", 2)) == [
        ("strap", "no_contact"),
        ("case",),
    ]
    assert heads(alert("tag.battery_low", 0), alert("tag.strap", 1)) == [("battery_low",), ("strap",)]
    assert heads(alert("tag.strap", 0), alert("tag.no_contact", 300)) == [("strap",), ("no_contact",)]


def test_zones_curfews_other_devices_and_other_wearers_stand_alone() -> None:
    dead = alert("tag.battery_dead", 0)
    others = [alert("zone.exclusion", 1, subject="z"), alert("curfew.left", 1, subject="c"),
              alert("tag.no_contact", 1, subject="T2"), alert("tag.no_contact", 1, wearer="bob")]  # fmt: skip
    assert sorted(len(one) for one in heads(dead, *others)) == [1] * 5
    assert len(heads(alert("zone.exclusion", 1, subject="z"), alert("zone.exclusion", 50, subject="z"))) == 2


ALERTS = st.lists(
    st.tuples(
        st.sampled_from(sorted(GRADES)), st.integers(0, 200), st.none() | st.integers(0, 90),
        st.sampled_from(["ann", "bob"]), st.sampled_from(["T1", "T2"]),
    ),
    max_size=40,
)  # fmt: skip


@given(ALERTS, st.randoms())
def test_what_goes_in_can_be_seen(told: list[tuple[str, int, int | None, str, str]], random: object) -> None:
    named = {
        f"{k}": alert(rule, began, None if length is None else began + length, wearer, subject)
        for k, (rule, began, length, wearer, subject) in enumerate(told)
    }
    found = incidents(named.items())
    seen = [identifier for one in found for identifier in one.alerts]
    assert sorted(seen) == sorted(named)  # every alert once
    assert sum(1 + len(one.members) for one in found) == len(told)
    for one in found:
        group = [named[identifier] for identifier in one.alerts]
        assert len({each.wearer for each in group}) == 1
        assert all(named[identifier].rule not in TAMPERS for identifier in one.members)
        assert one.active == any(each.active for each in group)
        assert [each.began for each in group[1:]] == sorted(each.began for each in group[1:])
    shuffled = list(named.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert incidents(shuffled) == found
