"""The town's flat map: metres east and north of a point, linear in longitude and latitude.

Because the map is linear, a straight street is straight in longitude and latitude too, so a true path meets a GeoJSON
polygon at exactly the same places in both. Distances are true at the origin and off by less than 0.1 % across the town.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from engine.kernels import metres_per_e7

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """Origin [1e-7 degree] and metres for 1e-7 degree north and east there."""

    lat_e7: int = 532_000_000
    lon_e7: int = -5_000_000

    @property
    def scale_m(self) -> tuple[float, float]:
        """Metres for 1e-7 degree: (north, east), at the origin."""
        north_m, east_m = metres_per_e7(float(self.lat_e7))
        return north_m, east_m

    def to_e7(self, x: Any, y: Any) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Metres east and north to (lat_e7, lon_e7), rounded to the nearest."""
        north_m, east_m = self.scale_m
        lat = self.lat_e7 + np.rint(np.asarray(y) / north_m)
        lon = self.lon_e7 + np.rint(np.asarray(x) / east_m)
        return lat.astype(np.int32), lon.astype(np.int32)

    def from_e7(self, lat_e7: Any, lon_e7: Any) -> tuple[Floats, Floats]:
        """1e-7 degrees to metres (east, north)."""
        north_m, east_m = self.scale_m
        return (np.asarray(lon_e7) - float(self.lon_e7)) * east_m, (np.asarray(lat_e7) - float(self.lat_e7)) * north_m

    def degrees(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Metres east and north to (lat, lon) in degrees with seven places."""
        lat, lon = self.to_e7(x, y)
        return lat / 1e7, lon / 1e7

    def snapped(self, geometry: Any) -> Any:
        """A shape in metres with its vertices moved to whole 1e-7 degrees: what the file will say, and so the truth."""
        return shapely.transform(geometry, lambda xy: np.column_stack(self.from_e7(*self.to_e7(xy[:, 0], xy[:, 1]))))

    def stretch(self, y: float) -> tuple[float, float]:
        """True metres for one metre of the map (east, north) at this height, for circles in true metres."""
        north_m, east_m = self.scale_m
        there_north_m, there_east_m = metres_per_e7(self.lat_e7 + y / north_m)
        return there_east_m / east_m, there_north_m / north_m
