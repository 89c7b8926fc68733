"""Deliveries: a flood of pending versions to a local receiver, beside one row a transaction as outboxes are often written."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from alerts.mqtt_notifier import MqttNotifier
from alerts.outbox import Outbox
from alerts.webhook import WebhookNotifier
from benchmarks.rounds import Row, medians
from benchmarks.servers import broker
from engine import database
from engine.times import system_clock
from ingest.mqtt_link import Link
from tagwatch.channels import LANES
from tagwatch.couriers import NO_WAIT

N_PENDING, N_SLOW = 3_000, 300
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()

_RECEIVER = """
import asyncio, sys
DELAY_S = float(sys.argv[1])
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            size = next(int(line[15:]) for line in head.lower().split(b"\\r\\n") if line.startswith(b"content-length:"))
            await reader.readexactly(size)
            if DELAY_S:
                await asyncio.sleep(DELAY_S)
            writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
_FILL = """
TRUNCATE alert, alert_version, outbox CASCADE;
INSERT INTO alert (id, wearer, rule, subject, grade, condition, began, version, raised, raised_at, content)
SELECT 'a' || k, 'W', 'zone.exclusion', 'Z', 'high', 'active', now(), 1, k, now(), '' FROM generate_series(1, {n}) k;
INSERT INTO alert_version (seq, id, version, reason, content, as_of, late_s)
SELECT k, 'a' || k, 1, 'raised', '{content}', now(), 0 FROM generate_series(1, {n}) k;
INSERT INTO outbox (alert_id, version, channel, next_at) SELECT 'a' || k, 1, '{channel}', now() FROM generate_series(1, {n}) k;
"""
_CONTENT = (
    '{"wearer":"W","device":"T","rule":"zone.exclusion","subject":"Z","grade":"high","condition":"active","began":'
    '"2026-01-01T00:00:00.000Z","began_after":null,"ended":null,"posterior":0.99,"minutes":1.0,"n_fixes":20,"fixes":['
    + ",".join(['{"time":"2026-01-01T00:00:00.000Z","lat":53.1,"lon":-0.5,"accuracy_m":7.0,"source":"gps","p":1.0}'] * 20)
    + '],"why":{"text":"Inside exclusion zone Z"}}'
)


def bench(url: str, folder: Path) -> list[Row]:
    """Rows of the flood to a receiver that answers at once, to one that takes 20 ms, and to a broker."""
    os.environ["NO_PROXY"] = "127.0.0.1"
    with receiver(0.0) as quick, receiver(0.02) as slow, broker(folder) as (mqtt, _):
        to_quick = {
            "one row a transaction": lambda: _plainly(url, quick),
            "outbox, 1 lane": lambda: _drain(url, lambda: WebhookNotifier(quick, SECRET), "webhook", N_PENDING, 1),
            "outbox": lambda: _drain(url, lambda: WebhookNotifier(quick, SECRET), "webhook", N_PENDING),
        }
        to_slow = {
            "outbox, 1 lane": lambda: _drain(url, lambda: WebhookNotifier(slow, SECRET), "webhook", N_SLOW, 1),
            "outbox": lambda: _drain(url, lambda: WebhookNotifier(slow, SECRET), "webhook", N_SLOW),
        }
        to_broker = {"outbox": lambda: _drain(url, lambda: _publisher(mqtt), "mqtt", N_PENDING)}
        return [
            *_rows("webhook, at once", N_PENDING, medians(to_quick, 3), "one row a transaction"),
            *_rows("webhook, 20 ms", N_SLOW, medians(to_slow, 3), "outbox, 1 lane"),
            *_rows("mqtt", N_PENDING, medians(to_broker, 3), ""),
        ]


@contextmanager
def receiver(delay_s: float) -> Iterator[str]:
    """A receiver of webhooks in a process of its own; yields its address."""
    process = subprocess.Popen([sys.executable, "-c", _RECEIVER, str(delay_s)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/alerts"
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _rows(bench_name: str, n: int, seconds: dict[str, float], peer: str) -> list[Row]:
    return [
        Row(
            f"delivery, {bench_name}",
            name,
            n,
            "deliveries",
            each,
            None if name == peer or not peer else seconds[peer] / each,
        )
        for name, each in seconds.items()
    ]


def _publisher(url: str) -> MqttNotifier:
    return MqttNotifier(lambda: Link(url, "bench-alerts", "3.1.1", persistent=False))


def _fill(connection: database.Connection, n: int, channel: str) -> None:
    for statement in _FILL.format(n=n, content=_CONTENT, channel=channel).split(";\n"):
        if statement.strip():
            connection.execute(statement.encode())
    connection.commit()


def _drain(
    url: str, notifier_of: Callable[[], WebhookNotifier | MqttNotifier], kind: str, n: int, lanes: int | None = None
) -> None:
    with database.connect(url) as connection, closing(notifier_of()) as notifier:
        _fill(connection, n, kind)
        connection.autocommit = True
        connection.execute(NO_WAIT)
        with closing(Outbox(connection, {kind: notifier}, system_clock, lanes or LANES[kind])) as outbox:
            n_delivered = 0
            while taken := outbox.deliver_due():
                n_delivered += taken
    assert n_delivered == n


def _plainly(url: str, address: str) -> None:
    """The peer: lock the next row, post it unsigned, mark it, commit."""
    with database.connect(url) as connection, httpx.Client() as client:
        _fill(connection, N_PENDING, "webhook")
        while True:
            row = connection.execute(
                "SELECT o.id, v.content FROM outbox o JOIN alert_version v ON (v.id, v.version) = (o.alert_id, o.version)"
                " WHERE o.status = 'pending' ORDER BY o.id LIMIT 1 FOR UPDATE OF o SKIP LOCKED"
            ).fetchone()
            if row is None:
                return
            client.post(address, content=row[1].encode()).raise_for_status()
            connection.execute("UPDATE outbox SET status = 'delivered' WHERE id = %s", [row[0]])
            connection.commit()
