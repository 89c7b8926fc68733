"""The question: who was near this place between these times, and by which parameters is it answered?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from crime_match.crimes.crime import Crime
from crime_match.kernels import OVERLAP
from engine.errors import InputError
from engine.times import MINUTE_US, in_range, to_iso

STRONG_POSTERIOR = 0.95
STRONG_FIXES = 2
COVERED_US = 150_000_000
"""An instant counts as covered where a fix that carries weight lies within 2.5 minutes of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A place [degrees, WGS84], a time span [us UTC] and the parameters; raises InputError where one makes no sense.

    The place is taken to the grid of 1e-7 degree (1 cm), like every fix. `uncertainty_m` widens the vicinity for possible
    and excluded, never for placed.
    """

    lat: float
    lon: float
    from_us: int
    to_us: int
    radius_m: float = 100.0
    uncertainty_m: float = 0.0
    pad_us: int = 10 * MINUTE_US
    max_speed_mps: float = 55.0
    min_fixes: int = 1

    def __post_init__(self) -> None:
        _within("lat", self.lat, -90.0, 90.0, "degrees from -90 to 90")
        _within("lon", self.lon, -180.0, 180.0, "degrees from -180 to 180")
        in_range(self.from_us, self.from_us, "from")
        in_range(self.to_us, self.to_us, "to")
        if self.to_us < self.from_us:
            raise InputError(field="to", value=to_iso(self.to_us), expected=f"not before from, {to_iso(self.from_us)}")
        _within("radius_m", self.radius_m, 1e-3, 1e5, "metres above 0, at most 100 km")
        _within("uncertainty_m", self.uncertainty_m, 0.0, 1e5, "metres from 0 to 100 km")
        _within("pad_us", self.pad_us, 0, 31 * 1440 * MINUTE_US, "a length of time from 0 to 31 days")
        _within("max_speed_mps", self.max_speed_mps, 1e-3, 1e4, "metres a second above 0, at most 10000")
        if isinstance(self.min_fixes, bool) or not isinstance(self.min_fixes, int) or not 1 <= self.min_fixes <= 10**6:
            raise InputError(field="min_fixes", value=self.min_fixes, expected="a whole number from 1 to a million")

    @property
    def lat_e7(self) -> int:
        """Latitude of the place [1e-7 degree]."""
        return round(self.lat * 1e7)

    @property
    def lon_e7(self) -> int:
        """Longitude of the place [1e-7 degree]."""
        return round(self.lon * 1e7)

    @property
    def start_us(self) -> int:
        """Start of the padded window [us UTC]."""
        return self.from_us - self.pad_us

    @property
    def end_us(self) -> int:
        """End of the padded window, which belongs to it [us UTC]."""
        return self.to_us + self.pad_us

    @property
    def reach_m(self) -> float:
        """Radius that possible and excluded use: the vicinity widened by the place's uncertainty [m]."""
        return self.radius_m + self.uncertainty_m

    def parameters(self) -> dict[str, Any]:
        """All that the answer depends on besides the trails, for the record."""
        return {
            "lat": self.lat_e7 / 1e7, "lon": self.lon_e7 / 1e7, "from": to_iso(self.from_us), "to": to_iso(self.to_us),
            "radius_m": float(self.radius_m), "uncertainty_m": float(self.uncertainty_m), "pad_s": self.pad_us / 1e6,
            "max_speed_mps": float(self.max_speed_mps), "min_fixes": self.min_fixes, "overlap": OVERLAP,
            "strong_posterior": STRONG_POSTERIOR, "strong_fixes": STRONG_FIXES, "covered_s": COVERED_US / 1e6,
        }  # fmt: skip


class Parameters(NamedTuple):
    """What is asked of every crime alike; see `Question`."""

    radius_m: float = 100.0
    pad_us: int = 10 * MINUTE_US
    max_speed_mps: float = 55.0
    min_fixes: int = 1

    def ask(self, crime: Crime) -> Question:
        """The question about one crime."""
        return Question(
            crime.lat, crime.lon, crime.from_us, crime.to_us, uncertainty_m=crime.uncertainty_m, **self._asdict()
        )


def _within(field: str, value: float, low: float, high: float, expected: str) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise InputError(field=field, value=value, expected=expected)
