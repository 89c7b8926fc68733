"""One run as a job that another process can do."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import NamedTuple

from benchmarks.faults.peer import run_peer
from benchmarks.faults.run import Result, all_faults, run


class Job(NamedTuple):
    """A run: of a fault by its name, for Tagwatch or the naive service."""

    fault: str
    is_naive: bool
    times: int | None
    quick: bool
    logs: Path | None


def work(job: Job) -> Result:
    """Do a run; what goes wrong with the run itself is a fault of its result."""
    fault = next(f for f in all_faults() if f.name == job.fault)
    try:
        if job.is_naive:
            return run_peer(fault, quick=job.quick)
        return run(fault, job.times, quick=job.quick, keep=job.logs)
    except Exception as error:  # the others go on
        result = Result(fault.name, fault.how)
        result.verdict.faults.append(f"the run failed: {type(error).__name__}: {error}")
        traceback.print_exc()
        return result
