"""The ledger law over thousands of random worlds: `python -m benchmarks.worlds --examples 10000 --seed 1`.

Each number is one world (see tests/property/worlds.py). A world that breaks the law is told by its number, and in words when
it is asked for alone: `--only NUMBER` looks for the smallest one in it that breaks the law in the same way.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from typing import NamedTuple

SIZES = (5, 20, 50, 90)
"""The most fixes a device, by turns; one world in 500 is LONG, so that states are kept to go back to."""
LONG = 700


class Lived(NamedTuple):
    """What became of one world: its number, what broke (empty: nothing), and what was counted."""

    number: int
    broken: str
    n_fixes: int = 0
    n_events: int = 0
    n_checks: int = 0
    n_recalls: int = 0
    n_versions: int = 0


def n_most(number: int) -> int:
    """The most fixes a device of a world."""
    return LONG if number % 500 == 499 else SIZES[number % len(SIZES)]


def let_live(number: int) -> Lived:
    """Let the world of a number happen."""
    from tests.property.keeper import live
    from tests.property.worlds import world

    try:
        keeper = live(world(number, n_most(number)))
    except Exception as fault:  # whatever it is, it is what this looks for
        return Lived(number, _words(fault))
    n_fixes = sum(map(len, keeper.fixes))
    return Lived(number, "", n_fixes, len(keeper.events), keeper.n_checks, keeper.n_recalls, len(keeper.versions))


def _words(fault: Exception) -> str:
    where = traceback.extract_tb(fault.__traceback__)[-1]
    first = str(fault).partition("\n")[0]
    return f"{type(fault).__name__} {first} ({where.filename.rpartition('/')[2]}:{where.lineno})"


def show_smallest(number: int) -> int:
    """Print the smallest world in the one of a number that breaks the law in the same way; returns the exit code."""
    from tests.property.keeper import live
    from tests.property.worlds import World, smallest, told, world

    def breaks(of: World) -> str:
        try:
            live(of)
        except Exception as fault:
            return _words(fault)
        return ""

    whole = world(number, n_most(number))
    broken = breaks(whole)
    if not broken:
        print(f"world {number} keeps the law")
        return 0
    print(told(smallest(whole, lambda of: breaks(of) == broken)))
    print(broken)
    return 1


def run(examples: int, seed: int, processes: int) -> Iterator[Lived]:
    """The worlds of so many numbers from seed * 10**6 on, as they are done."""
    numbers = range(seed * 10**6, seed * 10**6 + examples)
    with multiprocessing.get_context("fork").Pool(processes, maxtasksperchild=2000) as pool:
        yield from pool.imap_unordered(let_live, numbers, chunksize=10)


def main() -> int:
    """Run, print progress, failures and totals; exit code 1 where the law was broken."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--examples", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--processes", type=int, default=2)
    arguments.add_argument("--only", type=int, help="show the smallest world in this one that breaks the law")
    given = arguments.parse_args()
    warnings.filterwarnings("ignore", "overflow encountered")
    if given.only is not None:
        return show_smallest(given.only)
    began, done = time.monotonic(), list[Lived]()
    for lived in run(given.examples, given.seed, given.processes):
        done.append(lived)
        if lived.broken:
            print(f"world {lived.number}: {lived.broken}", flush=True)
        if len(done) % 500 == 0:
            print(f"{len(done)} worlds, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    n_broken = sum(bool(lived.broken) for lived in done)
    totals = {name: sum(getattr(lived, name) for lived in done) for name in Lived._fields[2:]}
    counted = ", ".join(f"{total} {name.removeprefix('n_')}" for name, total in totals.items())
    print(f"{len(done)} worlds in {time.monotonic() - began:.0f} s: {n_broken} broke the law; {counted}")
    return 1 if n_broken else 0


if __name__ == "__main__":
    sys.exit(main())
