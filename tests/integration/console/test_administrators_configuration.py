"""Administrators: entries of every kind are added, changed, ended, imported and exported; nothing typed is lost."""

from __future__ import annotations

import json
import re
import tempfile
from typing import Any

import pytest

from engine.database import connect
from engine.times import parse_time
from geofence.store import versions
from tagwatch.access import audit
from tagwatch.configuration import load, save
from tagwatch.console.office import Office
from tests.integration.console.administrators_scene import (
    FITTED_US,
    NOW_US,
    Visit,
    check_and_save,
    curfew,
    draft_of,
    fields,
    fill,
    known,
    stored,
    visit,
    zone,
)
from tests.integration.console.conftest import follow
from tests.integration.console.test_map_page import draw_frame

__all__ = ["known", "visit"]


def test_a_curfew_is_added_after_mistakes(known: str, visit: Visit) -> None:
    page = visit("administrator", "/configuration/curfews/edit")
    fill(
        page,
        id="home",
        wearer="W9",
        **{"places.0.at": "53.2, west", "places.0.radius_m": "wide", "weekly.0.start": "25:00"},
    )
    page.check("text=Sat")
    follow(page, "button:has-text('Check') >> nth=-1")
    page.wait_for_selector(".govuk-error-summary li")
    told = page.locator(".govuk-error-summary li").all_inner_texts()
    assert any(line.startswith("Radius “wide” is not a number") for line in told)
    assert any("Place “53.2, west” is not right: expected latitude and longitude" in line for line in told)
    assert page.input_value('[id="places.0.at"]') == "53.2, west"
    page.click(".govuk-error-summary a >> nth=0")
    assert page.evaluate("document.activeElement.id").startswith("places.0.")
    fill(page, **{"places.0.at": "SK 9751 7180", "places.0.radius_m": "50", "weekly.0.end": "7"})
    follow(page, "button:has-text('Check') >> nth=-1")
    assert "From “25:00” is not right: expected a time of day" in page.inner_text(".govuk-error-summary")
    fill(page, wearer="W2", **{"weekly.0.start": "22:30"})
    follow(page, "text=Add an exception")
    assert page.is_checked('[id="weekly.0.days-sat"]')
    fill(
        page,
        **{"exceptions.0.from": "2026-03-28 23:00", "exceptions.0.to": "2026-03-28 23:45", "exceptions.0.reason": "Court"},
    )
    fill(page, reason="Order of 27 February")
    follow(page, "button:has-text('Check') >> nth=-1")
    page.wait_for_selector("h1:has-text('Check: Add curfew home')")
    assert stored(known, "curfew").keys() == {"east-home", "west-home"}
    page.goto(page.url.split("#")[0] + "?week=2026-03-23")
    assert "23 hours: the clocks go forward" in page.inner_text(".adm-weeks")
    follow(page, "text=Go back and change")
    assert page.input_value('[id="places.0.at"]') == "SK 9751 7180"
    check_and_save(page)
    row = stored(known, "curfew")["home"]
    assert (row["wearer"], row["weekly"]) == ("W2", [{"days": ["sat"], "start": "22:30", "end": "07:00"}])
    assert abs(row["place"]["lat"] - 53.2342) < 1e-3
    with connect(known) as connection:
        entry = audit.rows(connection, action="curfews changed")[0]
        held = versions(connection, "curfew")["home"]
    assert (entry.actor, entry.subject, entry.reason) == ("administrator", "home", "Order of 27 February")
    assert "lat" not in entry.detail
    assert [h.from_us for h in held] == [NOW_US]


def test_a_zone_is_drawn_on_the_map(known: str, visit: Visit) -> None:
    page = visit("administrator", "/configuration/zones/edit?id=east")
    page.wait_for_selector("#zone-map[data-ready]", state="attached")
    page.wait_for_function("document.getElementById('drawn').value.includes('radius_m')")
    page.click("text=Draw a polygon")
    box = page.locator("#zone-map-view").bounding_box()
    assert box is not None
    corners = [(0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7)]
    for x, y in (*corners, corners[0]):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        draw_frame(page)
    page.wait_for_function("document.getElementById('corners').value !== ''")
    assert page.is_checked('[value="polygon"]')
    assert len(page.input_value("#corners").splitlines()) == 4
    check_and_save(page)
    assert stored(known, "zone")["east"]["geometry"]["type"] == "Polygon"


