"""The drawings of an evidence pack: true to the ground, nothing near the place hidden, the same bytes everywhere."""

import hashlib
import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
import typst
from hypothesis import given, settings
from hypothesis import strategies as st

from crime_match.crimes.crime import Crime
from crime_match.evidence.drawing.base_map import BaseMap, draw_base, kind_of
from crime_match.evidence.drawing.chart import coverage_chart, routine_chart
from crime_match.evidence.drawing.detail_map import detail_map
from crime_match.evidence.drawing.graticule import graticule
from crime_match.evidence.drawing.key import key
from crime_match.evidence.drawing.labels import Labels
from crime_match.evidence.drawing.lanes import gaps_of
from crime_match.evidence.drawing.map import scale_bar
from crime_match.evidence.drawing.plane import Frame, Plane, frame_about, nice_step, rounded_up
from crime_match.evidence.drawing.svg import Drawing, drawing, element, number, quoted, text
from crime_match.evidence.drawing.symbols import KINDS, symbols
from crime_match.evidence.drawing.symbols import kind_of as symbol_of
from crime_match.evidence.drawing.time_axis import TimeAxis
from crime_match.evidence.drawing.tracks_map import tracks_map
from crime_match.evidence.drawing.way import (
    CELL_MM,
    GAP,
    JOINED,
    SEEN_MM,
    is_joined,
    runs_of,
    thinned_line,
    thinned_symbols,
)
from crime_match.evidence.drawing.wording import counted, day_text, duration_text, length_text, numbers_text
from crime_match.evidence.rows import WINDOW, fix_rows, window_of
from crime_match.question import Parameters
from engine.activations import Activation, Activations
from engine.fixes import SOURCES, Fixes
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, to_datetime
from tagwatch.matching import match_crimes, run_of, trails_of
from tests.evidence_case import START_US, case, hostile_case

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"
WGS84 = pyproj.Geod(ellps="WGS84")


