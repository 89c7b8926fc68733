"""A storm of alerts: area by area all wearers enter a zone at once, for half an hour, three times as many alerts as usual.

`python -m benchmarks.storm --seed 1`. Real broker, database, service and webhook; time runs 20 times as fast. Shows how long an
alert takes from the fix's arrival to the commit and on to the receiver, and how long the queues get, in five-minute steps.
"""

from __future__ import annotations

import argparse
import multiprocessing
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.receiver import SECRET, Receiver, Silent, alert_of, receiver
from benchmarks.scenes import START_US, degrees
from benchmarks.victims import stand, until
from engine import database
from engine.fixes import SOURCES, Fixes
from engine.times import MINUTE_US, SECOND_US, parse_time, system_clock
from tagwatch import configuration

BEFORE, STORM, AFTER = 15, 30, 15
"""Minutes."""
STEP = 5
N_AREAS = 4
_SPAWN = multiprocessing.get_context("spawn")
_SAMPLE_S = 0.25


class Shared(NamedTuple):
    """What the processes have in common: when simulated time begins [s, Unix], what was sent and taken, and the end."""

    began_s: Any
    sent: Any
    taken: Any
    ready: Any
    stop: Any


class Sample(NamedTuple):
    """Queues at one moment [simulated minute]: messages sent and not taken, deliveries not made."""

    minute: float
    n_sent: int
    broker: int
    outbox: int


@dataclass
class Storm:
    """What was measured; each latency is (simulated minute of arrival, milliseconds of real time)."""

    speed: float
    samples: list[Sample] = field(default_factory=list)
    to_commit: list[tuple[float, float]] = field(default_factory=list)
    to_receiver: list[tuple[float, float]] = field(default_factory=list)
    from_tag: list[tuple[float, float]] = field(default_factory=list)
    n_undelivered: int = 0


def scene(seed: int, n_wearers: int, visits_an_hour: float) -> tuple[Fixes, dict[str, Any]]:
    """Fixes in order of arrival, a minute apart, and a zone for each area. By chance everybody goes into the zone of his area
    now and then for 3 to 8 minutes; in the storm all of one area do so in the same minute, one area after the other."""
    rng, n_minutes = np.random.default_rng(seed), BEFORE + STORM + AFTER
    area = np.arange(n_wearers) % N_AREAS
    centres = np.column_stack([np.arange(N_AREAS) * 10_000.0, np.zeros(N_AREAS)])
    inside = np.zeros((n_wearers, n_minutes), np.bool_)
    for who, minute in np.argwhere(rng.random((n_wearers, n_minutes)) < visits_an_hour / 60):
        inside[who, minute : minute + rng.integers(3, 9)] = True
    for k in range(N_AREAS - 1):
        first = BEFORE + k * STORM // (N_AREAS - 1)
        for who in np.flatnonzero(area == k):
            inside[who, first : first + rng.integers(3, 9)] = True
    bearing = rng.uniform(0.0, 2 * np.pi, n_wearers)
    home = centres[area] + 1200.0 * np.column_stack([np.sin(bearing), np.cos(bearing)])
    at = np.where(inside[..., None], centres[area][:, None], home[:, None]) + rng.normal(0.0, 20.0, (*inside.shape, 2))
    lat, lon = degrees(at[..., 0].ravel(), at[..., 1].ravel())
    phase_s = rng.integers(0, 60, n_wearers)
    time_s = START_US // SECOND_US + phase_s[:, None] + np.arange(n_minutes) * 60
    n = inside.size
    fixes = Fixes.of(
        [f"s{k:04d}" for k in range(n_wearers)], device=np.repeat(np.arange(n_wearers), n_minutes),
        time_us=time_s.ravel() * SECOND_US, lat_e7=np.rint(lat * 1e7), lon_e7=np.rint(lon * 1e7),
        accuracy_cm=rng.integers(500, 1500, n), source=np.full(n, SOURCES["gps"]), received_s=time_s.ravel() + 10,
    )  # fmt: skip
    zones = [_zone(k, *degrees(*centre)) for k, centre in enumerate(centres)]
    return fixes.take(np.argsort(fixes.received_s, kind="stable")), {"type": "FeatureCollection", "features": zones}


