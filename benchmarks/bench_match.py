"""The match of many crimes with many wearers: both plans beside duckdb, polars, geopandas and numpy on the same city, and one
crime against all; answers compared. `python -m benchmarks.bench_match 2000 365` asks a larger city (wearers, days), and
`python -m benchmarks.bench_match 20000 30 single` only one crime after the other.

Peers say who is placed, which takes one fix at a time; nobody else says who is possible and who is excluded, so for that
there is only a loop in Python. One thread means one processor. Memory is what a candidate held at most beyond the columns.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import match_peers as peers
from benchmarks.match_scenes import City, burglaries, city
from benchmarks.rounds import Row, machine, medians, rows, table
from benchmarks.run import keep
from crime_match.batch.matcher import NUMBERS, Answers, Matcher
from crime_match.batch.plans import Crimes
from crime_match.passage import passage_of
from crime_match.question import Question
from crime_match.verdicts import PLACED, POSSIBLE, VERDICTS, verdict_of

N_CRIMES, N_SINGLE, N_LONG = 10_000, 200, 20
ONE, TWO = "one thread", "two threads"
PEER = "duckdb, equal keys, two threads"
GB = 1e9
PATIENCE_S = 10.0  # what takes longer is measured once


class Town(NamedTuple):
    """A city, its burglaries, who answers, and how long it took to make the summaries of the hours [s]."""

    trails: City
    questions: list[Question]
    matcher: Matcher
    n_days: int
    hours_s: float

    @property
    def n_fixes(self) -> int:
        """How many fixes there are."""
        return len(self.trails.tracks.tick)

    @property
    def name(self) -> str:
        """Its size."""
        return f"{self.n_fixes / 1e6:,.0f} M fixes ({len(self.trails):,} wearers x {self.n_days} days)"

    @property
    def memory(self) -> str:
        """What its columns hold."""
        held = [
            sum(column.nbytes for column in part or () if isinstance(column, np.ndarray))
            for part in (self.trails.tracks, self.trails.hours)
        ]
        return f"tracks {held[0] / GB:.2f} GB, hours {held[1] / GB:.2f} GB, made in {self.hours_s:.1f} s"


def bench(n_rounds: int = 3) -> list[Row]:
    """Rows of the report at a size that fits beside other work: a city of 1,000 for a month beside its peers, all 20,000
    wearers for two days with one crime after the other, verdicts beside a loop, and what the plans were expected to cost."""
    month, days = town(1_000, 30), town(20_000, 2)
    found = one_by_one(town(20, 5, n_crimes=50))
    for part in (batch, scan_rate, placed_by_peers, expected):
        found += told(part(month, n_rounds))
    for each in (single, single_by_peers):
        found += told(each(days))
    return found


def large(n_wearers: int, n_days: int, *, only_single: bool = False, n_rounds: int = 3) -> list[Row]:
    """Rows of the report for a city that fills the memory; those of one crime after the other come first."""
    whole = town(n_wearers, n_days)
    parts = () if only_single else (batch, scan_rate, expected)
    return told(single(whole)) + [row for part in parts for row in told(part(whole, n_rounds))]


def told(found: list[Row]) -> list[Row]:
    """The rows, shown at once: the rest may take long."""
    print(table(found), file=sys.stderr, flush=True)
    return found


def town(n_wearers: int, n_days: int, n_crimes: int = N_CRIMES) -> Town:
    """A city with its burglaries, summaries made, kernels compiled."""
    trails = City(city(n_wearers, n_days))
    matcher = Matcher(trails)
    matcher.tags = trails.tags()
    questions = burglaries(n_crimes, n_days, cities=trails.tracks)
    started_s = time.perf_counter()
    _ = trails.hours
    made = Town(trails, questions, matcher, n_days, time.perf_counter() - started_s)
    for plan in ("index", "scan"):
        matcher.answer(questions[:2], plan)
    return made


def batch(of: Town, n_rounds: int) -> list[Row]:
    """All burglaries at once, by both plans, on one and two processors."""

    def run(plan: str, n: int) -> Answers:
        with processors(n):
            return of.matcher.answer(of.questions, plan)

    runs = {f"{plan}, {text}": partial(run, plan, n) for plan in ("index", "scan") for n, text in ((1, ONE), (2, TWO))}
    notes = {name: f"{held_gb(each)[0]:.2f} GB" for name, each in runs.items()}
    answers = {plan: of.matcher.answer(of.questions, plan) for plan in ("index", "scan")}
    same = all(np.array_equal(*pair) for pair in zip(*answers.values(), strict=True))
    counts = zip(VERDICTS, answers["scan"].counts().sum(axis=0).tolist(), strict=True)
    said = ", ".join(f"{n:,} {verdict}" for verdict, n in counts)
    notes[f"scan, {TWO}"] += f"; {said}; index and scan {'agree' if same else 'DIFFER'}; {of.memory}"
    taken = medians(runs, n_rounds)
    found = rows(f"{len(of.questions):,} crimes, {of.name}", of.n_fixes, "fixes", taken, f"scan, {ONE}")
    return [row._replace(note=notes[row.candidate]) for row in found]


def scan_rate(of: Town, n_rounds: int) -> list[Row]:
    """How many fixes a second one processor passes over, for few crimes and many: all but excluded comes out."""

    def run(n: int) -> Answers:
        with processors(1):
            return of.matcher.answer(of.questions[:n], "scan")

    taken = medians({f"{n:,} crimes": partial(run, n) for n in (1, 100, 1_000)}, n_rounds)
    return rows(f"scan, one thread, {of.name}", of.n_fixes, "fixes", taken, "1 crimes")


def placed_by_peers(of: Town, n_rounds: int) -> list[Row]:
    """Who is placed at which of the burglaries: peers, and ours, which also says who is possible."""
    ours = placed(of.matcher.answer(of.questions), len(of.trails))
    asked, fixes = peers.crimes(of.trails.tracks, of.questions), peers.columns(of.trails.tracks)
    asks: dict[str, Any] = {
        PEER: ("duckdb", lambda: peers.duckdb_cells(fixes, 2)),
        "duckdb, equal keys, one thread": ("duckdb", lambda: peers.duckdb_cells(fixes, 1)),
        "polars, equal keys": ("polars", lambda: peers.polars_cells(fixes)),
        "numpy, in order of time": ("numpy", lambda: peers.numpy_by_time(fixes)),
    }
    found: list[Row] = []
    for name, (package, made) in asks.items():
        found += _peer(of, name, package, made, asked, ours, 1.0, n_rounds)
    n_part = len(of.questions) // 500  # these would take minutes: so many crimes, and seconds scaled
    part, of_part = asked[:n_part], ours[ours < n_part * len(of.trails)]
    for name, package, made in (
        ("numpy, every fix", "numpy", lambda: peers.numpy_scan(fixes)),
        ("duckdb, ranges, two threads", "duckdb", lambda: peers.duckdb_ranges(fixes, 2)),
    ):
        found += _peer(of, name, package, made, part, of_part, len(of.questions) / n_part, 1)
    few = town(100, 30)  # points as objects would take all the memory
    few_ours = placed(few.matcher.answer(few.questions), len(few.trails))
    few_asked, few_fixes = peers.crimes(few.trails.tracks, few.questions), peers.columns(few.trails.tracks)
    found += _peer(
        few, "geopandas sjoin", "geopandas", lambda: peers.geopandas_boxes(few_fixes), few_asked, few_ours, 1.0, 1
    )
    return [
        row._replace(ratio=row.rate / found[0].rate) if row is not found[0] and found[0].units else row for row in found
    ]


def _peer(
    of: Town, name: str, package: str, made: Callable[[], peers.Ask], asked: peers.Crimes, ours: NDArray[np.int64],
    scale: float, n_rounds: int,
) -> list[Row]:  # fmt: skip
    bench = f"placed only, {len(of.questions):,} crimes, {of.name}"
    if not _installed(package):
        return [Row(bench, name, 0, "fixes", float("inf"), None, "not installed")]
    started_s = time.perf_counter()
    ask = made()
    built_s = time.perf_counter() - started_s
    answered: list[peers.Pairs] = []
    held, seconds = held_gb(lambda: answered.append(ask(asked)))
    if seconds < PATIENCE_S:
        seconds = medians({name: lambda: ask(asked)}, n_rounds)[name]
    n_other = len(np.setxor1d(answered[0], ours))
    note = f"{version(package)}; {n_other} of {len(ours):,} pairs not ours; made ready in {built_s:.1f} s; {held:.2f} GB"
    note += f"; {len(asked)} crimes asked, seconds scaled" if scale > 1 else ""
    return [Row(bench, name, of.n_fixes, "fixes", seconds * scale, None, note)]


def placed(answers: Answers, n_wearers: int) -> NDArray[np.int64]:
    """The placed pairs as peers give them."""
    mine = answers.verdict == NUMBERS[PLACED]
    return np.sort(answers.crime[mine].astype(np.int64) * n_wearers + answers.wearer[mine])


def single(of: Town) -> list[Row]:
    """One crime after the other from the index, warm: who is placed and possible, and all verdicts of all wearers."""
    some = of.questions[: N_SINGLE + 20]

    def shortlist(k: int) -> object:
        answers = of.matcher.answer(some[k : k + 1], "index")
        return answers.crime[answers.verdict <= NUMBERS[POSSIBLE]]

    def everyone(k: int) -> object:
        answers = of.matcher.answer(some[k : k + 1], "index")
        verdict = np.full(len(of.trails), NUMBERS["excluded"], np.uint8)
        verdict[answers.wearer] = answers.verdict
        return verdict

    found = []
    for name, ask in (("placed and possible", shortlist), ("all verdicts", everyone)):
        found += _one_crime(of, f"ours, {name}", ask, len(some))
    return found


def single_by_peers(of: Town) -> list[Row]:
    """The same of peers that keep the fixes in order of time, so that only the window's are read, however many days there
    are; placed only."""
    asked, fixes = peers.crimes(of.trails.tracks, of.questions[: N_SINGLE + 20]), peers.columns(of.trails.tracks)
    found = []
    for name, package, made in (
        ("duckdb, in order of time, two threads", "duckdb", lambda: peers.duckdb_ranges(fixes, 2)),
        ("numpy, in order of time", "numpy", lambda: peers.numpy_by_time(fixes)),
    ):
        if _installed(package):
            ask = made()
            found += _one_crime(of, f"{name}, placed only", lambda k, ask=ask: ask(asked[k : k + 1]), len(asked))  # type: ignore[misc]
    return found


def _one_crime(of: Town, name: str, ask: Callable[[int], object], n: int) -> list[Row]:
    taken = []
    for k in range(n):
        started_s = time.perf_counter()
        ask(k)
        taken.append(time.perf_counter() - started_s)
    p50, p95, most = np.percentile(taken[20:], [50, 95, 100]).tolist()
    bench = f"one crime of {n - 20}, {of.name}"
    return [
        Row(bench, f"{name}, p50", 1, "crimes", p50),
        Row(bench, f"{name}, p95", 1, "crimes", p95, None, f"at most {most * 1e3:.1f} ms"),
    ]


def one_by_one(of: Town) -> list[Row]:
    """All verdicts of a small city beside loops: the plain one in Python, and the records' own way, pair by pair."""
    answers = of.matcher.answer(of.questions)
    ours = np.full((len(of.questions), len(of.trails)), NUMBERS["excluded"], np.uint8)
    ours[answers.crime, answers.wearer] = answers.verdict
    trails = list(of.trails)
    lists = [peers.listed(trail) for trail in trails]

    def loop() -> list[list[str]]:
        return [[peers.verdict_by_loop(question, trail) for trail in lists] for question in of.questions]

    def pairs() -> list[list[str]]:
        tags = of.matcher.tags
        return [
            [verdict_of(q, trail, passage_of(q, trail), None, tags[w]).name for w, trail in enumerate(trails)]
            for q in of.questions
        ]

    taken = medians({"ours": lambda: of.matcher.answer(of.questions), "Python loop": loop, "pair by pair": pairs}, 3)
    found = rows(f"verdicts, {len(of.questions):,} crimes, {of.name}", ours.size, "pairs", taken, "Python loop")
    notes = {"ours": ""}
    for name, said in (("Python loop", loop()), ("pair by pair", pairs())):
        n_other = int((np.array([[NUMBERS[v] for v in row] for row in said]) != ours).sum())
        notes[name] = f"{n_other} of {ours.size:,} verdicts not ours"
    return [row._replace(note=notes[row.candidate]) for row in found]


