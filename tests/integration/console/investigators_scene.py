"""A burglary in Kent on a Sunday morning: who of two forces was near, in a database; and somebody who asks for Kent alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crime_match.crimes.crime import Crime
from crime_match.crimes.store import File, import_crimes
from engine.activations import Activation, Activations
from engine.database import Connection
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import DAY_US, MINUTE_US, parse_time
from engine.wearers import Wearer
from tagwatch import configuration

LAT, LON = 51.27123, 0.52345
PLACE = f"{LAT}, {LON}"
FROM_US, TO_US = parse_time("2026-03-01T08:30:00Z"), parse_time("2026-03-01T08:45:00Z")
_METRE = 1 / 111_195
_WAYS: dict[str, Callable[[int], float]] = {  # metres north of the place, by minutes after 08:00
    "K1": lambda minute: 5.0 if 30 <= minute <= 45 else 3_000.0,
    "K2": lambda minute: 400.0,
    "K3": lambda minute: 40_000.0,
    "E1": lambda minute: 8.0 if 28 <= minute <= 50 else 2_000.0,
}
FORCES = {"K1": "Kent", "K2": "Kent", "K3": "Kent", "K4": "Kent", "E1": "Essex"}
NASTY = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"
"""A text that must come out as it is, on every page."""


def settle(connection: Connection) -> None:
    """K1 and, of Essex, E1 are at the place; K2 passes 400 m away, K3 is far, nothing is heard of K4. Two crimes of Kent, one
    of Essex."""
    rows = [Activation(f"T-{name}", name, FROM_US - 60 * DAY_US) for name in FORCES]
    wearers = [Wearer(name, f"Wearer {name}", "fixed", "IOM", force) for name, force in FORCES.items()]
    configuration.save(connection, FROM_US - 60 * DAY_US, activations=Activations(rows), wearers=wearers)
    FixStore(connection).write(fixes_of(FROM_US - 30 * MINUTE_US, 120))
    FixStore(connection).write(fixes_of(FROM_US - 30 * MINUTE_US - 7 * DAY_US, 120, still=True))
    crimes = [
        crime("R1", "back door " + NASTY),
        crime("R2", "shed", lat=LAT + 0.03),
        crime("R1", "elsewhere", force="Essex", lat=LAT + 0.3),
    ]
    import_crimes(connection, crimes, File("batch.csv", "ab" * 32, "csv", 3), FROM_US + DAY_US)


def crime(reference: str, text: str = "", *, force: str = "Kent", lat: float = LAT, lon: float = LON) -> Crime:
    """A burglary within the window."""
    return Crime(force, reference, "Burglary", FROM_US, TO_US, lat, lon, 0.0, text, "KNT20260301")


def fixes_of(from_us: int, minutes: int, *, still: bool = False) -> Fixes:
    """A fix a minute of everybody but K4, accurate to 10 m; still: all far away."""
    names = list(_WAYS)
    minute = np.tile(np.arange(minutes), len(names))
    north = [30_000.0 if still else way(k) for way in _WAYS.values() for k in range(minutes)]
    return Fixes.of(
        [f"T-{name}" for name in names],
        device=np.repeat(np.arange(len(names)), minutes),
        time_us=from_us + minute * MINUTE_US,
        lat_e7=np.rint((LAT + np.array(north) * _METRE) * 1e7),
        lon_e7=np.full(len(minute), round(LON * 1e7)),
        accuracy_cm=np.full(len(minute), 1_000),
        source=np.ones(len(minute)),
    )


def asked(**changes: str) -> dict[str, Any]:
    """The form of near as it is filled in for the burglary."""
    return {
        "lat": str(LAT), "lon": str(LON), "place": "", "uncertainty": "", "from": "01/03/2026 08:30",
        "to": "01/03/2026 08:45", "timezone": "Europe/London", "radius": "100", "pad": "10", "max_speed": "55",
        "min_fixes": "1", "reason": "Burglary", "case_ref": "26/4711", **changes,
    }  # fmt: skip
