"""Our clock against those of other servers: positive where ours is ahead."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from statistics import median

import ntplib

from engine.database import Connection
from engine.times import SECOND_US, Clock

NTP_TIMEOUT_S = 2.0


def ahead_of_database_s(connection: Connection, clock: Clock) -> float:
    """By how much our clock is ahead of the database server's [s], as right as half the way there and back."""
    before_us = clock()
    row = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchone()
    after_us = clock()
    assert row is not None
    return ((before_us + after_us) / 2 - int(row[0])) / SECOND_US


def ahead_of_ntp_s(servers: Sequence[str]) -> float | None:
    """By how much the system's clock is ahead of these servers [s], the median; None where none of them answers."""
    offsets = [offset for server in servers if (offset := _offset_s(server)) is not None]
    return -median(offsets) if offsets else None


def _offset_s(server: str) -> float | None:
    """What NTP calls the offset; a server may be told with its port."""
    host, colon, port = server.rpartition(":")
    if not colon or "]" in port or (":" in host.strip("[]") and not host.startswith("[")):
        host, port = server, "123"
    try:
        answer = ntplib.NTPClient().request(host.strip("[]"), version=4, port=port, timeout=NTP_TIMEOUT_S)
    except (ntplib.NTPException, OSError, socket.gaierror, ValueError):
        return None
    return float(answer.offset) if 0 < answer.stratum < 16 else None
