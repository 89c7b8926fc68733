"""Bad zones and curfews: each gives one line that names the feature, the field, the value and what was expected."""

from __future__ import annotations

import math
from typing import Any

import pytest
import shapely

from engine.errors import InputError
from engine.times import parse_time
from geofence.curfew import read_curfews
from geofence.zone import ALWAYS, FAR_US, Circle, read_zones, wearers_unknown

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
BOW_TIE = [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]
SWAPPED = [[53, -100], [54, -100], [54, -101], [53, -100]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def point(*coordinates: Any) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(coordinates)}


def feature(geometry: Any = None, **given: Any) -> dict[str, Any]:
    properties = {"id": "z", "kind": "exclusion", "wearers": "*"} | given
    return {"type": "Feature", "properties": properties, "geometry": geometry or polygon(SQUARE)}


def collection(*features: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)}


def weekly(**more: Any) -> dict[str, Any]:
    return {"timezone": "UTC", "weekly": [{"days": ["mon"], "start": "08:00", "end": "09:00"} | more]}


WHERE = r"^feature 1 \(id z\): "
BAD_ZONES: list[tuple[Any, str]] = [
    ({"type": "Feature"}, "^type is 'Feature': expected a GeoJSON FeatureCollection"),
    ([1], "^type is 'list': expected"),
    ({"type": "FeatureCollection", "features": None}, "^type is"),
    (collection(None), "^feature 1: properties is missing"),
    (collection("x"), "^feature 1: properties is 'x'"),
    (collection({"type": "Feature", "properties": None}), "^feature 1: properties is missing"),
    (collection({"type": "Feature", "properties": [1]}), r"^feature 1: properties is \[1\]"),
    (collection(feature(id=None)), "^feature 1: id is missing"),
    (collection(feature(id=5)), r"^feature 1 \(id 5\): id is 5"),
    (collection(feature(id=" ")), "id is ' '"),
    (collection(feature(), feature()), "^feature 2: id is 'z': is also the id of feature 1"),
    (collection(feature(kind="danger")), WHERE + "kind is 'danger': expected exclusion or inclusion"),
    (collection(feature(kind=["exclusion"])), WHERE + "kind is"),
    (collection(feature(wearers=None)), WHERE + "wearers is missing"),
    (collection(feature(wearers=[])), WHERE + r"wearers is \[\]"),
    (collection(feature(wearers=[1])), WHERE + "wearers is"),
    (collection(feature(grade="severe")), WHERE + "grade is 'severe': expected one of critical"),
    (collection(feature(buffer_m=-1)), WHERE + "buffer_m is -1: expected metres from 0"),
    (collection(feature(buffer_m="")), WHERE + "buffer_m is ''"),
    (collection(feature(buffer_m=False)), WHERE + "buffer_m is False"),
    (collection(feature(valid_from="2026-02-30")), WHERE + "valid_from is '2026-02-30': expected a date"),
    (collection(feature(valid_from=False)), WHERE + "valid_from is False"),
    (
        collection(feature(valid_from="2026-03-02", valid_to="2026-03-01")),
        WHERE + "valid_to is '2026-03-01': expected 2026-03-02",
    ),
    (collection(feature(timezone="Mars")), WHERE + "timezone is 'Mars'"),
    (collection(feature(timezone=5)), WHERE + "timezone is 5"),
    (collection(feature(timezone=[5])), WHERE + r"timezone is \[5\]"),
    (collection(feature(timezone="Europe")), WHERE + "timezone is 'Europe'"),
    (collection(feature(timezone="../../etc/hostname")), WHERE + "timezone is"),
    (collection(feature(schedule={})), WHERE + "timezone is missing"),  # not: in force at all times
    (collection(feature(schedule=[])), WHERE + r"schedule is \[\]"),
    (collection(feature(schedule=False)), WHERE + "schedule is False"),
    (collection(feature(schedule=weekly(days=["mon", "funday"]))), WHERE + "days is 'funday': expected one of mon"),
    (collection(feature(schedule=weekly(days="mon"))), WHERE + "days is 'mon': expected a list"),
    (collection(feature(schedule=weekly(start="25:00"))), WHERE + "start is '25:00': expected a time of day"),
    # geometry
    (collection(feature() | {"geometry": None}), WHERE + "geometry is missing"),
    (collection(feature({"type": "LineString", "coordinates": SQUARE})), WHERE + "geometry is 'LineString'"),
    (collection(feature({"type": "Polygon"})), WHERE + "coordinates is missing"),
    (collection(feature({"type": "Polygon", "coordinates": 5})), WHERE + "coordinates is 5: expected a list"),
    (collection(feature({"type": "Polygon", "coordinates": SQUARE})), WHERE + "coordinates is .* cannot be read"),
    (collection(feature(polygon())), WHERE + "geometry is 'POLYGON EMPTY'"),
    (collection(feature(polygon([[0, 0], [1, 0], [1, 1, 2], [0, 0]]))), WHERE + "coordinates is .* cannot be read"),
    (collection(feature(polygon(BOW_TIE))), WHERE + r"geometry is 'Polygon': is not valid: Self-intersection\[0.5 0.5\]"),
    (collection(feature(polygon([[0, 0], [1, 0], [math.nan, 1], [0, 0]]))), WHERE + r"coordinates\[0\]\[2\]\[0\] is nan"),
    (
        collection(feature(polygon([[0, math.inf], [1, 0], [1, 1], [0, math.inf]]))),
        WHERE + r"coordinates\[0\]\[0\]\[1\] is inf",
    ),
    (collection(feature(polygon([[0, 0], [1e300, 0], [1, 1], [0, 0]]))), WHERE + r"coordinates\[0\]\[1\]\[0\] is 1e\+300"),
    (collection(feature(polygon([[0, 0], [True, 0], [1, 1], [0, 0]]))), WHERE + r"coordinates\[0\]\[1\]\[0\] is True"),
    (collection(feature(polygon([[0, 0], ["1", 0], [1, 1], [0, 0]]))), WHERE + r"coordinates\[0\]\[1\]\[0\] is '1'"),
    (collection(feature(polygon([[0, 0], [None, 0], [1, 1], [0, 0]]))), WHERE + r"coordinates\[0\]\[1\]\[0\] is missing"),
    (
        collection(feature(polygon(SWAPPED))),
        WHERE + "coordinates is .*: reaches outside the world: expected .longitude, latitude.",
    ),
    (
        collection(feature(polygon([[-120, 0], [0, 0], [120, 0], [0, 1], [-120, 0]]))),
        WHERE + "coordinates is .* wider than half the world",
    ),
    (
        collection(feature(polygon([[-120, 80], [0, 80], [120, 80], [-120, 80]]))),
        WHERE + "coordinates is .* goes round a pole",
    ),
    (
        collection(feature(polygon([[120, 0], [220, 0], [220, 1], [120, 0]]))),
        WHERE + "coordinates is .* reaches too far over the antimeridian",
    ),
    (collection(feature(polygon([[0, 0], [361, 0], [361, 1], [0, 0]]))), WHERE + r"coordinates\[0\]\[1\]\[0\] is 361"),
    (
        collection(feature(polygon([[0, 0], [1e-9, 0], [1e-9, 1e-9], [0, 0]]))),
        WHERE + "geometry is .* no larger than the grid",
    ),
    (collection(feature(point(0, 53))), WHERE + "radius_m is missing: expected metres from 1 to 50000"),
    (collection(feature(point(0, 53), radius_m=-5)), WHERE + "radius_m is -5"),
    (collection(feature(point(0, 53), radius_m=math.nan)), WHERE + "radius_m is nan"),
    (collection(feature(point(0, 53), radius_m=True)), WHERE + "radius_m is True"),
    (collection(feature(point(0, 53), radius_m="100")), WHERE + "radius_m is '100'"),
    (collection(feature(point(53, -151), radius_m=100)), WHERE + "lat is -151: expected degrees from -90 to 90"),
    (collection(feature(point(math.nan, 1), radius_m=100)), WHERE + "lon is nan"),
    (collection(feature(point(True, 1), radius_m=100)), WHERE + "lon is True"),
    (collection(feature(point(0), radius_m=100)), WHERE + r"coordinates is \[0\]"),
    (collection(feature(point(0, 89.999), radius_m=500)), WHERE + "radius_m is 500: reaches over a pole"),
    (collection(feature(point(180, -89.999), radius_m=500)), WHERE + "radius_m is 500: reaches over a pole"),
]


