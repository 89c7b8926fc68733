"""The list of wearers and the page of one: how each stands, in a real browser, and never anybody whom the caller may not see."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from alerts.compliance import Period
from engine.activations import Activation
from engine.database import connect
from engine.store.fixes import FixStore
from engine.times import DAY_US, HOUR_US, MINUTE_US
from engine.wearers import Wearer
from tagwatch import configuration
from tagwatch.access import audit
from tagwatch.compliance import Inquiry, from_database
from tagwatch.console.office import Office
from tagwatch.simulate.world import START_US
from tests.integration.console.conftest import add_account, follow
from tests.integration.console.managers_town import NOW_US, add_wearer, conditions, fixes_of, settle, town

NASTY = '<img src=x onerror="document.title=1">&"\'{{ 7 * 7 }}'
MINE, THEIRS = ("W0001", "W0003", "W0004"), ("W0002", "W0005", "W0006")
HOME = {"lat": 53.2, "lon": -0.5, "radius_m": 60.0}
AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


@pytest.fixture(autouse=True)
def settled(url: str, office: Office) -> None:
    """The town, and Alex, who is in the team of three of the six wearers."""
    office.clock = lambda: NOW_US
    with connect(url) as connection:
        settle(connection, town())
        add_account(connection, "alex", ["offender manager"], "Trentshire", "Alex Moorhouse")


def curfew(wearer: str, start: str = "21:00", end: str = "06:00") -> dict[str, Any]:
    """Every night."""
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    rows = [{"days": days, "start": start, "end": end}]
    return {
        "id": f"c-{wearer}",
        "wearer": wearer,
        "place": HOME,
        "timezone": "Europe/London",
        "weekly": rows,
        "grace_minutes": 5,
    }


def faults_of(page: Any) -> list[str]:
    """What axe finds against WCAG 2.2 AA."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed")
    page.evaluate(AXE.read_text())
    found = page.evaluate("rules => axe.run(document, rules)", RULES)["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


def test_the_list_says_how_each_stands(visit: Callable[..., Any], url: str) -> None:
    page = visit("senior-operator", "/wearers")
    rows = page.locator("tbody tr")
    assert rows.count() == 6
    with connect(url) as connection:
        counted = connection.execute("SELECT grade, count(*) FROM alert WHERE wearer = 'W0002' GROUP BY 1").fetchall()
    second = rows.nth(1).inner_text()
    assert all(f"{n} {grade}" in " ".join(second.split()) for grade, n in counted)
    assert "T00002" in second
    page.get_by_text("The last nights are worked out").wait_for(state="attached")
    assert page.locator("tbody .mg-night").all_inner_texts() == ["✓ kept"] * 6
    assert faults_of(page) == []
    page.fill("#q", "calloway")
    page.press("#q", "Enter")
    page.wait_for_url("**q=calloway**")
    assert page.locator("tbody th").all_inner_texts() == ["Victor Calloway\nW0003"]
    assert page.get_by_role("status").first.inner_text().startswith("1 of 6 wearers.")


def test_filters_orders_and_pages(signed_in: Callable[[str], Any], url: str) -> None:
    client = signed_in("senior-operator")
    assert "Tariq Eastoe" not in client.get("/wearers?team=trentshire-north").text
    assert "1 of 6 wearers" in client.get("/wearers?scheme=Bail&cohort=flex").text
    gravest = client.get("/wearers?sort=alerts").text
    assert gravest.index("Jordan Barrow") < gravest.index("Aaron Abbey")
    nobody = client.get("/wearers?q=nobody").text
    assert "No wearer fits" in nobody
    with connect(url) as connection:
        many = [Wearer(f"X{k:03}", f"Person {k:03}") for k in range(120)]
        configuration.save(connection, START_US, wearers=many)
    first, last = client.get("/wearers").text, client.get("/wearers?page=3").text
    assert first.count('<th scope="row"') == 50
    assert "Page 3 of 3" in last
    assert "Person 119" in last
    assert client.get("/wearers?page=99").text == last.replace("?page=99", "?page=3")
    assert "Person 007" in client.get("/wearers?scheme=-&q=x007").text


def test_the_last_night_without_scripts(signed_in: Callable[[str], Any]) -> None:
    client = signed_in("senior-operator")
    assert "Work out the last night" in client.get("/wearers").text
    worked_out = client.get("/wearers?nights=1").text
    assert worked_out.count("mg-night--kept") == 6 + 1  # and the key
    assert "not worked out" not in client.get("/wearers").text


def test_a_manager_sees_the_own_wearers_and_nobody_else(signed_in: Callable[[str], Any]) -> None:
    client = signed_in("alex")
    names = {who.wearer: who.name for who in town().wearers}
    hidden = [name for wearer in THEIRS for name in (wearer, names[wearer])] + ["Wolddale", "trentshire-south"]
    days = "from=2026-03-23&to=2026-03-29"
    for path in ("/wearers", "/wearers?nights=1", "/wearers?sort=alerts", "/wearers?q=W000", f"/conference?{days}",
                 f"/conference.csv?{days}", "/conference?scheme=Acquisitive+crime", "/wearers/W0001"):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert [name for name in hidden if name in answer.text] == [], path
        assert "W0001" in answer.text or "scheme" in path
    assert "3 of 3 wearers whom you may see" in client.get("/wearers").text
    for other in (*THEIRS, "nobody"):
        for path in (f"/wearers/{other}", f"/wearers/{other}/trail", f"/wearers/{other}/trail.json",
                     f"/wearers/{other}/trail.csv", f"/wearers/{other}/trail.geojson", f"/wearers-nights.json?wearer={other}",
                     f"/open?wearer={other}"):  # fmt: skip
            answer = client.get(path)
            assert answer.status_code == 403, path
            assert names.get(other, "Tariq") not in answer.text
        assert client.post("/open", {"wearer": other, "reason": "curious"}).status_code == 403
    assert client.get("/wearers-nights.json?wearer=W0001&wearer=W0002").status_code == 403


def test_each_role_sees_its_part(signed_in: Callable[[str], Any]) -> None:
    people = {role: signed_in(role) for role in ("senior-operator", "operator", "investigator", "administrator")}
    texts = {role: client.get("/wearers/W0003").text for role, client in people.items()}
    shown = {role: [part in text for part in ('id="nights"', 'id="alerts"', "/trail")] for role, text in texts.items()}
    assert shown == {
        "senior-operator": [True, True, True], "operator": [False, True, True], "investigator": [False, False, True],
        "administrator": [False, False, False],
    }  # fmt: skip
    assert "Open alerts" not in people["investigator"].get("/wearers").text
    assert "Last night" not in people["operator"].get("/wearers").text
    assert people["operator"].get("/wearers-nights.json?wearer=W0001").status_code == 403
    assert people["administrator"].get("/wearers/W0003/trail").status_code == 403
    assert signed_in("auditor").get("/wearers").status_code == 403


def test_the_calendar_is_what_compliance_says(visit: Callable[..., Any], url: str) -> None:
    page = visit("senior-operator", "/wearers/W0001")
    with connect(url) as connection:
        period = Period(date(2026, 3, 3), date(2026, 3, 30), NOW_US)
        (report,) = from_database(connection, conditions(connection), list(town().wearers), Inquiry(period, "W0001"))
    verdicts = {str(window.day): window.verdict for window in report.windows}
    assert set(verdicts.values()) == {"kept", "missed"}
    shown = {
        cell.locator("time").get_attribute("datetime"): cell.locator(".mg-night").get_attribute("class")
        for cell in page.locator(".mg-calendar td:has(.mg-night)").all()
    }
    assert shown == {day: f"mg-night mg-night--{verdict}" for day, verdict in verdicts.items()}
    night_of_change = page.locator(".mg-calendar td:has(time[datetime='2026-03-28'])").inner_text()
    assert "clocks go forward: 9 h" in night_of_change
    assert "not begun" in page.locator(".mg-calendar td:has(time[datetime='2026-03-30'])").inner_text()
    assert page.locator(".mg-calendar td:has(time[datetime='2026-03-10'])").inner_text().split("\n")[1:] == ["no curfew"]
    assert "missed" in page.locator(".mg-calendar td:has(time[datetime='2026-03-27'])").inner_text()
    assert faults_of(page) == []
    assert [
        place for place in re.findall(r'"lat": (\d+\.\d{3})', json.dumps(town().curfews)) if place in page.content()
    ] == []
    page.get_by_text("Earlier weeks").click()
    page.wait_for_url("**to=2026-03-02**")
    assert "No curfew window began" in page.content()
    with connect(url) as connection:
        assert ("wearer opened", "W0001") in [(row.action, row.subject) for row in audit.rows(connection)]


def test_a_night_that_nobody_could_verify_never_reads_as_kept(visit: Callable[..., Any], url: str) -> None:
    from_us = START_US - DAY_US + 7 * HOUR_US
    times = [from_us + k * MINUTE_US for k in range(5 * 60)]  # until noon; then nothing more ever comes
    with connect(url) as connection:
        worn = [Activation("Q1", "Q", from_us)]
        add_wearer(connection, Wearer("Q", "Quiet"), activations=worn, curfews=[curfew("Q")])
        FixStore(connection).write(fixes_of("Q1", times, [53.2] * len(times), [-0.5] * len(times)))
    page = visit("senior-operator", "/wearers/Q")
    nights = page.locator(".mg-calendar .mg-night").all_inner_texts()
    assert set(nights) == {"○ not monitored", "? not verifiable"}
    assert nights[-8:] == ["? not verifiable"] * 8
    assert page.locator(".mg-sums dd").first.inner_text() == "0 of 8"
    assert page.locator(".mg-calendar td:has(time[datetime='2026-03-26'])").inner_text().endswith("unknown 9 h")
    page.goto("/wearers?q=quiet&nights=1")
    assert page.locator("tbody .mg-night").all_inner_texts() == ["? not verifiable"]


def test_a_wearer_of_whom_nothing_is_known(signed_in: Callable[[str], Any], url: str) -> None:
    with connect(url) as connection:
        add_wearer(connection, Wearer("N1", NASTY))
        add_wearer(connection, Wearer("N2/../x"), curfews=[curfew("N2/../x")])
    client = signed_in("senior-operator")
    text = client.get("/wearers/N1").text
    assert "<img" not in text
    assert "&lt;img src=x onerror=" in text
    assert "{{ 7 * 7 }}" in text
    for told in ("No curfew window began", "wears no tag and wore none", "No zone was in force", "No alert began"):
        assert told in text
    assert "no curfew" in client.get("/wearers?q=N1").text
    odd = client.get("/wearers/N2%2F..%2Fx").text
    assert "not monitored" in odd
    assert client.get("/wearers/no-such-wearer").status_code == 404


def test_names_are_text_in_the_browser(visit: Callable[..., Any], url: str) -> None:
    with connect(url) as connection:
        worn = [Activation(NASTY, NASTY, START_US)]
        add_wearer(connection, Wearer(NASTY, NASTY, team=NASTY), activations=worn, curfews=[curfew(NASTY)])
    page = visit("senior-operator", "/wearers?q=img")
    page.get_by_text("The last nights are worked out").wait_for(state="attached")
    assert page.locator("main img").count() == 0
    follow(page, "tbody a")
    page.wait_for_selector(".mg-calendar")
    assert NASTY in page.locator("h1").inner_text()
    assert page.locator("main img").count() == 0


def test_a_curfew_that_changed_shows_both(visit: Callable[..., Any], url: str) -> None:
    """It changed on Thursday at noon, and again in the middle of a night."""
    with connect(url) as connection:
        add_wearer(connection, Wearer("C"), curfews=[curfew("C")], activations=[Activation("C1", "C", START_US)])
        noon_us = START_US + 3 * DAY_US + 12 * HOUR_US
        configuration.save(connection, noon_us, curfews=[curfew("C", "19:00", "07:00")], from_us=noon_us)
        night_us = START_US + 4 * DAY_US + 23 * HOUR_US
        configuration.save(connection, night_us, curfews=[curfew("C", "20:00", "05:00")], from_us=night_us)
    page = visit("senior-operator", "/wearers/C")
    times = {
        cell.locator("time").get_attribute("datetime"): cell.locator(".mg-calendar__night .mg-soft").all_inner_texts()
        for cell in page.locator(".mg-calendar td:has(.mg-night)").all()
    }
    assert times["2026-03-25"] == ["21:00 to 06:00"]
    assert times["2026-03-26"] == ["19:00 to 07:00"]
    assert times["2026-03-27"] == ["19:00 to 05:00"]
    assert times["2026-03-28"] == ["20:00 to 05:00"]
    page.get_by_text("Other versions (2)").click()
    old = page.locator(".govuk-details__text").inner_text()
    assert "Mon-Sun 21:00-06:00" in old
    assert "Mon-Sun 19:00-07:00" in old
    week = page.locator(".mg-condition table tbody tr").all_inner_texts()
    assert [row.split("\t")[1:] for row in week] == [["20:00 to 05:00", "9 h"]] * 7


def test_the_coming_week_marks_the_change_of_the_clocks(signed_in: Callable[[str], Any], office: Office) -> None:
    office.clock = lambda: START_US + 4 * DAY_US + 10 * HOUR_US
    text = " ".join(signed_in("senior-operator").get("/wearers/W0002").text.split())
    assert (
        'Saturday 28 March</th><td class="govuk-table__cell">22:00 to 06:00</td><td class="govuk-table__cell">7 h' in text
    )
    assert "clocks go forward" in text.split("Saturday 28 March")[1].split("Sunday 29 March")[0]
    assert 'Monday 30 March</th><td class="govuk-table__cell">22:00 to 06:00</td><td class="govuk-table__cell">8 h<' in text


def test_alerts_stand_with_their_outcomes(signed_in: Callable[[str], Any], url: str) -> None:
    with connect(url) as connection:
        connection.execute(
            "UPDATE alert SET handling = 'closed', outcome = 'false_alarm', handled_by = %s"
            " WHERE id = (SELECT id FROM alert WHERE wearer = 'W0003' ORDER BY began DESC LIMIT 1)", [NASTY],
        )  # fmt: skip
    text = signed_in("senior-operator").get("/wearers/W0003").text
    assert "closed: <strong>false alarm</strong>" in text
    assert "by &lt;img" in text
    assert "1 of them is closed" in text
