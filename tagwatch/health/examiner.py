"""The examiner: a thread beside the service that looks at every part of it once a second, and tells who wants to know."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
import structlog

from engine import database
from tagwatch import systemd
from tagwatch.health import vital
from tagwatch.health.clock_watch import ClockWatch
from tagwatch.health.part import Part

if TYPE_CHECKING:
    from tagwatch.service import Service

EVERY_S = 1.0
STALE_S = 5.0
"""Findings older than this are none: the examiner itself is held up, by a database that does not answer for example."""
OPTIONS = "-c statement_timeout=2000 -c lock_timeout=1000"
_HAS_TABLES = "SELECT to_regclass('alert_version') IS NOT NULL AND to_regclass('audit_entry') IS NOT NULL"

log: Any = structlog.get_logger("tagwatch.health")


class Examiner:
    """Health of a service. `live` and `ready` may be asked from any thread; they never wait for anything."""

    def __init__(self, service: Service) -> None:
        self._service, settings = service, service.settings
        self._bounds, self._url, self._folder = settings.health, settings.database.url, settings.raw_log.folder
        tags = service.counts.tags
        self.clock = ClockWatch(service.clock, settings.clock.servers, settings.clock.bound_s, lambda: tags.behind_s)
        self._database = Part("database", False, 0.0, "not looked at yet")
        self._slow: list[Part] = []
        self._looked_s = time.monotonic()
        self._connection: database.Connection | None = None
        self._stopping = threading.Event()
        self._told: frozenset[str] | None = None
        self._is_ready_told = False
        self._pinged_s = 0.0
        self._was_live = True

    def live(self) -> list[Part]:
        """Whether the service does anything at all; where it does not, it is to be started again."""
        return [vital.loop(self._service, self._bounds)]

    def ready(self) -> list[Part]:
        """Whether everything that the service needs is there and it keeps up."""
        service, bounds = self._service, self._bounds
        looked_s = time.monotonic() - self._looked_s
        found = self._database
        if looked_s > STALE_S:
            found = Part("database", False, looked_s, f"no answer for {looked_s:.0f} s")
        return [*self.live(), vital.session(service), found, vital.broker(service), vital.backlog(service, bounds),
                *self._slow, self.clock.part()]  # fmt: skip

    def run(self) -> None:
        """Look once a second until stopped."""
        while not self._stopping.is_set():
            self._look()
            self._tell()
            self._stopping.wait(EVERY_S)
        self._let_go()

    def stop(self) -> None:
        """Let `run` end."""
        self._stopping.set()

    def _look(self) -> None:
        self._slow = [vital.raw_log(self._folder), vital.disk(self._folder, self._bounds)]
        try:
            self._database = self._look_at_database()
        except psycopg.Error:
            self._let_go()
            self._database = Part("database", False, 0.0, "the database does not answer")
            self.clock.look(None)
        self._looked_s = time.monotonic()

    def _look_at_database(self) -> Part:
        began_s = time.monotonic()
        if self._connection is None:
            self._connection = database.connect_to_watch(self._url, "health", OPTIONS)
        row = self._connection.execute(_HAS_TABLES).fetchone()
        took_s = time.monotonic() - began_s
        self.clock.look(self._connection)
        if not row or not row[0]:
            return Part("database", False, took_s, "the database has no tables yet: tagwatch db init")
        return Part("database", True, took_s, f"answered in {1000 * took_s:.0f} ms")

    def _let_go(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _tell(self) -> None:
        """Log what changed, and tell systemd."""
        parts = self.ready()
        unwell = frozenset(part.name for part in parts if not part.is_well)
        if self._told is not None and not self._service.stopping.is_set():
            for name in sorted(unwell - self._told):
                log.error("not ready", part=name)
            if self._told and not unwell:
                log.info("ready again")
        if self._service.ready.is_set() or self._told is not None:  # of the start nothing is told until it is over
            self._told = unwell
        is_live = all(part.is_well for part in self.live())
        if not is_live and self._was_live:
            log.critical("the service hangs")
        self._was_live = is_live
        self._tell_systemd(parts, is_live)

    def _tell_systemd(self, parts: list[Part], is_live: bool) -> None:
        lines = []
        if (self._service.ready.is_set() or self._service.standing_by.is_set()) and not self._is_ready_told:
            self._is_ready_told = True
            lines.append("READY=1")
        elif not self._is_ready_told:
            lines.append("EXTEND_TIMEOUT_USEC=60000000")  # kernels may be compiled, and years of alerts taken up
        wait_s = systemd.watchdog_s()
        if wait_s is not None and is_live and time.monotonic() - self._pinged_s >= wait_s / 4:
            self._pinged_s = time.monotonic()
            lines.append("WATCHDOG=1")
        if lines:
            unwell = [part.name for part in parts if not part.is_well]
            systemd.notify(*lines, f"STATUS={'not ready: ' + ', '.join(unwell) if unwell else 'ready'}")


@contextmanager
def examined(service: Service) -> Iterator[Examiner]:
    """An examiner at work while the block runs."""
    examiner = Examiner(service)
    threads = [
        threading.Thread(target=examiner.run, name="examiner", daemon=True),
        threading.Thread(target=_ask_ntp, args=(examiner.clock, examiner._stopping), name="ntp", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield examiner
    finally:
        systemd.notify("STOPPING=1")
        examiner.stop()
        threads[0].join(STALE_S)


def _ask_ntp(clock: ClockWatch, stopping: threading.Event) -> None:
    while not stopping.wait(EVERY_S):
        clock.ask_ntp()
