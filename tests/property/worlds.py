"""Random worlds for the ledger law: what wearers wore and had to keep to, what their tags sent, and how all of it came.

A world is plain data: the conditions as files hold them, and steps in the order of their instants. `rebuilt` makes worlds
of some of its parts, for the search of the smallest one that breaks a law.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.activations import FOREVER_US, Activation, Activations
from engine.errors import InputError
from engine.events import EVENT_KINDS, DeviceEvent
from engine.fixes import ABSENT, Fixes, concat
from engine.times import HOUR_US, MINUTE_US, SECOND_US, parse_time, to_datetime, to_iso
from geofence.curfew import read_curfews
from geofence.zone import read_zones
from tagwatch.monitor import Conditions

LAT, LON = 53.0, -1.0
EAST_E7 = 149.3
"""1e-7 degrees of longitude in a metre, there."""
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
NAMES = ["ann", "bob", "cat"]
STARTS = ["2026-03-28T18:00:00Z", "2026-10-24T18:00:00Z", "2026-06-10T07:00:00Z", "2026-04-04T08:00:00Z"]
"""The evenings before the clocks change in London, a day like any other, and the morning before they change on Lord Howe."""
ZONES = ["Europe/London", "Europe/London", "Australia/Lord_Howe"]
Rng = np.random.Generator


class Raw(NamedTuple):
    """Conditions as files hold them: features of zones, rows of curfews, activations (none: a device is its wearer)."""

    zones: tuple[Any, ...] = ()
    curfews: tuple[Any, ...] = ()
    worn: tuple[Activation, ...] = ()

    def read(self) -> Conditions:
        """As the monitor takes them; InputError where they do not go together."""
        zones = read_zones({"type": "FeatureCollection", "features": list(self.zones)})
        return Conditions(zones, read_curfews(list(self.curfews), zones), Activations(self.worn))


class Step(NamedTuple):
    """What happens at one instant: `data` and `conditions` come, or the keeper is told to `refresh`, `forget`, `restart`,
    `check` or to `acknowledge`; `draw` decides what chance is left."""

    now_us: int
    kind: str
    fixes: Fixes = Fixes.empty()
    events: tuple[DeviceEvent, ...] = ()
    raw: Raw = Raw()
    draw: int = 0


class World(NamedTuple):
    """What holds at first, what happens, and how many rows at the end of a trail that was read again are kept."""

    raw: Raw
    steps: tuple[Step, ...]
    kept_rows: int = 64


def world(seed: int, n_most: int = 90) -> World:
    """The world of a number, with up to so many fixes a device."""
    rng = np.random.default_rng(seed)
    start_us = parse_time(str(rng.choice(STARTS)))
    devices, wearers = NAMES[: rng.integers(1, 4)], NAMES[: rng.integers(1, 4)]
    fixes, came_us = _fixes(rng, devices, start_us, n_most)
    events, told_us = _events(rng, devices, fixes, start_us)
    times = [*came_us.tolist(), *told_us]
    low_us, high_us = min(times, default=start_us), max(times, default=start_us) + HOUR_US
    raws = _changes(rng, _first(rng, wearers, devices, start_us), wearers, devices, (start_us, low_us, high_us))
    steps = [Step(at, "data", fixes.take(slice(k, k + 1))) for k, at in enumerate(came_us.tolist())]
    steps += [Step(at, "data", events=(event,)) for at, event in zip(told_us, events, strict=True)]
    steps += [Step(at, "conditions", raw=raw) for at, raw in raws[1:]]
    for kind, most in (("refresh", 8), ("forget", 14), ("restart", 3), ("check", 4), ("acknowledge", 3)):
        for at in rng.integers(low_us, high_us, rng.integers(0, most + 1)).tolist():
            steps.append(Step(at, kind, draw=int(rng.integers(2**32))))
    steps.sort(key=lambda s: s.now_us)
    later_us = int(rng.choice([0, 1, 20 * MINUTE_US, 9 * HOUR_US, 60 * HOUR_US]))
    end = Step(max(high_us, steps[-1].now_us if steps else 0) + later_us, "check", draw=int(rng.integers(2**32)))
    return World(raws[0][1], (*_joined(rng, steps), end), int(rng.choice([64, 8, 3])))


def _joined(rng: Rng, steps: Sequence[Step]) -> list[Step]:
    """Data that follow one another in batches, each as of its last piece."""
    rate, joined = rng.choice([0.0, 0.5, 0.9, 0.99]), list[Step]()
    for step in steps:
        last = joined[-1] if joined else None
        if last and last.kind == step.kind == "data" and rng.random() < rate:
            joined[-1] = step._replace(fixes=concat([last.fixes, step.fixes]), events=last.events + step.events)
        else:
            joined.append(step)
    return joined


# --- what tags send


def _fixes(rng: Rng, devices: Sequence[str], start_us: int, n_most: int) -> tuple[Fixes, Any]:
    """The fixes of all devices, some sent again and some with another's time, and when each came."""
    trails = [_trail(rng, name, start_us, int(rng.integers(0, n_most + 1))) for name in devices]
    fixes, came_us = concat([f for f, _ in trails]), np.concatenate([c for _, c in trails])
    if not len(fixes):
        return fixes, came_us
    again = rng.integers(0, len(fixes), len(fixes) // 8)
    other = rng.integers(0, len(fixes), len(fixes) // 12)
    twins = fixes.take(other)
    twins.lat_e7[:] += rng.choice([0, 900, 90_000], len(other)).astype(np.int32)
    twins.accuracy_cm[:] = rng.choice([500, 2500, 20_000], len(other)).astype(np.int32)
    later_us = rng.choice([0, 3, 900, 30_000], len(again) + len(other)) * SECOND_US
    return concat([fixes, fixes.take(again), twins]), np.concatenate(
        [came_us, came_us[np.concatenate([again, other])] + later_us]
    )


def _trail(rng: Rng, device: str, start_us: int, n: int) -> tuple[Fixes, Any]:
    steps_s = rng.choice(
        [0, 0.5, 20, 60, 300, 930, 1500, 5000, 20_000], n, p=[0.02, 0.02, 0.15, 0.5, 0.2, 0.04, 0.04, 0.02, 0.01]
    )
    time_us = start_us + (np.cumsum(steps_s) * SECOND_US).astype(np.int64)
    stay = int(rng.choice([3, 5, 12]))
    east_m = np.repeat(rng.choice([0, 0, 140, 600, 900, 2500], n // stay + 1), stay)[:n] + rng.normal(0, 15, n)
    east_m += (rng.random(n) < 0.03) * 30_000
    battery = np.clip(
        rng.choice([60, 24, 9]) + np.cumsum(rng.choice([-4, -1, 0, 1, 12], n, p=[0.1, 0.4, 0.3, 0.15, 0.05])), 0, 100
    )
    battery = np.where(rng.random(n) < rng.choice([0.1, 1.0]), ABSENT, battery)
    fixes = Fixes.of(
        (device,), device=np.zeros(n), time_us=time_us,
        lat_e7=np.round((LAT + rng.normal(0, 5e-5, n)) * 1e7), lon_e7=np.round(LON * 1e7 + east_m * EAST_E7),
        accuracy_cm=rng.choice([ABSENT, 0, 600, 1500, 20_000, 400_000], n, p=[0.05, 0.05, 0.5, 0.3, 0.05, 0.05]),
        source=rng.choice([1, 1, 1, 6], n), satellites=rng.choice([ABSENT, 12, 11, 5, 3], n), battery_pct=battery,
    )  # fmt: skip
    return fixes, _arrivals(rng, time_us)


def _arrivals(rng: Rng, time_us: Any) -> Any:
    """When fixes of these times come: at once, in uploads, after hours, anyhow; a few before their own time."""
    n, mode = len(time_us), str(rng.choice(["live", "uploads", "backlog", "late", "anyhow"]))
    came_us = time_us + rng.integers(0, 4 * SECOND_US, n)
    if mode == "uploads":
        came_us = (time_us // (10 * MINUTE_US) + 1) * 10 * MINUTE_US
    if mode == "backlog" and n:
        for _ in range(rng.integers(1, 4)):
            low, high = np.sort(rng.integers(0, n, 2))
            came_us[low:high] = came_us[high] + int(rng.integers(0, 12 * HOUR_US))
    if mode == "late":
        came_us += (rng.random(n) < 0.1) * rng.integers(0, 24 * HOUR_US, n)
    if mode == "anyhow" and n:
        came_us = rng.integers(time_us[0], time_us[-1] + 6 * HOUR_US, n)
    ahead_us = rng.choice([100, 4000, 100_000], n) * SECOND_US
    return np.where(rng.random(n) < rng.choice([0, 0.03]), time_us - ahead_us, came_us)


def _events(rng: Rng, devices: Sequence[str], fixes: Fixes, start_us: int) -> tuple[list[DeviceEvent], list[int]]:
    """Events of all kinds about the times of the fixes, some told again, and when each came."""
    last_us = int(fixes.time_us.max()) if len(fixes) else start_us + 5 * HOUR_US
    events, told_us = [], []
    for _ in range(rng.choice([0, 3, 15])):
        at_us = int(rng.integers(start_us - MINUTE_US, last_us + HOUR_US)) // SECOND_US * SECOND_US
        if len(fixes) and rng.random() < 0.3:
            at_us = int(rng.choice(fixes.time_us))
        kind = str(rng.choice(EVENT_KINDS))
        value = str(rng.choice([0, 5, 9.5, 10, 20, 21, 60])) if kind == "battery" else str(rng.choice(["", "E1", "E2"]))
        event = DeviceEvent(str(rng.choice(devices)), at_us, kind, value)
        for _ in range(rng.choice([1, 1, 1, 2])):
            events.append(event)
            told_us.append(at_us + int(rng.choice([-400, 0, 3, 600, 20_000])) * SECOND_US)
    return events, told_us


# --- what wearers have to keep to


def _first(rng: Rng, wearers: Sequence[str], devices: Sequence[str], start_us: int) -> Raw:
    zones = tuple(_zone(rng, f"z{k}", wearers, start_us) for k in range(rng.integers(0, 4)))
    curfews = tuple(_curfew(rng, f"c{k}", wearers, zones, start_us) for k in range(rng.integers(0, 3)))
    worn = _worn(rng, wearers, devices, start_us) if rng.random() < 0.7 else ()
    return _readable(Raw(zones, curfews, worn)) or Raw()


def _readable(raw: Raw) -> Raw | None:
    try:
        raw.read()
    except InputError:
        return None
    return raw


def _changes(
    rng: Rng, raw: Raw, wearers: Sequence[str], devices: Sequence[str], when: tuple[int, int, int]
) -> list[tuple[int, Raw]]:  # fmt: skip
    """What holds at first and what was imported since; each is a change of what was before."""
    start_us, low_us, high_us = when
    raws = [(low_us, raw)]
    for at_us in np.sort(rng.integers(low_us, high_us, rng.choice([0, 1, 2, 5]))).tolist():
        for _ in range(rng.integers(1, 3)):
            raw = _readable(_changed(rng, raw, wearers, devices, (start_us, at_us))) or raw
        raws.append((at_us, raw))
    return raws


def _changed(rng: Rng, raw: Raw, wearers: Sequence[str], devices: Sequence[str], when: tuple[int, int]) -> Raw:
    kind, (start_us, at_us) = rng.choice(["zone", "curfew", "worn"]), when
    if kind == "worn":
        return raw._replace(worn=_corrected(rng, raw.worn, wearers, devices, when))
    rows = list(raw.zones if kind == "zone" else raw.curfews)
    name = f"{kind[0]}{rng.integers(0, 3)}"
    one = _zone(rng, name, wearers, start_us) if kind == "zone" else _curfew(rng, name, wearers, raw.zones, start_us)
    of_it = [k for k, row in enumerate(rows) if (row["properties"] if kind == "zone" else row)["id"] == name]
    from_us = int(rng.choice([at_us, at_us, at_us - 3 * HOUR_US, at_us - 30 * HOUR_US, at_us + 2 * HOUR_US]))
    how = rng.choice(["version", "version", "end", "correct", "drop"])
    if not of_it:
        rows.append(one)
    elif how == "drop":
        del rows[int(rng.choice(of_it))]
    elif how == "correct":
        k = int(rng.choice(of_it))
        rows[k] = _held(one, rows[k].get("properties", rows[k]).get("holds_from"))
    elif how == "end":
        end = {"id": name, "removed": True}
        rows.append(
            _held({"type": "Feature", "geometry": None, "properties": end} if kind == "zone" else end, to_iso(from_us))
        )
    else:
        rows.append(_held(one, to_iso(from_us)))
    return raw._replace(zones=tuple(rows)) if kind == "zone" else raw._replace(curfews=tuple(rows))


def _held(row: Any, holds_from: str | None) -> Any:
    """A zone or a curfew as the version that holds from an instant on."""
    more = {"holds_from": holds_from} if holds_from else {}
    return {**row, "properties": row["properties"] | more} if "properties" in row else row | more


def _zone(rng: Rng, name: str, wearers: Sequence[str], start_us: int) -> Any:
    kind = str(rng.choice(["exclusion", "exclusion", "inclusion"]))
    radius_m = float(rng.choice([120, 250, 900] if kind == "exclusion" else [300, 1200]))
    lon, lat = LON + float(rng.choice([0, 300, 600, 900, 90_000])) * EAST_E7 * 1e-7, LAT
    geometry: dict[str, Any] = {"type": "Point", "coordinates": [lon, lat]}
    given: dict[str, Any] = {"id": name, "kind": kind, "wearers": _some(rng, wearers) if rng.random() < 0.5 else "*"}
    if rng.random() < 0.3:
        dx, dy = radius_m * EAST_E7 * 1e-7, radius_m / 111_000
        ring = [[lon - dx, lat - dy], [lon + dx, lat - dy], [lon + dx, lat + dy], [lon, lat], [lon - dx, lat + dy]]
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    else:
        given["radius_m"] = radius_m
    if rng.random() < 0.3:
        given["schedule"] = {"timezone": str(rng.choice(ZONES)), "weekly": _weekly(rng)}
    if rng.random() < 0.3 and kind == "exclusion":
        given["buffer_m"] = float(rng.choice([50, 300]))
    if rng.random() < 0.2:
        given["grade"] = str(rng.choice(["critical", "medium"]))
    given |= _dates(rng, start_us)
    given["exceptions"] = _exceptions(rng, start_us, ["authorised", "suspended"])
    return {"type": "Feature", "properties": given, "geometry": geometry}


def _curfew(rng: Rng, name: str, wearers: Sequence[str], zones: Sequence[Any], start_us: int) -> Any:
    discs = [
        {"lat": LAT, "lon": LON + float(rng.choice([0, 140, 600])) * EAST_E7 * 1e-7, "radius_m": 120.0} for _ in range(2)
    ]
    places: list[Any] = discs[: rng.integers(1, 3)]
    named = [z["properties"]["id"] for z in zones if z["properties"].get("kind")]
    if named and rng.random() < 0.3:
        places.append({"zone": str(rng.choice(named))})
    row = {
        "id": name, "wearer": str(rng.choice(wearers)), "place": places, "timezone": str(rng.choice(ZONES)),
        "weekly": _weekly(rng), "grace_minutes": int(rng.choice([0, 5, 15])),
        "exceptions": _exceptions(rng, start_us, ["authorised", "extra"]),
    }  # fmt: skip
    if rng.random() < 0.3:
        row["unverified_minutes"] = int(rng.choice([0, 10, 60]))
    return row | _dates(rng, start_us)


def _some(rng: Rng, wearers: Sequence[str]) -> list[str]:
    return [str(w) for w in rng.choice(wearers, rng.integers(1, len(wearers) + 1), replace=False)]


def _weekly(rng: Rng) -> list[Any]:
    rows = []
    for _ in range(rng.choice([1, 1, 2])):
        start, end = rng.choice(["00:00", "01:30", "06:00", "07:15", "10:00", "19:00", "21:30", "23:59"], 2, replace=False)
        days = DAYS if rng.random() < 0.7 else [str(d) for d in rng.choice(DAYS, 3, replace=False)]
        rows.append({"days": days, "start": str(start), "end": "24:00" if end == "00:00" else str(end)})
    return rows


def _dates(rng: Rng, start_us: int) -> dict[str, str]:
    dates = {}
    for key, low, high in (("valid_from", -1, 2), ("valid_to", 0, 3)):
        if rng.random() < 0.15:
            dates[key] = to_datetime(start_us + int(rng.integers(low, high)) * 24 * HOUR_US).date().isoformat()
    return dates


def _exceptions(rng: Rng, start_us: int, kinds: Sequence[str]) -> list[Any]:
    rows = []
    for _ in range(rng.choice([0, 0, 1, 2])):
        from_us = start_us + int(rng.integers(-2, 60)) * 20 * MINUTE_US
        to_us = from_us + int(rng.choice([10, 40, 300])) * MINUTE_US
        rows.append({"from": to_iso(from_us), "to": to_iso(to_us), "kind": str(rng.choice(kinds))})
    return rows


# --- who wears what


def _worn(rng: Rng, wearers: Sequence[str], devices: Sequence[str], start_us: int) -> tuple[Activation, ...]:
    """Each device on one wearer after the other, with gaps."""
    rows = []
    for device in devices:
        at_us = start_us + int(rng.choice([-60, -1, 1])) * HOUR_US
        for _ in range(rng.choice([1, 1, 2, 3])):
            to_us = at_us + int(rng.choice([1, 3, 8, 30])) * HOUR_US + int(rng.choice([0, 7])) * MINUTE_US
            rows.append(_activation(rng, device, str(rng.choice(wearers)), at_us, to_us))
            at_us = to_us + int(rng.choice([0, 0, 30])) * MINUTE_US
        if rng.random() < 0.7:
            rows[-1] = rows[-1]._replace(to_us=FOREVER_US)
    return tuple(rows)


def _activation(rng: Rng, device: str, wearer: str, from_us: int, to_us: int) -> Activation:
    percentile, interval_s, upload_s = (
        float(rng.choice([0.95, 0.68])),
        int(rng.choice([60, 300])),
        int(rng.choice([600, 60])),
    )
    return Activation(device, wearer, from_us, to_us, percentile, interval_s, upload_s, int(rng.choice([300, 0])))


def _corrected(
    rng: Rng, rows: tuple[Activation, ...], wearers: Sequence[str], devices: Sequence[str], when: tuple[int, int]
) -> tuple[Activation, ...]:  # fmt: skip
    """One activation ended, moved, given to another wearer, left out or new; rarely all of them."""
    start_us, at_us = when
    if rng.random() < 0.1 or not rows:
        return _worn(rng, wearers, devices, start_us) if not rows else ()
    k, how = int(rng.integers(len(rows))), rng.choice(["end", "from", "wearer", "plan", "drop", "new"])
    row = rows[k]
    edge_us = int(rng.choice([at_us, at_us - 2 * HOUR_US, start_us + HOUR_US, start_us + 9 * HOUR_US]))
    if how == "drop":
        return rows[:k] + rows[k + 1 :]
    if how == "new":
        return (*rows, _activation(rng, str(rng.choice(devices)), str(rng.choice(wearers)), edge_us, FOREVER_US))
    made = {
        "end": row._replace(to_us=edge_us), "from": row._replace(from_us=edge_us),
        "wearer": row._replace(wearer=str(rng.choice(wearers))),
        "plan": _activation(rng, row.device, row.wearer, row.from_us, row.to_us),
    }[str(how)]  # fmt: skip
    return (*rows[:k], made, *rows[k + 1 :])


# --- the smallest world


def smallest(of: World, breaks: Callable[[World], bool]) -> World:
    """A world from which nothing can be left out, by halves and then by pieces, without losing what breaks."""
    was = None
    while was != (was := _weight(of)):
        size = max(1, len(_pieces(of.steps)) // 2)
        while size:
            k = 0
            while k < len(pieces := _pieces(of.steps)):
                less = of._replace(steps=_whole(pieces[:k] + pieces[k + size :]))
                of, k = (less, k) if breaks(less) else (of, k + size)
            size //= 2
        for part in ("zones", "curfews", "worn"):
            for key in sorted({_key(row) for raw in _raws(of) for row in getattr(raw, part)}):
                less = _without(of, part, key)
                of = less if breaks(less) else of
    return of


def _weight(of: World) -> int:
    return len(_pieces(of.steps)) + sum(len(part) for raw in _raws(of) for part in raw)


def _pieces(steps: Sequence[Step]) -> list[tuple[int, Step]]:
    """Each fix and each event apart, with the number of the step that it came in."""
    pieces: list[tuple[int, Step]] = []
    for number, step in enumerate(steps):
        if step.kind != "data":
            pieces.append((number, step))
        pieces += [
            (number, step._replace(fixes=step.fixes.take(slice(k, k + 1)), events=())) for k in range(len(step.fixes))
        ]
        pieces += [(number, step._replace(fixes=Fixes.empty(), events=(event,))) for event in step.events]
    return pieces


def _whole(pieces: Sequence[tuple[int, Step]]) -> tuple[Step, ...]:
    steps: dict[int, Step] = {}
    for number, step in pieces:
        known = steps.get(number)
        more = known and step._replace(fixes=concat([known.fixes, step.fixes]), events=known.events + step.events)
        steps[number] = more or step
    return tuple(steps.values())


def _raws(of: World) -> list[Raw]:
    return [of.raw, *(step.raw for step in of.steps if step.kind == "conditions")]


def _key(row: Any) -> str:
    return str(row[:3] if isinstance(row, Activation) else row.get("properties", row))


def _without(of: World, part: str, key: str) -> World:
    def cut(raw: Raw) -> Raw:
        return raw._replace(**{part: tuple(row for row in getattr(raw, part) if _key(row) != key)})

    return of._replace(raw=cut(of.raw), steps=tuple(step._replace(raw=cut(step.raw)) for step in of.steps))


def told(of: World) -> str:
    """A world in words, for people."""
    lines = [f"kept_rows={of.kept_rows}", *_told_raw(of.raw)]
    for step in of.steps:
        lines.append(f"{to_iso(step.now_us)} {step.kind} {step.draw or ''}")
        f = step.fixes
        for k in range(len(f)):
            east_m = (int(f.lon_e7[k]) - LON * 1e7) / EAST_E7
            lines.append(
                f"    fix {f.devices[f.device[k]]} {to_iso(int(f.time_us[k]))} east {east_m:.0f} lat {int(f.lat_e7[k])} acc"
                f" {int(f.accuracy_cm[k])} source {int(f.source[k])} sat {int(f.satellites[k])} bat {int(f.battery_pct[k])}"
            )
        lines += [f"    event {e.device} {to_iso(e.time_us)} {e.kind} {e.value}" for e in step.events]
        lines += _told_raw(step.raw) if step.kind == "conditions" else []
    return "\n".join(lines)


def _told_raw(raw: Raw) -> list[str]:
    rows: list[Any] = [{**z["properties"], "geometry": z["geometry"]} for z in raw.zones]
    worn = [
        f"    {w.device} on {w.wearer} from {to_iso(w.from_us)} to {'-' if w.to_us == FOREVER_US else to_iso(w.to_us)} {w[4:]}"
        for w in raw.worn
    ]
    return [f"    {row}" for row in (*rows, *raw.curfews)] + worn
