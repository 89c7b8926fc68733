"""Fifty thousand tags come back at once, each with ten fixes to tell, in the moment in which the service is started again."""

from __future__ import annotations

import multiprocessing
import resource
import select
import socket
import time
from typing import Any, NamedTuple

import numpy as np
import psutil

from benchmarks.crash_world import World
from benchmarks.faults.backlog import memory, note_latencies, with_wearers
from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.live_tags import Crowd, live_tags, wait_for
from benchmarks.faults.stand import Stand
from engine.times import DAY_US, MINUTE_US, system_clock
from ingest import mqtt_wire as wire
from ingest.broker_url import parse_url
from ingest.payload_text import fix_texts

N_TAGS, N_QUICK, N_EACH = 50_000, 1_200, 10
N_PROCESSES = 4
_FREE_FILES = 1_000
"""Of the broker's open files so many are for others."""
_SPAWN = multiprocessing.get_context("spawn")


class Shared(NamedTuple):
    """How many connections are made, how many tags were told that all of theirs is stored, and the start."""

    connected: Any
    told: Any
    go: Any


class Reconnect(Fault):
    """A mobile network that was away for ten minutes comes back."""

    name = "50,000 tags reconnect at once"
    how = (
        "50,000 tags connect, subscribe to `stored` and send ten fixes each, as fast as the machine connects them, while the"
        " service is killed and started; 300 others report live"
    )
    times = 1
    setting = Setting(entries_a_try=600, patience_s=600.0)
    peer = False

    def world(self, seed: int, tries: int, quick: bool) -> World:
        """All are worn by somebody."""
        names = [*away(n_tags(quick), 0).names, *crowd(0).names]
        return with_wearers(super().world(seed, tries, quick), names, system_clock() - 30 * DAY_US)

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        n, lives = n_tags(stand.quick), crowd(system_clock())
        back = away(n, system_clock() - (N_EACH + 1) * MINUTE_US)
        with live_tags(lives, stand.broker.url, stand.folder) as live:
            with _Tags(back, stand.broker.url) as tags:
                stand.hold(10.0, 2.0)
                began_s = time.monotonic()
                stand.service.kill()
                stand.start(stand.service)
                tags.go()
                with memory(stand) as mib:
                    tags.wait_connected(300.0)
                    connected_s = time.monotonic() - began_s
                    stand.over()
                    stand.service.wait_ready(300.0)  # type: ignore[attr-defined]
                    ready_s = time.monotonic() - began_s
                    tags.wait_told(900.0)
                ended_s = time.monotonic()
                stand.note("broker: MiB", round(psutil.Process(stand.broker.pid).memory_info().rss / 2**20))
            stand.hold(10.0, 1.0)
            told = live.stop()
        stand.also(back.fixes(0, n * N_EACH)[0])
        stand.also(lives.fixes(0, told.n)[0], lives.events(0, told.n))
        note_latencies(stand, told, {"until ready": (began_s, began_s + ready_s), "ready": (began_s + ready_s, ended_s)})
        stand.note("tags", n)
        stand.note("sockets", tags.n_sockets)
        stand.note("seconds until connected", round(connected_s, 1))
        stand.note("seconds until ready", round(ready_s, 1))
        stand.note("seconds until all were told", round(ended_s - began_s, 1))
        stand.note("service: MiB", round(max(mib)))


def n_tags(quick: bool) -> int:
    """How many come back."""
    return N_QUICK if quick else N_TAGS


def away(n: int, start_us: int) -> Crowd:
    """Those who were away: a fix a minute each."""
    return Crowd(n, n / 60.0, start_us, prefix="away")


def crowd(start_us: int) -> Crowd:
    """Those who report live meanwhile."""
    return Crowd(300, 30.0, start_us, strap_every=31)


