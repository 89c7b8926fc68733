"""One order through every place where a wearer's positions are: store, summaries, archive, raw log, quarantine, alerts, runs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from engine import database
from engine.archive import verify as archive
from engine.archive.export import export
from engine.archive.reader import Archive
from engine.store.fixes import FixStore
from engine.store.hours import HourSummaries
from engine.times import DAY_US, HOUR_US, SECOND_US
from ingest.raw_log import day_files
from ingest.raw_record import Record, records_of
from ingest.raw_verify import verify
from tagwatch.retention import holds
from tagwatch.retention.policy import run_policy
from tests.integration.test_retention import T0_US, World, crime, reused, server, url, world

__all__ = ["server", "url", "world"]


def exported(world: World, folder: Path) -> None:
    with world.beside.transaction():
        store = FixStore(world.beside)
        fixes, events = store.read(), store.read_events()
    days = fixes.time_us // DAY_US
    export(folder, lambda _: [(d, fixes.take(days == d)) for d in sorted(set(days.tolist()))], events=events)


def left_in_raw_log(folder: Path) -> str:
    """All payloads, and all that is left of those of which a part went."""
    found = []
    for path in day_files(folder):
        for _, record in records_of(path):
            assert isinstance(record, Record)
            found += [base64.b64decode(held).decode() for held in (record.payload, record.rest) if isinstance(held, str)]
    return "\n".join(found)


def test_an_order_goes_through_every_place_and_every_place_still_verifies(world: World, tmp_path: Path) -> None:
    reused(world)
    crime(world, "C1", 5)
    folder = tmp_path / "archive"
    exported(world, folder)
    HourSummaries(world.beside).refresh((T0_US + 20 * HOUR_US) // SECOND_US)
    world.log.close()
    world.settings = world.settings_with(archives=[folder])
    receipt = world.order("ann", reference="R v A")
    assert receipt.state == "done"
    erased = receipt.told["erased"]
    assert (erased["fixes"], erased["archived fixes"], erased["events"], erased["archived events"]) == (120, 120, 1, 1)
    assert min(world.stored("tag")) == 600
    begin_s = (T0_US + 10 * HOUR_US) // SECOND_US
    assert world.rows("SELECT min(hour_s), count(*) FROM fix_hour") == [(begin_s, 10)]
    assert [*archive.verify(folder)] == []
    kept = Archive(folder)
    assert int(kept.read().time_us.min()) == begin_s * SECOND_US
    assert [(e.device, e.order, e.fixes, e.events) for e in kept.manifest.erasures] == [("tag", "order 1 (R v A)", 120, 1)]
    found = verify(world.folder / "raw-log")
    assert not found.faults
    text = left_in_raw_log(world.folder / "raw-log")
    assert "2026-03-02T09:00" not in text
    assert "2026-03-02T19:00" in text
    for table in ("alert", "alert_version", "run_result", "quarantine", "configuration"):
        assert world.rows(f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%%ann%%'") == [(0,)], table
    exported(world, folder)  # and it does not come back with the next export
    assert len(Archive(folder)) == 120


def test_a_hold_holds_in_every_place(world: World, tmp_path: Path) -> None:
    reused(world)
    crime(world, "C1", 5)
    folder = tmp_path / "archive"
    exported(world, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    world.log.close()
    world.settings = world.settings_with(archives=[folder], positions=0, raw=0, quarantine=0, alerts=0, matches=0)
    number = world.hold(crime="C1")
    world.now_us += 2 * DAY_US
    assert world.order("ann").state == "held"
    receipt = run_policy(world.beside, world.settings, world.now_us)
    assert receipt.told["erased"] == {}
    assert receipt.told["holds"] == [number]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert len(world.stored("tag")) == 240
    assert "2026-03-02T09:00" in left_in_raw_log(world.folder / "raw-log")
    with world.beside.transaction():
        holds.release(world.beside, number, "over", "me", world.now_us)
    done = run_policy(world.beside, world.settings, world.now_us)
    assert done.told["orders"][0]["state"] == "done"
    assert world.stored("tag") == []
    assert len(Archive(folder)) == 0
    assert [*archive.verify(folder)] == []


@pytest.mark.parametrize("kind", ["raw", "quarantine", "matches"])
def test_one_kind_leaves_the_others(world: World, kind: str) -> None:
    reused(world)
    crime(world, "C1", 5)
    world.log.close()
    before = {"fixes": len(world.stored("tag")), "alerts": world.rows("SELECT count(*) FROM alert")}
    receipt = world.order("ann", kinds=(kind,))
    place = {"raw": "raw messages", "quarantine": "quarantine", "matches": "match lines"}[kind]
    assert (receipt.state, [*receipt.told["erased"]]) == ("done", [place])
    assert {"fixes": len(world.stored("tag")), "alerts": world.rows("SELECT count(*) FROM alert")} == before
    assert world.rows("SELECT wearer FROM horizon") == []


def test_packs_and_exports_are_listed(world: World) -> None:
    from tagwatch.access.by_command import log_view

    reused(world)
    run = crime(world, "C1", 5)
    with database.connect(world.url) as connection:
        log_view(connection, "evidence asked", "ann", reason="court", case_ref="C1", asked={"crime": "C1", "run": run})
        log_view(connection, "run exported", run[:12], reason="file")
    told: dict[str, Any] = world.order("ann", kinds=("positions",)).told
    assert told["copies"]["packs"][-1]["crime"] == "C1"
    assert told["copies"]["exports"][-1]["run"] == run[:12]
    assert told["copies"]["runs"] == {run: 1}
    assert "1 lines of match runs hold positions: --kind matches" in told["kept"]
