"""Teams and routing: what teams.json may say, and who is told of what, when."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert import GRADE_ORDER
from alerts.duty_hours import next_duty_us, on_duty
from alerts.routing import ROLE_ORDER, Recipient, Routing, recipients
from alerts.teams import ROLES, Team, read_teams
from engine.errors import InputError
from engine.times import MINUTE_US, parse_time
from tagwatch.simulate.world import simulate

POLICE = {"name": "Ann Ash", "role": "police_manager", "channels": ["mailto:ann@force.example"],
          "grades": ["critical", "high"], "hours": "Mo-Su 07:00-22:00"}  # fmt: skip
PROBATION = {"name": "Ben Birch", "role": "probation_manager", "channels": ["mail:ben@probation.example", "mqtt:team/ben"],
             "grades": ["critical", "high", "medium"], "hours": "Mo-Fr 08:00-18:00"}  # fmt: skip
SUPPORT = {"name": "Cy Cole", "role": "support_officer", "channels": ["mailto:cy@support.example"], "grades": ["low"]}
RAW = [{"id": "t1", "members": [POLICE, PROBATION, SUPPORT]}]
TEAM = read_teams(RAW)[0]
CENTRE = ("terminal", "webhook")

MONDAY_NOON, SATURDAY_NOON = parse_time("2026-01-05T12:00:00Z"), parse_time("2026-01-10T12:00:00Z")
MONDAY_NIGHT, TUESDAY_SEVEN = parse_time("2026-01-05T23:00:00Z"), parse_time("2026-01-06T07:00:00Z")


def channels(grade: str, at_us: int, told: tuple[str, ...] = (), team: Team | None = TEAM) -> dict[str, int]:
    return {r.channel: r.from_us for r in recipients(grade, team, CENTRE, at_us, told)}


def test_a_team_as_it_is_read():
    assert [m.role for m in TEAM.members] == list(ROLES)
    assert TEAM.members[0].channels == ("mail:ann@force.example",)
    assert TEAM.members[1].channels == ("mail:ben@probation.example", "mqtt:team/ben")
    assert TEAM.members[2].hours is None
    assert TEAM.timezone == "Europe/London"
    bare = read_teams([{"id": "t", "timezone": "Europe/Paris", "members": [{**SUPPORT, "name": "D"}]}])[0]
    assert (bare.timezone, bare.members[0].grades) == ("Europe/Paris", {"low"})
    without = {key: value for key, value in SUPPORT.items() if key != "grades"}
    assert read_teams([{"id": "t", "members": [without]}])[0].members[0].grades == set(GRADE_ORDER)


def test_the_simulators_teams_can_be_read():
    world = simulate(12, 1, 3)
    assert {team.id for team in read_teams(world.teams)} == {wearer.team for wearer in world.wearers}


def broken(**changes: object) -> list[object]:
    raw = copy.deepcopy(RAW)
    raw[0]["members"][1].update(changes)
    return raw


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({}, "expected a JSON list of teams"),
        ([7], "team 1: team is 7: expected a JSON object"),
        ([{"members": []}], "team 1: id is missing"),
        ([{"id": "t1"}], "team 1 (id t1): members is missing"),
        ([{"id": "t1", "members": {}}], "team 1 (id t1): members is {}"),
        ([{"id": "t1", "members": [5]}], "team 1 (id t1), member 1: member is 5"),
        ([*RAW, *RAW], "team 2 (id t1): id is 't1': expected an id that no other team has"),
        ([{"id": "t1", "members": [], "timezone": "London"}], "timezone is 'London'"),
        ([{"id": "t1", "members": [], "timezone": None}], "timezone is missing"),
        (broken(role="boss"), "team 1 (id t1), member 2 (Ben Birch): role is 'boss': expected one of police_manager"),
        (broken(name=" "), "name is ' '"),
        (broken(channels=[]), "channels is []"),
        (broken(channels="mailto:a@b"), "channels is 'mailto:a@b'"),
        (broken(channels=["ann@force.example"]), "channels is 'ann@force.example': expected mailto:"),
        (broken(channels=["mailto:"]), "channels is 'mailto:'"),
        (broken(channels=["mailto:a@b\nBcc: c@d"]), "channels is"),
        (broken(channels=["mailto:a@b,c@d"]), "channels is"),
        (broken(channels=["mqtt:a/#"]), "channels is 'mqtt:a/#'"),
        (broken(channels=["sms:+44"]), "channels is 'sms:+44'"),
        (broken(grades=[]), "grades is []"),
        (broken(grades=["urgent"]), "grades is 'urgent': expected one of low, medium, high, critical"),
        (broken(hours="Mo-Fr 8-18"), "member 2 (Ben Birch): hours is 'Mo-Fr 8-18'"),
    ],
)
def test_a_fault_is_told_with_team_member_field_and_value(raw, told):
    with pytest.raises(InputError) as fault:
        read_teams(raw)
    assert told in str(fault.value)


def test_the_centre_is_told_of_everything_at_once():
    for grade in GRADE_ORDER:
        assert channels(grade, MONDAY_NIGHT, team=None) == dict.fromkeys(CENTRE, MONDAY_NIGHT)


def test_members_are_told_of_the_grades_they_ask_for():
    assert set(channels("high", MONDAY_NOON)) - set(CENTRE) == {
        "mail:ann@force.example", "mail:ben@probation.example", "mqtt:team/ben"}  # fmt: skip
    assert set(channels("low", MONDAY_NOON)) - set(CENTRE) == {"mail:cy@support.example"}


def test_off_duty_it_waits_for_the_next_duty():
    found = channels("high", MONDAY_NIGHT)
    assert found["mail:ann@force.example"] == TUESDAY_SEVEN
    assert found["mqtt:team/ben"] == parse_time("2026-01-06T08:00:00Z")
    assert found["webhook"] == MONDAY_NIGHT


def test_a_critical_that_finds_nobody_on_duty_who_asks_for_it_goes_to_whoever_is():
    at_night = channels("critical", MONDAY_NIGHT)
    assert at_night["mail:cy@support.example"] == MONDAY_NIGHT
    assert at_night["mail:ann@force.example"] == TUESDAY_SEVEN, "and waits for those who ask for it"
    assert "mail:cy@support.example" not in channels("critical", SATURDAY_NOON), "one who asks for it is on duty"
    assert "mail:cy@support.example" not in channels("high", MONDAY_NIGHT)


def test_who_was_told_before_is_told_how_it_went_on():
    assert "mail:cy@support.example" not in channels("high", MONDAY_NOON)
    assert channels("high", MONDAY_NOON, ("mail:cy@support.example",))["mail:cy@support.example"] == MONDAY_NOON
    assert "mail:left@force.example" not in channels("high", MONDAY_NOON, ("mail:left@force.example",))


def test_one_channel_is_told_once_with_the_fuller_view_and_at_the_sooner_time():
    shared = [{**member, "channels": ["mailto:team@force.example"], "grades": ["high"]} for member in (SUPPORT, POLICE)]
    team = read_teams([{"id": "t", "members": shared, "timezone": "Europe/Paris"}])[0]
    (found,) = recipients("high", team, (), MONDAY_NIGHT)
    assert found == Recipient("mail:team@force.example", MONDAY_NIGHT, "police_manager", "Europe/Paris")
    (found,) = recipients("high", team, ("mail:team@force.example",), MONDAY_NIGHT)
    assert found == Recipient("mail:team@force.example", MONDAY_NIGHT)


def test_routing_passes_over_what_nobody_serves_and_says_so():
    routing = Routing(CENTRE, {"t1": TEAM}, {"W1": "t1", "W2": "", "W3": "gone"}, ("mail",))
    found = {r.channel for r in routing.recipients("high", "W1", MONDAY_NOON)}
    assert found == {*CENTRE, "mail:ann@force.example", "mail:ben@probation.example"}
    for wearer in ("W2", "W3", "W4"):
        assert [r.channel for r in routing.recipients("high", wearer, MONDAY_NOON)] == list(CENTRE)
    assert routing.unserved() == [
        "team t1: 1 channels by mqtt are not served: there are no settings for them",
        "team gone: wearers are in it, but it was never imported",
    ]


def test_an_escalation_waits_for_nobody():
    routing = Routing(CENTRE, {"t1": TEAM}, {"W1": "t1"})
    assert {r.channel for r in routing.on_duty("critical", "W1", MONDAY_NIGHT)} == {*CENTRE, "mail:cy@support.example"}
    assert "mail:ann@force.example" in {r.channel for r in routing.on_duty("critical", "W1", MONDAY_NOON)}


HOURS = st.sampled_from(
    ["", "24/7", "Mo-Fr 08:00-18:00", "Sa,Su 10:00-14:00", "Mo-Su 22:00-06:00", "We off; Mo 09:00-10:00"]
)
MEMBERS = st.lists(
    st.tuples(st.sampled_from(ROLES), st.sets(st.sampled_from(GRADE_ORDER), min_size=1), HOURS, st.integers(0, 3)),
    max_size=5,
)


@given(rows=MEMBERS, grade=st.sampled_from(GRADE_ORDER), minute=st.integers(0, 20_000), told=st.sets(st.integers(0, 3)))
def test_nobody_who_asks_is_forgotten_and_nobody_else_is_told(rows, grade, minute, told):
    at_us = MONDAY_NOON + minute * MINUTE_US
    members = [
        {"name": str(n), "role": role, "grades": sorted(grades), "hours": hours, "channels": [f"mail:m{mailbox}@x.example"]}
        for n, (role, grades, hours, mailbox) in enumerate(rows)
    ]
    team = read_teams([{"id": "t", "members": members}])[0]
    known = {f"mail:m{mailbox}@x.example" for mailbox in told}
    found = {r.channel: r for r in recipients(grade, team, CENTRE, at_us, known)}
    assert all(found[channel].from_us == at_us for channel in CENTRE)
    asked_and_here = any(grade in m.grades and on_duty(m.hours, at_us) for m in team.members)
    expected: dict[str, tuple[int, str]] = {}
    for m in team.members:
        stands_in = grade == "critical" and not asked_and_here and on_duty(m.hours, at_us)
        if grade in m.grades or m.channels[0] in known or stands_in:
            from_us, role = expected.get(m.channels[0], (2**62, ROLE_ORDER[0]))
            fuller = max(role, m.role, key=ROLE_ORDER.index)
            expected[m.channels[0]] = (min(from_us, next_duty_us(m.hours, at_us)), fuller)
    assert {c: (r.from_us, r.role) for c, r in found.items() if c not in CENTRE} == expected
    if grade == "critical" and any(on_duty(m.hours, at_us) for m in team.members):
        assert any(r.from_us == at_us and r.role for r in found.values()), "somebody of the team hears of it now"
