"""The console's own web server: uvicorn in a thread, on this machine only, stopped cleanly."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from engine.errors import UnreachableError
from tagwatch.console.patience import PatientProtocol

_START_S, _STOP_S = 10.0, 10.0


class _Server(uvicorn.Server):
    """Signals stay with the process that serves: it decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def serve(app: FastAPI, port: int = 0, listen: str = "127.0.0.1") -> Iterator[str]:
    """Serve the app on an address of this machine (port 0: a free one) until the block ends; yields its address.

    UnreachableError where the port is taken. Access is not logged: paths tell who is looked at.
    """
    config = uvicorn.Config(
        app, host=listen, port=port, log_level="error", access_log=False, timeout_graceful_shutdown=3, ws="none",
        log_config=None, http=PatientProtocol,
    )  # fmt: skip
    server = _Server(config)
    thread = threading.Thread(target=_run, args=(server,), name="console", daemon=True)
    thread.start()
    try:
        yield _address(server, thread, port, listen)
    finally:
        app.state.office.stopping.set()
        server.should_exit = True
        thread.join(_STOP_S)


def _run(server: uvicorn.Server) -> None:
    try:
        server.run()
    except SystemExit:  # uvicorn's way to say that it could not start; the waiting thread tells it
        return


def _address(server: uvicorn.Server, thread: threading.Thread, port: int, listen: str) -> str:
    give_up = time.monotonic() + _START_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() >= give_up:
            raise UnreachableError(f"the console cannot be served on {listen}:{port}: is the port taken?")
        time.sleep(0.01)
    shown = f"[{listen}]" if ":" in listen else listen
    return f"http://{shown}:{server.servers[0].sockets[0].getsockname()[1]}"
