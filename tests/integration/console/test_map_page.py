"""Maps in a real browser: what is drawn, told, picked, played and drawn into, under the console's content security policy."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from jinja2 import Environment, FileSystemLoader
from pyproj import Geod

from engine.times import MINUTE_US, parse_time
from geofence.zone import Circle, Zone
from tagwatch.console import geo_features as geo

if TYPE_CHECKING:
    from playwright.sync_api import Page, Position, Route

TEMPLATES = Path(geo.__file__).parent / "templates"
START_US = parse_time("2026-03-01T08:00:00Z")
LAT, LON = 53.8, -1.5
ZONE = Zone("z", "<b>Mill</b> Lane", "exclusion", ("*",), Circle(538000000, -15000000, 300.0), "v", buffer_m=200.0)
_MAP = "const map = await (await import('/static/map.js')).mapOf('map');"
Open = Callable[..., "Page"]


def places(n: int) -> list[tuple[float, float]]:
    """A way to and fro, as (lon, lat)."""
    return [(LON + 0.01 * math.sin(k / 40), LAT + 0.006 * math.cos(k / 31)) for k in range(n)]


def scene(n: int, *, gap_at: int = 0) -> dict[str, Any]:
    """A zone with its ring, a home, and n fixes a minute apart with half an hour of silence before the one at gap_at."""
    way = places(n)
    times = [START_US + k * MINUTE_US + (30 * MINUTE_US if gap_at and k >= gap_at else 0) for k in range(n)]
    fixes = [
        geo.fix_feature(lat, lon, time, 25.0, label=f"A{k}", title=f"Fix A{k} <i>x</i>", weight=k % 5 > 0)
        for k, ((lon, lat), time) in enumerate(zip(way, times, strict=True))
    ]
    ways = geo.way_features(times, way, 10 * MINUTE_US) if n else []
    home = geo.point_feature("home", LAT + 0.004, LON - 0.01, label="Home")
    return geo.collection([geo.ring_feature(ZONE), geo.zone_feature(ZONE), home, *ways, *fixes])


@pytest.fixture
def open_map(visit: Callable[..., Page]) -> Open:
    """Opens a page with one map of what is given, beside inputs for what is picked and drawn."""

    def open_page(data: Any, **options: Any) -> Page:
        page = visit("operator", "/account", **options.pop("window", {}))
        text = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True).from_string(
            '{% from "map.html" import map %}{{ map("map", "/data.json", "A map of a test", **more) }}'
        )
        inputs = "".join(
            f'<label for="{name}">{name}</label><input id="{name}">' for name in ("lat", "lon", "radius", "area")
        )
        body = f"<main>{inputs}{text.render(more=options)}</main>"

        def serve_page(route: Route) -> None:
            answer = route.fetch()
            head, _, rest = answer.text().partition("<main")
            route.fulfill(response=answer, body=head + body + rest.partition("</main>")[2])

        page.route("**/account", serve_page)
        page.route("**/data.json", lambda route: route.fulfill(json=data))
        page.reload()
        page.wait_for_selector("#map[data-ready]")
        return page

    return open_page


def pixel(page: Page, lon: float, lat: float) -> Position:
    """Where a place is within the map's view."""
    found = page.evaluate(
        f"async place => {{ {_MAP} return map.ol.getPixelFromCoordinate(ol.proj.fromLonLat(place)); }}", [lon, lat]
    )
    return {"x": found[0], "y": found[1]}


