"""report.pdf of a pack: what each verdict says, tags and fonts by an independent library, foreign text as data, the same bytes."""

import hashlib
import io
import os
import re
import subprocess
import sys
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pikepdf
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crime_match.crimes.crime import Crime
from crime_match.evidence.case import Other, Person, Stale
from crime_match.evidence.drawing.svg import Drawing
from crime_match.evidence.report import words
from crime_match.evidence.report.method import method_sections, method_text
from crime_match.evidence.report.report import DRAWINGS, pdf
from crime_match.evidence.report.text import front
from crime_match.evidence.rows import WINDOW, fix_rows, local_text, utc_text
from crime_match.question import Parameters
from engine.activations import Activation, Activations
from engine.events import DeviceEvent
from engine.times import MINUTE_US, SECOND_US
from tagwatch.matching import match_crimes, trails_of
from tests.evidence_case import PLACE, START_US, case, fixes, hostile_case

HOME = Path(__file__).resolve().parents[2]
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 5"><rect width="9" height="4"/></svg>'
ROUTINE = {
    "windows": 18, "placed": 3, "days": 28, "weekdays": "monday to friday", "every_days": 1, "timezone": "Europe/London",
    "left_out": {"unmonitored": 2},
}  # fmt: skip
CHANCE = {
    "days": 42, "days_with_placed": 11, "wearer_windows": 42_310, "placed": 17, "rate": 0.000402, "monitored": 1_204,
    "expected": 0.4312,
}  # fmt: skip


def unmonitored():
    """No fix from an hour before the window to an hour after it."""
    of = case()
    some = fixes()
    apart = abs(some.time_us - (START_US + 90 * MINUTE_US))
    trails = trails_of(
        some.take(apart > 45 * MINUTE_US), Activations([Activation("T1001", "W1", START_US - 86_400 * SECOND_US)])
    )
    crime = replace(of.crime, from_us=START_US + 85 * MINUTE_US, to_us=START_US + 95 * MINUTE_US)
    [found] = list(match_crimes(trails, [crime], Parameters()))
    return replace(of, crime=crime, trail=trails[0], match=found.matches[0].record(), origins=())


def wide(n):
    """A window over almost all of n minutes."""
    of = case(n)
    crime = Crime("METROPOLITAN", "CR/1", "RB", START_US + 20 * MINUTE_US, START_US + (n - 20) * MINUTE_US, *PLACE)
    trails = trails_of(fixes(n), Activations([Activation("T1001", "W1", START_US - 86_400 * SECOND_US)]))
    [found] = list(match_crimes(trails, [crime], Parameters()))
    return replace(of, crime=crime, match=found.matches[0].record())


def told(of, **changes):
    """The case with other things in its match."""
    return replace(of, match={**of.match, **changes})


def worst():
    """A case with as much of everything as there can be on the first pages."""
    of = case(text="Long text about it all. " * 400, reference="CR/123456789/" + "9" * 40)
    [visit] = of.match["visits"]
    of = told(
        of, support="weak", visits=[{**visit, "label": chr(65 + k)} for k in range(20)], routine=ROUTINE, chance=CHANCE,
        parameters={**of.match["parameters"], "uncertainty_m": 50.0},
    )  # fmt: skip
    events = [DeviceEvent("T" * 60, START_US + k, "fault", "x" * 50) for k in range(40)]
    return replace(
        of, others=[Other("cell", 95.4, 3)] * 40,
        person=Person("W1" * 50, "\u202e" + "N" * 400, "force " * 50, "scheme " * 80, "manager " * 80),
        stale=Stale(1, 12, [("text " * 10, "aaaa bbbb " * 40, "cccc dddd " * 40)] * 9),
        crime=replace(of.crime, easting_m=530_000.0, northing_m=180_000.0, force="F " * 50, type="ZZ " * 50),
        trail=of.trail._replace(events=events),
    )  # fmt: skip


def worst_open():
    """The same for a wearer who is neither placed nor ruled out."""
    reasons = ["not excluded: " + "fault of T1001 at 2026-06-15T22:30:00.000Z, and so on " * 20] * 12
    sources = {"gps": 12_345, "rf": 12_345, "lbs": 12_345, "wifi": 12_345, "unknown": 12_345}
    return told(
        worst(), verdict="possible", support=None, reasons=reasons, visits=[], required_speed_mps=60.25, sources=sources
    )