def expected(of: Town, n_rounds: int, sizes: Sequence[int] = (1, 10, 100, 1_000, 10_000)) -> list[Row]:
    """What both plans were expected to take and took, about the break-even: few crimes and many, and long windows."""
    found = []
    long = burglaries(N_LONG, of.n_days, seed=7, long_share=1.0)
    for name, questions in [*((f"{n:,} crimes", of.questions[:n]) for n in sizes), (f"{len(long):,} crimes of days", long)]:
        cost = of.matcher.cost(Crimes.of(questions))
        taken = medians({plan: partial(of.matcher.answer, questions, plan) for plan in ("index", "scan")}, n_rounds)
        right = cost.plan == min(taken, key=taken.__getitem__)
        for plan, seconds in (("index", cost.index_s), ("scan", cost.scan_s)):
            note = f"expected {seconds:.4f} s" + (
                f"; chosen, {'rightly' if right else 'WRONGLY'}" if plan == cost.plan else ""
            )
            found.append(Row(f"cost, {name}, {of.name}", plan, of.n_fixes, "fixes", taken[plan], None, note))
    return found


@contextmanager
def processors(n: int) -> Iterator[None]:
    """Let this process have so many processors for a while."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:n]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def held_gb(run: Callable[[], object]) -> tuple[float, float]:
    """How much more memory was resident at the most while it ran than before [GB], and how long it took [s]."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # forgets the peak
    before, started_s = _resident("VmRSS"), time.perf_counter()
    run()
    seconds = time.perf_counter() - started_s
    return (_resident("VmHWM") - before) / GB, seconds


def _resident(what: str) -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    n_wearers, n_days = (int(text) for text in sys.argv[1:3])
    found = large(n_wearers, n_days, only_single="single" in sys.argv[3:])
    keep(f"match_{n_wearers}x{n_days}", found)
    print(machine())
    print(table(found))
