"""Stored fixes and device events against the messages of the raw log, both ways, over a span of arrival.

A fix is compared as a whole, by a hash under a key of this run: nobody can prepare another with the same.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from engine.activations import Activations
from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.store.columns import rows_of
from engine.store.fixes import FixStore
from engine.store.imports import imports_since
from engine.times import SECOND_US, parse_time, to_iso
from ingest.message import Message
from ingest.payload import Decoded, decode_batch, decode_fixes
from ingest.raw_log import day_files, day_of
from ingest.raw_record import Record, records_of
from ingest.raw_remainder import living
from tagwatch.comparison.difference import Compared
from tagwatch.retention.horizon import Horizons, read_horizons

_AT_ONCE = 4096
_DEVICES_AT_ONCE = 64

_Told = tuple[str, int, str, str]
"""Device, time [us], kind and value of a device event."""


class Span(NamedTuple):
    """Arrival from from_s to before to_s [s UTC], in whole seconds of the centre's clock, as they are stored."""

    from_s: int
    to_s: int


def compare_received(connection: Connection, folder: Path, span: Span, activations: Activations) -> Compared:
    """Whether each stored fix and event that arrived in a span stands in a message of the raw log, and each of a message is
    stored. Holds 16 bytes a fix. What an order erased, what is from closed time and what is in quarantine is not missed."""
    found = Compared()
    with connection.transaction():
        said = _Said(connection, activations, found)
        for batch in _batches(_messages(folder, span)):
            said.take(batch)
        said.close()
        _look_at_fixes(FixStore(connection), span, said)
        _look_at_events(FixStore(connection), span, said)
    return found


