"""Running the service: its threads, its outbox, its web page, and a clean end on SIGINT and SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog

from alerts.notifiers import Notifier, TerminalNotifier, WebhookNotifier
from alerts.outbox import Outbox
from engine import database
from engine.errors import UnreachableError
from engine.times import SECOND_US, Clock, system_clock
from tagwatch.console.app import Feed, Near, create_app
from tagwatch.console.server import serve
from tagwatch.service import Service
from tagwatch.settings import Settings

log = structlog.get_logger("tagwatch.running")


def run_service(settings: Settings, wait_s: float = 30.0) -> None:
    """Serve until SIGINT or SIGTERM; UnreachableError where broker or database is not there at the start."""
    log_to_stderr()
    notifiers = notifiers_of(settings, system_clock)
    service = Service(settings, channels=tuple(notifiers))
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


def notifiers_of(settings: Settings, clock: Clock) -> dict[str, Notifier]:
    """The channels that the settings ask for: always the terminal, the webhook where it has an address."""
    notifiers: dict[str, Notifier] = {"terminal": TerminalNotifier(sys.stdout, clock)}
    if settings.webhook.url:
        notifiers["webhook"] = WebhookNotifier(settings.webhook.url, settings.webhook.secret)
    return notifiers


@contextmanager
def alongside(
    service: Service, settings: Settings, notifiers: Mapping[str, Notifier], clock: Clock,
    scene: Mapping[str, Any] | None = None, near: Near | None = None,
) -> Iterator[str]:  # fmt: skip
    """The outbox and the web page beside a service; yields the page's address."""
    url = settings.database.url
    stopping = threading.Event()
    worker = threading.Thread(target=_deliver, args=(url, notifiers, clock, stopping), name="outbox", daemon=True)
    app = create_app(url, feed_of(service), clock, scene, near)
    with serve(app, settings.console.port) as address:
        worker.start()
        try:
            yield address
        finally:
            stopping.set()
            worker.join(15.0)


def feed_of(service: Service) -> Feed:
    """The counts that the page shows."""

    def feed() -> dict[str, Any]:
        counts = service.counts
        return {"messages": counts.messages, "quarantined": counts.quarantined}

    return feed


def _deliver(url: str, notifiers: Mapping[str, Notifier], clock: Callable[[], int], stopping: threading.Event) -> None:
    """Deliver what is due until told to stop, and then once more, so that what was just decided is told."""
    while True:
        try:
            with database.connect(url, 5.0) as connection:
                outbox = Outbox(connection, notifiers, clock)
                while True:
                    last = stopping.is_set()
                    outbox.deliver_due()
                    if last:
                        return
                    stopping.wait(_pause_s(outbox, clock))
        except (psycopg.Error, UnreachableError) as fault:
            log.error("outbox waits for the database", error=type(fault).__name__)
            if stopping.wait(2.0):
                return


def _pause_s(outbox: Outbox, clock: Callable[[], int]) -> float:
    due = outbox.next_due_us()
    return 0.2 if due is None else min(0.2, max(0.01, (due - clock()) / SECOND_US))