class _Tags:
    """The processes of the tags that come back. A broker may have so many open files only: of more tags some share one."""

    def __init__(self, back: Crowd, url: str) -> None:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._n, self.n_sockets = back.n_tags, min(back.n_tags, limit - _FREE_FILES)
        self._shared = [Shared(_SPAWN.Value("q", 0), _SPAWN.Value("q", 0), _SPAWN.Event()) for _ in range(N_PROCESSES)]
        cuts = np.array_split(np.arange(back.n_tags), N_PROCESSES)
        self._processes = [
            _SPAWN.Process(
                target=_connect_all,
                args=(back, cut, self.n_sockets // N_PROCESSES, url, f"127.0.0.{2 + k}", shared),
                daemon=True,
            )
            for k, (cut, shared) in enumerate(zip(cuts, self._shared, strict=True))
        ]

    def __enter__(self) -> _Tags:
        for process in self._processes:
            process.start()
        wait_for(lambda: all(s.connected.value == -1 for s in self._shared), 120.0, "the tags' processes")
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join(10)

    def go(self) -> None:
        """All connect now."""
        for shared in self._shared:
            shared.go.set()

    def wait_connected(self, timeout_s: float) -> None:
        """Until every connection is made and everything sent."""
        n = self.n_sockets // N_PROCESSES
        wait_for(lambda: all(s.connected.value >= n for s in self._shared), timeout_s, "the connections")

    def wait_told(self, timeout_s: float) -> None:
        """Until every tag was told that its fixes are stored."""
        wait_for(lambda: sum(s.told.value for s in self._shared) >= self._n, timeout_s, "the stored notices")


def _connect_all(back: Crowd, tags: Any, n_sockets: int, url: str, source: str, shared: Shared) -> None:
    payloads, where = _payloads(back, tags), parse_url(url)
    links: dict[int, tuple[socket.socket, wire.Reader]] = {}
    poll, told = select.epoll(), set[str]()
    shared.connected.value = -1
    shared.go.wait()
    shared.connected.value = 0
    for number, mine in enumerate(np.array_split(tags, n_sockets)):
        link = socket.create_connection((where.host, where.port), 60.0, (source, 0))
        names = [back.name_of(tag) for tag in mine.tolist()]
        packets = [
            wire.connect("3.1.1", f"{names[0]}", 600),
            wire.subscribe("3.1.1", 1, [f"tags/{n}/stored" for n in names]),
        ]
        packets += [wire.publish("3.1.1", f"tags/{n}/fixes", payloads[n], 2 + k) for k, n in enumerate(names)]
        link.sendall(b"".join(packets))
        link.setblocking(False)
        links[link.fileno()] = link, wire.Reader("3.1.1", 0)
        poll.register(link.fileno(), select.EPOLLIN)
        shared.connected.value = number + 1
        if number % 100 == 0:
            _hear(poll, links, told, shared, 0.0)
    while True:
        _hear(poll, links, told, shared, 0.2)


def _hear(poll: Any, links: Any, told: set[str], shared: Shared, wait_s: float) -> None:
    for fileno, _ in poll.poll(wait_s):
        link, reader = links[fileno]
        data = link.recv(1 << 16)
        if not data:
            poll.unregister(fileno)  # the broker has closed it: then this tag is never told, and the run says so
            continue
        told.update(message.topic for message in reader.read(data, 0)[0])
    shared.told.value = len(told)


def _payloads(back: Crowd, tags: Any) -> dict[str, bytes]:
    """Of each tag its ten fixes in one message, numbered from 1."""
    fixes, numbers = back.fixes(0, back.n_tags * N_EACH)
    rows = np.flatnonzero(np.isin(fixes.device, tags))
    rows = rows[np.argsort(fixes.device[rows], kind="stable")]
    texts = fix_texts(fixes.take(rows), numbers[rows] // back.n_tags + 1)
    return {
        back.name_of(tag): b"[" + b",".join(texts[k * N_EACH : (k + 1) * N_EACH]) + b"]"
        for k, tag in enumerate(tags.tolist())
    }


FAULTS = [Reconnect()]