def test_names_are_texts_and_never_script(known: str, visit: Visit) -> None:
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    page = visit("administrator", "/configuration/zones/edit")
    fill(page, id='z"><b>1', name=evil, centre="53.23, -0.54", radius_m="100", wearers="W1")
    follow(page, "button:has-text('Check') >> nth=-1")
    page.wait_for_selector("#draft-map[data-shown='1']")
    assert evil in page.inner_text("table")
    follow(page, "button:has-text('Save')")
    follow(page, "main li a >> nth=0")
    page.wait_for_selector("#entry-map[data-shown='1']")
    assert page.inner_text("h1") == 'Zone z"><b>1'
    page.goto("/configuration/zones?q=z")
    assert page.locator("main img, main b, main script").count() == 0


def test_a_device_is_on_one_wearer_at_a_time(known: str, visit: Visit) -> None:
    page = visit("administrator", "/configuration/activations/edit")
    fill(page, device="tag-W1", wearer="W2")
    fill(page, **{"from": "2026-03-01 09:00"})
    follow(page, "button:has-text('Check') >> nth=-1")
    told = page.inner_text(".govuk-error-summary")
    assert "device tag-W1 is on W1 and on W2 at 2026-03-01T09:00:00.000Z" in told
    follow(page, "text=Go back and change")
    assert page.input_value("#device") == "tag-W1"
    page.goto("/configuration/activations?q=tag-W1")
    follow(page, "text=Change >> nth=-1")
    fill(page, to="2026-03-01 08:30", reason="Strap cut")
    check_and_save(page)
    page.goto("/configuration/devices?q=tag-W1")
    assert "nobody" in page.inner_text("tbody")
    row = stored(known, "activation")["tag-W1 2026-02-01T00:00:00.000Z"]
    assert row["to_us"] == "2026-03-01T08:30:00.000Z"


def test_two_administrators_do_not_overwrite_each_other(known: str, signed_in: Any) -> None:
    one, other = signed_in("administrator"), signed_in("administrator")
    forms = [fields(client.get("/configuration/wearers/edit?id=W2").text) for client in (one, other)]
    drafts = [draft_of(client.post("/configuration/wearers/edit", {**form, "name": name}))
              for client, form, name in zip((one, other), forms, ("First", "Second"), strict=True)]  # fmt: skip
    assert "Saved" in one.post(f"{drafts[0]}/save").text
    answer = other.post(f"{drafts[1]}/save")
    assert answer.status_code == 409
    assert "changed by somebody else since you opened it: W2" in answer.text
    assert stored(known, "wearer")["W2"]["name"] == "First"
    seen = re.search(r'name="seen" value="(\w+)"', answer.text)
    assert seen is not None
    assert "Saved" in other.post(f"{drafts[1]}/save", {"over": "yes", "seen": seen[1]}).text
    assert stored(known, "wearer")["W2"]["name"] == "Second"


def test_the_same_form_again_changes_nothing(known: str, signed_in: Any) -> None:
    client = signed_in("administrator")
    for kind, name in (("wearers", "W1"), ("teams", "T1"), ("zones", "both"), ("curfews", "east-home")):
        form = fields(client.get(f"/configuration/{kind}/edit?id={name}").text)
        answer = client.post(f"/configuration/{kind}/edit", form)
        assert answer.status_code == 303, answer.text
        draft = client.get(answer.headers["location"]).text
        expected = "as before" if kind != "teams" else "changed"  # grades are then told one by one
        assert expected in re.sub("<[^>]+>", "", draft.split("adm-counts", 1)[1])[:40], kind


def test_a_file_with_faults_is_told_row_by_row(known: str, signed_in: Any) -> None:
    client = signed_in("administrator")
    text = "wearer,cohort,basis\nW1,fixed,bail\nW2,often,bail\n ,fixed,\nW3,fixed,whim\n"
    answer = client.post("/configuration/wearers/import", files={"file": ("w.csv", text)})
    assert answer.status_code == 422
    assert "3 faults in w.csv" in answer.text
    rows = [re.sub("<[^>]+>", "|", row) for row in answer.text.split("<tr")[2:]]
    assert "|often|" in rows[0]
    assert "one of fixed, flex, free, or empty" in rows[0]
    bad = {"type": "FeatureCollection", "features": [zone("a", kind="none"), zone("b"), zone("c", radius_m=0)]}
    answer = client.post("/configuration/zones/import", files={"file": ("z.json", json.dumps(bad))})
    assert "2 faults in z.json" in answer.text
    assert tempfile.gettempdir() not in answer.text
    for content in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[1]"):
        answer = client.post("/configuration/curfews/import", files={"file": ("c.json", content)})
        assert answer.status_code == 422, content
    assert client.post("/configuration/curfews/import").status_code == 422


