"""Couriers: one thread and one database connection a kind of channel, so that a slow receiver holds up no other kind."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
import structlog

from alerts.delivery import Notifier
from alerts.dispatch import WAKE
from alerts.outbox import OnDelivered, Outbox
from engine import database
from engine.database import Connection
from engine.errors import UnreachableError
from engine.times import SECOND_US, Clock
from tagwatch.channels import LANES
from tagwatch.leadership.lease import named

NO_WAIT = "SET synchronous_commit = off"
"""A mark does not wait for the disk, which the fixes need more. A crash of this process loses none; one of the database server
loses the marks of its last moment, whose deliveries are then repeated under their identifiers."""
IDLE_S = 0.5
"""How long a courier sleeps that nobody wakes and to whom nothing falls due: a notification may be lost with a connection."""
_RETRY_S = 2.0
_LEAVE_S = 15.0

log = structlog.get_logger("tagwatch.couriers")


@contextmanager
def couriers(
    url: str, notifiers: Mapping[str, Notifier], clock: Clock, on_delivered: OnDelivered | None = None, name: str = ""
) -> Iterator[None]:
    """Deliver while the block runs, and then what is still due, so that what was just decided is told. `on_delivered` is
    called in the courier's thread; `name` is the instance's, whose connections whoever takes over ends."""
    stopping = threading.Event()
    threads = [
        threading.Thread(
            target=_serve,
            args=(url, kind, notifier, clock, on_delivered, stopping, name),
            name=f"courier-{kind}",
            daemon=True,
        )
        for kind, notifier in notifiers.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join(_LEAVE_S)


def _serve(
    url: str, kind: str, notifier: Notifier, clock: Clock, on_delivered: OnDelivered | None, stopping: threading.Event,
    name: str,
) -> None:  # fmt: skip
    """Deliver what is due until told to stop, and then once more; without the database wait for it to come back. The notifier
    is closed by who used it last."""
    with ExitStack() as stack:
        stack.callback(_close, notifier)
        while True:
            try:
                with database.connect(url, 5.0, named(name)) as connection:
                    connection.autocommit = True  # a connection in a transaction hears no notification
                    connection.execute(NO_WAIT)
                    connection.execute(f"LISTEN {WAKE}")
                    with closing(Outbox(connection, {kind: notifier}, clock, LANES.get(kind, 1), on_delivered)) as outbox:
                        _deliver(connection, outbox, clock, stopping)
                    return
            except (psycopg.Error, UnreachableError) as fault:
                log.error("courier waits for the database", kind=kind, fault=fault)
            except Exception as fault:  # the edge of the thread: whatever it is, alerts must go on going out
                log.error("courier stumbled and starts again", kind=kind, fault=fault)
            if stopping.wait(_RETRY_S):
                return


def _deliver(connection: Connection, outbox: Outbox, clock: Clock, stopping: threading.Event) -> None:
    while True:
        last = stopping.is_set()
        while outbox.deliver_due() and not stopping.is_set():
            pass
        if last:
            return
        due_us = outbox.next_due_us()
        pause_s = IDLE_S if due_us is None else min(IDLE_S, max(0.01, (due_us - clock()) / SECOND_US))
        _sleep(connection, pause_s, stopping)


def _sleep(connection: Connection, pause_s: float, stopping: threading.Event) -> None:
    """Until woken by a notification, or for the pause at most."""
    if not stopping.is_set():
        for _ in connection.notifies(timeout=pause_s, stop_after=1):
            pass


def _close(notifier: Any) -> None:
    if hasattr(notifier, "close"):
        notifier.close()
