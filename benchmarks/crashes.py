"""Nothing is lost: service, database and broker are killed by SIGKILL at random moments while tags publish and alerts go out.

`python -m benchmarks.crashes --kills 100 --seed 1`. At the end every check of `crash_checks` holds, or the run ends with an
AssertionError. A SIGKILL leaves the operating system's cache as it is: what a loss of power would take is not shown here.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from alerts.outbox import Outbox
from benchmarks import crash_checks
from benchmarks.crash_world import Change, World, world
from benchmarks.receiver import SECRET, Receiver, Silent, receiver
from benchmarks.victims import Stand, Victim, stand
from engine import database
from engine.store.fixes import FixStore
from engine.times import DAY_US, SECOND_US, system_clock
from tagwatch import configuration
from tagwatch.channels import notifiers_of
from tagwatch.publish import Published, publish
from tagwatch.running import alongside
from tagwatch.service import Service
from tagwatch.settings import Settings, read_settings

RESEND_S = 3.0
_AT_ONCE = 0.15
"""How often the next one is killed before the last one is back."""
_FAULTS = 0.05


@dataclass
class Report:
    """What a run did and what its checks counted."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    n_together: int = 0
    n_while_starting: int = 0
    seconds: float = 0.0
    killing_s: float = 0.0
    checks_s: float = 0.0
    ready_s: list[float] = field(default_factory=list)
    durability: dict[str, str] = field(default_factory=dict)
    published: Published | None = None
    counts: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Pace:
    """A clock for the tags that goes with the kills: one second a kill, however long it takes to come back from it."""

    def __init__(self, expected_s: float) -> None:
        self._expected_s, self._n, self._since_s = expected_s, 0, time.monotonic()
        self._runs_out = False

    def __call__(self) -> int:
        """The tags' present [us]."""
        passed = (time.monotonic() - self._since_s) / self._expected_s
        return int((self._n + (passed if self._runs_out else min(1.0, passed))) * SECOND_US)

    def count(self) -> None:
        """One more was killed."""
        self._n, self._since_s = self._n + 1, time.monotonic()

    def run_out(self) -> None:
        """There are no more: the rest comes as time goes."""
        self._runs_out = True


class LastLife:
    """The service's last life, in this process, so that the instant of its end is known: the ledger is as of then."""

    def __init__(self, settings: Settings) -> None:
        self._end_us = 2**62
        notifiers = _quiet(settings)
        self.service = Service(settings, self._clock)
        self._threads = alongside(self.service, settings, notifiers, system_clock)
        self._thread = threading.Thread(target=self.service.run, daemon=True)

    def __enter__(self) -> LastLife:
        self._threads.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.service.stopping.set()
        self._thread.join(60.0)
        self._threads.__exit__(*exc)

    def end(self) -> int:
        """Stop the clock, let the service finish, and return the instant [us]."""
        self._end_us = system_clock()
        self.service.stopping.set()
        self._thread.join(60.0)
        assert not self._thread.is_alive(), "the service did not end"
        return self._end_us

    def _clock(self) -> int:
        return min(system_clock(), self._end_us)