class _Said:
    """What the messages say: by hash of a fix, the second in which it came first."""

    def __init__(self, connection: Connection, activations: Activations, found: Compared) -> None:
        self.found, self.events = found, dict[_Told, int]()
        self.imported = imports_since(connection, 0)[1]
        self._key = secrets.token_bytes(32)
        self._store, self._activations = FixStore(connection), activations
        self._horizons: Horizons = read_horizons(connection)
        self._quarantined = _quarantined(connection)
        self._hashes: list[NDArray[np.uint64]] = []
        self._received: list[NDArray[np.int64]] = []
        self.hashes, self.received_s = np.empty(0, np.uint64), np.empty(0, np.int64)

    def take(self, messages: list[Message]) -> None:
        """Note what these messages hold, and tell what of it is not stored."""
        decoded = decode_batch(messages)
        self.found.counts["messages"] += len(messages)
        self._hashes.append(self.hashes_of(decoded.fixes))
        self._received.append(decoded.fixes.received_s.astype(np.int64))
        for event in decoded.events:
            told = event[:4]
            self.events[told] = min(event.received_s, self.events.get(told, event.received_s))
        lacking = ~self._store.holds(decoded.fixes) & ~self._horizons.closed(decoded.fixes, self._activations)
        if lacking.any():
            self._tell_lacking(messages, set(map(int, self.hashes_of(decoded.fixes.take(lacking)))))
        self._tell_lacking_events(decoded)

    def close(self) -> None:
        """Sort what was noted, the first arrival of each."""
        if self._hashes:
            hashes, received_s = np.concatenate(self._hashes), np.concatenate(self._received)
            order = np.lexsort((received_s, hashes))
            self.hashes, first = np.unique(hashes[order], return_index=True)
            self.received_s = received_s[order][first]
        self._hashes, self._received = [], []

    def hashes_of(self, fixes: Fixes) -> NDArray[np.uint64]:
        """A hash of each fix but its arrival (n,)."""
        names = [name.encode("utf-8", "surrogatepass") + b"\0" for name in fixes.devices]
        rows = np.ascontiguousarray(rows_of(fixes, np.zeros(len(fixes), np.int32))[:-1].T)
        made = (
            blake2b(names[device] + row.tobytes(), digest_size=8, key=self._key).digest()
            for device, row in zip(fixes.device.tolist(), rows, strict=True)
        )
        return np.frombuffer(b"".join(made), np.uint64)

    def first_arrival(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """When a message first brought each of these fixes [s], -1 where none did; (n,)."""
        found = np.full(len(hashes), -1, np.int64)
        if len(self.hashes):
            at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
            there = self.hashes[at] == hashes
            found[there] = self.received_s[at[there]]
        return found

    def _tell_lacking(self, messages: list[Message], lacking: set[int]) -> None:
        fixes, origins = decode_fixes(messages)
        for k, hashed in enumerate(self.hashes_of(fixes).tolist()):
            message = origins[k].message
            if hashed not in lacking or (message.topic, message.payload) in self._quarantined:
                continue
            what = f"message {message.mid}, position {origins[k].position} of {_name(fixes, k)}"
            self.found.differs("fix not stored", what, "the raw log has it, the database does not, or another in its place")

    def _tell_lacking_events(self, decoded: Decoded) -> None:
        open_ = [e for e, gone in zip(decoded.events, self._horizons.closed_events(decoded.events, self._activations),
                                      strict=True) if not gone]  # fmt: skip
        held = {event[:4] for event in self._store.holds_events(open_)} if open_ else set()
        for event in open_:
            if event[:4] not in held:
                told = "the raw log has it, the database does not, or says that it came later"
                self.found.differs("event not stored", _event_name(event), told)


def _look_at_fixes(store: FixStore, span: Span, said: _Said) -> None:
    names = iter(sorted(store.devices()))
    while some := list(islice(names, _DEVICES_AT_ONCE)):
        fixes = store.read(devices=some)
        fixes = fixes.take((fixes.received_s >= span.from_s) & (fixes.received_s < span.to_s))
        said.found.counts["fixes"] += len(fixes)
        first_s = said.first_arrival(said.hashes_of(fixes))
        for k in np.flatnonzero(first_s < 0).tolist():
            if fixes.devices[fixes.device[k]] in said.imported:
                said.found.counts["fixes of devices with imports, in no message"] += 1
            else:
                said.found.differs(
                    "fix in no message", _name(fixes, k), "it is stored, and no message of the raw log says it"
                )
        for k in np.flatnonzero((first_s >= 0) & (fixes.received_s < first_s)).tolist():
            told = f"it is said to have come at {to_iso(int(fixes.received_s[k]) * SECOND_US)}, before its message"
            said.found.differs("arrival changed", _name(fixes, k), told)


def _look_at_events(store: FixStore, span: Span, said: _Said) -> None:
    for event in store.read_events():
        if not span.from_s <= event.received_s < span.to_s:
            continue
        said.found.counts["events"] += 1
        if event[:4] in said.events:
            continue
        if event.device in said.imported:
            said.found.counts["events of devices with imports, in no message"] += 1
        else:
            told = "it is stored, and no message of the raw log says it"
            said.found.differs("event in no message", _event_name(event), told)


def _messages(folder: Path, span: Span) -> Iterator[Message]:
    """The messages that arrived in the span, what an order left of them where it erased a part; `mid` is the number."""
    first, last = to_iso(span.from_s * SECOND_US)[:19], to_iso(span.to_s * SECOND_US)[:19]
    for path in day_files(folder):
        if day_of(path) < first[:10]:  # what arrived later may stand in an older file only where a clock was set back
            continue
        for _, record in records_of(path):
            if not isinstance(record, Record) or not first <= record.received[:19] < last:
                continue
            if record.payload is not None:
                payload = base64.b64decode(record.payload)
            elif record.rest is not UNSET:
                payload = living(base64.b64decode(str(record.rest)))
            else:
                continue
            yield Message(parse_time(record.received), record.topic, payload, record.n)


def _batches(messages: Iterator[Message]) -> Iterator[list[Message]]:
    while batch := list(islice(messages, _AT_ONCE)):
        yield batch


def _quarantined(connection: Connection) -> set[tuple[str, bytes]]:
    """Whole messages that were set apart: what they hold need not be stored."""
    return {(topic, bytes(payload)) for topic, payload in connection.execute("SELECT topic, payload FROM quarantine")}


def _name(fixes: Fixes, k: int) -> str:
    return f"device {fixes.devices[fixes.device[k]]} at {to_iso(int(fixes.time_us[k]))}"


def _event_name(event: DeviceEvent) -> str:
    return f"{event.kind} of device {event.device} at {to_iso(event.time_us)}"
