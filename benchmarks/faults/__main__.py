"""The fault table: `python -m benchmarks.faults --peer` tries every fault for real and writes docs/reliability.md.

Those that mostly wait, and the runs of the naive service, go some at a time; the others one after the other.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.faults import table
from benchmarks.faults.fault import Fault
from benchmarks.faults.jobs import Job, work
from benchmarks.faults.run import Result, all_faults


def main() -> None:
    """See the module."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    every = all_faults()
    chosen = [f for f in every if not given.only or any(f.slug.startswith(name) for name in given.only)]
    if given.list:
        for fault in chosen:
            print(f"{fault.slug}: {fault.how}" + (f" (not here: {fault.lacks()})" if fault.lacks() else ""))
        return
    began_s = time.monotonic()
    ours, naive = _run_all(chosen, given)
    if not given.dry:
        table.write_page(table.keep(every, ours, naive))
    wrong = [result.fault for result in ours if not (result.fine or result.skipped)]
    print(f"{len(ours)} faults in {time.monotonic() - began_s:.0f} s; not fine: {', '.join(wrong) or 'none'}")
    sys.exit(1 if wrong else 0)


def _run_all(chosen: list[Fault], given: argparse.Namespace) -> tuple[list[Result], list[Result]]:
    jobs = [Job(fault.name, False, given.times, given.quick, given.logs) for fault in chosen]
    beside = {fault.name for fault in chosen if fault.waits or given.quick}
    alone = [job for job in jobs if job.fault not in beside]
    others = [job for job in jobs if job.fault in beside]
    if given.peer:
        others += [Job(fault.name, True, None, given.quick, None) for fault in chosen if fault.peer]
    done = [(job, _told(job, work(job))) for job in alone]
    if others:
        with ProcessPoolExecutor(given.at_once, multiprocessing.get_context("spawn")) as pool:
            done += [(job, _told(job, result)) for job, result in zip(others, pool.map(work, others), strict=True)]
    return [r for job, r in done if not job.is_naive], [r for job, r in done if job.is_naive]


def _told(job: Job, result: Result) -> Result:
    """One line on standard output."""
    name = f"{job.fault} (naive service)" if job.is_naive else job.fault
    if result.skipped:
        print(f"{name}: skipped, {result.skipped}", flush=True)
        return result
    decided = ", ".join("-" if r.decided_s is None else f"{r.decided_s:.1f}" for r in result.recoveries)
    drained = ", ".join("-" if r.drained_s is None else f"{r.drained_s:.1f}" for r in result.recoveries)
    verdict = result.verdict
    print(f"{name}: tried {result.tries}, lost {verdict.lost}, doubled {verdict.doubled}, decides again after {decided} s,"
          f" nothing waits after {drained} s; took {result.seconds:.0f} s", flush=True)  # fmt: skip
    for fault in verdict.faults:
        print(f"  NOT FINE: {fault}", flush=True)
    return result


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these faults, by the beginning of their names")
    parser.add_argument("--times", type=int, help="how often each is tried; usually each says so itself")
    parser.add_argument("--quick", action="store_true", help="each once, in its shortest form")
    parser.add_argument("--peer", action="store_true", help="the naive service too")
    parser.add_argument("--at-once", type=int, default=4, help="how many of those that mostly wait at one time")
    parser.add_argument("--dry", action="store_true", help="write neither the results nor the page")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    parser.add_argument("--logs", type=Path, help="a folder for the service's logs of runs that are not fine")
    return parser.parse_args()


if __name__ == "__main__":
    main()
