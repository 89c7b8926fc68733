"""The British National Grid against the Ordnance Survey's own points for OSTN15, round trips, and references of text."""

import csv
import math

import numpy as np
import pyproj
import pytest

from crime_match.crimes.national_grid import from_wgs84, read_reference, reference_of, to_wgs84, to_wgs84_or_nan
from engine.errors import InputError

WGS84 = pyproj.Geod(ellps="WGS84")
HELMERT = pyproj.Transformer.from_crs("EPSG:27700", "EPSG:4326", always_xy=True)


def table(folder, name):
    with (folder / f"truth_osgb/OSTN15_OSGM15_{name}.txt").open(encoding="ascii") as file:
        return list(csv.reader(file))[1:]


def test_forward_meets_the_ordnance_surveys_points_to_the_millimetre(shared_data):
    given = {row[0]: row for row in table(shared_data, "TestInput_ETRStoOSGB")}
    wanted = table(shared_data, "TestOutput_ETRStoOSGB")
    lat, lon = (np.array([float(given[row[0]][k]) for row in wanted]) for k in (1, 2))
    east, north = from_wgs84(lat, lon)
    assert len(wanted) == 40
    assert np.abs(east - [float(row[1]) for row in wanted]).max() < 0.5e-3
    assert np.abs(north - [float(row[2]) for row in wanted]).max() < 0.5e-3


def test_inverse_meets_the_ordnance_surveys_points_to_the_millimetre(shared_data):
    given = table(shared_data, "TestInput_OSGBtoETRS")
    wanted = {row[0]: row for row in table(shared_data, "TestOutput_OSGBtoETRS") if len(row) > 2 and row[1] == "RESULT"}
    lat, lon = to_wgs84(*(np.array([float(row[k]) for row in given]) for k in (1, 2)))
    truth = np.array([[float(value) for value in wanted[row[0]][2:4]] for row in given])
    _, _, apart_m = WGS84.inv(lon, lat, truth[:, 1], truth[:, 0])
    assert len(given) == 40
    assert max(apart_m) < 1e-3


def test_there_and_back_over_land_and_sea():
    rng = np.random.default_rng(15)
    east, north = rng.uniform(1e5, 655e3, 20_000), rng.uniform(2e4, 1.24e6, 20_000)
    lat, lon = to_wgs84_or_nan(east, north)
    here = ~np.isnan(lat)
    assert here.mean() > 0.99
    back = from_wgs84(lat[here], lon[here])
    assert np.hypot(back[0] - east[here], back[1] - north[here]).max() < 6e-3
    assert np.median(np.hypot(back[0] - east[here], back[1] - north[here])) < 1e-3


def test_the_far_north_of_shetland_is_there_too():
    lat, lon = 60.8546, -0.8850  # Muckle Flugga, past the converter's own bounds
    back = to_wgs84(*from_wgs84(lat, lon))
    assert WGS84.inv(lon, lat, back[1], back[0])[2] < 0.01


def test_a_helmert_shift_is_metres_off_and_ostn15_is_not_that():
    """What pyproj gives without the grid, and the ministry's reader too: 1 to 5 m away, so it is no oracle to the mm."""
    lat, lon = to_wgs84(497600.0, 371400.0)
    helmert = HELMERT.transform(497600.0, 371400.0)
    assert 0.2 < WGS84.inv(lon, lat, *helmert)[2] < 6.0


def test_numbers_and_arrays_give_the_same():
    lat, lon = to_wgs84([497600.0, 651409.804], [371400.0, 313177.450])
    assert (lat[0], lon[0]) == to_wgs84(497600.0, 371400.0)
    assert isinstance(to_wgs84(497600, 371400)[0], float)
    assert lat[1] == pytest.approx(
        52.658007833, abs=2e-8
    )  # the worked example of the OS guide: 52 39 28.8282, 1 42 57.8663
    assert lon[1] == pytest.approx(1.716073973, abs=2e-8)
    east, north = from_wgs84(lat, lon)
    assert (east[0], north[0]) == from_wgs84(float(lat[0]), float(lon[0]))
    assert to_wgs84(np.array([]), np.array([]))[0].shape == (0,)


@pytest.mark.parametrize("place", [(0, 0), (-1, 5), (700_001, 5), (400_000, 1_250_001), (math.nan, 5), (math.inf, 5)])
def test_outside_the_area_of_ostn15_is_a_clear_error(place):
    with pytest.raises(InputError, match="OSTN15"):
        to_wgs84(*place)


@pytest.mark.parametrize("place", [(48.0, 2.0), (-53.0, -0.5), (53.0, 20.0), (math.nan, 0.0), (-0.5, 53.2), (1e300, 0.0)])
def test_degrees_outside_are_a_clear_error(place):
    with pytest.raises(InputError, match="OSTN15"):
        from_wgs84(*place)


def test_the_error_names_which_of_many():
    with pytest.raises(InputError, match="number 1 of 2"):
        to_wgs84([497600.0, -5.0], [371400.0, 5.0])
    with pytest.raises(InputError, match="one length"):
        to_wgs84([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("text", "east", "north", "size"),
    [
        ("SK 97 71", 497_500, 371_500, 1000),
        ("TF0071", 500_500, 371_500, 1000),
        ("SK976714", 497_650, 371_450, 100),
        ("sk976714", 497_650, 371_450, 100),
        ("  SK 976 714 ", 497_650, 371_450, 100),
        ("SK9 7", 495_000, 375_000, 10_000),
        ("TG 51409 13177", 651_409.5, 313_177.5, 1),
        ("TG5140913177", 651_409.5, 313_177.5, 1),
        ("TG 5140 1317", 651_405, 313_175, 10),
        ("SV 00000 00000", 0.5, 0.5, 1),
        ("NN 16668 71285", 216_668.5, 771_285.5, 1),
        ("HP 61 17", 461_500, 1_217_500, 1000),
    ],
)
def test_grid_references(text, east, north, size):
    square = read_reference(text)
    assert square[:2] == (east, north)
    assert square.uncertainty_m == pytest.approx(size / math.sqrt(2))


@pytest.mark.parametrize(
    "text", ["", "SK", "S 97 71", "SK 9 71", "SK 971", "SK97 7l", "IK 97 71", "AA 11 11", "SI 1 1", "SK 123456 123456",
             "51.5 -0.1", "SK -97 71", "SK ٩٧ ٧١", "497500 371500"],
)  # fmt: skip
def test_what_is_no_grid_reference(text):
    with pytest.raises(InputError, match="grid_ref is") as error:
        read_reference(text)
    assert "SK 97 71" in str(error.value)


def test_every_square_of_a_hundred_kilometres_there_and_back():
    seen = set()
    for column in range(7):
        for row in range(13):
            text = reference_of(column * 1e5 + 12_345, row * 1e5 + 67_890)
            seen.add(text[:2])
            assert read_reference(text) == (column * 1e5 + 12_345.5, row * 1e5 + 67_890.5, pytest.approx(math.sqrt(0.5)))
    assert len(seen) == 91
    assert {"SV", "NA", "HP", "TG", "SK"} <= seen


def test_references_of_every_length():
    found = [reference_of(497_654.3, 371_432.1, n_digits) for n_digits in (2, 4, 6, 8, 10)]
    assert found == ["SK 9 7", "SK 97 71", "SK 976 714", "SK 9765 7143", "SK 97654 71432"]
    with pytest.raises(InputError, match="n_digits"):
        reference_of(497_654.3, 371_432.1, 7)
    with pytest.raises(InputError, match="OSTN15"):
        reference_of(-1.0, 0.0)
