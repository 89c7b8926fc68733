"""A session: one life of the service between two losses of the database. Every batch goes through in one transaction."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import msgspec
import structlog

import alerts.store
from alerts.dispatch import put_notices
from alerts.handling_store import run_timers
from alerts.horizon import Horizon, across
from alerts.ledger import Version
from alerts.routing import Routing
from engine import database
from engine.errors import TagwatchError
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.store.imports import imports_since
from engine.times import SECOND_US, Clock, parse_time, to_iso
from geofence.store import last_number
from ingest.message import Message
from ingest.payload import Decoded, decode_batch
from ingest.quarantine import Quarantined, closed_fixes
from ingest.raw_log import RawLog
from ingest.store import lacking_in_quarantine, write_quarantine
from tagwatch import configuration
from tagwatch.channels import routing_of
from tagwatch.counts import Counts
from tagwatch.frontier import Frontier, Run
from tagwatch.leadership.lease import named
from tagwatch.metrics.codes import version_code
from tagwatch.monitor import Conditions, Monitor
from tagwatch.poison import Poison
from tagwatch.retention.horizon import number_now, read_horizons
from tagwatch.settings import Settings

_HOME = Path(__file__).resolve().parent.parent
SCHEMAS = [_HOME / room / "schema" for room in ("engine", "ingest", "geofence", "alerts", "crime_match", "tagwatch")]
REFRESH_US = 1_000_000
LONG_TRAIL = 32
"""Rows after its mark from which on a trail is cut there; what no alert needs any more is then read from the store again."""
_SET_BACK_US = 2_000_000
"""What was decided as of an instant this far ahead of the clock is decided anew; less than this is slewing."""
_AT_ONCE = 64
"""Wearers that are read from the store together."""
_BUDGET_S = 0.25
"""How long what can wait may take where no message does."""
_SLICE_S, _MANY = 0.002, 1_000
"""How long trails are cut after a batch, by which number of long ones."""

log = structlog.get_logger("tagwatch.session")


class ClockSetBackError(TagwatchError):
    """What is in memory was decided as of an instant that, by the clock, is yet to come: begin again from what is stored."""


class Session:
    """The monitor and the ledger in memory, and the transactions that keep the database in step with them."""

    def __init__(
        self, settings: Settings, clock: Clock, counts: Counts, wait_s: float, poison: Poison | None = None,
        fence: Callable[[database.Connection], None] = lambda _: None, name: str = "",
    ) -> None:  # fmt: skip
        """`fence` is called in each transaction that writes, and raises where this instance must not."""
        self.clock, self.counts, self._settings = clock, counts, settings
        self._poison, self._fence = poison or Poison(), fence
        self.connection = database.connect(settings.database.url, wait_s, named(name))
        database.require_schema(self.connection, SCHEMAS)
        self.store = FixStore(self.connection)
        self._due: list[tuple[int, str]] = []
        self._due_at: dict[str, int] = {}
        self._claims: dict[str, list[Run]] = {}
        self._prolonged: set[str] = set()
        self._long: set[str] = set()
        self._to_recall: dict[str, None] = {}
        self._causes: dict[str, str] = {}
        self._refreshed_us = self._latest_us = clock()
        with self.connection.transaction():
            self._horizons = read_horizons(self.connection)
            self._number = last_number(self.connection)
            self._import, _ = imports_since(self.connection, 0)
            self._routing = self._load_routing()
            self.monitor = Monitor(
                self._load_conditions(), self._recall, (self.store.holds, self.store.holds_events), self._stored_between
            )  # fmt: skip
            self.ledger, self._seq = alerts.store.new_ledger(self.connection)
            self._frontier = Frontier(self.store.read_sequences())
            wearers = self._known_wearers()
        self.monitor.reads_us = self._horizons.reads_us()
        self._take_up(wearers)
        log.info("ready", wearers=len(self.monitor.trails), alerts=len(self.ledger.entries()))

    def step(self, messages: Sequence[Message], raw_log: RawLog) -> Decoded | None:
        """Take a batch to the end of its transaction, and then what time itself changes; with no messages only that."""
        decoded = self.take(messages, raw_log) if messages else None
        self.turn(len(messages))
        return decoded

    def take(self, messages: Sequence[Message], raw_log: RawLog) -> Decoded:
        """Take a batch to the end of its transaction: when this returns, it may be acknowledged."""
        now_us = self._now()
        began_s = time.monotonic()
        raw_log.append([(m.received_us, m.topic, m.payload) for m in messages])
        raw_log.flush()
        self.counts.flush_s.add(time.monotonic() - began_s)
        with self._poison.trying(messages):
            fine, refused = self._poison.split(messages)
            decoded = decode_batch(fine)
            decoded.quarantined.extend(refused)
            with self._transaction(now_us):
                self._take(decoded, now_us, messages[0].received_us)
        self._poison.kept(refused)
        self.counts.take(messages, decoded, self.clock())
        return decoded

    def turn(self, n_messages: int = 0) -> None:
        """What time itself changes: little of it where messages have just come, more of them may be waiting."""
        now_us = self._now()
        self._settle_overdue(_AT_ONCE if n_messages else _MANY, now_us)
        self._forget_some(_SLICE_S if n_messages else _BUDGET_S)
        if not 0 <= now_us - self._refreshed_us < REFRESH_US:
            self._refreshed_us = now_us
            with self._transaction(now_us):
                self._refresh(now_us)

    def take_again(self, messages: Sequence[Message]) -> int:
        """Take what the raw log kept last, which a crash may have cut off before its transaction; returns how many were news.

        Its arrival was stamped then: when the broker sends it once more it would get a later one. What cannot be decoded is
        left to that; what was found to be poison goes to quarantine.
        """
        return sum(self._take_part_again(part) for part in self._poison.parted(messages))

    def _take_part_again(self, messages: Sequence[Message]) -> int:
        with self._poison.trying(messages):
            fine, refused = self._poison.split(messages)
            n_news = self._take_decoded_again(decode_batch(fine), refused)
        self._poison.kept(refused)
        return n_news

    def recover(self, messages: Sequence[Message]) -> int:
        """Take what the raw log holds and the database lost; returns how many fixes were news. May be done twice.

        Quarantine and sequences are brought back too. Of each second in which something arrived all messages must be there.
        """
        with self._poison.trying(messages):
            fine, refused = self._poison.split(messages)
            decoded = decode_batch(fine)
            with self.connection.transaction():
                lacking = lacking_in_quarantine(self.connection, decoded.quarantined)
            n_news = self._take_decoded_again(decoded, [*lacking, *refused], decoded.seqs)
        self._poison.kept(refused)
        return n_news

    def _take_decoded_again(
        self, decoded: Decoded, refused: list[Quarantined], seqs: Mapping[str, list[int]] = MappingProxyType({})
    ) -> int:  # fmt: skip
        activations, now_us = self.monitor.conditions.activations, self.clock()
        with self._transaction(now_us):
            # what was erased is in the log perhaps, and no news
            closed = self._horizons.closed(decoded.fixes, activations)
            news = decoded.fixes.take(~closed & ~self.store.holds(decoded.fixes))
            gone = self._horizons.closed_events(decoded.events, activations)
            events = [event for event, is_gone in zip(decoded.events, gone, strict=True) if not is_gone]
            self._take(replace(decoded, fixes=news, events=events, quarantined=refused, seqs=dict(seqs)), now_us, None)
        return len(news)

    def stored_notices(self, decoded: Decoded) -> list[tuple[str, bytes]]:
        """What to tell the tags: the sequence, or the time, up to which theirs is durable here."""
        notices = [
            (f"tags/{device}/stored", b'{"from":%d,"seq":%d}' % run)
            for device, runs in self._claims.items()
            for run in runs
        ]
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
        now_us = self.clock()
        with self._transaction(now_us):
            self._settle(sorted(self.monitor.trails), now_us)
        self.connection.close()

    def _now(self) -> int:
        """The clock; ClockSetBackError where it goes back by more than slewing does."""
        now_us = self.clock()
        if now_us < self._latest_us - _SET_BACK_US:
            raise ClockSetBackError(f"the clock went back by {(self._latest_us - now_us) / SECOND_US:.1f} s")
        self._latest_us = max(self._latest_us, now_us)
        return now_us

    @contextmanager
    def _transaction(self, now_us: int) -> Iterator[None]:
        """A transaction in which nobody else leads and no horizon moves; what was erased before it began is out of memory."""
        self.counts.beat_s = time.monotonic()
        with self.connection.transaction():
            self._fence(self.connection)
            if number_now(self.connection) != self._horizons.number:
                self._move_horizons(now_us)
            yield

    # --- one batch

    def _take(self, decoded: Decoded, now_us: int, received_us: int | None) -> None:
        decoded = self._without_closed(decoded)
        taken = self.monitor.take(decoded.fixes, now_us, decoded.events)
        self._reload(taken.recalled)
        self._prolonged |= set(taken.wearers) - set(taken.moved)
        self._claims = {device: self._frontier.note(device, seqs) for device, seqs in decoded.seqs.items()}
        self.store.write(decoded.fixes)
        self.store.write_sequences(self._frontier.of(decoded.seqs))
        self.store.write_events(decoded.events)
        write_quarantine(self.connection, decoded.quarantined)
        self._settle(taken.moved, now_us, received_us)
        self._long.update(wearer for wearer in taken.wearers if self._is_long(wearer))
        self.counts.duplicates += taken.n_duplicates
        self.counts.unassigned += taken.n_unassigned

    def _without_closed(self, decoded: Decoded) -> Decoded:
        """What is from closed time goes to quarantine; what is stored of it all the same is a repeat, and no news."""
        activations = self.monitor.conditions.activations
        closed = self._horizons.closed(decoded.fixes, activations)
        gone = self._horizons.closed_events(decoded.events, activations)
        if not closed.any() and not any(gone):
            return decoded
        late = decoded.fixes.take(closed)
        late = late.take(~self.store.holds(late))
        told = [event for event, is_gone in zip(decoded.events, gone, strict=True) if is_gone]
        known = self.store.holds_events(told) if told else set()
        refused = closed_fixes(late, [event for event in told if event not in known])
        self.counts.quarantined += len(refused)
        self.counts.by_reason["closed"] += len(refused)
        return replace(
            decoded, fixes=decoded.fixes.take(~closed), quarantined=[*decoded.quarantined, *refused],
            events=[event for event, is_gone in zip(decoded.events, gone, strict=True) if not is_gone],
        )  # fmt: skip

    def _settle(self, wearers: Sequence[str], now_us: int, received_us: int | None = None) -> None:
        """Decide the alerts of these wearers anew and write what changed, with the reason where one is kept for it."""
        versions: list[Version] = []
        entries = []
        for wearer in wearers:
            if wearer in self.monitor.watch.lacking:
                continue
            before = {e.id: e.alert for e in self.ledger.entries(wearer)}
            found, due_us = self.monitor.alerts(wearer, now_us)
            if horizon := self._horizons.of.get(wearer):
                at = Horizon(horizon.closed_us, horizon.reads_us, self.monitor.usable_span(wearer))
                found = across(found, before.values(), at)
            self._note_due(wearer, due_us)
            versions += self.ledger.apply(wearer, found, now_us, self._causes.pop(wearer, ""))
            entries += [e for e in self.ledger.entries(wearer) if before.get(e.id) != e.alert]
            self._prolonged.discard(wearer)
        alerts.store.write_entries(self.connection, entries, now_us)
        outgoing = alerts.store.Outgoing(self._routing, self.clock(), received_us)
        self._seq = alerts.store.write_versions(self.connection, versions, self._seq, outgoing)
        self.counts.versions += len(versions)
        self.counts.by_step.update(version_code(version.reason) for version in versions)

    def _note_due(self, wearer: str, due_us: int) -> None:
        self._due_at[wearer] = due_us
        if due_us < 2**62:
            heapq.heappush(self._due, (due_us, wearer))

    def _settle_overdue(self, most: int, now_us: int) -> None:
        """Decide anew, some at a time, whose alerts time alone may have changed: at seven in the evening many curfews begin."""
        wearers = sorted(islice(self._overdue(now_us), most))
        if wearers:
            with self._transaction(now_us):
                self._settle(wearers, now_us)

    def _overdue(self, now_us: int) -> Iterator[str]:
        """Wearers whose alerts time alone may have changed."""
        while self._due and self._due[0][0] <= now_us:
            due_us, wearer = heapq.heappop(self._due)
            if self._due_at.get(wearer) == due_us:
                yield wearer

    # --- once a second

    def _refresh(self, now_us: int) -> None:
        self._revise(now_us)
        self._take_over_imports()
        wearers = {w for w in self._prolonged if any(e.alert.active for e in self.ledger.entries(w))}
        self._prolonged.clear()
        taken = self.monitor.take(Fixes.empty(), now_us)  # what was dated ahead and whose time has come
        self._reload(taken.recalled)
        self._settle(sorted(wearers | set(taken.wearers)), now_us)
        run_timers(self.connection, now_us, self._settings.handling_limits)
        put_notices(self.connection, self._routing, now_us)
        give_up = time.monotonic() + _BUDGET_S
        while self._to_recall and time.monotonic() < give_up:
            self._recall_some(now_us)

    def _take_over_imports(self) -> None:
        """Have wearers read from the store again of whom an import has stored something; a lock keeps imports in order."""
        self._import, devices = imports_since(self.connection, self._import)
        if not devices:
            return
        rows = self.monitor.conditions.activations.rows
        wearers = {row.wearer for row in rows if row.device in devices} if rows else devices
        self.monitor.reread(wearers)
        self._to_recall |= dict.fromkeys(sorted(wearers))
        self._causes |= dict.fromkeys(wearers, "imported fixes")
        log.info("import taken over", wearers=len(wearers))

    def _move_horizons(self, now_us: int) -> None:
        """Take over horizons that were moved. Of whom anything from before them is in memory is read from the store again, at
        once where his fixes are there: what was erased decides nothing any more."""
        moved = read_horizons(self.connection)
        changed = {w for w, h in moved.of.items() if self._horizons.of.get(w) != h}
        self._horizons = moved
        self.monitor.reads_us = moved.reads_us()
        stale = {w for w in changed if self.monitor.holds_before(w, moved.of[w].reads_us) or self._knows_closed(w)}
        self._to_recall |= dict.fromkeys(sorted(self.monitor.reread(stale)))
        while self._to_recall.keys() & stale:
            self._recall_some(now_us)
        log.info("horizons moved", wearers=len(changed), read_again=len(stale))

    def _knows_closed(self, wearer: str) -> bool:
        """Whether an alert of a wearer is in memory that began in closed time: it may have been erased."""
        closed_us = self._horizons.closed_us(wearer)
        return any(parse_time(entry.alert.began) < closed_us for entry in self.ledger.entries(wearer))

    def _revise(self, now_us: int) -> None:
        """Take over what was imported since: whose past is in memory is decided anew at once, the others by and by."""
        number = last_number(self.connection)
        if number == self._number:
            return
        self._number = number
        self._routing = self._load_routing()
        before, now = self.monitor.conditions, self._load_conditions()
        affected, cause = self.monitor.revise(now), configuration.difference(before, now)
        lacking = affected & self.monitor.watch.lacking
        if before.activations.rows and not now.activations.rows:  # every device is its own wearer again
            lacking |= {*self.store.devices()}
        self._to_recall |= dict.fromkeys(sorted(lacking))
        self._causes |= dict.fromkeys(affected | lacking, cause)
        self._settle(sorted(affected - lacking), now_us)
        log.info("configuration taken over", wearers=len(affected), to_read=len(lacking))

    def _recall_some(self, now_us: int) -> None:
        wearers = list(self._to_recall)[:_AT_ONCE]
        self.monitor.recall(wearers, now_us)
        self._reload(wearers)
        self._settle(wearers, now_us)
        self._long.update(wearers)

    def _is_long(self, wearer: str) -> bool:
        trail = self.monitor.trails[wearer]
        return len(trail) - max(trail.base, trail.marked) >= LONG_TRAIL

    def _forget_some(self, budget_s: float) -> None:
        """Cut long trails for a little while: alerts must not wait for it, and where many wait longer is taken."""
        if not self._long:
            return
        give_up = time.monotonic() + budget_s * max(1.0, len(self._long) / _MANY)
        now_us = self.clock()
        with self._transaction(now_us):
            while self._long and time.monotonic() < give_up:
                self._forget(self._long.pop(), now_us)

    def _forget(self, wearer: str, now_us: int) -> None:
        """Cut a trail; alerts that are closed by that are brought to their last state before they leave memory."""
        if wearer in self.monitor.watch.lacking or wearer not in self.monitor.trails:
            return
        self._settle([wearer], now_us)
        self.ledger.forget(wearer, self.monitor.forget(wearer, now_us))

    # --- from the store

    def _take_up(self, wearers: Sequence[str]) -> None:
        """Read what is stored, some wearers at a time, and decide as of now."""
        for start in range(0, len(wearers), _AT_ONCE):
            some, now_us = wearers[start : start + _AT_ONCE], self.clock()
            with self._transaction(now_us):
                self.monitor.recall(some, now_us)
                self._restore(some)
                self._settle(some, now_us)
                for wearer in some:
                    self._forget(wearer, now_us)

    def _known_wearers(self) -> list[str]:
        known = {*self.monitor.trails, *alerts.store.wearers_of(self.connection)}
        if not self.monitor.conditions.activations.rows:
            known |= {*self.store.devices()}
        return sorted(known)

    def _recall(self, devices: Sequence[str]) -> tuple[Fixes, list[DeviceEvent]]:
        self.counts.recalls += 1
        return self.store.read(devices=devices), self.store.read_events(devices=devices)

    def _stored_between(self, from_us: int, to_us: int) -> tuple[Fixes, list[DeviceEvent]]:
        return self.store.read(from_us=from_us, to_us=to_us), self.store.read_events(from_us=from_us, to_us=to_us)

    def _reload(self, wearers: Iterable[str]) -> None:
        """The ledger's whole knowledge of wearers whose whole past the monitor has read."""
        wearers = list(wearers)
        for wearer in wearers:
            self.ledger.forget(wearer)
            self._to_recall.pop(wearer, None)
        if wearers:
            self._restore(wearers)

    def _restore(self, wearers: Sequence[str]) -> None:
        closed_us = {w: self._horizons.closed_us(w) for w in wearers if w in self._horizons.of}
        alerts.store.restore(self.connection, self.ledger, wearers, closed_us)

    def _load_conditions(self) -> Conditions:
        return configuration.load(self.connection, self._settings.filter_settings, self._settings.default_plan)

    def _load_routing(self) -> Routing:
        routing = routing_of(self._settings, *configuration.load_teams(self.connection))
        if sentences := routing.unserved():
            log.warning("nobody is told", sentences=len(sentences))
        return routing
