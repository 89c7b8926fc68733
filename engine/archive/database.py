"""Between the database and an archive: stored fixes and events out, a day at a time, and an archive's in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from engine.archive.export import require_whole
from engine.archive.reader import Archive
from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.store.imports import note_import
from engine.times import DAY_US, SECOND_US, to_datetime

FIXES_AT_ONCE = 200_000
"""So many fixes are stored in one transaction."""
_EVENTS_AT_ONCE = 10_000


class Imported(NamedTuple):
    """How many fixes and device events the archive holds, how many of the fixes the database had not, and how many are from
    closed time and were not stored."""

    fixes: int
    fixes_new: int
    fixes_closed: int
    events: int


Admitted = Callable[[Fixes, Sequence[DeviceEvent]], tuple[Fixes, Sequence[DeviceEvent]]]
"""Of fixes and events those that may be stored."""


def days_in(connection: Connection, from_us: int | None, to_us: int | None) -> Iterator[tuple[int, Fixes]]:
    """The stored fixes with from_us <= time < to_us (None: open), day after day, each day counted from 1970-01-01."""
    store = FixStore(connection)
    ends = connection.execute("SELECT min(time_s), max(time_s) FROM fix").fetchone()
    if ends is None or ends[0] is None:
        return
    first_us = ends[0] * SECOND_US if from_us is None else max(from_us, ends[0] * SECOND_US)
    end_us = (ends[1] + 1) * SECOND_US if to_us is None else min(to_us, (ends[1] + 1) * SECOND_US)
    for day in range(first_us // DAY_US, -(-end_us // DAY_US)):
        fixes = store.read(from_us=max(first_us, day * DAY_US), to_us=min(end_us, (day + 1) * DAY_US) - 1)
        if len(fixes):
            yield day, fixes


def events_in(connection: Connection, from_us: int | None, to_us: int | None) -> Iterator[DeviceEvent]:
    """The stored device events with from_us <= time < to_us (None: open), oldest first."""
    with connection.transaction(), connection.cursor("archived_events") as cursor:
        cursor.itersize = _EVENTS_AT_ONCE
        cursor.execute(
            "SELECT d.name, (extract(epoch FROM e.time) * 1000000)::bigint, e.kind, e.value,"
            " floor(extract(epoch FROM e.received))::bigint FROM device_event e JOIN device d USING (device_id)"
            " WHERE (%(from)s::timestamptz IS NULL OR e.time >= %(from)s)"
            " AND (%(to)s::timestamptz IS NULL OR e.time < %(to)s)"
            ' ORDER BY e.time, d.name COLLATE "C", e.kind COLLATE "C", e.value COLLATE "C"',
            {"from": _moment(from_us), "to": _moment(to_us)},
        )
        for row in cursor:
            yield DeviceEvent(*row)


def import_archive(
    connection: Connection, archive: Archive, admitted: Admitted, tell: Callable[[str, int, int], None] | None = None
) -> Imported:  # fmt: skip
    """Store an archive's fixes and events, each once, whatever of it is stored already: it may be done again, and goes on where
    it was interrupted. `admitted` says which may be stored, in the transaction that stores them; `tell` hears of each day, its
    number of fixes, and how many of them were new.

    InputError where a day is damaged; the days before it are stored.
    """
    store, n_new, n_kept_out, n_events = FixStore(connection), 0, 0, 0
    for day in archive.manifest.days:
        fixes = require_whole(archive, day)
        n_of_day = 0
        for start in range(0, len(fixes), FIXES_AT_ONCE):
            part = fixes.take(slice(start, start + FIXES_AT_ONCE))
            with connection.transaction():
                open_, _ = admitted(part, [])
                if n := store.write(open_):
                    note_import(connection, [open_.devices[k] for k in np.unique(open_.device)])
            n_of_day, n_kept_out = n_of_day + n, n_kept_out + len(part) - len(open_)
        n_new += n_of_day
        if tell:
            tell(day.day, len(fixes), n_of_day)
    events = archive.events()
    while some := list(islice(events, _EVENTS_AT_ONCE)):
        with connection.transaction():
            _, told = admitted(Fixes.empty(), some)
            if news := set(told) - store.holds_events(told):
                store.write_events(sorted(news))
                note_import(connection, [event.device for event in news])
        n_events += len(some)
    return Imported(archive.manifest.fixes, n_new, n_kept_out, n_events)


def _moment(time_us: int | None) -> object:
    return None if time_us is None else to_datetime(time_us)