def test_a_file_is_imported_and_comes_back_as_it_was(known: str, visit: Visit, tmp_path: Any) -> None:
    given = {
        "type": "FeatureCollection",
        "features": [zone("all"), zone("east", ["W1"], radius_m=200), zone("new", ["W2"])],
    }
    (tmp_path / "zones.geojson").write_text(json.dumps(given))
    page = visit("administrator", "/configuration/zones/import")
    page.set_input_files("#file", tmp_path / "zones.geojson")
    follow(page, "text=Check the file")
    assert page.inner_text(".adm-counts").startswith("1 new, 1 changed, 1 as before")
    follow(page, "button:has-text('Save')")
    page.wait_for_selector("h1:has-text('Saved')")
    page.goto("/configuration/zones")
    with page.expect_download() as download:
        page.click("text=Export as file")
    page.goto("/configuration/zones/import")
    page.set_input_files("#file", download.value.path())
    follow(page, "text=Check the file")
    assert page.inner_text(".adm-counts").startswith("5 as before")


@pytest.mark.parametrize("kind", ["wearers", "activations", "teams", "curfews"])
def test_what_is_exported_is_the_same_when_it_is_imported(known: str, signed_in: Any, kind: str) -> None:
    client = signed_in("administrator")
    files = {"file": (kind, client.get(f"/configuration/{kind}/export").content)}
    draft = client.get(draft_of(client.post(f"/configuration/{kind}/import", files=files))).text
    told = re.sub("<[^>]+>", "", draft.split("adm-counts", 1)[1])[:60]
    assert re.search(r">\d as before", told), told


def test_what_is_ended_holds_until_then(known: str, visit: Visit, office: Office) -> None:
    page = visit("administrator", "/configuration/curfews/entry?id=east-home")
    follow(page, "a:has-text('End')")
    page.check("text=From a day and time on")
    follow(page, "text=Check")
    assert page.locator(".govuk-error-summary li").count() == 2
    fill(page, holds_at="2026-03-29 19:00", reason="Order ended")
    follow(page, "text=Check")
    follow(page, "button:has-text('Save')")
    page.wait_for_selector("h1:has-text('Saved')")
    with connect(known) as connection:
        held = versions(connection, "curfew")["east-home"]
        load(connection, office.settings.filter_settings, office.settings.default_plan)
    assert [(h.from_us, h.content is None) for h in held][1:] == [(parse_time("2026-03-29T18:00:00Z"), True)]


def test_a_zone_that_is_a_place_is_not_ended(known: str, signed_in: Any) -> None:
    with connect(known) as connection:
        save(connection, FITTED_US, curfews=[curfew("at-zone", place={"zone": "east"})])
        connection.commit()
    client = signed_in("administrator")
    form = fields(client.get("/configuration/zones/end?id=east").text)
    draft = draft_of(client.post("/configuration/zones/end", {**form, "reason": "x"}))
    assert "a zone that no curfew names as its place" in client.get(draft).text
    answer = client.post(f"{draft}/save")
    assert answer.status_code == 422
    assert "east" in stored(known, "zone")
    with connect(known) as connection:
        assert audit.rows(connection, action="zones removed") == []


def test_a_proximity_and_a_team_are_added(known: str, visit: Visit) -> None:
    page = visit("administrator", "/configuration/proximities/edit")
    fill(page, id="p1", wearer="W1", protected="W1", radius_m="300")
    follow(page, "button:has-text('Check') >> nth=-1")
    assert "Protected person “W1” is not right: expected somebody else" in page.inner_text(".govuk-error-summary")
    fill(page, protected="W2")
    check_and_save(page)
    assert stored(known, "proximity")["p1"]["radius_m"] == 300
    page.goto("/configuration/teams/edit")
    fill(page, id="T9", **{"members.0.name": "Ann", "members.0.channels": "ann@", "members.0.hours": "Mo-Fr 08:00-18:00"})
    follow(page, "button:has-text('Check') >> nth=-1")
    assert "Channels “ann@” are not right: expected mailto:name@host or mqtt:topic" in page.inner_text(
        ".govuk-error-summary"
    )
    fill(page, **{"members.0.channels": "mailto:ann@a.example"})
    follow(page, "text=Add a member")
    fill(page, **{"members.1.name": "Bob", "members.1.channels": "mqtt:bob"})
    follow(page, "text=Remove member 1")
    assert page.input_value('[id="members.0.name"]') == "Bob"
    check_and_save(page)
    assert [m["name"] for m in stored(known, "team")["T9"]["members"]] == ["Bob"]
