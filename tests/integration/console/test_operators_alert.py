"""The page of an alert, what is done on it, shift handover, and the supervisor's pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from alerts.handling import Action, Limits
from alerts.handling_store import act
from engine.database import Connection, connect
from engine.times import HOUR_US, MINUTE_US, to_datetime
from engine.wearers import Wearer
from tagwatch import configuration
from tagwatch.console.managers.standings import conditions_of
from tagwatch.console.office import Office
from tagwatch.console.operators.presence import read_day
from tests.integration.console.conftest import NOW_US, add_account, follow
from tests.integration.console.managers_town import NOW_US as TOWN_US
from tests.integration.console.managers_town import conditions
from tests.integration.console.operators_scene import Desk, alert, settle_town
from tests.integration.console.test_operators_queue import faults_of_axe

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES = ("zone.exclusion", "curfew.left", "tag.strap", "tag.no_contact")


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with connect(url) as found:
        yield found


@pytest.fixture
def desk(connection: Connection) -> Desk:
    return Desk(connection)


@pytest.fixture
def town(office: Office, connection: Connection) -> list[str]:
    """A simulated town whose clock the office has."""
    office.clock = lambda: TOWN_US
    return settle_town(connection)


def of_rule(connection: Connection, rule: str) -> tuple[str, str]:
    row = connection.execute("SELECT id, wearer FROM alert WHERE rule = %s ORDER BY began LIMIT 1", [rule]).fetchone()
    connection.rollback()
    assert row is not None, f"the town has no {rule}"
    return row[0], row[1]


def done(connection: Connection) -> list[tuple[Any, ...]]:
    found = connection.execute(
        "SELECT alert_id, kind, actor, role, note FROM handling_action ORDER BY at, number"
    ).fetchall()
    connection.rollback()
    return found


def test_an_alert_explains_itself(visit: Callable[..., Page], town: list[str], connection: Connection) -> None:
    name, wearer = of_rule(connection, "curfew.absent")
    page = visit("operator", f"/alerts/{name}")
    text = page.inner_text("main")
    for words in ("Absent for the whole curfew", wearer, "Out for the whole curfew of Fri 27 Mar", "Threshold, and the margin over it",
                  "Without its strongest fix", "Version of the zone or curfew", "tagwatch-3", "Call the wearer and the curfew address",
                  "Version 1: raised", "Friday 27 March 2026", "(Europe/London)"):  # fmt: skip
        assert words in text
    lanes = page.eval_on_selector_all(".tw-day__name", "names => names.map(name => name.textContent)")
    assert lanes[:2] == ["This alert", "Curfew: curfew-0001"]
    states = page.eval_on_selector_all(".tw-day__state title", "all => all.map(one => one.textContent)")
    assert any("Curfew: curfew-0001: out" in state for state in states)
    page.click("text=The day as a table")
    rows = page.locator("details[open] tbody tr")
    assert rows.count() > len(lanes)
    page.wait_for_selector("#alert-map[data-shown] canvas")
    follow(page, "text=Day after")
    assert "Saturday 28 March 2026" in page.inner_text("#t-day")
    follow(page, "text=Day before")
    assert "Friday 27 March 2026" in page.inner_text("#t-day")
    audited = connection.execute(
        "SELECT DISTINCT action, subject, actor FROM audit_entry WHERE action LIKE 'alert %' ORDER BY 1"
    ).fetchall()
    assert audited == [("alert mapped", wearer, "operator"), ("alert opened", wearer, "operator")]


def test_the_day_covers_every_moment_of_it(town: list[str], connection: Connection) -> None:
    """Each lane is in, out or unknown from midnight to midnight, without a hole and without an overlap."""
    wearers = [row[0] for row in connection.execute("SELECT DISTINCT wearer FROM alert ORDER BY 1")]
    all_conditions = conditions(connection)
    n_lanes = 0
    for wearer in wearers:
        for days in (0, 1, 3):  # the last but one is the day on which the clocks go forward
            at_us = TOWN_US - days * 24 * HOUR_US
            day = read_day(connection, conditions_of(all_conditions, wearer), wearer, at_us, TOWN_US, "Europe/London")
            assert day.end_us - day.start_us == (23 if days == 1 else 24) * HOUR_US
            for lane in day.lanes:
                n_lanes += 1
                edges = [day.start_us, *(each.end_us for each in lane.stretches)]
                assert [each.start_us for each in lane.stretches] == edges[:-1]
                assert edges[-1] == min(day.end_us, TOWN_US)
                assert {each.state for each in lane.stretches} <= {"in", "out", "unknown", "single"}
    assert n_lanes > 20


def test_the_map_has_zone_home_way_and_fixes(
    signed_in: Callable[[str], Any], town: list[str], connection: Connection
) -> None:
    name, _ = of_rule(connection, "curfew.absent")
    answer = signed_in("operator").get(f"/alerts/{name}/map.json")
    assert answer.headers["content-type"] == "application/geo+json"
    features = answer.json()["features"]
    roles = {one["properties"]["role"] for one in features}
    assert {"home", "way", "fix"} <= roles
    numbered = [one for one in features if one["properties"].get("grade")]
    assert [one["properties"]["label"] for one in numbered[:2]] == ["1", "2"]
    assert all(one["properties"]["accuracy_m"] > 0 for one in numbered)


def test_every_action_is_a_form(signed_in: Callable[[str], Any], desk: Desk, connection: Connection) -> None:
    desk.raise_all([alert("W01")], NOW_US)
    client = signed_in("senior-operator")
    for kind, fields in (
        ("acknowledge", {"note": "mine"}), ("note", {"note": "rang twice"}), ("contact", {"whom": "wearer", "channel": "phone", "said": "on the bus"}),
        ("assign", {"whom": "ben"}), ("escalate", {"whom": "senior operator"}), ("shelve", {"minutes": "30", "reason": "hospital"}),
        ("unshelve", {"reason": "back"}), ("close", {"outcome": "authorised"}), ("reopen", {"reason": "wrong person"}),
    ):  # fmt: skip
        page = client.get("/alerts/A00001").text
        assert f'action="/alerts/A00001/{kind}"' in page
        upon = page.partition('name="upon" value="')[2].partition('"')[0]
        answer = client.post(f"/alerts/A00001/{kind}", {"upon": upon, **fields})
        assert (answer.status_code, answer.headers.get("location")) == (303, "/alerts/A00001"), answer.text
    assert [row[1] for row in done(connection)] == [
        "acknowledge", "note", "contact", "assign", "escalate", "shelve", "unshelve", "close", "reopen",
    ]  # fmt: skip
    assert {row[2:4] for row in done(connection)} == {("senior-operator", "senior operator")}
    page = client.get("/alerts/A00001").text
    for words in ("rang twice", "with wearer by phone: on the bus", "hospital", "authorised", "wrong person"):
        assert words in page


def test_who_was_slower_loses_nothing(signed_in: Callable[[str], Any], desk: Desk, connection: Connection) -> None:
    desk.raise_all([alert("W01")], NOW_US)
    client = signed_in("operator")
    act(
        connection,
        "A00001",
        Action(kind="note", actor="ben", role="operator", at_us=NOW_US, note="He called back"),
        Limits(),
    )
    connection.commit()
    desk.amend("A00001", alert("W01", condition="cleared", ended_us=NOW_US), NOW_US, "cleared")
    typed = {"upon": "1.0", "outcome": "welfare", "note": "Ambulance <b>there</b>"}
    answer = client.post("/alerts/A00001/close", typed)
    assert answer.status_code == 409
    for words in ("Somebody was faster", "He called back", "Version 2: cleared",
                  "Ambulance &lt;b&gt;there&lt;/b&gt;", '<option value="welfare" selected>', 'name="upon" value="2.1"'):  # fmt: skip
        assert words in answer.text
    assert [row[1] for row in done(connection)] == ["note"]
    assert client.post("/alerts/A00001/close", {**typed, "upon": "2.1"}).status_code == 303
    answer = client.post("/alerts/A00001/acknowledge", {"upon": "2.1"}, headers={"accept": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")


@pytest.mark.parametrize(
    ("kind", "typed", "words"),
    [
        ("close", {"note": "kept"}, "outcome"), ("shelve", {"minutes": "soon", "reason": "kept"}, "no number of minutes"),
        ("shelve", {"minutes": "6000", "reason": "kept"}, "expected at most 480"), ("shelve", {"minutes": "5"}, "without reason"),
        ("shelve", {"minutes": "nan", "reason": "kept"}, "no number of minutes"), ("note", {"note": " "}, "without note"),
        ("note", {"note": "kept" * 1001}, "expected at most 4000"), ("escalate", {"whom": "", "reason": "kept"}, "without whom"),
        ("unshelve", {"reason": "kept"}, "it is new"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_and_kept(
    signed_in: Callable[[str], Any], desk: Desk, connection: Connection, kind: str, typed: dict[str, str], words: str
) -> None:
    desk.raise_all([alert("W01")], NOW_US)
    answer = signed_in("senior-operator").post(f"/alerts/A00001/{kind}", {"upon": "1.0", **typed})
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert words in answer.text
    if kind != "unshelve" and "kept" in "".join(typed.values()):
        assert "kept" in answer.text
    assert done(connection) == []


def test_each_role_may_do_its_part(signed_in: Callable[[str], Any], desk: Desk, connection: Connection) -> None:
    configuration.save(connection, NOW_US, wearers=[Wearer("W01", team="north"), Wearer("W02", team="south")], teams=[
        {"id": "north", "members": [{"name": "Kim", "role": "police offender manager", "channels": []}]}])  # fmt: skip
    add_account(connection, "kim", ["offender manager"], member="Kim")
    connection.commit()
    desk.raise_all([alert("W01"), alert("W02")], NOW_US)
    kim, operator = signed_in("kim"), signed_in("operator")
    assert "A00001" in kim.get("/queue").text
    assert "A00002" not in kim.get("/queue").text
    assert kim.post("/alerts/A00001/note", {"note": "On holiday until Friday"}).status_code == 303
    assert kim.post("/alerts/A00001/contact", {"whom": "W01", "channel": "phone", "said": "yes"}).status_code == 303
    assert kim.post("/alerts/A00002/note", {"note": "x"}).status_code == 403
    for kind in ("acknowledge", "escalate", "close", "shelve", "assign", "reopen", "unshelve"):
        assert kim.post(f"/alerts/A00001/{kind}").status_code == 403
        assert f'action="/alerts/A00001/{kind}"' not in kim.get("/alerts/A00001").text
    assert operator.post("/alerts/A00001/shelve", {"minutes": "5", "reason": "x"}).status_code == 403
    assert 'action="/alerts/A00001/shelve"' not in operator.get("/alerts/A00001").text
    for path in ("/figures", "/figures/dead-letters", "/ingest"):
        assert operator.get(path).status_code == 403
        assert signed_in("administrator").get(path).status_code == 200
    assert [row[1:4] for row in done(connection)] == [
        ("note", "kim", "offender manager"),
        ("contact", "kim", "offender manager"),
    ]


def test_the_page_says_when_the_alert_changes(visit: Callable[..., Page], desk: Desk) -> None:
    desk.raise_all([alert("W01")], NOW_US)
    page = visit("operator", "/alerts/A00001")
    page.click("text=Add a note")
    page.fill("#f-note", "half typed")
    desk.amend("A00001", alert("W01", condition="cleared", ended_us=NOW_US), NOW_US, "cleared")
    page.wait_for_selector("#changed:visible")
    assert page.input_value("#f-note") == "half typed"


def test_the_shift_is_handed_over(signed_in: Callable[[str], Any], desk: Desk, connection: Connection) -> None:
    names = desk.raise_all([alert(f"W0{k}", rule) for k, rule in enumerate(RULES)], NOW_US - 2 * HOUR_US)
    desk.raise_all([alert("W-OLD", "curfew.late")], NOW_US - 30 * HOUR_US)
    for k, (kind, more) in enumerate((
        ("acknowledge", {"note": "on it"}), ("shelve", {"reason": "in hospital", "until_us": NOW_US + HOUR_US}),
        ("close", {"outcome": "equipment", "note": "strap changed"}), ("note", {"note": "mother rang"}),
    )):  # fmt: skip
        action = Action(kind=kind, actor="ann", role="senior operator", at_us=NOW_US - k * MINUTE_US, **more)  # type: ignore[arg-type]
        act(connection, names[k], action, Limits())
    connection.commit()
    client = signed_in("operator")
    page = client.get("/handover?hours=8").text
    for words in ("<strong>4</strong> raised", "<strong>1</strong> times closed", "1 equipment", "<strong>ann</strong>: 1", "in hospital",
                  "2026-03-01 11:00:00 UTC", "strap changed", "mother rang", "W-OLD"):  # fmt: skip
        assert words in page
    assert "<strong>0</strong> times closed" not in page
    assert "<strong>4</strong> raised" in client.get("/handover?hours=99999999").text
    assert "<strong>0</strong> raised" in client.get("/handover?hours=-1").text
    assert client.get("/handover?hours=many").status_code == 422


def test_dead_letters_are_sent_again(signed_in: Callable[[str], Any], desk: Desk, connection: Connection) -> None:
    names = desk.raise_all([alert("W01"), alert("W02"), alert("W03")], NOW_US)
    configuration.save(connection, NOW_US, wearers=[Wearer("W01", force="Eastshire"), Wearer("W02", force="Northshire")])
    add_account(connection, "north", ["senior operator"], "Northshire")
    for name in names:
        connection.execute("INSERT INTO outbox (alert_id, version, channel, next_at, status, attempts, error)"
                           " VALUES (%s, 1, 'webhook', now(), 'dead', 9, '503')", [name])  # fmt: skip
    connection.commit()
    numbers = [row[0] for row in connection.execute("SELECT id FROM outbox WHERE channel = 'webhook' ORDER BY id")]
    connection.rollback()

    def states() -> list[str]:
        found = [row[0] for row in connection.execute("SELECT status FROM outbox WHERE channel = 'webhook' ORDER BY id")]
        connection.rollback()
        return found

    north, senior = signed_in("north"), signed_in("senior-operator")
    assert "A00002" in north.get("/figures/dead-letters").text
    assert "A00001" not in north.get("/figures/dead-letters").text
    assert north.post("/figures/dead-letters", {"number": numbers[0]}).status_code == 422
    assert senior.post("/figures/dead-letters").status_code == 422
    assert senior.post("/figures/dead-letters", {"number": "x"}).status_code == 422
    assert states() == ["dead"] * 3
    assert north.post("/figures/dead-letters", {"every": "yes"}).status_code == 303
    assert states() == ["dead", "pending", "dead"]
    assert senior.post("/figures/dead-letters", {"number": numbers[0]}).headers["location"].endswith("sent=1")
    assert states() == ["pending", "pending", "dead"]
    audited = connection.execute(
        "SELECT actor FROM audit_entry WHERE action = 'dead letters sent again' ORDER BY number"
    ).fetchall()
    assert audited == [("north",), ("senior-operator",)]


def test_figures_stand_beside_their_targets(signed_in: Callable[[str], Any], desk: Desk, connection: Connection) -> None:
    desk.raise_all([alert(f"W{k}", "tag.battery_low") for k in range(30)], NOW_US - HOUR_US)
    page = signed_in("senior-operator").get("/figures?hours=8").text
    assert page.count("not met") >= 3
    for words in ("at most 10", "Battery low", "the last 8 hours"):
        assert words in page
    assert signed_in("senior-operator").get("/figures?hours=-3").status_code == 200


def test_ingest_tells_of_silence_and_quarantine(
    signed_in: Callable[[str], Any], town: list[str], connection: Connection
) -> None:
    device, wearer = connection.execute(  # type: ignore[misc]
        "SELECT content->>'device', content->>'wearer' FROM configuration WHERE kind = 'activation' AND content->>'to_us' = ''"
        " ORDER BY 1 LIMIT 1").fetchone()  # fmt: skip
    connection.execute("DELETE FROM fix USING device d WHERE d.device_id = fix.device_id AND d.name = %s AND time_s > %s",
                       [device, (TOWN_US - 5 * HOUR_US) // 1_000_000])  # fmt: skip
    connection.execute(
        "INSERT INTO quarantine (received, topic, device, payload, reason, field, value, expected)"
        " SELECT %s, 't', 'T1', '', 'no <time>', '', '', '' FROM generate_series(1, 7)", [to_datetime(TOWN_US - HOUR_US)],
    )  # fmt: skip
    connection.commit()
    page = signed_in("administrator").get("/ingest").text
    assert "no &lt;time&gt;" in page
    assert f"<td>{device}</td><td>{wearer}</td><td>5 h" in page


@pytest.mark.parametrize("theme", ["day", "night"])
def test_the_pages_are_accessible(visit: Callable[..., Page], town: list[str], connection: Connection, theme: str) -> None:
    name, _ = of_rule(connection, "curfew.absent")
    act(connection, name, Action(kind="acknowledge", actor="ann", role="operator", at_us=TOWN_US, note="x"), Limits())
    connection.commit()
    page = visit("senior-operator", "/account")
    page.evaluate(f"localStorage.setItem('theme', '{theme}')")
    others = ("/handover", "/figures", "/figures/dead-letters", "/ingest") if theme == "day" else ("/figures",)
    for path in (f"/alerts/{name}", *others):
        page.goto(path)
        assert (path, faults_of_axe(page)) == (path, [])
