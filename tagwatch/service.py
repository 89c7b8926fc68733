"""The service: messages from the broker to alerts in the database. It runs sessions until told to stop.

Whatever goes wrong with the database, the answer is the same: forget the state in memory, and take it up again from what is
durable. Nothing was acknowledged that was not committed, so the broker sends the rest again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing

import psycopg
import structlog

import alerts.store
from engine import database
from engine.times import Clock, system_clock
from ingest.message import Message
from ingest.mqtt import Subscriber
from ingest.raw_log import RawLog
from tagwatch.retention.daily import Daily
from tagwatch.rooting import Rooting
from tagwatch.session import SCHEMAS, Counts, Session
from tagwatch.settings import Settings
from tagwatch.upkeep import Upkeep, keep_up
from tagwatch.warm import warm

TOPICS = ("tags/+/fixes", "tags/+/events", "owntracks/+/+", "owntracks/+/+/event")
MOST_MESSAGES = 4096
TICK_S = 0.25
_RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)

log = structlog.get_logger("tagwatch.service")


class Service:
    """Runs sessions until told to stop."""

    def __init__(
        self, settings: Settings, clock: Clock = system_clock, *, on_ready: Callable[[Session], None] | None = None
    ) -> None:  # fmt: skip
        self.settings, self.clock = settings, clock
        self.counts = Counts()
        self.stopping = threading.Event()
        self.ready = threading.Event()
        self._on_ready = on_ready
        self._failures = 0
        self._rooting = Rooting(settings.raw_log.folder, settings.raw_log.key)
        self._upkeep = Upkeep(settings.database.url, _keep_up, Daily(settings))

    def run(self, wait_s: float = 30.0) -> None:
        """Serve until `stopping` is set. UnreachableError where a server is not there at the start.

        Kernels are compiled before the first message is asked for: no batch waits for a compiler.
        """
        warm()
        with RawLog(self.settings.raw_log.folder) as raw_log, closing(self._rooting), closing(self._upkeep):
            while not self.stopping.is_set():
                try:
                    self._serve(raw_log, wait_s)
                except psycopg.OperationalError as fault:
                    pause = _RETRY_S[min(self._failures, len(_RETRY_S) - 1)]
                    self._failures += 1
                    log.error("database lost; starting again from what is stored", error=_first_line(fault), pause_s=pause)
                    self.stopping.wait(pause)
                    wait_s = 365 * 86_400.0  # at the start we give up, later never

    def _serve(self, raw_log: RawLog, wait_s: float) -> None:
        session = Session(self.settings, self.clock, self.counts, wait_s)
        n_again = session.take_again([Message(*kept) for kept in raw_log.tail(MOST_MESSAGES)])
        if n_again:
            log.info("taken again from the raw log", fixes=n_again)
        broker = self.settings.broker
        subscriber = Subscriber(
            broker.url, broker.client_id, TOPICS, broker.protocol, cafile=broker.cafile, clock=self.clock
        )
        try:
            subscriber.connect(wait_s)
            self._failures = 0
            self.ready.set()
            if self._on_ready:
                self._on_ready(session)
            while not self.stopping.is_set():
                self._rooting.turn(raw_log, self.clock())
                self._upkeep.turn(self.clock())
                messages = subscriber.take(MOST_MESSAGES, TICK_S)
                decoded = session.step(messages, raw_log)
                if decoded is not None:
                    subscriber.acknowledge(messages)
                    subscriber.publish_all(session.stored_notices(decoded))
                    self._breathe(len(messages))
            session.finish()
        finally:
            subscriber.close()
            session.connection.close()

    def _breathe(self, n_messages: int) -> None:
        """After a small batch let more messages come together: one transaction costs the same for one as for a hundred."""
        if n_messages < 64:
            time.sleep(0.002)


def _keep_up(connection: database.Connection, now_us: int) -> None:
    done = keep_up(connection, now_us)
    log.info("store kept up", **done._asdict())


def ledger_content(url: str) -> list[bytes]:
    """The ledger in the database as JSON lines."""
    with database.connect(url) as connection:
        return alerts.store.content(connection)


def initialise(url: str, wait_s: float = 30.0) -> int:
    """Bring a database's schema up to date; returns how many migrations were applied."""
    database.connect(url, wait_s).close()
    return database.migrate(url, SCHEMAS)


def _first_line(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0]