CASES = {
    "placed": case, "excluded": lambda: case(far_m=90_000.0), "possible": lambda: case(far_m=30_000.0),
    "unmonitored": unmonitored, "hostile": hostile_case, "worst": worst, "worst_open": worst_open,
}  # fmt: skip


@cache
def made(name):
    return pdf(CASES[name](), {})


def pages_of(data):
    """The text of each page, its line breaks and the places where long runs may break taken out."""
    document = pypdfium2.PdfDocument(data)
    try:
        found = []
        for number in range(len(document)):
            page = document[number]
            text = page.get_textpage()
            found.append(plain(text.get_text_range()))
            text.close()
            page.close()
        return found
    finally:
        document.close()


def plain(text):
    return " ".join(text.replace("\u200b", "").replace("\ufffe", "-").split())


def front_of(data):
    """The text before the first exhibit, and how many pages it takes."""
    pages = pages_of(data)
    n = next(k for k, page in enumerate(pages) if "Exhibit TW/01:" in page)
    return " ".join(pages[:n]), n


def elements(document):
    """Every structure element of a tagged PDF, in reading order."""
    stack = [document.Root.StructTreeRoot.K]
    while stack:
        item = stack.pop()
        if isinstance(item, pikepdf.Array):
            stack += list(item)[::-1]
        elif isinstance(item, pikepdf.Dictionary):
            if "/S" in item:
                yield item
            if "/K" in item:
                stack.append(item.K)


def fonts(document):
    """Every font of the file, by its dictionary."""
    return [o for o in document.objects if isinstance(o, pikepdf.Dictionary) and o.get("/Type") == "/Font"]


# What each verdict says


def test_placed_says_when_how_sure_and_what_speaks_against():
    of = told(case(), routine=ROUTINE, chance=CHANCE)
    text, _ = front_of(pdf(of, {}))
    assert "The record places this wearer’s tag near the place of the crime" in text
    assert "11 positions of the tag are in the vicinity: at least 50 % of the circle of each lies within 100 m" in text
    assert "The first is of 16 June 2026 at 00:25:01 BST, the last of 16 June 2026 at 00:35:02 BST" in text
    assert (
        "Visit A: 16 June 2026, 00:25:01 BST to 00:35:02 BST, 10 minutes 1 second between first and last position" in text
    )
    assert "on a bearing of south (186°) when entering; on a bearing of north-north-east (27°) when leaving" in text
    assert "no. 89, 3.9 m from the place, on 16 June 2026 at 00:28:01 BST (by satellites" in text
    assert "Support strong At least 2 positions have a probability of presence of 0.95 or more." in text
    assert "Probability 0.980" in text
    assert "Coverage 89.4 %" in text
    assert "Longest gap 10 minutes 58 seconds" in text
    assert "68 positions by satellites and 1 position by phone mast" in text
    assert "1 position is without weight and decided nothing (1 implausible)" in text
    assert "1 gap of more than 5 minutes without a usable position: 16 June 2026, 00:59:02 BST to 01:10:00 BST" in text
    assert "was placed in this vicinity in 3 of 18 comparable windows (same hours of the day, Monday to Friday)" in text
    assert "2 other windows without a usable position are not counted" in text
    assert "placed in this vicinity 17 times out of 42,310 (one wearer on one day counts once), on 11 of the days" in text
    assert "the day of the crime counted in, chance would place 0.431 of the 1,204 wearers monitored in the window" in text
    assert "asked of 1,240 wearers, this one included: 2 placed, 31 possible, 1,204 excluded and 3 unmonitored" in text
    assert "Placed besides this one: another wearer (1), weak support, 1 position, closest 64.2 m" in text


def at_another_time(from_minute, to_minute):
    """The wearer's walk, who is at the place in minutes 85 to 95, asked about at another time."""
    of = case()
    crime = replace(of.crime, from_us=START_US + from_minute * MINUTE_US, to_us=START_US + to_minute * MINUTE_US)
    trails = trails_of(fixes(), Activations([Activation("T1001", "W1", START_US - 86_400 * SECOND_US)]))
    [found] = list(match_crimes(trails, [crime], Parameters()))
    return replace(of, crime=crime, match=found.matches[0].record())


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        ((60, 120), "reported for a time of 1 hour; the visits, from first to last position, make up 10 minutes 1 second of it. "
                    "The record does not tell at which moment of it the crime happened."),
        ((92, 93), "Of 11 placing positions, 9 lie outside the time for which the crime is reported, in what was added to it."),
        ((100, 101), "All placing positions lie outside the time for which the crime is reported, in what was added to it."),
    ],
)  # fmt: skip
def test_placed_says_how_the_visits_lie_to_the_reported_time(minutes, said):
    of = at_another_time(*minutes)
    assert of.verdict == "placed"
    text, _ = front_of(pdf(of, {}))
    assert said in text
    assert ("make up" in text) == (minutes == (60, 120))


