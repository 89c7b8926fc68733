"""Activations: which wearer a device belonged to at which time. Devices are reused, and a wearer may have two at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.fixes import Fixes
from engine.kernels import find_interval
from engine.times import to_iso

FOREVER_US = 2**62
UNASSIGNED = -1


class Activation(NamedTuple):
    """One device on one wearer in [from_us, to_us); the reporting plan says when silence begins to mean something.

    `model` names the device model whose errors its fixes have (`engine.error_model`), by its percentile where empty.
    """

    device: str
    wearer: str
    from_us: int
    to_us: int = FOREVER_US
    percentile: float = 0.95
    fix_interval_s: int = 60
    upload_interval_s: int = 600
    grace_s: int = 300
    model: str = ""

    @property
    def silence_us(self) -> int:
        """How long nothing has to come before silence speaks [us]."""
        return (self.fix_interval_s + self.upload_interval_s + self.grace_s) * 1_000_000


class Activations:
    """The activations of a service or a replay, sorted by device and time."""

    def __init__(self, rows: Iterable[Activation] = ()) -> None:
        """Raises InputError where one device would be on two wearers at one time."""
        self.rows: tuple[Activation, ...] = tuple(sorted(rows, key=lambda a: (a.device, a.from_us, a.to_us)))
        self._refuse_overlaps()
        self._first = {row.device: i for i, row in reversed(list(enumerate(self.rows)))}
        self._counts = Counter(row.device for row in self.rows)
        self._from = np.array([row.from_us for row in self.rows], np.int64)
        self._to = np.array([row.to_us for row in self.rows], np.int64)

    def of_fixes(self, fixes: Fixes) -> NDArray[np.int32]:
        """For each fix the index of its activation in `rows`, UNASSIGNED where it lies in none; shape (n,)."""
        start = np.array([self._first.get(name, 0) for name in fixes.devices], np.int32)
        count = np.array([self._counts[name] for name in fixes.devices], np.int32)
        return find_interval(fixes.device, fixes.time_us, start, count, self._from, self._to)

    def of_wearer(self, wearer: str) -> list[Activation]:
        """The activations of a wearer, oldest first."""
        return sorted((row for row in self.rows if row.wearer == wearer), key=lambda a: a.from_us)

    def _refuse_overlaps(self) -> None:
        for row in self.rows:
            if row.to_us <= row.from_us:
                raise InputError(
                    f"device {row.device}",
                    field="to",
                    value=to_iso(row.to_us),
                    expected=f"later than {to_iso(row.from_us)}",
                )
        for one, two in zip(self.rows, self.rows[1:], strict=False):
            if one.device == two.device and two.from_us < one.to_us:
                raise InputError(
                    f"device {one.device} is on {one.wearer} and on {two.wearer} at {to_iso(two.from_us)}",
                    expected="one wearer at a time",
                )
