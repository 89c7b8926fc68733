"""A crime: a force's reference, a type, a place with its uncertainty, and the window in which it happened."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from engine.times import to_iso


@dataclass(frozen=True, slots=True)
class Crime:
    """One version of a crime as a force reported it; force and reference name it.

    from_us, to_us: the window [us UTC]; lat, lon [degrees, WGS84]; uncertainty_m: how far the true place may lie from it;
    easting_m, northing_m: the British National Grid as given, None where the place came as latitude and longitude.
    """

    force: str
    reference: str
    type: str
    from_us: int
    to_us: int
    lat: float
    lon: float
    uncertainty_m: float = 0.0
    text: str = ""
    batch: str = ""
    easting_m: float | None = None
    northing_m: float | None = None

    def record(self) -> dict[str, Any]:
        """The crime as a dictionary, in the order of its fields, times as text."""
        values = {field.name.removesuffix("_us"): getattr(self, field.name) for field in fields(self)}
        return values | {"from": to_iso(self.from_us), "to": to_iso(self.to_us)}
