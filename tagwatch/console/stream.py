"""The stream of events: every new version of an alert, in the order of commits, and a heartbeat against silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import psycopg
from fastapi.sse import ServerSentEvent

POLL_S = 0.5
HEARTBEAT_S = 10.0
_MOST_ROWS = 500
_NEW = (
    "SELECT v.seq, v.id, v.version, v.reason, a.grade, a.condition FROM alert_version v JOIN alert a USING (id)"
    " WHERE v.seq > %s ORDER BY v.seq LIMIT %s"
)


class Stopping:
    """Whether the server is going down: streams end by themselves then, so that nobody has to wait for them."""

    def __init__(self) -> None:
        self.now = False


async def events(url: str, after: int | None, stopping: Stopping) -> AsyncGenerator[ServerSentEvent, None]:
    """Versions after a sequence number (from now on where it is None), for as long as the reader stays.

    Ends when the database goes away: the browser comes back with the last number it has seen, so nothing is missed.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError:
        return
    try:
        seq = after if after is not None else await _latest(connection)
        async with aclosing(_follow(connection, seq, stopping)) as found:
            async for event in found:
                yield event
    except psycopg.OperationalError:
        return
    finally:  # at once and without awaiting: where a reader leaves, everything awaited here is cancelled too
        connection.pgconn.finish()


async def _follow(
    connection: psycopg.AsyncConnection[tuple[Any, ...]], seq: int, stopping: Stopping
) -> AsyncGenerator[ServerSentEvent, None]:
    clock = asyncio.get_running_loop().time
    beat_at = clock()
    while not stopping.now:
        if clock() >= beat_at:
            yield ServerSentEvent(event="heartbeat", data={"seq": seq}, retry=2000)
            beat_at = clock() + HEARTBEAT_S
        rows = await (await connection.execute(_NEW, [seq, _MOST_ROWS])).fetchall()
        for row in rows:
            seq = row[0]
            names = ("seq", "id", "version", "reason", "grade", "condition")
            yield ServerSentEvent(event="alert", id=str(seq), data=dict(zip(names, row, strict=True)))
        if not rows:
            await asyncio.sleep(POLL_S)


async def _latest(connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> int:
    row = await (await connection.execute("SELECT coalesce(max(seq), 0) FROM alert_version")).fetchone()
    return int(row[0]) if row else 0
