"""What the match is given of wearers: fixes in time order with their errors and flags, activations, device events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.activations import Activation
from engine.events import DeviceEvent
from engine.fixes import SOURCES, Fixes
from engine.flags import WEIGHTLESS
from engine.hours import Hours, fits, summarise
from engine.tracks import Tracks, pack, up_to_cm
from engine.trail import Arranged


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


class Trails:
    """All wearers' trails in flat columns, wearer after wearer by name; made once, asked many questions.

    rows: arranged, flagged on both sides, with exclusion radii rounded up to centimetres; start (n_wearers + 1,) int64.
    """

    def __init__(
        self, wearers: Sequence[str], start: NDArray[np.int64], rows: Arranged,
        activations: Mapping[str, Sequence[Activation]], events: Mapping[str, Sequence[DeviceEvent]],
    ) -> None:  # fmt: skip
        self.wearers, self.start, self.rows = tuple(wearers), start, rows
        self._activations, self._events = activations, events
        rows.exclusion_m[:] = up_to_cm(rows.exclusion_m) / 100.0

    def __len__(self) -> int:
        return len(self.wearers)

    def __iter__(self) -> Iterator[WearerTrail]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, k: int) -> WearerTrail:
        """The trail of one wearer: views, nothing is copied."""
        if not 0 <= k < len(self):
            raise IndexError(k)
        part = slice(int(self.start[k]), int(self.start[k + 1]))
        wearer = self.wearers[k]
        rows, worn = self.rows.take(part), self._activations.get(wearer, ())
        return WearerTrail(
            wearer, tuple(dict.fromkeys(row.device for row in worn)), rows.fixes, rows.flags, rows.sigma_m, rows.radius_m,
            rows.exclusion_m, rows.model, rows.silence_us, worn, self._events.get(wearer, ()),
        )  # fmt: skip

    def of(self, wearer: str) -> WearerTrail:
        """The trail of a wearer by his name."""
        return self[self._number[wearer]]

    @cached_property
    def _number(self) -> dict[str, int]:
        return {wearer: k for k, wearer in enumerate(self.wearers)}

    @cached_property
    def tracks(self) -> Tracks:
        """The fixes that carry weight, packed."""
        kept = np.flatnonzero((self.rows.flags & WEIGHTLESS) == 0)
        rows = self.rows.take(kept)
        return pack(
            np.searchsorted(kept, self.start), rows.fixes.time_us, rows.fixes.lat_e7, rows.fixes.lon_e7, rows.radius_m,
            rows.exclusion_m, rows.fixes.source == SOURCES["lbs"],
        )  # fmt: skip

    @cached_property
    def hours(self) -> Hours | None:
        """The summary of each hour of the tracks; None where they are spread too far for that."""
        return summarise(self.tracks) if fits(self.tracks) else None


Presence = Callable[[WearerTrail, int, int, int, int, float], NDArray[np.float64]]
"""(trail, first, last, lat_e7, lon_e7, radius_m) to the posterior of presence in that circle at each of the fixes first:last;
nan where none."""