def case_at(
    place=(51.5, -0.12), n=120, *, east=None, north=None, step_s=60, window=None, pad_s=600, uncertainty_m=0.0, source="gps",
    accuracy_cm=1200, radius_m=100.0, start_us=START_US, timezone="Europe/London",
):  # fmt: skip
    """A case whose fixes lie at metres east and north of a place, by functions of their number."""
    k = np.arange(n)
    east_m = np.broadcast_to(east(k) if east else 30.0 * (k - n // 2), n)
    north_m = np.broadcast_to(north(k) if north else 20.0 * np.cos(k / 3), n)
    azimuth, apart_m = np.degrees(np.arctan2(east_m, north_m)), np.hypot(east_m, north_m)
    lon, lat, _ = WGS84.fwd(np.full(n, place[1]), np.full(n, place[0]), azimuth, apart_m)
    time_us = start_us + k * step_s * SECOND_US
    columns = {
        "time_us": time_us, "received_s": time_us // SECOND_US + 5, "accuracy_cm": np.full(n, accuracy_cm),
        "source": np.full(n, SOURCES[source]), "lat_e7": np.rint(lat * 1e7), "lon_e7": np.rint(lon * 1e7),
    }  # fmt: skip
    asked = window or (int(time_us[n // 4]), int(time_us[3 * n // 4]))
    crime = Crime("METROPOLITAN", "C1", "RB", *asked, *place, uncertainty_m=uncertainty_m)
    worn = Activations([Activation("T1", "W1", start_us - DAY_US)])
    trails = trails_of(Fixes.of(("T1",), device=np.zeros(n), **columns), worn)
    parameters = Parameters(radius_m=radius_m, pad_us=pad_s * SECOND_US)
    [found] = list(match_crimes(trails, [crime], parameters))
    changes = {"crime": crime, "trail": trails[0], "run": run_of([crime], trails, parameters), "origins": []}
    return replace(case(), match=found.matches[0].record(), timezone=timezone, **changes)


def parsed(drawn):
    return ElementTree.fromstring(drawn.svg)


def every(drawn, name):
    """The elements of a class, those of its group."""
    return [one for one in parsed(drawn).iter() if one.get("class") == name]


def circles(drawn, name):
    return [
        (float(c.get("cx")), float(c.get("cy")), float(c.get("r")))
        for g in every(drawn, name)
        for c in g.iter(f"{SVG}circle")
    ]


def texts(drawn):
    return [one.text for one in parsed(drawn).iter(f"{SVG}text")]


def scale_of(drawn):
    """Metres of ground to a millimetre, by the bar: its length on the paper and the words at its end."""
    [bar] = every(drawn, "scale")
    told = [words for words in texts(drawn) if words and re.fullmatch(r"[\d.]+ (cm|m|km)", words)]
    value, unit = told[1].split()
    return float(value) * {"cm": 0.01, "m": 1.0, "km": 1000.0}[unit] / float(bar.get("width"))


def place_of(drawn):
    [mark] = every(drawn, "place")
    [ring] = list(mark.iter(f"{SVG}circle"))
    return float(ring.get("cx")), float(ring.get("cy"))


def on_paper(drawn, told, rows):
    """Where PROJ's own azimuthal equidistant projection puts fixes, with the drawing's place and scale bar."""
    asked = told.match["parameters"]
    plane = pyproj.Proj(proj="aeqd", lat_0=asked["lat"], lon_0=asked["lon"], ellps="WGS84")
    scale, (x, y) = scale_of(drawn), place_of(drawn)
    points = [plane(row.lon, row.lat) for row in rows]
    return [(x + east / scale, y - north / scale) for east, north in points]


def assert_drawn(points, drawn_at, tolerance=0.2):
    tree = shapely.STRtree(shapely.points(drawn_at))
    for point in points:
        nearest = drawn_at[int(tree.nearest(shapely.Point(point)))]
        assert math.dist(point, nearest) <= tolerance


PLACES = [
    (51.5, -0.12),
    (-33.9, 18.4),
    (0.0, 0.0),
    (69.6, 18.9),
    (-16.8, 179.9999),
    (89.9999, 10.0),
    (90.0, 0.0),
    (-90.0, 0.0),
]


# --- true to the ground ---


def test_scale_bar_and_fixes_of_the_detail_map_are_where_proj_puts_them():
    told = case()
    drawn = detail_map(told)
    rows = [row for row in fix_rows(told) if row.label]
    assert len(rows) == 11
    assert_drawn(on_paper(drawn, told, rows), [(x, y) for x, y, _ in circles(drawn, "placing")], 0.02)
    assert len(circles(drawn, "placing")) == 11


def test_the_vicinity_and_the_confidence_circles_have_their_radii():
    drawn = detail_map(case())
    scale = scale_of(drawn)
    [vicinity] = every(drawn, "vicinity")
    assert float(vicinity.get("r")) * scale == pytest.approx(100.0, abs=0.02)
    shown = circles(drawn, "circle")
    small = [r for _, _, r in shown if r * scale < 50.0]
    assert [r * scale for r in small] == pytest.approx([12.0] * len(small), abs=0.02)
    assert len(shown) == len(small) + 1, "the circle of the mast, 800 m"


@pytest.mark.parametrize("place", PLACES)
def test_all_places_of_the_world_are_drawn_true(place):
    told = case_at(place)
    drawn = tracks_map(told)
    rows = [row for row in fix_rows(told) if row.when == WINDOW and not row.label]
    shown = [(x, y) for x, y, _ in circles(drawn, "gps")]
    assert_drawn(on_paper(drawn, told, rows), shown)
    assert "nan" not in drawn.svg
    assert detail_map(told) is not None


@pytest.mark.parametrize("place", [(51.5, -0.12), (-16.8, 179.999), (-16.8, -179.999), (84.0, 20.0)])
def test_scale_bar_north_and_circles_are_true_to_the_ellipsoid(place):
    told = case_at(place, accuracy_cm=4_000)
    drawn = detail_map(told)
    scale = scale_of(drawn)

    def ground(east_mm, north_mm):
        azimuth, apart_m = math.degrees(math.atan2(east_mm, north_mm)), math.hypot(east_mm, north_mm) * scale
        lon, lat, _ = WGS84.fwd(place[1], place[0], azimuth, apart_m)
        return lon, lat

    [bar] = every(drawn, "scale")
    half = float(bar.get("width")) / 2.0
    _, _, apart_m = WGS84.inv(*ground(-half, 0.0), *ground(half, 0.0))
    assert apart_m == pytest.approx(2.0 * half * scale, rel=1e-6), "the bar, laid across the place"
    azimuth, _, _ = WGS84.inv(place[1], place[0], *ground(0.0, 30.0))
    assert azimuth == pytest.approx(0.0, abs=1e-9), "up is north"
    rows = [row for row in fix_rows(told) if row.label]
    shown = circles(drawn, "circle")
    assert len(rows) > 3
    for row in rows:
        edge = [WGS84.fwd(row.lon, row.lat, turn, row.radius_m)[:2] for turn in range(0, 360, 45)]
        around = on_paper(drawn, told, [row._replace(lon=lon, lat=lat) for lon, lat in edge])
        [middle] = on_paper(drawn, told, [row])
        cx, cy, r = min(shown, key=lambda circle: math.dist(circle[:2], middle))
        assert [math.dist((cx, cy), point) for point in around] == pytest.approx([r] * 8, abs=0.02)
        assert r * scale == pytest.approx(40.0, abs=0.01 * scale)


def test_far_off_both_are_in_the_frame_with_the_distance_between():
    told = case(far_m=90_000.0)
    assert told.verdict == "excluded"
    drawn = tracks_map(told)
    scale = scale_of(drawn)
    [far] = every(drawn, "distance")
    x1, y1, x2, y2 = map(float, re.fullmatch(r"M(\S+) (\S+)L(\S+) (\S+)", far.get("d")).groups())
    assert math.hypot(x2 - x1, y2 - y1) * scale == pytest.approx(told.match["closest_m"], rel=1e-4)
    assert any("93.9 km to the nearest fix: 88" in words for words in texts(drawn))
    assert detail_map(told) is None
    assert not every(drawn, "vicinity"), "too small to be drawn to scale"


@pytest.mark.parametrize("far_m", [30_000.0, 90_000.0])
def test_a_far_way_is_drawn_larger_in_an_inset_that_is_true_too(far_m):
    told = case(far_m=far_m)
    drawn = tracks_map(told)
    scale, rows = scale_of(drawn), [row for row in fix_rows(told) if row.when == WINDOW and row.has_weight]
    [shown], [bar] = every(drawn, "inset"), every(drawn, "inset-bar")
    left, top, width, height = (float(shown.get(name)) for name in ("x", "y", "width", "height"))
    for x, y in on_paper(drawn, told, rows):
        assert left <= x <= left + width
        assert top <= y <= top + height
    [words] = [words for words in texts(drawn) if words and words.startswith("Enlarged: ")]
    m_per_mm, bar_m, unit = re.fullmatch(r"Enlarged: 1:([\d ]+); its bar is (\S+) (k?m)", words).groups()
    m_per_mm = float(m_per_mm.replace(" ", "")) / 1000.0
    x1, x2 = (float(x) for x in re.fullmatch(r"M(\S+) \S+L(\S+) \S+", bar.get("d")).groups())
    assert (x2 - x1) * m_per_mm == pytest.approx(float(bar_m) * {"m": 1.0, "km": 1000.0}[unit], rel=2e-3)
    frame = next(one for one in parsed(drawn).iter(f"{SVG}clipPath") if one.get("id") == "inset")[0]
    in_left, in_top, in_width, in_height = (float(frame.get(name)) for name in ("x", "y", "width", "height"))
    assert in_width * m_per_mm == pytest.approx(width * scale, abs=0.02 * scale)
    points = [
        (in_left + (x - left) * in_width / width, in_top + (y - top) * in_width / width)
        for x, y in on_paper(drawn, told, rows)
    ]
    gps = [point for point, row in zip(points, rows, strict=True) if row.source == "gps"]
    found = [
        (x, y)
        for x, y, _ in circles(drawn, "gps")
        if in_left <= x <= in_left + in_width and in_top <= y <= in_top + in_height
    ]
    assert_drawn(gps, found, 0.05 * scale / m_per_mm)
    assert len(found) == len(gps)
    assert any((words or "").startswith("The vicinity of 100 m about the place is too small") for words in texts(drawn))
    assert not every(tracks_map(case()), "inset")


def test_another_continent_is_drawn_too():
    told = case_at(east=lambda k: 12_000_000.0 + 30.0 * k)
    drawn = tracks_map(told)
    assert scale_of(drawn) > 50_000.0
    assert not every(drawn, "inset"), "no scale would hold there"
    assert drawn.height_mm < 200.0


@given(
    st.floats(-89.0, 89.0), st.floats(-180.0, 180.0), st.floats(-50_000.0, 50_000.0), st.floats(-50_000.0, 50_000.0),
)  # fmt: skip
def test_the_plane_is_proj_s_and_goes_back(lat, lon, east_m, north_m):
    plane = Plane(lat, lon)
    [back_lat], [back_lon] = plane.back([east_m], [north_m])
    [east], [north] = plane.of([back_lat], [back_lon])
    assert (east, north) == pytest.approx((east_m, north_m), abs=1e-4)
    assert abs(back_lon - lon) <= 180.0
    proj = pyproj.Proj(proj="aeqd", lat_0=lat, lon_0=lon, ellps="WGS84")
    assert proj(back_lon, back_lat) == pytest.approx((east_m, north_m), abs=1e-3)


def test_grid_lines_lie_where_the_national_grid_says():
    drawn = detail_map(case())
    asked = case().match["parameters"]
    scale, (x0, y0) = scale_of(drawn), place_of(drawn)
    plane = pyproj.Proj(proj="aeqd", lat_0=asked["lat"], lon_0=asked["lon"], ellps="WGS84")
    grid = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:27700", always_xy=True)
    for one in every(drawn, "grid"):
        found = []
        for x, y in (map(float, pair.split()) for pair in one.get("d")[1:].split("L")):
            found.append(grid.transform(*plane((x - x0) * scale, (y0 - y) * scale, inverse=True)))
        east_m, north_m = np.array(found).T
        level = east_m if np.ptp(east_m) < np.ptp(north_m) else north_m
        assert np.ptp(level) < 0.1, "a line of the grid"
        assert abs(level.mean() / 50.0 - round(level.mean() / 50.0)) * 50.0 < 6.0, (
            "within Helmert's error of PROJ without grids"
        )


def test_graticules_of_the_seam_and_the_poles():
    frame = Frame(5.0, 5.0, 150.0, 100.0, -7500.0, 5000.0, 100.0)
    seam = graticule(Plane(-16.8, 179.99), frame)
    assert not seam.is_national
    told = " ".join(seam.ticks)
    assert "° E" in told
    assert "° W" in told
    assert "180.00°<" in told
    assert "".join([*graticule(Plane(90.0, 0.0), frame).ticks, *graticule(Plane(90.0, 0.0), frame).lines]) == ""
    assert graticule(Plane(51.5, -0.12), frame).is_national


# --- nothing hidden ---


def test_every_fix_of_the_window_is_on_the_detail_map_however_many():
    rng = np.random.default_rng(7)
    east_m, north_m = rng.normal(0.0, 40.0, 5_000), rng.normal(0.0, 40.0, 5_000)
    told = case_at(n=5_000, step_s=10, east=lambda k: east_m, north=lambda k: north_m, pad_s=20_000)
    rows = [row for row in fix_rows(told) if row.when == WINDOW]
    for drawn in (detail_map(told), tracks_map(told)):
        assert len(drawn.svg) < 1_000_000
        assert len(circles(drawn, "placing")) == sum(bool(row.label) for row in rows)
    near = [row for row in rows if row.distance_m <= 100.0]
    drawn = detail_map(told)
    shown = [(x, y) for name in ("placing", "gps") for x, y, _ in circles(drawn, name)]
    assert_drawn(on_paper(drawn, told, near), shown, 0.02)
    assert len(circles(drawn, "circle")) >= len(near)


def test_a_month_of_fixes_stays_small():
    told = case_at(
        n=5_000,
        step_s=480,
        east=lambda k: 6_000.0 * np.sin(k / 9),
        north=lambda k: 9_000.0 * np.cos(k / 11),
        pad_s=8 * 86_400,
    )
    for drawn in (tracks_map(told), coverage_chart(told)):
        assert len(drawn.svg) < 600_000
    assert_drawn(on_paper(tracks_map(told), told, [row for row in fix_rows(told) if row.when == WINDOW]),
                 [(x, y) for x, y, _ in circles(tracks_map(told), "gps")], CELL_MM * 1.5)  # fmt: skip


points = st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(0.0, 20.0)), min_size=1, max_size=60)


@given(points, st.randoms(use_true_random=False))
def test_a_symbol_is_left_out_only_beside_one_of_its_kind(found, random):
    kinds = [random.choice("ab") for _ in found]
    must = [random.random() < 0.3 for _ in found]
    kept = thinned_symbols(found, kinds, must)
    assert kept == sorted(set(kept))
    assert {k for k, told in enumerate(must) if told} <= set(kept)
    for k, point in enumerate(found):
        assert any(kinds[j] == kinds[k] and math.dist(found[j], point) <= CELL_MM * math.sqrt(2.0) for j in kept)


@given(points)
def test_a_thinned_line_keeps_its_ends_and_passes_near_every_point(found):
    kept = thinned_line(found)
    assert kept[0] == found[0]
    assert kept[-1] == found[-1]
    assert all(any(math.dist(one, point) < SEEN_MM for one in kept) for point in found)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0.0, 150.0), st.floats(0.0, 100.0)), min_size=1, max_size=80))
