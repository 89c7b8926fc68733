"""Match runs and evidence packs in the console: ordered, looked at, downloaded, verified, and closed to other forces."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from crime_match.crimes.store import File, import_crimes
from crime_match.evidence.signing.trial_key import make_trial_key, write_pem
from engine.database import connect
from tagwatch.access import audit
from tagwatch.console.office import Office
from tagwatch.settings import Settings
from tests.integration.console.conftest import Client, add_account
from tests.integration.console.investigators_scene import NASTY, TO_US, crime, settle
from tests.integration.console.test_investigators_crimes import plain

if TYPE_CHECKING:
    from pathlib import Path

SignIn = Callable[[str], Client]
ORDER = {
    "which": "needed", "radius": "100", "pad": "10", "max_speed": "55", "min_fixes": "1", "reason": "Burglaries",
    "list_placed": "yes", "list_possible": "yes", "list_excluded": "yes", "list_unmonitored": "yes",
}  # fmt: skip
R1 = "force=Kent&reference=R1"


@pytest.fixture(autouse=True)
def scene(url: str) -> None:
    """The crimes of Kent and Essex, and an investigator of each (`kent`, `essex`)."""
    with connect(url) as connection:
        settle(connection)
        add_account(connection, "kent", ["investigator"], "Kent")
        add_account(connection, "essex", ["investigator"], "Essex")


def done(client: Client, started: httpx.Response) -> dict[str, Any]:
    """A job's state once it is over."""
    assert started.status_code == 303, re.findall(r'href="#\w+">([^<]+)', started.text)
    while True:
        state: dict[str, Any] = client.get(f"{started.headers['location']}/state").json()
        if state["state"] in ("done", "failed"):
            return state
        time.sleep(0.05)


def match(client: Client, **changes: str) -> str:
    """The path of the run that this order made."""
    state = done(client, client.post("/matches/new", {**ORDER, **changes}))
    assert state["state"] == "done", state
    return str(state["result"])


