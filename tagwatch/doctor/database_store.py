"""What the store has put off: summaries, compression; and the space that is left for it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg

from engine import timescale
from engine.database import Connection
from engine.store.fixes import FixStore
from engine.store.hours import summarised
from engine.times import SECOND_US, to_iso
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene, is_local
from tagwatch.upkeep import LATE_US, YOUNG_US

_PART = "store"
_LATE_HOURS, _MANY_STALE = 3, 5_000
_LEAST_FREE_SHARE = 0.1


def examine(scene: Scene) -> Iterator[Finding]:
    """Faults and warnings, or until when hours are summarised."""
    assert scene.connection is not None
    found = [*_summaries(scene.connection, scene.now_us), *_compression(scene.connection, scene.now_us), *_space(scene)]
    yield from found
    if not found:
        until_s, _ = summarised(scene.connection)
        until = to_iso(until_s * SECOND_US)[:16] if until_s else "nothing yet"
        yield Finding(_PART, OK, f"hours are summarised until {until}")


def _summaries(connection: Connection, now_us: int) -> Iterator[Finding]:
    until_s, n_stale = summarised(connection)
    late_h = ((now_us - LATE_US) // SECOND_US - until_s) / 3600
    if late_h > _LATE_HOURS and FixStore(connection).devices():
        since = f"{late_h:,.0f} hours" if until_s else "ever"
        yield Finding(_PART, WARNING, f"hours have not been summarised for {since}: questions about places get slow",
                      "is the service running? else tagwatch db upkeep")  # fmt: skip
    if n_stale > _MANY_STALE:
        yield Finding(
            _PART, WARNING, f"{n_stale:,} hours are to be summarised again", "tagwatch db upkeep, and wait for it"
        )


def _compression(connection: Connection, now_us: int) -> Iterator[Finding]:
    if n_days := timescale.n_loose(connection, (now_us - 2 * YOUNG_US) // SECOND_US):
        yield Finding(_PART, WARNING, f"{n_days} old days are not compressed: they take ten times the room",
                      "tagwatch db upkeep; a long transaction may hold it up, see database")  # fmt: skip


def _space(scene: Scene) -> Iterator[Finding]:
    """Of the disk of a server on this machine, as far as we may see it."""
    assert scene.connection is not None
    if not is_local(str(psycopg.conninfo.conninfo_to_dict(scene.settings.database.url).get("host", ""))):
        return
    try:
        row = scene.connection.execute("SELECT current_setting('data_directory')").fetchone()
        usage = shutil.disk_usage(Path(str(row[0])) if row else "")
    except (psycopg.Error, OSError):
        return
    free = usage.free / usage.total
    if free < _LEAST_FREE_SHARE:
        grade = FAULT if free < 0.03 else WARNING
        yield Finding(_PART, grade, f"{usage.free / 1e9:,.1f} GB ({free:.0%}) are free on the database's disk", "make room")
