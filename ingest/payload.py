"""Payloads into columns: many messages at once into one batch of Fixes, events, quarantine and what else they tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from engine.errors import InputError
from engine.events import DeviceEvent
from engine.fixes import Fixes
from ingest.event_values import check_kind, check_value
from ingest.fix_checks import keep
from ingest.json_text import read_json
from ingest.message import Message
from ingest.owntracks import NAMES, is_ping, last_will_s, location, type_of
from ingest.quarantine import Quarantined
from ingest.readings import EVENTS, FIXES, Entry, entries_of, is_packed, joined, plain_columns, read_quickly
from ingest.rows import WIDTH, Origin, Rows
from ingest.time_texts import parse_value
from ingest.topics import FIXES as FIX_TOPIC
from ingest.topics import OWNTRACKS, OWNTRACKS_OTHER, REFUSED, route_of

_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch of messages holds, in order of arrival.

    `seqs`: every `seq` read of a device, quarantined entries too, for they are kept; `heard`: the latest arrival [s] of
    anything a device itself sent; `n_ignored`: by OwnTracks kind, what is known but neither fix nor event;
    `n_ignored_received`: entries that claimed an arrival time of their own.
    """

    fixes: Fixes
    events: list[DeviceEvent]
    quarantined: list[Quarantined]
    seqs: dict[str, list[int]]
    heard: dict[str, int]
    n_ignored: dict[str, int]
    n_ignored_received: int

    @property
    def device(self) -> str:
        """The device, where all messages are of one; empty where they are of none or of several."""
        return next(iter(self.heard)) if len(self.heard) == 1 else ""

    @property
    def seq(self) -> tuple[int, int] | None:
        """The lowest and highest `seq` of that one device."""
        seqs = self.seqs.get(self.device)
        return (min(seqs), max(seqs)) if seqs else None


@dataclass(slots=True)
class _Batch:
    """Rows as they are read; the batch of Fixes is built once, at the end."""

    rows: Rows = field(default_factory=Rows)
    events: list[DeviceEvent] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    seqs: dict[str, list[int]] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    ignored: Counter[str] = field(default_factory=Counter)
    n_ignored_received: int = 0
    split: tuple[bytes, list[msgspec.Raw]] = (b"", [])

    def take_singles(self, messages: Sequence[Message]) -> None:
        """Messages that are a JSON object each, on topics of fixes: at once where nothing is odd, else one by one."""
        columns = plain_columns(joined([message.payload for message in messages]))
        if columns is None or len(columns[0]) != len(messages):
            for message in messages:
                self.take(message)
            return
        devices = [route_of(message.topic).device for message in messages]
        self.rows.add_singles(messages, devices, columns)
        for message, device, seq in zip(messages, devices, columns[-1], strict=True):
            self._hear(message, device)
            if type(seq) is int:
                self.seqs.setdefault(device, []).append(seq)

    def take(self, message: Message) -> None:
        """One message; never raises, whatever its bytes are."""
        kind, device, error = route_of(message.topic)
        if kind == REFUSED and error is not None:
            self.refuse(message, "", message.payload, error)
            return
        try:
            if kind in (OWNTRACKS, OWNTRACKS_OTHER):
                self._take_owntracks(message, device, kind)
            else:
                self._hear(message, device)
                self._take_canonical(message, device, kind)
        except InputError as refused:
            self._hear(message, device)
            self.refuse(message, device, message.payload, refused)

    def refuse(self, message: Message, device: str, data: bytes, error: InputError, index: int = -1) -> None:
        """To quarantine, with the reason."""
        where = f"entry {index + 1}: " if index >= 0 else ""
        value = "" if error.value is None else str(error.value)[:200]
        reason = where + str(error)
        entry = Quarantined(message.received_s, message.topic, device, data, reason, error.field, value, error.expected)
        self.quarantined.append(entry)

    def entry_data(self, payload: bytes, index: int) -> bytes:
        """The bytes of one entry as sent; a payload is cut once, however many of its entries are asked for."""
        if index < 0:
            return payload
        if self.split[0] is not payload:
            decoder: Any = msgspec.msgpack if is_packed(payload) else msgspec.json
            self.split = payload, decoder.decode(payload, type=list[msgspec.Raw])
        return bytes(self.split[1][index])

    def _hear(self, message: Message, device: str) -> None:
        self.heard[device] = max(message.received_s, self.heard.get(device, 0))

    def _take_canonical(self, message: Message, device: str, kind: str) -> None:
        if kind == FIX_TOPIC and message.payload[:1] == b"[" and (columns := plain_columns(message.payload)):
            self.rows.add_list(message, device, columns)
            if seqs := [seq for seq in columns[-1] if type(seq) is int]:
                self.seqs.setdefault(device, []).extend(seqs)
            return
        dialect = FIXES if kind == FIX_TOPIC else EVENTS
        add = self._add_fix if kind == FIX_TOPIC else self._add_event
        readings = read_quickly(message.payload, dialect)
        if readings is None:
            for entry in entries_of(message.payload, dialect):
                self._take_entry(message, device, entry, add)
            return
        single = len(readings) == 1 and message.payload[:1] != b"["
        for index, reading in enumerate(readings):
            self._note(device, reading)
            add(message, device, reading, -1 if single else index)

    def _take_entry(self, message: Message, device: str, entry: Entry, add: Any) -> None:
        if entry.error is None:
            self._note(device, entry.reading)
            add(message, device, entry.reading, entry.position)
            return
        if entry.seq is not None:
            self.seqs.setdefault(device, []).append(entry.seq)
        self.refuse(message, device, entry.data, entry.error, entry.position)

    def _note(self, device: str, reading: Any) -> None:
        if reading.received is not UNSET:
            self.n_ignored_received += 1
        if type(reading.seq) is int:
            self.seqs.setdefault(device, []).append(reading.seq)

    def _add_fix(self, message: Message, device: str, reading: Any, index: int) -> None:
        self.rows.add(message, device, msgspec.structs.astuple(reading)[:WIDTH], index)

    def _add_event(self, message: Message, device: str, reading: Any, index: int) -> None:
        try:
            value = None if reading.value is UNSET else reading.value
            kind = check_kind(reading.event)
            event = DeviceEvent(device, parse_value(reading.time), kind, check_value(kind, value), message.received_s)
        except InputError as error:
            self.refuse(message, device, self.entry_data(message.payload, index), error, index)
            return
        self.events.append(event)

    def _take_owntracks(self, message: Message, device: str, kind: str) -> None:
        document = read_json(message.payload)
        told = type_of(document)
        if told == "lwt":
            self._take_last_will(message, device, document)
            return
        self._hear(message, device)
        if told != "location" or kind == OWNTRACKS_OTHER:
            self.ignored[told] += 1
            return
        values = location(document)
        if is_ping(document):
            time_us = parse_value(values.time)
            self.events.append(DeviceEvent(device, time_us, "heartbeat", "ping", message.received_s))
            return
        row = (values.time, values.lat, values.lon, values.accuracy_m, None, values.speed_mps, values.course_deg,
               values.altitude_m, None, None, values.battery_pct)  # fmt: skip
        self.rows.add(message, device, row, -1)

    def _take_last_will(self, message: Message, device: str, document: Any) -> None:
        """The broker sends it when the phone has gone: no contact. A copy has the same time, and is stored once."""
        try:
            time_us = parse_value(last_will_s(document))
        except InputError as error:
            self.refuse(message, device, message.payload, error)
            return
        self.events.append(DeviceEvent(device, time_us, "disconnected", "", message.received_s))


