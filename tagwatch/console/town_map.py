"""The map as SVG: streets and zones drawn once, wearers' latest positions drawn anew. Metres are not measured on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tagwatch.console.records import AlertRecord, Position
from tagwatch.console.wording import GRADES

WIDTH = 1000.0
_MARGIN = 0.03
_METRES_A_DEGREE = 111_320.0

Point = tuple[float, float]


class Shape(NamedTuple):
    """One zone: an SVG path, its kind, its name and where the name is written."""

    path: str
    kind: str
    name: str
    x: float
    y: float


class Marker(NamedTuple):
    """One wearer on the map; `grade` is that of the worst open alert, empty where there is none."""

    x: float
    y: float
    wearer: str
    grade: str
    time: str


class TownMap:
    """A plate carrée map of the scene, or of the positions where there is no scene; None fields until it has an extent."""

    def __init__(self, scene: Mapping[str, Any] | None, positions: Sequence[Position] = ()) -> None:
        features = {name: ((scene or {}).get(name) or {}).get("features") or [] for name in ("streets", "zones")}
        places = [p for f in features["streets"] + features["zones"] for line in _lines(f) for p in line]
        places = places or [(p.lon, p.lat) for p in positions]
        self.drawn = bool(places)
        self._fit(places or [(0.0, 0.0)])
        self.streets = " ".join(self._path(line) for f in features["streets"] for line in _lines(f))
        self.zones = [self._shape(f) for f in features["zones"]]

    def markers(self, positions: Iterable[Position], alerts: Iterable[AlertRecord]) -> tuple[list[Marker], int]:
        """Markers within the map, those with alerts last (on top), and how many wearers are off the map."""
        worst: dict[str, str] = {}
        for alert in alerts:  # in the order of the queue, so the worst comes first
            worst.setdefault(alert.content["wearer"], alert.content["grade"])
        found, n_off = [], 0
        for p in positions:
            x, y = self._xy(p.lon, p.lat)
            if 0 <= x <= WIDTH and 0 <= y <= self.height:
                found.append(Marker(x, y, p.wearer, worst.get(p.wearer, ""), p.time))
            else:
                n_off += 1
        return sorted(found, key=lambda m: -GRADES.index(m.grade) if m.grade in GRADES else -len(GRADES)), n_off

    def _fit(self, places: Sequence[Point]) -> None:
        west, east = min(p[0] for p in places), max(p[0] for p in places)
        south, north = min(p[1] for p in places), max(p[1] for p in places)
        self._squeeze = math.cos(math.radians((south + north) / 2))
        across = max((east - west) * self._squeeze, north - south, 1e-3)
        pad = _MARGIN * across
        self._west, self._north = west - pad / self._squeeze, north + pad
        self._scale = WIDTH / max((east - west) * self._squeeze + 2 * pad, 1e-3)
        self.height = round(min(WIDTH, (north - south + 2 * pad) * self._scale), 1)

    def _xy(self, lon: float, lat: float) -> Point:
        return round((lon - self._west) * self._squeeze * self._scale, 1), round((self._north - lat) * self._scale, 1)

    def _path(self, line: Sequence[Point], close: str = "") -> str:
        return "M" + " ".join(f"{x} {y}" for x, y in (self._xy(*p) for p in line)) + close

    def _shape(self, feature: Mapping[str, Any]) -> Shape:
        told = feature.get("properties") or {}
        lines = list(_lines(feature))
        corners = [self._xy(*p) for line in lines for p in line]
        middle = [(min(values) + max(values)) / 2 for values in zip(*corners, strict=True)] or [0.0, 0.0]
        path = " ".join(self._path(line, "Z") for line in lines)
        name = str(told.get("name") or told.get("id") or "")
        return Shape(path, str(told.get("kind", "")), name, round(middle[0], 1), round(middle[1], 1))


def _lines(feature: Mapping[str, Any]) -> Iterator[list[Point]]:
    """The lines and rings of a feature; a point with `radius_m` is a ring of 48 corners."""
    geometry = feature.get("geometry") or {}
    kind, places = geometry.get("type"), geometry.get("coordinates") or []
    if kind == "LineString":
        yield [(p[0], p[1]) for p in places]
    elif kind in ("MultiLineString", "Polygon"):
        yield from ([(p[0], p[1]) for p in line] for line in places)
    elif kind == "MultiPolygon":
        yield from ([(p[0], p[1]) for p in ring] for polygon in places for ring in polygon)
    elif kind == "Point":
        yield _circle(places, float((feature.get("properties") or {}).get("radius_m") or 0.0))


def _circle(place: Sequence[float], radius_m: float) -> list[Point]:
    lon, lat = place[0], place[1]
    up = radius_m / _METRES_A_DEGREE
    across = up / math.cos(math.radians(lat))
    turns = [2 * math.pi * k / 48 for k in range(48)]
    return [(lon + across * math.cos(t), lat + up * math.sin(t)) for t in turns]
