"""From every schema that was released, with data, to the newest: nothing is lost, doubled or changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
import pytest

from engine import timescale
from engine.database import connect, migrate, missing_migrations
from engine.events import DeviceEvent
from engine.fixes import ABSENT, NAMES, OPTIONAL, Fixes
from engine.store.fixes import FixStore
from engine.store.hours import HourSummaries
from tagwatch.session import SCHEMAS
from tests.integration.hours_oracle import as_summaries, same, summaries_of
from tests.integration.store_world import SERVERS, Kept, fresh_database, keep, rows_of, server_of

RELEASED = (
    ("engine-0001", "engine-0002", "alerts-0001", "geofence-0001", "ingest-0001"),
    ("engine-0003",),
    ("alerts-0002", "alerts-0003", "geofence-0002"),
    ("engine-0004",),
    ("crime-match-0001", "crime-match-0002", "crime-match-0003"),
    ("alerts-0004", "tagwatch-0001"),
)
"""What each released step added."""
DEVICES = ("zulu", "alpha", "señor 7", "mike")
EDGES_S = (946_684_800, 1_780_271_999, 1_780_272_000, 1_780_275_600, 4_102_444_799)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_of(request.param, tmp_path_factory.mktemp("postgres")) as found:
        yield found


def released_up_to(url: str, step: int) -> None:
    """Bring a database to a released step, as that release did."""
    from yoyo import get_backend, read_migrations

    names = tuple(name for added in RELEASED[: step + 1] for name in added)
    backend = get_backend(url.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        migrations = read_migrations(*(str(folder) for folder in SCHEMAS))
        with backend.lock():
            backend.apply_migrations(migrations.filter(lambda one: one.id.startswith(names)))
    finally:
        backend.connection.close()


def old_fixes() -> Fixes:
    """Fixes with all that is awkward: nothing reported, microseconds, several of one instant, the first and last second."""
    rng = np.random.default_rng(7)
    seconds = np.concatenate([np.repeat(EDGES_S, 40), 1_780_272_000 + rng.integers(0, 3 * 86_400, 400)])
    n = len(seconds)
    whole = {"device": rng.integers(0, 4, n), "time_us": seconds * 1_000_000 + rng.choice([0, 0, 1, 999_999, 250_000], n)}
    whole |= {"lat_e7": rng.integers(-9 * 10**8, 9 * 10**8, n), "lon_e7": rng.integers(-18 * 10**8, 18 * 10**8, n)}
    given = {c.name: np.where(rng.random(n) < 0.4, ABSENT, rng.integers(-5, 2**31 - 1, n)) for c in OPTIONAL}
    fixes = Fixes.of(
        DEVICES, **whole, **given, source=rng.choice([0, 1, 4, 5, 6], n), received_s=seconds + rng.integers(-9, 9, n)
    )
    _, first = np.unique(np.stack([fixes.device, fixes.time_us, fixes.content()]), axis=1, return_index=True)
    return fixes.take(first)


def fill(connection: psycopg.Connection[Any], fixes: Fixes, events: list[DeviceEvent], step: int) -> dict[str, int]:
    """Put it into the tables as they were, by plain SQL; the devices' numbers."""
    for name in DEVICES:
        connection.execute("INSERT INTO device (name) VALUES (%s)", [name])
    numbers: dict[str, int] = dict(connection.execute("SELECT name, device_id FROM device").fetchall())
    columns = [name for name in NAMES if name not in ("device", "time_us", "received_s")]
    values = zip(
        [numbers[DEVICES[k]] for k in fixes.device], [moment(t) for t in fixes.time_us], fixes.content().tolist(),
        *(fixes.column(name).tolist() for name in columns), [moment(s * 1_000_000) for s in fixes.received_s], strict=True,
    )  # fmt: skip
    into = ["device_id", "time", "content", *columns, "received"]
    places = ", ".join(["%s"] * len(into))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO fix ({', '.join(into)}) VALUES ({places})".encode(), list(values))
        cursor.executemany(
            "INSERT INTO device_event VALUES (%s, %s, %s, %s, %s)",
            [(numbers[e.device], moment(e.time_us), e.kind, e.value, moment(e.received_s * 1_000_000)) for e in events],
        )
    if step >= 1:
        since = "" if step < 3 else ", since"
        connection.execute(
            f"INSERT INTO device_sequence (device_id, until, beyond{since}) SELECT device_id, 41, '43,47'"
            f"{'' if step < 3 else ', 5'} FROM device WHERE name <> 'mike'".encode()
        )
    return numbers


def moment(time_us: int) -> datetime:
    return datetime.fromtimestamp(int(time_us) // 1_000_000, UTC).replace(microsecond=int(time_us) % 1_000_000)


def readable(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return sorted(connection.execute("SELECT * FROM fix_readable").fetchall(), key=repr)


@pytest.mark.parametrize("step", range(len(RELEASED)))
def test_data_of_every_release_is_carried_over(server: str, step: int) -> None:
    fixes, kept = old_fixes(), Kept()
    assert keep(kept, fixes) == len(fixes)
    events = [DeviceEvent(d, s * 1_000_000 + 1, "battery", "12", s + 3) for d in DEVICES for s in EDGES_S]
    with fresh_database(server, ()) as url:
        released_up_to(url, step)
        with connect(url) as connection:
            numbers = fill(connection, fixes, events, step)
            connection.commit()
            shown = readable(connection)
            assert len(shown) == len(fixes)
        assert migrate(url, SCHEMAS) > 0
        assert migrate(url, SCHEMAS) == 0
        with connect(url) as connection:
            assert missing_migrations(connection, SCHEMAS) == []
            store = FixStore(connection)
            assert sorted(rows_of(store.read())) == sorted(kept.items())
            assert readable(connection) == shown
            assert dict(connection.execute("SELECT name, device_id FROM device").fetchall()) == numbers
            assert sorted(store.read_events()) == sorted(events)
            since = 42 if step < 3 else 5  # of older rows it is not known what came first: nothing is claimed
            told = {name: (since, 41, {43, 47}) for name in DEVICES if name != "mike"}
            assert store.read_sequences() == ({} if step < 1 else told)
            connection.rollback()
            with connection.transaction():
                assert store.holds(fixes).all()
                assert store.write(fixes) == 0
                store.write_events(events)
                assert len(store.read_events()) == len(events)
            summaries, right = HourSummaries(connection), summaries_of(kept)
            summaries.refresh(2**32)
            found = as_summaries(summaries.read(0, 2**33))
            assert found.keys() == right.keys()
            assert all(same(found[key], right[key]) for key in right)
            connection.rollback()
            timescale.compress(connection, 2**33)
            assert sorted(rows_of(store.read())) == sorted(kept.items())


def test_fixes_cannot_be_taken_back_to_the_tables_of_before(server: str) -> None:
    from yoyo import get_backend, read_migrations

    with fresh_database(server, SCHEMAS) as url:
        backend = get_backend(url.replace("postgresql://", "postgresql+psycopg://", 1))
        try:
            years = read_migrations(*map(str, SCHEMAS)).filter(
                lambda one: one.id.startswith(("engine-0005", "engine-0006"))
            )
            with backend.lock(), pytest.raises(psycopg.errors.RaiseException, match="restore a backup"):
                backend.rollback_migrations(backend.to_rollback(years))
        finally:
            backend.connection.close()
        migrate(url, SCHEMAS)
        with connect(url) as connection:
            assert FixStore(connection).count() == 0
            assert missing_migrations(connection, SCHEMAS) == []
