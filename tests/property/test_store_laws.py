"""The fix store against a set in plain Python: every fix once, with its earliest arrival, whatever writers do and undo."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.database import Connection
from engine.fixes import Fixes
from engine.store.fixes import NEAREST, FixStore
from tests.integration.store_world import (
    BATCHES,
    DEEDS,
    DEVICES,
    INSTANTS,
    SERVERS,
    SOME_DEVICES,
    SPANS,
    Erasure,
    Flood,
    Kept,
    Reading,
    Write,
    empty,
    erase,
    fixes_of,
    fresh_database,
    keep,
    rows_of,
    server_of,
    two_connections,
)  # fmt: skip

Both = tuple[Connection, Connection]


class _UndoneError(Exception):
    """Ends a transaction or a savepoint without its work."""


@pytest.fixture(scope="module", params=SERVERS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with (
        server_of(request.param, tmp_path_factory.mktemp("postgres")) as server, fresh_database(server) as url,
        two_connections(url) as found,
    ):  # fmt: skip
        yield found


def do(store: FixStore, deed: Write | Erasure, kept: Kept) -> None:
    """One deed in a transaction, and what is kept by it."""
    try:
        with store.connection.transaction():
            if deed.end != "savepoint":
                _act(store, deed, kept)
            else:
                try:
                    with store.connection.transaction():
                        _act(store, deed, kept)
                        raise _UndoneError
                except _UndoneError:
                    pass
            if deed.end == "rollback":
                raise _UndoneError
    except _UndoneError:
        pass


def _act(store: FixStore, deed: Write | Erasure, kept: Kept) -> None:
    would = kept if deed.end == "commit" else dict(kept)
    if isinstance(deed, Write):
        batch = fixes_of(deed.readings)
        assert store.write(batch) == keep(would, batch)
    else:
        assert store.erase(deed.devices, *deed.span) == (erase(would, deed.devices, *deed.span), 0)


def stored(found: Fixes) -> Kept:
    rows = rows_of(found)
    kept = dict(rows)
    assert len(kept) == len(rows)
    return kept


def laid(both: Both, deeds: list[Write | Erasure]) -> tuple[FixStore, Kept]:
    empty(both[0])
    stores, kept = [FixStore(connection) for connection in both], Kept()
    for deed in deeds:
        do(stores[deed.writer], deed, kept)
    return stores[0], kept


@settings(max_examples=40)
@given(deeds=DEEDS)
def test_every_fix_is_stored_once_with_its_earliest_arrival(both: Both, deeds: list[Write | Erasure]) -> None:
    store, kept = laid(both, deeds)
    with store.connection.transaction():
        assert stored(store.read()) == kept
        assert store.count() == len(kept)


@settings(max_examples=25)
@given(deeds=DEEDS, asked=st.tuples(SPANS, SOME_DEVICES, BATCHES), box=st.tuples(*[st.integers(0, 2)] * 4))
def test_what_is_asked_is_what_the_set_holds(
    both: Both,
    deeds: list[Write | Erasure],
    asked: tuple[tuple[int, int], list[str], list[Reading | Flood]],
    box: tuple[int, ...],
) -> None:
    store, kept = laid(both, deeds)
    (from_us, to_us), devices, readings = asked
    batch = fixes_of([*readings, *(one for deed in deeds if isinstance(deed, Write) for one in deed.readings)])
    west, east = sorted(-1_200_000 - 700 * k for k in box[:2])
    south, north = sorted(515_000_000 + 1000 * k for k in box[2:])
    with store.connection.transaction():
        for bounds in ((from_us, to_us), (None, to_us), (from_us, None), (None, None), (from_us, from_us)):
            for whose in (None, devices):
                low, high = bounds[0] or -(2**62), bounds[1] or 2**62
                there = {
                    row: at for row, at in kept.items() if low <= row[1] <= high and (whose is None or row[0] in whose)
                }
                assert stored(store.read(devices=whose, from_us=bounds[0], to_us=bounds[1])) == there
                inside = {row: at for row, at in there.items() if west <= row[2][1] <= east and south <= row[2][0] <= north}
                found = store.read(devices=whose, from_us=bounds[0], to_us=bounds[1], box_e7=(west, south, east, north))
                assert stored(found) == inside
        twice = batch.take(np.r_[np.arange(len(batch)), np.arange(len(batch))])
        assert store.holds(twice).tolist() == [row in kept for row, _ in rows_of(twice)]
        assert store.devices() == sorted(store.known_ids(DEVICES))


@settings(max_examples=25)
@given(deeds=DEEDS, time_us=INSTANTS, before=st.booleans(), devices=st.one_of(st.none(), SOME_DEVICES))
def test_the_nearest_are_the_nearest(
    both: Both, deeds: list[Write | Erasure], time_us: int, before: bool, devices: list[str] | None
) -> None:
    store, kept = laid(both, deeds)
    with store.connection.transaction():
        found = rows_of(store.nearest(time_us, before=before, devices=devices))
    assert len(set(found)) == len(found)
    for device in DEVICES if devices is None else devices:
        times = sorted(row[1] for row in kept if row[0] == device and (row[1] < time_us if before else row[1] > time_us))
        nearest = times[-NEAREST:] if before else times[:NEAREST]
        assert sorted(row[1] for row, _ in found if row[0] == device) == nearest
    assert all(kept[row] == received_s for row, received_s in found)
    assert devices is None or {row[0] for row, _ in found} <= set(devices)
