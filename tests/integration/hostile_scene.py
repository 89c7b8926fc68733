"""A session over a real database and a real raw log, fed by hand, for tests of what attackers send and change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine import database
from engine.store.fixes import FixStore
from engine.times import MINUTE_US, SECOND_US, parse_time, to_iso
from ingest.message import Message
from ingest.raw_log import RawLog
from tagwatch import comparison, configuration
from tagwatch.comparison import Compared
from tagwatch.comparison.received import Span
from tagwatch.counts import Counts
from tagwatch.service import ledger_content
from tagwatch.session import Session
from tagwatch.settings import Database, Settings

T0_US = parse_time("2026-03-02T08:00:00Z")
_TABLES = ("fix, device_event, device_sequence, device, alert, alert_version, outbox, handling_action, handling_notice,"
           " configuration, quarantine, fix_import, audit_entry")  # fmt: skip
_KEPT = ("handling_action", "audit_entry")


def emptied(url: str) -> str:
    """The database with no rows, the rows that are only ever appended too."""
    with database.connect(url) as connection:
        for name in _KEPT:
            connection.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER".encode())
        connection.execute(f"TRUNCATE {_TABLES} CASCADE".encode())
        for name in _KEPT:
            connection.execute(f"ALTER TABLE {name} ENABLE TRIGGER USER".encode())
    return url


class Centre:
    """The service's session, its raw log and its clock."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.now_us, self.counts, self.folder = emptied(url), T0_US, Counts(), folder / "raw-log"
        self.settings = Settings(database=Database(url=url))
        self.log = RawLog(self.folder)
        self.session = Session(self.settings, lambda: self.now_us, self.counts, 10.0)

    def hear(self, topic: str, payload: bytes, at_us: int | None = None) -> Any:
        """One message arrives, now or at an instant; returns what was decoded of it."""
        self.now_us = max(self.now_us, at_us or 0)
        return self.session.step([Message(self.now_us, topic, payload)], self.log)

    def walk(self, device: str, minutes: range, east_m: float) -> None:
        """A fix a minute at so many metres east of the beginning, ten in a message."""
        for first in minutes[::10]:
            some = range(first, min(first + 10, minutes.stop))
            at_us = T0_US + some[-1] * MINUTE_US + 5 * SECOND_US
            self.hear(f"tags/{device}/fixes", fixes([(minute, east_m) for minute in some], seq=first), at_us)

    def configure(self, **given: Any) -> None:
        """Import zones, curfews or activations, and let the service notice."""
        with database.connect(self.url) as connection, connection.transaction():
            configuration.save(connection, self.now_us, **given)
        self.now_us += 2 * SECOND_US
        self.session.step([], self.log)

    def settle(self) -> list[bytes]:
        """The ledger, every alert brought up to now."""
        with self.session.connection.transaction():
            self.session._settle(sorted(self.session.monitor.trails), self.now_us)
        return ledger_content(self.url)

    def rules(self, condition: str = "") -> list[str]:
        """Rules of the alerts that hold, and by condition."""
        told = [json.loads(line) for line in self.settle()]
        return sorted(one["rule"] for one in told if not condition or one["condition"] == condition)

    def n_fixes(self) -> int:
        """How many fixes are stored."""
        with database.connect(self.url) as connection:
            return FixStore(connection).count()

    def compared(self) -> Compared:
        """What `tagwatch audit compare` finds."""
        self.settle()
        with database.connect(self.url) as connection:

            def conditions() -> Any:
                return configuration.load(connection, self.settings.filter_settings, self.settings.default_plan)

            with connection.transaction():
                activations = conditions().activations
            span = Span(T0_US // SECOND_US - 1, self.now_us // SECOND_US + 1)
            found = comparison.compare_received(connection, self.folder, span, activations)
            found.take(comparison.compare_ledger(connection, conditions, lambda: self.now_us, again_after_s=0.0))
            found.take(comparison.compare_acts(connection))
        return found

    def change(self, query: str, *, appended: str = "") -> None:
        """What somebody does who may write to the database; `appended` names a table whose guard he takes away first."""
        with database.connect(self.url) as connection:
            if appended:
                connection.execute(f"ALTER TABLE {appended} DISABLE TRIGGER USER".encode())
            assert connection.execute(query.encode()).rowcount == 1
            if appended:
                connection.execute(f"ALTER TABLE {appended} ENABLE TRIGGER USER".encode())


@contextmanager
def centre(url: str, folder: Path) -> Iterator[Centre]:
    """A centre that is closed at the end."""
    made = Centre(url, folder)
    try:
        yield made
    finally:
        made.session.connection.close()
        made.log.close()


def fixes(rows: list[tuple[float, float]], seq: int | None = None) -> bytes:
    """Fixes as (minute since the beginning, metres east), as a tag sends them."""
    return json.dumps([
        {"time": to_iso(T0_US + round(m * MINUTE_US)), "lat": 53.0, "lon": round(-1.0 + e * 1.493e-5, 7), "accuracy_m": 8,
         "source": "gps", **({} if seq is None else {"seq": seq + k})}
        for k, (m, e) in enumerate(rows)
    ]).encode()  # fmt: skip


def park(east_m: float = 1000) -> dict[str, Any]:
    """A disc that nobody may be in."""
    point = {"type": "Point", "coordinates": [-1.0 + east_m * 1.493e-5, 53.0]}
    properties = {"id": "park", "kind": "exclusion", "wearers": "*", "radius_m": 150}
    return {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": properties, "geometry": point}]}
