"""Alerts at a horizon: those that began before it are left as they are, and only those that began since are decided.

One that goes on across the horizon stays one alert under its identifier: its end is what the data since then say. Where they
show no such condition any more, it ended with the first of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from alerts.alert import Alert, iso
from engine.times import MINUTE_US, parse_time

_SETTLED_US = 30 * MINUTE_US
"""How long data must tell nothing of a condition for it to be over; and how soon after the first of them one goes on."""
_NEVER_CLEARED = ("tag.strap", "tag.case")


class Horizon(NamedTuple):
    """Time before `closed_us` is closed; fixes from `reads_us` on are in the data. usable: times [us] of the first and the last
    fix that carry weight and are in memory, None where there are none."""

    closed_us: int
    reads_us: int
    usable: tuple[int, int] | None = None

    @property
    def first_us(self) -> int:
        """When the data since begin to tell something."""
        return max(self.closed_us, self.usable[0]) if self.usable else self.closed_us


def across(found: Iterable[Alert], held: Iterable[Alert], horizon: Horizon) -> list[Alert]:
    """The alerts of a wearer: those that are held and began before the horizon, and of those that the data tell what began
    since."""
    told = sorted(found, key=lambda a: a.sort_key)
    kept, absorbed = [], set[int]()
    for alert in held:
        if parse_time(alert.began) >= horizon.closed_us:
            continue
        family = [a for a in told if a.family == alert.family and _meets(alert, a, horizon.closed_us)]
        going_on = family[0] if family and _goes_on(family[0], horizon) else None
        absorbed |= {id(going_on)} if going_on else set()
        kept.append(_left(alert, going_on, seen_since=bool(family), horizon=horizon))
    rest = (a for a in told if id(a) not in absorbed)
    return kept + [a for alert in rest if (a := _since(alert, horizon)) is not None]


def _meets(alert: Alert, told: Alert, closed_us: int) -> bool:
    """Whether what the data tell can be the end of an alert: both cross the horizon or come after it, and overlap in time."""
    if any(one.ended is not None and parse_time(one.ended) < closed_us for one in (alert, told)):
        return False
    return alert.ended is None or parse_time(told.began) <= parse_time(alert.ended)


def _goes_on(told: Alert, horizon: Horizon) -> bool:
    """Whether nothing says that the condition began since: it was there with the first data."""
    began_us = parse_time(told.began)
    return began_us < horizon.closed_us or (told.began_after is None and began_us <= horizon.first_us + _SETTLED_US)


def _left(alert: Alert, going_on: Alert | None, *, seen_since: bool, horizon: Horizon) -> Alert:
    """An alert from before the horizon as it stands now."""
    if going_on is not None:
        return _until(alert, going_on.ended, going_on.n_fixes)
    if not alert.active or alert.rule in _NEVER_CLEARED or horizon.usable is None:
        return alert
    if not seen_since and horizon.usable[1] - horizon.first_us < _SETTLED_US:
        return alert
    return _until(alert, iso(horizon.first_us), 0)


def _until(alert: Alert, ended: str | None, n_fixes: int) -> Alert:
    """The alert, ended then or going on."""
    if alert.ended == ended:
        return alert
    if ended is None:
        return msgspec.structs.replace(alert, condition="active", ended=None)
    minutes = round((parse_time(ended) - parse_time(alert.began)) / MINUTE_US, 3)
    n_fixes = max(alert.n_fixes, n_fixes)
    return msgspec.structs.replace(alert, condition="cleared", ended=ended, minutes=minutes, n_fixes=n_fixes)


def _since(told: Alert, horizon: Horizon) -> Alert | None:
    """What the data tell, from the horizon on; None where it is from before, or nothing but where the data begin."""
    began_us = parse_time(told.began)
    if began_us >= horizon.closed_us:
        return told
    if began_us < horizon.reads_us or (told.ended is not None and parse_time(told.ended) <= horizon.closed_us):
        return None
    minutes = max(0.0, round(told.minutes - (horizon.closed_us - began_us) / MINUTE_US, 3))
    return msgspec.structs.replace(told, began=iso(horizon.closed_us), began_after=None, minutes=minutes)
