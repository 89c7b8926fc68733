"""Matches as GeoJSON: circles against geodesics, tracks with the fixes about them, the antimeridian, and other readers."""

import io
import json
import math

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st
from pyproj import Geod

from crime_match.crimes.crime import Crime
from crime_match.match import CrimeMatches
from crime_match.near import near
from crime_match.question import Parameters
from crime_match.runs.results import form_of, write
from crime_match.runs.results_csv import People
from crime_match.trails import WearerTrail
from engine.activations import Activation
from engine.fixes import Fixes
from engine.flags import IMPLAUSIBLE
from engine.times import MINUTE_US, SECOND_US, parse_time

WGS84 = Geod(ellps="WGS84")
FROM_US = parse_time("2026-03-01T10:00:00Z")
LAT, LON = 53.2, -0.5
WAY = [
    (-15, 0, -900),
    (-5, 0, -500),
    (1, 0, -40),
    (2, 5, 0),
    (3, 5000, 0, IMPLAUSIBLE),
    (4, 60, 0),
    (6, 700, 0),
    (60, 900, 0),
]


def crime(**changed):
    told = {"force": "F", "reference": "R/1", "type": "BIAD", "from_us": FROM_US, "to_us": FROM_US + 30 * MINUTE_US}
    return Crime(**told | {"lat": LAT, "lon": LON} | changed)


def trail(rows, wearer="w", lat=LAT, lon=LON):
    """Rows of (minute after 10:00, metres east, metres north[, flags])."""
    places = [WGS84.fwd(lon, lat, math.degrees(math.atan2(r[1], r[2])), math.hypot(r[1], r[2]))[:2] for r in rows]
    n = len(rows)
    fixes = Fixes.of(
        ("tag",), device=np.zeros(n), time_us=[FROM_US + round(row[0] * 60) * SECOND_US for row in rows],
        lon_e7=[round(place[0] * 1e7) for place in places], lat_e7=[round(place[1] * 1e7) for place in places],
        accuracy_cm=np.full(n, 1000),
    )  # fmt: skip
    return WearerTrail(
        wearer, ("tag",), fixes, np.array([r[3] if len(r) > 3 else 0 for r in rows], np.uint8), np.full(n, 4.0),
        np.full(n, 10.0), np.full(n, 80.0), np.zeros(n, np.uint8), np.full(n, 960_000_000), (Activation("tag", wearer, 0),), (),
    )  # fmt: skip


def found(of=None, trails=None):
    of = of or crime()
    matches = near(Parameters().ask(of), trails if trails is not None else [trail(WAY, lat=of.lat, lon=of.lon)])
    return CrimeMatches(of, matches, {"placed": 1, "possible": 0, "excluded": 0, "unmonitored": 0})


def collection(*results):
    file = io.BytesIO()
    for _ in write(form_of("geojson", Parameters(), People()), results, file):
        pass
    return file.getvalue()


def features(*results, kind=None):
    read = json.loads(collection(*results))
    assert list(read) == ["type", "features"]
    for feature in read["features"]:
        assert list(feature) == ["type", "properties", "geometry"]
        assert list(feature["properties"])[:3] == ["kind", "crime", "force"]
    return [f for f in read["features"] if kind in (None, f["properties"]["kind"])]


def shape(feature):
    return shapely.geometry.shape(feature["geometry"])


def test_no_crimes_are_an_empty_collection():
    assert json.loads(collection()) == {"type": "FeatureCollection", "features": []}


def test_the_order_of_features_is_fixed():
    kinds = [f["properties"]["kind"] for f in features(found(crime(uncertainty_m=50.0)))]
    assert kinds == ["crime", "vicinity", "widened vicinity", "track"] + ["fix"] * len(WAY)
    assert [f["properties"]["kind"] for f in features(found())][:3] == ["crime", "vicinity", "track"]


