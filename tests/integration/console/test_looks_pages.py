"""Every page by day and by night, in a wide and in a narrow window: no fault of WCAG 2.2 AA, nothing wider than the screen.

TAGWATCH_SCREENSHOTS names a folder that keeps the pictures.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest
from fastapi import FastAPI

from engine.database import connect
from geofence.store import versions
from tagwatch.console import create_app
from tagwatch.console.database import Database
from tagwatch.console.office import Office
from tagwatch.settings import Settings
from tests.integration.console.conftest import PATIENCE_MS, Client
from tests.integration.console.investigators_scene import asked, settle
from tests.integration.console.managers_town import NOW_US as TOWN_US
from tests.integration.console.operators_scene import settle_town
from tests.integration.console.test_investigators_matches import R1, match

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_A_THEME = ["color-contrast", "link-in-text-block"]
"""The rules whose outcome a theme can change."""
NARROW = {"width": 400, "height": 800}

Visit = Callable[..., "Page"]
SignIn = Callable[[str], Client]


class Row(NamedTuple):
    """A page: its route, who opens it, and an address of it, where {names} are found by the scene."""

    route: str
    login: str
    path: str = ""


TOWN = (
    Row("/queue", "senior-operator"),
    Row("/alerts/{identifier}", "senior-operator", "/alerts/{alert}"),
    Row("/handover", "senior-operator"),
    Row("/figures", "senior-operator"),
    Row("/figures/dead-letters", "senior-operator"),
    Row("/ingest", "senior-operator"),
    Row("/account", "senior-operator"),
    Row("/account/tokens", "senior-operator"),
    Row("/open", "senior-operator", "/open?wearer={wearer}"),
    Row("/wearers", "senior-operator"),
    Row("/wearers/{wearer:path}", "senior-operator", "/wearers/{wearer}"),
    Row("/wearers/{wearer:path}/trail", "senior-operator", "/wearers/{wearer}/trail"),
    Row("/conference", "senior-operator"),
    Row("/configuration", "administrator"),
    Row("/configuration/devices", "administrator"),
    *(
        row
        for plural in ("wearers", "teams", "activations", "zones", "curfews")
        for row in (
            Row("/configuration/{plural}", "administrator", f"/configuration/{plural}"),
            Row("/configuration/{plural}/entry", "administrator", f"/configuration/{plural}/entry?id={{{plural}}}"),
            Row("/configuration/{plural}/edit", "administrator", f"/configuration/{plural}/edit"),
        )
    ),
    Row("/configuration/{plural}/end", "administrator", "/configuration/zones/end?id={zones}"),
    Row("/configuration/{plural}/import", "administrator", "/configuration/zones/import"),
    Row("/configuration/drafts/{identifier}", "administrator", "{draft}"),
    Row("/users", "administrator"),
    Row("/users/add", "administrator"),
    Row("/users/{identifier}", "administrator", "/users/1"),
    Row("/audit", "auditor"),
)
KENT = (
    Row("/near", "investigator"),
    Row("/near/{number}", "investigator", "{near}"),
    Row("/crimes", "investigator"),
    Row("/crimes/one", "investigator", f"/crimes/one?{R1}"),
    Row("/crimes/import", "investigator"),
    Row("/crimes/import/{number}", "investigator", "{batch}"),
    Row("/matches", "investigator"),
    Row("/matches/new", "investigator"),
    Row("/matches/{run_id}", "investigator", "{run}"),
    Row("/matches/{run_id}/crime", "investigator", f"{{run}}/crime?{R1}"),
    Row("/evidence", "investigator"),
    Row("/evidence/verify", "investigator"),
    Row("/jobs/{identifier}", "investigator", "{job}"),
)
NO_PAGES = {
    "/", "/health/live", "/health/ready", "/map/base.json", "/map/base.pmtiles", "/map/tiles/{z}/{x}/{y}", "/events", "/events/number",
    "/queue/list", "/queue/under/{identifier}", "/alerts/{identifier}/map.json", "/near/{number}/map.json", "/near/{number}/file.{form}",
    "/crimes/import/{number}/faults.csv", "/matches/{run_id}/series", "/matches/{run_id}/file.{form}", "/matches/{run_id}/crime/map.json",
    "/wearers-nights.json", "/wearers/{wearer:path}/trail.json", "/wearers/{wearer:path}/trail.geojson",
    "/wearers/{wearer:path}/trail.csv", "/conference.pdf", "/conference.csv", "/configuration/drafts/{identifier}/map.json",
    "/configuration/{plural}/map.json", "/configuration/{plural}/export", "/audit/export", "/jobs/{identifier}/state",
    "/jobs/{identifier}/file",
}  # fmt: skip
"""What a GET answers with something that is no page: data, files, parts of a page, the stream."""


def gets(app: FastAPI) -> Iterator[str]:
    """The paths of all GET routes but those of the API."""
    for route in app.routes:
        nested = getattr(route, "effective_route_contexts", None)
        for each in nested() if nested else [route]:
            path = str(getattr(each, "path", ""))
            if "GET" in (getattr(each, "methods", None) or ()) and not path.startswith("/api/"):
                yield path


def test_the_table_names_every_page() -> None:
    app = create_app(Office(Database("postgresql://127.0.0.1:1/none"), Settings()))
    assert set(gets(app)) - NO_PAGES == {row.route for row in (*TOWN, *KENT)} | {"/sign-in"}


@pytest.fixture
def office(url: str, request: pytest.FixtureRequest) -> Office:
    """The scene that a test names: the town of operators, managers and administrators, or the burglary in Kent."""
    town = request.param == "town"
    with connect(url) as connection:
        settle_town(connection) if town else settle(connection)
    return Office(Database(url), Settings(), clock=lambda: TOWN_US) if town else Office(Database(url), Settings())


@pytest.mark.parametrize("office", ["town"], indirect=True)
@pytest.mark.parametrize("login", ["senior-operator", "administrator", "auditor"])
def test_pages_of_the_town(login: str, office: Office, url: str, visit: Visit, signed_in: SignIn) -> None:
    names = _town_names(url)
    if login == "administrator":
        names["draft"] = _draft(signed_in(login), names)
    page = visit(login, "/account")
    if login == "senior-operator":
        _say_why(page, names["wearer"])
    assert _faults_of(page, [row for row in TOWN if row.login == login], names) == ""


@pytest.mark.parametrize("office", ["kent"], indirect=True)
def test_pages_of_an_investigator(office: Office, visit: Visit, signed_in: SignIn) -> None:
    client = signed_in("investigator")
    csv = "force,reference,type,from,to,lat,lon\nKent,R9,BIAD,2026-03-01T08:00:00Z,2026-03-01T09:00:00Z,51.3,0.5\nKent,R10,X,?,?,1,1\n"
    names = {
        "run": match(client), "near": client.post("/near", asked()).headers["location"],
        "batch": client.post("/crimes/import", files={"file": ("b.csv", csv)}).headers["location"],
    }  # fmt: skip
    names["job"] = client.post(f"{names['run']}/series").headers["location"]
    page = visit("investigator", "/account")  # answers of near and jobs belong to a session: the browser takes that one
    page.context.add_cookies([{"name": c.name, "value": c.value or "", "url": page.url} for c in client.http.cookies.jar])
    assert _faults_of(page, KENT, names) == ""


@pytest.mark.parametrize("office", ["kent"], indirect=True)
def test_pages_of_nobody_and_of_faults(office: Office, visit: Visit, browser: Any, address: str) -> None:
    nobody = browser.new_context(base_url=address).new_page()
    nobody.set_default_timeout(PATIENCE_MS)
    assert _faults_of(nobody, [Row("/sign-in", "", "/sign-in")], {}) == ""
    nobody.fill("#login", "nobody")
    with nobody.expect_navigation():
        nobody.press("#login", "Enter")
    nobody.wait_for_selector(".govuk-error-summary")
    assert _violations(nobody, "sign-in-refused") == []
    nobody.goto("/no-such-page")
    assert nobody.inner_text("h1") == "There is no such page"
    assert _violations(nobody, "no-such-page") == []
    nobody.context.close()


def _town_names(url: str) -> dict[str, str]:
    kinds = {"wearers": "wearer", "teams": "team", "activations": "activation", "zones": "zone", "curfews": "curfew"}
    with connect(url) as connection:
        alert = connection.execute("SELECT id, wearer FROM alert ORDER BY id LIMIT 1").fetchone()
        assert alert is not None
        found = {plural: quote(min(versions(connection, kind))) for plural, kind in kinds.items()}
    return {"alert": alert[0], "wearer": alert[1], **found}


def _draft(client: Client, names: Mapping[str, str]) -> str:
    text = client.get(f"/configuration/zones/end?id={names['zones']}").text
    form = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', text))
    return str(client.post("/configuration/zones/end", {**form, "holds": "now", "reason": "over"}).headers["location"])


def _say_why(page: Page, wearer: str) -> None:
    page.goto(f"/wearers/{wearer}/trail")
    page.fill("#reason", "Weekly review")
    with page.expect_navigation():
        page.press("#reason", "Enter")
    page.wait_for_url("**/trail*")


def _faults_of(page: Page, rows: Any, names: Mapping[str, str]) -> str:
    """What is wrong, an address and its faults a line."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `make setup` installs it where there is npm")
    found = []
    for row in rows:
        path = (row.path or row.route).format_map(names)
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, (path, answer.status)
        for map_ in page.locator(".tw-map").all():
            if map_.is_visible():
                map_.wait_for(state="attached")
                page.wait_for_function("element => 'ready' in element.dataset", arg=map_.element_handle())
        name = re.sub(r"\W+", "-", path.partition("?")[0]).strip("-") or "first"
        found += [f"{path} {fault}" for fault in _violations(page, name)]
    return "\n".join(found)


