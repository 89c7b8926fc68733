"""A live run: broker, database, tags and service in processes of their own on this machine, and what each of them took."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

import tagwatch.session
from benchmarks.load import Load, send_all
from benchmarks.scenes import Scene
from benchmarks.servers import broker, empty
from engine import database
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from tagwatch import configuration

_SPAWN = multiprocessing.get_context("spawn")
_WAIT_S = 200.0


class Shared(NamedTuple):
    """What the processes of a run have in common: when the tags begin, how far they and the service are, and the end."""

    ready: Any
    go: Any
    stop: Any
    sent: Any
    done: Any
    began_s: Any
    report: Any


class Place(NamedTuple):
    """Where a service finds what it needs, and the times of the messages, which are its clock."""

    broker: str
    database: str
    folder: Path
    scene: Scene
    time_us: Any
    seconds: float
    upload_s: int  # the clock is that of the tags, which may be two uploads ahead of what the service has read

    def clock(self, shared: Shared) -> Callable[[], int]:
        """The time of the newest fix that was sent: the town's time runs as fast as its fixes come."""
        times, sent = self.time_us, shared.sent
        return lambda: int(times[max(sent.value - 1, 0)])


class Run(NamedTuple):
    """Seconds from the first message to the last acknowledgement, processor seconds by process, and the service's report."""

    seconds: float
    began_s: float
    processor: dict[str, float]
    report: dict[str, Any]

    def shares(self) -> str:
        """Processor seconds by process, as text."""
        return ", ".join(f"{name} {spent:.1f} s" for name, spent in self.processor.items())


Serve = Callable[[Place, Shared], None]
"""Serves until `stop`: sets `ready`, counts acknowledged messages in `done`, puts a dict into `report`."""


def run(
    load: Load, scene: Scene, url: str, folder: Path, serve: Serve, window: int = 2000, rate: float | None = None,
    guess: float = 4000.0, before: Fixes | None = None,
) -> Run:  # fmt: skip
    """Send a load to a service on a fresh broker and an empty database; RuntimeError unless every fix was stored once.

    Fixes of the time `before` are stored when the service starts, so that no state begins with the first message.
    Without a `rate` as fast as the service takes it; `guess` is how many messages a second that may be.
    """
    empty(url)
    folder.mkdir()
    with database.connect(url) as connection:
        configuration.save(connection, int(load.time_us[0]), zones=scene.zones, curfews=scene.curfews)
        if before is not None:
            FixStore(connection).write(before)
    shared = Shared(*(_SPAWN.Event() for _ in range(3)), _SPAWN.Value("q", 0, lock=False), _SPAWN.Value("q", 0, lock=False),
                    _SPAWN.Value("d", 0.0, lock=False), _SPAWN.Queue())  # fmt: skip
    with broker(folder) as (address, _), _process(_tags, load, address, window, rate, shared):
        place = Place(address, url, folder, scene, load.time_us, load.n / (rate or guess),
                      max(600, 240 * load.n_fixes))  # fmt: skip
        with _process(serve, place, shared):
            if not shared.ready.wait(_WAIT_S):
                raise TimeoutError("the service did not get ready")
            at_start = _processor(url)
            shared.go.set()
            seconds = _until_done(shared, load.n)
            after = _processor(url)
            shared.stop.set()
            reports = dict(shared.report.get(timeout=_WAIT_S) for _ in range(2))
    _check(url, load.n * load.n_fixes + (0 if before is None else len(before)))
    spent = {name: after[name] - at_start[name] for name in after}
    spent = {"service": reports["service"].pop("processor"), "tags": reports["tags"]["processor"], **spent}
    return Run(seconds, shared.began_s.value, spent, reports["service"])


def _tags(load: Load, address: str, window: int, rate: float | None, shared: Shared) -> None:
    shared.report.put(("tags", send_all(load, address, window, rate, shared)))


@contextmanager
def _process(target: Callable[..., None], *arguments: Any) -> Iterator[None]:
    process = _SPAWN.Process(target=target, args=arguments)
    process.start()
    try:
        yield
    finally:
        process.join(30)
        if process.is_alive():
            process.terminate()


def _until_done(shared: Shared, n: int) -> float:
    give_up_s = time.monotonic() + _WAIT_S
    while shared.done.value < n:
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"{shared.done.value} of {n} messages were acknowledged after {_WAIT_S:.0f} s")
        time.sleep(0.005)
    return float(time.monotonic() - shared.began_s.value)


def _processor(url: str) -> dict[str, float]:
    """Processor seconds so far of our broker and of the database's processes."""
    with database.connect(url) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        postmaster = psutil.Process(int(row[0]) if row else 0).parent()
        servers = [postmaster, *postmaster.children()] if postmaster else []
        brokers = [p for p in psutil.Process().children() if p.name() == "mosquitto"]
        return {"broker": _spent(brokers), "database": _spent(servers)}


def _spent(processes: Iterable[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def _check(url: str, n_fixes: int) -> None:
    with database.connect(url) as connection:
        stored = FixStore(connection).count()
    if stored != n_fixes:
        raise RuntimeError(f"{stored} of {n_fixes} fixes stored: these seconds would say nothing")


def refresh_as_often_as(place: Place) -> None:
    """What the service does once a second it does once a second here too, though the town's clock runs faster."""
    town_us = int(place.time_us[-1] - place.time_us[0])
    tagwatch.session.REFRESH_US = max(1_000_000, int(town_us / place.seconds))


class Stopwatch:
    """Processor seconds of this process from the moment when it was ready to the moment when the run was over."""

    def __init__(self, shared: Shared) -> None:
        self._shared, self._began_s, self.spent_s = shared, 0.0, 0.0

    def ready(self) -> None:
        """The run may begin: what the start took does not count."""
        self._began_s = time.process_time()
        self._shared.ready.set()

    def stop_with(self, stopping: threading.Event) -> None:
        """Set a service's own event when the run is over."""
        threading.Thread(target=self._wait, args=(stopping,), daemon=True).start()

    def _wait(self, stopping: threading.Event) -> None:
        self._shared.stop.wait()
        self.spent_s = time.process_time() - self._began_s
        stopping.set()
