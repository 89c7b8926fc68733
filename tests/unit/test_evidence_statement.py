"""statement.docx of a pack: facts and blanks, page fields, nothing declared for its maker, the same bytes."""

import io
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from docx import Document

from crime_match.evidence.case import Stale
from crime_match.evidence.report.facts import paragraphs, spans
from crime_match.evidence.report.statement import DRAFT, EXHIBITS, docx
from crime_match.evidence.rows import fix_rows, local_text, utc_text
from engine.activations import Activation
from engine.times import SECOND_US, parse_time
from tests.evidence_case import case, hostile_case
from tests.unit.test_evidence_report import told, unmonitored

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
CASES = {
    "placed": case, "excluded": lambda: case(far_m=90_000.0), "possible": lambda: case(far_m=30_000.0),
    "unmonitored": unmonitored, "hostile": hostile_case,
}  # fmt: skip


def read(of):
    return Document(io.BytesIO(docx(of)))


def text_of(document):
    return "\n".join(paragraph.text for paragraph in document.paragraphs).replace("\u200b", "")


def table(document, head):
    """The rows of the table with this head."""
    [found] = [table for table in document.tables if table.rows[0].cells[0].text == head]
    return [[cell.text for cell in row.cells] for row in found.rows]


@pytest.mark.parametrize("name", CASES)
def test_has_the_form_s_blanks_and_declares_nothing(name):
    document = read(CASES[name]())
    text = text_of(document)
    assert "WITNESS STATEMENT" in text
    assert "Criminal Justice Act 1967, section 9" in text
    blanks = table(document, "Unique reference number:")
    assert [row[0] for row in blanks] == [
        "Unique reference number:", "Statement of (full name):", "Age if under 18 (otherwise “over 18”):", "Occupation:",
    ]  # fmt: skip
    assert all(row[1] == "" for row in blanks)
    assert len(re.findall(r"Signature: _+ +Date: _+", text)) == 2
    assert "This draft declares nothing." in text
    assert document.sections[0].header.paragraphs[0].text == DRAFT
    assert not re.search(r"true to the best|liable to prosecution|I believe|guilt|committed", text)


def test_placed_gives_first_and_last_of_each_visit():
    of = case()
    document, rows = read(of), fix_rows(of)
    placing = [row for row in rows if row.label]
    head, visit = table(document, "")
    assert len(head) == len(visit) == 6
    ends = [
        text for row in (placing[0], placing[-1]) for text in (local_text(row.time_us, of.timezone), utc_text(row.time_us))
    ]
    assert visit == ["Visit A", *ends, "11"]
    recorded = of.match["visits"][0]
    assert ends[1] == utc_text(parse_time(recorded["entered"]))
    assert ends[3] == utc_text(parse_time(recorded["left"]))
    text = text_of(document)
    assert (
        "11 positions of the tag in the window for which at least 50 % of the circle lies in the vicinity, in 1 visit"
        in text
    )
    assert "recorded as “strong”" in text
    assert "16 June 2026, 00:00:00 BST to 01:00:00 BST, at latitude 51.5000000, longitude -0.1200000 (WGS84)" in text
    assert of.run.id in text


def test_several_visits_have_a_row_each():
    of = case()
    labels = iter(["A1", "A2", "B1", "AA1", "AA2", "AA3"])
    rows = [row._replace(label=next(labels, "")) if row.label else row for row in fix_rows(of)]
    assert [(row[0], row[-1]) for row in spans(of, rows)] == [("Visit A", "2"), ("Visit B", "1"), ("Visit AA", "3")]


def test_what_other_verdicts_say():
    text = text_of(read(case(far_m=90_000.0)))
    assert "outside the vicinity at every moment of the window. To have been in it, 145.69 m/s" in text
    assert "does not rule presence out. Presence would have needed 50.71 m/s" in text_of(read(case(far_m=30_000.0)))
    silent = read(unmonitored())
    assert "neither places the wearer nor rules them out" in text_of(silent)
    assert [t.rows[0].cells[0].text for t in silent.tables] == ["Unique reference number:", "Exhibit"]
    assert table(read(case(far_m=90_000.0)), "")[1][0] == "Window"