def _violations(page: Page, name: str) -> list[str]:
    page.evaluate(AXE.read_text())  # by the debugger: the page's own policy lets no such script in
    found = []
    for theme, only in (("day", {"type": "tag", "values": TAGS}), ("night", {"type": "rule", "values": OF_A_THEME})):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        told = page.evaluate("only => axe.run(document, {runOnly: only})", only)
        for one in told["violations"]:
            found += [
                f"{theme} {one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}" for node in one["nodes"][:3]
            ]
        _keep(page, f"{name}-{theme}")
    page.evaluate("document.documentElement.dataset.theme = 'day'")
    if page.locator("h1").count() != 1:
        found.append(f"has {page.locator('h1').count()} headings of the first level")
    wide, window = dict(page.viewport_size or {}), NARROW
    page.set_viewport_size(window)  # type: ignore[arg-type]
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > window["width"]:
        found.append(f"is {width} px wide where the window is {window['width']}: {page.evaluate(_WIDEST)}")
    _keep(page, f"{name}-narrow")
    page.set_viewport_size(wide)  # type: ignore[arg-type]
    return found


_WIDEST = """() => [...document.querySelectorAll('main *, header *, nav *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
  && !e.closest('.tw-scroll, table, .tw-map')).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join(' | ')"""


def _keep(page: Page, name: str) -> None:
    folder = os.environ.get("TAGWATCH_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
