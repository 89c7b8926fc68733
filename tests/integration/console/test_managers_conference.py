"""The case conference: the figures of `tagwatch compliance`, on the page, on paper, as PDF and CSV, and for the caller's own."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pikepdf
import pypdfium2
import pytest

from alerts.compliance import Period
from engine.database import connect
from engine.times import parse_time
from engine.wearers import Wearer
from tagwatch.access import audit
from tagwatch.compliance import Inquiry, Report, from_database
from tagwatch.compliance_table import records, write_csv
from tagwatch.console.managers.conference_pdf import pdf
from tagwatch.console.managers.conference_table import blocks, total
from tagwatch.console.office import Office
from tests.integration.console.conftest import add_account
from tests.integration.console.managers_town import NOW_US, add_wearer, conditions, settle, town
from tests.integration.console.test_managers_wearers import MINE, NASTY, THEIRS, curfew, faults_of

DAYS = "from=2026-03-23&to=2026-03-29"
PERIOD = Period(date(2026, 3, 23), date(2026, 3, 29), NOW_US)


@pytest.fixture(autouse=True)
def settled(url: str, office: Office) -> None:
    """The town, and Alex, who is in the team of three of the six wearers."""
    office.clock = lambda: NOW_US
    with connect(url) as connection:
        settle(connection, town())
        add_account(connection, "alex", ["offender manager"], "Trentshire", "Alex Moorhouse")


def reports_of(url: str) -> list[Report]:
    """What the command says."""
    with connect(url) as connection:
        return from_database(connection, conditions(connection), list(town().wearers), Inquiry(PERIOD))


def test_the_page_says_what_the_command_says(visit: Callable[..., Any], url: str) -> None:
    page = visit("senior-operator", "/conference")
    page.fill("#from", "2026-03-23")
    page.fill("#to", "2026-03-29")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**to=2026-03-29**")
    reports = reports_of(url)
    expected = [row for _, rows in blocks(reports) for row in rows] + [total(reports)]
    lines = page.locator(".mg-table--figures tbody tr:not(.mg-cohort)")
    shown = [[cell.strip() for cell in line.locator("td").all_inner_texts()] for line in lines.all()]
    assert shown == [row.cells for row in expected]
    assert page.locator(".mg-cohort").all_inner_texts() == ["Cohort: fixed", "Cohort: flex"]
    matters = page.locator(".mg-matters").inner_text()
    assert "Aaron Abbey W0001\nMissed: Fri 27 Mar (away" in matters
    assert faults_of(page) == []
    page.emulate_media(media="print")
    assert not page.get_by_role("button", name="Show").is_visible()
    assert page.locator(".mg-table--figures").is_visible()
    page.emulate_media(media="screen")
    page.select_option("#cohort", "fixed")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**cohort=fixed**")
    assert page.locator(".mg-cohort").all_inner_texts() == ["Cohort: fixed"]
    assert page.get_by_role("status").inner_text().startswith("2 wearers wore a tag")
    with page.expect_download() as started:
        page.get_by_role("link", name="PDF").click()
    assert started.value.suggested_filename == "case-conference-2026-03-23-to-2026-03-29.pdf"
    page.get_by_role("link", name="Victor Calloway").click()
    page.wait_for_url("**/wearers/W0003?to=2026-03-29")
    with connect(url) as connection:
        actions = [row.action for row in audit.rows(connection)]
    assert {"conference opened", "conference exported"} <= set(actions)


def test_the_csv_is_that_of_the_command(signed_in: Callable[[str], Any], url: str) -> None:
    text = io.StringIO(newline="")
    write_csv(records(reports_of(url), PERIOD), text)
    assert signed_in("senior-operator").get(f"/conference.csv?{DAYS}").text == text.getvalue()


def test_sums_are_of_those_whom_the_caller_may_see(signed_in: Callable[[str], Any], url: str) -> None:
    client = signed_in("alex")
    mine = [report for report in reports_of(url) if report.wearer.wearer in MINE]
    rows = list(csv.DictReader(io.StringIO(client.get(f"/conference.csv?{DAYS}").text)))
    assert [row["wearer"] for row in rows if row["kind"] == "wearer"] == list(MINE)
    assert int(rows[-1]["curfew_kept"]) == sum(report.figures.windows["kept"] for report in mine)
    text = text_of(client.get(f"/conference.pdf?{DAYS}").content)
    assert all(wearer in text for wearer in MINE)
    assert not any(wearer in text for wearer in THEIRS)
    assert signed_in("operator").get("/conference").status_code == 403


def text_of(content: bytes) -> str:
    """All text of a PDF."""
    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(content))


def test_the_pdf_is_tagged_and_the_same_each_time(signed_in: Callable[[str], Any], url: str) -> None:
    as_of = f"{DAYS}&as_of=2026-03-30T10:00:00Z"
    answers = [signed_in("senior-operator").get(f"/conference.pdf?{as_of}") for _ in range(2)]
    assert answers[0].content == answers[1].content == pdf(reports_of(url), PERIOD, "", "", "Senior operator")
    with pikepdf.open(io.BytesIO(answers[0].content)) as document:
        assert document.Root.MarkInfo.Marked
        assert "/StructTreeRoot" in document.Root
        assert str(document.docinfo["/Title"]) == "Case conference, 23 March 2026 to 29 March 2026"
        assert str(document.docinfo["/CreationDate"]).startswith("D:20260330100000")
        assert "pdfuaid" in bytes(document.Root.Metadata.read_bytes()).decode()
    text = text_of(answers[0].content)
    assert "Not verifiable" in text
    assert "Missed: Fri 27 Mar" in text


def test_hostile_names_are_text_in_the_pdf(url: str) -> None:
    reports = reports_of(url)
    odd = '#panic("x") $x$ *b* [y] @z \u202e <l> // "'
    reports[0].wearer = Wearer(odd, odd, "flex", odd)
    text = " ".join(text_of(pdf(reports, PERIOD, odd, "", odd)).split())
    assert '#panic("x") $x$ *b* [y] @z [U+202E] <l> // "' in text


def test_days_that_are_none_are_told_and_kept(signed_in: Callable[[str], Any]) -> None:
    client = signed_in("senior-operator")
    for query, field in (("from=2026-03-29&to=2026-03-23&scheme=Bail", "to"), ("from=soon&to=2026-03-23&scheme=Bail", "from"),
                         ("from=2025-01-01&to=2026-03-23&scheme=Bail", "from")):  # fmt: skip
        answer = client.get(f"/conference?{query}")
        assert answer.status_code == 422
        assert f'<a href="#{field}">' in answer.text
        assert 'value="2026-03-23"' in answer.text
        assert '<option value="Bail" selected>' in answer.text
    for odd in ("from=0001-01-01", "to=9999-12-31", "to=2026-04-02"):
        assert (
            client.get(f"/conference?{odd}").status_code
            == client.get(f"/wearers/W0001?{odd.replace('from', 'to')}").status_code
            == 422
        )
    assert "nobody" not in client.get("/conference?scheme=nobody").text.split("<h2")[0]
    assert "0 wearers" in client.get("/conference?scheme=nobody").text
    assert client.get("/conference?as_of=2030-01-01T00:00:00Z").text.count("2026-03-30 10:00:00 UTC") == 1


def test_what_was_known_then_is_said_again(signed_in: Callable[[str], Any], url: str) -> None:
    then_us = parse_time("2026-03-27T12:00:00Z")
    with connect(url) as connection:
        inquiry = Inquiry(PERIOD._replace(as_of_us=then_us))
        then = from_database(connection, conditions(connection), list(town().wearers), inquiry)
    rows = list(csv.DictReader(io.StringIO(
        signed_in("senior-operator").get(f"/conference.csv?{DAYS}&as_of=2026-03-27T12:00:00Z").text
    )))  # fmt: skip
    assert [row["curfew_windows"] for row in rows[:6]] == [str(report.figures.judged) for report in then]
    assert rows[0]["curfew_windows"] == "4"


def test_many_wearers_are_worked_out_in_the_background(visit: Callable[..., Any], url: str) -> None:
    with connect(url) as connection:
        for k in range(14):
            add_wearer(
                connection,
                Wearer(f"M{k:02}", NASTY if k == 0 else f"Man {k}", "free", "Many"),
                curfews=[curfew(f"M{k:02}")],
            )
    page = visit("senior-operator", f"/conference?{DAYS}&scheme=Many")
    assert "have to be worked out" in page.locator(".govuk-inset-text").inner_text()
    page.get_by_role("button", name="Work them out").click()
    page.wait_for_url("**/jobs/**")
    page.get_by_role("link", name="Go on").click()
    page.wait_for_url("**/conference?**")
    assert re.sub(r"\s+", " ", page.locator(".mg-sum").inner_text()).startswith("All 14 of free 0 of 0")
    assert page.locator("main img").count() == 0
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    assert started.value.suggested_filename.endswith(".csv")
