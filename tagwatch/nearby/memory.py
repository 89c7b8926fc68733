"""The hourly summaries as a process that answers many questions holds them: the days that were asked about last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.database import Connection
from engine.store.extents import Extents, Span, read_extents, widened
from engine.store.hours import Hours, HourSummaries

DAY_S = 86_400
MOST_DAYS, MOST_ROWS = 8, 2_000_000
"""A question about more days is answered without memory; so many hours of devices are held at most, about 200 bytes each."""
_FEW = 200
_COLUMNS = tuple(f.name for f in fields(Hours) if f.name not in ("devices", "device"))
_Key = tuple[Any, ...]


class Summaries(Protocol):
    """What an answer needs of the hourly summaries."""

    until_s: int

    def stale(self, from_s: int, to_s: int) -> set[tuple[str, int]]:
        """See `HourSummaries`."""

    def read(self, from_s: int, to_s: int, devices: Sequence[str] | None = None) -> Hours:
        """See `HourSummaries`."""

    def extents(self, span: Span, enough: int) -> Extents:
        """See `read_extents`."""


class Stored:
    """The summaries straight from the database."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self._hours = connection, HourSummaries(connection)
        self.until_s = self._hours.until_s

    def stale(self, from_s: int, to_s: int) -> set[tuple[str, int]]:
        """See `HourSummaries`."""
        return self._hours.stale(from_s, to_s)

    def read(self, from_s: int, to_s: int, devices: Sequence[str] | None = None) -> Hours:
        """See `HourSummaries`."""
        return self._hours.read(from_s, to_s, devices)

    def extents(self, span: Span, enough: int) -> Extents:
        """See `read_extents`."""
        return read_extents(self.connection, span, self.until_s, enough)


@dataclass
class HourMemory:
    """Summaries by database, state of the summaries and day; everything is forgotten once any summary was made anew."""

    _days: OrderedDict[int, Hours] = field(default_factory=OrderedDict)
    _key: _Key = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, connection: Connection) -> Summaries:
        """The summaries of this connection's database, as they are now."""
        return _Remembered(connection, self)

    def days(self, stored: Stored, key: _Key, from_s: int, to_s: int) -> list[Hours]:
        """The summaries of the days (UTC) that the span meets."""
        with self._lock:
            if self._key != key:
                self._days.clear()
                self._key = key
            found = []
            for day_s in range(from_s // DAY_S * DAY_S, to_s, DAY_S):
                if day_s not in self._days:
                    self._days[day_s] = stored.read(day_s, day_s + DAY_S)
                self._days.move_to_end(day_s)
                found.append(self._days[day_s])
            while len(self._days) > 1 and sum(map(len, self._days.values())) > MOST_ROWS:
                self._days.popitem(last=False)
            return found


class _Remembered(Stored):
    """The summaries of a database, from memory where it has them."""

    def __init__(self, connection: Connection, memory: HourMemory) -> None:
        super().__init__(connection)
        # every refresh writes this row, and so does whoever takes back what is trusted
        state = connection.execute(
            "SELECT w.xmin::text, until_s, d.oid::bigint FROM fix_writer w, pg_database d WHERE datname = current_database()"
        ).fetchone()
        info = connection.info
        self._key, self._memory = (info.host, info.port, info.dbname, state), memory

    def read(self, from_s: int, to_s: int, devices: Sequence[str] | None = None) -> Hours:
        """See `HourSummaries`."""
        is_few = devices is not None and len(devices) < _FEW
        if is_few or to_s - from_s > MOST_DAYS * DAY_S or to_s > self.until_s:
            return super().read(from_s, to_s, devices)
        return _joined([_between(day, from_s, to_s, devices) for day in self._held(from_s, to_s)])

    def extents(self, span: Span, enough: int) -> Extents:
        """See `read_extents`. What spreads too far, or is not summarised yet, is read."""
        if span.last_s - span.first_s > MOST_DAYS * DAY_S or span.last_s > self.until_s:
            return super().extents(span, enough)
        hours = _joined([_between(day, span.first_s, span.last_s) for day in self._held(span.first_s, span.last_s)])
        return widened(self.connection, span, self.until_s, _extents(hours, span, enough))

    def _held(self, from_s: int, to_s: int) -> list[Hours]:
        return self._memory.days(Stored(self.connection), self._key, from_s, to_s)


def _between(hours: Hours, from_s: int, to_s: int, devices: Sequence[str] | None = None) -> Hours:
    """Those that begin in [from_s, to_s), of these devices (all where None)."""
    kept = (hours.hour_s >= from_s) & (hours.hour_s < to_s)
    if devices is not None:
        wanted = set(devices)
        kept &= np.array([name in wanted for name in hours.devices], np.bool_)[hours.device]
    if kept.all():
        return hours
    return Hours(hours.devices, hours.device[kept], **{name: getattr(hours, name)[kept] for name in _COLUMNS})


def _joined(parts: Sequence[Hours]) -> Hours:
    """Spans one after the other as one, by device and hour."""
    if len(parts) == 1:
        return parts[0]
    number: dict[str, int] = {}
    device = np.concatenate(
        [np.array([number.setdefault(name, len(number)) for name in p.devices], np.int64)[p.device] for p in parts]
    )
    order = np.argsort(device, kind="stable")
    columns: dict[str, NDArray[Any]] = {name: np.concatenate([getattr(p, name) for p in parts])[order] for name in _COLUMNS}
    return Hours(tuple(number), device[order], **columns)


def _extents(hours: Hours, span: Span, enough: int) -> Extents:
    """What `read_extents` counts and measures, of hours in memory; no device is widened yet."""
    present, first = np.unique(hours.device, return_index=True)
    names = tuple(hours.devices[k] for k in present.tolist())
    if not len(present):
        return Extents((), np.empty((0, 4), np.int64), np.empty(0, np.bool_))
    sides = [np.minimum.reduceat(column, first) for column in (hours.south, hours.west)]
    sides += [np.maximum.reduceat(column, first) for column in (hours.north, hours.east)]
    n_before = np.add.reduceat(np.where(hours.hour_s < span.before_s, hours.n_fixes, 0), first)
    n_after = np.add.reduceat(np.where(hours.hour_s >= span.after_s, hours.n_fixes, 0), first)
    return Extents(names, np.column_stack(sides), (n_before < enough) | (n_after < enough))
