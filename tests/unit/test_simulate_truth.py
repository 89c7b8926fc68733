"""The truth of a simulation, held against independent reckoning: shapely, pyproj, and the fixes' true places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
import pytest
import shapely

from engine.times import DAY_US, MINUTE_US, SECOND_US
from geofence.curfew import read_curfews
from tagwatch.simulate.crimes import Presence
from tagwatch.simulate.lives import live
from tagwatch.simulate.population import populate
from tagwatch.simulate.spans import common, total_us
from tagwatch.simulate.world import START_US, World, simulate

GEOD = pyproj.Geod(ellps="WGS84")


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(40, 7, 3, crimes=60)


def inside(feature: dict[str, Any], lat: Any, lon: Any) -> Any:
    """Whether points are in a GeoJSON zone, by shapely, or by geodesic distance for a circle."""
    if feature["geometry"]["type"] == "Point":
        return distance(*reversed(feature["geometry"]["coordinates"]), lat, lon) <= feature["properties"]["radius_m"]
    return shapely.contains_xy(shapely.geometry.shape(feature["geometry"]), lon, lat)


def distance(lat0: float, lon0: float, lat: Any, lon: Any) -> Any:
    n = np.size(lat)
    return GEOD.inv(np.full(n, lon0), np.full(n, lat0), np.atleast_1d(lon), np.atleast_1d(lat))[2]


def in_spans(spans: list[tuple[int, int]], time_us: Any, margin_us: int = 0) -> Any:
    found = np.zeros(len(time_us), bool)
    for start, end in spans:
        found |= (time_us >= start - margin_us) & (time_us < end + margin_us)
    return found


def near_an_edge(spans: list[tuple[int, int]], time_us: Any) -> Any:
    edges = np.array([edge for span in spans for edge in span])
    return (np.abs(time_us[:, None] - edges) < SECOND_US).any(axis=1) if len(edges) else np.zeros(len(time_us), bool)


def test_visits_agree_with_the_true_place_of_every_fix(world: World) -> None:
    truth, checked = world.truth, 0
    for number, wearer in enumerate(truth.wearers):
        mine = truth.wearer == number
        time_us, lat, lon = world.fixes.time_us[mine], truth.lat_e7[mine] / 1e7, truth.lon_e7[mine] / 1e7
        for feature in world.zones["features"]:
            named = feature["properties"]
            if named["wearers"] != "*" and wearer not in named["wearers"]:
                continue
            spans = [(v.entered_us, v.left_us) for v in truth.visits if (v.wearer, v.zone) == (wearer, named["id"])]
            clear = ~near_an_edge(spans, time_us)
            assert np.array_equal(inside(feature, lat, lon)[clear], in_spans(spans, time_us)[clear]), (wearer, named["id"])
            checked += len(spans)
    assert checked > 10


def test_the_place_of_a_fix_is_on_the_path(world: World) -> None:
    truth = world.truth
    for row in range(0, len(world.fixes), 9973):
        lat, lon = truth.position(truth.wearers[truth.wearer[row]], int(world.fixes.time_us[row]))
        assert abs(lat * 1e7 - truth.lat_e7[row]) < 1
        assert abs(lon * 1e7 - truth.lon_e7[row]) < 1


def test_who_did_a_crime_was_there_and_not_before_or_after(world: World) -> None:
    by_reference = {crime.reference: crime for crime in world.crimes}
    done = [presence for presence in world.truth.crimes if presence.wearer]
    assert 10 < len(done) < 50
    for presence in done:
        crime = by_reference[presence.reference]
        assert crime.from_us <= presence.from_us
        assert presence.to_us <= crime.to_us
        assert 5 * MINUTE_US <= presence.to_us - presence.from_us <= 21 * MINUTE_US
        for at in np.linspace(presence.from_us, presence.to_us, 20).astype(np.int64):
            place = world.truth.position(presence.wearer, int(at))
            assert distance(crime.lat, crime.lon, *place)[0] < 30.0
        for at in (presence.from_us - 20 * MINUTE_US, presence.to_us + 20 * MINUTE_US):
            assert distance(crime.lat, crime.lon, *world.truth.position(presence.wearer, at))[0] > 12.0


def test_near_finds_who_was_there(world: World) -> None:
    by_reference = {crime.reference: crime for crime in world.crimes}
    for presence in world.truth.crimes:
        crime = by_reference[presence.reference]
        if not presence.wearer:
            continue
        spans = world.truth.near(presence.wearer, crime.lat, crime.lon, 100.0, (crime.from_us, crime.to_us))
        assert total_us(common(spans, [(presence.from_us, presence.to_us)])) == presence.to_us - presence.from_us
        for start, end in spans:
            lat, lon = world.truth.position(presence.wearer, (start + end) // 2)
            assert distance(crime.lat, crime.lon, lat, lon)[0] <= 100.1


def test_a_decoy_lives_next_door(world: World) -> None:
    by_reference = {crime.reference: crime for crime in world.crimes}
    decoys: list[Presence] = [presence for presence in world.truth.crimes if presence.neighbour]
    assert decoys
    for presence in decoys:
        crime, path = by_reference[presence.reference], world.truth.paths[presence.neighbour]
        home = world.truth.plane.degrees(path.x[0], path.y[0])
        assert distance(crime.lat, crime.lon, *home)[0] < 35.0


def test_curfew_presence_agrees_with_the_true_place_of_every_fix(world: World) -> None:
    truth, away_windows = world.truth, 0
    curfews = {curfew["id"]: curfew for curfew in world.curfews}
    for kept in truth.curfews:
        places = curfews[kept.curfew]["place"]
        mine = truth.wearer == truth.wearers.index(kept.wearer)
        mine &= (world.fixes.time_us >= kept.window[0]) & (world.fixes.time_us < kept.window[1])
        time_us, lat, lon = world.fixes.time_us[mine], truth.lat_e7[mine] / 1e7, truth.lon_e7[mine] / 1e7
        at_home = np.zeros(len(time_us), bool)
        for place in places if isinstance(places, list) else [places]:
            at_home |= distance(place["lat"], place["lon"], lat, lon) <= place["radius_m"] if len(lat) else False
        away = in_spans(list(kept.away), time_us)
        clear = ~near_an_edge(list(kept.away), time_us)
        if not kept.authorised_us:
            assert np.array_equal(at_home[clear], ~away[clear]), kept
        assert kept.away_us == total_us(kept.away)
        away_windows += bool(kept.away)
    assert away_windows > 5


def test_windows_are_those_that_the_geofence_reads(world: World) -> None:
    """Two expansions of the same curfews, written apart: they must agree across the spring clock change."""
    for curfew in read_curfews(world.curfews):
        kept = [k for k in world.truth.curfews if k.curfew == curfew.id]
        tagged = world.truth.tagged[curfew.wearer]
        expected = total_us(common(curfew.windows(tagged[0][0], tagged[-1][1]), tagged))
        assert sum(k.home_us + k.away_us for k in kept) == expected


def test_the_night_the_clocks_go_forward_is_an_hour_short(world: World) -> None:
    lengths = {(k.window[1] - k.window[0]) // MINUTE_US for k in world.truth.curfews if k.window[0] > START_US + 5 * DAY_US}
    assert 11 * 60 in lengths


def test_who_obeys_breaks_nothing() -> None:
    population = populate(60, 5, 8, (START_US, START_US + 5 * DAY_US), 0.1, None)
    lives = live(population, 0, None)
    broke = set()
    for person, path in zip(population.people, lives.paths, strict=True):
        window = [(START_US, START_US + 5 * DAY_US)]
        entered = any(path.inside(zone.shape, window) for zone in person.exclusions)
        away = False
        if person.curfew:
            home = [span for place in person.curfew.places for span in path.inside(place)]
            due = person.curfew.windows(*window[0])
            away = total_us(common(due, window)) != total_us(common(common(due, window), sorted(home)))
        if entered or away:
            broke.add(person.number)
    assert broke <= population.roles.breakers
    assert len(broke) >= 5
