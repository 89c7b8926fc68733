"""`python -m tests.fuzz [TARGET...]`: throws mutated inputs at readers; failures are kept as files and can be repeated."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from threading import Lock
from typing import Any

from tests.fuzz.runs import run_all
from tests.fuzz.target import ROOT, Target
from tests.fuzz.targets import TARGETS

RESULTS = ROOT / "benchmarks" / "results" / "fuzz.json"


def main() -> int:
    """Exit code 1 where anything failed."""
    given = _arguments()
    unknown = [name for name in given.targets if name not in TARGETS]
    if unknown:
        print(f"no target {', '.join(unknown)}; there are: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    chosen = [TARGETS[name] for name in given.targets or TARGETS]
    if given.repeat:
        return _repeat(chosen[0], given.repeat)
    if given.coverage:
        from tests.fuzz.coverage import run_with_coverage

        return run_with_coverage(chosen, given.seconds or 60.0, given.seed, given.failures)
    lock = Lock()

    def say(name: str, one: dict[str, Any]) -> None:
        with lock:
            _say(name, one)
            if given.record:
                _record({name: one}, given.seed)

    n_inputs = given.inputs if given.inputs or given.seconds else 20_000
    found = run_all(chosen, n_inputs, given.seconds or 0.0, given.seed, given.jobs, given.failures, say)
    n = sum(one["inputs"] for one in found.values())
    n_failed = sum(len(one["failures"]) for one in found.values())
    print(f"{n:,} inputs, {n_failed} findings")
    return 1 if n_failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all where none is named")
    parser.add_argument(
        "--inputs", type=int, help="inputs a target (slow targets: a share of it); repeatable with the seed"
    )
    parser.add_argument("--seconds", type=float, help="or: seconds a target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--failures", type=Path, default=ROOT / "fuzz-failures", help="folder for inputs that fail")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="one input again, with its whole traceback")
    parser.add_argument("--coverage", action="store_true", help="with atheris, which looks for new paths through the code")
    parser.add_argument("--record", action="store_true", help=f"add the counts to {RESULTS.relative_to(ROOT)}")
    return parser.parse_args()


def _say(name: str, one: dict[str, Any]) -> None:
    rate = one["inputs"] / max(one["seconds"], 1e-9)
    print(
        f"{name:18} {one['inputs']:>11,} inputs {rate:>8,.0f}/s  accepted {one['accepted'] / max(one['inputs'], 1):>4.0%}"
        f"  kinds {one['shapes']:>5,}  slowest {one['slowest_s'] * 1000:>7,.1f} ms  memory {one['peak_mb']:>5,.0f} (+{one['grown_mb']:,.0f}) MB"
        f"  findings {len(one['failures'])}",
        flush=True,
    )
    for signature, failure in one["failures"].items():
        print(f"    {signature}: {failure['times']:,} times: {failure['told']}")
        print(f"    python -m tests.fuzz {name} --repeat fuzz-failures/{failure['file']}", flush=True)


def _repeat(target: Target, path: Path) -> int:
    taken, came = target.outcome(path.read_bytes())
    print(f"{'taken' if taken else 'refused'}: {came}")
    return 0


def _record(found: dict[str, Any], seed: int) -> None:
    """Add to what earlier runs counted: inputs sum up, the slowest and the largest stay."""
    told = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"inputs": 0, "targets": {}}
    for name, one in found.items():
        known = told["targets"].setdefault(
            name, {"inputs": 0, "accepted": 0, "seconds": 0.0, "slowest_s": 0.0, "peak_mb": 0.0, "findings": 0}
        )
        for key in ("inputs", "accepted", "seconds"):
            known[key] = round(known[key] + one[key], 1)
        for key in ("slowest_s", "peak_mb"):
            known[key] = max(known[key], one[key])
        known["findings"] += len(one["failures"])
        known["seeds"] = sorted({*known.get("seeds", []), seed})
    told["inputs"] = sum(known["inputs"] for known in told["targets"].values())
    RESULTS.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