def draw_frame(page: Page) -> None:
    """Wait until the page has been drawn with all that came of what was done last."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))")


def test_what_lies_under_a_click_is_told_as_text(open_map: Open) -> None:
    page = open_map(scene(30))
    assert page.get_attribute("#map", "data-shown") == "34"  # a ring, a zone, a home, a way and 30 fixes
    lon, lat = places(30)[4]
    page.click("#map-view", position=pixel(page, lon, lat))
    page.wait_for_selector(".tw-map__told >> text=Fix A4 <i>x</i>")
    told = page.inner_text(".tw-map__told")
    assert "2026-03-01 08:04:00 UTC" in told
    assert "± 25 m" in told
    assert page.locator(".tw-map__told i, .tw-map__told b").count() == 0
    page.keyboard.press("Escape")
    assert page.is_hidden(".tw-map__told")
    page.evaluate(
        f"async place => {{ {_MAP} map.ol.getView().setCenter(ol.proj.fromLonLat(place)); map.ol.renderSync(); }}",
        [LON, LAT],
    )
    page.focus("#map-view")
    page.keyboard.press("Enter")
    page.wait_for_selector(".tw-map__told >> text=<b>Mill</b> Lane: exclusion zone")
    assert "early warning, 200 m about the zone" in page.inner_text(".tw-map__told")


def test_the_key_names_each_look_and_fits_both_themes(open_map: Open) -> None:
    page = open_map(scene(30, gap_at=10))
    key = page.locator(".tw-map__key li").all_inner_texts()
    assert key == ["Fix, with its accuracy in true metres", "Fix that does not count", "Way from fix to fix", "No position measured",
                   "Exclusion zone", "Early warning about a zone", "Home or place of a curfew"]  # fmt: skip
    colour = f"async () => {{ {_MAP} return map.colours.exclusion; }}"
    day = page.evaluate(colour)
    page.click("#theme")
    page.wait_for_function(f"async day => {{ {_MAP} return map.colours.exclusion !== day; }}", arg=day)


def test_circles_are_true_metres(open_map: Open) -> None:
    page = open_map(scene(1))
    got = page.evaluate(
        """async () => { const { toMap, toDegrees, unitsPerMetre } = await import("/static/map/places.js");
        return [0, 51.5, 69].map(lat => { const [e, n] = unitsPerMetre(lat), [x, y] = toMap(10, lat);
          return [lat, toDegrees([x + 1000 * e, y]), toDegrees([x, y + 1000 * n])]; }); }"""
    )
    geod = Geod(ellps="WGS84")
    for lat, *ends in got:
        for lon2, lat2 in ends:
            assert abs(geod.inv(10, lat, lon2, lat2)[2] - 1000.0) < 0.5


def test_a_trail_is_played(open_map: Open) -> None:
    page = open_map(scene(60, gap_at=30), playback=True)
    moment = page.locator(".tw-map__moment")
    assert moment.inner_text() == "All 60 fixes, 2026-03-01 08:00:00 UTC to 2026-03-01 09:29:00 UTC"
    page.focus(".tw-map__slider")
    page.keyboard.press("PageDown")
    assert moment.inner_text().startswith("2026-03-01 08:00:00 UTC · fix 1 of 60 · ± 25 m · does not count")
    page.keyboard.press("ArrowRight")
    assert moment.inner_text().startswith("2026-03-01 08:01:00 UTC · fix 2 of 60")
    assert page.get_attribute(".tw-map__slider", "aria-valuetext") == moment.inner_text()
    page.locator(".tw-map__slider").fill(str(45 * 60))
    assert moment.inner_text() == "2026-03-01 08:45:00 UTC · fix 30 of 60 · ± 25 m · no position for 16 min"
    shown = page.evaluate(f"async () => {{ {_MAP} return [map.state.shown, map.state.now, map.state.gapEnds.size]; }}")
    assert shown == [[0, 29], 29, 1]
    page.select_option(".tw-map__speed", "3600")
    page.click("text=Play")
    page.wait_for_function("() => document.querySelector('.tw-map__moment').textContent.includes('fix 60 of 60')")
    page.wait_for_selector(".tw-map__button >> text=Play")
    page.click(".tw-map__bar >> text=All")
    assert moment.inner_text().startswith("All 60 fixes")


def test_a_place_is_picked_and_typed(open_map: Open) -> None:
    page = open_map(scene(3), pick="lat,lon,radius")
    page.click("#map-view", position=pixel(page, LON, LAT))
    page.wait_for_function("() => document.getElementById('lat').value !== ''")
    assert abs(float(page.input_value("#lat")) - LAT) < 1e-4
    assert abs(float(page.input_value("#lon")) - LON) < 1e-4
    page.fill("#radius", "250")
    page.fill("#lat", "51.5")
    page.fill("#lon", "-0.1")
    page.press("#lon", "Tab")
    drawn = f"""async () => {{ {_MAP} const centre = ol.proj.toLonLat(map.ol.getView().getCenter());
        return [map.overlay.getFeatures().map(each => each.get("role")).sort(), ...centre.map(v => +v.toFixed(4))]; }}"""
    assert page.evaluate(drawn) == [["crime", "vicinity"], -0.1, 51.5]
    page.fill("#lat", "north")
    assert page.evaluate(drawn)[0] == []
    page.focus("#map-view")
    page.keyboard.press("Enter")
    assert (page.input_value("#lat"), page.input_value("#lon")) == ("51.500000", "-0.100000")


def test_areas_are_drawn_and_typed(open_map: Open) -> None:
    page = open_map(scene(3), draw="area")
    view = page.locator("#map-view")
    page.click("text=Draw a circle")
    edge = pixel(page, *Geod(ellps="WGS84").fwd(LON, LAT, 90, 150)[:2])
    for place in (pixel(page, LON, LAT), edge):
        view.click(position=place)
        draw_frame(page)
    page.wait_for_function("() => document.getElementById('area').value !== ''")
    told = json.loads(page.input_value("#area"))
    assert told["geometry"]["type"] == "Point"
    assert abs(told["properties"]["radius_m"] - 150) <= 3
    page.click("text=Draw a polygon")
    corners = [(200, 100), (400, 100), (400, 300), (200, 100)]
    for x, y in corners:
        view.click(position={"x": x, "y": y})
        draw_frame(page)
    page.wait_for_function("() => document.getElementById('area').value.includes('Polygon')")
    ring = json.loads(page.input_value("#area"))["geometry"]["coordinates"][0]
    assert len(ring) == 4
    page.fill("#area", '{"type": "Point", "coordinates": [10, 60]')
    page.fill(
        "#area",
        json.dumps(
            {"type": "Feature", "properties": {"radius_m": 80}, "geometry": {"type": "Point", "coordinates": [10, 60]}}
        ),
    )
    assert page.evaluate(f"async () => {{ {_MAP} return map.overlay.getFeatures()[0].get('radius_m'); }}") == 80
    page.click("text=Delete the area")
    assert page.input_value("#area") == ""


def test_a_hundred_thousand_fixes(open_map: Open) -> None:
    page = open_map(scene(1))
    shown = page.evaluate(
        f"""async () => {{ {_MAP} const drawn = new Promise(done => map.ol.once("rendercomplete", done));
        map.show({{ type: "FeatureCollection", features: Array.from({{ length: 100000 }}, (_, k) => ({{ type: "Feature",
          properties: {{ role: "fix", accuracy_m: 10 + k % 40, time: new Date(1.77e12 + k * 60000).toISOString() }},
          geometry: {{ type: "Point", coordinates: [{LON} + 0.01 * Math.sin(k / 40), {LAT} + 0.006 * Math.cos(k / 31)] }} }})) }});
        await drawn;
        const canvas = document.querySelector(".tw-map__fixes"), size = [0, 0, canvas.width, canvas.height];
        return canvas.getContext("2d").getImageData(...size).data.filter((v, k) => k % 4 === 3 && v).length; }}"""
    )
    assert shown > 50_000
    assert page.get_attribute("#map", "data-shown") == "100000"
    assert "Many fixes here: not every circle is drawn" in page.inner_text("#map")


def test_nothing_to_show_is_said(open_map: Open) -> None:
    page = open_map({"type": "FeatureCollection", "features": []}, empty="Nothing was measured that day.")
    assert page.inner_text(".tw-map__said") == "Nothing was measured that day."
    box = page.locator(".ol-zoom-in").bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 24


def test_features_are_geojson_in_true_metres() -> None:
    circle = geo.circle_feature(LAT, LON, 500.0, label="v")
    ring = np.array(circle["geometry"]["coordinates"][0])
    far = Geod(ellps="WGS84").inv(np.full(len(ring), LON), np.full(len(ring), LAT), ring[:, 0], ring[:, 1])[2]
    assert np.allclose(far, 500.0, atol=0.02)
    assert geo.fix_feature(LAT, LON, START_US)["properties"] == {"role": "fix", "time": "2026-03-01T08:00:00.000Z"}
    across = Zone("a", "", "inclusion", ("*",), shapely.box(179.5, 10, 180.5, 11), "v")
    cut = geo.zone_feature(across)
    assert cut["geometry"]["type"] == "MultiPolygon"
    assert cut["properties"]["title"] == "a: inclusion zone"
    assert shapely.from_geojson(json.dumps(cut["geometry"])).bounds == (-180.0, 10.0, 180.0, 11.0)
    assert geo.ring_feature(across) is None


def test_silence_cuts_the_way() -> None:
    way = places(5)
    times = [START_US + minutes * MINUTE_US for minutes in (0, 1, 30, 31, 60)]
    found = geo.way_features(times, way, 10 * MINUTE_US)
    assert [each["properties"]["role"] for each in found] == ["way", "gap", "way", "gap"]
    assert found[1]["properties"]["title"].startswith("No position for 29 min, from 2026-03-01T08:01:00.000Z")
    assert found[1]["geometry"]["coordinates"] == [way[1], way[2]]
    assert geo.way_features([], [], MINUTE_US) == []
