"""Clean ends and long absences: a broker or a database that is restarted, or away for as long as a failover takes."""

from __future__ import annotations

from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.stand import Stand
from benchmarks.victims import Victim


class Restart(Fault):
    """A part that is ended by SIGTERM and started again."""

    def __init__(self, part: str, away_s: float, times: int) -> None:
        shown = f"{away_s:g} s" if away_s < 60 else f"{away_s / 60:g} min"
        self.name = f"{part} restarted" if away_s < 60 else f"{part} away for {shown}"
        self.how = f"ended cleanly; started again {shown} later"
        self.times, self._part, self._away_s = times, part, away_s
        self.setting = Setting() if away_s < 60 else Setting(slice_s=20.0, entries_a_try=3_000)
        self.shares, self.waits = away_s < 60, away_s >= 60

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        victim: Victim = getattr(stand, self._part)
        victim.stop()
        stand.hold(self._away_s, min(0.5 * self._away_s, 3.0))
        stand.start(victim)


FAULTS: list[Fault] = [
    Restart("service", 1.0, 5),
    Restart("broker", 1.0, 5),
    Restart("database", 1.0, 5),
    Restart("broker", 120.0, 1),
    Restart("database", 120.0, 1),
]