def test_masts_stale_and_no_fittings_are_said():
    of = case()
    assert "All of these positions come from phone masts." in text_of(read(told(of, support="cell")))
    assert "Version 3 has come since." in text_of(read(replace(of, stale=Stale(1, 3, []))))
    bare = replace(of, trail=of.trail._replace(activations=(), devices=()))
    assert "The pack holds no record of its fitting." in text_of(read(bare))
    assert any("By the record of fittings it was assigned to Alex Example" in line for line in paragraphs(of, fix_rows(of)))


def test_a_fitting_that_nobody_recorded_is_not_claimed():
    of = case()
    bare = replace(of, trail=of.trail._replace(activations=(Activation("T1001", "W1", -(2**62)),)))
    assert "The pack holds no record of its fitting." in text_of(read(bare))
    assert "By the record of fittings" not in text_of(read(bare))


def test_the_highest_probability_is_told_beside_the_support():
    text = text_of(read(told(case(), support="weak", probability=0.0412)))
    assert "recorded as “weak”. The highest probability of presence that it gives for any position is 0.041." in text


def test_columns_have_their_widths_for_every_word_processor():
    document = read(case())
    [exhibits] = [table for table in document.tables if table.rows[0].cells[0].text == "Exhibit"]
    assert [round(column.width.mm) for column in exhibits.columns] == [25, 141]
    assert [round(cell.width.mm) for cell in exhibits.rows[1].cells] == [25, 141]


def test_exhibits_are_those_of_the_report():
    assert table(read(case()), "Exhibit")[1:] == [list(exhibit) for exhibit in EXHIBITS]
    assert [name for name, _ in EXHIBITS] == [f"TW/0{k}" for k in range(1, 7)]


def test_pages_are_counted_by_fields():
    with zipfile.ZipFile(io.BytesIO(docx(case()))) as file:
        names = [name for name in file.namelist() if name.startswith("word/footer")]
        fields = [
            e.get(f"{W}instr") for name in names for e in ElementTree.fromstring(file.read(name)).iter(f"{W}fldSimple")
        ]
        texts = [e.text for name in names for e in ElementTree.fromstring(file.read(name)).iter(f"{W}t")]
    assert fields == ["PAGE", "NUMPAGES"]
    assert "XX" not in "".join(texts)
    assert "Page 1 of 1" in "".join(texts)  # what stands there until the fields are worked out


@pytest.mark.parametrize("name", CASES)
def test_file_is_sound_dated_by_the_case_and_stored(name):
    of = CASES[name]()
    data = docx(of)
    assert data == docx(of)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        entries = file.infolist()
        assert entries[0].filename == "[Content_Types].xml"
        assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
        assert not any("thumbnail" in entry.filename for entry in entries)
        for entry in entries:
            if entry.filename.endswith((".xml", ".rels")):
                ElementTree.fromstring(file.read(entry))
        targets = {e.get("Target") for e in ElementTree.fromstring(file.read("word/_rels/document.xml.rels"))}
        assert {f"word/{t}" for t in targets if not t.startswith(("..", "http"))} <= set(file.namelist())
        languages = {e.get(f"{W}val") for e in ElementTree.fromstring(file.read("word/styles.xml")).iter(f"{W}lang")}
    assert languages == {"en-GB"}
    properties = Document(io.BytesIO(data)).core_properties
    dated = datetime.fromtimestamp(of.dated_us // SECOND_US, UTC)
    assert (properties.created, properties.modified) == (dated, dated)
    assert (properties.author, properties.language) == ("Tagwatch", "en-GB")


def test_hostile_text_is_data():
    text = text_of(read(hostile_case()))
    assert '=HYPERLINK("http://x")<b>#eval("1")*_`$x$</b> [U+202E]' in text
    assert '../CR"<1>&=cmd' in text
    with zipfile.ZipFile(io.BytesIO(docx(hostile_case()))) as file:
        assert b"HYPERLINK" not in b"".join(
            re.findall(rb'w:instr="[^"]*"|<w:instrText.*?</w:instrText>', file.read("word/document.xml"))
        )
        assert b"\xe2\x80\xae" not in file.read("word/document.xml")
