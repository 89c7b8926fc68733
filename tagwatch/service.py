"""The service: messages from the broker to alerts in the database, in one transaction a batch. The only file that knows
every room.

Whatever goes wrong with the database, the answer is the same: forget the state in memory, and take it up again from what is
durable. Nothing was acknowledged that was not committed, so the broker sends the rest again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psycopg
import structlog

import alerts.store
from alerts.ledger import Version
from engine import database
from engine.fixes import Fixes
from engine.store import FixStore
from engine.times import Clock, system_clock, to_iso
from ingest.message import Message
from ingest.mqtt import Subscriber
from ingest.payload import Decoded, decode_batch
from ingest.raw_log import RawLog
from ingest.store import write_quarantine
from tagwatch import configuration
from tagwatch.monitor import Monitor
from tagwatch.settings import Settings
from tagwatch.warm import warm

_HOME = Path(__file__).resolve().parent.parent
SCHEMAS = [_HOME / room / "schema" for room in ("engine", "ingest", "geofence", "alerts")]
TOPICS = ("tags/+/fixes", "tags/+/events", "owntracks/+/+", "owntracks/+/+/event")
MOST_MESSAGES = 4096
TICK_S = 0.25
REFRESH_US = 1_000_000
_RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)

log = structlog.get_logger("tagwatch.service")


@dataclass(slots=True)
class Counts:
    """What went through since the start."""

    messages: int = 0
    fixes: int = 0
    duplicates: int = 0
    unassigned: int = 0
    events: int = 0
    quarantined: int = 0
    versions: int = 0
    batches: int = 0


class Frontier:
    """How far each device's sequence is durable without a gap, from the first number ever seen of it."""

    def __init__(self, known: Mapping[str, tuple[int, set[int]]]) -> None:
        self._known = dict(known)

    def note(self, device: str, seqs: Sequence[int]) -> int:
        """Take numbers that are durable with this batch; returns the highest up to which all are known to be.

        A number at or below the frontier is a repeat, or a tag that counts from the start again: then only the unbroken run
        from that number on is claimed, because to claim too little costs a repeat and too much a fix.
        """
        lowest, here = min(seqs), set(seqs)
        until, beyond = self._known.get(device, (lowest - 1, set()))
        again = lowest <= until
        beyond = beyond | {n for n in here if n > until}
        while until + 1 in beyond:
            until += 1
            beyond.discard(until)
        self._known[device] = (until, beyond)
        if not again:
            return until
        while lowest + 1 in here:
            lowest += 1
        return lowest

    def of(self, devices: Iterable[str]) -> dict[str, tuple[int, set[int]]]:
        """What is known of these devices, to be kept."""
        return {device: self._known[device] for device in devices}


