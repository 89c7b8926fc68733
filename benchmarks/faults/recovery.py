"""How long it takes after a fault until something is decided again, and until nothing waits any more."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import psycopg

from benchmarks.faults.stand import Stand, count

_LOOK_S = 0.02
_STORED = "SELECT (SELECT count(*) FROM fix) + (SELECT count(*) FROM device_event)"
_NEWEST = "SELECT coalesce(max(seq), 0) FROM alert_version"
_WAITING = (
    "SELECT count(*) FROM outbox o JOIN alert_version v ON (v.id, v.version) = (o.alert_id, o.version)"
    " WHERE o.status = 'pending' AND v.seq <= "
)


class Recovery(NamedTuple):
    """Seconds from the end of a fault to the first fix that is stored and decided on, and until what was sent by the end is
    stored and what was decided by then is delivered; None where it did not come within the patience."""

    decided_s: float | None
    drained_s: float | None


class Watcher:
    """Looks into the database of a stand; a database that is away answers later."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._connection: psycopg.Connection[Any] | None = None

    def ask(self, query: str, give_up_s: float) -> int | None:
        """The number, None where there is no answer until that moment [s, monotonic]."""
        while time.monotonic() < give_up_s:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(self._stand.url, autocommit=True, connect_timeout=2)
                return count(self._connection, query)
            except psycopg.Error:
                self.close()
                time.sleep(_LOOK_S)
        return None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of an answer, of a database that is there."""
        with psycopg.connect(self._stand.url, connect_timeout=10) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def recovery(self, over_s: float) -> Recovery:
        """Wait until all is as before."""
        give_up_s = over_s + self._stand.fault.setting.patience_s
        tags = self._stand.tags
        n_wanted, before = tags.n_different(), self.ask(_STORED, give_up_s)
        newest = self.ask(_NEWEST, give_up_s)
        decided_s: float | None = None
        n_stored, n_undelivered = before or 0, 0
        while before is not None and time.monotonic() < give_up_s:
            n_stored = self.ask(_STORED, give_up_s) or 0
            if decided_s is None and (n_stored > before or tags.n_sent >= tags.n_all):
                decided_s = time.monotonic() - over_s
            if decided_s is not None and n_stored >= n_wanted:
                n_undelivered = self.ask(_WAITING + str(newest or 0), give_up_s) or 0
                if n_undelivered == 0:
                    return Recovery(decided_s, time.monotonic() - over_s)
            time.sleep(_LOOK_S)
        self._stand.note("entries that still waited", max(0, n_wanted - n_stored))
        self._stand.note("deliveries that still waited", n_undelivered)
        return Recovery(decided_s, None)
