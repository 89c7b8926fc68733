"""Legal holds: what is needed for a case stays, whatever policy and orders say, until the hold is released.

A hold of a crime covers everybody, from 28 days before the window of any of its versions to 28 days after: who was ruled out
is material too, and how usual a place is rests on the weeks before. With wearers named it covers these alone; with a span of
its own that one. A released hold brings nothing back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from engine.database import Connection
from engine.errors import InputError, StoreError
from engine.times import DAY_US, EARLIEST_US, LATEST_US, from_datetime, to_datetime
from tagwatch.retention.spans import Span, common, merged

MARGIN_US = 28 * DAY_US
_COLUMNS = (
    "number, wearers, force, reference, from_time, to_time, reason, placed_by, placed_at, released_by, released_at,"
    " released_why"
)
_WINDOWS = (
    "SELECT h.number, min(v.from_time), max(v.to_time) FROM legal_hold h JOIN crime_version v"
    " ON v.force = h.force AND v.reference = h.reference GROUP BY h.number"
)


class HoldsMovedError(StoreError):
    """What was planned is not what may be erased any more."""


class Hold(NamedTuple):
    """One hold; no wearers: everybody. `span`: what it covers."""

    number: int
    wearers: tuple[str, ...]
    force: str | None
    reference: str | None
    span: Span
    reason: str
    placed_by: str
    placed_us: int
    released_by: str | None = None
    released_us: int | None = None
    released_why: str | None = None

    def concerns(self, wearer: str) -> bool:
        """Whether it covers this wearer's data at all."""
        return not self.wearers or wearer in self.wearers


class Holds:
    """The holds that are not released; `mark` is another one whenever one was placed or released."""

    def __init__(self, holds: Iterable[Hold]) -> None:
        every = list(holds)
        self.all = [hold for hold in every if hold.released_us is None]
        self.mark = (len(every), len(self.all))

    def of(self, wearer: str) -> list[Hold]:
        """The holds that cover data of this wearer."""
        return [hold for hold in self.all if hold.concerns(wearer)]

    def spans(self, wearer: str) -> list[Span]:
        """The time of this wearer that is held."""
        return merged(hold.span for hold in self.of(wearer))

    def crimes(self, wearer: str) -> list[tuple[str, str]]:
        """The crimes (force, reference) of which no match line about this wearer may go."""
        return [(hold.force, hold.reference) for hold in self.of(wearer) if hold.force and hold.reference]

    def over(self, wearer: str, spans: list[Span]) -> list[int]:
        """The numbers of the holds that cover any of this time of the wearer."""
        return [hold.number for hold in self.of(wearer) if common([hold.span], spans)]


class Asked(NamedTuple):
    """What a hold is asked to cover; `crime` is (force, reference)."""

    wearers: tuple[str, ...] = ()
    crime: tuple[str, str] | None = None
    from_us: int | None = None
    to_us: int | None = None


def add(connection: Connection, asked: Asked, reason: str, placed_by: str, now_us: int) -> int:
    """Place a hold, in the caller's transaction; returns its number. InputError where it would hold nothing."""
    if not (asked.wearers or asked.crime) and asked.from_us is None and asked.to_us is None:
        raise InputError("a hold needs something to hold", expected="--wearer, --crime, or --from and --to")
    if asked.from_us is not None and asked.to_us is not None and asked.from_us >= asked.to_us:
        raise InputError("the span is empty", field="--to", expected="later than --from")
    if not reason.strip():
        raise InputError(field="--reason", value=reason, expected="why")
    force, reference = asked.crime or (None, None)
    row = connection.execute(
        "INSERT INTO legal_hold (wearers, force, reference, from_time, to_time, reason, placed_by, placed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING number",
        [list(asked.wearers), force, reference, _moment(asked.from_us), _moment(asked.to_us), reason, placed_by,
         to_datetime(now_us)],
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0])


def release(connection: Connection, number: int, reason: str, released_by: str, now_us: int) -> None:
    """Release a hold, in the caller's transaction. InputError where there is none of this number that still holds."""
    rows = connection.execute(
        "UPDATE legal_hold SET released_by = %s, released_at = %s, released_why = %s"
        " WHERE number = %s AND released_at IS NULL",
        [released_by, to_datetime(now_us), reason, number],
    )
    if not rows.rowcount:
        raise InputError(field="hold", value=number, expected="a hold that `hold list` shows and that is not released")


def require_unmoved(connection: Connection, mark: tuple[int, int]) -> None:
    """Let nobody place or release a hold before this transaction ends; HoldsMovedError where somebody did since the mark."""
    connection.execute("LOCK TABLE legal_hold IN SHARE MODE")
    row = connection.execute("SELECT count(*), count(*) FILTER (WHERE released_at IS NULL) FROM legal_hold").fetchone()
    if row != mark:
        raise HoldsMovedError("a hold was placed or released meanwhile")


def listed(connection: Connection) -> list[Hold]:
    """Every hold there ever was, by number."""
    windows = {number: (from_datetime(a), from_datetime(b)) for number, a, b in connection.execute(_WINDOWS)}
    rows = connection.execute(f"SELECT {_COLUMNS} FROM legal_hold ORDER BY number".encode()).fetchall()
    return [_hold(row, windows.get(row[0])) for row in rows]


def _hold(row: tuple[Any, ...], window: Span | None) -> Hold:
    number, wearers, force, reference, from_time, to_time, reason, by, at, released_by, released_at, why = row
    around = (window[0] - MARGIN_US, window[1] + MARGIN_US) if window else (EARLIEST_US, LATEST_US)
    span = (
        around[0] if from_time is None else from_datetime(from_time),
        around[1] if to_time is None else from_datetime(to_time),
    )
    released = released_at and from_datetime(released_at)
    return Hold(number, tuple(wearers), force, reference, span, reason, by, from_datetime(at), released_by, released, why)


def _moment(time_us: int | None) -> Any:
    return None if time_us is None else to_datetime(time_us)
