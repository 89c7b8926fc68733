"""The horizon: up to when a wearer's time is closed. No fix is taken from before it, and no alert decided.

A service learns of a move with its next batch: whoever moves a horizon waits for the transactions that write fixes, and they
for him, by a lock on one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.activations import Activations
from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.times import DAY_US, from_datetime, to_datetime
from tagwatch.retention.spans import DeviceSpan

WARM_US = 2 * DAY_US
"""What is read before a horizon, where it is there: states of the time since then come out as they were."""


class Horizon(NamedTuple):
    """A wearer's time before `closed_us` is closed; fixes from `reads_us` on are read. `moved`: the number of the move that
    said so last."""

    closed_us: int
    reads_us: int
    moved: int = 0


class Horizons:
    """All of them, as of a number that changes with each move."""

    def __init__(self, number: int, of: Mapping[str, Horizon], spans: Iterable[DeviceSpan] = ()) -> None:
        self.number, self.of, self._spans = number, of, list(spans)

    def closed_us(self, wearer: str) -> int:
        """Up to when a wearer's time is closed; long ago where it is not."""
        found = self.of.get(wearer)
        return found.closed_us if found else -(2**62)

    def reads_us(self) -> dict[str, int]:
        """From when on fixes of these wearers are read."""
        return {wearer: horizon.reads_us for wearer, horizon in self.of.items()}

    def closed(self, fixes: Fixes, activations: Activations) -> NDArray[np.bool_]:
        """Which of these fixes are from closed time; shape (n,)."""
        found = np.zeros(len(fixes), np.bool_)
        if not (self.of or self._spans) or not len(fixes):
            return found
        names = [row.wearer for row in activations.rows] or list(fixes.devices)
        owner = activations.of_fixes(fixes) if activations.rows else fixes.device
        until_us = np.array([*map(self.closed_us, names), -(2**62)], np.int64)  # the last is that of nobody
        found |= fixes.time_us < until_us[owner]
        for span in self._spans:
            if span.device in fixes.devices:
                mine = fixes.device == fixes.devices.index(span.device)
                found |= mine & (fixes.time_us >= span.from_us) & (fixes.time_us < span.to_us)
        return found

    def closed_events(self, events: Sequence[DeviceEvent], activations: Activations) -> list[bool]:
        """Which of these events are from closed time."""
        if not (self.of or self._spans) or not events:
            return [False] * len(events)
        names = tuple(dict.fromkeys(event.device for event in events))
        n = len(events)
        columns = {"device": [names.index(e.device) for e in events], "time_us": [e.time_us for e in events]}
        rows = Fixes.of(names, **columns, lat_e7=np.zeros(n), lon_e7=np.zeros(n), received_s=np.zeros(n))
        closed: list[bool] = self.closed(rows, activations).tolist()
        return closed


def read_horizons(connection: Connection) -> Horizons:
    """The horizons that hold now."""
    number = number_now(connection)  # first: what is read after it is no older
    rows = connection.execute("SELECT wearer, closed_until, reads_from, moved FROM horizon").fetchall()
    spans = connection.execute("SELECT device, from_time, to_time FROM closed_span").fetchall()
    return Horizons(
        number,
        {name: Horizon(from_datetime(closed), from_datetime(reads), moved) for name, closed, reads, moved in rows},
        [DeviceSpan(device, from_datetime(start), from_datetime(end)) for device, start, end in spans],
    )


def open_part(
    connection: Connection, activations: Activations, fixes: Fixes, events: Sequence[DeviceEvent]
) -> tuple[Fixes, Sequence[DeviceEvent]]:
    """What of these is not from closed time; none is closed before this transaction has ended."""
    horizons = read_horizons(connection)
    gone = horizons.closed_events(events, activations)
    kept = [event for event, is_gone in zip(events, gone, strict=True) if not is_gone]
    return fixes.take(~horizons.closed(fixes, activations)), kept


def number_now(connection: Connection) -> int:
    """The number of the last move; none comes before this transaction has ended."""
    row = connection.execute("SELECT number FROM horizon_number FOR SHARE").fetchone()
    return int(row[0]) if row else 0


def close(connection: Connection, horizons: Mapping[str, Horizon], spans: Iterable[DeviceSpan] = ()) -> None:
    """Move horizons forward, never back; to be committed soon, for those who write fixes wait. Even where none moves, what is
    in memory of these wearers is read again."""
    row = connection.execute("UPDATE horizon_number SET number = number + 1 RETURNING number").fetchone()
    assert row is not None
    if horizons:
        connection.execute(
            "INSERT INTO horizon (wearer, closed_until, reads_from, moved)"
            " SELECT *, %s FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[])"
            " ON CONFLICT (wearer) DO UPDATE SET closed_until = greatest(horizon.closed_until, EXCLUDED.closed_until),"
            " reads_from = greatest(horizon.reads_from, EXCLUDED.reads_from), moved = EXCLUDED.moved",
            [
                row[0], list(horizons), [to_datetime(h.closed_us) for h in horizons.values()],
                [to_datetime(h.reads_us) for h in horizons.values()],
            ],
        )  # fmt: skip
    for span in spans:
        connection.execute(
            "INSERT INTO closed_span (device, from_time, to_time) VALUES (%s, %s, %s) ON CONFLICT (device, from_time)"
            " DO UPDATE SET to_time = greatest(closed_span.to_time, EXCLUDED.to_time)",
            [span.device, to_datetime(span.from_us), to_datetime(span.to_us)],
        )


def horizon_after(cut_us: int, now_us: int) -> Horizon:
    """The horizon where fixes from before `cut_us` go: a little after it where there is time enough until now, so that what
    began between is seen as it was."""
    return Horizon(min(cut_us + WARM_US, now_us), cut_us)
