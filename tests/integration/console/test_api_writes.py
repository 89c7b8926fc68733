"""What the API writes: batches of crimes, runs, evidence, the configuration; each as the pages do it, and in the audit log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from crime_match.evidence.verify import Verification
from engine.database import connect
from tagwatch.access import audit
from tagwatch.evidence import verify_pack
from tests.integration.console.api_scene import client_of, fill, make_token, zone
from tests.integration.console.test_api_contract import problem

CSV = {"content-type": "text/csv"}
BATCH = b"""force,reference,type,from,to,lat,lon,uncertainty_m,text
Kent,R7,Theft,2026-03-01T08:00:00Z,2026-03-01T08:30:00Z,51.2,0.5,0,bicycle
Kent,R8,Theft,2026-03-01T08:00:00Z,2026-03-01T07:30:00Z,51.2,0.5,0,ends before it begins
Essex,R9,Theft,2026-03-01T08:00:00Z,2026-03-01T08:30:00Z,51.2,0.5,0,of another force
"""


@pytest.fixture
def every(url: str, address: str) -> Iterator[httpx.Client]:
    """Somebody who may do and see everything, in a database with something of everything."""
    with connect(url) as connection:
        fill(connection)
    with client_of(address, make_token(url, "every")) as found:
        yield found


def done(client: httpx.Client, started: httpx.Response) -> dict[str, Any]:
    """How a job stands when it is over."""
    assert started.status_code == 202, started.text
    where = started.headers["location"].removeprefix("/api/v1/")
    for _ in range(600):
        told: dict[str, Any] = client.get(where).json()
        if told["state"] in ("done", "failed"):
            return told
        time.sleep(0.1)
    raise AssertionError("the job does not end")


def test_a_batch_is_looked_at_then_imported_and_its_faults_are_told(url: str, address: str, every: httpx.Client) -> None:
    with client_of(address, make_token(url, "kent")) as kent:
        looked = kent.post("crimes", params={"check": "true"}, content=BATCH, headers=CSV)
        told = looked.json()
        assert (looked.status_code, told["number"], told["n_new"], told["n_refused"]) == (200, None, 1, 2)
        assert [(fault["row"], fault["field"]) for fault in told["faults"]] == [(2, "to"), (3, "force")]
        assert kent.get("crimes/Kent/R7").status_code == 404
        made = kent.post("crimes", params={"name": "march.csv"}, content=BATCH, headers=CSV)
        assert (made.status_code, made.json()["n_new"], made.json()["n_faults"]) == (201, 1, 2)
        found = kent.get("crimes", params={"import": made.json()["number"]}).json()["items"]
        assert [(crime["reference"], crime["version"]) for crime in found] == [("R7", 1)]
        again = kent.post("crimes", content=BATCH.replace(b"bicycle", b"two bicycles"), headers=CSV).json()
        assert (again["n_new"], again["n_changed"]) == (0, 1)
        assert [one["changed"] for one in kent.get("crimes/Kent/R7").json()["versions"]] == [[], ["text"]]
        problem(kent.post("crimes", content=b"nothing of the kind", headers=CSV), 422)
        problem(kent.post("crimes", content=BATCH.splitlines(keepends=True)[0], headers=CSV), 422)
    assert every.get("crimes/Essex/R9").status_code == 404
    with connect(url) as connection:
        assert [row.subject for row in audit.rows(connection, actor="kent", action="crimes imported")]


def test_a_run_is_started_watched_read_and_packed(url: str, address: str, every: httpx.Client) -> None:
    asked = {"reference": "R1", "reason": "Burglary", "case_ref": "26/4711"}
    assert problem(every.post("runs", json={"reference": "R0", "reason": "x"}), 422)["field"] == "body"
    told = done(every, every.post("runs", json=asked))
    assert told["state"] == "done", told
    run = told["result"].removeprefix("/api/v1/")
    whole = every.get(run).json()
    assert {(crime["force"], crime["counts"]["strong"]) for crime in whole["crimes"]} >= {("Kent", 2)}
    lines = every.get(f"{run}/matches")
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert {line["wearer"] for line in _parsed(lines)} == {"K1", "K2", "K3", "K4", "E1"}
    assert every.head(f"{run}/matches").content == b""
    with client_of(address, make_token(url, "kent")) as kent:
        seen = _parsed(kent.get(f"{run}/matches"))
        assert {(line["force"], line["wearer"]) for line in seen} == {("Kent", f"K{k}") for k in (1, 2, 3, 4)}
        assert "Essex" not in kent.get(run).text
        assert kent.get(run).json()["crimes"][0]["counts"]["strong"] == 1
        problem(kent.get(told["id"].join(("jobs/", ""))), 404)
        about = {"force": "Kent", "reference": "R1", "reason": "Court"}
        problem(kent.post("evidence", json={**about, "wearer": "E1"}), 404)
        pack = done(kent, kent.post("evidence", json={**about, "wearer": "K1"}))
        assert (pack["state"], pack["text"][:16]) == ("done", "R1, K1: placed (")
        file = kent.get(pack["result"].removeprefix("/api/v1/"))
        assert file.headers["content-type"] == "application/zip"
        found: Verification = verify_pack(file.content)
        assert found.holds
    with client_of(address, make_token(url, "kent", ["own account", "alerts.read"])) as narrow:
        problem(narrow.get(pack["result"].removeprefix("/api/v1/")), 404)


def _parsed(answer: httpx.Response) -> list[dict[str, Any]]:
    import json

    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_entry_is_changed_upon_what_was_looked_at_and_ended_from_an_instant(url: str, every: httpx.Client) -> None:
    path = "configuration/zones/Z1"
    held = every.get(path)
    mark = held.headers["etag"]
    assert held.json()["content"] == zone("Z1", ["K1"])
    assert every.get(path, headers={"if-none-match": mark}).status_code == 304
    wider = zone("Z1", ["K1"])
    wider["properties"]["radius_m"] = 300
    problem(every.put(path, json=wider), 428)
    problem(every.put(path, json=wider, headers={"if-match": '"another"'}), 412)
    problem(every.put(path, json=wider, headers={"if-none-match": "*"}), 412)
    written = every.put(path, json=wider, params={"from": "2026-03-01T12:00:00Z"}, headers={"if-match": mark})
    assert (written.status_code, written.json()["changed"]) == (200, 1)
    problem(every.put(path, json=wider, headers={"if-match": mark}), 412)
    now = every.get(path)
    assert now.headers["etag"] == written.headers["etag"] != mark
    assert [one["from"] for one in now.json()["versions"]] == [None, "2026-03-01T12:00:00.000Z"]
    assert problem(every.put(path, json=zone("ZZ", ["K1"]), headers={"if-match": mark}), 422)["field"] == "identifier"
    wider["properties"]["radius_m"] = -1
    told = problem(every.put(path, json=wider, headers={"if-match": mark}), 422)
    assert told["field"] == "radius_m"
    assert "/tmp" not in told["detail"]
    known = {"if-match": now.headers["etag"]}
    assert problem(every.delete(path, headers=known), 422)["field"] == "X-Reason"
    ended = every.delete(path, params={"from": "2026-03-02T00:00:00Z"}, headers={**known, "x-reason": "order lifted"})
    assert (ended.status_code, ended.json()["removed"]) == (200, 1)
    problem(every.get(path), 404)
    with connect(url) as connection:
        actions = [row.action for row in audit.rows(connection, actor="every", subject="Z1")]
    assert [action for action in actions if action.startswith("zones")] == ["zones removed", "zones changed"]


def test_entries_of_every_kind_are_added(every: httpx.Client) -> None:
    new = {"if-none-match": "*"}
    places = {"lat": 51.27, "lon": 0.52, "radius_m": 50}
    weekly = [{"days": ["mon"], "start": "19:00", "end": "07:00"}]
    for path, content in [
        ("wearers/K9", {"wearer": "K9", "name": "Nine", "force": "Kent", "cohort": "flex"}),
        ("activations/T-K9 2026-03-01T00:00:00.000Z", {"device": "T-K9", "wearer": "K9", "from": "2026-03-01T00:00:00Z", "to": ""}),
        ("teams/NEW", {"id": "NEW", "members": [{"name": "N", "role": "support_officer", "channels": ["mailto:n@example.org"]}]}),
        ("curfews/C9", {"id": "C9", "wearer": "K9", "place": places, "timezone": "Europe/London", "weekly": weekly}),
        ("zones/Z9", zone("Z9", ["K9"])),
        ("proximities/P9", {"id": "P9", "wearer": "K9", "protected": "K4", "radius_m": 300}),
    ]:  # fmt: skip
        made = every.put(f"configuration/{path}", json=content, headers=new)
        assert (made.status_code, made.json().get("new")) == (201, 1), made.text
        assert every.get(f"configuration/{path}").headers["etag"] == made.headers["etag"]
    since = {"from": "2026-03-01T12:00:00Z"}
    assert (
        problem(every.put("configuration/wearers/K8", params=since, json={"wearer": "K8"}, headers=new), 422)["field"]
        == "from"
    )
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    nested = zone("Z8", ["K1"]) | {"geometry": {"type": "Polygon", "coordinates": deep}}
    assert problem(every.put("configuration/zones/Z8", json=nested, headers=new), 422)["field"] == "body"
    told = problem(every.put("configuration/wearers/K8", json={"wearer": "K8", "cohort": "best"}, headers=new), 422)
    assert (told["field"], told["value"]) == ("cohort", "best")
