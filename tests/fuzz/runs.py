"""Runs of targets, each in a process of its own that may crash, hang or run out of memory without ending the others."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.fuzz.target import ROOT, Target
from tests.fuzz.worker import SCRATCH_BYTES

HANG_S = 60.0
_MOST_RESTARTS = 20


def run_all(
    targets: list[Target], n_inputs: int | None, seconds: float, seed: int, n_jobs: int, folder: Path, say: Any
) -> dict[str, Any]:
    """By target what became of it; `say` is told of each as it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}

    def one(target: Target) -> None:
        n = 10**12 if n_inputs is None else max(1, round(n_inputs * target.share))
        found[target.name] = run(target, n, seconds * target.share if n_inputs is None else 86_400.0, seed, folder)
        say(target.name, found[target.name])

    with ThreadPoolExecutor(n_jobs) as pool:
        list(pool.map(one, targets))
    return {name: found[name] for name in (target.name for target in targets)}


def run(target: Target, n_inputs: int, seconds: float, seed: int, folder: Path) -> dict[str, Any]:
    """One target; where its process dies or hangs the input is kept, and another goes on with another seed."""
    total: dict[str, Any] = {
        "inputs": 0,
        "accepted": 0,
        "seconds": 0.0,
        "slowest_s": 0.0,
        "shapes": 0,
        "peak_mb": 0.0,
        "grown_mb": 0.0,
        "failures": {},
    }
    until, n_starts = time.monotonic() + seconds, 0
    while total["inputs"] < n_inputs and time.monotonic() < until and n_starts < _MOST_RESTARTS:
        name = f"{seed}.{n_starts}" if n_starts else str(seed)
        n_starts += 1
        _add(total, _process(target, name, n_inputs - total["inputs"], until - time.monotonic(), folder))
    total["restarts"] = n_starts - 1
    return total


def _process(target: Target, seed: str, n_inputs: int, seconds: float, folder: Path) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile() as scratch, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        scratch.truncate(SCRATCH_BYTES)
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.worker",
            target.name,
            seed,
            str(n_inputs),
            f"{seconds:.3f}",
            str(folder),
            scratch.name,
        ]
        start = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
        with mmap.mmap(scratch.fileno(), SCRATCH_BYTES) as view:
            how = _watch(process, view)
            if not how:
                out.seek(0)
                return dict(json.loads(out.read().rstrip().rsplit(b"\n", 1)[-1]))
            n, length = (int.from_bytes(view[at : at + 8], "little") for at in (0, 8))
            path = folder / f"{target.name}-{how}-{seed}"
            path.write_bytes(view[16 : 16 + length])
        err.seek(0)
        told = err.read().decode("utf-8", "replace")[-400:]
    failure = {"times": 1, "told": f"the process {how} {told}", "bytes": length, "file": path.name}
    return {"inputs": max(n, 1), "accepted": 0, "seconds": time.monotonic() - start, "slowest_s": 0.0, "shapes": 0, "peak_mb": 0.0,
            "grown_mb": 0.0, "failures": {how: failure}}  # fmt: skip


def _watch(process: subprocess.Popen[bytes], view: mmap.mmap) -> str:
    """Wait for the end; empty where it was a good one, else how it died."""
    last, since = b"", time.monotonic()
    while True:
        try:
            code = process.wait(0.5)
            return "" if code == 0 else f"died-{-code if code < 0 else code}"
        except subprocess.TimeoutExpired:
            now = view[0:8]
            if now != last or now == bytes(8):
                last, since = now, time.monotonic()
            if time.monotonic() - since > HANG_S:
                process.kill()
                process.wait()
                return "hung"


def _add(total: dict[str, Any], more: dict[str, Any]) -> None:
    for key in ("inputs", "accepted", "seconds"):
        total[key] = round(total[key] + more[key], 3)
    for key in ("slowest_s", "shapes", "peak_mb", "grown_mb"):
        total[key] = max(total[key], more[key])
    for signature, failure in more["failures"].items():
        known = total["failures"].setdefault(signature, failure | {"times": 0})
        known["times"] += failure["times"]