def storm(seed: int, n_wearers: int, visits_an_hour: float, speed: float, answer_ms: float) -> Storm:
    """One run."""
    fixes, zones = scene(seed, n_wearers, visits_an_hour)
    shared = Shared(*(_SPAWN.Value(kind, 0, lock=False) for kind in "dqq"), *(_SPAWN.Event() for _ in range(2)))
    found = Storm(speed)
    with receiver(seed) as hook, stand((hook.url, SECRET)) as there:
        hook.answer_s = answer_ms / 1000
        with database.connect(there.database.url) as connection:
            configuration.save(connection, START_US, zones=zones)
        service = _SPAWN.Process(target=_serve, args=(there.settings_file, speed, shared), daemon=True)
        tags = _SPAWN.Process(target=_send, args=((seed, n_wearers, visits_an_hour), there.broker.url, speed, shared))
        service.start()
        tags.start()
        try:
            until(shared.ready.is_set, 120.0, "the service")
            shared.began_s.value = time.time() + 5.0
            _watch(found, there.database.url, shared, len(fixes))
            _take_times(found, there.database.url, hook, fixes, shared.began_s.value)
        finally:
            shared.stop.set()
            for process in (tags, service):
                process.join(30.0)
                if process.is_alive():
                    process.kill()
    return found


def _serve(settings_file: Path, speed: float, shared: Shared) -> None:
    """The service with its couriers, on simulated time."""
    import io

    import structlog

    import tagwatch.channels
    from tagwatch.running import alongside
    from tagwatch.service import Service
    from tagwatch.settings import read_settings

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(io.StringIO()))
    settings = read_settings(settings_file)
    notifiers = tagwatch.channels.notifiers_of(settings, system_clock)
    notifiers["terminal"] = Silent()

    def clock() -> int:
        began_s = shared.began_s.value
        return START_US if began_s == 0 else START_US + int(max(0.0, time.time() - began_s) * speed * SECOND_US)

    service = Service(settings, clock, on_ready=lambda _session: shared.ready.set())

    def count() -> None:
        while not shared.stop.wait(_SAMPLE_S / 4):
            shared.taken.value = service.counts.messages
        service.stopping.set()

    threading.Thread(target=count, daemon=True).start()
    with alongside(service, settings, notifiers, system_clock):
        service.run()


def _send(given: tuple[int, int, float], url: str, speed: float, shared: Shared) -> None:
    """The tags, by the clock, however the service does."""
    from tagwatch.publish import publish

    fixes, _ = scene(*given)
    while shared.began_s.value == 0 and not shared.stop.is_set():
        time.sleep(0.01)
    began_us = int(shared.began_s.value * SECOND_US)

    def count(n: int) -> None:
        shared.sent.value = n

    publish(fixes, url, speedup=speed, clock=lambda: max(system_clock(), began_us), await_stored=False, on_progress=count)


def _watch(found: Storm, url: str, shared: Shared, n_fixes: int) -> None:
    """Sample the queues until everything is taken and delivered."""
    give_up_s = time.time() + 60.0 * (BEFORE + STORM + AFTER) / found.speed + 120.0
    with database.connect(url) as connection:
        connection.autocommit = True
        while time.time() < give_up_s:
            row = connection.execute("SELECT count(*) FROM outbox WHERE status = 'pending'").fetchone()
            minute = (time.time() - shared.began_s.value) * found.speed / 60
            sent, taken = shared.sent.value, shared.taken.value
            found.samples.append(Sample(minute, sent, max(0, sent - taken), int(row[0]) if row else 0))
            if taken >= n_fixes and found.samples[-1].outbox == 0:
                break
            time.sleep(_SAMPLE_S)
        found.n_undelivered = found.samples[-1].outbox


def _take_times(found: Storm, url: str, hook: Receiver, fixes: Fixes, began_s: float) -> None:
    """When each version's messages came, when it was written, when the receiver had it, and when its tag sent the fix."""
    arrived: dict[tuple[str, int], float] = {}
    for taken in hook.taken:
        arrived.setdefault(alert_of(taken), taken.at_s)
    sent_s = {(fixes.devices[d], t): r for d, t, r in
              zip(fixes.device.tolist(), fixes.time_us.tolist(), fixes.received_s.tolist(), strict=True)}  # fmt: skip
    with database.connect(url) as connection:
        rows = connection.execute(
            "SELECT v.id, v.version, v.reason, v.latency_ms, (extract(epoch FROM min(o.next_at)) * 1000000)::bigint,"
            " v.content::json ->> 'wearer', v.content::json -> 'why' ->> 'decided_at' FROM alert_version v"
            " JOIN outbox o ON (o.alert_id, o.version) = (v.id, v.version) WHERE v.latency_ms IS NOT NULL"
            " GROUP BY v.id, v.version"
        ).fetchall()
    for name, version, reason, latency_ms, written_us, wearer, decided_at in rows:
        written_s = began_s + (written_us - START_US) / SECOND_US / found.speed
        taken_ms = latency_ms / found.speed
        minute = (written_us - START_US) / MINUTE_US
        found.to_commit.append((minute, taken_ms))
        got_s = arrived.get((name, version))
        if got_s is None:
            continue
        found.to_receiver.append((minute, (got_s - written_s) * 1000 + taken_ms))
        if reason == "raised" and decided_at and (key := (wearer, parse_time(decided_at))) in sent_s:
            left_s = began_s + (sent_s[key] - int(fixes.received_s[0])) / found.speed
            found.from_tag.append((minute, (got_s - left_s) * 1000))


