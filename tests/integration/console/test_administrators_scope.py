"""Administrators of one force: they see and change what concerns their own wearers, and learn nothing of the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.database import connect
from engine.times import DAY_US, system_clock
from geofence.store import remove_rows, versions
from tagwatch.access import accounts
from tests.integration.console.administrators_scene import NOW_US, curfew, draft_of, fields, known, stored, zone
from tests.integration.console.conftest import add_account

__all__ = ["known"]
SECRETS = ("V1", "Vic Tor", "Westshire", "west-home", "tag-V1", "T2")
KINDS = ("wearers", "teams", "activations", "zones", "curfews", "proximities")


@pytest.fixture
def east(known: str, signed_in: Any) -> Any:
    with connect(known) as connection:
        add_account(connection, "east", ["administrator"], "Eastshire")
        add_account(connection, "west", ["administrator"], "Westshire")
    return signed_in("east")


def test_nothing_of_another_force_is_on_any_page(known: str, east: Any) -> None:
    paths = ["/configuration", "/configuration/devices", "/users"]
    paths += [
        f"/configuration/{kind}{rest}" for kind in KINDS for rest in ("", "?ended=true", "/export", "/edit", "/import")
    ]
    paths += ["/configuration/zones/export?history=true", "/configuration/zones?q=V1", "/configuration/zones/entry?id=both"]
    for path in paths:
        answer = east.get(path)
        assert answer.status_code == 200, (path, answer.text)
        found = [word for word in SECRETS if word in answer.text.replace('value="V1"', "").replace("“V1”", "")]
        assert not found, (path, found)
    both = east.get("/configuration/zones/entry?id=both").text
    assert "W1, others of other forces" in both
    assert "/configuration/zones/edit?id=both" not in both
    assert "both" not in east.get("/configuration/zones/export").text


def test_what_is_of_another_force_is_as_if_it_were_not(known: str, east: Any) -> None:
    other = {
        "wearers": "V1",
        "teams": "T2",
        "activations": "tag-V1 2026-02-01T00:00:00.000Z",
        "zones": "west",
        "curfews": "west-home",
    }
    for kind, name in other.items():
        for rest in ("entry", "edit", "end", "map.json"):
            told = [east.get(f"/configuration/{kind}/{rest}", params={"id": one}) for one in (name, "nobody")]
            assert [answer.status_code for answer in told] == [403, 403], (kind, rest)
            assert told[0].text.replace(name, "?") == told[1].text.replace("nobody", "?")
        assert east.post(f"/configuration/{kind}/end", {"of": name, "reason": "x"}).status_code == 403
        assert east.post(f"/configuration/{kind}/edit", {"of": name, "action": "check"}).status_code in (403, 422)
    assert stored(known, "wearer").keys() == {"W1", "W2", "V1"}


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        ("zones?id=east", {"wearers": "W1 V1"}, "wearers of your own force"),
        ("zones?id=east", {"whom": "everybody"}, "only administrators for every force"),
        ("curfews?id=east-home", {"wearer": "V1"}, "wearers of your own force"),
        ("wearers?id=W2", {"force": "Westshire"}, "is not yours"),
        ("wearers?id=W2", {"force": ""}, "is not yours"),
    ],
)
def test_nobody_reaches_beyond_the_own_force(east: Any, known: str, kind: str, change: dict[str, str], told: str) -> None:
    plural, _, query = kind.partition("?")
    before = {name: stored(known, name) for name in ("zone", "curfew", "wearer")}
    form = fields(east.get(f"/configuration/{plural}/edit?{query}").text)
    answer = east.post(f"/configuration/{plural}/edit", {**form, **change})
    assert answer.status_code == 422
    assert told in answer.text
    assert before == {name: stored(known, name) for name in ("zone", "curfew", "wearer")}


def test_an_identifier_of_another_force_is_not_taken_over(east: Any, known: str) -> None:
    for kind, given in (
        ("curfews", {"id": "west-home", "wearer": "W1", "places.0.at": "53, -1", "places.0.radius_m": "50", "weekly.0.days": "mon",
                     "weekly.0.start": "19:00", "weekly.0.end": "20:00"}),
        ("wearers", {"wearer": "V1", "force": "Eastshire"}), ("teams", {"id": "T2", "members.0.name": "x",
         "members.0.role": "police_manager", "members.0.channels": "mqtt:x", "members.0.grades": "low"}),
    ):  # fmt: skip
        answer = east.post(f"/configuration/{kind}/edit", {**given, "action": "check"})
        assert answer.status_code == 422, answer.text
        assert "is taken" in answer.text
    files = {"file": ("c.json", json.dumps([curfew("west-home", "W1")]))}
    draft = draft_of(east.post("/configuration/curfews/import", files=files))
    assert east.post(f"{draft}/save").status_code == 422
    assert stored(known, "curfew")["west-home"]["wearer"] == "V1"


def test_a_device_on_somebody_else_is_told_without_the_name(east: Any, known: str) -> None:
    given = {"device": "tag-V1", "wearer": "W2", "from": "2026-02-20T00:00:00Z", "action": "check"}
    draft = draft_of(east.post("/configuration/activations/edit", given))
    answer = east.post(f"{draft}/save")
    assert answer.status_code == 422
    assert "is on somebody of another force and on W2" in answer.text
    assert "V1 at" not in answer.text


def test_imports_keep_to_the_force(east: Any, known: str) -> None:
    given = {"type": "FeatureCollection", "features": [zone("n1", ["W1"]), zone("n2", ["V1"]), zone("n3")]}
    answer = east.post("/configuration/zones/import", files={"file": ("z.json", json.dumps(given))})
    assert answer.status_code == 422
    assert "2 faults" in answer.text
    assert answer.text.count("is beyond what you may change") == 2
    text = "wearer,force,team\nW5,Eastshire,T2\n"
    draft = draft_of(east.post("/configuration/wearers/import", files={"file": ("w.csv", text)}))
    answer = east.post(f"{draft}/save")
    assert "is not one of your force" in answer.text
    assert "W5" not in stored(known, "wearer")


def test_a_draft_is_open_to_its_maker_alone(east: Any, known: str, signed_in: Any) -> None:
    form = fields(east.get("/configuration/wearers/edit?id=W2").text)
    draft = draft_of(east.post("/configuration/wearers/edit", {**form, "name": "New"}))
    other = signed_in("administrator")
    assert [other.get(draft).status_code, other.get(f"{draft}/map.json").status_code] == [403, 403]
    assert [other.post(f"{draft}/{act}", {"days": "7"}).status_code for act in ("save", "what-if")] == [403, 403]


def test_a_zone_that_is_the_place_of_anothers_curfew_is_not_changed(east: Any, known: str) -> None:
    from tagwatch.configuration import save

    with connect(known) as connection:
        save(connection, 0, curfews=[curfew("at-east", "V1", place={"zone": "east"})])
        connection.commit()
    assert east.get("/configuration/zones/edit?id=east").status_code == 403
    assert "At-east" not in east.get("/configuration/zones/entry?id=east").text


def test_what_another_force_ended_is_not_taken_over(east: Any, known: str) -> None:
    with connect(known) as connection:
        remove_rows(connection, "curfew", ["west-home"], NOW_US - DAY_US)
        connection.commit()
    given = {"id": "west-home", "wearer": "W1", "places.0.at": "53, -1", "places.0.radius_m": "50", "weekly.0.days": "mon",
             "weekly.0.start": "19:00", "weekly.0.end": "20:00", "holds": "beginning", "of": "west-home"}  # fmt: skip
    assert east.post("/configuration/curfews/edit", {**given, "action": "check"}).status_code == 403
    files = {"file": ("c.json", json.dumps([curfew("west-home", "W1")]))}
    draft = draft_of(east.post("/configuration/curfews/import", files=files))
    assert east.post(f"{draft}/save").status_code == 422
    with connect(known) as connection:
        assert len(versions(connection, "curfew")["west-home"]) == 2


def test_a_grant_lets_see_and_not_change(east: Any, known: str) -> None:
    now_us = system_clock()
    with connect(known) as connection:
        account = accounts.account_of(connection, "east")
        assert account is not None
        accounts.grant(connection, account.id, "Westshire", "cover", "x", now_us - 1, now_us + DAY_US)
        connection.commit()
    assert east.get("/configuration/curfews/entry?id=west-home").status_code == 200
    assert east.get("/configuration/curfews/edit?id=west-home").status_code == 403


def test_who_may_not_write_does_not(known: str, signed_in: Any) -> None:
    senior = signed_in("senior-operator")
    assert senior.get("/configuration/zones").status_code == 200
    assert "Import a file" not in senior.get("/configuration/zones").text
    for path in ("/configuration/zones/edit", "/configuration/zones/import", "/users", "/audit"):
        assert senior.get(path).status_code == 403
    assert senior.post("/configuration/zones/edit", {"action": "check"}).status_code == 403
    assert signed_in("administrator").get("/configuration/nonsense").status_code == 404
