"""A wearer's trail: opened with a reason, drawn, played, read as a table and exported; long ones thinned, tags handed on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.activations import Activation
from engine.database import connect
from engine.store.fixes import FixStore
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, parse_time, to_iso
from engine.wearers import Wearer
from tagwatch.access import audit
from tagwatch.console.managers.trail_map import MOST_DRAWN
from tagwatch.console.managers.trail_window import read_window
from tagwatch.console.office import Office
from tests.integration.console.managers_town import add_wearer, fixes_of
from tests.integration.console.test_managers_wearers import NASTY, curfew, faults_of

FROM_US = parse_time("2026-03-28T20:00:00Z")
NOW_US = FROM_US + 10 * HOUR_US
QUERY = "from=2026-03-28T20:00&to=2026-03-29T05:00&tz=Europe/London"
METRE = 1 / 111_195
ZONE = {
    "type": "Feature", "geometry": {"type": "Point", "coordinates": [-0.5, 53.21]},
    "properties": {"id": "z1", "name": "School " + NASTY, "kind": "exclusion", "wearers": ["A"], "radius_m": 60.0},
}  # fmt: skip


@pytest.fixture(autouse=True)
def settled(url: str, office: Office) -> None:
    """A wears T1 from 20:00 to 02:00 UTC, B from then on; A walks north and comes back, is silent for an hour, and jumps once."""
    office.clock = lambda: NOW_US
    minutes = np.concatenate([np.arange(0, 180), np.arange(240, 480)])
    north = np.where(minutes < 90, minutes * 20.0, np.abs(3_600.0 - minutes * 20.0))
    north[20] = 90_000.0
    with connect(url) as connection:
        rows = [Activation("T1", "A", FROM_US, FROM_US + 6 * HOUR_US), Activation("T1", "B", FROM_US + 6 * HOUR_US)]
        add_wearer(connection, Wearer("A", "Ann", force="Kent"), activations=rows, curfews=[curfew("A")],
                   zones={"type": "FeatureCollection", "features": [ZONE]})  # fmt: skip
        add_wearer(connection, Wearer("B", "Ben", force="Essex"))
        fixes = fixes_of("T1", FROM_US + minutes * MINUTE_US, 53.2 + north * METRE, np.full(len(minutes), -0.5))
        FixStore(connection).write(fixes)


def opened(client: Any, wearer: str = "A") -> Any:
    client.post("/open", {"wearer": wearer, "reason": "Case conference", "case_ref": "26/7"})
    return client


def drawn(client: Any, path: str = f"/wearers/A/trail.json?{QUERY}") -> dict[str, Any]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.content)
    return found


def test_a_trail_from_the_reason_to_the_export(visit: Callable[..., Any], url: str) -> None:
    page = visit("investigator", f"/wearers/A/trail?{QUERY}")
    assert "Why do you open the locations of A?" in page.locator("h1").inner_text()
    page.fill("#reason", "Burglary")
    page.fill("#case_ref", "26/1234")
    with page.expect_navigation():
        page.get_by_role("button", name="Open the locations").click()
    page.wait_for_selector("#trail-map[data-shown]")
    assert "All 300 fixes are drawn. 1 carry no weight" in page.locator("#trail-rule").inner_text()
    page.wait_for_selector("#trail-map[data-ready]")
    page.get_by_label("Time", exact=True).focus()
    page.keyboard.press("ArrowLeft")
    assert "fix 299 of 300" in page.get_by_label("Playback").inner_text()
    assert page.locator("#fixes").inner_text() == "Fixes 1 to 200 of 300"
    assert page.locator("main img").count() == 0
    jump = page.locator("tr.mg-weightless").inner_text()
    assert "implausible (no weight)" in jump
    gaps = page.locator("table").first.locator("tbody tr").all_inner_texts()
    assert [" ".join(gap.split()) for gap in gaps] == [
        "2026-03-28 22:59:00 GMT 2026-03-29 00:00:00 GMT 1 h 1 min", "2026-03-29 02:59:00 BST 2026-03-29 05:00:00 BST 2 h 1 min",
    ]  # fmt: skip
    assert faults_of(page) == []
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    assert started.value.suggested_filename == "trail-A-2026-03-28T20_00.csv"
    with page.expect_navigation():
        page.get_by_role("link", name="Next page").first.click()
    assert page.locator("#fixes").inner_text() == "Fixes 201 to 300 of 300"
    with connect(url) as connection:
        rows = [row for row in audit.rows(connection) if row.subject == "A"]
    told = {row.action: row for row in rows}
    assert {"locations opened", "trail opened", "trail drawn", "trail exported"} <= told.keys()
    assert (told["trail exported"].reason, told["trail exported"].case_ref) == ("Burglary", "26/1234")
    assert "2026-03-28T20:00" in str(told["trail exported"].detail)


def test_nothing_is_told_without_a_reason(signed_in: Callable[[str], Any]) -> None:
    client = signed_in("operator")
    for ending in ("", ".json", ".csv", ".geojson"):
        answer = client.get(f"/wearers/A/trail{ending}?{QUERY}")
        assert (answer.status_code, answer.headers["location"][:14]) == (303, "/open?wearer=A"), ending
    opened(client)
    assert client.get(f"/wearers/A/trail?{QUERY}").status_code == 200
    assert client.get(f"/wearers/B/trail?{QUERY}").status_code == 303


def test_a_tag_that_was_handed_on_tells_of_each_wearer_the_own_time(signed_in: Callable[[str], Any]) -> None:
    client = opened(opened(signed_in("operator")), "B")
    last = FROM_US + 6 * HOUR_US
    query = "from=2026-03-28T19:00&to=2026-03-29T09:00&tz=Europe/London"
    a, b = (list(csv.DictReader(io.StringIO(client.get(f"/wearers/{w}/trail.csv?{query}").text))) for w in "AB")
    assert len(a) == 300
    assert a[-1]["time"] < to_iso(last) == b[0]["time"]
    assert len(a) + len(b) == 420


def test_the_map_and_the_files_say_the_same(signed_in: Callable[[str], Any]) -> None:
    client = opened(signed_in("senior-operator"))
    found = drawn(client)
    roles = [one["properties"]["role"] for one in found["features"]]
    assert {role: roles.count(role) for role in set(roles)} == {"zone": 1, "home": 1, "way": 2, "gap": 1, "fix": 300}
    hollow = [one for one in found["features"] if one["properties"].get("weight") is False]
    assert [one["properties"]["title"] for one in hollow] == ["2026-03-28 20:20:00 GMT, ± 10 m, gps, tag T1, implausible"]
    ways = [one["geometry"]["coordinates"] for one in found["features"] if one["properties"]["role"] == "way"]
    assert max(lat for way in ways for _, lat in way) < 53.3
    points = json.loads(client.get(f"/wearers/A/trail.geojson?{QUERY}").content)
    assert (points["fixes"], len(points["features"])) == (300, 300)
    rows = list(csv.DictReader(io.StringIO(client.get(f"/wearers/A/trail.csv?{QUERY}").text)))
    assert [row["time"] for row in rows] == [one["properties"]["time"] for one in points["features"]]
    assert [row["time"] for row in rows if row["weight"] == "0"] == [to_iso(FROM_US + 20 * MINUTE_US)]
    assert [float(rows[5]["lat"]), float(rows[5]["lon"])] == points["features"][5]["geometry"]["coordinates"][::-1]


@pytest.mark.parametrize(
    ("query", "field", "told"),
    [
        ("from=2026-03-29T05:00&to=2026-03-28T20:00", "to", "To is"),
        ("from=yesterday&to=2026-03-28T20:00", "from", "From is"),
        ("from=&to=2026-03-28T20:00", "from", "expected a day and a time"),
        ("from=2026-03-28T20:00&to=2026-03-29T05:00&tz=Mars", "tz", "Time zone is"),
        ("from=2020-03-28T20:00&to=2026-03-29T05:00", "to", "at most 400 days"),
        ("from=0001-01-01T00:00&to=0001-01-02T00:00", "from", "a year from 2000"),
    ],
)
def test_a_window_that_is_none_is_told_and_kept(signed_in: Callable[[str], Any], query: str, field: str, told: str) -> None:
    answer = signed_in("operator").get(f"/wearers/A/trail?{query}")
    assert answer.status_code == 422
    assert f'<a href="#{field}">' in answer.text
    assert told in answer.text
    for typed in ("2026-03-28T20:00", "yesterday", "Mars", "0001-01-02T00:00"):
        assert (f'value="{typed}"' in answer.text) == (typed in query)


def test_windows_are_local_also_when_the_clocks_change() -> None:
    spring = read_window("2026-03-29T01:30", "2026-03-29T02:30", "Europe/London", "UTC", NOW_US)
    assert (to_iso(spring.from_us), to_iso(spring.to_us)) == ("2026-03-29T01:00:00.000Z", "2026-03-29T01:30:00.000Z")
    autumn = read_window("2026-10-25T01:30", "2026-10-25T01:30", "Europe/London", "UTC", NOW_US)
    assert autumn.to_us - autumn.from_us == HOUR_US
    for window in (spring, autumn, read_window("", "", "", "UTC", NOW_US + 7)):
        given = window.given()
        assert read_window(given["from"], given["to"], given["tz"], "UTC", 0) == window


def test_a_window_without_a_fix_says_so(signed_in: Callable[[str], Any]) -> None:
    client = opened(signed_in("operator"))
    text = client.get("/wearers/A/trail?from=2026-02-01T00:00&to=2026-02-02T00:00").text
    assert "There is no fix of this wearer in this window" in text
    assert "2026-02-01 00:00:00 GMT" in text
    assert drawn(client, "/wearers/A/trail.json?from=2026-02-01T00:00&to=2026-02-02T00:00")["of"] == 0


def test_a_trail_of_100_000_fixes(visit: Callable[..., Any], url: str) -> None:
    """A fix every 20 s for 23 days about one place; in the middle two fixes within a zone, and one that is nowhere near."""
    n, begin = 100_000, FROM_US - 30 * DAY_US
    random = np.random.default_rng(1)
    lat, lon = 53.2 + random.normal(0, 20 * METRE, n), -0.5 + random.normal(0, 20 * METRE, n)
    lat[50_001:50_003] = 53.202
    with connect(url) as connection:
        zone = {**ZONE, "geometry": {"type": "Point", "coordinates": [-0.5, 53.202]},
                "properties": {**ZONE["properties"], "id": "z2", "wearers": ["L"]}}  # type: ignore[dict-item]  # fmt: skip
        add_wearer(connection, Wearer("L", "Long"), activations=[Activation("=T9", "L", begin)],
                   zones={"type": "FeatureCollection", "features": [zone]})  # fmt: skip
        times = begin + np.arange(n) * 20 * SECOND_US
        FixStore(connection).write(fixes_of("=T9", times, lat, lon))
    page = visit("operator", "/wearers/L/trail?from=2026-02-20T00:00&to=2026-03-29T00:00&tz=UTC")
    page.fill("#reason", "Review")
    with page.expect_navigation():
        page.get_by_role("button", name="Open the locations").click()
    page.wait_for_selector("#trail-map[data-shown]")
    rule = page.locator("#trail-rule").inner_text()
    assert "of 100,000 fixes are drawn" in rule
    told = page.evaluate("async () => (await fetch(document.getElementById('trail-map').dataset.map)).json()")
    assert told["rule"] in rule
    assert (told["of"], told["drawn"] <= MOST_DRAWN) == (100_000, True)
    assert "steps of 23 min" in rule
    times_drawn = {one["properties"]["time"] for one in told["features"] if one["properties"]["role"] == "fix"}
    assert len(times_drawn) == told["drawn"]
    assert {to_iso(int(times[k])) for k in (0, 50_001, n - 1)} <= times_drawn
    page.wait_for_selector("#trail-map[data-ready]")
    page.get_by_label("Time", exact=True).fill("1000010")
    played = page.get_by_label("Playback").inner_text()
    assert "2026-03-10 " in played
    assert "no position" not in played  # it is thinned, not silent
    page.goto("/wearers/L/trail?from=2026-02-20T00:00&to=2026-03-29T00:00&tz=UTC&page=500")
    assert page.locator("#fixes").inner_text() == "Fixes 99,801 to 100,000 of 100,000"
    answer = page.request.get("/wearers/L/trail.csv?from=2026-02-20T00:00&to=2026-03-29T00:00&tz=UTC")
    rows = answer.text().splitlines()
    assert len(rows) == n + 1
    assert ",'=T9," in rows[-1]
