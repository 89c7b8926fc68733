"""The stored ledger against one computed anew from the stored fixes, events and configuration; and its history."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import alerts.store
from alerts.alert import from_json
from alerts.horizon import Horizon, across
from alerts.ledger import Ledger, Version
from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import Clock
from tagwatch.comparison.difference import Compared
from tagwatch.monitor import Conditions, Monitor
from tagwatch.retention.horizon import Horizon as Closed
from tagwatch.retention.horizon import read_horizons

_AT_ONCE = 64
_AGAIN_AFTER_S = 3.0
"""A running service is a moment behind or ahead of us: what differs is looked at a second time."""

_HISTORY = (
    "SELECT a.id, a.version, count(v.version), coalesce(max(v.version), 0), coalesce(min(v.version), 0) FROM alert a"
    " LEFT JOIN alert_version v USING (id) GROUP BY a.id, a.version"
    " HAVING count(v.version) <> a.version OR max(v.version) <> a.version OR min(v.version) <> 1 ORDER BY a.id"
)
_ORPHANS = "SELECT DISTINCT v.id FROM alert_version v LEFT JOIN alert a USING (id) WHERE a.id IS NULL ORDER BY v.id"
_LAST = (
    "SELECT a.id, a.content, v.content, a.wearer, a.rule, a.grade FROM alert a JOIN alert_version v"
    " ON v.id = a.id AND v.version = a.version ORDER BY a.id"
)


def compare_ledger(
    connection: Connection, conditions: Callable[[], Conditions], clock: Clock, again_after_s: float = _AGAIN_AFTER_S
) -> Compared:
    """What the database says of alerts and its fixes do not. conditions: reads those that hold now."""
    found = Compared()
    with connection.transaction():
        _look_at_history(connection, found)
        wearers = _wearers(connection, conditions())
        suspect = _recomputed(connection, conditions(), wearers, clock())
    if suspect:
        time.sleep(again_after_s)
        with connection.transaction():
            suspect = _recomputed(connection, conditions(), sorted(suspect), clock())
    found.counts["wearers"] = len(wearers)
    for wearer, versions in suspect.items():
        for version in versions:
            what = f"alert {version.id} of {wearer}, {version.alert.rule} from {version.alert.began}"
            found.differs("alert not as computed", what, f"computed anew it would be: {version.reason}")
    return found


def _recomputed(
    connection: Connection, conditions: Conditions, wearers: Sequence[str], now_us: int
) -> dict[str, list[Version]]:
    """By wearer the versions that a service would write that started now; nothing is written."""
    store, horizons = FixStore(connection), read_horizons(connection)

    def recall(devices: Sequence[str]) -> tuple[Fixes, list[DeviceEvent]]:
        return store.read(devices=devices), store.read_events(devices=devices)

    monitor = Monitor(conditions, recall, (store.holds, store.holds_events))
    monitor.reads_us = horizons.reads_us()
    ledger, _ = alerts.store.new_ledger(connection)
    differing: dict[str, list[Version]] = {}
    for start in range(0, len(wearers), _AT_ONCE):
        some = wearers[start : start + _AT_ONCE]
        monitor.recall(some, now_us)
        closed_us = {w: horizons.closed_us(w) for w in some if w in horizons.of}
        alerts.store.restore(connection, ledger, some, closed_us)
        for wearer in some:
            if versions := _versions(monitor, ledger, wearer, horizons.of.get(wearer), now_us):
                differing[wearer] = versions
        for wearer in some:
            ledger.forget(wearer)
            if wearer in monitor.trails:
                monitor.forget(wearer, now_us)
    return differing


def _versions(monitor: Monitor, ledger: Ledger, wearer: str, closed: Closed | None, now_us: int) -> list[Version]:
    held = [entry.alert for entry in ledger.entries(wearer)]
    found, _ = monitor.alerts(wearer, now_us)
    if closed:
        found = across(found, held, Horizon(closed.closed_us, closed.reads_us, monitor.usable_span(wearer)))
    return ledger.apply(wearer, found, now_us)


def _wearers(connection: Connection, conditions: Conditions) -> list[str]:
    known = {*alerts.store.wearers_of(connection), *(row.wearer for row in conditions.activations.rows)}
    if not conditions.activations.rows:
        known |= {*FixStore(connection).devices()}
    return sorted(known)


def _look_at_history(connection: Connection, found: Compared) -> None:
    for identifier, version, n, last, first in connection.execute(_HISTORY.encode()):
        told = f"it is at version {version}, its history has {n}, from {first} to {last}"
        found.differs("history with a gap", f"alert {identifier}", told)
    for (identifier,) in connection.execute(_ORPHANS.encode()):
        found.differs("history of no alert", f"alert {identifier}", "versions of it are stored, and no alert")
    for identifier, content, last, *columns in connection.execute(_LAST.encode()):
        found.counts["alerts"] += 1
        alert = from_json(content)
        if from_json(last).substance() != alert.substance():
            found.differs("history ends otherwise", f"alert {identifier}", "its last version says something else")
        if [alert.wearer, alert.rule, alert.grade] != columns:
            told = "wearer, rule or grade beside its content are others than in it"
            found.differs("alert against itself", f"alert {identifier}", told)
