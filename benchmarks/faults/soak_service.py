"""The service with its couriers and its console, by a clock that runs fast, and what it holds, sampled while it runs.

`python -m benchmarks.faults.soak_service CLOCK SAMPLES ... --config FILE`: CLOCK is a file of `Fast`, SAMPLES takes JSON lines.
"""

from __future__ import annotations

import gc
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

import tagwatch.session
from benchmarks.receiver import Silent
from tagwatch.channels import notifiers_of
from tagwatch.running import alongside, log_to_stderr
from tagwatch.service import Service
from tagwatch.settings import read_settings

_SAMPLE_S = 2.0


class Fast(NamedTuple):
    """A clock: it stands at `start_us` until `began_s` [monotonic], then runs `speed` times as fast, until `end_us`."""

    start_us: int
    speed: float
    began_s: float = 0.0
    end_us: int = 2**62

    def now_us(self) -> int:
        """What it shows."""
        passed_s = max(0.0, time.monotonic() - self.began_s) if self.began_s else 0.0
        return min(self.end_us, self.start_us + int(passed_s * self.speed * 1e6))

    def write(self, path: Path) -> None:
        """For the other process."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(self), "utf-8")
        new.replace(path)


class FastClock:
    """The clock of a file; what is written there holds within a tenth of a second."""

    def __init__(self, path: Path) -> None:
        self._path, self._read_s = path, 0.0
        self._clock = self._read()

    def __call__(self) -> int:
        """See `engine.times.Clock`."""
        now_s = time.monotonic()
        if now_s - self._read_s > 0.1:
            self._clock, self._read_s = self._read(), now_s
        return self._clock.now_us()

    def _read(self) -> Fast:
        return Fast(*json.loads(self._path.read_text("utf-8")))


def sample(service: Service, clock: FastClock, path: Path) -> None:
    """Append what the process holds, every two seconds until the service stops."""
    process = psutil.Process()
    while not service.stopping.wait(_SAMPLE_S):
        with process.oneshot():
            held: dict[str, Any] = {
                "time_us": clock(), "mib": process.memory_info().rss / 2**20, "objects": len(gc.get_objects()),
                "files": process.num_fds(), "threads": process.num_threads(), "messages": service.counts.messages,
                "connections": len(process.net_connections("tcp")),
            }  # fmt: skip
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(held) + "\n")


def main() -> None:
    """See the module."""
    clock = FastClock(Path(sys.argv[1]))
    settings = read_settings(Path(sys.argv[sys.argv.index("--config") + 1]))
    log_to_stderr()
    tagwatch.session.REFRESH_US = int(Fast(*json.loads(Path(sys.argv[1]).read_text("utf-8"))).speed * 1e6)
    notifiers = {**notifiers_of(settings, clock), "terminal": Silent()}
    service = Service(settings, clock)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: service.stopping.set())
    threading.Thread(target=sample, args=(service, clock, Path(sys.argv[2])), daemon=True).start()
    with alongside(service, settings, notifiers, clock):
        service.run()


if __name__ == "__main__":
    main()
