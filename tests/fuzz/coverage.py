"""The same targets under atheris, which watches which paths an input takes through the code and keeps those that are new."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from pathlib import Path

from tests.fuzz.target import Target

MOST_MB = 2_500
_WATCHED = [
    "ingest", "geofence.zone", "geofence.schedule", "geofence.curfew", "geofence.proximity", "geofence.exceptions", "crime_match.crimes",
    "alerts.teams", "alerts.duty_hours", "engine.archive.manifest", "engine.archive.groups", "engine.times",
]  # fmt: skip
"""Readers; kernels would be compiled anew for it."""


def run_with_coverage(targets: list[Target], seconds: float, seed: int, folder: Path) -> int:
    """One target after the other, each in a process of its own; exit code 1 where one failed."""
    folder.mkdir(parents=True, exist_ok=True)
    n_failed = 0
    for target in targets:
        process = multiprocessing.get_context("spawn").Process(target=_run, args=(target.name, seconds, seed, str(folder)))
        process.start()
        process.join()
        n_failed += process.exitcode != 0
        print(f"{target.name}: {'failed, see ' + str(folder) if process.exitcode else 'no finding'}", flush=True)
    return 1 if n_failed else 0


def _run(name: str, seconds: float, seed: int, folder: str) -> None:
    import atheris

    with atheris.instrument_imports(include=_WATCHED, exclude=["ingest.mqtt_wire"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]

    def one(data: bytes) -> None:
        target.outcome(data)

    with tempfile.TemporaryDirectory() as corpus:
        for k, seed_bytes in enumerate(target.seeds()):
            (Path(corpus) / f"seed-{k}").write_bytes(seed_bytes)
        options = [
            f"-max_total_time={seconds:.0f}", f"-seed={seed}", f"-max_len={target.most_bytes}", f"-timeout={max(10, 5 * target.limit_s):.0f}",
            f"-rss_limit_mb={MOST_MB}", f"-artifact_prefix={folder}/{name}-", "-verbosity=0", "-print_final_stats=1",
        ]  # fmt: skip
        atheris.Setup([sys.argv[0], *options, corpus], one)
        atheris.Fuzz()