def crash_run(
    kills: int, seed: int, n_devices: int, fixes_a_kill: int, batch: int = 1, rest_s: float = 2.5
) -> Report:  # fmt: skip
    """One run; raises AssertionError where something was lost, doubled or changed."""
    report, rng = Report(seed), np.random.default_rng(seed)
    scene = world(seed, n_devices, max(60, kills * fixes_a_kill // n_devices))
    with receiver(seed, _FAULTS) as hook, stand((hook.url, SECRET)) as there:
        report.durability = there.database.durability()
        _import(there, scene.first, scene)
        started_s = time.monotonic()
        there.service.start()
        there.service.wait_ready()
        tags = _Tags(scene, there.broker.url, kills, batch)
        _kill_all(there, hook, tags.pace, scene.changes, kills, rng, rest_s, report)
        report.killing_s = time.monotonic() - started_s
        settings = read_settings(there.settings_file)
        as_of_us = _last_life(there, settings, tags, len(set(crash_checks.identities(scene.fixes))))
        report.seconds, report.published = time.monotonic() - started_s, tags.told
        report.ready_s = there.service.ready_s
        deliver_the_rest(there.database.url, settings)
        _check(report, there, settings, hook, scene, as_of_us)
    return report


class _Tags:
    """`publish` in a thread: it keeps what was not said to be stored, and sends it again."""

    def __init__(self, scene: World, url: str, kills: int, batch: int) -> None:
        self.pace = Pace(4.0)
        self.told: Published | None = None
        self.fault: BaseException | None = None
        self._scene, self._url, self._kills, self._batch = scene, url, kills, batch
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        scene = self._scene
        rate = (len(scene.fixes) + len(scene.events)) / (self._kills + 1)
        try:
            self.told = publish(
                scene.fixes, self._url, rate=rate, batch=self._batch, events=scene.events, clock=self.pace, resend_s=RESEND_S,
                wait_s=120.0,
            )  # fmt: skip
        except BaseException as fault:
            self.fault = fault


def _kill_all(
    there: Stand, hook: Receiver, pace: Pace, changes: list[Change], kills: int, rng: np.random.Generator, rest_s: float,
    report: Report,
) -> None:  # fmt: skip
    victims: list[Victim] = [there.service, there.database, there.broker]
    order = rng.permutation(np.arange(kills) % len(victims))
    due = {int(number) for number in np.linspace(1, kills - 1, len(changes))}
    waiting = list(changes)
    for number, choice in enumerate(order.tolist()):
        victim = victims[choice]
        if not there.service.running:
            report.faults.append(f"the service ended by itself before kill {number + 1}: {there.service.log[-800:]}")
            there.service.start()
        time.sleep(rng.uniform(0.0, rest_s))
        starting = b"event='ready'" not in there.service.log.encode()
        victim.kill()
        pace.count()
        report.kills[victim.name] += 1
        report.n_while_starting += starting
        down = [victim]
        other = victims[(choice + int(rng.integers(1, 3))) % 3]
        if rng.random() < _AT_ONCE:
            other.kill()
            report.kills[other.name] += 1
            down.append(other)
            report.n_together += 1
        if rng.random() < 0.1:
            hook.down(rng.uniform(0.2, 1.5))
        time.sleep(rng.uniform(0.0, 0.8))
        for each in reversed(down):
            each.start()
        if rng.random() < 0.7:
            there.service.wait_ready()
        if number + 1 in due and waiting:
            _import(there, waiting.pop(0))
        if sys.stderr.isatty() or (number + 1) % 10 == 0:
            print(
                f"  {number + 1} of {kills} killed; service ready after {_median(there.service.ready_s):.1f} s",
                file=sys.stderr,
            )
    pace.run_out()


def _import(there: Stand, change: Change, scene: World | None = None) -> None:
    """Import a change as of the moment it holds from; the service takes it up when it next starts."""
    with database.connect(there.database.url) as connection:
        configuration.save(
            connection, change.from_us, zones=change.zones, curfews=change.curfews,
            activations=scene.activations if scene else None,
        )  # fmt: skip


def _last_life(there: Stand, settings: Settings, tags: _Tags, n_wanted: int) -> int:
    """Stop the service cleanly, go on in this process until all is stored, and return the instant of the end."""
    there.service.wait_ready()
    assert there.service.stop() == 0, "the service did not end cleanly"
    with logged_to(there.folder / "last-life.log"), LastLife(settings) as last:
        tags.thread.join(300.0)
        assert tags.fault is None, tags.fault
        assert tags.told is not None, "the tags were not done"
        assert tags.told.unstored == 0, f"{tags.told.unstored} entries were never said to be stored"
        with database.connect(there.database.url) as connection:
            n_stored = FixStore(connection).count()
        assert n_stored == n_wanted, f"all was said to be stored, {n_wanted - n_stored} of {n_wanted} fixes are not"
        return last.end()


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """The structured logs of this process into a file."""
    with path.open("w", encoding="utf-8") as file:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(file), cache_logger_on_first_use=False)
        try:
            yield
        finally:
            structlog.reset_defaults()


def deliver_the_rest(url: str, settings: Settings) -> None:
    """Deliver what waits for another attempt with a clock that runs ahead of the back-off."""
    notifiers = _quiet(settings)
    with database.connect(url) as connection:
        ahead_us = 0
        outbox = Outbox(connection, notifiers, lambda: system_clock() + ahead_us)
        for _ in range(200):
            outbox.deliver_due()
            if outbox.next_due_us() is None:
                return
            ahead_us += DAY_US // 24


def _quiet(settings: Settings) -> dict[str, Any]:
    return {**notifiers_of(settings, system_clock), "terminal": Silent()}


def _check(report: Report, there: Stand, settings: Settings, hook: Receiver, scene: World, as_of_us: int) -> None:
    started_s, url = time.monotonic(), there.database.url
    report.counts |= crash_checks.every_fix_once(url, scene.fixes, scene.events)
    report.counts |= crash_checks.history_is_whole(url, channels=2)
    report.counts |= crash_checks.ledger_as_replayed(url, settings, scene.fixes, as_of_us)
    report.counts |= crash_checks.every_delivery_arrived(url, hook)
    report.counts |= crash_checks.raw_log_is_whole([settings.raw_log.folder], url)
    assert not report.faults, report.faults
    report.checks_s = time.monotonic() - started_s


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else 0.0


def show(report: Report) -> None:
    """The figures of a run, on standard output."""
    n, by = sum(report.kills.values()), ", ".join(f"{name} {count}" for name, count in sorted(report.kills.items()))
    print(f"seed {report.seed}: {n} kills ({by}) in {report.killing_s:.0f} s, {report.seconds:.0f} s until all was stored")
    print(f"  a second one at once {report.n_together}, while the service was starting {report.n_while_starting}")
    print(f"  service ready after {_median(report.ready_s):.1f} s (median of {len(report.ready_s)} starts)")
    print("  database: " + ", ".join(f"{name} {value}" for name, value in report.durability.items()))
    if report.published:
        told = report.published
        print(f"  tags: {told.messages:,} messages, {told.resent:,} sent again, {told.unstored} never said to be stored")
    print("  " + ", ".join(f"{name} {count:,}" for name, count in report.counts.items()))
    print("  every fix once, every alert once, every delivery at least once; the ledger is the replay's, byte for byte")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--devices", type=int, default=60)
    parser.add_argument("--fixes-a-kill", type=int, default=400)
    parser.add_argument("--batch", type=int, default=1, help="At most so many fixes of a tag in a message")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    show(crash_run(given.kills, given.seed, given.devices, given.fixes_a_kill, given.batch))


if __name__ == "__main__":
    main()