def decode(topic: str, payload: bytes, received_s: int) -> Decoded:
    """One payload; never raises: what cannot be decoded is in `quarantined`, with the reason."""
    return decode_batch([Message(received_s * 1_000_000, topic, payload)])


def decode_batch(messages: Iterable[Message]) -> Decoded:
    """Many payloads in order of arrival; one bad entry of a good list is quarantined alone. Never raises."""
    batch = _taken(messages)
    fixes, _ = _fixes(batch)
    return Decoded(fixes, batch.events, batch.quarantined, batch.seqs, batch.heard, dict(batch.ignored),
                   batch.n_ignored_received)  # fmt: skip


def decode_fixes(messages: Iterable[Message]) -> tuple[Fixes, list[Origin]]:
    """The fixes of many payloads as `decode_batch` gives them, and where each of them came from."""
    batch = _taken(messages)
    fixes, kept = _fixes(batch)
    return fixes, batch.rows.origins(np.flatnonzero(kept).tolist())


def _taken(messages: Iterable[Message]) -> _Batch:
    batch = _Batch()
    for single, run in groupby(messages, _is_single_fix):
        if single:
            for part in _pieces(list(run)):
                batch.take_singles(part)
        else:
            for message in run:
                batch.take(message)
    return batch


def _is_single_fix(message: Message) -> bool:
    return message.payload[:1] == b"{" and route_of(message.topic).kind == FIX_TOPIC


def _pieces(messages: list[Message]) -> Iterator[list[Message]]:
    """Few enough for one that is odd not to slow down all the others."""
    return (messages[start : start + _AT_ONCE] for start in range(0, len(messages), _AT_ONCE))


def _fixes(batch: _Batch) -> tuple[Fixes, NDArray[np.bool_]]:
    """The good fixes, and the mask (n,) of the rows they are; what is wrong with the others goes to quarantine."""
    if not len(batch.rows):
        return Fixes.empty(), np.zeros(0, np.bool_)
    fixes, good, errors = batch.rows.to_fixes()
    fine = np.ones(len(good), np.bool_)
    wrong = sorted(errors)
    for index, (message, position, device) in zip(wrong, batch.rows.origins(wrong), strict=True):
        error = errors[index]
        if route_of(message.topic).kind == OWNTRACKS:
            error = InputError(error.message, field=NAMES.get(error.field, error.field), value=error.value,
                               expected=error.expected)  # fmt: skip
        batch.refuse(message, device, batch.entry_data(message.payload, position), error, position)
        fine[index] = False
    return (keep(fixes, fine[good]) if errors else fixes), fine