def test_labels_never_overlap_each_other_nor_what_is_to_be_free(found):
    frame = Frame(0.0, 0.0, 150.0, 100.0, 0.0, 0.0, 1.0)
    labels = Labels(frame)
    for x, y in found:
        labels.keep_free(x, y, 0.5)
    placed = sum(labels.place(x, y, f"{k} label", 2.4) for k, (x, y) in enumerate(found))
    boxes = [shapely.box(*box) for box in labels.boxes]
    assert placed == len(boxes) == len(found) - labels.n_left_out
    for k, one in enumerate(boxes):
        assert all(one.intersection(other).area == 0.0 for other in boxes[:k])
        assert not any(one.contains(shapely.Point(point)) for point in found)
        assert frame.holds(one.bounds[0], one.bounds[1])
        assert frame.holds(one.bounds[2], one.bounds[3])


def test_numbers_of_the_detail_map_are_those_of_the_rows():
    told = case()
    found = " ".join(words for words in texts(detail_map(told)) if words)
    for row in fix_rows(told):
        if row.label:
            assert f"{row.number} {row.label}" in found
    assert "Fix with a circle that holds all of this map: 103" in found


def test_fixes_in_one_point_are_one_circle_with_all_their_numbers():
    told = case_at(east=lambda k: 20.0 + 0.0 * k, north=lambda k: 10.0 + 0.0 * k)
    drawn = detail_map(told)
    assert "21–101 A1–A81 23:20:00, 00:40:00" in texts(drawn)
    assert len(circles(drawn, "circle")) == 1
    assert "without a number" not in drawn.alt
    turning = case_at(east=lambda k: np.where(k % 2, 60.0, 20.0), north=lambda k: 0.0 * k, n=24)
    rows = [row for row in fix_rows(turning) if row.when == WINDOW]
    one, _, two, *_ = rows
    assert any((words or "").startswith(f"{one.number} A1, {two.number} A3, ") for words in texts(detail_map(turning)))


