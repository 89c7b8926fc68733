"""The service's wall clock steps forward, back, by little, or drifts, while the monotonic one goes on; at the end it is right.

What is equal at the end: the ledger's content and a replay of what is stored, as of the end. What is not, and stays on record:
versions in the history that were decided in between (silence by a clock an hour ahead), and `received` of what came meanwhile.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.stand import Stand, count
from benchmarks.victims import ServiceProcess
from engine import database

_SOURCE = Path(__file__).with_name("shifted_clock.c")
_SHIFT = struct.Struct("<qqq")
_SECOND_NS = 1_000_000_000


class Shift:
    """The file that says how far a process's wall clock is off; what is written holds at once."""

    def __init__(self, folder: Path) -> None:
        self.file, self._library = folder / "shift", folder / "shifted_clock.so"
        self.file.write_bytes(_SHIFT.pack(0, 0, 0))
        command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(self._library), str(_SOURCE)]
        subprocess.run(command, check=True, capture_output=True)

    @property
    def environment(self) -> dict[str, str]:
        """Of a process whose clock this is."""
        return {"LD_PRELOAD": str(self._library), "SHIFTED_CLOCK": str(self.file)}

    def set(self, offset_s: float, drift_s_a_s: float = 0.0) -> None:
        """So far off from now on, and drifting so much a second."""
        told = _SHIFT.pack(round(offset_s * _SECOND_NS), round(drift_s_a_s * _SECOND_NS), time.monotonic_ns())
        with self.file.open("r+b", buffering=0) as file:
            file.write(told)


class Steps(Fault):
    """The clock is off by each of these [s] for a while, and right at the end."""

    peer = False
    setting = Setting(slice_s=10.0)

    def __init__(self, name: str, how: str, offsets_s: Sequence[float], each_s: float, drift_s_a_s: float = 0.0) -> None:
        self.name, self.how = name, how + " (a library before libc's clock_gettime, for the service alone)"
        self._offsets_s, self._each_s, self._drift = offsets_s, each_s, drift_s_a_s
        self._shift: Shift | None = None

    def lacks(self) -> str:
        """See `Fault`."""
        return "" if shutil.which("cc") else "there is no C compiler on this machine"

    @contextmanager
    def around(self, folder: Path) -> Iterator[None]:
        """See `Fault`: the service gets a clock of its own."""
        self._shift = Shift(folder)
        self.setting = replace(type(self).setting, environment=self._shift.environment)
        yield

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        assert self._shift is not None
        for offset_s in self._offsets_s:
            self._shift.set(offset_s, self._drift)
            stand.hold(self._each_s, min(self._each_s, 4.0))
        with database.connect(stand.url) as connection:
            stand.note("silences told by a wrong clock", count(connection, _TOLD_AHEAD))
        self._shift.set(0.0)

    def check(self, stand: Stand) -> None:
        """Nothing that is told lies in a time to come, and the service said what it saw and did not die."""
        assert isinstance(stand.service, ServiceProcess)
        assert stand.service.n_lives == 1, "the service had to be started again"
        if abs(self._offsets_s[-1]) > 2:
            assert "the clock was set" in stand.service.log, "a step was not noticed"
        with database.connect(stand.url) as connection:
            n_ahead, n_waiting = count(connection, _STANDS_AHEAD), count(connection, _WAITS_AHEAD)
        assert n_ahead == 0, f"{n_ahead} alerts stand that begin or end in a time to come"
        assert n_waiting == 0, f"{n_waiting} deliveries wait for a time by the wrong clock"


_SILENT = "content::json->>'rule' = 'tag.no_contact'"
_TOLD_AHEAD = f"SELECT count(*) FROM alert_version WHERE as_of > now() + interval '30 minutes' AND {_SILENT}"
_STANDS_AHEAD = (
    "SELECT count(*) FROM alert WHERE condition <> 'retracted'"
    " AND (began > now() OR (content::json->>'ended')::timestamptz > now())"
)
_WAITS_AHEAD = "SELECT count(*) FROM outbox WHERE status = 'pending' AND next_at > now() + interval '30 minutes'"

FAULTS: list[Fault] = [
    Steps("clock an hour ahead", "the wall clock steps by +1 h, and back after 8 s", [3600.0], 8.0),
    Steps("clock an hour behind", "the wall clock steps by -1 h, and forward after 8 s", [-3600.0], 8.0),
    Steps(
        "clock in small steps",
        "the wall clock steps by +1 s four times, and back",
        [1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0],
        1.0,
    ),
    Steps("clock that drifts", "the wall clock gains 50 ms a second for 8 s, and steps to what is right", [0.0], 8.0, 0.05),
]
