"""The map files of a pack, read back by others: GDAL, fastkml, movingpandas, SQLite; the same places and times in all."""

import io
import json
import math
import os
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import fastkml
import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from pyproj import Geod
from shapely.geometry import shape

from crime_match.evidence.geo import geojson, geopackage, kml
from crime_match.evidence.geo.features import LEAST_M, layers_of, runs_of
from crime_match.evidence.rows import fix_rows, local_text
from crime_match.evidence.tables import FIX_COLUMNS, fix_records
from crime_match.geojson import discs
from engine.times import to_datetime, to_iso
from geofence.zone import Circle
from tests.evidence_case import PLACE, case, hostile_case

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Missing optional dependencies", UserWarning)  # its smoother, which is not used here
    import movingpandas

LAYERS = ["crime", "vicinity", "tracks", "circles", "fixes"]
WGS84 = Geod(ellps="WGS84")
WRITERS = {"geojson": geojson.write, "gpkg": geopackage.write, "kml": kml.write}
ROOT = Path(__file__).parents[2]


def with_fixes(of, **columns):
    """The case with some columns of its fixes replaced; what the match tells of them stays."""
    return replace(of, trail=of.trail._replace(fixes=replace(of.trail.fixes, **columns)))


def late(of=None, by_us=123_456):
    of = of or case()
    return with_fixes(of, time_us=of.trail.fixes.time_us + by_us)


def elsewhere(lat, lon, **changes):
    """The case with its place and its fixes moved by whole units of the grid, over the antimeridian where they reach it."""
    of = case(**changes)
    north, east = round((lat - PLACE[0]) * 1e7), round((lon - PLACE[1]) * 1e7)
    lon_e7 = (of.trail.fixes.lon_e7.astype(np.int64) + east + 1_800_000_000) % 3_600_000_000 - 1_800_000_000
    lat_e7 = np.minimum(of.trail.fixes.lat_e7.astype(np.int64) + north, 900_000_000)
    parameters = of.match["parameters"] | {"lat": lat, "lon": lon}
    moved = with_fixes(of, lon_e7=lon_e7.astype(np.int32), lat_e7=lat_e7.astype(np.int32))
    return replace(moved, match={**of.match, "parameters": parameters})


def without_fixes():
    of = case(60)
    none = slice(0, 0)
    names = ("fixes", "flags", "sigma_m", "radius_m", "exclusion_m", "model", "silence_us")
    bare = {name: getattr(of.trail, name)[none] for name in names[1:]} | {"fixes": of.trail.fixes.take(none)}
    return replace(of, trail=of.trail._replace(**bare), match={**of.match, "fixes": []}, origins=[])


@pytest.fixture
def read(tmp_path):
    """What GDAL reads of a case in a format."""

    def one(of, form, layer="fixes"):
        path = tmp_path / f"pack.{form}"
        path.write_bytes(WRITERS[form](of))
        if form != "geojson":
            return pyogrio.read_dataframe(path, layer=layer)
        frame = pyogrio.read_dataframe(path)
        kinds = {"vicinity": ["vicinity", "widened vicinity"], "crime": ["crime"]}.get(layer, [layer.removesuffix("s")])
        kinds = ["fix"] if layer == "fixes" else kinds
        return frame[frame.kind.isin(kinds)].reset_index(drop=True)

    return one