def test_a_fitting_or_reports_that_nobody_recorded_are_not_claimed():
    of = case(far_m=90_000.0)
    bare = replace(of, trail=of.trail._replace(activations=(Activation("T1001", "W1", -(2**62)),)))
    assert of.is_fitting_recorded
    assert not bare.is_fitting_recorded
    text, _ = front_of(pdf(bare, {}))
    assert "no record of fittings was given, so it counts as this wearer’s throughout" in text
    assert "the data hold no report of the tag of any kind, so it counts as on throughout" in text
    assert "of tampering, power off, fault or jamming nothing is known" in text
    assert "one fitting covers" not in text
    quiet = replace(of, trail=of.trail._replace(events=[DeviceEvent("T1001", START_US, "motion", "")]))
    text, _ = front_of(pdf(quiet, {}))
    assert "one fitting covers the window, and the data hold no report of tampering" in text
    assert "The pack holds no report of the tag up to the end of the window of tampering" in text


def test_excluded_says_what_it_rests_on_and_what_would_make_it_wrong():
    text, _ = front_of(made("excluded"))
    assert "The record rules this wearer out" in text
    assert "145.69 m/s (524 km/h, 326 mph) or faster. Up to 55 m/s (198 km/h, 123 mph) is allowed for" in text
    assert "This rests on 69 usable positions of the window" in text
    assert "96.2 km away before it (2026-06-15 23:49:01 BST) and 96.9 km away after it (2026-06-16 01:21:00 BST)" in text
    assert "one fitting covers the window" in text
    assert "What would have to be true for this to be wrong At least one of these: – The wearer moved at 145.69 m/s" in text
    assert "radius up to 4,114 m, each made to hold the true place 999 times in 1,000" in text
    assert "places this wearer" not in text
    assert "Routine" not in text


def test_excluded_at_any_speed_says_so():
    text, _ = front_of(pdf(told(case(far_m=90_000.0), required_speed_mps=None), {}))
    assert "No speed leads from the positions to the vicinity and back." in text
    assert "The wearer moved at" not in text


def test_possible_speaks_neither_way():
    text, _ = front_of(made("possible"))
    assert "The record neither places this wearer nor rules them out" in text
    assert "50.71 m/s (183 km/h, 113 mph) or faster. That is within the 55 m/s" in text
    assert "It does not show that the wearer was there, and it does not show that they were not." in text
    reasons = ["not excluded: strap tamper of T1001 since 2026-06-15T22:30:00.000Z"] * 6
    text, _ = front_of(pdf(told(case(far_m=30_000.0), reasons=reasons, required_speed_mps=0.0), {}))
    assert "Not ruled out: strap tamper of T1001 since 2026-06-15 23:30:00 BST." in text
    assert "2 further reasons are in annex A." in text
    assert "Presence would have needed no movement" in text


def test_reasons_on_the_first_pages_call_a_position_a_position():
    reasons = [
        "presence would need no movement: the exclusion circles of the fixes next to it in time reach into the vicinity",
        "no fix in the window carries weight", "not excluded: no one activation covers the whole window",
        "not excluded: strap tamper of fix since 2026-06-15T22:30:00.000Z",
    ]  # fmt: skip
    assert [words.plainly(reason) for reason in reasons] == [
        "presence would need no movement: the wide circles, used to rule out, of the positions next to it in time reach into "
        "the vicinity",
        "no position of the window is usable", "not ruled out: no one fitting of a tag covers the whole window",
        "not ruled out: strap tamper of fix since 2026-06-15T22:30:00.000Z",
    ]  # fmt: skip
    data = pdf(told(case(far_m=30_000.0), reasons=reasons), {})
    text, _ = front_of(data)
    assert "activation" not in text
    assert "carries weight" not in text
    assert "No fix in the window carries weight." in " ".join(pages_of(data))  # annex A, in the words of the match


