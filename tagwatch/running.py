"""Running the service: its couriers, its web page, and a clean end on SIGINT and SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from alerts.delivery import Notifier
from engine import database
from engine.times import Clock, system_clock
from tagwatch.channels import notifiers_of
from tagwatch.console.app import create_app
from tagwatch.console.database import Database
from tagwatch.console.office import Feed, Office
from tagwatch.console.server import serve
from tagwatch.couriers import couriers
from tagwatch.service import Service
from tagwatch.settings import Settings


def run_service(settings: Settings, wait_s: float = 30.0) -> None:
    """Serve until SIGINT or SIGTERM; UnreachableError where broker or database is not there at the start."""
    log_to_stderr()
    notifiers = notifiers_of(settings, system_clock)
    service = Service(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: service.stopping.set())
    database.connect(settings.database.url, wait_s).close()
    with alongside(service, settings, notifiers, system_clock):
        service.run(wait_s)


def log_to_stderr() -> None:
    """Structured logs, one line each, to standard error; never positions or names."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )  # fmt: skip
    logging.getLogger("httpx").setLevel(logging.WARNING)


@contextmanager
def alongside(
    service: Service, settings: Settings, notifiers: Mapping[str, Notifier], clock: Clock,
    scene: Mapping[str, Any] | None = None,
) -> Iterator[str]:  # fmt: skip
    """The couriers of the outbox and the console beside a service; yields the console's address."""
    url = settings.database.url
    office = Office(Database(url), settings, clock, feed=feed_of(service), scene=scene or {})
    with serve(create_app(office), settings.console.port) as address, couriers(url, notifiers, clock):
        yield address


def feed_of(service: Service) -> Feed:
    """The counts that the page shows."""

    def feed() -> dict[str, Any]:
        counts = service.counts
        return {"messages": counts.messages, "quarantined": counts.quarantined}

    return feed