class Session:
    """One life of the service between two losses of the database."""

    def __init__(self, settings: Settings, clock: Clock, counts: Counts, channels: Sequence[str], wait_s: float) -> None:
        self.clock, self.counts, self._channels = clock, counts, channels
        self.connection = database.connect(settings.database.url, wait_s)
        database.require_schema(self.connection, SCHEMAS)
        self.store = FixStore(self.connection)
        with self.connection.transaction():
            conditions = configuration.load(self.connection, settings.filter_settings, settings.default_plan)
            self.monitor = Monitor(conditions)
            self.ledger, self._seq = alerts.store.load(self.connection)
            stored = self.store.read()
            sequences = self.store.read_sequences()
        now_us = clock()
        self.monitor.take(stored, now_us)
        self._due: dict[str, int] = {}
        self._claims: dict[str, int] = {}
        self._prolonged: set[str] = set()
        self._refreshed_us = now_us
        self._frontier = Frontier(sequences)
        with self.connection.transaction():
            self._settle(sorted(self.monitor.trails), now_us, None)
        log.info("ready", wearers=len(self.monitor.trails), fixes=len(stored), alerts=len(self.ledger.entries()))

    def step(self, messages: Sequence[Message], raw_log: RawLog) -> Decoded | None:
        """Take a batch to the end of its transaction; with no messages only what time itself changes."""
        now_us = self.clock()
        if not messages:
            self._tick(now_us)
            return None
        raw_log.append([(m.received_us, m.topic, m.payload) for m in messages])
        raw_log.flush()
        decoded = decode_batch(messages)
        taken = self.monitor.take(decoded.fixes, now_us)
        moved = set(taken.moved)
        self._prolonged |= set(taken.wearers) - moved
        self._claims = {device: self._frontier.note(device, seqs) for device, seqs in decoded.seqs.items()}
        with self.connection.transaction():
            self.store.write(decoded.fixes)
            self.store.write_sequences(self._frontier.of(decoded.seqs))
            self.store.write_events(decoded.events)
            write_quarantine(self.connection, decoded.quarantined)
            self._settle(sorted(moved | self._overdue(now_us)), now_us, messages[0].received_us)
        self._count(messages, decoded, taken.n_duplicates, taken.n_unassigned)
        return decoded

    def stored_notices(self, decoded: Decoded) -> list[tuple[str, bytes]]:
        """What to tell the tags: the sequence, or the time, up to which theirs is durable here."""
        notices = [(f"tags/{device}/stored", b'{"seq":%d}' % until) for device, until in self._claims.items()]
        newest: dict[int, int] = {}
        for device, time_us in zip(decoded.fixes.device.tolist(), decoded.fixes.time_us.tolist(), strict=True):
            newest[device] = max(time_us, newest.get(device, time_us))
        for number, time_us in newest.items():
            name = decoded.fixes.devices[number]
            if name not in decoded.seqs:
                notices.append((f"tags/{name}/stored", msgspec.json.encode({"until": to_iso(time_us)})))
        return notices

    def finish(self) -> None:
        """Bring the content of every alert up to now, and leave."""
        with self.connection.transaction():
            self._settle(sorted(self.monitor.trails), self.clock(), None)
        self.connection.close()

    def _tick(self, now_us: int) -> None:
        if now_us - self._refreshed_us < REFRESH_US and self._refreshed_us <= now_us:
            return
        self._refreshed_us = now_us
        wearers = self._overdue(now_us) | {
            w for w in self._prolonged if any(e.alert.active for e in self.ledger.entries(w))
        }
        self._prolonged.clear()
        taken = self.monitor.take(Fixes.empty(), now_us)  # fixes of the future whose time has come
        wearers |= set(taken.wearers)
        if wearers:
            with self.connection.transaction():
                self._settle(sorted(wearers), now_us, None)

    def _overdue(self, now_us: int) -> set[str]:
        return {wearer for wearer, due in self._due.items() if due <= now_us}

    def _settle(self, wearers: Sequence[str], now_us: int, received_us: int | None) -> None:
        """Decide the alerts of these wearers anew and write what changed."""
        versions: list[Version] = []
        entries = []
        for wearer in wearers:
            before = {e.id: e.alert for e in self.ledger.entries(wearer)}
            found, self._due[wearer] = self.monitor.alerts(wearer, now_us)
            versions += self.ledger.apply(wearer, found, now_us)
            entries += [e for e in self.ledger.entries(wearer) if before.get(e.id) != e.alert]
            self._prolonged.discard(wearer)
        alerts.store.write_entries(self.connection, entries, now_us)
        outgoing = alerts.store.Outgoing(self._channels, self.clock(), received_us)
        self._seq = alerts.store.write_versions(self.connection, versions, self._seq, outgoing)
        self.counts.versions += len(versions)

    def _count(self, messages: Sequence[Message], decoded: Decoded, n_duplicates: int, n_unassigned: int) -> None:
        counts = self.counts
        counts.messages += len(messages)
        counts.fixes += len(decoded.fixes)
        counts.events += len(decoded.events)
        counts.quarantined += len(decoded.quarantined)
        counts.duplicates += n_duplicates
        counts.unassigned += n_unassigned
        counts.batches += 1


class Service:
    """Runs sessions until told to stop."""

    def __init__(
        self, settings: Settings, clock: Clock = system_clock, channels: Sequence[str] = ("terminal",),
        on_ready: Callable[[Session], None] | None = None,
    ) -> None:  # fmt: skip
        self.settings, self.clock, self.channels = settings, clock, channels
        self.counts = Counts()
        self.stopping = threading.Event()
        self.ready = threading.Event()
        self._on_ready = on_ready
        self._failures = 0

    def run(self, wait_s: float = 30.0) -> None:
        """Serve until `stopping` is set. UnreachableError where a server is not there at the start.

        Kernels are compiled before the first message is asked for: no batch waits for a compiler.
        """
        warm()
        with RawLog(self.settings.raw_log.folder) as raw_log:
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
        session = Session(self.settings, self.clock, self.counts, self.channels, wait_s)
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
                messages = subscriber.take(MOST_MESSAGES, TICK_S)
                decoded = session.step(messages, raw_log)
                if decoded is not None:
                    subscriber.acknowledge(messages)
                    for topic, payload in session.stored_notices(decoded):
                        subscriber.publish(topic, payload)
                    self._breathe(len(messages))
            session.finish()
        finally:
            subscriber.close()
            session.connection.close()

    def _breathe(self, n_messages: int) -> None:
        """After a small batch let more messages come together: one transaction costs the same for one as for a hundred."""
        if n_messages < 64:
            time.sleep(0.005)


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
