"""Plays trails over MQTT as tags would: in order of arrival, QoS 1, each fix kept until Tagwatch says it is stored."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

import numpy as np
import paho.mqtt.client as paho
from numpy.typing import NDArray

from engine.errors import InputError
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.times import SECOND_US, Clock, system_clock
from ingest.backlog import Backlog, Sent
from ingest.broker_trust import Trust
from ingest.mqtt_link import Link
from ingest.payload_text import event_text, fix_texts

WINDOW = 2_000  # messages on their way to the broker at one time
MOST_BYTES = 16_000  # of a payload: the embedded broker drops a client that sends packets of more than 20 KiB
_AT_ONCE = 4_096  # fixes encoded together
_FEW = 64  # devices that listen by themselves
_LOOK_S = 1.0  # how often the backlog is looked through


class Published(NamedTuple):
    """Counts of a run; `unstored` entries (fixes and events) were never told to be durable, `devices` are theirs;
    `unacknowledged` messages were never taken by the broker."""

    messages: int
    fixes: int
    events: int
    resent: int
    unstored: int
    devices: list[str]
    unacknowledged: int
    seconds: float


class _Entry(NamedTuple):
    """One fix or event on its way: encoded, with its place in the order of arrival."""

    device: str
    kind: str
    text: bytes
    seq: int
    time_us: int
    received_s: int


def publish(
    fixes: Fixes,
    url: str,
    *,
    rate: float | None = None,
    speedup: float | None = None,
    batch: int = 1,
    events: Sequence[DeviceEvent] = (),
    clock: Clock = system_clock,
    resend_s: float = 60.0,
    wait_s: float = 180.0,
    await_stored: bool = True,
    protocol: str = "3.1.1",
    trust: Trust = Trust(),
    connect_s: float = 30.0,
    first_seq: int = 1,
    on_progress: Callable[[int], object] | None = None,
) -> Published:
    """Send all fixes and events in order of arrival (`received`, then their order here), and wait until they are stored.

    `rate`: fixes and events a second; `speedup`: times as fast as they arrived; neither: as fast as the broker takes
    them. `batch`: at most so many consecutive fixes of a device in a message (and MOST_BYTES). What no
    `tags/<device>/stored` covers is sent again after `resend_s`; after `wait_s` without progress the rest is given up and
    counted. `on_progress` gets the entries sent. Raises UnreachableError where the broker does not answer within
    `connect_s`, and InputError for a device name that is no part of a topic.
    """
    _check(rate, speedup, batch)
    names = {*fixes.devices, *(event.device for event in events)}
    _check_devices(names)
    run = _Run(
        url, protocol, trust, clock, resend_s, first_seq, await_stored, _stored_topics(names) if await_stored else ()
    )
    run.link.connect(connect_s)
    started_us = clock()
    try:
        pace = _Pace(clock, rate, speedup)
        for number, entries in enumerate(_messages(fixes, events, batch, first_seq), start=1):
            run.wait_until(pace.due_us(run.n_entries, entries[-1].received_s))
            run.send(entries)
            if on_progress is not None and number % 100 == 0:
                on_progress(run.n_entries)
        run.settle(wait_s)
    finally:
        run.link.close()
    if on_progress is not None:
        on_progress(run.n_entries)
    seconds = (clock() - started_us) / SECOND_US
    unstored, devices = (run.backlog.n_entries, run.backlog.devices()) if await_stored else (0, [])
    return Published(
        run.n_messages, len(fixes), len(events), run.n_resent, unstored, devices, run.n_unacknowledged, seconds
    )  # fmt: skip


class _Run:
    """The connection and the backlog. All state is this thread's; the network thread only puts news on a queue."""

    def __init__(
        self, url: str, protocol: str, trust: Trust, clock: Clock, resend_s: float, first_seq: int, await_stored: bool,
        topics: Sequence[str],
    ) -> None:  # fmt: skip
        self.backlog = Backlog(first_seq)
        self.n_messages = self.n_entries = self.n_resent = self.n_unacknowledged = 0
        self._news: SimpleQueue[tuple[str, bytes] | None] = SimpleQueue()
        self._clock, self._resend_s, self._await = clock, resend_s, await_stored
        self._looked_s = 0.0
        name = f"tagwatch-publish-{os.getpid()}-{clock()}"
        self.link = Link(
            url, name, protocol, persistent=False, topics=topics, trust=trust,
            on_message=self._notice, on_publish=lambda _mid: self._news.put(None),
        )  # fmt: skip

    def send(self, entries: list[_Entry]) -> None:
        """One message of these entries, once the window has room."""
        device, kind = entries[0].device, entries[0].kind
        texts = [entry.text for entry in entries]
        payload = texts[0] if len(texts) == 1 else b"[" + b",".join(texts) + b"]"
        sent = Sent(f"tags/{device}/{kind}", payload, len(entries), max(entry.seq for entry in entries),
                    max(entry.time_us for entry in entries), low_seq=min(entry.seq for entry in entries))  # fmt: skip
        self._put(sent)
        self.n_entries += len(entries)
        self.n_messages += 1
        if self._await:
            self.backlog.add(device, sent, [entry.seq for entry in entries])

    def wait_until(self, due_us: int) -> None:
        """Take in news until then, sending again what is overdue."""
        self._take_news(0.0)
        self._look_through()
        while (left_us := due_us - self._clock()) > 0:
            self._take_news(min(left_us / SECOND_US, 0.2))
            self._look_through()

    def settle(self, wait_s: float) -> None:
        """Wait until the broker has all and, where stored is awaited, the backlog is empty, or nothing moves any more."""
        state, since_s = self._state(), time.monotonic()
        while any(state) and time.monotonic() - since_s < wait_s:
            self._take_news(0.2)
            self._look_through()
            if (now := self._state()) != state:
                state, since_s = now, time.monotonic()

    def _state(self) -> tuple[int, int]:
        # Messages sent again do not count as progress, else a run without a service would never end.
        return self.backlog.n_entries, min(self.n_unacknowledged, 1)

    def _put(self, sent: Sent) -> None:
        while self.n_unacknowledged >= WINDOW:
            self._take_news(0.2)
        self.link.client.publish(sent.topic, sent.payload, 1)
        self.n_unacknowledged += 1

    def _look_through(self) -> None:
        now_s = time.monotonic()
        if not self._await or now_s - self._looked_s < min(_LOOK_S, self._resend_s / 4):
            return
        self._looked_s = now_s
        for sent in list(self.backlog.overdue(now_s, self._resend_s)):
            self._put(sent)
            self.n_resent += 1

    def _take_news(self, wait_s: float) -> None:
        try:
            news = self._news.get(timeout=wait_s) if wait_s > 0 else self._news.get_nowait()
            while True:
                self._take(news)
                news = self._news.get_nowait()
        except Empty:
            return

    def _take(self, news: tuple[str, bytes] | None) -> None:
        if news is None:
            self.n_unacknowledged -= 1
        else:
            self.backlog.cover(news[0].split("/")[1], news[1])

    def _notice(self, topic: str, message: paho.MQTTMessage, _generation: int) -> None:
        self._news.put((topic, bytes(message.payload)))


