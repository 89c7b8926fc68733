"""Tags that report by the clock, whatever the service does, and how long each message took from when it was due until the tag
was told that it is stored: after the transaction that keeps it with its alerts."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import degrees
from engine.events import DeviceEvent
from engine.fixes import SOURCES, Fixes
from ingest import mqtt_wire as wire
from ingest.broker_url import parse_url
from ingest.payload_text import event_text, fix_texts

_SPAWN = multiprocessing.get_context("spawn")
_BLOCK_S = 0.5
_TICK_S = 0.002


@dataclass(frozen=True)
class Crowd:
    """`n_tags` tags, each on a circle of its own about its home, that send `rate` messages a second together, in turn.

    Message k is due k / rate after the start; every `strap_every`-th (0: none) is a strap that was cut instead of a fix. The
    tags' time begins at `start_us` and runs `speed` times as fast as the real one.
    """

    n_tags: int
    rate: float
    start_us: int
    speed: float = 1.0
    strap_every: int = 0
    prefix: str = "live"
    seed: int = 1

    @property
    def names(self) -> list[str]:
        """The devices by their number."""
        return [self.name_of(k) for k in range(self.n_tags)]

    def name_of(self, k: int) -> str:
        """The device of a number."""
        return f"{self.prefix}-{k:05d}"

    def time_us(self, k: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tags' time [us] of messages, in whole milliseconds."""
        return self.start_us + (k * (self.speed * 1000.0 / self.rate)).astype(np.int64) * 1000

    def is_strap(self, k: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which messages are events."""
        if not self.strap_every:
            return np.zeros(len(k), np.bool_)
        return k % self.strap_every == self.strap_every - 1

    def fixes(self, first: int, stop: int) -> tuple[Fixes, NDArray[np.int64]]:
        """The fixes among the messages first <= k < stop, and the number of each."""
        k = np.arange(first, stop)
        k = k[~self.is_strap(k)]
        tag, time_us = k % self.n_tags, self.time_us(k)
        rng = np.random.default_rng(self.seed)
        home = rng.uniform(-4000.0, 4000.0, (self.n_tags, 2))
        radius, period_s = rng.uniform(100.0, 400.0, self.n_tags), rng.uniform(1500.0, 3000.0, self.n_tags)
        angle = 2 * np.pi * ((time_us - self.start_us) / 1e6 / period_s[tag] + tag / self.n_tags)
        noise = _noise(k)
        x, y = (home[tag] + radius[tag, None] * np.column_stack([np.cos(angle), np.sin(angle)]) + 4.0 * noise).T
        lat, lon = degrees(x, y)
        fixes = Fixes.of(
            self.names, device=tag, time_us=time_us, lat_e7=np.rint(lat * 1e7), lon_e7=np.rint(lon * 1e7),
            accuracy_cm=500 + k % 1000, source=np.full(len(k), SOURCES["gps"]), received_s=time_us // 1_000_000,
        )  # fmt: skip
        return fixes, k

    def events(self, first: int, stop: int) -> list[DeviceEvent]:
        """The events among the messages first <= k < stop."""
        k = np.arange(first, stop)
        k = k[self.is_strap(k)]
        return [
            DeviceEvent(self.name_of(n % self.n_tags), t, "strap_tamper", "", t // 1_000_000)
            for n, t in zip(k.tolist(), self.time_us(k).tolist(), strict=True)
        ]

    def packets(self, first: int, stop: int) -> list[bytes]:
        """The messages first <= k < stop as packets; their sequence numbers count from 1 by tag."""
        fixes, numbers = self.fixes(first, stop)
        texts = dict(zip(numbers.tolist(), fix_texts(fixes, numbers // self.n_tags + 1), strict=True))
        strap = iter(self.events(first, stop))
        found = []
        for k in range(first, stop):
            name = self.name_of(k % self.n_tags)
            kind = "fixes" if k in texts else "events"
            text = texts.get(k) or event_text(next(strap), k // self.n_tags + 1)
            found.append(wire.publish("3.1.1", f"tags/{name}/{kind}", text, k % 65_000 + 1))
        return found


def _noise(k: NDArray[np.int64]) -> NDArray[np.float64]:
    """Nearly normal errors that are a function of the message alone, however the messages are cut; (n, 2)."""
    mixed = [(k * 2654435761 + salt * 40503) % 1_000_003 / 1_000_003 for salt in range(8)]
    return np.column_stack([sum(mixed[:4]) - 2.0, sum(mixed[4:]) - 2.0]) * 1.73


class Told(NamedTuple):
    """What the tags saw: when each message was due [s, monotonic] and how long it took [ms], NaN where nothing was said."""

    due_s: NDArray[np.float64]
    took_ms: NDArray[np.float64]
    is_strap: NDArray[np.bool_]

    @property
    def n(self) -> int:
        """How many messages were sent."""
        return len(self.due_s)

    @property
    def n_untold(self) -> int:
        """Of how many nobody said that they are stored."""
        return int(np.count_nonzero(np.isnan(self.took_ms)))

    def figures(self, from_s: float = -np.inf, to_s: float = np.inf, straps: bool = False) -> dict[str, float]:
        """Median, 99th percentile and the longest [ms] of what was due within a span, or of the straps in it."""
        which = (self.due_s >= from_s) & (self.due_s < to_s) & ~np.isnan(self.took_ms)
        taken = self.took_ms[which & self.is_strap if straps else which]
        if not len(taken):
            return {"n": 0}
        p50, p99, most = np.percentile(taken, [50, 99, 100])
        found = {"p50_ms": p50, "p99_ms": p99, "longest_ms": most}
        return {"n": len(taken)} | {name: round(float(value), 1) for name, value in found.items()}


class Progress(NamedTuple):
    """What the tags' process shares: begin and stop, and how many messages are due, out, and said to be stored."""

    began_s: Any
    sent: Any
    done: Any
    stop: Any


class LiveTags:
    """The running tags; `began_s` is when message 0 was due [s, monotonic]."""

    def __init__(self, progress: Progress, process: Any, result: Path) -> None:
        self._progress, self._process, self._result = progress, process, result

    @property
    def began_s(self) -> float:
        """When the first message was due; 0 before."""
        return float(self._progress.began_s.value)

    @property
    def waiting(self) -> int:
        """How many messages were sent of which nobody has said that they are stored."""
        return int(self._progress.sent.value - self._progress.done.value)

    def stop(self, wait_s: float = 120.0) -> Told:
        """Send no more, wait until all is said to be stored or nothing is for `wait_s`, and return what was seen."""
        self._progress.stop.value = wait_s
        self._process.join()
        with np.load(self._result) as found:
            return Told(found["due_s"], found["took_ms"], found["is_strap"])


@contextmanager
def live_tags(crowd: Crowd, url: str, folder: Path) -> Iterator[LiveTags]:
    """Tags in a process of their own, connected and about to begin; ended with the block."""
    values = [_SPAWN.Value(kind, 0, lock=False) for kind in "dqqd"]
    progress, result = Progress(*values), folder / f"{crowd.prefix}-{time.monotonic_ns()}.npz"
    process = _SPAWN.Process(target=_run, args=(crowd, url, progress, result), daemon=True)
    process.start()
    try:
        wait_for(lambda: progress.began_s.value or not process.is_alive(), 60.0, "the live tags")
        yield LiveTags(progress, process, result)
    finally:
        if process.is_alive():
            process.terminate()
        process.join(10)


def _run(crowd: Crowd, url: str, progress: Progress, result: Path) -> None:
    watch = _Watch(crowd)
    blocks = _blocks(crowd)
    ready = next(blocks)
    n_sent, end_s, since = 0, 0.0, (time.monotonic(), -1)
    with opened(url, f"{crowd.prefix}-tags", ("tags/+/stored",)) as link:
        unsent = bytearray()
        began_s = progress.began_s.value = time.monotonic() + 0.1
        while True:
            now_s = time.monotonic()
            stopping = progress.stop.value
            due = n_sent if stopping else int((now_s - began_s) * crowd.rate) + 1 if now_s >= began_s else 0
            while len(ready) + n_sent < due + crowd.rate * _BLOCK_S and not stopping:
                ready += next(blocks)
            if due > n_sent:
                unsent += b"".join(ready[: due - n_sent])
                del ready[: due - n_sent]
                n_sent = progress.sent.value = due
            _send(link, unsent)
            watch.take(_read(link))
            progress.done.value = watch.n_done
            if stopping:
                if since[1] != watch.n_done:
                    since = (now_s, watch.n_done)
                end_s = since[0] + stopping
                if watch.n_done >= n_sent or now_s > end_s:
                    break
            time.sleep(_TICK_S)
    k = np.arange(n_sent)
    due_s = began_s + k / crowd.rate
    np.savez(result, due_s=due_s, took_ms=1000 * (watch.told_s(n_sent) - due_s), is_strap=crowd.is_strap(k))


def _blocks(crowd: Crowd) -> Iterator[list[bytes]]:
    n, first = max(1, int(crowd.rate * _BLOCK_S)), 0
    while True:
        yield crowd.packets(first, first + n)
        first += n


class _Watch:
    """When each message was said to be stored."""

    def __init__(self, crowd: Crowd) -> None:
        self._n_tags, self._number = crowd.n_tags, {name: k for k, name in enumerate(crowd.names)}
        self._told = np.full(1 << 16, np.nan)
        self._until = np.zeros(crowd.n_tags, np.int64)
        self._reader = wire.Reader("3.1.1", 0)
        self.n_done = 0

    def take(self, data: bytes) -> None:
        """What came from the broker; acknowledgements of packets say nothing here."""
        now_s = time.monotonic()
        for message in self._reader.read(data, 0)[0] if data else ():
            tag = self._number.get(message.topic.split("/")[1])
            if tag is not None:
                self._note(tag, msgspec.json.decode(message.payload).get("seq", 0), now_s)

    def _note(self, tag: int, seq: int, now_s: float) -> None:
        last = (seq - 1) * self._n_tags + tag
        if last >= len(self._told):
            self._told = np.append(self._told, np.full(max(len(self._told), last), np.nan))
        rows = np.arange(self._until[tag], seq) * self._n_tags + tag if seq > self._until[tag] + 1 else np.array([last])
        rows = rows[np.isnan(self._told[rows])]
        self._told[rows] = now_s
        self.n_done += len(rows)
        self._until[tag] = max(self._until[tag], seq)

    def told_s(self, n: int) -> NDArray[np.float64]:
        """Of the first n messages."""
        short = max(0, n - len(self._told))
        return np.append(self._told, np.full(short, np.nan))[:n]


def opened(url: str, name: str, topics: tuple[str, ...] = (), source: str = "") -> socket.socket:
    """A clean session at a broker that has accepted it, non-blocking; from the loopback address `source` where given."""
    where = parse_url(url)
    link = socket.create_connection((where.host, where.port), 30.0, (source, 0) if source else None)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2, "big") + name.encode()
    link.sendall(bytes([0x10, len(body)]) + body)
    if link.recv(4) != b"\x20\x02\x00\x00":
        raise ConnectionError("the broker does not take the tags")
    if topics:
        link.sendall(wire.subscribe("3.1.1", 65_535, topics))
    link.setblocking(False)
    return link


def _send(link: socket.socket, unsent: bytearray) -> None:
    if unsent:
        try:
            del unsent[: link.send(unsent)]
        except BlockingIOError:
            return


def _read(link: socket.socket) -> bytes:
    try:
        return link.recv(1 << 18)
    except BlockingIOError:
        return b""


def wait_for(holds: Callable[[], Any], timeout_s: float, what: str) -> float:
    """Seconds until something holds; TimeoutError names what did not."""
    began_s = time.monotonic()
    while not holds():
        if time.monotonic() - began_s > timeout_s:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.05)
    return time.monotonic() - began_s
