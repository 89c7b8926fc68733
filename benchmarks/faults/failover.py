"""Two instances, of which the leader is harmed: the other takes over, and neither loses nor doubles anything."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from benchmarks.faults import network
from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.pair import Pair
from benchmarks.faults.stand import Stand
from benchmarks.victims import ServiceProcess

WITHIN_S = 10.0
"""How long the other one may take, by the 95th percentile of all tries."""
_HOLD_S = 20.0


class Failover(Fault):
    """What is done to the leader, and undone once the other one leads."""

    setting = Setting(network=True, slice_s=8.0, entries_a_try=1_200)
    times = 20
    peer = False

    def lacks(self) -> str:
        """See `Fault`."""
        return network.lacks()

    def prepare(self, stand: Stand) -> None:
        """A second service on a host of its own, with a raw log of its own."""
        self.taken_s: list[float] = []
        folder = stand.folder / "other"
        folder.mkdir()
        assert isinstance(stand.service, ServiceProcess)
        text = stand.settings_file.read_text("utf-8").replace(f"{stand.folder}/raw-log", f"{folder}/raw-log")
        file = folder / "tagwatch.toml"
        file.write_text(text, "utf-8")
        stand.raw_logs.append(folder / "raw-log")
        stand.service = Pair(stand.service, ServiceProcess(file), stand.network, stand.url)

    def produce(self, stand: Stand) -> None:
        """See `Fault`: the recovery is counted from the moment when the leader was harmed."""
        pair = stand.service
        assert isinstance(pair, Pair)
        part = pair.leader()
        other = pair.other(part)
        marks = {each: pair.mark(each) for each in pair.both}
        began_s = time.monotonic()
        stand.over()
        self.harm(stand, pair, part)
        ready_s = pair.wait_led(other, marks[other], _HOLD_S)
        assert ready_s is not None, f"nobody took over within {_HOLD_S:g} s"
        self.taken_s.append(ready_s - began_s)
        time.sleep(stand.random.uniform(0.0, 2.0))
        self.undo(stand, pair, part)
        assert pair.wait_standing_by(part, marks[part], 90.0), "the one that led does not stand by"

    def harm(self, stand: Stand, pair: Pair, part: str) -> None:
        """Do it to the one on this part."""
        raise NotImplementedError

    def undo(self, stand: Stand, pair: Pair, part: str) -> None:
        """It is there again."""
        raise NotImplementedError

    def check(self, stand: Stand) -> None:
        """See `Fault`."""
        p50, p95 = np.percentile(self.taken_s, [50, 95])
        stand.note("taken over, p50 / p95 / longest [s]", f"{p50:.1f} / {p95:.1f} / {max(self.taken_s):.1f}")
        assert p95 <= WITHIN_S, f"taken over within {p95:.1f} s in 95 % of the tries, not {WITHIN_S:g} s"


class LeaderKilled(Failover):
    """It is dead; on its host it is started again, and stands by."""

    name = "leader killed"
    how = "SIGKILL to the instance that leads; started again once the other one leads"

    def harm(self, stand: Stand, pair: Pair, part: str) -> None:
        """See `Failover`."""
        pair.both[part].kill()

    def undo(self, stand: Stand, pair: Pair, part: str) -> None:
        """See `Failover`."""
        pair.start_one(part)


class LeaderStopped(Failover):
    """It stands still in the middle of whatever it does, and goes on later as if nothing had been: the fence holds it back."""

    name = "leader stopped and resumed"
    how = "SIGSTOP to the instance that leads, SIGCONT up to 2 s after the other one leads"

    def harm(self, stand: Stand, pair: Pair, part: str) -> None:
        """See `Failover`."""
        os.kill(pair.both[part].pid, signal.SIGSTOP)

    def undo(self, stand: Stand, pair: Pair, part: str) -> None:
        """See `Failover`."""
        os.kill(pair.both[part].pid, signal.SIGCONT)


class LeaderCutOff(Failover):
    """Between it and another part nothing goes through any more; all else it reaches."""

    def __init__(self, part: str) -> None:
        self.name, self._part = f"leader cut off from the {part}", part
        self.how = (
            f"packets between the instance that leads and the {part} are dropped without a word until the other one leads"
        )

    def harm(self, stand: Stand, pair: Pair, part: str) -> None:
        """See `Failover`."""
        for way in ((part, self._part), (self._part, part)):
            stand.namespaces.drop(*way)

    def undo(self, stand: Stand, pair: Pair, part: str) -> None:
        """See `Failover`."""
        for way in ((part, self._part), (self._part, part)):
            stand.namespaces.drop_no_more(*way)


FAULTS: list[Fault] = [LeaderKilled(), LeaderStopped(), LeaderCutOff("database"), LeaderCutOff("broker")]
