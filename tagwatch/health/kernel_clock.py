"""What the kernel knows of its clock: whether somebody disciplines it, and by how much it may be wrong (adjtimex, Linux)."""

from __future__ import annotations

import ctypes
import sys
from typing import NamedTuple

_UNSYNCHRONISED = 0x0040
_NANOSECONDS = 0x2000
_UNKNOWN_S = 16.0
"""From here on the kernel's largest error says that it knows nothing."""


class KernelClock(NamedTuple):
    """`offset_s` is what is still to be slewed away, `most_s` the largest error that the kernel reckons with."""

    is_synchronised: bool
    offset_s: float
    most_s: float


class _Timex(ctypes.Structure):
    _fields_ = [
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("rest", ctypes.c_byte * 256),
    ]  # fmt: skip


def kernel_clock() -> KernelClock | None:
    """None where this system does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    told = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(told))
    except (OSError, AttributeError):
        return None
    if state < 0:  # a container may not ask
        return None
    unit_s = 1e-9 if told.status & _NANOSECONDS else 1e-6
    most_s = told.maxerror * 1e-6
    return KernelClock(not told.status & _UNSYNCHRONISED and most_s < _UNKNOWN_S, told.offset * unit_s, most_s)