def numbers(client: Client, path: str) -> dict[str, list[str]]:
    """By crime, the cells of counts on the page of a run."""
    rows = re.findall(r'<th scope="row".*?>(?:<a [^>]*>)?(\w+ \w+)<.*?</tr>', client.get(path).text, re.S)
    cells = [re.sub(r"<[^>]+>", "", row) for row in rows]
    table = client.get(path).text.split("<tbody")[1]
    return {
        name: [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*numeric[^>]*>(.*?)</td>", part)]
        for name, part in zip(cells, table.split("</tr>"), strict=False)
    }


def test_a_run_is_ordered_kept_and_told_crime_by_crime(signed_in: SignIn, url: str) -> None:
    client = signed_in("investigator")
    path = match(client)
    assert numbers(client, path) == {
        "Essex R1": ["0", "0", "0", "0", "4", "1"], "Kent R1": ["2", "0", "0", "1", "1", "1"],
        "Kent R2": ["0", "0", "0", "2", "2", "1"],
    }  # fmt: skip
    text = plain(client.get(f"{path}/crime?{R1}").text)
    assert "K1 Evidence pack about K1" in text
    assert "Routine: here in 0 of " in text
    assert "Chance: of all wearers" in text
    assert "more than the maximum of 55 m/s" in text
    roles = [f["properties"]["role"] for f in client.get(f"{path}/crime/map.json?{R1}").json()["features"]]
    assert roles[:2] == ["vicinity", "crime"]
    assert "fix" in roles
    assert path[9:21] in client.get("/matches").text
    with connect(url) as connection:
        told = [(row.action, row.subject, row.reason) for row in audit.rows(connection)][:4]
    assert told == [
        ("match opened", "R1", ""), ("match kept", path[9:], "Burglaries"), ("match run", "", "Burglaries"),
        ("sign in", "", ""),
    ]  # fmt: skip
    nothing = client.post("/matches/new", ORDER)
    assert nothing.status_code == 422
    assert "nothing to match" in nothing.text


def test_what_another_force_may_not_see_is_not_there(signed_in: SignIn) -> None:
    path = match(signed_in("investigator"))
    kent, essex = signed_in("kent"), signed_in("essex")
    assert numbers(kent, path) == {"Kent R1": ["1", "0", "0", "1", "1", "1"], "Kent R2": ["0", "0", "0", "1", "2", "1"]}
    seen = [
        kent.get(f"{path}{way}").text
        for way in ("", f"/crime?{R1}", f"/crime/map.json?{R1}", "/file.jsonl", "/file.csv", "/file.geojson")
    ]
    e1 = re.compile(r"(?<![\w+/=-])E1(?![\w+/=-])")  # not the two letters within a random token
    assert not [text for text in seen if e1.search(text) or "Essex" in text]
    assert '"counts":{' not in seen[3]
    others = [
        kent.get(f"{path}/crime?force=Essex&reference=R1"), kent.get(f"{path}/crime?force=Nowhere&reference=R1"),
        essex.get(f"{path}/crime?{R1}"), essex.get(f"{path}/crime/map.json?{R1}"),
    ]  # fmt: skip
    assert {answer.status_code for answer in others} == {403}
    assert others[0].text == others[1].text
    own = match(kent, which="one", force="Kent", reference="R2", radius="50")
    for way in ("", "/file.csv", "/series?told=x"):
        there, nowhere = essex.get(own + way), essex.get(f"/matches/{'0' * 64}{way}")
        assert (there.status_code, there.text) == (nowhere.status_code, nowhere.text)
        assert there.status_code == 403
    assert own not in essex.get("/matches").text
    assert essex.post(f"{own}/series").status_code == 403
    assert kent.post(f"{path}/series").status_code == 403  # it is about a crime of Essex too


def test_the_files_of_a_run(signed_in: SignIn) -> None:
    client = signed_in("investigator")
    path = match(client)
    lines = [json.loads(line) for line in client.get(f"{path}/file.jsonl").text.splitlines()]
    assert len(lines) == 15
    rows = list(csv.DictReader(io.StringIO(client.get(f"{path}/file.csv").text)))
    assert [(row["CRIME REF"], row["SUBJECT IDENTIFIER"], row["OFFENDER NAME"]) for row in rows] == [
        ("R1", "K1", "Wearer K1"), ("R1", "E1", "Wearer E1"),
    ]  # fmt: skip
    features = client.get(f"{path}/file.geojson").json()["features"]
    assert {feature["properties"]["crime"] for feature in features} == {"R1", "R2"}
    assert client.get(f"{path}/file.exe").status_code == 403


def test_verdicts_that_were_not_listed_are_counts_for_who_sees_everybody(signed_in: SignIn) -> None:
    client = signed_in("investigator")
    path = match(client, list_excluded="", list_unmonitored="", links="yes")
    path = path.partition("/series")[0]
    assert numbers(client, path)["Kent R1"] == ["2", "0", "0", "1", "1", "1"]
    assert numbers(signed_in("kent"), path)["Kent R1"] == ["1", "0", "0", "1", "–", "–"]
    assert client.get(f"{path}/file.jsonl").text.count('"counts":{') == 3


def test_a_changed_crime_makes_its_results_stale_and_is_matched_again(signed_in: SignIn, url: str) -> None:
    client = signed_in("investigator")
    path = match(client)
    with connect(url) as connection:
        import_crimes(connection, [replace(crime("R1", "x"), to_us=TO_US + 60_000_000)], File("b", "cd", "csv", 1), TO_US)
    assert "stale" in plain(client.get("/matches").text)
    assert "1 crime has changed since this run" in plain(client.get(path).text)
    assert "Stale: version 1 was matched, the latest is 2" in plain(client.get(f"{path}/crime?{R1}").text)
    again = match(client, which="stale")
    assert list(numbers(client, again)) == ["Kent R1"]


def test_series_rank_who_is_placed_at_several_crimes(signed_in: SignIn, url: str) -> None:
    with connect(url) as connection:
        near = replace(crime("R3", "the house opposite", lat=51.27123 + 0.0001), from_us=TO_US)
        import_crimes(connection, [near], File("b", "cd", "csv", 1), TO_US)
    client = signed_in("kent")
    path = match(client, which="window", **{"from": "01/03/2026", "to": "01/03/2026"})
    state = done(client, client.post(f"{path}/series"))
    assert state["state"] == "done", state
    text = plain(client.get(state["result"]).text)
    assert "no probability of guilt" in text
    assert "K1" in text
    assert "E1" not in text
    other = signed_in("investigator").get(state["result"])
    assert other.status_code == 403


_WRONG: tuple[tuple[dict[str, str], str], ...] = (
    ({"which": ""}, "which-needed"), ({"which": "batch", "batch": ""}, "batch"), ({"which": "one", "force": ""}, "force"),
    ({"which": "one", "force": "Kent", "reference": ""}, "reference"), ({"which": "window", "from": "x", "to": ""}, "from"),
    ({"radius": ""}, "radius"), ({"pad": "x"}, "pad"), ({"max_speed": "0"}, "max_speed"), ({"reason": ""}, "reason"),
    ({"min_fixes": "0"}, "min_fixes"),
    ({"list_placed": "", "list_possible": "", "list_excluded": "", "list_unmonitored": ""}, "list_placed"),
    ({"which": "one", "force": "Essex", "reference": "R1"}, "which-needed"),
)  # fmt: skip


def test_a_wrong_order_is_told_at_its_field(signed_in: SignIn) -> None:
    client = signed_in("kent")
    for changes, field in _WRONG:
        answer = client.post("/matches/new", {**ORDER, "case_ref": NASTY, **changes})
        assert answer.status_code == 422, changes
        assert f'<a href="#{field}">' in answer.text
        assert f'id="{field}"' in answer.text
        assert "<script>alert" not in answer.text


def test_a_pack_is_built_downloaded_and_verified(office: Office, tmp_path: Path, signed_in: SignIn, url: str) -> None:
    write_pem(tmp_path / "key.pem", make_trial_key("The force", "ed25519"))
    office.settings = Settings.model_validate({
        "evidence": {"key": str(tmp_path / "key.pem")}, "raw_log": {"folder": str(tmp_path / "none")},
    })  # fmt: skip
    client = signed_in("kent")
    run = match(client)
    order = {"force": "Kent", "reference": "R1", "wearer": "K1", "run": run[9:], "reason": "Charge"}
    started = client.post("/evidence", order)
    state = done(client, started)
    assert state["state"] == "done", state
    pack = client.get(state["result"])
    assert pack.content.startswith(b"PK")
    assert 'filename="evidence-R1-K1.zip"' in pack.headers["content-disposition"]
    other = signed_in("essex")
    there, nowhere = other.get(state["result"]), other.get("/jobs/nowhere/file")
    assert (there.status_code, there.text) == (nowhere.status_code, nowhere.text)
    found = plain(client.post("/evidence/verify", files={"file": ("pack.zip", pack.content)}).text)
    assert "pack.zip: verified" in found
    assert "placed computed anew from the pack's own fixes" in found
    broken = bytearray(pack.content)
    broken[len(broken) // 2] ^= 1
    assert "NOT VERIFIED" in client.post("/evidence/verify", files={"file": ("p.zip", bytes(broken))}).text
    with connect(url) as connection:
        told = [(row.action, row.subject, row.reason, row.case_ref) for row in audit.rows(connection, actor="kent")]
    assert ("evidence downloaded", "K1", "", "") in told
    assert ("evidence built", "K1", "Charge", "R1") in told
    assert [row for row in told if row[0] == "evidence verified"] == [("evidence verified", "", "", "")] * 2


def test_no_pack_about_what_may_not_be_seen(signed_in: SignIn) -> None:
    run = match(signed_in("investigator"))
    order = {"force": "Kent", "reference": "R1", "wearer": "K1", "run": run[9:], "reason": "Charge"}
    kent, essex = signed_in("kent"), signed_in("essex")
    for client, changes in (
        (kent, {"wearer": "E1"}), (kent, {"wearer": "nobody"}), (kent, {"force": "Essex"}), (essex, {}),
        (kent, {"run": "0" * 64}), (kent, {"reference": "R9"}), (kent, {"wearer": ""}), (kent, {"timezone": "Moon"}),
    ):  # fmt: skip
        answer = client.post("/evidence", {**order, **changes})
        assert answer.status_code == 422, changes
        assert "govuk-error-summary" in answer.text
    wrong = kent.post("/evidence/verify", files={"file": ("a.zip", b"no pack")})
    assert "NOT VERIFIED" in wrong.text
    assert kent.post("/evidence/verify").status_code == 422
    assert signed_in("operator").get("/evidence").status_code == 403
