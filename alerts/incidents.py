"""Incidents: the findings of one wearer that one cause explains, under the finding that came first. Nothing is hidden.

Every alert is in exactly one incident. A tamper is always the head of its own: no cause takes it in, and what goes wrong
with the device about then is put under it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alerts.alert import GRADE_ORDER, Alert
from engine.times import MINUTE_US, parse_time

NEAR_US = 30 * MINUTE_US
"""How long after its cause a finding may begin; of a tamper also before it: what was shielded first is cut then."""
TAMPERS = ("tag.strap", "tag.case")
_CAUSES = {
    "tag.no_contact": ("tag.battery_dead", "tag.fault", "tag.jamming", "tag.battery_critical", "tag.battery_low"),
    "tag.no_fix": ("tag.jamming", "tag.battery_dead", "tag.fault"),
    "tag.fault": ("tag.battery_dead",),
    "tag.battery_dead": ("tag.battery_critical", "tag.battery_low"),
    "tag.battery_critical": ("tag.battery_low",),
    "tag.no_charge": ("tag.battery_low",),
    "tag.implausible": ("tag.clock", "tag.jamming"),
    "tag.jamming": (),
}
"""For each finding that may follow from another: from which, the likeliest first. Tampers come before all of these."""


class Incident(NamedTuple):
    """Identifiers of the alerts of one cause in the order of their beginnings, after the head; the highest of their grades."""

    wearer: str
    device: str
    head: str
    members: tuple[str, ...]
    grade: str
    active: bool

    @property
    def alerts(self) -> tuple[str, ...]:
        """All alerts of the incident, head first."""
        return (self.head, *self.members)


class _Known(NamedTuple):
    """One alert with its interval [us]."""

    id: str
    alert: Alert
    began_us: int
    ended_us: int


def incidents(alerts: Iterable[tuple[str, Alert]]) -> list[Incident]:
    """The incidents of these alerts (identifier, content) of any number of wearers, in the order of their heads.

    Alerts of zones and curfews, and device findings that no other explains, are incidents of one.
    """
    groups: dict[tuple[str, str], list[_Known]] = defaultdict(list)
    for identifier, alert in alerts:
        ended_us = parse_time(alert.ended) if alert.ended else 2**62
        owner = alert.subject if alert.rule.startswith("tag.") else identifier
        groups[alert.wearer, owner].append(_Known(identifier, alert, parse_time(alert.began), ended_us))
    found = [incident for each in groups.values() for incident in _of_device(sorted(each, key=_order))]
    return [incident for _, incident in sorted(found, key=lambda pair: pair[0])]


def _order(known: _Known) -> tuple[int, str, str, str, str]:
    return known.began_us, known.alert.wearer, known.alert.rule, known.alert.subject, known.id


def _of_device(known: Sequence[_Known]) -> list[tuple[tuple[int, str, str, str, str], Incident]]:
    """The incidents of one device's alerts, which are in order of their beginnings."""
    of_rule: dict[str, list[_Known]] = defaultdict(list)
    for one in known:
        of_rule[one.alert.rule].append(one)
    causes = {one.id: _cause(one, of_rule) or one for one in known}
    members: dict[str, list[_Known]] = defaultdict(list)
    for one in known:
        members[_head(one, causes).id].append(one)
    return [(_order(one), _incident(one, members[one.id])) for one in known if one.id in members]


def _head(one: _Known, causes: dict[str, _Known]) -> _Known:
    while causes[one.id] is not one:
        one = causes[one.id]
    return one


def _cause(one: _Known, of_rule: dict[str, list[_Known]]) -> _Known | None:
    """The likeliest finding that explains this one, of a kind the latest; None where nothing does."""
    if one.alert.rule not in _CAUSES:
        return None
    for rule in TAMPERS:
        tamper = _latest(of_rule.get(rule, []), one.began_us + NEAR_US)
        if tamper and tamper.began_us >= one.began_us - NEAR_US:
            return tamper
    for rule in _CAUSES[one.alert.rule]:
        cause = _latest(of_rule.get(rule, []), one.began_us)
        if cause and one.began_us <= cause.ended_us + NEAR_US:
            return cause
    return None


def _latest(known: Sequence[_Known], by_us: int) -> _Known | None:
    """The last of these that began by an instant."""
    k = bisect_right(known, by_us, key=lambda each: each.began_us)
    return known[k - 1] if k else None


def _incident(head: _Known, group: Sequence[_Known]) -> Incident:
    grade = max((one.alert.grade for one in group), key=GRADE_ORDER.index)
    members = tuple(one.id for one in group if one is not head)
    return Incident(head.alert.wearer, head.alert.device, head.id, members, grade, any(one.alert.active for one in group))