def test_names_from_right_to_left_turn_nothing_beside_them():
    name = "\u0645\u0644\u0627\u0643"
    assert words.shown(f"{name} 1") == f"\u2068{name} 1\u2069"
    assert words.shown(f"{name}\u2069 1") == f"\u2068{name}[U+2069] 1\u2069"
    assert words.shown("x" * 9, 5) == "xxxxx…"
    of = case(name=name, reference=f"26/{name}")
    facts = dict(front(of, fix_rows(of))["facts"])
    assert facts["Wearer"] == f"\u2068{name}\u2069, W1"
    assert facts["Crime"] == f"\u206826/{name}\u2069, METROPOLITAN"
    assert pdf(of, {}) == pdf(of, {})


def test_unmonitored_is_silent():
    of = unmonitored()
    assert of.verdict == "unmonitored"
    text, _ = front_of(made("unmonitored"))
    assert "The record is silent about this wearer" in text
    assert "There is no usable position of this wearer in the window." in text
    assert "This answer speaks neither for nor against them." in text
    assert "The nearest usable position before the window is" in text
    assert local_text(int(of.trail.fixes.time_us[0]), of.timezone)[:10] in text


@pytest.mark.parametrize("name", CASES)
def test_no_text_claims_guilt(name):
    text = " ".join(pages_of(made(name))).lower()
    for allowed in ("probability of guilt", "finding of guilt"):
        text = text.replace(allowed, "")
    assert not re.search(r"guilt|culprit|suspect|offender(?! manager)|perpetrator|committed|alibi", text)


@pytest.mark.parametrize("name", CASES)
def test_at_most_two_pages_before_the_exhibits(name):
    text, n = front_of(made(name))
    assert n <= 2
    for heading in (
        "1. What was asked",
        "2. What the record shows",
        "3. How sure this is",
        "6. What this record cannot show",
    ):
        assert heading in text


# The first page warns


def test_boxes():
    first = pages_of(made("placed"))[0]
    assert "NOT SIGNED" in first
    assert "OUT OF DATE" not in first
    stale = Stale(1, 3, [("from", "2026-06-15 23:00", "2026-06-15 22:00")])
    first = pages_of(pdf(case(stale=stale, signer="CN=Kate Keyholder"), {}))[0]
    assert "NOT SIGNED" not in first
    assert "To be signed by CN=Kate Keyholder" in first
    assert "rests on version 1 of the crime. Version 3 is the latest." in first
    assert "from, when matched “2026-06-15 23:00”, now “2026-06-15 22:00”" in first
    moved = pages_of(pdf(case(stale=Stale(1, 2, [("lat", "51.5", "51.6")])), {}))[0]
    assert "latitude, when matched “51.5”, now “51.6”" in moved
    cell = pages_of(pdf(told(case(), support="cell"), {}))[0]
    assert "near the place of the crime, by phone masts alone" in cell
    assert "PHONE MASTS ALONE Every position that places the tag comes from phone masts" in cell
    weak = pages_of(pdf(told(case(), support="weak"), {}))[0]
    assert "near the place of the crime, with weak support" in weak
    assert "WEAK SUPPORT Fewer than 2 positions reach a probability of presence of 0.95. The highest is 0.980." in weak


# Exhibits and annexes


def test_table_of_positions_has_the_window_and_its_neighbours():
    of = case()
    rows = fix_rows(of)
    text = " ".join(pages_of(made("placed")))
    inside = [row for row in rows if row.when == WINDOW]
    for row in [rows[inside[0].number - 2], *inside, rows[inside[-1].number]]:
        label = f" {row.label}" if row.label else ""
        times = f"{local_text(row.time_us, of.timezone)} {utc_text(row.time_us).removesuffix(' UTC')}"
        assert f"{row.number}{label} {times} {row.lat:.7f}, {row.lon:.7f} {row.radius_m:.1f}" in text
    assert f"{len(inside) + 2} positions: all of the window" in text
    assert utc_text(rows[0].time_us).removesuffix(" UTC") not in text


def test_long_table_repeats_its_head_and_pages_are_counted():
    of = wide(700)
    pages = pages_of(pdf(of, {}))
    tables = [page for page in pages if "Local time UTC Latitude" in page]
    assert len(tables) > 10
    assert all(f"Page {k} of {len(pages)}" in page for k, page in enumerate(pages, 1))
    text = " ".join(tables)
    assert all(local_text(row.time_us, of.timezone) in text for row in fix_rows(of) if row.when == WINDOW)


