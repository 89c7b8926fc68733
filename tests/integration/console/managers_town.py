"""A small simulated town in the database for the pages about wearers: fixes, events, configuration, and the ledger's alerts."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from alerts.ledger import Ledger
from alerts.store import write_entries
from engine.activations import Activation, Activations
from engine.database import Connection
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import DAY_US, HOUR_US, SECOND_US
from engine.wearers import Wearer
from tagwatch import configuration
from tagwatch.monitor import Conditions, Monitor
from tagwatch.settings import Settings
from tagwatch.simulate.world import START_US, World, simulate

DAYS = 8
NOW_US = START_US + DAYS * DAY_US - 14 * HOUR_US
"""Monday 30 March 2026, 10:00 UTC: the clocks went forward in the night to Sunday."""


@cache
def town(wearers: int = 6, days: int = DAYS) -> World:
    """The same town each time."""
    return simulate(wearers, days, 5)


def conditions(connection: Connection) -> Conditions:
    """What the database holds."""
    settings = Settings()
    return configuration.load(connection, settings.filter_settings, settings.default_plan)


def settle(connection: Connection, world: World, now_us: int = NOW_US) -> None:
    """Put the town into the database as it is known at an instant."""
    configuration.save(
        connection, START_US, zones=world.zones, curfews=world.curfews, activations=Activations(world.activations),
        wearers=world.wearers, teams=world.teams,
    )  # fmt: skip
    fixes = world.fixes.take((world.fixes.time_us < now_us) & (world.fixes.received_s * SECOND_US < now_us))
    events = [event for event in world.events if max(event.time_us, event.received_s * SECOND_US) < now_us]
    FixStore(connection).write(fixes)
    FixStore(connection).write_events(events)
    monitor = Monitor(conditions(connection))
    monitor.take(fixes, now_us, events)
    ledger = Ledger()
    for wearer in monitor.trails:
        ledger.apply(wearer, monitor.alerts(wearer, now_us)[0], now_us)
    write_entries(connection, ledger.entries(), now_us)


def add_wearer(connection: Connection, who: Wearer, **given: Any) -> None:
    """One more wearer; given: `curfews`, `zones`, `activations`, as files have them."""
    rows: Iterable[Activation] = given.pop("activations", ())
    worn = Activations(rows) if rows else None
    configuration.save(connection, START_US, wearers=[who], activations=worn, **given)


def fixes_of(device: str, times_us: Any, lat: Any, lon: Any) -> Fixes:
    """Fixes of one device; times (n,) [us], places (n,) [degrees], all accurate to 10 m."""
    n = len(times_us)
    return Fixes.of(
        [device], device=[0] * n, time_us=times_us, lat_e7=[round(x * 1e7) for x in lat],
        lon_e7=[round(x * 1e7) for x in lon], accuracy_cm=[1_000] * n, source=[1] * n,
    )  # fmt: skip
