"""The queue in a real browser: alive, complete and still under the hands of whoever works."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from alerts.handling import Action, HandlingError, Limits
from alerts.handling_store import act
from alerts.queue_store import read_queue
from engine.database import Connection, connect
from engine.times import HOUR_US, MINUTE_US
from engine.wearers import Wearer
from tagwatch import configuration
from tagwatch.access.scope import Scope
from tagwatch.console import create_app, serve
from tagwatch.console.database import Database
from tagwatch.console.office import Office
from tagwatch.console.operators.desk import Desk as ConsoleDesk
from tagwatch.settings import Settings
from tests.integration.conftest import find_free_port
from tests.integration.console.conftest import NOW_US, PASSWORD, PATIENCE_MS, add_account, follow
from tests.integration.console.operators_scene import Desk, alert

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
EVIL = "<img src=x onerror=document.title='evil'>\"'</td><script>document.title='evil'</script>"
EVERYBODY = Scope(None, frozenset("*"))


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with connect(url) as found:
        yield found


@pytest.fixture
def desk(connection: Connection) -> Desk:
    return Desk(connection)


def live(page: Page) -> Page:
    """Wait until the feed is there."""
    page.wait_for_selector('#live[data-state="on"]')
    return page


def opened(browser: Browser, address: str, login: str) -> Page:
    """The queue in a browser whose complaints are not counted: it tells of every answer that is no success."""
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{address}/sign-in?next=/queue")
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url(f"{address}/queue")  # and not the form, whose address ends in the same word
    return page


def ids(page: Page, section: str = "waiting") -> list[str]:
    """The rows of a section in their order."""
    return page.eval_on_selector_all(f"#section-{section} tr.tw-row", "rows => rows.map(row => row.dataset.id || row.id)")


def faults_of_axe(page: Page) -> list[str]:
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    return [f"{one['id']}: {node['html'][:200]}" for one in found["violations"] for node in one["nodes"]]


def some(desk: Desk, now_us: int = NOW_US) -> list[str]:
    """Five alerts, each longer ago than the one before."""
    rules = ("zone.exclusion", "zone.inclusion", "curfew.late", "tag.battery_low", "tag.strap")
    found = []
    for k, rule in enumerate(rules, 1):
        found += desk.raise_all([alert(f"W{k:02d}", rule, now_us - k * MINUTE_US)], now_us - k * MINUTE_US)
    return found


def test_an_alert_appears_by_itself_in_its_place(visit: Callable[..., Page], desk: Desk) -> None:
    some(desk)
    page = live(visit("operator", "/queue"))
    assert ids(page) == ["A00005", "A00001", "A00002", "A00003", "A00004"]
    desk.raise_all([alert("W99", "curfew.left", NOW_US, subject="Night curfew", text="Left home")], NOW_US, 900.0)
    page.wait_for_selector("#alert-A00006")
    assert ids(page) == ["A00005", "A00001", "A00002", "A00006", "A00003", "A00004"]
    row = page.inner_text("#alert-A00006")
    for words in ("high", "0 s", "W99", "Left during curfew", "Night curfew", "Left home", "late by 15 min"):
        assert words in row
    assert page.inner_text("#section-waiting [data-count]") == "6"
    page.wait_for_selector("#polite:text-is('1 new alert')")
    desk.amend("A00006", alert("W99", "curfew.left", NOW_US, condition="cleared", ended_us=NOW_US), NOW_US, "cleared")
    page.wait_for_selector("#alert-A00006 >> text=over")
    desk.amend("A00003", alert("W03", "curfew.late"), NOW_US, "retracted: not borne out", retracted=True)
    page.wait_for_selector("#alert-A00003", state="detached")
    assert page.inner_text("#section-waiting [data-count]") == "5"


def test_a_cut_connection_loses_nothing(browser: Browser, url: str, desk: Desk) -> None:
    """The server goes, an alert is raised and another one handled, the server comes back: the page has both."""
    some(desk)
    port = find_free_port()

    def served() -> Any:
        return serve(create_app(Office(Database(url), Settings(), clock=lambda: NOW_US)), port)

    with served() as address:
        page = opened(browser, address, "operator")
        page.clock.install()
        page.reload()
        live(page)
    desk.raise_all([alert("W50", "tag.strap", NOW_US)], NOW_US)
    act(desk.connection, "A00001", Action(kind="acknowledge", actor="ann", role="operator", at_us=NOW_US), Limits())
    desk.connection.commit()
    page.clock.fast_forward(21_000)
    page.wait_for_selector("#stale:visible >> text=Nothing was heard")
    assert page.get_attribute("#live", "data-state") == "stale"
    assert page.title().startswith("Not live")
    assert ids(page)[0] == "A00005"
    with served():
        page.clock.fast_forward(8_000)
        page.wait_for_selector("#alert-A00006")
        page.wait_for_selector("#stale", state="hidden")
        page.wait_for_selector("#section-in_hand #alert-A00001")
        assert ids(page) == ["A00005", "A00006", "A00002", "A00003", "A00004"]
        assert not page.title().startswith("Not live")
    page.context.close()


def test_one_key_acknowledges(visit: Callable[..., Page], desk: Desk, connection: Connection) -> None:
    some(desk)
    page = live(visit("operator", "/queue"))
    page.focus("#alert-A00001 a")
    for key, focused in (("j", "A00002"), ("j", "A00003"), ("k", "A00002")):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.closest('tr').dataset.id") == focused
    page.keyboard.press("a")
    page.wait_for_selector("#alert-A00002 >> text=with operator")
    assert page.evaluate("document.activeElement.closest('tr').dataset.id") == "A00002"
    assert ids(page) == ["A00005", "A00001", "A00002", "A00003", "A00004"], "nothing moves while a row has the focus"
    page.wait_for_selector("#polite:has-text('Acknowledged: ')")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_selector("#section-in_hand #alert-A00002")
    assert ids(page) == ["A00005", "A00001", "A00003", "A00004"]
    rows = connection.execute("SELECT alert_id, kind, actor, role, alert_version FROM handling_action").fetchall()
    assert rows == [("A00002", "acknowledge", "operator", "operator", 1)]
    audited = connection.execute("SELECT action, subject, actor FROM audit_entry WHERE action LIKE 'alert:%'").fetchall()
    assert audited == [("alert: acknowledge", "W02", "operator")]


def test_the_other_keys_open_forms(browser: Browser, address: str, desk: Desk, connection: Connection) -> None:
    some(desk)
    page = live(opened(browser, address, "senior-operator"))
    for key, name, fields in (
        ("n", "A00001", {"note": "Called <b>him</b>"}), ("e", "A00002", {"whom": "duty officer", "reason": "no answer"}),
        ("s", "A00003", {"minutes": "45", "reason": "Tag is changed"}), ("c", "A00004", {"outcome": "equipment"}),
    ):  # fmt: skip
        page.focus(f"#alert-{name} a")
        page.keyboard.press(key)
        box = page.locator("dialog[open]")
        for field, value in fields.items():
            place = box.locator(f"[name={field}]")
            place.select_option(value) if field == "outcome" else place.fill(value)
        box.locator("button.govuk-button").click()
        page.wait_for_selector("dialog[open]", state="detached")
    rows = connection.execute(
        "SELECT alert_id, kind, note, whom, reason, outcome FROM handling_action ORDER BY 1"
    ).fetchall()
    assert rows == [
        ("A00001", "note", "Called <b>him</b>", "", "", ""), ("A00002", "escalate", "", "duty officer", "no answer", ""),
        ("A00003", "shelve", "", "", "Tag is changed", ""), ("A00004", "close", "", "", "", "equipment"),
    ]  # fmt: skip
    page.focus("#alert-A00005 a")
    page.keyboard.press("c")
    box = page.locator("dialog[open]")
    box.locator("[name=outcome]").select_option("breach")
    box.locator("button.govuk-button").click()
    page.wait_for_selector("dialog[open] .tw-dialog__fault:visible")
    assert "without note" in box.inner_text()
    box.locator("[name=note]").fill("Seen by the team")
    act(connection, "A00005", Action(kind="note", actor="ben", role="operator", at_us=NOW_US, note="faster"), Limits())
    connection.commit()
    box.locator("button.govuk-button").click()
    page.wait_for_selector("dialog[open] >> text=It changed since you looked")
    assert box.locator("[name=note]").input_value() == "Seen by the team"
    page.keyboard.press("Escape")
    page.wait_for_selector("#alert-A00005 a:focus")
    page.keyboard.press("?")
    page.wait_for_selector("#dialog-keys[open]")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.focus("#alert-A00001 a")
    page.keyboard.press("n")
    assert page.locator("dialog[open]").count() == 0
    page.context.close()


def test_new_ones_wait_while_a_row_has_the_focus(visit: Callable[..., Page], desk: Desk) -> None:
    some(desk)
    page = live(visit("operator", "/queue"))
    page.focus("#alert-A00003 a")
    desk.raise_all([alert("W98"), alert("W97")], NOW_US)
    page.wait_for_selector("#fresh:visible >> text=2 new or changed")
    assert len(ids(page)) == 5
    page.wait_for_selector("#assertive:text-is('2 critical alerts')", state="attached")
    page.keyboard.press("u")
    page.wait_for_selector("#alert-A00006")
    assert page.evaluate("document.activeElement.closest('tr').dataset.id") == "A00003"
    assert not page.is_visible("#fresh")
    page.evaluate("document.activeElement.blur()")
    page.click("#pause")
    desk.raise_all([alert("W96")], NOW_US)
    page.wait_for_selector("#fresh:visible >> text=1 new or changed")
    page.click("#pause")
    page.wait_for_selector("#alert-A00008")


def test_five_thousand_open_alerts(visit: Callable[..., Page], desk: Desk) -> None:
    rules = ("zone.exclusion", "zone.inclusion", "curfew.left", "curfew.late", "tag.battery_low")
    for hour in range(50):
        at_us = NOW_US - (60 - hour) * HOUR_US
        desk.raise_all([alert(f"W{k:03d}", rules[k % 5], at_us - k, subject=f"S{hour}") for k in range(100)], at_us)
    page = live(visit("senior-operator", "/queue"))
    assert page.inner_text("#section-waiting [data-count]") == "5000"
    assert len(ids(page)) == 50
    assert "Lines 1 to 50 of" in page.inner_text("#section-waiting")
    told = "performance.getEntriesByType('navigation')[0].decodedBodySize"
    assert 1_000 < page.evaluate(told) < 200_000  # of 5,000 alerts, what is shown
    desk.raise_all([alert("W-NEW", "tag.strap", NOW_US)], NOW_US)
    page.wait_for_selector("#section-waiting [data-count]:text-is('5001')")
    seen = set(ids(page))
    follow(page, "text=Next lines")
    live(page)
    assert len(ids(page)) == 50
    assert not seen & set(ids(page))


def test_what_is_under_a_head_opens(visit: Callable[..., Page], desk: Desk) -> None:
    desk.raise_all([alert(f"W{k:03d}", "zone.inclusion", NOW_US - MINUTE_US) for k in range(30)], NOW_US)
    page = live(visit("operator", "/queue"))
    assert len(ids(page)) == 1
    assert "30 outside an inclusion zone in a flood" in page.inner_text("#section-waiting")
    assert page.inner_text("#section-waiting [data-count]") == "30"
    page.click("[data-under]")
    page.wait_for_selector(".tw-row--under")
    assert len(ids(page)) == 31
    page.focus("#alert-A00030 a")
    page.keyboard.press("a")
    page.wait_for_selector(".tw-row--under >> text=with operator")
    page.goto(page.get_attribute("[data-under]", "href") or "")
    assert "29" in page.inner_text("h1")


def test_texts_of_others_are_only_text(visit: Callable[..., Page], desk: Desk, connection: Connection) -> None:
    evil = alert(EVIL, "zone.exclusion", NOW_US, zone=EVIL, text=EVIL, subject=EVIL, cause=EVIL)
    desk.raise_all([evil], NOW_US - MINUTE_US)
    page = live(visit("senior-operator", "/queue"))
    desk.raise_all([alert(EVIL, "zone.inclusion", NOW_US, zone=EVIL, text=EVIL, subject=EVIL)], NOW_US)
    page.wait_for_selector("#alert-A00002")
    note = Action(kind="shelve", actor="ann", role="senior operator", at_us=NOW_US, reason=EVIL, until_us=NOW_US + HOUR_US)
    act(connection, "A00002", note, Limits())
    act(connection, "A00001", Action(kind="note", actor=EVIL, role="operator", at_us=NOW_US, note=EVIL), Limits())
    connection.commit()
    page.wait_for_selector("#section-shelved #alert-A00002")
    page.focus("#alert-A00001 a")
    page.keyboard.press("n")
    assert EVIL.split(">", maxsplit=1)[0] in page.inner_text("dialog[open]")
    for path in ("/alerts/A00001", "/alerts/A00002", "/handover", "/figures"):
        page.goto(path)
        assert page.locator("main script:not([src]), main img").count() == 0
        assert "evil" not in page.title().lower().replace(EVIL.lower(), "")
        assert "onerror" in page.inner_text("main")


@pytest.mark.parametrize("theme", ["day", "night"])
def test_the_queue_is_accessible(visit: Callable[..., Page], desk: Desk, connection: Connection, theme: str) -> None:
    some(desk)
    desk.raise_all([alert(f"W{k:03d}", "tag.battery_low", NOW_US) for k in range(20)], NOW_US)
    act(connection, "A00002", Action(kind="acknowledge", actor="ann", role="operator", at_us=NOW_US), Limits())
    connection.commit()
    page = visit("senior-operator", "/account")
    page.evaluate(f"localStorage.setItem('theme', '{theme}'); localStorage.setItem('sound', 'on')")
    page.goto("/queue")
    live(page)
    assert faults_of_axe(page) == []
    page.click("#show-keys")
    assert faults_of_axe(page) == []


def test_sound_is_asked_for_and_can_be_tested(visit: Callable[..., Page], desk: Desk) -> None:
    page = live(visit("operator", "/queue"))
    assert page.inner_text("#sound") == "Sound off"
    desk.raise_all([alert("W01")], NOW_US)
    page.wait_for_selector("#alert-A00001")
    assert page.evaluate("document.documentElement.dataset.lastTone") is None
    page.click("#sound")
    page.wait_for_selector("#sound:text-is('Sound on')")
    desk.raise_all([alert("W02", "zone.inclusion")], NOW_US)
    page.wait_for_selector("html[data-last-tone=high]")
    page.click("#test-sound")
    page.wait_for_selector("html[data-last-tone=low]")
    page.reload()
    assert page.evaluate("localStorage.getItem('sound')") == "on"


def test_each_sees_the_own_scope(
    visit: Callable[..., Page], signed_in: Callable[[str], Any], desk: Desk, connection: Connection
) -> None:
    configuration.save(connection, NOW_US, wearers=[Wearer("W01", force="Eastshire"), Wearer("W02", force="Northshire")])
    add_account(connection, "north", ["senior operator"], "Northshire")
    connection.commit()
    some(desk)
    page = live(visit("north", "/queue"))
    assert ids(page) == ["A00002"]
    assert page.inner_text("#section-waiting [data-count]") == "1"
    client = signed_in("north")
    for path in ("/alerts/A00001", "/alerts/A00001/map.json", "/alerts/A00003", "/alerts/none"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "among those you may see" in answer.text
    assert client.post("/alerts/A00001/note", {"note": "x"}).status_code == 403
    assert "W01" not in client.get("/queue/under/A00001").text
    for path in ("/handover", "/figures", "/figures/dead-letters", "/ingest"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "W01" not in answer.text


def test_the_held_queue_is_the_queue(connection: Connection, desk: Desk, url: str) -> None:
    """After any changes what the console holds is what is read anew: alerts, order, floods, incidents."""
    office = Office(Database(url), Settings(), clock=lambda: NOW_US)
    held, chance = ConsoleDesk(), random.Random(7)
    rules = ("zone.exclusion", "zone.inclusion", "tag.no_contact", "tag.battery_low", "tag.battery_dead", "curfew.left")
    kinds = ("acknowledge", "note", "escalate", "close", "shelve", "reopen", "unshelve")
    made: list[str] = []
    for step in range(120):
        if step % 3 == 0 or len(made) < 5:
            fresh = [
                alert(f"W{chance.randrange(8)}", chance.choice(rules), NOW_US - chance.randrange(HOUR_US)) for _ in range(3)
            ]
            made += desk.raise_all(fresh, NOW_US - chance.randrange(20) * MINUTE_US)
        name, kind = chance.choice(made), chance.choice(kinds)
        action = Action(kind=kind, actor="ann", role="senior operator", at_us=NOW_US, note="n", reason="r", whom="w",
                        outcome="breach" if kind == "close" else "", until_us=NOW_US + HOUR_US)  # fmt: skip
        try:
            with connection.transaction():
                act(connection, name, action, Limits())
        except HandlingError:
            pass
        connection.commit()
        if step % 5 == 4:
            now = next(e.alert for e in desk.ledger.entries() if e.id == name)
            desk.amend(name, now, NOW_US, "retracted: x", retracted=True)
            made.remove(name)
        with office.database.reading() as snapshot:
            found, fresh_desk = held.queue(snapshot, office, EVERYBODY), ConsoleDesk()
            assert found == fresh_desk.queue(snapshot, office, EVERYBODY)
            assert found.lines == read_queue(snapshot, office.settings.flood_thresholds, NOW_US)
    office.close()
