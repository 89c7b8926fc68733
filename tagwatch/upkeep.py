"""Upkeep of the store beside the service: summaries of the hours that are over, and the compression of days that are.

It works in a thread with a connection of its own, gives way to the service everywhere, and what it leaves undone is done the
next time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

from engine import database, timescale
from engine.database import Connection
from engine.store.hours import HourSummaries
from engine.times import DAY_US, MINUTE_US, SECOND_US

EVERY_US = 10 * MINUTE_US
LATE_US = 30 * MINUTE_US
"""An hour is summarised when it is over for so long: most of what was taken in it has been uploaded by then."""
YOUNG_US = 2 * DAY_US
"""So long the fixes of a day stay as rows, into which late ones go at once."""

log = structlog.get_logger("tagwatch.upkeep")
Work = Callable[[Connection, int], None]


class Done(NamedTuple):
    """Until when hours are summarised [s UTC], how many had been stale, how many chunks were compressed."""

    until_s: int
    n_stale: int
    n_compressed: int


def keep_up(connection: Connection, now_us: int) -> Done:
    """Bring summaries and compression up to now [us UTC]; the connection must not be in a transaction."""
    summaries = HourSummaries(connection)
    n_stale = summaries.refresh((now_us - LATE_US) // SECOND_US)
    n_compressed = timescale.compress(connection, (now_us - YOUNG_US) // SECOND_US)
    with connection.transaction():
        return Done(summaries.until_s, n_stale, n_compressed)


class Upkeep:
    """Does the works of upkeep every ten minutes, one after the other, in one thread at a time.

    `succeeded_us`: the last turn in which no work failed [us UTC], 0 for none yet; `took_s`: how long the last turn took.
    """

    def __init__(self, url: str, *works: Work) -> None:
        self._url, self._works = url, works
        self._next_us = 0
        self.succeeded_us, self.took_s, self.n_failures = 0, 0.0, 0
        self._thread: threading.Thread | None = None

    def turn(self, now_us: int) -> None:
        """Begin where it is time. Nearly free where it is not."""
        if 0 <= self._next_us - now_us <= EVERY_US or (self._thread is not None and self._thread.is_alive()):
            return
        self._next_us = now_us + EVERY_US
        self._thread = threading.Thread(target=self._work, args=(now_us,), name="upkeep", daemon=True)
        self._thread.start()

    def close(self, wait_s: float = 30.0) -> None:
        """Wait for what is being done; what is not done by then is taken back by the database."""
        if self._thread is not None:
            self._thread.join(wait_s)

    def _work(self, now_us: int) -> None:
        began_s, is_fine = time.monotonic(), True
        for work in self._works:
            try:
                with database.connect(self._url, 5.0) as connection:
                    work(connection, now_us)
            except Exception as fault:  # the edge of a thread: upkeep that fails must not take the service with it
                self.n_failures += 1
                log.error("upkeep failed; it is tried again", fault=fault)
                is_fine = False
        self.took_s = time.monotonic() - began_s
        if is_fine:
            self.succeeded_us = now_us
