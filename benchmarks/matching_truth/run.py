"""Verdicts against planted truth, at full size.

`python -m benchmarks.matching_truth.run` prints the tables, writes benchmarks/results/matching_truth.json and
docs/matching.svg; `--towns N` looks at fewer towns and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.matching_truth import picture, tables, text
from benchmarks.matching_truth.pairs import Pair, pairs
from benchmarks.matching_truth.plants import Plant, committed, far_off, grazed, where_they_were
from benchmarks.matching_truth.reporting import Reported, reported, town
from benchmarks.rounds import machine
from tagwatch.simulate.world import World

ROOT = Path(__file__).resolve().parents[2]
WEARERS, DAYS, CRIMES, SEEDS = 60, 3, 100, range(501, 517)
N_ASKED = 6


class Run(NamedTuple):
    """What is laid into each town: crimes of a scene, how many at most, the errors, fix interval and speed to run with."""

    scene: str
    count: int
    errors: str = "as simulated"
    interval_s: int = 60
    max_speed_mps: float = 55.0


RUNS = (
    Run("town", 50),
    Run("presence", 350),
    *(Run("presence", 80, interval_s=s) for s in (10, 30, 120, 300)),
    *(Run("presence", 150, "clipped", s, v) for s, v in ((60, 55.0), (60, 14.0), (10, 55.0))),
    *(Run("presence", 350, max_speed_mps=v) for v in (20.0, 14.0)),
    *(Run("presence", 100, "doubled", 60, v) for v in (55.0, 20.0, 14.0)),
    *(Run("graze", 400, kind, s, 14.0) for kind in ("as simulated", "clipped", "doubled") for s in (10, 60)),
    Run("distance", 200),
    *(Run("distance", 60, interval_s=s) for s in (10, 30, 120, 300)),
    *(Run("distance", 60, max_speed_mps=v) for v in (14.0, 20.0, 30.0, 40.0, 70.0)),
    Run("distance", 200, "exact"),
)
"""14 m/s is just above what the simulated cars do (13.7)."""


def plants(scene: str, world: World, seed: int) -> Iterator[Plant]:
    """The crimes of a scene, without end but for the town's own; the same for a seed whatever the run."""
    rng = np.random.default_rng([seed, 99])
    many = 1_000_000
    return {
        "town": lambda: committed(world),
        "presence": lambda: where_they_were(world, many, rng),
        "graze": lambda: grazed(world, many, rng),
        "distance": lambda: far_off(world, many, N_ASKED, rng),
    }[scene]()


def measure(runs: Sequence[Run], seeds: Sequence[int], wearers: int = WEARERS, days: int = DAYS) -> pd.DataFrame:
    """All pairs of these runs in towns of these seeds, with the columns of Pair, of Run and the seed."""
    found: list[pd.DataFrame] = []
    for seed in seeds:
        worlds: dict[int, World] = {}
        said: dict[tuple[int, str], Reported] = {}
        laid: dict[str, list[Plant]] = {}
        for run in runs:
            if run.interval_s not in worlds:
                worlds[run.interval_s] = town(wearers, days, seed, CRIMES, run.interval_s)
            world = worlds[run.interval_s]
            if len(laid.get(run.scene, ())) < run.count:
                laid[run.scene] = list(islice(plants(run.scene, world, seed), run.count))
            mine = laid[run.scene][: run.count]
            if (run.interval_s, run.errors) not in said:
                said[run.interval_s, run.errors] = reported(world, run.errors)
            answered = pairs(said[run.interval_s, run.errors], mine, run.max_speed_mps)
            table = pd.DataFrame(answered, columns=Pair._fields)
            found.append(table.assign(**run._asdict(), seed=seed))
    return pd.concat(found, ignore_index=True)


def part(table: pd.DataFrame, scenes: Sequence[str], **wanted: Any) -> pd.DataFrame:
    """The pairs of some scenes as in the default run, but for what is said."""
    mine = table[table.scene.isin(scenes)]
    for key, value in {**Run("", 0)._asdict(), **wanted}.items():
        if key not in ("scene", "count") and value is not None:
            mine = mine[mine[key] == value]
    return mine


GOALS = (
    ("as simulated", 55.0, 3000.0, 120.0, True), ("as simulated", 55.0, 3000.0, 120.0, False),
    ("as simulated", 55.0, 3000.0, 75.0, True), ("as simulated", 55.0, 3000.0, 75.0, False),
    ("as simulated", 55.0, 3600.0, 120.0, False), ("as simulated", 40.0, 3000.0, 120.0, False),
    ("exact", 55.0, 3000.0, 120.0, True), ("exact", 55.0, 3600.0, 120.0, True),
)  # fmt: skip
"""Errors, maximum speed, least true distance [m], worst gap [s], whether mast fixes may bound the window."""


def results(table: pd.DataFrame) -> dict[str, Any]:
    """All tables, for the record."""
    far = ("town", "distance")
    usual = part(table, far)
    speeds = sorted(table[table.scene == "distance"].max_speed_mps.unique())
    gaps = list(pairwise(tables.GAPS_S))
    return {
        "roles": tables.by_role(part(table, ["town"])),
        "sensitivity": tables.sensitivity(part(table, ["presence"], interval_s=None)),
        "false": tables.false_placements(part(table, ["town"])),
        "wrong": tables.wrong_exclusions(table[table.scene.isin(["town", "presence"])]),
        "wrong_grazing": tables.wrong_exclusions(table[table.scene == "graze"]),
        "by_gap": [{"gap_s": gap, "curve": tables.curve(usual[~usual.masts], gap)} for gap in gaps],
        "by_gap_with_masts": [{"gap_s": gap, "curve": tables.curve(usual[usual.masts], gap)} for gap in gaps],
        "by_speed": [{"speed_mps": v, "curve": _without_masts(part(table, far, max_speed_mps=v))} for v in speeds],
        "goal": [
            {"errors": name, "max_speed_mps": v, **tables.goal(part(table, far, errors=name, max_speed_mps=v), *which)}
            for name, v, *which in GOALS
        ],
    }  # fmt: skip


def _without_masts(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    return tables.curve(pairs[~pairs.masts], (0.0, 120.0))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--towns", type=int, default=len(SEEDS), help="fewer: a look; nothing is written")
    seeds = SEEDS[: parser.parse_args().towns]
    started = time.perf_counter()
    found_in: list[pd.DataFrame] = []
    for seed in seeds:
        found_in.append(measure(RUNS, [seed]))
        print(f"town {seed}: {len(found_in[-1]):,} pairs, {time.perf_counter() - started:.0f} s", flush=True)
    table = pd.concat(found_in, ignore_index=True)
    found = {"pairs": len(table), "towns": len(seeds), **results(table)}
    print(text.tables(found))
    if len(seeds) == len(SEEDS):
        whole = json.dumps({"machine": machine(), **found}, indent=1).replace("Infinity", "null").replace("NaN", "null")
        (ROOT / "benchmarks/results/matching_truth.json").write_text(whole + "\n", "utf-8")
        (ROOT / "docs/matching.svg").write_text(picture.draw(found), "utf-8")


if __name__ == "__main__":
    main()
