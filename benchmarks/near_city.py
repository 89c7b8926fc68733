"""A city in a database: its fixes, the hourly summaries of them, and what its tags told of themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.match_scenes import N_MASTS, START_US, city
from engine.activations import Activation, Activations
from engine.database import Connection, connect
from engine.events import DeviceEvent
from engine.fixes import SOURCES, Fixes
from engine.store.fixes import FixStore
from engine.store.hours import HourSummaries
from engine.times import DAY_US, SECOND_US

_A_TRANSACTION = 200_000
_GROUP = 100


def worn(n_wearers: int) -> Activations:
    """One tag each, since before the city began."""
    return Activations(Activation(f"t{k:05d}", f"w{k:05d}", START_US - 30 * DAY_US) for k in range(n_wearers))


def fill(url: str, n_wearers: int, n_days: int) -> None:
    """Store a city, and summarise its hours."""
    with connect(url) as connection:
        store = FixStore(connection)
        for batch in fixes_of(n_wearers, n_days):
            with connection.transaction():
                store.write(batch)
        with connection.transaction():
            store.write_events(events_of(n_wearers, n_days))
        connection.commit()
        HourSummaries(connection).refresh((START_US + (n_days + 2) * DAY_US) // SECOND_US)
        connection.commit()
        settle(connection)


def settle(connection: Connection) -> None:
    """What a server does when it is left alone for a while: statistics, and the last chunks compressed."""
    connection.autocommit = True
    if connection.execute("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')").fetchone() == (True,):
        connection.execute("SELECT compress_chunk(c, if_not_compressed => true) FROM show_chunks('fix') c").fetchall()
    connection.execute("VACUUM ANALYZE")
    connection.autocommit = False


def fixes_of(n_wearers: int, n_days: int) -> Iterator[Fixes]:
    """The fixes of all, some wearers at a time, in batches of a transaction."""
    for first in range(0, n_wearers, _GROUP):
        n = min(_GROUP, n_wearers - first)
        tracks = city(n, n_days, seed=20260607 + first)
        names = tuple(f"t{first + k:05d}" for k in range(n))
        device = np.repeat(np.arange(n, dtype=np.int32), np.diff(tracks.start))
        rng = np.random.default_rng(first)
        for at in range(0, tracks.n_fixes, _A_TRANSACTION):
            part = slice(at, min(at + _A_TRANSACTION, tracks.n_fixes))
            time_us = tracks.base_us + tracks.tick[part].astype(np.int64) * tracks.tick_us
            m = len(time_us)
            yield Fixes.of(
                names, device=device[part], time_us=time_us, lat_e7=tracks.lat_e7[part], lon_e7=tracks.lon_e7[part],
                accuracy_cm=tracks.radii_cm[tracks.error[part], 0],
                source=np.where(tracks.error[part] < len(tracks.radii_cm) - N_MASTS, SOURCES["gps"], SOURCES["lbs"]),
                speed_cms=rng.integers(0, 1_500, m), course_cdeg=rng.integers(0, 36_000, m),
                satellites=rng.integers(4, 14, m), battery_pct=rng.integers(20, 100, m),
                received_s=(time_us // SECOND_US // 600 + 1) * 600 + rng.integers(0, 5),
            )  # fmt: skip


def events_of(n_wearers: int, n_days: int) -> list[DeviceEvent]:
    """A heartbeat an hour of one tag in ten, off and on again twice a month, a strap cut once in two years."""
    rng, found = np.random.default_rng(7), list[DeviceEvent]()
    for k in range(n_wearers):
        name = f"t{k:05d}"

        def told(kind: str, at_s: int, name: str = name) -> DeviceEvent:
            return DeviceEvent(name, START_US + at_s * SECOND_US, kind, "", START_US // SECOND_US + at_s + 60)

        if k % 10 == 0:
            found += [told("heartbeat", hour * 3600) for hour in range(n_days * 24)]
        for at_s in rng.integers(0, n_days * 86_400, rng.poisson(n_days / 15)).tolist():
            found += [told("power_off", at_s), told("power_on", at_s + 120)]
        if rng.random() < n_days / 730:
            found.append(told("strap_tamper", int(rng.integers(0, n_days * 86_400))))
    return found
