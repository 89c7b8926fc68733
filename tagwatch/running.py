"""Running the service: its couriers, its web page, and a clean end on SIGINT and SIGTERM."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from alerts.delivery import Notifier
from alerts.outbox import OnDelivered
from alerts.terminal import Unseen
from engine import database
from engine.times import Clock, system_clock
from tagwatch.channels import notifiers_of
from tagwatch.console.app import create_app
from tagwatch.console.database import Database
from tagwatch.console.office import Feed, Office
from tagwatch.console.server import serve
from tagwatch.couriers import couriers
from tagwatch.health.examiner import Examiner, examined
from tagwatch.log.setting_up import log_to
from tagwatch.metrics.delivered import Delivered
from tagwatch.metrics.listener import listening
from tagwatch.service import Service
from tagwatch.session import SCHEMAS
from tagwatch.settings import Log, Settings


def run_service(settings: Settings, wait_s: float = 30.0) -> None:
    """Serve until SIGINT or SIGTERM; UnreachableError where broker or database is not there at the start."""
    log_to_stderr(settings)
    notifiers = notifiers_of(settings, system_clock)
    if not settings.log.alerts and not sys.stdout.isatty():  # a journal is no place for names
        notifiers["terminal"] = Unseen()
    service = Service(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: service.stopping.set())
    with database.connect(settings.database.url, wait_s) as connection:
        database.require_schema(connection, SCHEMAS)
        database.require_restored(connection)
    delivered = Delivered()
    with (
        examined(service) as examiner,
        listening(service, examiner, delivered),
        alongside(service, settings, notifiers, system_clock, examiner=examiner, on_delivered=delivered.add),
    ):
        service.run(wait_s)


def log_to_stderr(settings: Settings | None = None) -> None:
    """Structured logs, one line each, to standard error; never positions or names."""
    log = Log() if settings is None else settings.log
    log_to(sys.stderr, log.format, log.level)


@contextmanager
def alongside(
    service: Service, settings: Settings, notifiers: Mapping[str, Notifier], clock: Clock,
    scene: Mapping[str, Any] | None = None, *, examiner: Examiner | None = None, on_delivered: OnDelivered | None = None,
) -> Iterator[str]:  # fmt: skip
    """The couriers of the outbox and the console beside a service; yields the console's address."""
    url = settings.database.url
    office = Office(Database(url), settings, clock, feed=feed_of(service), scene=scene or {}, examiner=examiner)
    with (
        serve(create_app(office), settings.console.port, settings.console.listen) as address,
        couriers(url, notifiers, clock, on_delivered, service.leadership.name),
    ):
        yield address


def feed_of(service: Service) -> Feed:
    """The counts that the page shows."""

    def feed() -> dict[str, Any]:
        counts = service.counts
        return {"messages": counts.messages, "quarantined": counts.quarantined}

    return feed
