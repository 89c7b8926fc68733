"""The server's patience: a request must come whole within a time, and only so many connections are open at once.

uvicorn waits for ever for a request's first line, so that idle connections would take every file number of the process; the
service that takes the tags' messages lives in the same one.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S, BODY_S = 20.0, 300.0
"""How long a request's head may take from its first byte (or a connection that says nothing), and how long its body."""
MOST_CONNECTIONS = 400
"""More are closed as they come: well below the 1,024 files that a process may usually have open."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, for those who speak in time."""

    _timer: asyncio.TimerHandle | None = None
    _waits_for: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait on for what is lacking."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """What of the next request came before this one was answered is waited on for as well."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        state = self.conn.their_state
        if state is self._waits_for:
            return
        self._stop()
        if state in (h11.IDLE, h11.SEND_BODY):
            self._waits_for = state
            self._timer = self.loop.call_later(HEAD_S if state is h11.IDLE else BODY_S, self.transport.abort)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._waits_for = None