@pytest.mark.parametrize(("raw", "message"), BAD_ZONES, ids=[message.removeprefix(WHERE)[:40] for _, message in BAD_ZONES])
def test_a_bad_zone_is_refused_in_one_line(raw: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as fault:
        read_zones(raw)
    assert "\n" not in str(fault.value)
    assert fault.value.field
    assert fault.value.expected


def test_a_self_intersection_is_mended_where_asked() -> None:
    (zone,) = read_zones(collection(feature(polygon(BOW_TIE))), repair=True)
    assert not isinstance(zone.place, Circle)
    assert zone.place.is_valid
    assert zone.place.area == pytest.approx(0.5)
    assert zone.place.covers(shapely.Point(0.1, 0.5))


@pytest.mark.parametrize("ring", [[[0, 0], [1, 1], [0, 0]], [[0, 0], [1, 1], [0.5, 0.5], [0, 0]]])
def test_a_line_is_no_area_and_mending_does_not_make_one(ring: Any) -> None:
    for repair in (False, True):
        with pytest.raises(InputError, match=WHERE + "geometry is"):
            read_zones(collection(feature(polygon(ring))), repair=repair)


def test_a_bad_number_is_not_mended_away() -> None:
    with pytest.raises(InputError, match=r"coordinates\[0\]\[2\]\[0\] is nan"):
        read_zones(collection(feature(polygon([[0, 0], [1, 0], [math.nan, 1], [0, 0]]))), repair=True)


def test_good_zones_are_read_as_they_are() -> None:
    rows = collection(
        feature(polygon([[*v, 12.5] for v in SQUARE], [[0.2, 0.2], [0.4, 0.2], [0.4, 0.4], [0.2, 0.2]]), name="Park"),
        feature(
            {"type": "MultiPolygon", "coordinates": [[SQUARE], [[[2, 2], [3, 2], [3, 3], [2, 2]]]]}, id="m", grade="low"
        ),
        feature(
            point(-0.1, 53, 20), id="c", kind="inclusion", wearers=["b", "a", "b"], radius_m=100, buffer_m=25, name=None
        ),
    )
    park, several, disc = read_zones(rows)
    assert (park.name, park.wearers, park.buffer_m, park.timezone) == ("Park", ("*",), 0.0, "UTC")
    assert several.place.area == pytest.approx(1.5)
    assert disc.place == Circle(530_000_000, -1_000_000, 100.0)
    assert (disc.name, disc.wearers, disc.buffer_m) == ("c", ("a", "b"), 25.0)
    assert disc.concerns("a")
    assert not disc.concerns("c")
    assert park.concerns("c")
    assert wearers_unknown([park, disc], {"a"}) == [("c", "b")]
    assert len({zone.version for zone in read_zones(rows)}) == 3
    assert [zone.version for zone in read_zones(rows)] == [park.version, several.version, disc.version]


@pytest.mark.parametrize("lon", [179.99, 179.9999, 180, -180, -179.9999])
def test_a_disc_may_lie_over_the_antimeridian(lon: float) -> None:
    (zone,) = read_zones(collection(feature(point(lon, 10), radius_m=1000)))
    assert zone.place == Circle(100_000_000, round(lon * 1e7), 1000.0)


def box(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


OVER = shapely.box(178, -18, 182, -15)
SPLIT = {"type": "MultiPolygon", "coordinates": [[box(178, -18, 180, -15)], [box(-180, -18, -178, -15)]]}


@pytest.mark.parametrize("geometry", [
    SPLIT,
    SPLIT | {"coordinates": SPLIT["coordinates"][::-1]},
    polygon(box(178, -18, 182, -15)),
    polygon(box(-182, -18, -178, -15)),
    polygon([[178, -18], [-178, -18], [-178, -15], [178, -15], [178, -18]]),
    polygon([[-178, -18], [-178, -15], [178, -15], [178, -18], [-178, -18]]),
    {"type": "MultiPolygon", "coordinates": [[box(178, -18, -178, -15)]]},
])  # fmt: skip
def test_a_zone_over_the_antimeridian_is_one_area_however_it_is_written(geometry: dict[str, Any]) -> None:
    """Cut in two (RFC 7946), with longitudes beyond 180, or with a jump from one side to the other."""
    (zone,) = read_zones(collection(feature(geometry)))
    assert not isinstance(zone.place, Circle)
    assert len(shapely.get_parts(zone.place)) == 1
    assert zone.place.is_valid
    assert zone.place.equals(OVER)


def test_holes_and_islands_go_with_their_zone_over_the_antimeridian() -> None:
    shell = [[178, -18], [-178, -18], [-178, -15], [178, -15], [178, -18]]
    rings = [[shell, box(-179, -17, -178.5, -16), box(178.5, -17, 179, -16)], [box(-177, -18, -176, -17)]]
    (zone,) = read_zones(collection(feature({"type": "MultiPolygon", "coordinates": rings})))
    assert not isinstance(zone.place, Circle)
    holes = [shapely.box(181, -17, 181.5, -16), shapely.box(178.5, -17, 179, -16)]
    expected = shapely.union(OVER - shapely.union_all(holes), shapely.box(183, -18, 184, -17))
    assert zone.place.equals(shapely.transform(expected, lambda xy: xy - [360, 0]))  # nearer to Greenwich than 184


def test_a_zone_that_ends_at_the_antimeridian_stays_where_it_is() -> None:
    for given, stays in (
        (box(179, 0, 180, 1), (179, 180)),
        (box(-180, 0, -179, 1), (-180, -179)),
        (box(185, 0, 190, 1), (-175, -170)),
    ):
        (zone,) = read_zones(collection(feature(polygon(given))))
        assert not isinstance(zone.place, Circle)
        assert zone.place.bounds == (stays[0], 0, stays[1], 1)


def test_a_faulty_zone_over_the_antimeridian_is_refused_or_mended() -> None:
    bow_tie = polygon([[178, 0], [-178, 1], [-178, 0], [178, 1], [178, 0]])
    with pytest.raises(InputError, match=r"is not valid: Self-intersection\[180 0.5\]"):
        read_zones(collection(feature(bow_tie)))
    (zone,) = read_zones(collection(feature(bow_tie)), repair=True)
    assert not isinstance(zone.place, Circle)
    assert zone.place.area == pytest.approx(2.0)


CURFEW = {
    "id": "c", "wearer": "w", "place": {"lat": 53, "lon": 0, "radius_m": 50}, "timezone": "Europe/London",
    "weekly": [{"days": ["mon"], "start": "22:00", "end": "06:00"}],
}  # fmt: skip


def window(**more: Any) -> dict[str, Any]:
    return {"weekly": [{"days": ["mon"], "start": "22:00", "end": "06:00"} | more]}


BAD_CURFEWS: list[tuple[dict[str, Any], str]] = [
    ({"id": None}, "id is missing"),
    ({"id": 5}, "id is 5"),
    ({"wearer": ""}, "wearer is ''"),
    ({"place": None}, "place is missing"),
    ({"place": {}}, "lat is missing: expected degrees"),
    ({"place": []}, r"place is \[\]"),
    ({"place": "home"}, "place is 'home'"),
    ({"place": {"zone": "nowhere"}}, "place is 'nowhere': expected the id of a zone in the zones file"),
    ({"place": {"zone": ["z"]}}, r"place is \['z'\]: expected the id of a zone"),
    ({"place": {"zone": None}}, "place is missing: expected the id of a zone"),
    ({"place": {"lat": math.nan, "lon": 0, "radius_m": 50}}, "lat is nan"),
    ({"place": {"lat": -151, "lon": 53, "radius_m": 50}}, "lat is -151"),
    ({"place": {"lat": 53, "lon": 0}}, "radius_m is missing"),
    ({"place": [{"zone": "z"}, 5]}, "place is 5"),
    (window(start="25:00"), "start is '25:00': expected a time of day from 00:00 to 24:00"),
    (window(end="24:01"), "end is '24:01'"),
    (window(end="22:00"), "end is '22:00': equals the start"),
    (window(start="24:00"), "start is '24:00': expected a time of day from 00:00 to 23:59"),
    (window(start=22), "start is 22"),
    (window(start="22:00\n"), "start is"),
    (window(end=None), "end is missing"),
    (window(days=["funday"]), "days is 'funday': expected one of mon"),
    (window(days=None), "days is missing"),
    (window(days=[]), r"days is \[\]"),
    ({"weekly": None}, "weekly is missing"),
    ({"weekly": []}, r"weekly is \[\]"),
    ({"weekly": [5]}, "weekly is 5"),
    ({"timezone": "Europe/Londres"}, "timezone is 'Europe/Londres'"),
    ({"timezone": None}, "timezone is missing"),
    ({"grace_minutes": -1}, "grace_minutes is -1"),
    ({"grace_minutes": math.nan}, "grace_minutes is nan"),
    ({"grace_minutes": "5"}, "grace_minutes is '5'"),
    ({"grace_minutes": True}, "grace_minutes is True"),
    ({"valid_from": "soon"}, "valid_from is 'soon'"),
    ({"valid_from": "2026-03-02", "valid_to": "2026-03-01"}, "valid_to is '2026-03-01'"),
    ({"exceptions": 5}, "exceptions is 5"),
    ({"exceptions": [5]}, "kind is missing"),
    ({"exceptions": [{"kind": "holiday"}]}, "kind is 'holiday': expected authorised or extra"),
    ({"exceptions": [{"kind": "extra", "to": "2026-03-01T10:00"}]}, "from is missing"),
    (
        {"exceptions": [{"kind": "extra", "from": "2026-03-02", "to": "2026-03-01T10:00"}]},
        "to is '2026-03-01T10:00': expected later",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD_CURFEWS, ids=[message[:40] for _, message in BAD_CURFEWS])
def test_a_bad_curfew_is_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    zones = read_zones(collection(feature()))
    with pytest.raises(InputError, match=rf"^curfew 1( \(id .*\))?: {message}") as fault:
        read_curfews([CURFEW | change], zones)
    assert "\n" not in str(fault.value)
    assert fault.value.field
    assert fault.value.expected


def test_curfews_are_a_list_of_objects_with_their_own_ids() -> None:
    with pytest.raises(InputError, match=r"^curfews is 'dict': expected a JSON list"):
        read_curfews(CURFEW)
    with pytest.raises(InputError, match=r"^curfew 1: curfew is 5"):
        read_curfews([5])
    with pytest.raises(InputError, match=r"^curfew 2 \(id c\): id is 'c': expected an id that no other"):
        read_curfews([CURFEW, CURFEW])


def test_a_good_curfew_is_read_as_it_is() -> None:
    zones = read_zones(collection(feature()))
    (one,) = read_curfews([CURFEW | {"place": [{"zone": "z"}, CURFEW["place"]], "grace_minutes": 2.5}], zones)
    assert one.places == (zones[0].place, Circle(530_000_000, 0, 50.0))
    assert one.grace_us == 150_000_000
    assert one.windows(0, 0) == []


def test_keys_that_nobody_knows_are_slips_of_the_pen() -> None:
    faults = [
        ({"valid_form": "2026-03-01"}, "valid_form is '2026-03-01': is no key of a curfew: expected valid_from$"),
        ({"Grace minutes": 5}, "Grace minutes is 5: is no key of a curfew: expected grace_minutes$"),
        ({"colour": None}, "colour is 'null': is no key of a curfew: expected id, wearer"),
        (window(ends="06:00"), "ends is '06:00': is no key of a weekly row: expected end"),
        ({"place": CURFEW["place"] | {"radius": 50}}, "radius is 50: is no key of a place: expected radius_m"),
        ({"place": CURFEW["place"] | {"zone": "z"}}, "place is .*: is a zone and a disc"),
        (
            {"exceptions": [{"from": "2026-03-01", "to": "2026-03-02", "kind": "extra", "raeson": ""}]},
            "raeson is '': is no key of an exception: expected reason",
        ),
        ({"unverified_minutes": -1}, "unverified_minutes is -1: expected minutes from 0 to 1440"),
    ]
    for change, message in faults:
        with pytest.raises(InputError, match=rf"^curfew 1 \(id c\): {message}"):
            read_curfews([CURFEW | change], read_zones(collection(feature())))
    with pytest.raises(InputError, match=WHERE + "valid_from is .*: is no key of a schedule: expected timezone, weekly"):
        read_zones(collection(feature(schedule=weekly() | {"valid_from": "2026-03-01"})))
    assert read_zones(collection(feature(valid_form="2026-03-01", fill="#f00")))[0].valid_from == ""


def test_of_several_rows_the_faulty_one_is_named() -> None:
    rows = [*CURFEW["weekly"], {"days": ["tue"], "start": "25:00", "end": "06:00"}]
    with pytest.raises(InputError, match=r"^curfew 1 \(id c\), weekly row 2: start is '25:00': expected a time"):
        read_curfews([CURFEW | {"weekly": rows}])
    leave = [{"from": "2026-03-01", "to": to, "kind": "authorised"} for to in ("2026-03-02", "2026-02-01")]
    with pytest.raises(InputError, match=r"^curfew 1 \(id c\), exception 2: to is '2026-02-01'"):
        read_curfews([CURFEW | {"exceptions": leave}])


T1, T2 = "2026-03-01T12:00:00Z", "2026-03-05T00:00:00+01:00"
T1_US, T2_US = parse_time(T1), parse_time(T2)


def test_versions_of_a_zone_hold_one_after_the_other() -> None:
    moved = polygon([[v[0] + 5, v[1]] for v in SQUARE])
    ended = {"type": "Feature", "geometry": None, "properties": {"id": "z", "holds_from": T2, "removed": True}}
    zones = read_zones(collection(ended, feature(id="other"), feature(moved, holds_from=T1), feature()))
    assert [(z.id, z.holds) for z in zones] == [("z", (-FAR_US, T1_US)), ("z", (T1_US, T2_US)), ("other", ALWAYS)]
    assert zones[0].version == read_zones(collection(feature()))[0].version
    assert zones[1].version == read_zones(collection(feature(moved)))[0].version
    for zone, times in zip(zones, [[(0, T1_US)], [(T1_US, T2_US)], [(0, 2 * T2_US)]], strict=True):
        assert zone.in_force(0, 2 * T2_US) == times
    (late,) = read_zones(collection(feature(holds_from=T1)))
    assert late.holds == (T1_US, FAR_US)


@pytest.mark.parametrize(("change", "message"), [
    ({"holds_from": "2026-03-01"}, "holds_from is '2026-03-01': expected ISO 8601 with an offset"),
    ({"holds_from": "2026-03-01T10:00"}, "holds_from is '2026-03-01T10:00': has no zone: expected ISO 8601 with an offset, such"),
    ({"holds_from": 5}, "holds_from is 5"), ({"removed": "yes", "holds_from": T1}, "removed is 'yes': expected true or false"),
    ({"removed": True}, "holds_from is missing: expected the instant from which on it is removed"),
])  # fmt: skip
def test_a_version_says_from_when_on_it_holds(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=WHERE + message):
        read_zones(collection(feature(**change)))
    with pytest.raises(InputError, match=r"^curfew 1 \(id c\): " + message):
        read_curfews([CURFEW | change])


def test_two_versions_from_one_instant_are_refused() -> None:
    same = (feature(holds_from=T1), feature(holds_from="2026-03-01T13:00:00+01:00"))
    with pytest.raises(
        InputError, match=r"^feature 2: id is 'z': is also the id of feature 1: expected .* another holds_from"
    ):
        read_zones(collection(*same))
    with pytest.raises(InputError, match=r"^curfew 3 \(id c\): id is 'c': expected an id that no other curfew has"):
        read_curfews([CURFEW, CURFEW | {"holds_from": T1}, {"id": "c", "holds_from": T1, "removed": True}])


def test_a_curfew_takes_the_version_of_its_zone_that_holds_then() -> None:
    moved = polygon([[v[0] + 5, v[1]] for v in SQUARE])
    zones = read_zones(collection(feature(), feature(moved, holds_from=T2)))
    ended = {"id": "c", "holds_from": "2026-04-01T00:00:00Z", "removed": True}
    row = CURFEW | {"place": {"zone": "z"}}
    curfews = read_curfews([row, row | {"grace_minutes": 9, "holds_from": T1}, ended], zones)
    end = parse_time("2026-04-01T00:00:00Z")
    assert [c.holds for c in curfews] == [(-FAR_US, T1_US), (T1_US, T2_US), (T2_US, end)]
    assert [c.places[0] for c in curfews] == [zones[0].place, zones[0].place, zones[1].place]
    assert [c.grace_us for c in curfews] == [0, 540_000_000, 540_000_000]
    assert len({c.version for c in curfews}) == 3
    # a place that is gone is no place: the other one stays, and without another there is no curfew
    gone = {"type": "Feature", "geometry": None, "properties": {"id": "z", "holds_from": T2, "removed": True}}
    zones = read_zones(collection(feature(), gone))
    both = read_curfews([row | {"place": [{"zone": "z"}, CURFEW["place"]]}], zones)
    assert [(len(c.places), c.holds) for c in both] == [(2, (-FAR_US, T2_US)), (1, (T2_US, FAR_US))]
    assert [c.holds for c in read_curfews([row], zones)] == [(-FAR_US, T2_US)]


def test_the_exceptions_of_a_zone_are_cut_out() -> None:
    out = [
        {"from": "2026-03-02T10:00", "to": "2026-03-02T11:00", "kind": "authorised", "reason": "court"},
        {"from": "2026-03-02T10:30Z", "to": "2026-03-02T12:00Z", "kind": "suspended"},
    ]
    (zone,) = read_zones(collection(feature(exceptions=out, timezone="Europe/Paris")))
    low, nine, ten, noon, high = (parse_time(f"2026-03-02T{t}:00Z") for t in ("00:00", "09:00", "10:00", "12:00", "23:00"))
    assert zone.in_force(low, high) == [(low, nine), (ten, ten + 1_800_000_000), (noon, high)]
    hours = weekly(start="09:00", end="11:00") | {"timezone": "Europe/Paris"}
    (zone,) = read_zones(collection(feature(exceptions=out, schedule=hours)))
    assert zone.in_force(low, high) == [(parse_time("2026-03-02T08:00:00Z"), nine)]
    with pytest.raises(InputError, match=WHERE + "kind is 'extra': expected authorised or suspended"):
        read_zones(collection(feature(exceptions=[out[0] | {"kind": "extra"}])))


def test_a_buffer_that_reaches_too_far_is_refused() -> None:
    faults = [
        (feature(point(0, 53), radius_m=40_000, buffer_m=20_000), "buffer_m is 20000.0: makes a disc of 60000 m"),
        (
            feature(point(0, 89.9), radius_m=2_000, buffer_m=20_000),
            "buffer_m is 20000.0: makes a disc of 22000 m that reaches",
        ),
        (feature(polygon(box(0, 88, 1, 88.9)), buffer_m=20_000), "buffer_m is 20000.0: reaches too far"),
        (feature(polygon(box(0, 0, 179.9, 1)), buffer_m=20_000), "buffer_m is 20000.0: reaches too far"),
    ]
    for bad, message in faults:
        with pytest.raises(InputError, match=WHERE + message):
            read_zones(collection(bad))
