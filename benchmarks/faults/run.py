"""One run: a stand, a fault produced some times, the recovery after each, the judgement of the whole."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import benchmarks.faults
from benchmarks.faults.fault import Fault
from benchmarks.faults.judgement import Verdict, judge
from benchmarks.faults.recovery import Recovery, Watcher
from benchmarks.faults.stand import Stand, made
from benchmarks.victims import ServiceProcess


@dataclass
class Result:
    """What is known of a fault after its run."""

    fault: str
    how: str
    tries: int = 0
    recoveries: list[Recovery] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    notes: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    skipped: str = ""

    @property
    def fine(self) -> bool:
        """Whether nothing was lost, doubled or changed, and everything came back by itself."""
        return not (self.skipped or self.verdict.faults or self.verdict.lost or self.verdict.doubled) and all(
            r.decided_s is not None and r.drained_s is not None for r in self.recoveries
        )

    def as_json(self) -> dict[str, Any]:
        """For benchmarks/results/faults.json."""
        return asdict(self) | {"recoveries": [r._asdict() for r in self.recoveries]}


def all_faults() -> list[Fault]:
    """Those of every module of this package that has `FAULTS`, by module and then as they stand there."""
    found: list[Fault] = []
    names = {module.name for module in pkgutil.iter_modules(benchmarks.faults.__path__)} - {"__main__"}
    for name in sorted(names, key=lambda name: (name != "baseline", name != "kills", name)):
        found += getattr(importlib.import_module(f"benchmarks.faults.{name}"), "FAULTS", [])
    return found


def run(fault: Fault, times: int | None = None, *, quick: bool = False, seed: int = 1, keep: Path | None = None) -> Result:
    """Produce a fault so many times and judge; `keep`: a folder for the service's logs of a run that is not fine."""
    tries = times or (1 if quick else fault.times)
    result = Result(fault.name, fault.how)
    if lacking := fault.lacks():
        result.skipped = lacking
        return result
    began_s = time.monotonic()
    with made(fault, tries, quick, seed) as stand:
        produce_all(stand, result, lambda: Watcher(stand))
        judge(stand, result.verdict)
        result.notes = stand.notes
        if keep is not None and not result.fine:
            _keep_logs(stand, keep)
    result.seconds = time.monotonic() - began_s
    return result


def produce_all(stand: Stand, result: Result, watching: Callable[[], Any]) -> None:
    """Every try of a run, each with its own slice of the tags' time."""
    watcher = watching()
    try:
        for _ in range(stand.tries):
            time.sleep(stand.random.uniform(0.5, 1.5) * (0.3 if stand.quick else 1.0))
            stand.fault.produce(stand)
            over_s = stand.take_over()
            stand.tags.pace.count()  # the tags go on, so that there is something to decide
            result.recoveries.append(watcher.recovery(over_s))
            result.tries += 1
            if isinstance(stand.service, ServiceProcess) and not stand.service.running:
                result.verdict.faults.append(f"the service ended by itself: {stand.service.log[-800:]}")
                stand.start(stand.service)
    finally:
        watcher.close()


def _keep_logs(stand: Stand, folder: Path) -> None:
    for path in stand.folder.glob("service-*.log"):
        (folder / f"{stand.fault.slug}-{path.name}").write_bytes(path.read_bytes())