def starting(drawn, start):
    return next((words for words in texts(drawn) if words and words.startswith(start)), "")


def counts(words):
    return [int(told.replace(",", "")) for told in re.findall(r"\d[\d,]*\d|\d", words)]


def test_what_bears_no_number_is_told():
    places = np.random.default_rng(3).normal(0.0, 40.0, (2, 2_000))
    told = case_at(n=2_000, step_s=10, east=lambda k: places[0], north=lambda k: places[1], pad_s=20_000)
    drawn = detail_map(told)
    n_bare, n = counts(starting(drawn, "For want of room"))
    [labels] = every(drawn, "labels")
    numbered = [one.text for one in labels.iter(f"{SVG}text") if re.match(r"\d+( [A-Z]+\d+)?( |$)", one.text or "")]
    assert 0 < n - n_bare == len(numbered)
    edge = next(parsed(drawn).iter(f"{SVG}rect"))
    left, top, width, height = (float(edge.get(name)) for name in ("x", "y", "width", "height"))
    shown = on_paper(drawn, told, [row for row in fix_rows(told) if row.when == WINDOW])
    assert n == sum(left <= x <= left + width and top <= y <= top + height for x, y in shown)


def test_what_is_thinned_is_told():
    told = case_at(
        n=3_000, east=lambda k: 3_000.0 * np.sin(k / 900), north=lambda k: 3_000.0 * np.cos(k / 900), pad_s=90_000
    )
    drawn = tracks_map(told)
    kept, n = counts(starting(drawn, "Thinned: "))
    assert n == sum(row.when == WINDOW for row in fix_rows(told)) == 3_000
    assert kept == sum(len(circles(drawn, name)) for name in ("gps", "placing")) < n
    assert not starting(tracks_map(case()), "Thinned")
    chart = coverage_chart(told)
    strokes = sum(one.get("d").count("M") for one in every(chart, "fixes"))
    assert counts(starting(chart, "Each upright"))[:2] == [strokes, 3_000]


@pytest.mark.parametrize("source", ["gps", "wifi", "rf", "unknown", "lbs"])
def test_a_fix_that_places_still_tells_its_source_by_its_shape(source):
    told = case_at(source=source, accuracy_cm=1_000)
    names = {symbol_of(row).name for row in fix_rows(told) if row.label}
    assert names == {{"gps": "placing", "lbs": "placing-mast"}.get(source, f"placing-{source}")}
    for drawn in (tracks_map(told), detail_map(told)):
        assert len(every(drawn, *names)) == 1
    assert sum((words or "").startswith("Fix that places the wearer") for words in texts(key(told))) == 1


def test_kinds_differ_without_their_colours():
    shapes = [re.sub(r'#(?!000000|ffffff)\w{6}|class="[^"]*"', "", symbols(kind, [(0.0, 0.0)])) for kind in KINDS]
    assert len(set(shapes)) == len(KINDS)


def test_no_time_of_a_map_lacks_its_day():
    told = case_at(window=(START_US + 7 * DAY_US, START_US + 7 * DAY_US + HOUR_US))
    found = texts(tracks_map(told))
    assert "before the window, 16 Jun 00:59:00" in found
    assert "Window with its padding: 2026-06-22 22:50:00 BST to 2026-06-23 00:10:00 BST (Europe/London)." in found
    assert any(words and words.startswith("No fix of the window carries weight") for words in found)
    long = case_at(n=300, step_s=600, window=(START_US, START_US + 2 * DAY_US))
    assert any(re.match(r"first 15 Jun 23:00:00", words or "") for words in texts(tracks_map(long)))