def test_annexes_have_run_hashes_versions_and_method():
    of = case()
    text = " ".join(pages_of(made("placed")))
    assert of.run.id in text
    for value in of.run.inputs.values():
        assert str(value) in text
    assert of.origins[0].sha256 in text
    assert f"numpy {np.__version__}" in text
    assert "activations version 3, from 2026-06-01" in text
    method = plain(method_text(of))
    for heading, paragraphs in method_sections(of):
        assert heading in text
        for paragraph in paragraphs:
            assert plain(paragraph) in method


@pytest.mark.parametrize("name", CASES)
def test_the_method_is_one_page(name):
    last = pages_of(made(name))[-1]
    assert "Annex D: The method and its limits" in last
    assert "8. How to check it" in last


def test_an_empty_table_says_what_is_missing():
    text = " ".join(pages_of(pdf(case(configuration={}), {})))
    assert "Versions of wearers and fittings: none are known for this pack." in text


def test_the_order_of_mappings_does_not_matter():
    of = case()
    run = of.run._replace(parameters=turned(of.run.parameters), inputs=turned(of.run.inputs))
    match = {**turned(of.match), "parameters": turned(of.match["parameters"]), "sources": turned(of.match["sources"])}
    again = replace(of, run=run, match=match, software=turned(of.software), configuration=turned(of.configuration))
    assert list(again.run.inputs) != list(of.run.inputs)
    assert pdf(again, {}) == made("placed")


def turned(values):
    return dict(reversed(values.items()))


def test_method_is_one_text_with_the_case_s_numbers():
    of = case()
    text = method_text(of)
    assert all(len(line) <= 78 for line in text.splitlines())
    assert "{" not in text
    assert "55 m/s (198 km/h, 123 mph)" in plain(text)
    assert [heading for heading, paragraphs in method_sections(of) if not paragraphs] == []
    wider = told(of, parameters={**of.match["parameters"], "uncertainty_m": 50.0})
    assert "known to within 50 m, the vicinity is widened" in plain(method_text(wider))


def test_drawings_are_figures_with_their_alternative_text():
    drawings = {name: Drawing(SVG, f"What {name} shows", 165.0, 80.0) for name in DRAWINGS}
    with pikepdf.open(io.BytesIO(pdf(case(), drawings))) as document:
        alts = [str(element.Alt) for element in elements(document) if element.S == "/Figure"]
    assert alts == [f"What {name} shows" for name in DRAWINGS]
    some = {"tracks_map": Drawing(SVG, '#eval("1") \u202e\x07 alt', 165.0, 80.0), "key": None}
    assert "There is nothing to draw for this exhibit" in " ".join(pages_of(pdf(case(), some)))


def test_attachments_are_carried_within():
    data = b"number,time\r\n1,2026-06-15T22:00:00Z\r\n"
    with pikepdf.open(io.BytesIO(pdf(case(), {}, {"fixes.csv": data}))) as document:
        assert document.attachments["fixes.csv"].get_file().read_bytes() == data


# An independent look at the file


@pytest.mark.parametrize("name", ["placed", "excluded", "possible", "unmonitored", "hostile"])
def test_tagged_archival_and_whole(name):
    with pikepdf.open(io.BytesIO(made(name))) as document:
        root = document.Root
        assert root.MarkInfo.Marked
        assert root.Lang == "en-GB"
        assert root.ViewerPreferences.DisplayDocTitle
        with document.open_metadata() as xmp:
            assert (xmp["pdfaid:part"], xmp["pdfaid:conformance"], xmp["pdfuaid:part"]) == ("3", "A", "1")
            assert xmp["dc:title"].startswith("The record ")
        kinds = [str(element.S) for element in elements(document)]
        assert kinds.count("/H1") >= 12
        assert {"/Table", "/TH", "/TD", "/P", "/L"} <= set(kinds)
        assert all("/Tabs" in page and page.Tabs == "/S" for page in document.pages if "/Annots" in page)
        found = fonts(document)
        assert found
        for font in found:
            if font.Subtype != "/Type0":
                descriptor = font.FontDescriptor
                assert any(key in descriptor for key in ("/FontFile", "/FontFile2", "/FontFile3"))
        names = {str(font.BaseFont) for font in found}
        assert all("Libertinus" in name or "DejaVu" in name for name in names)


