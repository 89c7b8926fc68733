"""What if a zone, a curfew, a rule or an activation were another: two replays of the same trails, and what differs and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import numpy as np
from rich.table import Table

from alerts.alert import GRADE_ORDER, Alert
from alerts.ledger_difference import AVERAGE_AN_HOUR, FLOOD, Difference, Load, differences, load_of
from engine.activations import Activations
from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.times import DAY_US, HOUR_US, MINUTE_US
from geofence.curfew import Curfew, read_curfews
from geofence.schedule import merged
from geofence.zone import Circle, Zone, read_zones
from tagwatch.configuration import curfew_rows, refuse_unknown_wearers, zone_features
from tagwatch.monitor import Conditions
from tagwatch.replay import replay


class Outcome(NamedTuple):
    """Both ledgers and what differs; wearer_days and span_us are what the load is counted over."""

    before: list[Alert]
    after: list[Alert]
    differences: list[tuple[Difference, str]]
    wearer_days: float
    span_us: int


def what_if(
    fixes: Fixes, before: Conditions, after: Conditions, as_of_us: int, events: Sequence[DeviceEvent] = ()
) -> Outcome:  # fmt: skip
    """The ledgers of the same fixes and events under two conditions as of an instant, and what differs with its reason."""
    old, new = (replay(fixes, conditions, as_of_us, events=events).alerts for conditions in (before, after))
    found = [(d, reason(d, before, after)) for d in differences(old, new, as_of_us)]
    oldest_us = int(fixes.time_us.min()) if len(fixes) else as_of_us
    return Outcome(old, new, found, _wearer_days(fixes, after, oldest_us, as_of_us), as_of_us - oldest_us)


def changed(
    connection: Connection, before: Conditions, zones: Sequence[Zone] | None, curfews: Any, activations: Activations | None
) -> Conditions:
    """The conditions of the database with these in the place of its own where given; curfews are JSON, whose places may be
    zones."""
    areas = read_zones({"type": "FeatureCollection", "features": zone_features(connection)}) if zones is None else zones
    kept = read_curfews(curfew_rows(connection) if curfews is None else curfews, areas)
    worn = activations or before.activations
    if worn.rows:
        refuse_unknown_wearers(areas, kept, {row.wearer for row in worn.rows})
    return replace(before, zones=areas, curfews=kept, activations=worn)


def record(difference: Difference, why: str) -> dict[str, Any]:
    """One difference as JSON: what it is, what changed, why, and the alert in both ledgers."""
    alert = difference.alert
    return {
        "change": difference.change, "wearer": alert.wearer, "rule": alert.rule, "subject": alert.subject,
        "grade": alert.grade, "began": alert.began, "ended": alert.ended, "minutes": alert.minutes, "why": why,
        "changes": difference.changes(), "before": msgspec.to_builtins(difference.before),
        "after": msgspec.to_builtins(difference.after),
    }  # fmt: skip


def reason(difference: Difference, before: Conditions, after: Conditions) -> str:
    """Why an alert differs: what was changed of its zone or curfew, of the rule and of its wearer's activations."""
    alert = difference.alert
    if difference.joined_into:
        return f"joined into the alert that began at {difference.joined_into}"
    words: list[str] = []
    if alert.rule.startswith("zone."):
        words += _subject_words(alert, [[z for z in c.zones if z.id == alert.subject] for c in (before, after)], _ZONE)
    elif alert.rule.startswith("curfew."):
        words += _subject_words(alert, [[k for k in c.curfews if k.id == alert.subject] for c in (before, after)], _CURFEW)
    for name, what in (("raise_at", "a state is decided at"), ("clear_at", "its contrary at")):
        old, new = getattr(before.filter, name), getattr(after.filter, name)
        if old != new:
            words.append(f"{what} {new:g} instead of {old:g} (this posterior: {alert.posterior:g})")
    if before.activations.of_wearer(alert.wearer) != after.activations.of_wearer(alert.wearer):
        words.append(f"the activations of {alert.wearer} are others")
    return "; ".join(words) or "nothing that concerns it was changed: please report this"


def _subject_words(alert: Alert, sides: Sequence[Sequence[Any]], names: dict[str, _Shown]) -> list[str]:
    """What was changed of a zone or a curfew, all its versions compared in their order."""
    (old, new), what = sides, f"{alert.rule.partition('.')[0]} {alert.subject}"
    if not old or not new:
        return [f"{what} is {'new' if new else 'not there any more'}"]
    if (one := any(_concerns(s, alert.wearer) for s in old)) != any(_concerns(s, alert.wearer) for s in new):
        return [f"{what} is {'not for' if one else 'for'} {alert.wearer}{' any more' if one else ' now'}"]
    if len(old) != len(new):
        return [f"{what} has {len(new)} versions instead of {len(old)}"]
    pairs = [(name, getattr(a, name), getattr(b, name)) for a, b in zip(old, new, strict=True) for name in names]
    told = [names[name](a, b) for name, a, b in pairs if a != b]
    return [f"{what} has {', '.join(dict.fromkeys(told))}"] if told else []