@pytest.mark.parametrize("lat", [0.0, 53.2, -53.2, 71.0, 89.0])
def test_circles_lie_on_the_geodesic_circle_and_turn_counter_clockwise(lat):
    near_by, wide = [f for f in features(found(crime(lat=lat, uncertainty_m=150.0))) if f["geometry"]["type"] == "Polygon"]
    for feature, radius_m in ((near_by, 100.0), (wide, 250.0)):
        assert feature["properties"]["radius_m"] == radius_m
        ring = np.array(feature["geometry"]["coordinates"][0])
        assert (len(ring), ring[0].tolist()) == (65, ring[-1].tolist())
        n = len(ring)
        distance_m = WGS84.inv(np.full(n, LON), np.full(n, lat), ring[:, 0], ring[:, 1])[2]
        assert distance_m == pytest.approx(radius_m, abs=0.01)
        assert shapely.LinearRing(ring).is_ccw
        assert shape(feature).is_valid


def test_the_place_carries_crime_parameters_and_counts():
    place = features(found(crime(text="No. 5", uncertainty_m=20.0)), kind="crime")[0]
    assert place["geometry"] == {"type": "Point", "coordinates": [LON, LAT]}
    told = place["properties"]
    assert (told["crime"], told["force"], told["text"], told["uncertainty_m"]) == ("R/1", "F", "No. 5", 20.0)
    assert (told["radius_m"], told["pad_s"], told["max_speed_mps"], told["min_fixes"]) == (100.0, 600.0, 55.0, 1)
    assert (told["from"], told["placed"], told["unmonitored"]) == ("2026-03-01T10:00:00.000Z", 1, 0)


def test_every_fix_is_a_point_with_what_the_record_says_of_it():
    result = found()
    fixes = features(result, kind="fix")
    assert [f["properties"]["label"] for f in fixes] == [None, None, "A1", "A2", None, "A3", None, None]
    assert [f["properties"]["when"] for f in fixes] == ["before"] + ["window"] * 6 + ["after"]
    assert fixes[4]["properties"]["flags"] == ["implausible"]
    for feature, record in zip(fixes[1:-1], result.matches[0].fixes, strict=True):
        assert feature["geometry"]["coordinates"] == [record["lon"], record["lat"]]
        assert (feature["properties"]["wearer"], feature["properties"]["verdict"]) == ("w", "placed")
        for key in ("time", "accuracy_m", "distance_m", "share", "p", "source", "device"):
            assert feature["properties"][key] == record[key]


def test_a_track_goes_from_the_fix_before_to_the_fix_after_without_flagged_ones():
    track = features(found(), kind="track")[0]
    fixes = [f["geometry"]["coordinates"] for f in features(found(), kind="fix")]
    assert track["geometry"]["coordinates"] == [fixes[k] for k in (1, 2, 3, 5, 6)]
    assert (track["properties"]["label"], track["properties"]["n_fixes"]) == ("A", 3)
    assert track["properties"]["entry_bearing_deg"] == pytest.approx(0.0, abs=0.1)


def test_a_track_may_begin_before_the_window_and_end_after_it():
    result = found(trails=[trail([(-11, -900, 0), (-9, 0, 0), (41, 0, 900)])])
    track = features(result, kind="track")[0]
    fixes = [f["geometry"]["coordinates"] for f in features(result, kind="fix")]
    assert track["geometry"]["coordinates"] == fixes


def test_a_line_for_each_visit_and_none_where_there_is_no_way():
    rows = [(1, 0, 0), (2, 900, 0), (3, 10, 0), (4, 0, 900)]
    tracks = features(found(trails=[trail(rows)]), kind="track")
    assert [t["properties"]["label"] for t in tracks] == ["A", "B"]
    assert [len(t["geometry"]["coordinates"]) for t in tracks] == [2, 3]
    assert features(found(trails=[trail([(1, 0, 0)])]), kind="track") == []
    assert features(found(trails=[trail([(1, 0, 0), (2, 0, 0)])]), kind="track") == []


def test_a_wearer_without_fixes_has_no_features():
    assert [f["properties"]["kind"] for f in features(found(trails=[trail([])]))] == ["crime", "vicinity"]


def length(way):
    """Length in degrees of a way about the antimeridian."""
    return shapely.LineString(np.column_stack([way[:, 0] % 360.0, way[:, 1]])).length


