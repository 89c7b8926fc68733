"""One tag comes back after two years with a million fixes, in messages up to the packet limit and in single ones, while others
report live: these must not feel it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise

import numpy as np
import psutil

from benchmarks.crash_world import World
from benchmarks.faults.bare_tag import BareTag, in_messages, walk
from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.live_tags import Crowd, Told, live_tags
from benchmarks.faults.stand import Stand
from engine.activations import FOREVER_US, Activation, Activations
from engine.fixes import Fixes
from engine.times import DAY_US, MINUTE_US, system_clock
from ingest.payload_text import fix_texts

N_FIXES, N_QUICK = 1_000_000, 12_000
_EACH = 100
"""Fixes in a message: 16 KB, the packet limit of the embedded broker."""
_SINGLES = 10
"""Of so many fixes one comes in a message of its own at a steady rate, and one as fast as the broker takes it."""
_STEADY = 2000.0
"""Messages a second: ten times what a radio of 300 kbit/s carries."""


class Flood(Fault):
    """The tag sends as fast as the broker takes it over the loopback, which no radio does."""

    name = "backlog of a million fixes"
    how = (
        "one tag sends two years of fixes, 800,000 at once in messages of a hundred, 100,000 singly at 2,000 a second, and"
        " 100,000 singly at once, while 600 others report live"
    )
    times = 1
    setting = Setting(entries_a_try=600, patience_s=600.0)
    peer = False

    def world(self, seed: int, tries: int, quick: bool) -> World:
        """The tag and the others are worn by somebody."""
        made = super().world(seed, tries, quick)
        return with_wearers(made, ["flood", *crowd(0).names], system_clock() - 3 * 365 * DAY_US)

    def prepare(self, stand: Stand) -> None:
        """Whose messages go first can only be chosen among those that the broker hands out."""
        hand_out_all(stand)

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        fixes, lives = _two_years(N_QUICK if stand.quick else N_FIXES), crowd(system_clock())
        with live_tags(lives, stand.broker.url, stand.folder) as live, memory(stand) as mib:
            stand.hold(20.0, 3.0)
            before_mib = max(mib)
            at_s = [time.monotonic(), *_send(stand, fixes)]
            stand.over()
            stand.hold(15.0, 1.0)
            told = live.stop()
        stand.also(fixes)
        stand.also(lives.fixes(0, told.n)[0], lives.events(0, told.n))
        note_latencies(
            stand, told, dict(zip(("hundreds", "steady singles", "singles at once"), pairwise(at_s), strict=True))
        )
        stand.note("backlog: fixes a second", round(len(fixes) / (at_s[-1] - at_s[0])))
        stand.note("memory: MiB more", round(max(mib) - before_mib))


def crowd(start_us: int) -> Crowd:
    """Those who report live meanwhile: 600 tags, ten seconds apart, and now and then a strap."""
    return Crowd(600, 60.0, start_us, strap_every=61)


def _two_years(n: int) -> Fixes:
    until_us = system_clock() // MINUTE_US * MINUTE_US - 60 * MINUTE_US
    return walk("flood", until_us - np.arange(n, 0, -1) * MINUTE_US)


def _send(stand: Stand, fixes: Fixes) -> list[float]:
    """Returns when the end of each part was said to be stored [s, monotonic]."""
    n, n_single = len(fixes), len(fixes) // _SINGLES
    texts, tag, ends = fix_texts(fixes, np.arange(1, n + 1)), BareTag(stand.broker.url, "flood"), []
    for first, stop, n_each, rate in (
        (0, n - 2 * n_single, _EACH, None), (n - 2 * n_single, n - n_single, 1, _STEADY), (n - n_single, n, 1, None)
    ):  # fmt: skip
        tag.send(in_messages(texts[first:stop], n_each), rate=rate)
        tag.wait_stored(stop, 900.0)
        ends.append(time.monotonic())
    tag.close()
    return ends


def note_latencies(stand: Stand, told: Told, spans: dict[str, tuple[float, float]]) -> None:
    """The live tags' latencies before, in these spans and after them; every message must have been said to be stored."""
    assert told.n_untold == 0, f"of {told.n_untold} live messages nobody said that they are stored"
    began_s, ended_s = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
    for when, span in {"before": (-np.inf, began_s), **spans, "after": (ended_s, np.inf)}.items():
        for name, value in told.figures(*span).items():
            stand.note(f"live, {when}: {name}", value)
    stand.note("straps, during: p99_ms", told.figures(began_s, ended_s, straps=True).get("p99_ms", 0.0))


def with_wearers(made: World, devices: Sequence[str], from_us: int) -> World:
    """The same world, with somebody for each of these devices too."""
    rows = [Activation(name, f"of-{name}", from_us, FOREVER_US, 0.95, 60, 600, 300) for name in devices]
    return made._replace(activations=Activations([*made.activations.rows, *rows]))


def hand_out_all(stand: Stand) -> None:
    """Have the broker hand out up to 65,535 messages at a time: whose go first is chosen among those."""
    conf = stand.folder / "broker" / "mosquitto.conf"
    stand.broker.stop()
    conf.write_text(conf.read_text("utf-8").replace("max_inflight_messages 2000", "max_inflight_messages 0"), "utf-8")
    stand.start(stand.broker)


@contextmanager
def memory(stand: Stand) -> Iterator[list[float]]:
    """The service's resident memory [MiB], sampled five times a second while the block runs."""
    process, ended = psutil.Process(stand.service.pid), threading.Event()
    samples = [process.memory_info().rss / 2**20]

    def sample() -> None:
        while not ended.wait(0.2):
            with suppress(psutil.NoSuchProcess):
                samples.append(process.memory_info().rss / 2**20)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


FAULTS = [Flood()]
