"""The console under load: from the commit of an alert to its arrival in 100 open consoles, the queue page with 5,000 open
alerts, and what the numbering of changes costs the service.

Three processes: the console, 100 readers of its stream, and here the one that commits. A time counts from just before COMMIT is
sent to when the row, as it will be shown, was read by a console; each alert counts 100 times.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import alerts.store
from alerts.alert import Alert
from alerts.ledger import Entry, Version
from benchmarks.histogram import percentiles
from benchmarks.rounds import Row, machine, table
from benchmarks.servers import postgres
from engine.database import Connection, connect
from engine.times import MINUTE_US, system_clock, to_iso
from tagwatch.access import accounts
from tagwatch.channels import routing_of
from tagwatch.settings import Settings

N_READERS, N_ALERTS, PAUSE_S, N_OPEN = 100, 200, 0.05, 5_000
PASSWORD = "three small words"
_CONSOLE = """
import sys, threading
from tagwatch.console import create_app, serve
from tagwatch.console.database import Database
from tagwatch.console.office import Office
from tagwatch.settings import Settings
with serve(create_app(Office(Database(sys.argv[1]), Settings()))) as address:
    print(address, flush=True)
    sys.stdin.read()
"""
_READERS = """
import asyncio, json, sys, time
port, cookie, n_readers, last = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
came = []
async def read(ready):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    writer.write(f"GET /events HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nCookie: tagwatch_session={cookie}\\r\\n\\r\\n".encode())
    while True:
        line = await reader.readline()
        if line.startswith(b"event: heartbeat"):
            ready.set()
        elif line.startswith(b"data: ") and b'"html"' in line:
            at = time.time_ns()
            name = json.loads(line[6:])["id"]
            came.append((name, at))
            if name == last:
                return
async def main():
    ready = [asyncio.Event() for _ in range(n_readers)]
    tasks = [asyncio.create_task(read(each)) for each in ready]
    await asyncio.gather(*(each.wait() for each in ready))
    print("ready", flush=True)
    await asyncio.gather(*tasks)
    print(json.dumps(came))
asyncio.run(main())
"""


def bench(url: str, folder: Path) -> list[Row]:
    """Rows of the report: the median as seconds, the others in the note."""
    with connect(url) as connection:
        accounts.add(connection, "bench", "Bench", ["operator"], "*", PASSWORD, system_clock())
    with connect(url) as connection:
        book = _Book(connection)
        found = [_numbering(book)]
        book.put(N_OPEN - book.n_raised, raised_ago_us=0)
        with _process(_CONSOLE, url) as console:
            address = console.stdout.readline().strip()
            with httpx.Client(base_url=address, trust_env=False, timeout=30) as http:
                http.post("/sign-in", data={"login": "bench", "password": PASSWORD})
                cookie = http.cookies["tagwatch_session"]
                found.append(_fan_out(book, address, cookie))
                found += _queue_page(book, http)
            console.stdin.close()
            console.wait(20)
    return found


class _Book:
    """Writes alerts as the service does."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.n_raised = self.seq = 0
        self._routing = routing_of(Settings(), [], {})

    def put(self, count: int, raised_ago_us: int = 0) -> tuple[list[str], int]:
        """Raise alerts in one transaction; their identifiers, and when COMMIT was sent [ns]."""
        now_us = system_clock() - raised_ago_us
        entries = [Entry(f"B{k:06d}", 1, _content(k, now_us), k) for k in range(self.n_raised, self.n_raised + count)]
        self.n_raised += count
        alerts.store.write_entries(self.connection, entries, now_us)
        versions = [Version(e.id, 1, "raised", e.alert, now_us, 0.0) for e in entries]
        self.seq = alerts.store.write_versions(
            self.connection, versions, self.seq, alerts.store.Outgoing(self._routing, now_us)
        )
        sent_ns = time.time_ns()
        self.connection.commit()
        return [e.id for e in entries], sent_ns


def _content(k: int, now_us: int) -> Alert:
    rule, grade = (("zone.inclusion", "high"), ("curfew.left", "high"), ("tag.battery_low", "low"), ("zone.buffer", "low"))[
        k % 4
    ]
    why = {"text": "Outside inclusion zone Sincil Bank", "zone": "Sincil Bank", "threshold": 0.95}
    began = to_iso(now_us - MINUTE_US)
    return Alert(
        f"W{k % 2000:04d}", f"T{k % 2000:04d}", rule, f"S{k}", grade, "active", began, None, None, 0.98, 1.0, 3, [], why
    )


def _fan_out(book: _Book, address: str, cookie: str) -> Row:
    last = f"B{book.n_raised + N_ALERTS - 1:06d}"
    with _process(_READERS, address.rpartition(":")[2], cookie, str(N_READERS), last) as readers:
        assert readers.stdout.readline().strip() == "ready"
        sent: dict[str, int] = {}
        for _ in range(N_ALERTS):
            names, at_ns = book.put(1)
            sent[names[0]] = at_ns
            time.sleep(PAUSE_S)
        came = json.loads(readers.stdout.readline())
    taken_s = [(at - sent[name]) * 1e-9 for name, at in came if name in sent]
    assert len(taken_s) == N_READERS * N_ALERTS, "a console missed an alert"
    of = percentiles([1e3 * each for each in taken_s])
    note = f"p50 {of[50]:.0f} ms, p99 {of[99]:.0f} ms, worst {of[100]:.0f} ms; none missed"
    return Row("console", f"alert shown in {N_READERS} consoles", N_ALERTS, "alerts", of[50] / 1e3, note=note)


def _queue_page(book: _Book, http: httpx.Client) -> list[Row]:
    def ask(n_times: int, change: bool, path: str) -> list[float]:
        found = []
        for _ in range(n_times):
            if change:
                book.put(1)
            started_s = time.perf_counter()
            assert http.get(path).status_code == 200
            found.append(time.perf_counter() - started_s)
        return found[n_times // 5 :]

    rows = []
    for name, change in (("nothing changed since", False), ("right after a change", True)):
        of = percentiles([1e3 * each for each in ask(40, change, "/queue")])
        note = f"p50 {of[50]:.0f} ms, p90 {of[90]:.0f} ms, worst {of[100]:.0f} ms"
        rows.append(Row("console", f"queue page, {N_OPEN:,} open, {name}", 1, "page", of[50] / 1e3, note=note))
    return rows


def _numbering(book: _Book) -> Row:
    """What a commit of one alert takes with and without the numbering; both take turns."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for k in range(200):
        on = k % 2 == 0
        book.connection.execute(
            f"ALTER TABLE alert_version {'ENABLE' if on else 'DISABLE'} TRIGGER alert_version_changed".encode()
        )
        book.connection.commit()
        started_s = time.perf_counter()
        book.put(10)
        taken[on].append(time.perf_counter() - started_s)
    book.connection.execute("ALTER TABLE alert_version ENABLE TRIGGER alert_version_changed")
    book.connection.commit()
    with_s, without_s = (statistics.median(taken[on]) for on in (True, False))
    note = f"{without_s * 1e3:.2f} ms without numbers, {with_s * 1e3:.2f} ms with"
    return Row("console", "transaction of 10 alerts, numbered", 10, "alerts", with_s, without_s / with_s, note)


@contextmanager
def _process(code: str, *arguments: str) -> Iterator[Any]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """The figures on standard output."""
    with postgres() as (url, folder):
        found = bench(url, folder)
    print(machine())
    print(table(found))


if __name__ == "__main__":
    main()
