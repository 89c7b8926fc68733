"""What-if of an edit before it is saved, and the axe rules on the pages of administrators and auditors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.database import connect
from engine.store.fixes import FixStore
from engine.times import DAY_US, HOUR_US, MINUTE_US
from tagwatch.access import audit
from tests.integration.console.administrators_scene import (
    NOW_US,
    Visit,
    check_and_save,
    draft_of,
    fields,
    fill,
    known,
    stored,
    visit,
)
from tests.integration.console.conftest import follow
from tests.integration.console.managers_town import fixes_of

__all__ = ["known", "visit"]
AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"


def store_days(url: str, wearer: str = "W1") -> None:
    """Three days about the middle of zone `new-zone` to be: at home, but from noon to one there."""
    times = np.arange(NOW_US - 3 * DAY_US, NOW_US - HOUR_US, 5 * MINUTE_US)
    away = (times // HOUR_US) % 24 == 12
    with connect(url) as connection:
        lat = np.where(away, 53.30, 53.20)
        FixStore(connection).write(fixes_of(f"tag-{wearer}", times, lat, np.full(len(times), -0.5)))
        connection.commit()


def test_what_if_leads_back_to_the_draft(known: str, visit: Visit) -> None:
    store_days(known)
    page = visit("administrator", "/configuration/zones/edit")
    fill(page, id="new-zone", wearers="W1", centre="53.30, -0.5", radius_m="300")
    follow(page, "button:has-text('Check') >> nth=-1")
    follow(page, "button:has-text('Ask what if')")
    page.wait_for_selector("text=Go on")  # the page of a job opens itself anew when it is over
    follow(page, "text=Go on")
    page.wait_for_selector("text=Over the last 7 days: ")
    told = page.inner_text("main")
    assert "3 added, 0 removed, 0 changed" in told
    assert page.locator("td:has-text('In an exclusion zone')").count() == 3
    follow(page, "text=Go back and change")
    assert page.input_value("#centre") == "53.30, -0.5"
    fill(page, radius_m="350")
    check_and_save(page)
    assert stored(known, "zone")["new-zone"]["properties"]["radius_m"] == 350
    with connect(known) as connection:
        entry = audit.rows(connection, action="what-if asked")[0]
    assert (entry.actor, entry.subject) == ("administrator", "new-zone")


def test_what_if_changes_nothing_and_says_what_is_too_much(known: str, signed_in: Any) -> None:
    store_days(known)
    client = signed_in("administrator")
    form = fields(client.get("/configuration/curfews/edit?id=east-home").text)
    draft = draft_of(client.post("/configuration/curfews/edit", {**form, "weekly.0.start": "11:00"}))
    before = stored(known, "curfew")
    for days in ("", "x", "0", "400"):
        answer = client.post(f"{draft}/what-if", {"days": days})
        assert answer.status_code == 422
        assert "expected one of 1, 7, 14, 28" in answer.text
    job = client.post(f"{draft}/what-if", {"days": "7"}).headers["location"]
    while (told := client.get(f"{job}/state").json())["state"] not in ("done", "failed"):
        time.sleep(0.05)  # the server is a thread of this process
    assert told["state"] == "done", told
    assert "curfew.left" in client.get(draft).text or "Left during curfew" in client.get(draft).text
    assert stored(known, "curfew") == before


def test_no_page_breaks_a_rule_of_accessibility(known: str, visit: Visit) -> None:
    paths = ["/configuration", "/configuration/curfews/entry?id=east-home", "/configuration/zones/import",
             "/configuration/teams/edit", "/configuration/zones/edit?id=east", "/users/1", "/account/tokens"]  # fmt: skip
    page = visit("administrator")
    script = AXE.read_text("utf-8")
    broken: dict[str, Any] = {}

    def look(name: str) -> None:
        page.evaluate(script)
        found = page.evaluate(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
            ".then((r) => r.violations.map((v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html)]))"
        )
        if found:
            broken[name] = found

    for path in paths:
        page.goto(path)
        look(path)
    page.goto("/configuration/curfews/edit?id=east-home")
    follow(page, "text=Add an exception")
    fill(page, **{"weekly.0.start": "x"})
    follow(page, "button:has-text('Check') >> nth=-1")
    look("faults")
    fill(page, **{"weekly.0.start": "18:00"})
    follow(page, "button:has-text('Check') >> nth=-1")
    page.click("#theme")
    page.wait_for_selector("html[data-theme=night]")
    look("draft at night")
    page = visit("auditor", "/audit")
    look("/audit")
    assert broken == {}
