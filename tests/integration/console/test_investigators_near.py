"""Who was near, as an investigator asks it in the console: the form, the answer, its files, and whom it leaves out."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from engine.database import connect
from tagwatch.access import audit
from tests.integration.console.conftest import Client, add_account
from tests.integration.console.investigators_scene import LAT, LON, NASTY, asked, settle

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]
SignIn = Callable[[str], Client]


@pytest.fixture(autouse=True)
def scene(url: str) -> None:
    """The burglary, an investigator of Kent (`kent`), one of Essex (`essex`)."""
    with connect(url) as connection:
        settle(connection)
        add_account(connection, "kent", ["investigator"], "Kent")
        add_account(connection, "essex", ["investigator"], "Essex")


def answer_of(client: Client, **changes: str) -> str:
    """The path of the answer to the form."""
    found = client.post("/near", asked(**changes))
    assert found.status_code == 303, re.findall(r'href="#\w+">([^<]+)', found.text)
    return str(found.headers["location"])


def verdicts(client: Client, path: str) -> dict[str, tuple[str, str | None]]:
    lines = client.get(f"{path}/file.jsonl").text.splitlines()
    return {row["wearer"]: (row["verdict"], row["support"]) for row in map(json.loads, lines)}


def test_everybody_stands_in_the_group_of_the_verdict_with_the_reason(signed_in: SignIn) -> None:
    client = signed_in("investigator")
    path = answer_of(client)
    text = client.get(path).text
    assert verdicts(client, path) == {
        "K1": ("placed", "strong"), "E1": ("placed", "strong"), "K2": ("possible", None), "K3": ("excluded", None),
        "K4": ("unmonitored", None),
    }  # fmt: skip
    for heading, n in (("Placed, strong", 2), ("Placed, weak", 0), ("Placed by telephone masts only", 0), ("Possible", 1),
                       ("Excluded", 1), ("Not monitored", 1)):  # fmt: skip
        assert re.search(rf"{heading} <span class=\"inv-n\">\({n}\)</span>", text), heading
    assert "more than the maximum of 55 m/s" in text
    assert "no fix in the window carries weight" in text
    assert "/wearers/K1/trail?from=2026-03-01T08%3A20%3A00.000Z&amp;to=2026-03-01T08%3A55%3A00.000Z" in text
    trail = client.get("/wearers/K1/trail?from=2026-03-01T08%3A20%3A00.000Z&to=2026-03-01T08%3A55%3A00.000Z")
    assert trail.headers["location"].startswith("/open?wearer=K1&next=")  # a reason is asked for once more


def test_only_wearers_of_the_own_force_are_shown_counted_and_written(signed_in: SignIn, url: str) -> None:
    client = signed_in("kent")
    path = answer_of(client)
    text = client.get(path).text + client.get(f"{path}/map.json").text + client.get(f"{path}/file.csv").text
    assert "E1" not in text
    assert 'Placed, strong <span class="inv-n">(1)</span>' in text
    assert "there may be others of other forces" in text
    essex = signed_in("essex")
    assert set(verdicts(essex, answer_of(essex))) == {"E1"}
    with connect(url) as connection:
        entry = audit.rows(connection, action="near asked", actor="kent")[0]
    assert json.loads(entry.detail)["counts"]["strong"] == 1
    assert (entry.actor, entry.reason, entry.case_ref) == ("kent", "Burglary", "26/4711")
    assert str(LAT)[:5] not in entry.detail


def test_what_a_force_is_told_of_its_own_is_what_anybody_is_told(signed_in: SignIn) -> None:
    every, own = signed_in("investigator"), signed_in("kent")
    lines = every.get(f"{answer_of(every)}/file.jsonl").text.splitlines()
    assert own.get(f"{answer_of(own)}/file.jsonl").text.splitlines() == [line for line in lines if '"wearer":"K' in line]


def test_an_answer_belongs_to_who_asked(signed_in: SignIn) -> None:
    path = answer_of(signed_in("investigator"))
    other = signed_in("kent")
    for way in (path, f"{path}/map.json", f"{path}/file.csv", f"{path}/file.jsonl"):
        there, nowhere = other.get(way), other.get(way.replace(path, "/near/AAAAAAAAAAAAAAAAAAAAAA"))
        assert (there.status_code, there.text) == (nowhere.status_code, nowhere.text) == (403, there.text)
    assert signed_in("operator").get("/near").status_code == 403


def test_the_files_hold_what_the_page_shows(signed_in: SignIn) -> None:
    client = signed_in("investigator")
    path = answer_of(client)
    rows = list(csv.DictReader(io.StringIO(client.get(f"{path}/file.csv").text)))
    assert [(row["wearer"], row["verdict"]) for row in rows] == [(w, v) for w, (v, _) in verdicts(client, path).items()]
    features = client.get(f"{path}/map.json").json()["features"]
    roles = [feature["properties"]["role"] for feature in features]
    assert roles[:2] == ["vicinity", "crime"]
    assert set(roles[2:]) == {"fix"}
    assert client.get(f"{path}/file.exe").status_code == 403


_FAULTS: tuple[tuple[dict[str, str], str, str], ...] = (
    ({"lat": "", "lon": ""}, "lat", "Say where"),
    ({"lat": "95"}, "lat", "up to 90"),
    ({"lat": "", "lon": "", "place": "QQ 12 12"}, "place", "no square QQ"),
    ({"place": "SK 97 71"}, "place", "Empty one of them"),
    ({"from": "29/03/2026 01:30"}, "from", "29/03/2026 00:30 GMT or 29/03/2026 02:30 BST"),
    ({"from": "25/10/2026 01:30"}, "from", "2026-10-25T01:30+01:00 (BST) or 2026-10-25T01:30+00:00 (GMT)"),
    ({"from": "soon"}, "from", "27/02/2026 19:30"),
    ({"from": "31/02/2026 10:00"}, "from", "no such day"),
    ({"to": "01/03/2026 08:00"}, "to", "ends before it begins"),
    ({"timezone": "Europe/Londres"}, "timezone", "IANA name"),
    ({"radius": "0"}, "radius", "from 1 to 100,000"),
    ({"radius": "nan"}, "radius", "from 1 to 100,000"),
    ({"pad": "-1"}, "pad", "from 0 to 1,440"),
    ({"min_fixes": "1.5"}, "min_fixes", "whole number"),
    ({"reason": " "}, "reason", "Say why"),
    ({"case_ref": ""}, "case_ref", "reference"),
    ({"reason": "x" * 1001}, "reason", "at most 1,000"),
)  # fmt: skip


def test_what_is_wrong_is_told_at_its_field_and_nothing_is_lost(signed_in: SignIn, url: str) -> None:
    client = signed_in("investigator")
    for changes, field, told in _FAULTS:
        given = asked(**{"reason": NASTY, **changes})
        found = client.post("/near", given)
        assert found.status_code == 422, changes
        assert f'<a href="#{field}">' in found.text, changes
        assert told in html.unescape(found.text)
        assert "<script>alert" not in found.text
        kept = dict(re.findall(r'<input class="govuk-input[^>]* name="(\w+)" value="([^"]*)"', found.text))
        assert {name: html.unescape(text) for name, text in kept.items()} == given
    with connect(url) as connection:
        assert audit.rows(connection, action="near asked") == []


def test_the_place_is_asked_about_as_it_is_written(signed_in: SignIn) -> None:
    client = signed_in("investigator")
    for place in ("TQ 7612 5547", "51°16'16.4\"N 0°31'24.4\"E", "51.27123 0.52345", "576122, 155477"):
        found = verdicts(client, answer_of(client, lat="", lon="", place=place))
        assert found["K1"] == ("placed", "strong"), place
        told = client.post("/near/place", {"text": place}).json()
        assert abs(told["lat"] - LAT) < 1e-4
        assert abs(told["lon"] - LON) < 1e-4
    assert client.post("/near/place", {"text": "QQ 12 12"}).status_code == 422


def test_a_window_on_the_clocks_of_another_zone(signed_in: SignIn) -> None:
    client = signed_in("investigator")
    changes = {"timezone": "America/New_York", "from": "01/03/2026 03:30", "to": "01/03/2026 03:45"}
    path = answer_of(client, **changes)
    assert verdicts(client, path)["K1"] == ("placed", "strong")
    assert "2026-03-01 08:30:00 UTC" in client.get(path).text
