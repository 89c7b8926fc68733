"""The process that feeds one target: mutates, reads, watches time and memory, keeps what is new and what fails."""

from __future__ import annotations

import contextlib
import json
import mmap
import random
import resource
import signal
import sys
import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.mutation import Mutator
from tests.fuzz.target import Target, TooSlow, name_of, signature_of

SCRATCH_BYTES = 1 << 20
"""What lies in the scratch file: the number of the input (8 bytes), its length (8), and the input."""
MORE_MEMORY = 2 << 30
"""How many bytes a target may take beside what it took when it began."""
_MOST_KEPT = 1_000


@dataclass
class Tally:
    """What became of a run."""

    inputs: int = 0
    accepted: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    shapes: int = 0
    peak_mb: float = 0.0
    grown_mb: float = 0.0
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)


class Fuzzer:
    """Runs a target over inputs that a seed determines."""

    def __init__(
        self, target: Target, seed: str, folder: Path, scratch: mmap.mmap | None = None, *, timed: bool = True
    ) -> None:
        """`timed` False: nothing is stopped or told for its time, so that a busy machine changes nothing."""
        self._target, self._folder, self._scratch, self._timed = target, folder, scratch, timed
        self._rng = random.Random(seed)
        self._corpus = list(dict.fromkeys(target.seeds()))
        self._n_seeds = len(self._corpus)
        self._refused: list[bytes] = []
        self._mutator = Mutator(self._rng, target.forms, target.words, target.most_bytes)
        self._seen: set[tuple[bool, Hashable]] = set()
        self._ticks, self._of = 0, -1
        self.tally = Tally()
        self.slowest = b""

    def run(self, n_inputs: int, until: float = float("inf")) -> Tally:
        """So many inputs, seeds first, or until a time of the monotonic clock."""
        start, first_mb = time.monotonic(), _peak_mb()
        with self._ticking():
            for data in self._corpus[: min(n_inputs, self._n_seeds)]:
                self.feed(data)
            while self.tally.inputs < n_inputs:
                if not self.tally.inputs & 63 and time.monotonic() > until:
                    break
                self.feed(self._next())
        self.tally.seconds = round(time.monotonic() - start, 3)
        self.tally.shapes, self.tally.peak_mb = len(self._seen), _peak_mb()
        self.tally.grown_mb = round(self.tally.peak_mb - first_mb, 1)
        return self.tally

    def feed(self, data: bytes) -> None:
        """One input."""
        tally, scratch = self.tally, self._scratch
        tally.inputs += 1
        if scratch is not None and len(data) <= SCRATCH_BYTES - 16:
            scratch[8:16] = len(data).to_bytes(8, "little")
            scratch[16 : 16 + len(data)] = data
            scratch[0:8] = tally.inputs.to_bytes(8, "little")
        start = time.perf_counter()
        try:
            outcome = self._target.outcome(data)
        except (Exception, TooSlow) as error:
            self._failed(error, data)
            return
        took_s = time.perf_counter() - start
        tally.accepted += outcome[0]
        if self._timed and took_s > tally.slowest_s:
            took_s = min(took_s, self._again_s(data))  # the machine may have been busy with something else
            if took_s > tally.slowest_s:
                tally.slowest_s, self.slowest = round(took_s, 4), data
            if took_s > self._target.limit_s:
                self._failed(TooSlow(), data)
        if outcome not in self._seen:
            self._seen.add(outcome)
            self._keep(data, outcome[0])

    def _again_s(self, data: bytes) -> float:
        start = time.process_time()
        self._target.outcome(data)
        return time.process_time() - start

    def _next(self) -> bytes:
        rng = self._rng
        # mostly of what was taken: what was refused once is refused again before it gets far
        known = self._corpus if rng.random() < 0.85 or not self._refused else self._refused
        return self._mutator.mutate(rng.choice(known), rng.choice(self._corpus))

    def _keep(self, data: bytes, taken: bool) -> None:
        known, n_fixed = (self._corpus, self._n_seeds) if taken else (self._refused, 0)
        if len(known) < _MOST_KEPT:
            known.append(data)
        else:
            known[n_fixed + self._rng.randrange(_MOST_KEPT - n_fixed)] = data

    def _failed(self, error: BaseException, data: bytes) -> None:
        signature = signature_of(error)
        known = self.tally.failures.setdefault(
            signature, {"times": 0, "told": f"{type(error).__name__}: {str(error)[:200]}"}
        )
        known["times"] += 1
        if known["times"] == 1 or len(data) < known["bytes"]:
            path = self._folder / f"{self._target.name}-{name_of(signature)}"
            path.write_bytes(data)
            known |= {"bytes": len(data), "file": path.name}

    @contextlib.contextmanager
    def _ticking(self) -> Any:
        """A beat of processor time: an input that is there at two beats more than it may is stopped."""
        if not self._timed:
            yield
            return
        old = signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, self._target.limit_s, self._target.limit_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, old)

    def _tick(self, number: int, frame: Any) -> None:
        self._ticks = self._ticks + 1 if self._of == self.tally.inputs else 0
        self._of = self.tally.inputs
        if self._ticks >= 2:
            self._ticks = 0
            raise TooSlow


def bound_memory() -> None:
    """From here on no more than MORE_MEMORY bytes of addresses beside those that are taken."""
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MORE_MEMORY, taken + MORE_MEMORY))


def _peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def main(given: list[str]) -> None:
    """name, seed, inputs, seconds, folder, scratch: runs, and prints the tally as JSON on the last line."""
    from tests.fuzz.targets import TARGETS

    name, seed, n_inputs, seconds, folder, scratch = given
    target = TARGETS[name]
    for data in target.seeds():  # what is loaded on first use is no growth
        with contextlib.suppress(Exception):
            target.outcome(data)
    bound_memory()
    with Path(scratch).open("r+b") as file, mmap.mmap(file.fileno(), SCRATCH_BYTES) as view:
        fuzzer = Fuzzer(target, f"{seed}/{name}", Path(folder), view)
        tally = fuzzer.run(int(n_inputs), time.monotonic() + float(seconds))
    if tally.slowest_s > 0.2:
        (Path(folder) / f"{name}-slowest").write_bytes(fuzzer.slowest)
    sys.stdout.write("\n" + json.dumps(vars(tally)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
