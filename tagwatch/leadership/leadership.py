"""Whether this instance leads: a thread that keeps the lease while it does, and otherwise watches who has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import structlog

from engine import database
from engine.errors import TagwatchError
from tagwatch.leadership import lease

RENEW_S = 1.0
LOOK_S = 0.25
LEASE_S = 4.0
"""A leader that has not renewed for so long, by the clock of whoever watches it, is taken to be gone, also by itself."""
PATIENCE_S = 1.5
"""How much longer who does not reach the broker waits for others to take over."""
SPARED_S = 1.0
"""For how long the lease must have been without its connection before another instance takes over: a database that was started
again has ended everybody's, and who led may as well go on."""
OPTIONS = "-c statement_timeout=3000 -c lock_timeout=1500"

log: Any = structlog.get_logger("tagwatch.leadership")


class DeposedError(TagwatchError):
    """Another instance leads: what this one wanted to write is not written."""


class Leadership:
    """One instance's part. `leads` is set while it leads as far as it knows; `require` makes sure in a transaction.

    `reaches_broker` tells whether the broker can be reached, `is_alive` whether the service's loop is: who hangs lets go.
    """

    def __init__(
        self, url: str, name: str, reaches_broker: Callable[[], bool], is_alive: Callable[[], bool] = lambda: True
    ) -> None:
        self.name, self.leads = name, threading.Event()
        self._url, self._reaches_broker, self._is_alive = url, reaches_broker, is_alive
        self._term: int | None = None
        self._renewed_s = -LEASE_S
        self._seen: lease.Seen | None = None
        self._changed_s = self._left_s = 0.0
        self._cut_s: float | None = None
        self._connection: database.Connection | None = None
        self._stopping, self._called = threading.Event(), ""

    @property
    def is_sure(self) -> bool:
        """Whether nobody else can lead yet: we have renewed within LEASE_S, by our own clock."""
        return self.leads.is_set() and time.monotonic() - self._renewed_s < LEASE_S

    @property
    def leader(self) -> str:
        """Who leads, as far as is known."""
        return self.name if self.leads.is_set() else self._seen.name if self._seen else ""

    @property
    def term(self) -> int:
        """The term that we lead in; 0 where we do not."""
        return self._term or 0

    def require(self, connection: database.Connection) -> None:
        """To be called in each transaction that writes: DeposedError where another leads; none can until it ends."""
        term = self._term
        if term is None or not lease.is_held(connection, term):
            raise DeposedError("another instance leads")

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Strive for it and keep it while the block runs; then give it up."""
        thread = threading.Thread(target=self._run, name="leadership", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(10.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                self._turn(began_s)
            except psycopg.Error:
                self._let_go()
            except Exception as fault:  # the edge of a thread, without which this instance can never lead again: no memory
                log.error("leadership stumbled; it is tried again", fault=fault)
                self._let_go()
            pause_s = RENEW_S if self._term is not None else LOOK_S
            self._stopping.wait(max(0.05, pause_s - (time.monotonic() - began_s)))
        self._give_up()
        self._let_go()

    def _turn(self, now_s: float) -> None:
        if self._connection is None:
            self._connection = database.connect_to_watch(self._url, "candidate", OPTIONS)
            self._called = "candidate"
        if self._term is not None:
            self._keep(self._connection, self._term, now_s)
        else:
            self._strive(self._connection, now_s)

    # --- who leads

    def _keep(self, connection: database.Connection, term: int, now_s: float) -> None:
        if not self._is_alive():
            return  # others find that nobody renews
        if not lease.renew(connection, term, self.name):
            log.error("another instance has taken over")
            self._step_down()
            return
        self._renewed_s = now_s
        self._call(connection, "leader")
        if self._reaches_broker():
            self._cut_s = None
        elif self._cut_s is None:
            self._cut_s = now_s
        elif now_s - self._cut_s > LEASE_S and lease.n_standing_by(connection):
            log.error("the broker cannot be reached from here: another instance may lead")
            lease.give_up(connection, term)
            self._step_down()

    def _step_down(self) -> None:
        self._term, self._seen, self._cut_s = None, None, None
        self.leads.clear()

    # --- who stands by

    def _strive(self, connection: database.Connection, now_s: float) -> None:
        reaches = self._reaches_broker()
        self._call(connection, "standby" if reaches else "candidate")
        seen = lease.read(connection)
        known, self._seen = self._seen, seen
        if known is None or (seen.term, seen.beats) != (known.term, known.beats):
            self._changed_s = now_s
        if known is None or not seen.is_left or not known.is_left:
            self._left_s = now_s
        if self._is_free(seen, now_s, reaches) and (term := lease.claim(connection, seen, self.name)) is not None:
            self._term, self._renewed_s = term, now_s
            self.leads.set()
            log.info("leads", number=term)

    def _is_free(self, seen: lease.Seen, now_s: float, reaches: bool) -> bool:
        """`_changed_s` and `_left_s` are when the lease was last seen to be kept at all, and by a connection."""
        patience_s = 0.0 if reaches else PATIENCE_S
        is_ours = seen.is_left and seen.name == self.name  # of the process before us, whose raw log is ours
        if seen.is_given_up or is_ours:
            return now_s - self._left_s >= patience_s
        if seen.is_left:
            return now_s - self._left_s >= SPARED_S + patience_s
        return now_s - self._changed_s >= LEASE_S + patience_s

    # --- the connection

    def _call(self, connection: database.Connection, name: str) -> None:
        """Name the connection at the server by what we are."""
        if name != self._called:
            connection.execute("SELECT set_config('application_name', %s, false)", [f"tagwatch {name}"])
            self._called = name

    def _give_up(self) -> None:
        if self._term is not None and self._connection is not None:
            with suppress(psycopg.Error):
                lease.give_up(self._connection, self._term)
        self._step_down()

    def _let_go(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