def show(found: Storm) -> None:
    """A small table on standard output, and how long the queues took to be as before."""
    print(
        "minute    messages/s  alerts | waiting: broker  outbox | arrival to commit     to receiver  | tag to receiver [ms]"
    )
    for start in range(0, BEFORE + STORM + AFTER, STEP):
        here = [s for s in found.samples if start <= s.minute < start + STEP]
        if not here:
            continue
        seconds = STEP * 60 / found.speed
        columns = [_between(each, start) for each in (found.to_commit, found.to_receiver, found.from_tag)]
        name = "storm" if BEFORE <= start < BEFORE + STORM else ""
        rate = (here[-1].n_sent - here[0].n_sent) / seconds
        broker, outbox = max(s.broker for s in here), max(s.outbox for s in here)
        waits = " | ".join(_percentiles(each) for each in columns)
        print(
            f"{start:>2}-{start + STEP:<2} {name:<5} {rate:>9.0f}  {len(columns[0]):>6} |{broker:>15,} {outbox:>7,} | {waits}"
        )
    before = len([1 for m, _ in found.to_commit if STEP <= m < BEFORE]) / (BEFORE - STEP)
    within = len([1 for m, _ in found.to_commit if BEFORE <= m < BEFORE + STORM]) / STORM
    a_second, times = within * found.speed / 60, within / max(before, 0.1)
    print(f"alert versions a simulated minute: {before:.1f} before, {within:.1f} in the storm, {times:.1f} times as many")
    print(f"time runs {found.speed:g} times as fast: {a_second:.1f} versions a second of real time in the storm")
    print("longest queue after each area's entry, and until it was as before [s]: " + "; ".join(_recoveries(found)))
    print(f"not delivered at the end: {found.n_undelivered}")


def _recoveries(found: Storm) -> list[str]:
    usual = max([s.outbox for s in found.samples if STEP <= s.minute < BEFORE], default=0)
    told = []
    for k in range(N_AREAS - 1):
        start = BEFORE + k * STORM // (N_AREAS - 1)
        after = [s for s in found.samples if start <= s.minute < start + STORM // (N_AREAS - 1)]
        high = max(after, key=lambda s: s.outbox)
        back = next((s for s in after if s.minute > high.minute and s.outbox <= usual), None)
        took = "not in time" if back is None else f"{(back.minute - high.minute) * 60 / found.speed:.1f}"
        told.append(f"{high.outbox:,}, {took}")
    return told


def _between(each: list[tuple[float, float]], start: int) -> NDArray[np.float64]:
    return np.array([value for minute, value in each if start <= minute < start + STEP])


def _percentiles(values: NDArray[np.float64]) -> str:
    if not len(values):
        return f"{'-':>18}"
    p50, p99, most = np.percentile(values, [50, 99, 100])
    return f"p50 {p50:>4.0f} p99 {p99:>5.0f} max {most:>5.0f}"


def _zone(number: int, lat: float, lon: float) -> dict[str, Any]:
    return {
        "type": "Feature", "geometry": {"type": "Point", "coordinates": [round(float(lon), 7), round(float(lat), 7)]},
        "properties": {"id": f"area-{number}", "kind": "exclusion", "wearers": "*", "radius_m": 200},
    }  # fmt: skip


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wearers", type=int, default=1000)
    parser.add_argument("--visits-an-hour", type=float, default=0.5)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--answer-ms", type=float, default=10.0, help="How long the receiver takes to answer")
    given = parser.parse_args()
    show(storm(given.seed, given.wearers, given.visits_an_hour, given.speed, given.answer_ms))


if __name__ == "__main__":
    main()
