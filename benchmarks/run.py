"""All benchmarks, as a table on standard output: `python -m benchmarks.run`. Nothing here passes or fails."""

from __future__ import annotations

import argparse
import sys
import warnings

from benchmarks import bench_containment, bench_end_to_end, bench_replay, bench_store
from benchmarks.rounds import Row, machine, table
from benchmarks.servers import postgres


def main() -> None:
    """Run what is asked for (all by default) and print the table."""
    names = ("replay", "containment", "store", "end_to_end")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"one or more of {', '.join(names)} (default: all)")
    asked = parser.parse_args().only or list(names)
    if unknown := set(asked) - set(names):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    found: list[Row] = []
    for name in asked:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found += _bench(name)
    print(machine())
    print(table(found))


def _bench(name: str) -> list[Row]:
    if name == "replay":
        return bench_replay.bench()
    if name == "containment":
        return bench_containment.bench()
    with warnings.catch_warnings(), postgres() as (url, folder):
        return bench_store.bench(url) if name == "store" else bench_end_to_end.bench(url, folder)


if __name__ == "__main__":
    main()