def test_a_fix_left_out_on_the_edge_is_pointed_at():
    told = case(far_m=90_000.0)
    assert "82 (left out), 103 km from the place" in texts(tracks_map(told))
    assert len(every(tracks_map(told), "pointers")) == 1
    assert not every(tracks_map(told), "flagged")


def test_masts_and_flagged_fixes_are_drawn_apart_and_not_joined():
    told = case(far_m=300.0)
    rows = fix_rows(told)
    drawn = tracks_map(told)
    assert len(every(drawn, "mast")) == 1
    frame = Frame(0.0, 0.0, 100.0, 100.0, -50_000.0, 50_000.0, 1000.0)
    apart = [row.number for row in rows if not is_joined(row)]
    assert apart == [82, 103]
    assert "82 (left out), 9.6 km from the place" in texts(drawn)
    joined = runs_of(rows, frame.points(np.array([(row.number * 10.0, 0.0) for row in rows])), frame)
    xs = {round(x, 6) for run in joined for x, _ in run.points}
    assert not xs & {round(50.0 + number / 100.0, 6) for number in apart}


def test_gaps_over_five_minutes_are_dotted():
    told = case()
    rows = fix_rows(told)
    frame = Frame(0.0, 0.0, 1000.0, 100.0, -1.0, 50.0, 1.0)
    runs = runs_of(rows, frame.points(np.array([(float(k), 0.0) for k in range(len(rows))])), frame)
    dotted = [run for run in runs if run.look == GAP]
    joined = [row for row in rows if is_joined(row)]
    assert len(dotted) == sum(b.time_us - a.time_us > 300 * SECOND_US for a, b in pairwise(joined)) == 1
    assert every(tracks_map(told), GAP)
    assert every(tracks_map(told), JOINED)


# --- charts ---


@pytest.mark.parametrize("far_m", [0.0, 90_000.0])
def test_the_longest_gap_of_the_chart_is_the_match_s(far_m):
    told = case(far_m=far_m)
    rows = [row for row in fix_rows(told) if row.when == WINDOW]
    gaps = gaps_of(rows, *window_of(told))
    assert max(two - one for one, two in gaps) / 1e6 == told.match["worst_gap_s"]
    drawn = coverage_chart(told)
    assert duration_text(max(two - one for one, two in gaps)) in texts(drawn)
    start_us, end_us = window_of(told)
    [shade] = every(drawn, "gap")
    axis = TimeAxis(start_us, end_us, 34.0, 161.0, told.timezone)
    assert float(shade.get("x")) == pytest.approx(axis.at(gaps[0][0]), abs=0.01)
    assert float(shade.get("width")) == pytest.approx(axis.at(gaps[0][1]) - axis.at(gaps[0][0]), abs=0.01)


def test_the_chart_tells_both_clocks_and_the_verdict():
    found = texts(coverage_chart(case()))
    assert "Local time (BST)" in found
    assert {"00:30", "23:30", "2026-06-16", "2026-06-15"} <= set(found)
    assert "placed: 11 fixes in the visits shown above" in found
    assert any(
        words and words.startswith("presence excluded throughout: ")
        for words in texts(coverage_chart(case(far_m=90_000.0)))
    )


def test_ticks_are_round_on_the_local_clock_also_when_it_is_put_back():
    start_us = 1_792_875_600_000_000  # 2026-10-24T21:00:00Z: the night in which London's clocks go back
    told = TimeAxis(start_us, start_us + 6 * HOUR_US, 0.0, 160.0, "Europe/London")
    assert [to_datetime(tick).minute for tick in told.ticks()] == [0] * len(told.ticks())
    drawn = " ".join(told.draw(0.0, 10.0))
    assert "01:00 BST" in drawn
    assert "01:00 GMT" in drawn
    nepal = TimeAxis(start_us, start_us + 6 * HOUR_US, 0.0, 160.0, "Asia/Kathmandu")
    assert {to_datetime(tick).minute for tick in nepal.ticks()} == {15}


def test_the_chart_tells_when_the_clock_is_changed():
    back_us = 1_792_890_000_000_000  # 2026-10-25T01:00:00Z
    told = case_at(n=240, start_us=back_us - 2 * HOUR_US)
    drawn = coverage_chart(told)
    assert "Dashed: the local clock is put back by 1 h 00 min, at 2026-10-25 01:00:00 UTC." in texts(drawn)
    [dashed] = every(drawn, "clock-change")
    axis = TimeAxis(*window_of(told), 34.0, 161.0, told.timezone)
    assert float(dashed.get("d")[1:].split()[0]) == pytest.approx(axis.at(back_us), abs=0.01)
    assert not every(coverage_chart(case()), "clock-change")


@given(st.integers(0, 4_000_000_000), st.integers(0, 150 * 86_400),
       st.sampled_from(["Europe/London", "Australia/Lord_Howe", "America/New_York", "UTC"]))  # fmt: skip
def test_the_change_of_the_clock_is_zoneinfo_s(start_s, length_s, timezone):
    end_s, zone = start_s + length_s, ZoneInfo(timezone)
    found = TimeAxis(start_s * SECOND_US, end_s * SECOND_US, 0.0, 100.0, timezone).clock_change()

    def offset(at_s):
        return datetime.fromtimestamp(at_s, zone).utcoffset()

    if offset(start_s) == offset(end_s):
        assert found is None
    else:
        at_s = found[0] // SECOND_US
        assert start_s < at_s <= end_s
        assert offset(at_s - 1) == offset(start_s)
        assert offset(at_s) == offset(end_s)
        assert found[1] == (offset(end_s) - offset(start_s)).total_seconds() * 1e6


