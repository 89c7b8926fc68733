"""The hub: one connection that is told of every commit, and the frames that it makes of them for all open consoles.

Frames are kept in a ring by number. A reader asks for what came after the number it has; one that is too slow, or was away for
too long, finds its number gone from the ring and is told to load anew. So no reader holds up another, and none grows memory.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec
import psycopg
import structlog

from alerts import changes
from alerts.changes import Change
from alerts.records import incident_heads, rows_of
from engine.database import Connection, connect
from engine.errors import TagwatchError
from tagwatch.console.office import Office
from tagwatch.console.operators.desk import shown_rows
from tagwatch.console.rendering import part

RING = 2_000
MOST_ROWS = 40
"""Of more changes at once the rows are not told: the console asks for the list."""
WELL_S = 5.0
_POLL_S, _RETRY_S, _FORGET_S = 0.2, 0.5, 3600.0
_AT_ONCE = 500
log = structlog.get_logger("tagwatch.console")


class Frame(NamedTuple):
    """One change as it goes out; `wearer` decides who hears of it."""

    number: int
    wearer: str | None
    data: bytes


class Hub:
    """Everything but `_run` and what it calls belongs to the event loop."""

    def __init__(self, office: Office, loop: asyncio.AbstractEventLoop) -> None:
        self.office = office
        self.news = asyncio.Event()
        self.since = self.newest = -1
        self._frames: deque[Frame] = deque(maxlen=RING)
        self._heard_s = float("-inf")
        self._loop = loop
        self._forgot_s = time.monotonic()
        threading.Thread(target=self._run, name="console feed", daemon=True).start()

    @property
    def well(self) -> bool:
        """Whether the database told us a moment ago that there is nothing newer."""
        return time.monotonic() - self._heard_s < WELL_S

    @property
    def stopping(self) -> bool:
        """Whether the server goes down."""
        return self.office.stopping.is_set()

    def after(self, number: int) -> list[Frame] | None:
        """The frames after a number, None where some of them are not kept any more."""
        if not self.since <= number <= self.newest:
            return None
        found = list(takewhile(lambda frame: frame.number > number, reversed(self._frames)))
        return found[::-1]

    def _publish(self, frames: Sequence[Frame], newest: int, since: int | None) -> None:
        if since is not None:
            self._frames.clear()
            self.since = since
        for frame in frames:
            if len(self._frames) == RING:
                self.since = self._frames[0].number
            self._frames.append(frame)
        self._heard_s = time.monotonic()
        if frames or since is not None or self.stopping:
            self.newest = newest
            self.news.set()
            self.news = asyncio.Event()

    # --- the thread

    def _run(self) -> None:
        while not self.stopping:
            try:
                with connect(self.office.database.url, wait_s=0.0) as connection:
                    connection.autocommit = True
                    self._follow(connection)
            except (psycopg.Error, TagwatchError) as fault:
                log.warning("the feed is without its database", fault=fault)
                self.office.stopping.wait(_RETRY_S)
            except RuntimeError:  # the loop is closed: the server is gone
                return

    def _follow(self, connection: Connection) -> None:
        changes.listen(connection)
        kept = changes.bounds(connection)
        newest = self.newest
        if newest < 0 or not kept.holds(newest):
            since = max(kept.since, kept.newest - RING)
            found = changes.read_changes(connection, since, RING)
            newest = found[-1].number if found else since
            self._tell(self._framed(connection, found), newest, since)
        while not self.stopping:
            newest = self._take(connection, newest)
            for _ in connection.notifies(timeout=_POLL_S, stop_after=1):
                pass
            self._forget(connection)
        self._tell((), newest)

    def _take(self, connection: Connection, newest: int) -> int:
        while found := changes.read_changes(connection, newest, _AT_ONCE):
            newest = found[-1].number
            self._tell(self._framed(connection, found), newest)
        self._tell((), newest)
        return newest

    def _tell(self, frames: Sequence[Frame], newest: int, since: int | None = None) -> None:
        self._loop.call_soon_threadsafe(self._publish, frames, newest, since)

    def _framed(self, connection: Connection, found: Sequence[Change]) -> list[Frame]:
        rows: dict[str, dict[str, Any]] = {}
        if len(found) <= MOST_ROWS:
            try:
                rows = self._rows(connection, {change.alert_id for change in found})
            except psycopg.OperationalError:
                raise
            except Exception as fault:  # whatever is wrong with one row, that something changed is told all the same
                log.error("a row could not be told", fault=fault)
        return [_frame(change, rows.get(change.alert_id)) for change in found]

    def _rows(self, connection: Connection, identifiers: set[str]) -> dict[str, dict[str, Any]]:
        rows = rows_of(connection, identifiers)
        heads = incident_heads(connection, {row.wearer for row in rows if row.rule.startswith("tag.")})
        return {
            one.row.id: {
                "section": one.section, "key": one.key, "words": f"{one.row.grade}: {one.text.why}, {one.row.wearer}",
                "html": part(self.office, "operators/row.html", shown=one),
            }
            for one in shown_rows(connection, self.office, rows, heads)
        }  # fmt: skip

    def _forget(self, connection: Connection) -> None:
        if time.monotonic() - self._forgot_s > _FORGET_S:
            self._forgot_s = time.monotonic()
            changes.forget(connection)


def _frame(change: Change, row: dict[str, Any] | None) -> Frame:
    told = {"number": change.number, "id": change.alert_id, "kind": change.kind, "grade": change.grade,
            "calls": change.calls, **(row or {})}  # fmt: skip
    return Frame(change.number, change.wearer, event("change", change.number, told))


def event(name: str, number: int, told: dict[str, Any]) -> bytes:
    """A frame of the stream, as browsers read it."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), msgspec.json.encode(told))
