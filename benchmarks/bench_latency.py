"""From the arrival of a fix to its alert out, at half of the load: tags send by the clock, whatever the service does, and a
latency counts from the moment when the fix was to be sent: a pause of the service is felt by every fix that falls into it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from alerts.delivery import Delivery
from benchmarks.bench_service import count_acknowledged, naive_service, settings_of, single_fixes
from benchmarks.histogram import histogram, percentiles
from benchmarks.live import Place, Shared, Stopwatch, refresh_as_often_as, run
from benchmarks.load import Load
from benchmarks.rounds import Row
from benchmarks.scenes import Conduct
from engine.times import parse_time
from tagwatch.couriers import couriers
from tagwatch.service import Service

RATE = 2500.0
BUSY = Conduct(breach=0.15)
"""One wearer in seven goes where he must not."""
_WARM_S = 3.0
RESULT = Path(__file__).parent / "results" / "latency.txt"


class Sink:
    """The receiver of all alerts, which notes when each came."""

    def __init__(self) -> None:
        self.came: list[tuple[float, str, bytes]] = []

    def send(self, delivery: Delivery) -> None:
        """Take a delivery."""
        self.came.append((time.monotonic(), delivery.step, bytes(delivery.alert)))


class Known(NamedTuple):
    """An alert that was raised: when it came out, whose it is, and the fix that decided it."""

    came_s: float
    wearer: str
    decided_us: int


def bench(url: str, folder: Path, rate: float = RATE, seconds: float = 24.0) -> list[Row]:
    """Rows of the report: the median as seconds; the histogram is kept in results/latency.txt."""
    n_wearers = 2000
    load, scene, before = single_fixes(n_wearers, int(rate * seconds) // n_wearers, BUSY)
    found, texts = [], []
    for kind, serve, n in (("tagwatch", tagwatch_service, load.n), ("paho, shapely, INSERT", naive_service, load.n // 4)):
        part = load.first(n)
        done = run(part, scene, url, folder / f"latency-{kind}", serve, rate=rate, before=before)
        raised = [Known(*each) for each in done.report["raised"]]
        taken_ms = latencies_ms(part, raised, done.began_s, rate)
        p = percentiles(taken_ms)
        note = f"p50 {p[50.0]:.1f}, p99 {p[99.0]:.1f}, longest {p[100.0]:.1f} ms at {rate:,.0f} fixes/s; {done.shares()}"
        found.append(Row("latency", kind, len(taken_ms), "alerts", p[50.0] / 1000, None, note))
        texts.append(f"{kind}, {rate:,.0f} messages of one fix a second\n{histogram(taken_ms)}\n")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text("\n".join(texts), "utf-8")
    print("\n".join(texts))
    ours, peer = found
    return [ours._replace(ratio=peer.seconds / ours.seconds), peer]


def latencies_ms(load: Load, raised: list[Known], began_s: float, rate: float) -> list[float]:
    """From when the deciding fix was to be sent to when its alert came out; the first seconds, cold, are left out."""
    message = {key: k for k, key in enumerate(zip(load.device, load.time_us.tolist(), strict=True))}
    due_s = {key: began_s + k / rate for key, k in message.items() if k / rate >= min(_WARM_S, load.n / rate / 4)}
    return [1000 * (each.came_s - due_s[key]) for each in raised if (key := (each.wearer, each.decided_us)) in due_s]


def tagwatch_service(place: Place, shared: Shared) -> None:
    """The service and its courier as they run, with a receiver of our own."""
    count_acknowledged(shared)
    refresh_as_often_as(place)
    sink, clock = Sink(), place.clock(shared)
    watch = Stopwatch(shared)
    service = Service(settings_of(place), clock, on_ready=lambda _session: watch.ready())
    watch.stop_with(service.stopping)
    with couriers(place.database, {"terminal": sink}, clock):
        service.run()
    shared.report.put(("service", {"raised": _raised(sink), "processor": watch.spent_s}))


def _raised(sink: Sink) -> list[tuple[float, str, int]]:
    found: list[tuple[float, str, int]] = []
    for came_s, step, content in sink.came:
        alert: dict[str, Any] = json.loads(content)
        if step == "raised" and alert["rule"] == "zone.exclusion":
            found.append((came_s, alert["wearer"], parse_time(alert["why"]["decided_at"])))
    return found