def _concerns(subject: Zone | Curfew, wearer: str) -> bool:
    return subject.concerns(wearer) if isinstance(subject, Zone) else subject.wearer == wearer


_Shown = Callable[[Any, Any], str]


def _other(what: str) -> _Shown:
    return lambda _old, _new: f"another {what}"


def _measured(what: str, unit: str, scale: float = 1.0) -> _Shown:
    return lambda old, new: f"{what} of {new / scale:g} {unit} instead of {old / scale:g}"


def _area(old: Any, new: Any) -> str:
    """A disc about the same point is told by its radius."""
    if isinstance(old, tuple) and len(old) == 1:  # the only place of a curfew
        old, new = old[0], new[0] if len(new) == 1 else None
    if isinstance(old, Circle) and isinstance(new, Circle) and old[:2] == new[:2]:
        return f"a radius of {new.radius_m:g} m instead of {old.radius_m:g}"
    return "another area"


_ZONE: dict[str, _Shown] = {
    "kind": lambda old, new: f"the kind {new} instead of {old}", "place": _area, "schedule": _other("schedule"),
    "valid_from": _other("first day"), "valid_to": _other("last day"), "timezone": _other("time zone"),
    "buffer_m": _measured("a buffer", "m"), "grade": lambda old, new: f"the grade {new or 'of its rule'}",
    "exceptions": _other("list of exceptions"), "holds": _other("time for which it holds"),
}  # fmt: skip
_CURFEW: dict[str, _Shown] = {
    "places": _area, "schedule": _other("schedule"), "grace_us": _measured("a grace", "minutes", MINUTE_US),
    "unverified_us": _measured("a limit for the unknown", "minutes", MINUTE_US),
    "exceptions": _other("list of exceptions"), "holds": _other("time for which it holds"),
}  # fmt: skip


def _wearer_days(fixes: Fixes, conditions: Conditions, oldest_us: int, as_of_us: int) -> float:
    """Days worn by activation within the data; without activations from each device's first fix to its last."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for row in conditions.activations.rows:
        span = max(row.from_us, oldest_us), min(row.to_us, as_of_us)
        if span[0] < span[1]:
            spans.setdefault(row.wearer, []).append(span)
    if not conditions.activations.rows and len(fixes):
        first = np.full(len(fixes.devices), as_of_us)
        last = np.full(len(fixes.devices), oldest_us)
        np.minimum.at(first, fixes.device, fixes.time_us)
        np.maximum.at(last, fixes.device, np.minimum(fixes.time_us, as_of_us))
        spans = {str(k): [(int(a), int(b))] for k, (a, b) in enumerate(zip(first, last, strict=True)) if a < b}
    return sum(b - a for each in spans.values() for a, b in merged(each)) / DAY_US


def summary(outcome: Outcome, n_operators: int) -> Table:
    """Counts by grade and rule, before and after, and the load of the operators beside what EEMUA 191 says they bear."""
    over = f"{outcome.wearer_days:,.1f} wearer-days in {outcome.span_us / HOUR_US:,.1f} hours"
    title = f"{over}, operators on duty: {n_operators}; limits of EEMUA 191"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="underline")
    table.add_column("", no_wrap=True)
    for name in ("before", "after", "added", "removed", "changed", "limit"):
        table.add_column(name, justify="right", no_wrap=True)
    _count_rows(table, outcome, "alerts", lambda _: "alerts")
    _count_rows(table, outcome, "", lambda alert: alert.grade, list(reversed(GRADE_ORDER)))
    _count_rows(table, outcome, "", lambda alert: alert.rule)
    loads = [load_of(a, outcome.wearer_days, outcome.span_us, n_operators) for a in (outcome.before, outcome.after)]
    rows: list[tuple[str, Callable[[Load], str], str]] = [
        ("a wearer-day", lambda load: f"{load.per_wearer_day:.3f}", ""),
        ("an operator-hour", lambda load: f"{load.per_operator_hour:.2f}", f"{AVERAGE_AN_HOUR}"),
        ("most in 10 min an operator", lambda load: f"{load.peak:g}", f"{FLOOD}"),
        ("10 min over that limit", lambda load: f"{load.n_floods}", ""),
    ]
    for title, cell, limit in rows:
        table.add_row(title, cell(loads[0]), cell(loads[1]), "", "", "", limit)
    return table


def _count_rows(
    table: Table, outcome: Outcome, title: str, key: Callable[[Alert], str], order: Sequence[str] | None = None
) -> None:
    before, after = Counter(map(key, outcome.before)), Counter(map(key, outcome.after))
    changes = Counter((key(d.alert), d.change) for d, _ in outcome.differences)
    for name in order or sorted(before | after):
        counts: Iterable[int] = (changes[name, change] for change in ("added", "removed", "changed"))
        if before[name] or after[name]:
            table.add_row(title or f"  {name}", f"{before[name]:,}", f"{after[name]:,}", *(f"{n:,}" for n in counts), "")
