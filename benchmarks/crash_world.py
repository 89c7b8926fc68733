"""What happens in a crash run: wearers about their zones, late and doubled fixes, device events, changes of configuration."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import DAYS, degrees
from engine.activations import FOREVER_US, Activation, Activations
from engine.events import DeviceEvent
from engine.fixes import SOURCES, Fixes
from engine.times import to_iso

START_US = 1_774_724_400_000_000
"""2026-03-28T19:00:00Z: the night in which the clocks of Europe/London go forward is in every run of some length."""
_MINUTE_US = 60_000_000
LATE = ((0.10, 3_600), (0.01, 6 * 3_600))
_TWICE = 0.02
_EVENTS = ("battery", "charging", "motion", "no_motion", "case_tamper", "strap_tamper", "power_off", "power_on", "gps_lost")


class Change(NamedTuple):
    """A change of the configuration, and from which moment of the tags' time [us] on it holds."""

    from_us: int
    zones: dict[str, Any] | None
    curfews: list[dict[str, Any]] | None


class World(NamedTuple):
    """What the tags send, in order of arrival (doubled fixes are there twice), and what the centre imports and when."""

    fixes: Fixes
    events: list[DeviceEvent]
    activations: Activations
    first: Change
    changes: list[Change]


def world(
    seed: int, n_devices: int, n_each: int, n_changes: int = 4, late: tuple[tuple[float, int], ...] = LATE
) -> World:  # fmt: skip
    """A seeded world of `n_devices` wearers with a fix a minute each; `late`: shares of them, and how late they come [s]."""
    rng = np.random.default_rng(seed)
    names = [f"t{k:03d}" for k in range(n_devices)]
    minutes = np.arange(n_each) * _MINUTE_US + START_US
    activations = Activations(
        Activation(name, f"w{name[1:]}", START_US - _MINUTE_US, FOREVER_US, 0.95, 60, 600, 300) for name in names
    )
    first = Change(0, _zones(names, 250), [_curfew(name, 1, 60) for name in names[::3]])
    cuts = rng.choice(np.arange(1, max(2, n_each)), min(n_changes, n_each - 1), replace=False)
    changes = [_change(names, k, int(minutes[cut])) for k, cut in enumerate(sorted(cuts))]
    return World(
        _doubled(rng, _walks(rng, names, minutes, late)), _events(rng, names, minutes), activations, first, changes
    )


def _walks(
    rng: np.random.Generator, names: list[str], minutes: NDArray[np.int64], late: tuple[tuple[float, int], ...]
) -> Fixes:  # fmt: skip
    """Ways that come back (an autoregression of 0.97 a minute, 300 m wide) about homes 0 to 600 m from the zones."""
    n, n_each = len(names), len(minutes)
    homes = rng.uniform(-400.0, 400.0, (n, 2))
    steps, at = rng.normal(0.0, 75.0, (n_each, n, 2)), rng.normal(0.0, 300.0, (n, 2))
    x = np.empty((n, n_each, 2))
    for k in range(n_each):
        at = 0.97 * at + steps[k]
        x[:, k] = homes + at
    lat, lon = degrees(x[..., 0].ravel(), x[..., 1].ravel())
    late_s = np.full(n * n_each, 5)
    for share, seconds in late:
        late_s[rng.random(n * n_each) < share] = seconds
    time_us = np.tile(minutes, n)
    fixes = Fixes.of(
        names, device=np.repeat(np.arange(n), n_each), time_us=time_us, lat_e7=np.rint(lat * 1e7), lon_e7=np.rint(lon * 1e7),
        accuracy_cm=rng.integers(400, 3000, n * n_each), source=np.full(n * n_each, SOURCES["gps"]),
        battery_pct=rng.integers(1, 100, n * n_each), received_s=time_us // 1_000_000 + late_s,
    )  # fmt: skip
    return fixes.take(np.argsort(fixes.received_s, kind="stable"))


def _doubled(rng: np.random.Generator, fixes: Fixes) -> Fixes:
    """Some fixes come a second time, a thousand places later."""
    places = np.arange(len(fixes), dtype=np.float64)
    again = np.flatnonzero(rng.random(len(fixes)) < _TWICE)
    order = np.argsort(np.concatenate([places, again + 1000.5]), kind="stable")
    both = np.concatenate([np.arange(len(fixes)), again])[order]
    sent = fixes.take(both)
    columns = {name: sent.column(name) for name in Fixes.__slots__ if name not in ("devices", "received_s")}
    arrival_s = np.maximum.accumulate(sent.received_s)  # so that `publish` keeps this order
    return Fixes(sent.devices, received_s=arrival_s, **columns)


def _events(rng: np.random.Generator, names: list[str], minutes: NDArray[np.int64]) -> list[DeviceEvent]:
    made = []
    for name in names:
        for k in np.flatnonzero(rng.random(len(minutes)) < 1 / 50).tolist():
            kind = _EVENTS[int(rng.integers(len(_EVENTS)))]
            value = str(int(rng.integers(0, 100))) if kind == "battery" else ""
            time_us = int(minutes[k]) + 1_000_000
            made.append(DeviceEvent(name, time_us, kind, value, time_us // 1_000_000 + int(rng.integers(0, 300))))
    return made


def _zones(names: list[str], radius_m: int) -> dict[str, Any]:
    """A disc that is forbidden to all, one to every second, and one that every fifth must not leave."""
    discs = [("centre", "exclusion", "*", (0.0, 0.0), radius_m), ("east", "exclusion", names[::2], (500.0, 0.0), 300),
             ("stay", "inclusion", names[::5], (0.0, 0.0), 500)]  # fmt: skip
    features = []
    for name, kind, who, at, radius in discs:
        lat, lon = degrees(*at)
        wearers = who if who == "*" else [f"w{device[1:]}" for device in who]
        features.append({
            "type": "Feature", "geometry": {"type": "Point", "coordinates": [round(float(lon), 7), round(float(lat), 7)]},
            "properties": {"id": name, "kind": kind, "wearers": wearers, "radius_m": radius},
        })  # fmt: skip
    return {"type": "FeatureCollection", "features": features}


def _curfew(name: str, from_hour: int, grace_minutes: int) -> dict[str, Any]:
    lat, lon = degrees(0.0, 0.0)
    return {
        "id": f"curfew-{name}", "wearer": f"w{name[1:]}", "timezone": "Europe/London", "valid_to": "2026-04-10",
        "place": {"lat": round(float(lat), 7), "lon": round(float(lon), 7), "radius_m": 700},
        "weekly": [{"days": DAYS, "start": f"{(18 + from_hour) % 24:02d}:00", "end": "07:00"}],
        "grace_minutes": grace_minutes,
    }  # fmt: skip


def _change(names: list[str], number: int, at_us: int) -> Change:
    """By turns another radius for all, and an authorised absence with another grace for some."""
    if number % 2 == 0:
        return Change(at_us, _zones(names, 150 + 50 * (number % 5)), None)
    absence = {"from": to_iso(at_us), "to": to_iso(at_us + 7_200_000_000), "kind": "authorised", "reason": "work"}
    rows = [{**_curfew(name, 1, 30), "exceptions": [absence]} for name in names[:: 3 + number]]
    return Change(at_us, None, [row for row in rows if row["id"] in {f"curfew-{name}" for name in names[::3]}])
