"""What the match is given of one wearer: fixes in time order with their errors and flags, activations, device events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.activations import Activation
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.flags import WEIGHTLESS


class WearerTrail(NamedTuple):
    """One wearer's fixes in time order, duplicates out, with at least the nearest on each side of the window.

    flags (n,) uint8 bits of `engine.flags`; sigma_m, radius_m, exclusion_m (n,) float64 [m]: sigma of the core on each
    axis, reported confidence radius or the source's default, and the 99.9 % radius, never less than the reported one;
    model (n,) row of the error model; silence_us (n,) how long after the fix silence speaks.
    """

    wearer: str
    devices: tuple[str, ...]
    fixes: Fixes
    flags: NDArray[np.uint8]
    sigma_m: NDArray[np.float64]
    radius_m: NDArray[np.float64]
    exclusion_m: NDArray[np.float64]
    model: NDArray[np.uint8]
    silence_us: NDArray[np.int64]
    activations: Sequence[Activation] = ()
    events: Sequence[DeviceEvent] = ()

    def carries_weight(self) -> NDArray[np.bool_]:
        """Which fixes carry weight in a decision; shape (n,)."""
        weight: NDArray[np.bool_] = (self.flags & WEIGHTLESS) == 0
        return weight

    def device_of(self, index: int) -> str:
        """The name of the device that sent a fix."""
        return self.fixes.devices[int(self.fixes.device[index])]


Presence = Callable[[WearerTrail, int, int, float], NDArray[np.float64]]
"""(trail, lat_e7, lon_e7, radius_m) to the posterior of presence in that circle at each fix (n,); nan where none."""