def test_the_chart_is_read_without_another_key():
    found = texts(coverage_chart(case()))
    for words in (
        "Window with its padding: 2026-06-15 23:50:00 BST to 2026-06-16 01:10:00 BST (Europe/London).",
        "Crime's own window, filled: 2026-06-16 00:00:00 BST to 2026-06-16 01:00:00 BST. Hatched: its padding, 10 min 00 s "
        "before and after.",
        "Covered: 89.4 % of the window, within 2.5 minutes of a fix that carries weight.",
        "Grey down all rows: more than 5 minutes without such a fix; 1 gap, the longest 10 min 58 s.",
        "Each upright stroke is a fix.",
    ):
        assert words in found
    many = texts(coverage_chart(case_at(n=60, step_s=600)))
    assert "32 gaps, the longest 10 min 00 s" in many or any(
        "gaps, the longest 10 min 00 s" in (words or "") for words in many
    )


@given(
    st.integers(0, 4_000_000_000), st.integers(0, 40 * 86_400), st.sampled_from(["Europe/London", "Asia/Kathmandu", "UTC"])
)
@settings(max_examples=60)
def test_ticks_lie_in_the_span_and_leave_room_for_their_labels(start_s, length_s, timezone):
    axis = TimeAxis(start_s * SECOND_US, (start_s + length_s) * SECOND_US, 34.0, 161.0, timezone)
    ticks = axis.ticks()
    assert all(axis.start_us <= tick <= axis.end_us for tick in ticks)
    assert all(axis.at(two) - axis.at(one) > 8.0 for one, two in pairwise(ticks))


def test_the_routine_is_counted_squares():
    told = case()
    routine = {**told.match["routine"], "windows": 17, "placed": 3, "left_out": {"unmonitored": 2}}
    drawn = routine_chart(replace(told, match={**told.match, "routine": routine}))
    counts = {name: len(every(drawn, name)) - 1 for name in ("placed", "not-placed", "left-out")}
    assert counts == {"placed": 3, "not-placed": 14, "left-out": 2}, "one more of each explains it"
    assert "3" in drawn.alt
    assert routine_chart(case(far_m=90_000.0)) is None
    assert (
        routine_chart(
            replace(told, match={**told.match, "routine": {**routine, "windows": 0, "placed": 0, "left_out": {}}})
        )
        is None
    )


def test_the_key_tells_what_occurs_and_nothing_else():
    placed, excluded = (" ".join(filter(None, texts(key(case(far_m=far_m))))) for far_m in (0.0, 90_000.0))
    for words in (
        "Fix that places",
        "telephone masts",
        "Vicinity: the circle of 100 m",
        "Confidence circle",
        "More than 5 minutes",
    ):
        assert words in placed
    assert "wireless" not in placed
    assert "widened" not in placed
    assert "Fix that places" not in excluded
    assert "Distance from the place" in excluded
    assert "widened to 220 m" in " ".join(filter(None, texts(key(case_at(uncertainty_m=120.0)))))
    told = case()
    assert key(told, [tracks_map(told), detail_map(told), None]) == key(told)


# --- odd cases ---