def times_of(frame):
    """The times of GDAL's frame [us], which holds milliseconds."""
    column = frame["timestamp" if "timestamp" in frame else "time"]
    assert str(column.dt.tz) == "UTC"
    return column.dt.tz_localize(None).to_numpy().astype("M8[us]").astype(np.int64)


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("of", [case(), late(), elsewhere(-16.5, 179.9999)], ids=["plain", "microseconds", "antimeridian"])
def test_gdal_reads_the_same_places_times_and_numbers(form, of, read):
    frame, rows = read(of, form), fix_rows(of)
    places = shapely.get_coordinates(frame.geometry)
    np.testing.assert_array_equal(np.rint(places * 1e7), [(round(r.lon * 1e7), round(r.lat * 1e7)) for r in rows])
    np.testing.assert_allclose(places, [(r.lon, r.lat) for r in rows], rtol=0.0, atol=1e-9)
    times_us = np.array([r.time_us for r in rows])
    np.testing.assert_array_equal(times_of(frame), times_us // 1000 * 1000)
    assert frame.number.tolist() == [r.number for r in rows]
    for key in ("label", "when", "device", "source", "flags"):
        expected = ["; ".join(r.flags) if key == "flags" else getattr(r, key) for r in rows]
        assert frame[key].fillna("").tolist() == expected, key
    for key in ("accuracy_m", "radius_m", "exclusion_m", "speed_mps", "course_deg", "distance_m", "share", "p", "hdop"):
        expected = [np.nan if getattr(r, key) is None else getattr(r, key) for r in rows]
        np.testing.assert_array_equal(frame[key].to_numpy(float, na_value=np.nan), expected, key)
    assert frame.carries_weight.astype(bool).tolist() == [r.has_weight for r in rows]
    assert frame.geometry.crs.to_epsg() == 4326


def test_geojson_and_geopackage_hold_times_to_the_microsecond(read):
    of = late()
    told = [f["properties"] for f in json.loads(geojson.write(of))["features"] if f["properties"]["kind"] == "fix"]
    assert [t["time"] for t in told] == [to_iso(r.time_us) for r in fix_rows(of)]
    assert read(of, "gpkg").time_us.tolist() == [r.time_us for r in fix_rows(of)]
    assert all(t["time"].endswith(".123456Z") for t in told)


def test_geojson_is_what_rfc_7946_says():
    read = json.loads(geojson.write(case()))
    assert list(read) == ["type", "features"]
    kinds = [f["properties"]["kind"] for f in read["features"]]
    assert list(dict.fromkeys(kinds)) == ["crime", "vicinity", "track", "circle", "fix"]
    for feature in read["features"]:
        assert list(feature) == ["type", "properties", "geometry"]
        area = shape(feature["geometry"])
        assert area.is_valid
        if area.geom_type == "Polygon":
            assert area.exterior.is_ccw
    fix = read["features"][-1]["properties"]
    assert list(fix) == ["kind", *FIX_COLUMNS]
    assert fix == {"kind": "fix", **fix_records(case())[-1]}


@pytest.mark.parametrize("form", ["geojson", "gpkg"])
def test_texts_that_look_like_times_stay_texts(form, read):
    of = case(60, reference="2026/06/16", text="12:30")
    fixes = read(of, form)
    assert set(fixes.device) == {"T1001"}
    assert fixes.time_local.tolist() == [local_text(r.time_us, "Europe/London") for r in fix_rows(of)]
    assert read(of, form, "crime")[["reference", "text"]].values.tolist() == [["2026/06/16", "12:30"]]


def test_kml_is_valid_and_fastkml_reads_the_same():
    of = late()
    document = fastkml.KML.parse(io.BytesIO(kml.write(of)), validate=True).features[0]
    assert [folder.name for folder in document.features] == LAYERS
    for mark, row in zip(document.features[-1].features, fix_rows(of), strict=True):
        assert mark.name == f"{row.number} {row.label}".strip()
        assert mark.geometry.coords == ((row.lon, row.lat),)
        assert mark.time_stamp.dt == to_datetime(row.time_us)
        data = {item.name: item.value for item in mark.extended_data.elements[0].data}
        assert (data["time"], float(data["radius_m"])) == (to_iso(row.time_us), row.radius_m)
        assert row.device in mark.description
    styles = {style.id for style in document.styles}
    assert all(m.style_url.url.removeprefix("#") in styles for folder in document.features for m in folder.features)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # movingpandas with pandas 3.1
@pytest.mark.parametrize("form", WRITERS)
def test_ways_are_those_that_movingpandas_splits_at_gaps(form, read):
    """Fixes with weight that are no mast's; a new way after more than five minutes."""
    of = case(300)
    tracks, rows = read(of, form, "tracks"), [r for r in fix_rows(of) if r.has_weight and r.source != "lbs"]
    assert len(rows) < len(fix_rows(of))
    frame = geopandas.GeoDataFrame(
        {"t": pd.to_datetime([r.time_us for r in rows], unit="us"), "id": 1},
        geometry=[shapely.Point(r.lon, r.lat) for r in rows], crs=4326,
    )  # fmt: skip
    gap = timedelta(minutes=5, microseconds=1)
    whole = movingpandas.TrajectoryCollection(frame, "id", t="t")
    ways = list(movingpandas.ObservationGapSplitter(whole).split(gap=gap))
    assert len(tracks) == len(ways) == 2
    starts = "begin" if form == "kml" else "from"
    for (_, track), way in zip(tracks.iterrows(), ways, strict=True):
        np.testing.assert_allclose(
            shapely.get_coordinates(track.geometry), shapely.get_coordinates(way.to_linestring()), rtol=0.0, atol=1e-9
        )
        moments = [pd.Timestamp(m, tz="UTC") for m in (way.get_start_time(), way.get_end_time())]
        assert [track[starts], track["end" if form == "kml" else "to"]] == moments
        assert track.n_fixes == len(way.df)


def test_a_gap_of_exactly_the_longest_goes_on_and_fixes_without_weight_count_for_nothing():
    def record(at_us, weight=True, source="gps"):
        return {"time": to_iso(1_781_560_800_000_000 + at_us), "carries_weight": weight, "source": source, "at": at_us}

    longest = 300_000_000
    times = [record(0), record(longest), record(longest + 1, weight=False), record(longest + 2, source="lbs"),
             record(2 * longest + 1), record(2 * longest + 2)]  # fmt: skip
    ways = [[r["at"] for r in run] for run in runs_of(times, longest)]
    assert ways == [[0, longest], [2 * longest + 1, 2 * longest + 2]]
    assert runs_of([], longest) == []
    assert runs_of([record(0, weight=False)], longest) == []


@pytest.mark.parametrize("form", WRITERS)
def test_circles_have_the_radius_that_was_used(form, read):
    circles, rows = read(case(), form, "circles"), {r.number: r for r in fix_rows(case())}
    assert circles.number.tolist() == list(rows)
    for _, circle in circles.iterrows():
        row = rows[circle.number]
        assert circle.radius_m == row.radius_m
        assert bool(circle.radius_assumed) == (row.accuracy_m is None)
        lon, lat = shapely.get_coordinates(circle.geometry).T
        _, _, away_m = WGS84.inv(np.full(len(lon), row.lon), np.full(len(lat), row.lat), lon, lat)
        np.testing.assert_allclose(away_m, row.radius_m, atol=0.01)


@pytest.mark.parametrize("form", WRITERS)
def test_the_vicinity_and_the_wider_one_of_an_uncertain_place(form, read):
    of = case()
    wide = replace(of, match={**of.match, "parameters": of.match["parameters"] | {"uncertainty_m": 250.0}})
    areas = read(wide, form, "vicinity")
    assert areas.kind.tolist() == ["vicinity", "widened vicinity"]
    assert areas.radius_m.tolist() == [100.0, 350.0]
    for area, radius_m in zip(areas.geometry, (100.0, 350.0), strict=True):
        lon, lat = shapely.get_coordinates(area).T
        _, _, away_m = WGS84.inv(np.full(len(lon), PLACE[1]), np.full(len(lat), PLACE[0]), lon, lat)
        np.testing.assert_allclose(away_m, radius_m, atol=0.01)
    assert read(of, form, "vicinity").kind.tolist() == ["vicinity"]
    [crime] = read(of, form, "crime").geometry
    assert (crime.y, crime.x) == pytest.approx(PLACE, abs=1e-9)


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("lon", [179.9999, -179.9999, 180.0])
def test_what_crosses_the_antimeridian_is_cut_there(form, lon, read):
    of = elsewhere(-16.5, lon)
    for layer in ("vicinity", "circles", "tracks"):
        shapes = read(of, form, layer).geometry
        parts = shapely.get_parts(shapes.to_numpy())
        bounds = shapely.bounds(parts)
        assert bounds[:, 0].min() == -180.0
        assert bounds[:, 2].max() == 180.0
        assert (bounds[:, 2] - bounds[:, 0]).max() < 1.0
        assert len(parts) > len(shapes)
        assert shapes.is_valid.all()


@pytest.mark.parametrize("form", WRITERS)
def test_about_a_pole_places_are_told_and_no_circles_drawn(form, read):
    of = elsewhere(90.0, 0.0)
    assert len(read(of, form)) == len(of.trail.fixes)
    assert read(of, form, "vicinity").geometry.isna().all()


@pytest.mark.parametrize("form", WRITERS)
def test_a_trail_without_fixes(form, read):
    of = without_fixes()
    assert len(read(of, form)) == len(read(of, form, "tracks")) == len(read(of, form, "circles")) == 0
    assert len(read(of, form, "crime")) == len(read(of, form, "vicinity")) == 1


def test_a_circle_too_small_to_draw_is_left_out():
    of = case(60)
    radius_m = of.trail.radius_m.copy()
    radius_m[:3] = (0.0, LEAST_M, LEAST_M - 0.01)
    layers = {layer.name: layer for layer in layers_of(replace(of, trail=of.trail._replace(radius_m=radius_m)))}
    assert [f.properties["number"] for f in layers["circles"].features][:2] == [2, 4]
    assert shape(layers["circles"].features[0].geometry).is_valid
    assert len(layers["fixes"].features) == 60


@pytest.mark.parametrize("form", WRITERS)
def test_hostile_texts_are_data(form, read):
    of = hostile_case()
    frame = read(of, form, "crime")
    assert frame.loc[0, "text"] == of.crime.text
    assert frame.loc[0, "reference"] == of.crime.reference
    name = '</name><script>"&$[text]\x00\x1b'
    of = replace(of, trail=of.trail._replace(fixes=replace(of.trail.fixes, devices=(name,))))
    assert set(read(of, form).device) == {'</name><script>"&$[text]\u2400\u241b'}


def test_what_stands_in_a_balloon_is_no_markup():
    of = case(60, text='<img src="x" onerror="alert(1)"> $[reference] &amp;\x00')
    [mark] = fastkml.KML.parse(io.BytesIO(kml.write(of)), validate=True).features[0].features[0].features
    balloon = mark.description.split("<br>")[-1]
    assert balloon == "text: &lt;img src=&quot;x&quot; onerror=&quot;alert(1)&quot;&gt; &#36;[reference] &amp;amp;\u2400"
    assert b"http://" not in kml.write(of).replace(b"http://www.opengis.net/kml/2.2", b"")  # nothing is fetched


def test_the_geopackage_is_one_and_dated_by_the_case(tmp_path):
    of = case()
    (tmp_path / "a.gpkg").write_bytes(geopackage.write(of))
    database = sqlite3.connect(tmp_path / "a.gpkg")
    try:
        dates = database.execute("select distinct last_change from gpkg_contents").fetchall()
        assert dates == [(to_iso(of.dated_us),)]
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert database.execute("pragma application_id").fetchone() == (0x47504B47,)
        assert [name for (name,) in database.execute("select table_name from gpkg_contents order by rowid")] == LAYERS
        assert database.execute("select min(time), typeof(time) from fixes").fetchone() == (
            "2026-06-15T22:00:00.000Z",
            "text",
        )
    finally:
        database.close()


def test_settings_of_gdal_and_the_folder_of_temporary_files_are_as_before(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings = ("OGR_CURRENT_DATE", "OGR_SQLITE_SYNCHRONOUS")
    before = dict(os.environ)
    of = case(60)
    plain = geopackage.write(of)
    assert [pyogrio.get_gdal_config_option(name) for name in settings] == [None, None]
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2001-01-01T00:00:00.000Z"})
    try:
        assert geopackage.write(of) == plain
        assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") == "2001-01-01T00:00:00.000Z"
        monkeypatch.setattr(pyogrio, "write_arrow", lambda *_, **__: None)
        with pytest.raises(FileNotFoundError):
            geopackage.write(of)
        assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") == "2001-01-01T00:00:00.000Z"
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_have_their_own_dates():
    cases = [case(60), case(60, dated_us=1_700_000_000_000_000)]
    alone = [geopackage.write(of) for of in cases]
    together = {}

    def build(k):
        together[k] = geopackage.write(cases[k % 2])

    threads = [Thread(target=build, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alone[0] != alone[1]
    assert all(together[k] == alone[k % 2] for k in range(8))


HASHES = """
import hashlib
from crime_match.evidence.geo import geojson, geopackage, kml
from crime_match.evidence.tables import crime_csv, fixes_csv
from tests.evidence_case import case, hostile_case
found = [
    hashlib.sha256(write(of)).hexdigest()
    for of in (case(), hostile_case())
    for write in (crime_csv, fixes_csv, geojson.write, geopackage.write, kml.write)
]
"""


def test_another_process_writes_the_same_bytes():
    """With another hash seed, time zone, language and present."""
    other = {"PYTHONHASHSEED": "4242", "TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8", "LC_ALL": "C"}
    assert os.environ.get("TZ") != other["TZ"]
    done = subprocess.run(
        [sys.executable, "-c", f"{HASHES}print(*found)"],
        cwd=ROOT,
        env=os.environ | other,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    here: dict[str, list[str]] = {}
    exec(HASHES, here)
    assert done.stdout.split() == here["found"]
    assert (len(here["found"]), len(set(here["found"]))) == (10, 9)  # of the hostile texts none is in the fixes


@pytest.mark.parametrize("place", [(515_000_000, 0), (-165_000_000, 1_799_999_900), (899_999_000, 0), (0, -1_800_000_000)])
def test_circles_drawn_together_are_those_drawn_alone(place):
    circles = [Circle(*place, radius_m) for radius_m in (0.5, 12.0, 800.0, 150_000.0)]
    alone = [discs([circle], 32)[0] for circle in circles]
    assert discs(circles, 32) == alone
    assert all(area is None or shape(area).is_valid for area in alone)
    assert discs([]) == []


def test_layers_at_hand_give_the_same_bytes():
    of = case(60)
    for write in WRITERS.values():
        assert write(of, layers_of(of)) == write(of)


@pytest.mark.parametrize("form", ["gpkg", "kml"])
def test_five_thousand_fixes(form, read):
    of = case(n=5000)
    frame = read(of, form)
    assert frame.number.tolist() == list(range(1, len(of.trail.fixes) + 1))
    assert frame.geometry.is_valid.all()
    assert math.isfinite(frame.total_bounds.sum())
    assert datetime.fromtimestamp(times_of(frame)[-1] / 1e6, UTC) == to_datetime(int(of.trail.fixes.time_us[-1]))
