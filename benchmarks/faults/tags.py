"""The tags of a stand: `tagwatch publish` in a thread, at a pace that goes with the tries, and what was sent so far."""

from __future__ import annotations

import threading

import numpy as np

from benchmarks.crash_checks import identities
from benchmarks.crash_world import World
from benchmarks.crashes import Pace
from benchmarks.faults.network import Network
from tagwatch.publish import Published, publish


class Tags:
    """They keep what was not said to be stored and send it again; against a naive service the broker's word is enough."""

    def __init__(
        self, world: World, url: str, network: Network, *, tries: int, slice_s: float, batch: int, resend_s: float,
        await_stored: bool,
    ) -> None:  # fmt: skip
        self.pace = Pace(slice_s)
        self.told: Published | None = None
        self.n_sent = 0
        self.n_all = len(world.fixes) + len(world.events)
        self._fault: BaseException | None = None
        self._different = _different(world)
        self._given = (world, url, batch, resend_s, await_stored, self.n_all / (tries + 1))
        self._network = network
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def n_different(self) -> int:
        """How many fixes and events of those sent so far are not repeats."""
        return int(self._different[min(self.n_sent, self.n_all)])

    def finish(self, timeout_s: float) -> Published:
        """What there is left is sent as time goes; returns when all is said to be stored."""
        self.pace.run_out()
        self._thread.join(timeout_s)
        if self._fault is not None:
            raise self._fault
        assert self.told is not None, f"the tags were not done within {timeout_s:g} s"
        return self.told

    def _run(self) -> None:
        world, url, batch, resend_s, await_stored, rate = self._given

        def count(n: int) -> None:
            self.n_sent = n

        try:
            with self._network.within("tags"):
                self.told = publish(
                    world.fixes, url, rate=rate, batch=batch, events=world.events, clock=self.pace, resend_s=resend_s,
                    wait_s=120.0, await_stored=await_stored, on_progress=count,
                )  # fmt: skip
        except BaseException as fault:
            self._fault = fault


def _different(world: World) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """By how many entries were sent, in the order in which `publish` sends them: how many of them were different."""
    received_s = [*world.fixes.received_s.tolist(), *(e.received_s or e.time_us // 1_000_000 for e in world.events)]
    keys = [*identities(world.fixes), *((e.device, e.time_us, e.kind, e.value) for e in world.events)]
    order = np.argsort(np.array(received_s), kind="stable").tolist()
    known: set[object] = set()
    first = np.zeros(len(order) + 1, np.int64)
    for place, index in enumerate(order, start=1):
        first[place] = keys[index] not in known
        known.add(keys[index])
    return np.cumsum(first)