def test_dated_by_the_case():
    of = case()
    with pikepdf.open(io.BytesIO(made("placed"))) as document:
        written = {str(document.docinfo[key]) for key in ("/CreationDate", "/ModDate")}
    assert written == {datetime.fromtimestamp(of.dated_us // SECOND_US, UTC).strftime("D:%Y%m%d%H%M%SZ")}


MAKE = """
import hashlib, sys
from crime_match.evidence.report.report import pdf
from crime_match.evidence.report.statement import docx
from tests.evidence_case import hostile_case
of = hostile_case()
for data in (pdf(of, {}), docx(of)):
    print(hashlib.sha256(data).hexdigest())
"""


def made_elsewhere(seed, zone, lang):
    env = {key: value for key, value in os.environ.items() if key not in {"SOURCE_DATE_EPOCH", "LC_ALL"}}
    env |= {"PYTHONHASHSEED": seed, "TZ": zone, "LANG": lang, "PYTHONPATH": str(HOME)}
    done = subprocess.run([sys.executable, "-c", MAKE], env=env, cwd=HOME, capture_output=True, text=True, check=True)
    return done.stdout


def test_same_bytes_in_other_processes():
    here = made_elsewhere("1", "Pacific/Auckland", "C")
    assert here == made_elsewhere("2", "America/New_York", "de_DE.UTF-8")
    assert hashlib.sha256(made("hostile")).hexdigest() in here


# Foreign text


def test_hostile_text_is_shown_as_data():
    text, _ = front_of(made("hostile"))
    assert '=HYPERLINK("http://x")<b>#eval("1")*_`$x$</b> [U+202E]' in text
    assert '<script>alert(1)</script> #include "x" =1+1 xxx' in text
    assert "more characters)" in text
    assert "are shown by their Unicode number" in text
    assert '../CR"<1>&=cmd' in text
    with pikepdf.open(io.BytesIO(made("hostile"))) as document:
        assert '../CR"<1>&=cmd' in str(document.docinfo.Title)
        assert not any(
            "/A" in annotation
            for page in document.pages
            for annotation in page.get("/Annots", [])
            if "/Dest" not in annotation
        )


def test_every_character_that_is_shown_can_be_printed():
    """Typst refuses a character that no font has; so what `shown` lets through is what the fonts have."""
    letters = [chr(code) for code in range(0x21, 0x3000) if not words.is_changed(chr(code))]
    assert len(letters) > 1_100
    name = " ".join(letters)
    of = case(text="a \U0001f600 \x07 \u0653 b " + name)
    assert words.shown("a\U0001f600\x07") == "a[U+1F600][U+0007]"
    assert "[U+1F600] [U+0007]" in " ".join(pages_of(pdf(of, {})))


@given(st.text(max_size=60))
def test_shown_is_plain_and_loses_nothing_silently(text):
    shown = words.shown(text)
    plain = shown.replace("\u200b", "")
    right_to_left = any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in plain)
    assert plain.startswith("\u2068") == plain.endswith("\u2069") == right_to_left
    bare = plain.removeprefix("\u2068").removesuffix("\u2069")  # the isolate is ours, and nothing in it turns its outside
    assert not words.is_changed(bare)
    assert plain == words.shown(bare).replace("\u200b", "")
    assert words.is_changed(text) == ("[U+" in shown) or "[U+" in text


def test_cut_text_says_how_much_is_missing():
    assert words.shown("x" * 300, 240).endswith("… (and 60 more characters)")
    assert words.shown("y" * 80, 60) == "\u200b".join(["y" * 20] * 3) + "…"
    assert words.shown("a" * 64) == "a" * 64


# Words


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 seconds"), (0.9, "0 seconds"), (61, "1 minute 1 second"), (7_320, "2 hours 2 minutes")]
)
def test_lasting(seconds, text):
    assert words.lasting(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.999999, "99.9 %"), (1.0, "100 %"), (0.5, "50 %"), (0.8941, "89.4 %"), (0.29, "29 %"), (0.0, "0 %")],
)
def test_percent_never_rounds_up(share, text):
    assert words.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"), [(3.856, "3.9 m"), (100.0, "100 m"), (2_317.8, "2,318 m"), (93_894.7, "93.9 km")]
)
def test_metres(value, text):
    assert words.metres(value) == text


def test_times_name_both_days_and_both_zones_over_a_change_of_clocks():
    start_us = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()) * SECOND_US
    assert words.from_to(start_us, start_us + 3_600 * SECOND_US, "Europe/London") == (
        "25 October 2026, 01:30:00 BST to 01:30:00 GMT"
    )
    assert words.from_to(start_us, start_us + 86_400 * SECOND_US, "Europe/London") == (
        "25 October 2026, 01:30:00 BST to 26 October 2026, 00:30:00 GMT"
    )