ODD = {
    "no fix in the window": {"window": (START_US + 7 * DAY_US, START_US + 7 * DAY_US + HOUR_US)},
    "one instant": {"window": (START_US + HOUR_US, START_US + HOUR_US), "pad_s": 0},
    "masts alone": {"source": "lbs", "accuracy_cm": 500_000},
    "wireless": {"source": "wifi"},
    "beacon": {"source": "rf"},
    "unknown source": {"source": "unknown"},
    "no circles told": {"accuracy_cm": -(2**31)},
    "circles of no size": {"accuracy_cm": 0},
    "a wide vicinity": {"radius_m": 100_000.0},
    "masts that place": {"radius_m": 3_000.0, "source": "lbs", "accuracy_cm": 50_000},
    "masts of half a kilometre": {"source": "lbs", "accuracy_cm": 50_000},
    "a tiny vicinity": {"radius_m": 0.01},
    "an uncertain place": {"uncertainty_m": 5_000.0},
    "one fix": {"n": 1, "window": (START_US, START_US)},
    "all at the place": {"east": lambda k: 0.0 * k, "north": lambda k: 0.0 * k},
    "far up north": {"place": (89.99999, -170.0)},
    "Kathmandu": {"place": (27.7, 85.3), "timezone": "Asia/Kathmandu"},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_cases_are_drawn(name):
    told = case_at(**ODD[name])
    for drawn in (tracks_map(told), detail_map(told), coverage_chart(told), routine_chart(told), key(told)):
        if drawn is not None:
            parsed(drawn)
            assert not re.search(r"\bnan\b|\binf\b", drawn.svg)
            assert drawn.width_mm == 165.0
            assert 0.0 < drawn.height_mm <= 200.0
            assert drawn.alt.endswith(".")
            assert drawn.alt.count("\n") == 0


def test_a_trail_without_any_fix_is_drawn():
    told = case()
    empty = replace(told, trail=case_at(n=1).trail)
    nothing = empty.trail.fixes.take(slice(0, 0))
    columns = ("flags", "sigma_m", "radius_m", "exclusion_m", "model", "silence_us")
    trail = empty.trail._replace(fixes=nothing, **{name: getattr(empty.trail, name)[:0] for name in columns})
    match = {**told.match, "fixes": [], "visits": [], "verdict": "unmonitored", "required_speed_mps": None}
    bare = replace(told, trail=trail, match=match, origins=[])
    assert "no fix of the window" in tracks_map(bare).alt
    assert detail_map(bare) is None
    assert "no usable fix: nothing is said of presence" in texts(coverage_chart(bare))
    key(bare)


def test_typst_sets_every_drawing_in_an_accessible_archival_document():
    routine = {**case().match["routine"], "windows": 5, "placed": 1}
    told = replace(case(), match={**case().match, "routine": routine})
    drawings = [tracks_map(told), detail_map(told), coverage_chart(told), routine_chart(told), key(told)]
    for drawn in drawings:
        source = f'#set document(title: "t")\n#set text(lang: "en")\n#image("d.svg", width: {drawn.width_mm}mm, alt: {json.dumps(drawn.alt)})'
        made, warnings = typst.compile_with_warnings(
            {"main": source.encode(), "d.svg": drawn.svg.encode()}, format="pdf", pdf_standards=["a-3a", "ua-1"], timestamp=0,
            ignore_system_fonts=True,
        )  # fmt: skip
        assert made.startswith(b"%PDF")
        assert not warnings


# --- data stay data, and bytes stay the same ---


@given(st.text(max_size=40))
def test_any_text_is_data(words):
    drawn = drawing([text(1.0, 1.0, words), element("g", class_=words)], words, 5.0)
    root = ElementTree.fromstring(drawn.svg)
    assert len(list(root)) == 3
    assert all(len(one) == 0 for one in root)
    assert "<" not in quoted(words)
    assert len(root[1].text or "") == len(words)
    assert all(there in {one, "?"} for one, there in zip(words, root[1].text or "", strict=True))


def test_hostile_names_draw_what_harmless_ones_do():
    hostile, harmless = hostile_case(), case()
    for draw in (tracks_map, detail_map, coverage_chart, routine_chart, key):
        one, other = draw(hostile), draw(harmless)
        assert one == other, "no name and no free text of the case is in a drawing"


def test_credits_of_the_base_map_are_escaped(tmp_path):
    base = BaseMap(_town(tmp_path, "GeoJSON"), '<script>"x" & \u202eملاك')
    drawn = tracks_map(case(), base)
    assert "<script" not in drawn.svg
    assert '<script>"x" & ?????' in "".join(filter(None, texts(drawn)))


def test_an_endless_credit_takes_two_lines_and_hides_nothing(tmp_path):
    town = _town(tmp_path, "GeoJSON")
    for credit in ("x" * 300, "© many " * 60, "ملاك " * 80):
        drawn = tracks_map(case(), BaseMap(town, credit))
        told = [words for words in texts(drawn) if words]
        first = next(k for k, words in enumerate(told) if words.startswith("Base map: "))
        assert len(told) - first == 2
        assert told[-1].endswith("…")
        assert drawn.height_mm <= 200.0
        assert all(len(words) < 130 for words in told)


def test_the_base_map_is_in_the_key(tmp_path):
    base = BaseMap(_town(tmp_path, "GeoJSON"))
    found = texts(key(case(), [tracks_map(case(), base), detail_map(case(), base)]))
    assert any(words and words.startswith("Base map") for words in found)
    assert not any(words and words.startswith("Base map") for words in texts(key(case())))


@given(st.floats(-1e6, 1e6))
def test_numbers_have_no_locale_and_at_most_two_digits(value):
    told = number(value)
    assert re.fullmatch(r"-?\d+(\.\d{1,2})?", told)
    assert abs(float(told) - value) <= 0.005 + 1e-9
    assert told != "-0"


_BYTES = """
from hashlib import sha256
from tests.evidence_case import case
from crime_match.evidence.drawing.chart import coverage_chart, routine_chart
from crime_match.evidence.drawing.detail_map import detail_map
from crime_match.evidence.drawing.key import key
from crime_match.evidence.drawing.tracks_map import tracks_map
told = case()
drawn = [draw(told) for draw in (tracks_map, detail_map, coverage_chart, routine_chart, key)]
print(sha256("".join(one.svg + one.alt for one in drawn).encode()).hexdigest())
"""


def test_bytes_are_the_same_in_every_process():
    told = case()
    drawn = [draw(told) for draw in (tracks_map, detail_map, coverage_chart, routine_chart, key)]
    here = hashlib.sha256("".join(one.svg + one.alt for one in drawn).encode()).hexdigest()
    for seed, language, zone in (("1", "de_DE.UTF-8", "Asia/Tokyo"), ("2", "C", "America/St_Johns")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LANG": language, "LC_ALL": language, "TZ": zone}
        told_there = subprocess.run(
            [sys.executable, "-c", _BYTES], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert told_there.stdout.strip() == here


# --- base map ---


def _town(folder, driver, crs=4326, kinds=("road", "building", "water", "green", "rail", "shop")):
    """A street, a house with a yard, a pond, a park, a rail and a shop about the place of the case."""
    square = shapely.box(-0.1204, 51.4998, -0.1201, 51.5)
    yard = shapely.Polygon(square.exterior, [shapely.box(-0.1203, 51.49985, -0.1202, 51.49995).exterior])
    shapes = [
        shapely.LineString([(-0.13, 51.5), (-0.11, 51.5)]), yard, shapely.box(-0.1199, 51.5001, -0.1197, 51.5002),
        shapely.box(-0.1215, 51.4995, -0.121, 51.4998), shapely.LineString([(-0.121, 51.49), (-0.119, 51.51)]), shapely.Point(-0.12, 51.5),
    ]  # fmt: skip
    frame = geopandas.GeoDataFrame({"kind": list(kinds)}, geometry=shapes, crs=4326).to_crs(crs)
    path = folder / f"town_{crs}.{'gpkg' if driver == 'GPKG' else 'geojson'}"
    frame.to_file(path, driver=driver)
    return path


@pytest.mark.parametrize(("driver", "crs"), [("GPKG", 4326), ("GPKG", 27700), ("GPKG", 3857), ("GeoJSON", 4326)])
def test_a_base_map_lies_under_the_fixes(tmp_path, driver, crs):
    told = case()
    drawn = detail_map(told, BaseMap(_town(tmp_path, driver, crs), "Credit to the surveyors"))
    plain = detail_map(told)
    assert "Base map: Credit to the surveyors" in texts(drawn)
    for kind in ("road", "building", "water", "green", "rail"):
        assert len(every(drawn, f"base-{kind}")) == 1
    assert not every(drawn, "base-shop")
    assert every(drawn, "base-building")[0].get("d").count("M") == 2, "a house and its yard"
    scale, (x, y) = scale_of(drawn), place_of(drawn)
    [road] = every(drawn, "base-road")
    ends = [tuple(map(float, pair.split())) for pair in road.get("d")[1:].split("L")]
    assert [there[1] for there in ends] == pytest.approx([y] * len(ends), abs=3.0 / scale + 0.2)
    assert x == place_of(plain)[0]
    assert drawn.svg.index("base-road") < drawn.svg.index('class="placing"')


def test_a_base_map_elsewhere_or_without_kinds(tmp_path):
    path = _town(tmp_path, "GPKG")
    frame = Frame(0.0, 0.0, 100.0, 100.0, -500.0, 500.0, 10.0)
    assert "".join(draw_base(BaseMap(path), Plane(10.0, 10.0), frame)) == ""
    assert "".join(draw_base(BaseMap(path), Plane(0.0, 180.0), frame)) == "", (
        "no box in longitude: all is read, none is near"
    )
    bare = tmp_path / "bare.gpkg"
    geopandas.read_file(path)[["geometry"]].to_file(bare)
    with pytest.raises(ValueError, match="no field kind"):
        draw_base(BaseMap(bare), Plane(51.5, -0.12), frame)


def test_kinds_of_the_base_map():
    assert [kind_of(told) for told in ("road", "Building", "primary_link", "residential", "steps", "rail_rail", "stream", "None")] == [
        "road", "building", "main road", "road", "path", "rail", "water", "",
    ]  # fmt: skip


def test_a_real_town_stays_faint_and_small():
    path = ROOT.parent / "shared/data/basemap_osm/monaco_lines.geojson"
    if not path.exists():
        pytest.skip(f"needs {path.name}")
    drawn = tracks_map(case_at((43.7385, 7.425)), BaseMap(path, "© OpenStreetMap contributors"))
    assert every(drawn, "base-main-road")
    assert len(drawn.svg) < 300_000


# --- words and frames ---


@given(st.floats(1e-3, 1e7))
def test_scales_and_steps_are_round(value):
    assert value <= rounded_up(value) * (1 + 1e-9)
    assert rounded_up(value) <= value * 1.21
    step = nice_step(value)
    assert step <= value * (1 + 1e-9) < step * 2.51
    assert f"{step:e}"[0] in "125"


@given(st.lists(st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5)), min_size=2, max_size=20))
def test_a_frame_holds_its_places_at_one_scale(places):
    frame = frame_about(places, 5.0, 5.0, 155.0, (100.0, 165.0), 100.0)
    assert all(frame.holds(*frame.at(*place)) for place in places)
    assert 100.0 <= frame.height <= 165.0
    assert frame.width * frame.m_per_mm >= 100.0


def test_the_scale_bar_of_any_scale_is_of_a_round_length():
    for m_per_mm in (0.12, 1.8, 15.0, 650.0, 95_000.0):
        bar = scale_bar(Frame(5.0, 5.0, 155.0, 100.0, 0.0, 0.0, m_per_mm))
        width = float(re.search(r'class="scale"[^>]* width="([\d.]+)"', bar).group(1))
        assert 17.0 < width <= 45.0
        assert f"{nice_step(45.0 * m_per_mm):e}".startswith(f"{width * m_per_mm:.0e}"[0])


@given(st.sets(st.integers(1, 300)), st.integers(1, 5))
def test_numbers_as_spans_are_the_numbers(numbers, most):
    told = numbers_text(sorted(numbers), 1_000)
    spans = [tuple(map(int, part.split("–"))) for part in told.split(", ") if part]
    assert sorted(n for span in spans for n in range(span[0], span[-1] + 1)) == sorted(numbers)
    short = numbers_text(sorted(numbers), most)
    n_more = int(short.split(" and ")[1].split()[0]) if " and " in short else 0
    named = [tuple(map(int, part.split("–"))) for part in short.split(" and ")[0].split(", ") if part]
    assert sum(span[-1] - span[0] + 1 for span in named) + n_more == len(numbers)


def test_words():
    assert [length_text(one) for one in (0.3, 1.0, 99.7, 250.0, 999.6, 2_000.0, 93_894.7, 12_001_000.0)] == [
        "30 cm", "1 m", "99.7 m", "250 m", "1 km", "2 km", "93.9 km", "12001 km",
    ]  # fmt: skip
    assert [duration_text(one * SECOND_US) for one in (45, 658, 3 * 3600 + 359, 2 * 86_400 + 4 * 3600)] == [
        "45 s", "10 min 58 s", "3 h 05 min", "2 d 4 h",
    ]  # fmt: skip
    assert [counted(1, "fix", "fixes"), counted(0, "gap")] == ["1 fix", "0 gaps"]
    assert duration_text(59 * MINUTE_US + 59_999_999) == "59 min 59 s"
    assert [day_text(one) for one in ("2026-06-07", "2026-12-31")] == ["7 Jun", "31 Dec"]
    assert numbers_text([3, 4, 5, 9, 11, 12], 2) == "3–5, 9 and 2 more"
    assert isinstance(tracks_map(case()), Drawing)
    assert {symbol_of(row).name for row in fix_rows(case())} == {"placing", "gps", "mast", "flagged", "around"}