class _Pace:
    """When an entry is due."""

    def __init__(self, clock: Clock, rate: float | None, speedup: float | None) -> None:
        self._rate, self._speedup = rate, speedup
        self._started_us = clock()
        self._first_s: int | None = None

    def due_us(self, n_sent: int, received_s: int) -> int:
        """The moment [us] of the entry after `n_sent` others, which arrived at `received_s`."""
        if self._first_s is None:
            self._first_s = received_s
        if self._rate is not None:
            return self._started_us + int(n_sent / self._rate * SECOND_US)
        if self._speedup is not None:
            return self._started_us + int((received_s - self._first_s) / self._speedup * SECOND_US)
        return 0


def _messages(fixes: Fixes, events: Sequence[DeviceEvent], batch: int, first_seq: int) -> Iterator[list[_Entry]]:
    """The entries in order of arrival, a device's consecutive fixes gathered up to `batch`."""
    gathered: dict[str, list[_Entry]] = {}
    for entry in _entries(fixes, events, first_seq):
        if entry.kind == "events" or batch == 1:
            yield [entry]
            continue
        pending = gathered.setdefault(entry.device, [])
        if pending and entry.seq != pending[-1].seq + 1:  # of a repeat only an unbroken run is said to be stored
            yield gathered.pop(entry.device)
            pending = gathered.setdefault(entry.device, [])
        if sum(len(other.text) + 1 for other in pending) + len(entry.text) + 2 > MOST_BYTES:
            yield gathered.pop(entry.device)
            pending = gathered.setdefault(entry.device, [])
        pending.append(entry)
        if len(pending) == batch:
            yield gathered.pop(entry.device)
    yield from gathered.values()


