"""What a broker's PUBACK is worth: how many acknowledged messages a killed Mosquitto loses, with and without `stored`.

`python -m benchmarks.puback --seed 1`. Mosquitto's persistence is on, with its own autosave of 1,800 s; nothing else is killed.
Exit code 1 where tags that wait for `stored` have lost something.
"""

from __future__ import annotations

import argparse
import sys
import threading
from typing import NamedTuple

import numpy as np

from benchmarks.crash_checks import identities
from benchmarks.crash_world import world
from benchmarks.victims import Stand, stand, until
from engine import database
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from tagwatch.publish import Published, publish

_N_DEVICES, _N_EACH = 50, 200
_RATE = 2_000.0


class Lost(NamedTuple):
    """Messages (one fix each) that the broker acknowledged, how many of their fixes are not stored, and how they came."""

    service: str
    awaits_stored: bool
    n_sent: int
    n_lost: int
    n_kills: int


def losses(seed: int) -> list[Lost]:
    """The service at work and the broker killed five times; the service away and the broker killed once. Each with tags
    that trust the PUBACK, and with tags that wait for `stored`."""
    rng = np.random.default_rng(seed)
    cases = [(at_work, awaits) for at_work in (True, False) for awaits in (False, True)]
    return [_case(int(rng.integers(2**31)), at_work, awaits) for at_work, awaits in cases]


def _case(seed: int, at_work: bool, awaits: bool) -> Lost:
    fixes = world(seed, _N_DEVICES, _N_EACH, 1).fixes
    wanted = set(identities(fixes))
    with stand() as there:
        there.service.start()
        there.service.wait_ready()
        until(lambda: _subscribed(there), 30.0, "the service's session")
        n_kills = (_at_work if at_work else _away)(there, fixes, awaits, np.random.default_rng(seed))
        there.service.stop()  # it takes what the broker still has
        with database.connect(there.database.url) as connection:
            stored = set(identities(FixStore(connection).read()))
    return Lost("at work" if at_work else "away", awaits, len(fixes), len(wanted - stored), n_kills)


def _at_work(there: Stand, fixes: Fixes, awaits: bool, rng: np.random.Generator) -> int:
    told = _Publishing(fixes, there.broker.url, awaits)
    for pause_s in rng.uniform(0.4, 1.2, n := 5):
        told.thread.join(float(pause_s))
        there.broker.kill()
        there.broker.start()
    told.result()
    _quiet(there)
    return n


def _away(there: Stand, fixes: Fixes, awaits: bool, _rng: np.random.Generator) -> int:
    there.service.stop()
    told = _Publishing(fixes, there.broker.url, awaits)
    told.thread.join(len(fixes) / _RATE + 2.0)  # all are acknowledged by now, and lie in the broker
    there.broker.kill()
    there.broker.start()
    there.service.start()
    there.service.wait_ready()
    told.result()
    _quiet(there)
    return 1


class _Publishing:
    """A run of `publish` in a thread."""

    def __init__(self, fixes: Fixes, url: str, awaits: bool) -> None:
        self._told: Published | None = None
        self._arguments = fixes, url, awaits
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        fixes, url, awaits = self._arguments
        self._told = publish(fixes, url, rate=_RATE, resend_s=2.0, wait_s=60.0, await_stored=awaits)

    def result(self) -> Published:
        """What it told; every message was acknowledged by the broker."""
        self.thread.join(180.0)
        assert self._told is not None, "the tags were not done"
        assert self._told.unacknowledged == 0
        assert self._told.unstored == 0
        return self._told


def _quiet(there: Stand) -> None:
    """Return when the number of stored fixes has not changed for two seconds."""
    counts: list[int] = []
    with database.connect(there.database.url) as connection:
        connection.autocommit = True
        store = FixStore(connection)

        def still() -> bool:
            counts.append(store.count())
            threading.Event().wait(0.1)
            return len(counts) > 20 and counts[-1] == counts[-20]

        until(still, 60.0, "the service's rest")


def _subscribed(there: Stand) -> bool:
    """Whether what is published reaches the database: a probe does."""
    import paho.mqtt.publish as paho

    probe = b'{"time": "2026-03-01T00:00:00Z", "lat": 53.2, "lon": -0.5, "seq": 1}'
    paho.single("tags/probe/fixes", probe, 1, hostname="127.0.0.1", port=there.broker.port)
    threading.Event().wait(0.3)
    with database.connect(there.database.url) as connection:
        return FixStore(connection).count() > 0


def show(found: list[Lost]) -> None:
    """A small table on standard output."""
    print(f"{'service':<8} {'tags wait for':<14} {'broker killed':>13} {'acknowledged':>12} {'lost':>7}")
    for row in found:
        waits = "stored" if row.awaits_stored else "PUBACK"
        print(f"{row.service:<8} {waits:<14} {row.n_kills:>13} {row.n_sent:>12,} {row.n_lost:>7,}")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    found = losses(parser.parse_args().seed)
    show(found)
    sys.exit(1 if any(row.n_lost for row in found if row.awaits_stored) else 0)


if __name__ == "__main__":
    main()
