"""Networks that fail: a link down, a silent cut on both ways or on one, a line that loses. Each part in its own namespace."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path

from benchmarks.faults import network
from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.stand import Stand

_ESTABLISHED = "01"
_SETTING = Setting(network=True, slice_s=8.0, entries_a_try=1_200)


class Cut(Fault):
    """Something between two parts for some seconds."""

    setting = _SETTING
    times = 2
    shares = True

    def lacks(self) -> str:
        """See `Fault`."""
        return network.lacks()


class Unplug(Cut):
    """A link that is down: the kernel knows it, and tells nobody on the other side."""

    def __init__(self, part: str, seconds: float) -> None:
        self.name, self._part, self._seconds = f"{part} unplugged", part, seconds
        self.how = f"`ip link set down` on the interface of the {part} for {seconds:g} s"

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        stand.namespaces.unplug(self._part)
        stand.hold(self._seconds, 1.5)
        stand.namespaces.plug_in(self._part)


class Silence(Cut):
    """Packets are dropped without a word, so that both sides believe in a connection that is dead.

    It lasts longer than it may take to be noticed; `noticed [s]` is when the service had closed the dead connection.
    """

    times = 1
    waits = True

    def __init__(self, one: str, other: str, seconds: float, *, ways: int = 2, within_s: float | None = None) -> None:
        self.name = f"silence between {one} and {other}" if ways == 2 else f"silence from {one} to {other}"
        self.how = (
            f"packets {self.name.removeprefix('silence ')} dropped in the router for {seconds:g} s, connections half open"
        )
        self._pairs = [(one, other), (other, one)][:ways]
        self._seconds, self._within_s = seconds, within_s
        self._watched = other if one == "service" else one if other == "service" else ""
        self.setting = Setting(network=True, slice_s=20.0, entries_a_try=2_000)

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        for pair in self._pairs:
            stand.namespaces.drop(*pair)
        began_s, long_s = time.monotonic(), 1.5 if stand.quick else self._seconds
        before = _connections(stand, self._watched)
        while time.monotonic() < began_s + long_s:
            if before and not before & _connections(stand, self._watched):
                stand.note("noticed [s]", round(time.monotonic() - began_s, 1))
                before = set()
            time.sleep(0.1)
        for pair in self._pairs:
            stand.namespaces.drop_no_more(*pair)

    def check(self, stand: Stand) -> None:
        """See `Fault`."""
        if self._within_s is not None and not stand.quick:
            noticed_s = stand.notes.get("noticed [s]", math.inf)
            assert noticed_s <= self._within_s, (
                f"the dead connection was noticed after {noticed_s} s, not {self._within_s:g} s"
            )


class Lossy(Cut):
    """A narrow line that loses a tenth of the packets in both directions."""

    name = "a line that loses"
    how = "for 15 s the service's line carries 512 kbit/s and loses 10 % of the packets each way (htb, and a filter by chance)"

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        lines = ("service", "broker", "database", "receiver")
        for line in lines:
            stand.namespaces.lose(line, 0.1, "512kbit")
        stand.hold(15.0, 2.0)
        for line in lines:
            stand.namespaces.lose_no_more(line)


def _connections(stand: Stand, part: str) -> set[str]:
    """Our ends of the service's established connections to a part."""
    pid = getattr(stand.service, "pid", 0)
    if not part or not pid:
        return set()
    wanted = "".join(f"{int(octet):02X}" for octet in reversed(stand.network.host(part).split(".")))
    found = set()
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/net/tcp").read_text("ascii").splitlines()[1:]:
            _, local, remote, state, *_ = line.split()
            if remote.startswith(wanted) and state == _ESTABLISHED:
                found.add(local)
    return found


FAULTS: list[Fault] = [
    Unplug("service", 8.0),
    Unplug("broker", 8.0),
    Unplug("database", 8.0),
    Unplug("tags", 8.0),
    Unplug("receiver", 8.0),
    Silence("service", "broker", 60.0, within_s=50.0),
    Silence("service", "database", 60.0, within_s=50.0),
    Silence("service", "receiver", 30.0),
    Silence("tags", "broker", 40.0),
    Silence("database", "service", 60.0, ways=1, within_s=50.0),
    Silence("service", "database", 60.0, ways=1, within_s=50.0),
    Silence("broker", "service", 60.0, ways=1, within_s=50.0),
    Lossy(),
]
