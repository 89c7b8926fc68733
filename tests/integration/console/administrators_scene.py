"""Two forces with their wearers, teams, zones and curfews, and how the tests of administrators use the pages."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from engine.activations import Activation, Activations
from engine.database import connect
from engine.times import parse_time
from engine.wearers import Wearer
from geofence.store import current
from tagwatch.configuration import save
from tests.integration.console.conftest import PASSWORD, PATIENCE_MS, follow

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NOW_US = parse_time("2026-03-01T10:00:00Z")
FITTED_US = parse_time("2026-02-01T00:00:00Z")
EVERY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """As that of the conftest; a form that comes back with its faults (422, 409) is told by Chromium and no complaint."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def note(message: Any) -> None:
        if message.type == "error" and not re.search(r"status of (422|409|403)", message.text):
            complaints.append(message.text)

    def open_page(login: str, path: str = "/account", **given: Any) -> Page:
        contexts.append(browser.new_context(base_url=address, **{"viewport": {"width": 1320, "height": 1000}, **given}))
        contexts[-1].set_default_timeout(PATIENCE_MS)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda fault: complaints.append(str(fault)))
        page.on(
            "request", lambda r: r.url.startswith((address, "data:", "blob:")) or complaints.append(f"asks for {r.url}")
        )
        page.on("console", note)
        page.goto("/sign-in")
        page.fill("#login", login)
        page.fill("#password", PASSWORD)
        page.press("#password", "Enter")
        page.wait_for_url(lambda url: "/sign-in" not in url)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def zone(name: str = "Z1", wearers: Any = "*", **more: Any) -> dict[str, Any]:
    given = {"id": name, "kind": "exclusion", "wearers": wearers, "radius_m": 500} | more
    return {"type": "Feature", "properties": given, "geometry": {"type": "Point", "coordinates": [-0.54, 53.23]}}


def curfew(name: str = "C1", wearer: str = "W1", **more: Any) -> dict[str, Any]:
    return {
        "id": name, "wearer": wearer, "place": {"lat": 53.2, "lon": -0.5, "radius_m": 60}, "timezone": "Europe/London",
        "weekly": [{"days": EVERY, "start": "19:00", "end": "07:00"}],
    } | more  # fmt: skip


@pytest.fixture
def known(url: str) -> str:
    """Three wearers of two forces with their tags, a team, zones and curfews."""
    with connect(url) as connection:
        people = [Wearer("W1", "Ada One", "fixed", "S", "Eastshire", "bail", "T1"), Wearer("W2", "Bo Two", force="Eastshire"),
                  Wearer("V1", "Vic Tor", force="Westshire", team="T2")]  # fmt: skip
        worn = [Activation(f"tag-{name}", name, FITTED_US) for name in ("W1", "W2", "V1")]
        teams = [
            {"id": name, "members": [{"name": "Mo Manager", "role": "police_manager", "channels": ["mailto:mo@a.example"]}]}
            for name in ("T1", "T2")
        ]
        save(
            connection, FITTED_US, wearers=people, teams=teams, activations=Activations(worn),
            zones={"type": "FeatureCollection", "features": [zone("all"), zone("east", ["W1"]), zone("west", ["V1"]),
                                                             zone("both", ["W1", "V1"])]},
            curfews=[curfew("east-home"), curfew("west-home", "V1")],
        )  # fmt: skip
        connection.commit()
    return url


def stored(url: str, kind: str) -> dict[str, Any]:
    with connect(url) as connection:
        return {name: content for name, (_, content) in current(connection, kind).items()}


def fill(page: Page, **values: str) -> None:
    for name, text in values.items():
        page.fill(f'[id="{name}"]', text)


def check_and_save(page: Page) -> None:
    follow(page, "text=Check >> nth=-1")
    page.wait_for_selector("h1:has-text('Check:')")
    follow(page, "button:has-text('Save')")
    page.wait_for_selector("h1:has-text('Saved')")


def fields(text: str) -> dict[str, Any]:
    """The form of a page as a browser would send it."""
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input [^>]*>", text):
        given = {k: html.unescape(v) for k, v in re.findall(r'(\w+)="([^"]*)"', tag)}
        if (
            "name" in given
            and given["name"] != "csrf"
            and (given.get("type") not in ("radio", "checkbox") or " checked" in tag)
        ):
            found.setdefault(given["name"], []).append(given.get("value", ""))
    for name, body in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', text, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', body) or re.search(r'<option value="([^"]*)"', body)
        found[name] = html.unescape(chosen[1]) if chosen else ""
    for name, body in re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>\n?(.*?)</textarea>', text, re.S):
        found[name] = html.unescape(body)
    return {**found, "action": "check"}


def draft_of(answer: Any) -> str:
    """Where the draft is that came of a form."""
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).split("#")[0]
