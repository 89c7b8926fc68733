"""The service under load: messages a second from the tag to the committed fix, its alerts and its acknowledgement, everything
on this machine: broker, database, tags and service. The peer is what one writes in an afternoon: paho, shapely, one INSERT a
fix, acknowledged after its commit."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import paho.mqtt.client as paho
import shapely

import tagwatch.session
import tagwatch.settings
from benchmarks.bench_store import INSERT, insert_rows
from benchmarks.live import Place, Run, Shared, Stopwatch, refresh_as_often_as, run
from benchmarks.load import Load, load_of
from benchmarks.rounds import Row
from benchmarks.scenes import Conduct, Scene, in_arrival_order, town
from engine import database
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import parse_time
from ingest.mqtt import Subscriber
from ingest.payload import decode
from ingest.raw_log import RawLog
from tagwatch.monitor import Monitor
from tagwatch.service import Service
from tagwatch.session import Session
from tagwatch.settings import Broker, Database, Plan, Settings

SEED = 20260602
NOON = 12 * 60
_STEPS = [(Session, "step"), (Session, "_settle"), (Session, "_refresh"), (FixStore, "write"), (RawLog, "append"),
          (RawLog, "flush"), (Monitor, "take"), (Monitor, "alerts"), (tagwatch.session, "decode_batch"),
          (Subscriber, "acknowledge"), (Subscriber, "take"), (Session, "stored_notices"), (Service, "_breathe")]  # fmt: skip


def bench(url: str, folder: Path, n_messages: int = 60_000, n_rounds: int = 3) -> list[Row]:
    """Rows of the report: single fixes and fifty fixes a message, ours and the naive service's in turn, medians."""
    found: list[Row] = []
    for unit, scene, n_naive in (
        ("messages", single_fixes(2000, n_messages // 2000), 5_000),
        ("fixes in fifties", in_fifties(1000, n_messages // 6), 100),
    ):
        taken: dict[str, list[Run]] = {"tagwatch": [], "paho, shapely, INSERT": []}
        load = scene.load
        for k in range(n_rounds):
            for kind, serve, n in (
                ("tagwatch", tagwatch_service, load.n),
                ("paho, shapely, INSERT", naive_service, n_naive),
            ):
                place = folder / f"{unit}-{kind}-{k}"
                taken[kind].append(run(load.first(n), scene.town, url, place, serve, before=scene.before))
        ours, peers = ([r.seconds for r in runs] for runs in taken.values())
        n_ours, n_peer = load.n * load.n_fixes, n_naive * load.n_fixes
        ratio = n_ours / median(ours) / (n_peer / median(peers))
        middle = sorted(taken["tagwatch"], key=lambda r: r.seconds)[n_rounds // 2]
        found.append(Row("service", "tagwatch", n_ours, unit, median(ours), ratio, told(middle)))
        found.append(Row("service", "paho, shapely, INSERT", n_peer, unit, median(peers), None,
                         taken["paho, shapely, INSERT"][0].shares()))  # fmt: skip
    return found


def told(middle: Run) -> str:
    """What each process took, and each step of the service."""
    steps = ", ".join(
        f"{name} {value}" if isinstance(value, int) else f"{name} {value[0]:.2f} ({value[1]:.2f}) s"
        for name, value in middle.report.items()
    )
    return f"processor: {middle.shares()}; steps: {steps}"


class Sent(NamedTuple):
    """A town, what its tags send, and what was stored before that."""

    load: Load
    town: Scene
    before: Fixes


def single_fixes(n_wearers: int, n_each: int, conduct: Conduct = Conduct()) -> Sent:
    """Fixes of a town from noon on, one a message, minute by minute."""
    scene = town(np.random.default_rng(SEED), n_wearers, NOON + n_each, conduct=conduct)
    fixes, noon = in_arrival_order(scene.fixes), NOON * n_wearers
    return Sent(load_of(fixes.take(slice(noon, None))), scene, fixes.take(slice(noon - 20 * n_wearers, noon)))


def in_fifties(n_wearers: int, n_messages: int) -> Sent:
    """Fixes of a town by day, uploaded by each tag in messages of fifty minutes."""
    n_each = max(1, n_messages // n_wearers) + 1
    scene = town(np.random.default_rng(SEED), n_wearers, 50 * n_each)
    order = np.arange(len(scene.fixes)).reshape(n_wearers, n_each, 50).transpose(1, 0, 2).ravel()
    first = 50 * n_wearers
    return Sent(load_of(scene.fixes.take(order[first:]), 50), scene, scene.fixes.take(order[:first]))


def settings_of(place: Place) -> Settings:
    """The settings of the service under test."""
    raw_log, plan = tagwatch.settings.RawLog(folder=place.folder / "raw"), Plan(upload_interval_s=place.upload_s)
    return Settings(broker=Broker(url=place.broker), database=Database(url=place.database), raw_log=raw_log, plan=plan)


def tagwatch_service(place: Place, shared: Shared) -> None:
    """The service, with a stopwatch around its steps: seconds, and those in which its main thread had a processor."""
    spent: dict[str, tuple[float, float]] = {}
    for owner, name in _STEPS:
        _timed(owner, name, spent)
    count_acknowledged(shared)
    refresh_as_often_as(place)
    watch = Stopwatch(shared)

    def ready(_session: Session) -> None:
        spent.clear()
        watch.ready()

    service = Service(settings_of(place), place.clock(shared), on_ready=ready)
    watch.stop_with(service.stopping)
    service.run()
    counts: dict[str, Any] = {"batches": service.counts.batches, "versions": service.counts.versions}
    shared.report.put(("service", {**counts, **spent, "processor": watch.spent_s}))


def count_acknowledged(shared: Shared) -> None:
    """Have the subscriber tell the run how many messages it has acknowledged."""
    inner = Subscriber.acknowledge

    def acknowledge(self: Subscriber, messages: Any) -> int:
        n = inner(self, messages)
        shared.done.value += n
        return n

    Subscriber.acknowledge = acknowledge  # type: ignore[method-assign]


def _timed(owner: Any, name: str, spent: dict[str, tuple[float, float]]) -> None:
    inner = getattr(owner, name, None)
    if inner is None:
        return

    def outer(*arguments: Any, **named: Any) -> Any:
        wall_s, own_s = time.perf_counter(), time.thread_time()
        try:
            return inner(*arguments, **named)
        finally:
            wall, own = spent.get(name, (0.0, 0.0))
            spent[name] = (wall + time.perf_counter() - wall_s, own + time.thread_time() - own_s)

    setattr(owner, name, outer)


def naive_service(place: Place, shared: Shared) -> None:
    """What one writes in an afternoon: an alert is a fix in a zone after one that was not."""
    scene, clock = place.scene, place.clock(shared)
    areas = {name: scene.polygons(name) for name in scene.fixes.devices}
    numbers = {name: k for k, name in enumerate(scene.fixes.devices)}
    connection = database.connect(place.database)
    inside: dict[str, bool] = {}
    raised: list[tuple[float, str, int]] = []

    def arrived(client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        name = message.topic.split("/")[1]
        document = json.loads(message.payload)
        alerts = []
        for fix in document if isinstance(document, list) else [document]:
            now = any(area.contains(shapely.Point(fix["lon"], fix["lat"])) for area in areas[name])
            if now and not inside.get(name, False):
                alerts.append(parse_time(fix["time"]))
            inside[name] = now
        for row in insert_rows(decode(message.topic, message.payload, clock() // 1_000_000).fixes):
            connection.execute(INSERT, (numbers[name], *row[1:]))
        connection.commit()
        client.ack(message.mid, message.qos)
        raised.extend((time.monotonic(), name, time_us) for time_us in alerts)
        shared.done.value += 1

    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2, client_id=f"naive-{os.getpid()}", clean_session=False, manual_ack=True
    )
    client.on_message = arrived
    client.on_subscribe = lambda *_: shared.ready.set()
    host, _, port = place.broker.removeprefix("mqtt://").partition(":")
    client.connect(host, int(port))
    client.subscribe("tags/+/fixes", 1)
    client.loop_start()
    before_s = time.process_time()
    shared.stop.wait()
    spent_s = time.process_time() - before_s
    client.disconnect()
    client.loop_stop()
    connection.close()
    shared.report.put(("service", {"raised": raised, "processor": spent_s}))
