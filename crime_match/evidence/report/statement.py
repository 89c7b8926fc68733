"""The draft of a witness statement (Criminal Justice Act 1967, section 9) as DOCX: facts of the record, blanks for its maker.

It makes no declaration: the wording is that of the form in use, and it is for the maker to enter and to sign.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from docx import Document as new_document
from docx.document import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor
from docx.text.paragraph import Paragraph

from crime_match.evidence.case import Case
from crime_match.evidence.report.facts import paragraphs, spans
from crime_match.evidence.report.words import shown
from crime_match.evidence.rows import fix_rows

EXHIBITS = (
    ("TW/01", "Map of tracks"), ("TW/02", "Map of detail, with circles and numbered positions"), ("TW/03", "Key to the maps"),
    ("TW/04", "Table of positions"), ("TW/05", "Coverage of the window, with gaps"), ("TW/06", "Routine"),
)  # fmt: skip
DRAFT = "DRAFT. This is not a statement until its maker has read it, corrected it and signed it."
_BLANK, _LINE = "_" * 30, "_" * 76
_SPAN_HEAD = (
    "",
    "First position, local time",
    "First position, UTC",
    "Last position, local time",
    "Last position, UTC",
    "Positions",
)
_FONT, _MOST_TOGETHER = "Arial", 6
_MAKER = "docProps/app.xml"
"""Where the template says that Word made it."""


def docx(case: Case) -> bytes:
    """The draft statement of a case; the same bytes each time."""
    document = new_document()
    _dress(document, case)
    _opening(document)
    told = fix_rows(case)
    for number, text in enumerate(paragraphs(case, told), 1):
        _add(document, f"{number}.\t{text}", indent=True)
    rows = spans(case, told)
    if rows:
        _table(document, _SPAN_HEAD, rows, (18, 31, 31, 31, 31, 24))
    _add(document, "Exhibits", bold=True)
    _add(document, f"I produce the following, which are part of the report on run {case.run.id[:16]}:", stays=True)
    _table(document, ("Exhibit", "What it is"), EXHIBITS, (25, 141))
    _closing(document)
    _drop_leftovers(document)
    return _packed(document)


def _dress(document: Document, case: Case) -> None:
    """Page, font, language, header and footer; properties with the case's date, never the clock's."""
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(22)
    section.top_margin, section.bottom_margin = Mm(22), Mm(22)
    style: Any = document.styles["Normal"]
    style.font.name, style.font.size = _FONT, Pt(10.5)
    style.paragraph_format.space_after = Pt(6)
    fonts = style.element.rPr.rFonts
    for script in ("w:ascii", "w:hAnsi", "w:cs", "w:eastAsia"):
        fonts.set(qn(script), _FONT)
    for language in document.styles.element.iter(qn("w:lang")):
        language.set(qn("w:val"), "en-GB")
    dated = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=case.dated_us)).replace(microsecond=0, tzinfo=None)
    properties = document.core_properties
    properties.created = properties.modified = properties.last_printed = dated
    properties.title, properties.author, properties.last_modified_by = "Witness statement (draft)", "Tagwatch", "Tagwatch"
    properties.comments, properties.keywords, properties.language, properties.revision = "", "", "en-GB", 1
    head = section.header.paragraphs[0]
    _run(head, DRAFT, bold=True, colour=RGBColor(0x8F, 0x1D, 0x14), size=9)
    foot = section.footer.paragraphs[0]
    _run(foot, f"Signature: {_BLANK}   Witnessed by: {_BLANK}", size=9)
    pages = section.footer.add_paragraph()
    pages.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    _run(pages, "Crime " + shown(case.crime.reference, 54) + "    Page ", size=9)
    _field(pages, "PAGE")
    _run(pages, " of ", size=9)
    _field(pages, "NUMPAGES")


def _opening(document: Document) -> None:
    _add(document, "WITNESS STATEMENT", bold=True, size=15, centred=True)
    _add(document, "Criminal Justice Act 1967, section 9", centred=True)
    blanks = ("Unique reference number", "Statement of (full name)", "Age if under 18 (otherwise “over 18”)", "Occupation")
    _table(document, (), [(f"{name}:", "") for name in blanks], (70, 96))
    _add(document, "Declaration", bold=True)
    _add(
        document,
        "[The maker enters here the declaration of the form in use, with the number of pages. This draft declares nothing.]",
    )
    for _ in range(3):
        _add(document, _LINE)
    _add(document, f"Signature: {_BLANK}    Date: {'_' * 20}")
    _add(document, "Facts from the record", bold=True)
    _add(
        document,
        "I have / have not [delete one] examined the records described here myself. What I know of them, and how: "
        + "_" * 50,
    )


def _closing(document: Document) -> None:
    _add(
        document,
        "[The maker adds here, in their own words, what else they can say of their own knowledge, or strikes this out.]",
    )
    for _ in range(2):
        _add(document, _LINE)
    _add(document, f"Signature: {_BLANK}    Date: {'_' * 20}")
    _add(document, f"Signature witnessed by: {_BLANK}")


def _add(
    document: Document, text: str, *, bold: bool = False, size: float = 10.5, centred: bool = False, indent: bool = False,
    stays: bool = False,
) -> None:  # fmt: skip
    paragraph = document.add_paragraph()
    if centred:
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    if indent:
        paragraph.paragraph_format.left_indent, paragraph.paragraph_format.first_line_indent = Mm(8), Mm(-8)
        paragraph.paragraph_format.tab_stops.add_tab_stop(Mm(8))
    paragraph.paragraph_format.keep_with_next = bold or stays
    _run(paragraph, text, bold=bold, size=size)


def _run(
    paragraph: Paragraph, text: str, *, bold: bool = False, size: float = 10.5, colour: RGBColor | None = None
) -> None:  # fmt: skip
    run = paragraph.add_run(text)
    run.bold, run.font.size = bold, Pt(size)
    if colour is not None:
        run.font.color.rgb = colour


def _field(paragraph: Paragraph, code: str) -> None:
    """A field that the word processor fills: PAGE, NUMPAGES."""
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), code)
    run = paragraph.add_run("1")
    run.font.size = Pt(9)
    field.append(run._r)
    paragraph._p.append(field)


def _table(document: Document, head: Sequence[str], rows: Iterable[Sequence[str]], widths_mm: Sequence[int]) -> None:
    table = document.add_table(rows=0, cols=len(widths_mm))
    table.style, table.autofit = "Table Grid", False
    for column, width in zip(table.columns, widths_mm, strict=True):
        column.width = Mm(width)
    for k, texts in enumerate([head, *rows] if head else rows):
        row = table.add_row()
        if head and not k:
            mark = OxmlElement("w:tblHeader")
            row._tr.get_or_add_trPr().append(mark)
        for cell, text, width in zip(row.cells, texts, widths_mm, strict=True):
            cell.width = Mm(width)
            form = cell.paragraphs[0].paragraph_format
            form.space_after, form.keep_with_next = Pt(2), k < _MOST_TOGETHER
            _run(cell.paragraphs[0], text, bold=bool(head) and not k, size=9.5)
    document.add_paragraph().paragraph_format.space_after = Pt(0)


def _drop_leftovers(document: Document) -> None:
    """Parts of the empty template that say nothing of this file: its picture, styles for an older Word."""
    for owner in (document.part.package, document.part):
        for name, relation in list(owner.rels.items()):
            if relation.reltype.endswith(("/thumbnail", "/stylesWithEffects")):
                del owner.rels[name]


def _packed(document: Document) -> bytes:
    """The file with its members stored, in a fixed order and without the time at which they were written."""
    written, out = io.BytesIO(), io.BytesIO()
    document.save(written)
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for name in sorted(source.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            data = source.read(name)
            packed.writestr(entry, data.replace(b"Microsoft Macintosh Word", b"Tagwatch") if name == _MAKER else data)
    return out.getvalue()
