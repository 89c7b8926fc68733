"""All benchmarks, as a table on standard output and as JSON in benchmarks/results/: `python -m benchmarks.run`.

Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import warnings
from pathlib import Path

from benchmarks.rounds import Row, machine, table
from benchmarks.servers import postgres

RESULTS = Path(__file__).parent / "results"
ALONE = ("check", "all_zones", "polygon", "masses", "replay", "whole_replay", "memory", "match", "archive")
WITH_SERVERS = ("store", "years", "service", "latency", "late", "console")


def main() -> None:
    """Run what is asked for (all by default), print the table and keep each benchmark's rows."""
    names = (*ALONE, *WITH_SERVERS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"one or more of {', '.join(names)} (default: all)")
    asked = parser.parse_args().only or list(names)
    if unknown := set(asked) - set(names):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    found: list[Row] = []
    for name in asked:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows = _bench(name)
        keep(name, rows)
        found += rows
    print(machine())
    print(table(found))


def keep(name: str, found: list[Row]) -> None:
    """Write a benchmark's rows and the machine's description to its file in `results/`."""
    RESULTS.mkdir(exist_ok=True)
    told = {"benchmark": name, "machine": machine(), "rows": [{**row._asdict(), "rate": round(row.rate)} for row in found]}
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def _bench(name: str) -> list[Row]:
    bench = importlib.import_module(f"benchmarks.bench_{name}").bench
    if name in ALONE:
        return list(bench())
    with warnings.catch_warnings(), postgres() as (url, folder):
        return list(bench(url) if name == "store" else bench(url, folder))


if __name__ == "__main__":
    main()
