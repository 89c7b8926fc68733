"""Figures that only the database knows. They are read when somebody asks, seldom enough that asking often costs it nothing."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog

from alerts.counts import count_alerts, count_deliveries, count_standing, pending_deliveries
from alerts.floods import Thresholds, find_floods
from alerts.queue_store import raised_since
from engine import database
from engine.store.hours import summarised
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, Clock
from tagwatch.metrics import codes

LEAST_REST_S = 10.0
RESTS = 20
"""After each reading it rests for so many times as long as the reading took."""
OLD_S = 120.0
"""Figures that are older are not told any more."""
WINDOWS_US = {"10m": 10 * MINUTE_US, "1h": HOUR_US, "24h": DAY_US}
OPTIONS = "-c statement_timeout=2000 -c default_transaction_read_only=on"

_SIZE = (
    "SELECT pg_database_size(current_database()),"
    " (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())"
)

log: Any = structlog.get_logger("tagwatch.metrics")


@dataclass
class Figures:
    """One reading. `rates`: alerts raised an operator in ten minutes, by window; labels are of the closed sets already."""

    alerts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    outbox: Counter[tuple[str, str]] = field(default_factory=Counter)
    oldest_pending_s: dict[str, float] = field(default_factory=dict)
    standing: int = 0
    stale: int = 0
    waiting: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    is_flood: bool = False
    summarised_until_s: int = 0
    n_stale_hours: int = 0
    size_bytes: int = 0
    n_connections: int = 0


class DatabaseFigures:
    """The last reading, made anew by who asks for it when it is time, by one at a time."""

    def __init__(self, url: str, clock: Clock, thresholds: Thresholds, stale_us: int) -> None:
        self._url, self._clock, self._thresholds, self._stale_us = url, clock, thresholds, stale_us
        self._turn = threading.Lock()
        self._connection: database.Connection | None = None
        self._figures: Figures | None = None
        self._read_s = self._next_s = -1e9
        self.n_readings = 0
        self.is_up = True

    @property
    def age_s(self) -> float:
        """How old the last reading is [s]."""
        return time.monotonic() - self._read_s

    def current(self) -> Figures | None:
        """The last reading; None where there is none of late."""
        if time.monotonic() >= self._next_s and self._turn.acquire(blocking=False):
            try:
                self._renew()
            finally:
                self._turn.release()
        return self._figures if self.age_s < OLD_S else None

    def close(self) -> None:
        """Give the connection back."""
        with self._turn:
            self._let_go()

    def _renew(self) -> None:
        began_s = time.monotonic()
        was_up = self.is_up
        try:
            self._figures = self._read()
            self._read_s, self.is_up = time.monotonic(), True
        except psycopg.Error as fault:
            self._let_go()
            self.is_up = False
            if was_up:
                log.warning("figures of the database are not to be had", fault=fault)
        self.n_readings += 1
        took_s = time.monotonic() - began_s
        self._next_s = time.monotonic() + max(LEAST_REST_S, RESTS * took_s)

    def _read(self) -> Figures:
        if self._connection is not None and self._is_broken(self._connection):  # the server was started again meanwhile
            self._let_go()
        if self._connection is None:
            self._connection = database.connect_to_watch(self._url, "metrics", OPTIONS)
        return read_figures(self._connection, self._clock(), self._thresholds, self._stale_us)

    @staticmethod
    def _is_broken(connection: database.Connection) -> bool:
        with suppress(psycopg.Error):
            connection.execute("SELECT 1")
        return connection.broken or connection.closed

    def _let_go(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


def read_figures(connection: database.Connection, now_us: int, thresholds: Thresholds, stale_us: int) -> Figures:
    """The figures as they are now; psycopg.Error where the server does not answer, or not in time."""
    found = Figures()
    for condition, rule, grade, n in count_alerts(connection):
        found.alerts[condition, codes.one_of(rule, codes.RULES), grade] += n
    for kind, state, n in count_deliveries(connection):
        found.outbox[codes.one_of(kind, codes.KINDS), state] += n
    for one in pending_deliveries(connection):
        kind, age_s = codes.one_of(one.kind, codes.KINDS), max(0.0, (now_us - one.oldest_us) / SECOND_US)
        found.oldest_pending_s[kind] = max(age_s, found.oldest_pending_s.get(kind, 0.0))
    found.standing, found.stale, found.waiting = count_standing(connection, now_us - stale_us)
    raised_us = raised_since(connection, now_us - DAY_US)
    found.rates = {name: _rate(raised_us, now_us, length_us, thresholds) for name, length_us in WINDOWS_US.items()}
    found.is_flood = any(flood.ended_us is None for flood in find_floods(raised_us, thresholds, now_us))
    found.summarised_until_s, found.n_stale_hours = summarised(connection)
    found.size_bytes, found.n_connections = connection.execute(_SIZE).fetchone() or (0, 0)
    return found


def _rate(raised_us: list[int], now_us: int, length_us: int, thresholds: Thresholds) -> float:
    n_raised = sum(now_us - length_us <= at_us <= now_us for at_us in raised_us)
    return n_raised / (length_us / WINDOWS_US["10m"]) / thresholds.n_operators
