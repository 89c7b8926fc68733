"""The investigators' tasks in a real browser, each from its start to its end; near by the keyboard alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.database import connect
from tests.integration.console.conftest import PATIENCE_MS, add_account, follow
from tests.integration.console.investigators_scene import LAT, LON, settle
from tests.integration.console.test_investigators_crimes import BAD, GOOD, HEADER

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]
AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(autouse=True)
def scene(url: str) -> None:
    """The crimes of Kent and Essex, and an investigator of Kent (`kent`)."""
    with connect(url) as connection:
        settle(connection)
        add_account(connection, "kent", ["investigator"], "Kent")


def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA on the page as it stands."""
    page.evaluate(AXE.read_text())  # by the debugger: the page's own policy lets no such script in
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found["violations"]]


def tab_to(page: Page, target: str) -> None:
    """Press Tab until the element with this id has the focus, which must be seen."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == target:
            return
    raise AssertionError(f"Tab does not lead to {target}")


def test_near_by_the_keyboard_alone(visit: Visit) -> None:
    from playwright.sync_api import expect

    page = visit("kent", "/near")
    page.wait_for_selector("#near-map[data-ready]")
    assert violations(page) == []
    for name, text in (("place", "TQ 7612 5547"), ("from", "01/03/2026 08:30"), ("to", "01/03/2026 08:45"),
                       ("reason", "Burglary"), ("case_ref", "26/4711")):  # fmt: skip
        tab_to(page, name)
        page.keyboard.type(text)
    expect(page.locator("#lat")).to_have_value(
        re.compile(r"51\."), timeout=PATIENCE_MS
    )  # the server says where the square is
    expect(page.locator("#place-said")).to_contain_text("off by up to 7 m", timeout=PATIENCE_MS)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.wait_for_selector("#answer-map[data-shown]")
    assert page.inner_text("h1") == "Who was near?"
    assert "K1" in page.inner_text("main")
    assert "E1" not in page.inner_text("main")
    assert int(page.get_attribute("#answer-map", "data-shown") or 0) > 10
    assert violations(page) == []
    with page.expect_download() as saved:
        page.click("text=Download JSON lines")
    lines = Path(saved.value.path()).read_text().splitlines()
    assert [json.loads(line)["wearer"] for line in lines] == ["K1", "K2", "K3", "K4"]


def test_a_place_taken_from_the_map_and_faults_that_lead_to_their_fields(visit: Visit) -> None:
    page = visit("kent", "/near")
    from playwright.sync_api import expect

    page.wait_for_selector("#near-map[data-ready]")
    page.fill("#place", "SK 97 71")
    page.press("#place", "Tab")
    expect(page.locator("#lat")).not_to_have_value("", timeout=PATIENCE_MS)
    page.click("#near-map-view", position={"x": 200, "y": 200})
    expect(page.locator("#place")).to_have_value("", timeout=PATIENCE_MS)
    assert re.fullmatch(r"-?\d+\.\d{6}", page.input_value("#lat"))
    page.fill("#from", "29/03/2026 01:30")
    follow(page, "button:has-text('Who was near')")
    page.wait_for_selector(".govuk-error-summary")
    page.wait_for_function("document.activeElement.className.startsWith('govuk-error-summary')")
    assert violations(page) == []
    page.click(".govuk-error-summary a >> nth=0")
    assert page.evaluate("document.activeElement.id") == "from"
    assert page.input_value("#from") == "29/03/2026 01:30"


def test_a_batch_is_imported_matched_and_becomes_a_pack(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "week.csv").write_text(HEADER + GOOD + BAD)
    page = visit("kent", "/crimes")
    assert violations(page) == []
    follow(page, "text=Import a batch")
    assert violations(page) == []
    page.set_input_files("#file", tmp_path / "week.csv")
    follow(page, "text=Look at the file")
    assert "2 can be imported, 1 will be left out" in page.inner_text("main")
    assert violations(page) == []
    follow(page, "button:has-text('Import 2 crimes')")
    assert "1 new, 1 changed" in page.inner_text(".govuk-notification-banner")
    assert violations(page) == []
    follow(page, "text=Match what needs it")
    assert violations(page) == []
    page.fill("#reason", "Weekly match")
    follow(page, "button:text-is('Match')")
    page.wait_for_selector("text=Go on")
    follow(page, "text=Go on")
    assert violations(page) == []
    follow(page, "a:has-text('Kent R1')")
    page.wait_for_selector("#match-map[data-shown]")
    assert violations(page) == []
    follow(page, "a:has-text('Evidence pack about K1')")
    assert page.input_value("#wearer") == "K1"
    assert violations(page) == []
    page.fill("#reason", "Charge")
    follow(page, "text=Build the pack")
    page.wait_for_selector("text=Download evidence-R1-K1.zip")
    with page.expect_download() as saved:
        page.click("text=Download evidence-R1-K1.zip")
    saved.value.save_as(tmp_path / "pack.zip")
    page.goto("/evidence/verify")
    page.set_input_files("#file", tmp_path / "pack.zip")
    follow(page, "button:text-is('Verify')")
    assert "pack.zip: verified" in page.inner_text("#result")
    assert violations(page) == []


def test_near_without_scripts(visit: Visit) -> None:
    page = visit("kent", "/near", java_script_enabled=False)
    page.fill("#lat", str(LAT))
    page.fill("#lon", str(LON))
    for name, text in (("from", "01/03/2026 08:30"), ("to", "01/03/2026 08:45"), ("reason", "x"), ("case_ref", "y")):
        page.fill(f"#{name}", text)
    follow(page, "button:has-text('Who was near')")
    page.wait_for_selector("#unmonitored")
    assert "Placed, strong" in page.inner_text("main")
