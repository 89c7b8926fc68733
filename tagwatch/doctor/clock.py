"""This machine's clock: whether it is kept right, and against the servers that are known."""

from __future__ import annotations

from collections.abc import Iterator

from engine.times import system_clock
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene
from tagwatch.health.kernel_clock import kernel_clock
from tagwatch.health.server_clocks import ahead_of_database_s, ahead_of_ntp_s

_PART = "clock"
_ADVICE = "see to chrony or timesyncd (timedatectl, chronyc tracking); let it slew, and stop the service where it must step"


def examine(scene: Scene) -> Iterator[Finding]:
    """Out of bound is a fault: what is received is stamped with this clock, and what is signed."""
    bound_s, told = scene.settings.clock.bound_s, []
    offsets = {}
    if scene.connection is not None:
        offsets["the database server"] = ahead_of_database_s(scene.connection, system_clock)
    if (servers := scene.settings.clock.servers[:2]) and (ahead_s := ahead_of_ntp_s(servers)) is not None:
        offsets["the NTP servers"] = ahead_s
    elif servers:
        yield Finding(
            _PART, WARNING, "no server of [clock] servers answers", "may this machine reach them on UDP port 123?"
        )
    for name, ahead_s in offsets.items():
        if abs(ahead_s) > bound_s:
            way = "ahead of" if ahead_s > 0 else "behind"
            yield Finding(_PART, FAULT, f"{abs(ahead_s):.3f} s {way} {name}, more than {bound_s:g} s", _ADVICE)
        else:
            told.append(f"{name} {ahead_s:+.3f} s")
    known = kernel_clock()
    if known is not None and not known.is_synchronised:
        yield Finding(_PART, WARNING, "the kernel says that nobody keeps this clock right", _ADVICE)
    if told:
        yield Finding(_PART, OK, ", ".join(told))
