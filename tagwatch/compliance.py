"""The figures of a case conference: how each wearer kept curfews, zones and the tag over a period, from files or the database.

Fixes go through the monitor a portion at a time, and a trail is let go once its wearer's figures are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from alerts.alert import Alert, from_json
from alerts.compliance import VERDICTS, Period, Stays, Window, presence_windows, zone_stays
from alerts.tag_care import DeviceRows, TagCare, tag_care
from engine.activations import Activation, Activations
from engine.database import Connection
from engine.errors import InputError
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import DAY_US, parse_time, to_datetime
from engine.trail import Trail
from engine.wearers import COHORTS, Wearer
from geofence.episodes import Episode, episodes
from geofence.schedule import Interval, merged, time_zone
from tagwatch.monitor import Conditions, Monitor
from tagwatch.portions import HeldFixes

_BEFORE_US, _AFTER_US = 7 * DAY_US, 3 * DAY_US
"""How far beyond the period fixes are read from the database: the filter forgets in less, a night ends in less."""
_AT_ONCE = 20
"""Wearers whose fixes are read from the database at a time."""

Portion = tuple[Fixes, Iterable[str]]
"""Fixes, and the wearers of whom nothing comes after them."""


class Handled(NamedTuple):
    """One alert of the ledger and what people made of it (state, and outcome where there is one); empty in a replay."""

    alert: Alert
    handling: str = ""


@dataclass(slots=True)
class Figures:
    """What is reported of one wearer, or of several together."""

    wearers: int = 0
    windows: Counter[str] = field(default_factory=Counter)
    required_us: int = 0
    away_us: int = 0
    unknown_us: int = 0
    authorised_us: int = 0
    zones: dict[str, Stays] = field(default_factory=lambda: {"exclusion": Stays(), "inclusion": Stays()})
    tag: TagCare = field(default_factory=TagCare)
    grades: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    handling: Counter[str] = field(default_factory=Counter)

    @property
    def judged(self) -> int:
        """Windows that are over and were monitored: the denominator of what was kept."""
        return sum(self.windows[verdict] for verdict in VERDICTS)

    def add(self, other: Figures) -> None:
        """Add the figures of others to these."""
        for name in ("wearers", "required_us", "away_us", "unknown_us", "authorised_us"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("windows", "grades", "rules", "handling"):
            getattr(self, name).update(getattr(other, name))
        self.zones = {kind: _sum(Stays, (stays, other.zones[kind])) for kind, stays in self.zones.items()}
        self.tag = _sum(TagCare, (self.tag, other.tag))


@dataclass(slots=True)
class Report:
    """One wearer's figures, and each window behind them."""

    wearer: Wearer
    timezone: str
    figures: Figures
    windows: list[Window]


