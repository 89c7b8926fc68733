"""From a tag's message to the committed fix and its alerts: broker, service and tags each in a process of their own. The
peer is what one writes in an afternoon: paho, shapely, one INSERT a fix, acknowledged after its commit."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import shapely

import tagwatch.service
import tagwatch.settings
from benchmarks.bench_store import INSERT, insert_rows
from benchmarks.rounds import Row
from benchmarks.scenes import Scene, in_arrival_order, town
from benchmarks.servers import broker, empty
from engine import database
from engine.fixes import Fixes
from engine.store import FixStore
from ingest.mqtt import Subscriber
from ingest.payload import decode
from ingest.raw_log import RawLog
from tagwatch import configuration
from tagwatch.monitor import Monitor
from tagwatch.publish import publish
from tagwatch.service import Service
from tagwatch.session import Session
from tagwatch.settings import Broker, Database, Settings

SEED = 20260602
_FORK = multiprocessing.get_context("spawn")
_WAIT_S = 120.0


def bench(url: str, folder: Path, n_messages: int = 20_000, n_naive: int = 3_000) -> list[Row]:
    """Rows of the report: single-fix QoS 1 messages, from the first publish to the last commit."""
    scene = town(np.random.default_rng(SEED), 200, n_messages // 200)
    found: list[Row] = []
    with broker(folder) as (address, name):
        for kind, run, n in (("tagwatch", _serve, n_messages), ("paho, shapely, INSERT", _naive, n_naive)):
            empty(url)
            seconds, spent = _run(scene, n, address, url, folder / f"raw-{time.monotonic_ns()}", run)
            with database.connect(url) as connection:
                stored = FixStore(connection).count()
            if stored != n:
                raise RuntimeError(f"{kind}: {stored} of {n} fixes stored: these seconds would say nothing")
            note = f"{name}; {stored:,} fixes stored; " + ", ".join(f"{k} {v:.2f} s" for k, v in spent.items())
            found.append(Row("end to end", kind, n, "messages", seconds, None, note))
    ours, naive = found
    return [ours._replace(ratio=ours.rate / naive.rate), naive]


def _run(
    scene: Scene, n: int, address: str, url: str, raw_log: Path, target: Callable[..., None]
) -> tuple[float, dict[str, float]]:
    """Seconds from the first publish to the last commit, and where the service's time went."""
    with database.connect(url) as connection:
        configuration.save(connection, scene.as_of_us, zones=scene.zones, curfews=scene.curfews)
    ready, stop, report = _FORK.Event(), _FORK.Event(), _FORK.Queue()
    go, started = _FORK.Event(), _FORK.Queue()
    fixes = in_arrival_order(scene.fixes).take(slice(0, n))
    tags = _FORK.Process(target=_publish, args=(fixes, address, go, started))
    service = _FORK.Process(target=target, args=(address, url, raw_log, scene, ready, stop, report))
    tags.start()
    service.start()
    try:
        assert ready.wait(_WAIT_S), "the service did not get ready"
        go.set()
        started_s = started.get(timeout=_WAIT_S)
        finished_s = _committed(url, n)
        published_s = started.get(timeout=_WAIT_S)
    finally:
        stop.set()
        spent = report.get(timeout=_WAIT_S)
        for process in (tags, service):
            process.join(30)
            if process.is_alive():
                process.terminate()
    return finished_s - started_s, {"published after": published_s - started_s, **spent}


def _committed(url: str, n: int) -> float:
    """When the last of n fixes was seen in the database."""
    end = time.monotonic() + _WAIT_S
    with database.connect(url) as connection:
        connection.autocommit = True
        store = FixStore(connection)
        while store.count() < n:
            if time.monotonic() > end:
                raise TimeoutError(f"fewer than {n} fixes stored after {_WAIT_S:.0f} s")
            time.sleep(0.05)
    return time.monotonic()


def _publish(fixes: Fixes, address: str, go: Any, started: Any) -> None:
    go.wait(_WAIT_S)
    started.put(time.monotonic())
    publish(fixes, address, await_stored=False)
    started.put(time.monotonic())


def _serve(address: str, url: str, raw_log: Path, scene: Scene, ready: Any, stop: Any, report: Any) -> None:
    """The service, with a stopwatch around its steps."""
    spent: dict[str, float] = {}
    _timed(Session, "step", spent)
    _timed(Session, "_settle", spent)
    _timed(Session, "stored_notices", spent)
    _timed(FixStore, "write", spent)
    _timed(RawLog, "append", spent)
    _timed(RawLog, "flush", spent)
    _timed(Monitor, "take", spent)
    _timed(tagwatch.service, "decode_batch", spent)
    _timed(Subscriber, "acknowledge", spent)
    settings = Settings(
        broker=Broker(url=address), database=Database(url=url), raw_log=tagwatch.settings.RawLog(folder=raw_log)
    )
    service = Service(settings, lambda: scene.as_of_us, on_ready=lambda _session: ready.set())

    def wait() -> None:
        stop.wait(2 * _WAIT_S)
        service.stopping.set()

    threading.Thread(target=wait, daemon=True).start()
    service.run()
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent["batches"] = float(service.counts.batches)
    spent["processor"] = used.ru_utime + used.ru_stime
    report.put(spent)


def _timed(owner: Any, name: str, spent: dict[str, float]) -> None:
    inner = getattr(owner, name)

    def outer(*arguments: Any, **named: Any) -> Any:
        started_s = time.perf_counter()
        try:
            return inner(*arguments, **named)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - started_s

    setattr(owner, name, outer)


def _naive(address: str, url: str, _raw_log: Path, scene: Scene, ready: Any, stop: Any, report: Any) -> None:
    areas = {name: scene.polygons(name) for name in scene.fixes.devices}
    numbers = {name: k for k, name in enumerate(scene.fixes.devices)}
    connection = database.connect(url)

    def arrived(client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        name = message.topic.split("/")[1]
        told = json.loads(message.payload)
        any(area.contains(shapely.Point(told["lon"], told["lat"])) for area in areas[name])
        row = insert_rows(decode(message.topic, message.payload, scene.as_of_us // 1_000_000).fixes)[0]
        connection.execute(INSERT, (numbers[name], *row[1:]))
        connection.commit()
        client.ack(message.mid, message.qos)

    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2, client_id=f"naive-{os.getpid()}", clean_session=False, manual_ack=True
    )
    client.on_message = arrived
    client.on_subscribe = lambda *_: ready.set()
    host, _, port = address.removeprefix("mqtt://").partition(":")
    client.connect(host, int(port))
    client.subscribe("tags/+/fixes", 1)
    client.loop_start()
    stop.wait(2 * _WAIT_S)
    client.disconnect()
    client.loop_stop()
    connection.close()
    report.put({})
