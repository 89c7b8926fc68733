"""A webhook receiver that keeps what it took, and now and then answers 500, says nothing, or is not there."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class Taken(NamedTuple):
    """A delivery that was answered 2xx: its identifier, body, and when [s, Unix]."""

    key: str
    body: bytes
    at_s: float


class Receiver:
    """What came; `n_refused` were answered 500, `n_unanswered` were taken and the connection then cut without a word."""

    def __init__(self, seed: int, faults: float, host: str = "127.0.0.1") -> None:
        self.taken: list[Taken] = []
        self.unanswered: list[Taken] = []
        self.n_refused = self.n_downs = 0
        self.answer_s = 0.0
        self._random, self.faults = random.Random(seed), faults
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._host, self._port = host, 0
        self._start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self._host}:{self._port}/alerts"

    def take(self, key: str, body: bytes) -> int | None:
        """The answer to a delivery: a status, None for none."""
        with self._lock:
            if self._server is None:
                return None  # a connection from before it went away
            lot, taken = self._random.random(), Taken(key, body, time.time())
            if lot < self.faults / 2:
                self.n_refused += 1
                return 500
            if lot < self.faults:
                self.unanswered.append(taken)
                return None
            self.taken.append(taken)
            return 204

    def down(self, seconds: float) -> None:
        """Be away for some seconds."""
        self.close()
        self.n_downs += 1
        time.sleep(seconds)
        self._start()

    def close(self) -> None:
        """Stop listening."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def open(self) -> None:
        """Listen again, on the port as before."""
        self._start()

    def _start(self) -> None:
        server = _Server((self._host, self._port), _handler(self))
        self._port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self._server = server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed says nothing: no news."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """One delivery."""
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(receiver.answer_s)
            status = receiver.take(self.headers["webhook-id"], body) if len(body) else 400
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """No log."""

    return Handler


class Silent:
    """A terminal that nobody reads."""

    def send(self, delivery: Any) -> None:
        """Take it."""


@contextmanager
def receiver(seed: int = 0, faults: float = 0.0, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A receiver on an address of this machine; `faults`: the share of deliveries that go wrong."""
    there = Receiver(seed, faults, host)
    try:
        yield there
    finally:
        there.close()


def alert_of(taken: Taken) -> tuple[str, int]:
    """Alert and version of a delivery, from its body."""
    event = json.loads(taken.body)
    told = event.get("data", event)
    return told["id"], told["version"]