@pytest.mark.parametrize("lon", [179.9999, -179.9999, 180.0, -180.0])
def test_what_crosses_the_antimeridian_is_cut_there(lon):
    result = found(crime(lat=-16.5, lon=lon))
    disc = features(result, kind="vicinity")[0]
    assert disc["geometry"]["type"] == "MultiPolygon"
    assert len(disc["geometry"]["coordinates"]) == 2
    for part in shape(disc).geoms:
        west, _, east, _ = part.bounds
        assert -180.0 <= west <= east <= 180.0
        assert east - west < 0.01
        assert (part.is_valid, part.exterior.is_ccw) == (True, True)
    circle = math.pi * (100 / 111_320) ** 2 / math.cos(math.radians(16.5))
    assert shape(disc).area == pytest.approx(circle, rel=0.02)
    track = features(result, kind="track")[0]
    for part in getattr(shape(track), "geoms", [shape(track)]):
        assert part.bounds[2] - part.bounds[0] < 0.1


@example(0.0, [(-1, 0), (0, 0)])
@given(
    st.floats(-0.004, 0.004), st.lists(st.tuples(st.integers(-600, 600), st.integers(-600, 600)), min_size=2, max_size=6)
)
def test_a_cut_track_is_the_same_way(east, ways):
    """Its pieces, rolled out over the antimeridian, are the way through the fixes."""
    lon = (180.0 + east + 180.0) % 360.0 - 180.0
    rows = [(-12, 900, 900), *((k, x, y) for k, (x, y) in enumerate(ways)), (70, -900, 300)]
    result = found(crime(lat=10.0, lon=lon), [trail(rows, lat=10.0, lon=lon)])
    fixes = features(result, kind="fix")
    labels = [f["properties"]["label"] or "" for f in fixes]
    for track in features(result, kind="track"):
        rows = [k for k, label in enumerate(labels) if label.rstrip("0123456789") == track["properties"]["label"]]
        way = [f["geometry"]["coordinates"] for f in fixes[rows[0] - 1 : rows[-1] + 2]]
        pieces = [np.array(piece.coords) for piece in getattr(shape(track), "geoms", [shape(track)])]
        assert all(abs(np.diff(piece[:, 0])).max() < 1.0 for piece in pieces)
        assert sum(map(length, pieces)) == pytest.approx(length(np.array(way)), abs=3e-7)


def test_about_a_pole_no_circle_is_drawn():
    result = found(crime(lat=90.0, lon=0.0), [])
    place, disc = features(result)
    assert (place["geometry"]["type"], disc["geometry"]) == ("Point", None)


def test_the_same_results_give_the_same_bytes():
    trails = [trail(WAY, wearer=name) for name in "ba"]
    assert collection(found(trails=trails)) == collection(found(trails=trails[::-1]))


def test_other_readers_read_it(tmp_path):
    (tmp_path / "found.geojson").write_bytes(collection(found(crime(uncertainty_m=50.0)), found(crime(reference="R/2"))))
    frame = geopandas.read_file(tmp_path / "found.geojson")
    assert frame.crs.to_epsg() == 4326
    assert frame["kind"].value_counts().to_dict() == {
        "fix": 2 * len(WAY), "track": 2, "crime": 2, "vicinity": 2, "widened vicinity": 1
    }  # fmt: skip
    assert frame.geometry.is_valid.all()
    metres = frame.to_crs(32630)
    placed = metres[(metres["kind"] == "fix") & metres["label"].notna() & (metres["crime"] == "R/1")]
    disc = metres[(metres["kind"] == "vicinity") & (metres["crime"] == "R/1")].geometry.iloc[0]
    assert len(placed) == 3
    assert placed.within(disc).all()
    assert disc.area == pytest.approx(math.pi * 100**2, rel=0.005)
    again = tmp_path / "again.geojson"
    frame.to_file(again, driver="GeoJSON")
    assert shapely.equals_exact(geopandas.read_file(again).geometry.values, frame.geometry.values, 1e-7).all()