def together(reports: Iterable[Report]) -> Figures:
    """The figures of several wearers as one."""
    whole = Figures()
    for report in reports:
        whole.add(report.figures)
    return whole


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Over which days, of whom: named wearers, or a cohort, or everybody; `timezone` where no curfew has one."""

    period: Period
    wearer: str | None = None
    cohort: str | None = None
    timezone: str = "UTC"

    def bounds(self) -> Interval:
        """Instants that surely hold the period in any zone."""
        first = self.period.interval(time_zone("UTC"))[0] - DAY_US
        return first, self.period.interval(time_zone("UTC"))[1] + DAY_US


def from_files(
    fixes: Fixes, conditions: Conditions, people: Sequence[Wearer], events: Sequence[DeviceEvent], inquiry: Inquiry
) -> list[Report]:
    """The reports from files, by wearer; alerts are those of a replay, and nobody has handled them."""
    as_of = inquiry.period.as_of_us
    fixes = fixes.take(fixes.time_us <= as_of)
    events = [e for e in events if e.time_us <= as_of]
    devices = () if conditions.activations.rows else {*fixes.devices, *(e.device for e in events)}
    names = _asked_for(inquiry, conditions, people, devices)
    conditions = _only(conditions, names)
    if not conditions.activations.rows:
        mine = np.array([name in names for name in fixes.devices], np.bool_)
        fixes = fixes.take(mine[fixes.device]) if len(fixes) else fixes
        events = [e for e in events if e.device in names]
    held = HeldFixes(fixes, conditions.activations)
    monitor = Monitor(conditions)
    monitor.take(Fixes.empty(), as_of, events)

    def alerts_of(wearer: str) -> Iterable[Handled]:
        return (Handled(alert) for alert in monitor.alerts(wearer, as_of)[0]) if wearer in monitor.trails else ()

    return _reports(held.of(0, len(held.wearers)), monitor, names, events, inquiry, alerts_of)


def from_database(
    connection: Connection, conditions: Conditions, people: Sequence[Wearer], inquiry: Inquiry
) -> list[Report]:
    """The reports from the database, by wearer; alerts are those of the ledger, with their handling."""
    store = FixStore(connection)
    devices = [] if conditions.activations.rows else [row[0] for row in connection.execute("SELECT name FROM device")]
    names = _asked_for(inquiry, conditions, people, devices)
    conditions = _only(conditions, names)
    low, high = inquiry.bounds()
    low, high = low - _BEFORE_US, min(high + _AFTER_US, inquiry.period.as_of_us)
    worn_by: dict[str, list[str]] = {name: [] for name in names}
    for row in conditions.activations.rows:
        if row.wearer in names:  # it may be the activation of nobody who is asked for
            worn_by[row.wearer].append(row.device)

    def portions() -> Iterator[Portion]:
        wanted = list(names)
        for k in range(0, len(wanted), _AT_ONCE):
            some = wanted[k : k + _AT_ONCE]
            yield store.read(devices={d for w in some for d in worn_by[w] or [w]}, from_us=low, to_us=high), some

    ledger = _ledger(connection, low, high, set(names))
    events = store.read_events(to_us=high, devices=sorted({d for w, worn in worn_by.items() for d in worn or [w]}))
    return _reports(portions(), Monitor(conditions), names, events, inquiry, lambda w: ledger.get(w, ()), low)


def _reports(
    portions: Iterable[Portion], monitor: Monitor, names: dict[str, Wearer], events: Sequence[DeviceEvent],
    inquiry: Inquiry, alerts_of: Callable[[str], Iterable[Handled]], loaded_from_us: int = -(2**62),
) -> list[Report]:  # fmt: skip
    noticed: dict[str, list[DeviceEvent]] = {}
    for event in events:
        if event.time_us <= inquiry.period.as_of_us:
            noticed.setdefault(event.device, []).append(event)
    done: dict[str, Report] = {}
    for fixes, complete in portions:
        monitor.take(fixes, inquiry.period.as_of_us)
        for wearer in complete:
            if wearer in names and wearer not in done:
                done[wearer] = _report(names[wearer], monitor, noticed, inquiry, alerts_of(wearer), loaded_from_us)
                monitor.drop(wearer)
    for wearer in names.keys() - done.keys():  # of whom nothing came
        done[wearer] = _report(names[wearer], monitor, noticed, inquiry, alerts_of(wearer), loaded_from_us)
    return [done[wearer] for wearer in sorted(done)]


def _report(
    who: Wearer, monitor: Monitor, noticed: dict[str, list[DeviceEvent]], inquiry: Inquiry, alerts: Iterable[Handled],
    loaded_from_us: int,
) -> Report:  # fmt: skip
    wearer, period, conditions = who.wearer, inquiry.period, monitor.conditions
    trail = monitor.trails.get(wearer) or Trail(wearer)
    subjects = _subjects(monitor, trail, period.as_of_us)
    curfews = [c for c in conditions.curfews if c.wearer == wearer]
    zone_name = curfews[0].schedule.timezone if curfews else inquiry.timezone
    within = period.interval(time_zone(zone_name))
    worn = _worn(monitor, trail)
    monitored = merged((row.from_us, row.to_us) for row in worn)
    figures, windows = Figures(wearers=1), list[Window]()
    for versions in _by_id(curfews):
        windows += presence_windows([(c, subjects.get(("curfew", c.id, c.holds), [])) for c in versions], monitored, period)
    windows.sort(key=lambda w: (w.start_us, w.curfew))
    _count_windows(figures, windows)
    mine = [
        z for z in conditions.zones if z.concerns(wearer) and (z.kind == "inclusion" or (z.kind, z.id, z.holds) in subjects)
    ]
    for zones in _by_id(mine):
        stays = zone_stays([(z, subjects.get((z.kind, z.id, z.holds), [])) for z in zones], monitored, within)
        figures.zones[zones[0].kind] = _sum(Stays, (figures.zones[zones[0].kind], stays))
    for row in worn:
        told = [e for e in noticed.get(row.device, ()) if row.from_us <= e.time_us < row.to_us]
        care = tag_care(row, _rows_of(trail, monitor.devices, row), told, within, loaded_from_us)
        figures.tag = _sum(TagCare, (figures.tag, care))
    for alert, handling in alerts:
        if within[0] <= parse_time(alert.began) < within[1]:
            figures.grades[alert.grade] += 1
            figures.rules[alert.rule] += 1
            figures.handling.update([handling] if handling else [])
    return Report(who, zone_name, figures, windows)


def _count_windows(figures: Figures, windows: Sequence[Window]) -> None:
    figures.windows.update(w.verdict for w in windows)
    judged = [w for w in windows if w.verdict in VERDICTS]
    figures.required_us = sum(w.required_us for w in judged)
    figures.away_us = sum(w.out_us for w in judged)
    figures.unknown_us = sum(w.unknown_us for w in judged)
    figures.authorised_us = sum(w.authorised_us for w in windows if w.verdict not in ("running", "not_monitored"))


def _subjects(monitor: Monitor, trail: Trail, as_of_us: int) -> dict[Any, list[Episode]]:
    """The episodes of each version of a zone or a curfew that was watched for this wearer."""
    watch = monitor.watch
    slots = [(slot, slot.subject.of) for slot in watch.slots(trail.wearer)]
    return {(s.subject.kind, of.id, of.holds): episodes(s, trail, watch, as_of_us) for s, of in slots}


def _worn(monitor: Monitor, trail: Trail) -> list[Activation]:
    """The activations of a wearer; without any in the files, the device of this name from its first fix on."""
    conditions = monitor.conditions
    if conditions.activations.rows:
        return conditions.activations.of_wearer(trail.wearer)
    if not len(trail):
        return []
    return [conditions.plan._replace(device=trail.wearer, wearer=trail.wearer, from_us=int(trail.column("time_us")[0]))]


def _rows_of(trail: Trail, devices: Sequence[str], row: Activation) -> DeviceRows:
    number = devices.index(row.device) if row.device in devices else -1
    time_us = trail.column("time_us")
    mine = (trail.column("device") == number) & (time_us >= row.from_us) & (time_us < row.to_us)
    return DeviceRows(time_us[mine], trail.column("received_s")[mine])


def monitored_in(conditions: Conditions, from_us: int, to_us: int) -> set[str]:
    """Who wore a device or had a curfew within [from_us, to_us]."""
    worn = {row.wearer for row in conditions.activations.rows if row.from_us < to_us and row.to_us > from_us}
    return worn | {c.wearer for c in conditions.curfews if c.windows(from_us, to_us)}


def _asked_for(
    inquiry: Inquiry, conditions: Conditions, people: Sequence[Wearer], devices: Iterable[str]
) -> dict[str, Wearer]:
    """The wearers to report on: all who wore a device or had a curfew in the period, whether anything came or not."""
    low, high = inquiry.bounds()
    named = {person.wearer: person for person in people}
    active = monitored_in(conditions, low, high) | set(devices)
    if inquiry.wearer is not None:
        if inquiry.wearer not in active | named.keys():
            expected = "a wearer whom the activations, the curfews or the wearers know"
            raise InputError(field="--wearer", value=inquiry.wearer, expected=expected)
        active = {inquiry.wearer}
    if inquiry.cohort is not None:
        if inquiry.cohort not in COHORTS:
            raise InputError(field="--cohort", value=inquiry.cohort, expected=f"one of {', '.join(COHORTS)}")
        if not any(person.cohort for person in people):
            raise InputError("nobody's cohort is known", field="--cohort", expected="a wearers file or import")
        active = {w for w in active if w in named and named[w].cohort == inquiry.cohort}
    return {wearer: named.get(wearer, Wearer(wearer)) for wearer in sorted(active)}


def _only(conditions: Conditions, names: dict[str, Wearer]) -> Conditions:
    """The conditions of these wearers; one who wore nothing keeps an activation of nobody, so that devices stay assigned."""
    rows = [row for row in conditions.activations.rows if row.wearer in names]
    kept = rows or list(conditions.activations.rows[:1])
    return replace(conditions, curfews=[c for c in conditions.curfews if c.wearer in names], activations=Activations(kept))


def _ledger(connection: Connection, low_us: int, high_us: int, names: set[str]) -> dict[str, list[Handled]]:
    rows = connection.execute(
        "SELECT wearer, content, handling, outcome FROM alert WHERE condition <> 'retracted' AND wearer = ANY(%s)"
        " AND began BETWEEN %s AND %s",
        (sorted(names), to_datetime(low_us), to_datetime(high_us)),
    )
    ledger: dict[str, list[Handled]] = {}
    for wearer, content, handling, outcome in rows:
        told = f"{handling}: {outcome}" if outcome else handling
        ledger.setdefault(wearer, []).append(Handled(from_json(content), told))
    return ledger


def _by_id(subjects: Iterable[Any]) -> Iterable[list[Any]]:
    """The versions of each zone or curfew together, oldest first."""
    groups: dict[str, list[Any]] = {}
    for subject in subjects:
        groups.setdefault(subject.id, []).append(subject)
    return [sorted(group, key=lambda s: s.holds) for group in groups.values()]


def _sum(kind: Any, rows: Iterable[tuple[int, ...]]) -> Any:
    return kind(*map(sum, zip(*rows, strict=True)))
