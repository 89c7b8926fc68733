"""Alerts written as the service writes them: content, version, outbox and number in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import alerts.store
from alerts.alert import GRADES, Alert, AlertFix
from alerts.ledger import Entry, Ledger, Version
from engine.activations import Activations
from engine.database import Connection
from engine.store.fixes import FixStore
from engine.times import MINUTE_US, parse_time, to_iso
from tagwatch import configuration
from tagwatch.channels import routing_of
from tagwatch.monitor import Monitor
from tagwatch.settings import Settings
from tests.integration.console.managers_town import NOW_US as TOWN_US
from tests.integration.console.managers_town import START_US, conditions, town

BEGAN_US = parse_time("2026-03-01T09:50:00Z")
ROUTING = routing_of(Settings(), [], {})


def alert(
    wearer: str = "W01", rule: str = "zone.exclusion", began_us: int = BEGAN_US, *, subject: str = "Z1", grade: str = "",
    condition: str = "active", ended_us: int | None = None, text: str = "", zone: str = "Station Road", **why: Any,
) -> Alert:  # fmt: skip
    """The content of an alert with one fix."""
    began = to_iso(began_us)
    fixes = [AlertFix(began, 53.23, -0.54, 8.0, "gps", 0.999)] if rule.startswith("zone.") else []
    told = {
        "text": text or f"Inside exclusion zone {zone}", "decided_at": began, "threshold": 0.95, "margin": 0.03,
        "posterior_without_strongest_fix": 0.91, "subject_version": "abc123", "algorithm": "tagwatch-3", **why,
    }  # fmt: skip
    if rule.startswith("zone."):
        told["zone"] = zone
    ended = None if ended_us is None else to_iso(ended_us)
    return Alert(wearer, f"T-{wearer}", rule, subject, grade or GRADES[rule], condition, began, None, ended, 0.98, 5.0,
                 len(fixes), fixes, told)  # fmt: skip


class Desk:
    """The service's side of the ledger, without its filter."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ledger, self.seq = alerts.store.new_ledger(connection)
        connection.rollback()

    def raise_all(self, found: Sequence[Alert], now_us: int, late_s: float = 0.0) -> list[str]:
        """Write alerts in one transaction; returns their identifiers."""
        n = len(self.ledger.entries())
        entries = [Entry(f"A{n + k:05d}", 1, one, n + k) for k, one in enumerate(found, 1)]
        for entry in entries:
            self.ledger.restore(entry)
        self._write(entries, [Version(e.id, 1, "raised", e.alert, now_us, late_s) for e in entries], now_us)
        return [e.id for e in entries]

    def amend(self, identifier: str, now: Alert, now_us: int, reason: str = "amended", *, retracted: bool = False) -> None:
        """Write one more version of an alert."""
        entry = next(e for e in self.ledger.entries() if e.id == identifier)
        entry.version, entry.alert = entry.version + 1, now
        version = Version(identifier, entry.version, reason, now, now_us, 0.0, retracted)
        self._write([] if retracted else [entry], [version], now_us)

    def _write(self, entries: Sequence[Entry], versions: Sequence[Version], now_us: int) -> None:
        with self.connection.transaction():
            alerts.store.write_entries(self.connection, entries, now_us)
            self.seq = alerts.store.write_versions(
                self.connection, versions, self.seq, alerts.store.Outgoing(ROUTING, now_us, now_us - 40_000)
            )


def settle_town(connection: Connection, now_us: int = TOWN_US) -> list[str]:
    """A simulated town with its alerts and their versions; returns the identifiers."""
    world = town()
    configuration.save(
        connection, START_US, zones=world.zones, curfews=world.curfews, activations=Activations(world.activations),
        wearers=world.wearers, teams=world.teams,
    )  # fmt: skip
    fixes = world.fixes.take(world.fixes.time_us < now_us)
    events = [event for event in world.events if event.time_us < now_us]
    FixStore(connection).write(fixes)
    FixStore(connection).write_events(events)
    connection.commit()
    monitor, ledger, versions = Monitor(conditions(connection)), Ledger(), list[Version]()
    monitor.take(fixes, now_us, events)
    for wearer in monitor.trails:
        versions += ledger.apply(wearer, monitor.alerts(wearer, now_us)[0], now_us - 20 * MINUTE_US)
    connection.commit()
    with connection.transaction():
        alerts.store.write_entries(connection, ledger.entries(), now_us - 20 * MINUTE_US)
        alerts.store.write_versions(connection, versions, 0, alerts.store.Outgoing(ROUTING, now_us - 20 * MINUTE_US))
    return [entry.id for entry in ledger.entries()]
