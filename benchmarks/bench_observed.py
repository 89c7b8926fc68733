"""What it costs the service to be observed: processor seconds for the same messages, measured and examined and scraped every
second, against the same service with all of that taken out. `python -m benchmarks.bench_observed`."""

from __future__ import annotations

import os
import tempfile
import threading
import urllib.request
from pathlib import Path
from statistics import median

from benchmarks.bench_service import count_acknowledged, settings_of, single_fixes
from benchmarks.live import Place, Run, Shared, Stopwatch, refresh_as_often_as, run
from tagwatch.counts import Counts
from tagwatch.embedded import embedded_database, free_port
from tagwatch.health.examiner import examined
from tagwatch.metrics.delivered import Delivered
from tagwatch.metrics.listener import listening
from tagwatch.service import Service, initialise
from tagwatch.settings import Metrics, Settings

SCRAPED_EVERY_S = 1.0  # Prometheus does it every 15


def observed_service(place: Place, shared: Shared) -> None:
    """The service as it runs, asked for its metrics and its health each second."""
    settings = settings_of(place).model_copy(update={"metrics": Metrics(listen=f"127.0.0.1:{free_port()}")})
    _serve(settings, place, shared, is_observed=True)


def unobserved_service(place: Place, shared: Shared) -> None:
    """The same without histograms, examiner and listener."""
    Counts._measure = lambda *_: None  # type: ignore[method-assign, assignment]
    _serve(settings_of(place), place, shared, is_observed=False)


def _serve(settings: Settings, place: Place, shared: Shared, *, is_observed: bool) -> None:
    watch = Stopwatch(shared)
    service = Service(settings, place.clock(shared), on_ready=lambda _session: watch.ready())
    count_acknowledged(shared)
    refresh_as_often_as(place)
    watch.stop_with(service.stopping)
    if not is_observed:
        service.run()
    else:
        with examined(service) as examiner, listening(service, examiner, Delivered()) as address:
            threading.Thread(target=_scrape, args=(address, service.stopping), daemon=True).start()
            service.run()
    shared.report.put(("service", {"batches": service.counts.batches, "processor": watch.spent_s}))


def _scrape(address: str, stopping: threading.Event) -> None:
    while not stopping.wait(SCRAPED_EVERY_S):
        for path in ("/metrics", "/health/live"):
            with urllib.request.urlopen(address + path, timeout=10) as answer:
                answer.read()


def main(n_messages: int = 30_000, n_rounds: int = 3) -> None:
    """Rounds in turn; medians and their ratio."""
    sent = single_fixes(1_000, n_messages // 1_000)
    taken: dict[str, list[Run]] = {"without": [], "observed": []}
    with tempfile.TemporaryDirectory(prefix="tagwatch-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded_database(folder / "postgres") as url:
            initialise(url)
            for k in range(n_rounds):
                for kind, serve in (("without", unobserved_service), ("observed", observed_service)):
                    place = folder / f"{kind}-{k}"
                    taken[kind].append(run(sent.load, sent.town, url, place, serve, before=sent.before))
    spent = {kind: [r.processor["service"] for r in runs] for kind, runs in taken.items()}
    for kind, runs in taken.items():
        print(f"{kind}: processor {spent[kind]} s, wall {[round(r.seconds, 1) for r in runs]} s, {runs[0].report}")
    ratio = median(spent["observed"]) / median(spent["without"])
    load = os.getloadavg()[0]
    print(f"{n_messages} messages, load of the machine {load:.0f}: processor seconds observed / without = {ratio:.3f}")


if __name__ == "__main__":
    main()