def _entries(fixes: Fixes, events: Sequence[DeviceEvent], first_seq: int) -> Iterator[_Entry]:
    received_s = np.concatenate([fixes.received_s, np.array([_arrival_s(event) for event in events], np.int64)])
    order = np.argsort(received_s, kind="stable")
    seqs = _seqs(fixes, events, first_seq)
    n = len(fixes)
    for start in range(0, len(order), _AT_ONCE):
        chunk = order[start : start + _AT_ONCE]
        rows = chunk[chunk < n]
        texts = iter(fix_texts(fixes.take(rows), seqs[rows])) if len(rows) else iter(())
        for index in chunk.tolist():
            seq = int(seqs[index])
            if index < n:
                device = fixes.devices[fixes.device[index]]
                yield _Entry(device, "fixes", next(texts), seq, int(fixes.time_us[index]), int(received_s[index]))
            else:
                event = events[index - n]
                yield _Entry(event.device, "events", event_text(event, seq), seq, event.time_us, int(received_s[index]))


def _arrival_s(event: DeviceEvent) -> int:
    return event.received_s or event.time_us // SECOND_US


def _seqs(fixes: Fixes, events: Sequence[DeviceEvent], first_seq: int) -> NDArray[np.int64]:
    """A tag numbers what it makes when it makes it: by device in order of time, however late it arrives."""
    names = {name: code for code, name in enumerate(fixes.devices)}
    codes = [names.setdefault(event.device, len(names)) for event in events]
    device = np.concatenate([fixes.device, np.array(codes, np.int32)])
    time_us = np.concatenate([fixes.time_us, np.array([event.time_us for event in events], np.int64)])
    order = np.lexsort((time_us, device))
    counts = np.bincount(device, minlength=len(names))
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    seqs = np.empty(len(device), np.int64)
    seqs[order] = np.arange(len(device)) - starts + first_seq
    return seqs


def _stored_topics(devices: set[str]) -> Sequence[str]:
    """What tags are told: a few listen each to its own, as access rules of a broker have it."""
    return [f"tags/{name}/stored" for name in sorted(devices)] if len(devices) <= _FEW else ("tags/+/stored",)


def _check(rate: float | None, speedup: float | None, batch: int) -> None:
    for field, value in (("rate", rate), ("speedup", speedup), ("batch", batch)):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(field=field, value=value, expected="more than 0")
    if rate is not None and speedup is not None:
        raise InputError("both are given", field="speedup", value=speedup, expected="a rate or a speedup, not both")


def _check_devices(names: set[str]) -> None:
    for name in sorted(names):
        if any(sign in name for sign in "/+#"):
            raise InputError(field="device", value=name, expected="a name without / + #, for it is a part of the topic")
