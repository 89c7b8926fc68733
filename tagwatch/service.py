"""The service: messages from the broker to alerts in the database. It runs sessions until told to stop.

Whatever goes wrong, with the database, a disk or ourselves, the answer is the same: forget the state in memory, and take it up
again from what is durable. Nothing was acknowledged that was not committed, so the broker sends the rest again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import structlog

import alerts.store
from engine import database
from engine.errors import StoreError, TagwatchError, UnreachableError
from engine.times import Clock, system_clock
from ingest.message import Message
from ingest.mqtt import Subscriber
from ingest.raw_log import RawLog
from tagwatch.counts import Counts
from tagwatch.leadership.instance import name_of, probe
from tagwatch.leadership.leadership import LEASE_S, DeposedError, Leadership
from tagwatch.poison import Poison
from tagwatch.retention.daily import Daily
from tagwatch.rooting import Rooting
from tagwatch.session import SCHEMAS, Session
from tagwatch.settings import Settings
from tagwatch.upkeep import Upkeep, keep_up
from tagwatch.warm import warm

TOPICS = ("tags/+/fixes", "tags/+/events", "owntracks/+/+", "owntracks/+/+/event")
MOST_MESSAGES = 4096
TICK_S = 0.25
NEVER_S = 365 * 86_400.0
FIRST_WAIT_S, PATIENCE_S = 30.0, 5.0
_RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)

Thing = TypeVar("Thing")
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
        self.warmed = threading.Event()
        self.subscriber: Subscriber | None = None
        self._on_ready = on_ready
        self._n_lives = 0
        self.n_troubles = 0
        self._failures = 0
        self._poison = Poison(settings.raw_log.folder / "attempt.json")
        self._rooting = Rooting(settings.raw_log.folder, settings.raw_log.key)
        self._probe = probe(settings.broker, name_of(settings.raw_log.folder), clock)
        self.leadership = Leadership(
            settings.database.url, name_of(settings.raw_log.folder), lambda: self.reaches_broker, self._is_alive
        )
        self.standing_by = threading.Event()
        self.daily = Daily(settings)
        self.upkeep = Upkeep(settings.database.upkeep_url or settings.database.url, self._keep_up, self.daily)

    @property
    def reaches_broker(self) -> bool:
        """Whether the broker can be reached from here, whoever leads."""
        return self._probe.connected

    def run(self, wait_s: float = 30.0) -> None:
        """Serve until `stopping` is set. UnreachableError where a server is not there at the start.

        Kernels are compiled before the first message is asked for: no batch waits for a compiler.
        """
        warm()
        self.warmed.set()
        self.counts.beat_s = time.monotonic()
        self._probe.start()
        with (
            closing(self._rooting), closing(self.upkeep), closing(self._poison), closing(self._probe), self.leadership.kept(),
        ):  # fmt: skip
            while not self.stopping.is_set():
                self.stopping.wait(self._live(wait_s))

    def _live(self, wait_s: float) -> float:
        """One life; returns how long to pause after it [s]. Nothing is left of it in memory."""
        self._n_lives += 1
        is_first = self._n_lives == 1  # then we give up where something is not there, later never
        try:
            with _opened(self.settings.raw_log.folder) as raw_log:
                self._serve(raw_log, wait_s if is_first else NEVER_S)
        except DeposedError:
            log.warning("stands by: another instance leads")
        except Exception as fault:  # the edge: what it did is undone, and what it knew is forgotten
            if is_first and isinstance(fault, TagwatchError) and not self.ready.is_set():
                raise
            if not (self.stopping.is_set() and isinstance(fault, UnreachableError)):
                return self._noted(fault)
        finally:
            self.ready.clear()
        return 0.0

    def _noted(self, fault: Exception) -> float:
        """Tell of what ended a life; returns how long to pause: not at all while each life brings a poison nearer."""
        pause_s = 0.0 if self._poison.came_nearer() else _RETRY_S[min(self._failures, len(_RETRY_S) - 1)]
        self._failures += 1
        self.n_troubles += 1
        log.error("starting again from what is stored", trouble=fault, pause_s=pause_s)
        return pause_s

    def _serve(self, raw_log: RawLog, wait_s: float) -> None:
        url = self.settings.database.url
        self._patiently(lambda most_s: database.connect(url, most_s).close(), wait_s)
        if not self._leads():
            return
        leadership = self.leadership
        session = Session(
            self.settings,
            self.clock,
            self.counts,
            min(wait_s, FIRST_WAIT_S),
            self._poison,
            leadership.require,
            leadership.name,
        )
        try:
            self._take_up(session, raw_log)
            self._subscribe(session, raw_log, wait_s)
        finally:
            session.connection.close()

    def _leads(self) -> bool:
        """Stand by until this instance leads; False where it is to stop before."""
        began_s = time.monotonic()
        while not self.stopping.is_set():
            self.counts.beat_s = time.monotonic()
            if self.leadership.leads.wait(0.0 if self.stopping.is_set() else TICK_S):
                self.standing_by.clear()
                return True
            if time.monotonic() - began_s > LEASE_S and not self.standing_by.is_set():
                self.standing_by.set()
                log.info("stands by: another instance leads")
        return False

    def _take_up(self, session: Session, raw_log: RawLog) -> None:
        """What a life before this one left between the raw log and the database."""
        tail = [Message(*kept) for kept in raw_log.tail(MOST_MESSAGES)]
        with session.connection.transaction():
            self._poison.load(session.connection, tail)
        if n_again := session.take_again(tail):
            log.info("taken again from the raw log", fixes=n_again)

    def _subscribe(self, session: Session, raw_log: RawLog, wait_s: float) -> None:
        subscriber = self.subscriber = self._patiently(self._subscriber, wait_s, leading=True)
        try:
            self.ready.set()
            if self._on_ready:
                self._on_ready(session)
            while not self.stopping.is_set():
                if not self.leadership.leads.is_set():
                    raise DeposedError("another instance leads")
                self._rooting.turn(raw_log, self.clock())
                self.upkeep.turn(self.clock())
                messages = subscriber.take(MOST_MESSAGES, TICK_S)
                for part in self._poison.parted(messages):
                    decoded = session.take(part, raw_log)
                    subscriber.acknowledge(part)
                    subscriber.publish_all(session.stored_notices(decoded))
                    self._failures = 0
                session.turn(len(messages))
                if messages:
                    self._breathe(len(messages))
            session.finish()
        finally:
            self.subscriber = None
            subscriber.close()

    def _subscriber(self, wait_s: float) -> Subscriber:
        broker = self.settings.broker
        subscriber = Subscriber(
            broker.url, broker.client_id, TOPICS, broker.protocol, trust=broker.trust, clock=self.clock,
            may_connect=lambda: self.leadership.is_sure,
        )  # fmt: skip
        subscriber.connect(wait_s)
        return subscriber

    def _is_alive(self) -> bool:
        """Whether the loop shows signs of life: who hangs renews no lease."""
        return not self.warmed.is_set() or time.monotonic() - self.counts.beat_s < self.settings.health.hang_s

    def _patiently(self, attempt: Callable[[float], Thing], wait_s: float, *, leading: bool = False) -> Thing:
        """Wait for a server for so long, in pieces: who waits is alive, and can be told to stop."""
        give_up = time.monotonic() + wait_s
        while True:
            self.counts.beat_s = time.monotonic()
            try:
                return attempt(PATIENCE_S if wait_s == NEVER_S else min(wait_s, FIRST_WAIT_S))
            except UnreachableError:
                if self.stopping.is_set() or time.monotonic() >= give_up:
                    raise
                if leading and not self.leadership.leads.is_set():
                    raise DeposedError("another instance leads") from None

    @staticmethod
    def _keep_up(connection: database.Connection, now_us: int) -> None:
        done = keep_up(connection, now_us)
        log.info("store kept up", **done._asdict())

    def _breathe(self, n_messages: int) -> None:
        """After a small batch let more messages come together: one transaction costs the same for one as for a hundred."""
        if n_messages < 64:
            time.sleep(0.002)


def _opened(folder: Path) -> RawLog:
    try:
        return RawLog(folder)
    except (PermissionError, FileExistsError, NotADirectoryError) as fault:
        raise StoreError(f"the raw log cannot be written: {fault}") from None


def ledger_content(url: str) -> list[bytes]:
    """The ledger in the database as JSON lines."""
    with database.connect(url) as connection:
        return alerts.store.content(connection)


def initialise(url: str, wait_s: float = 30.0) -> int:
    """Bring a database's schema up to date; returns how many migrations were applied."""
    database.connect(url, wait_s).close()
    return database.migrate(url, SCHEMAS)
