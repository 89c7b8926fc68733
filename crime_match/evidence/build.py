"""A pack from a case: every member made from what the match recorded, then signed. The same case gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from crime_match.evidence import tables
from crime_match.evidence.case import Case
from crime_match.evidence.drawing.base_map import BaseMap
from crime_match.evidence.drawing.chart import coverage_chart, routine_chart
from crime_match.evidence.drawing.detail_map import detail_map
from crime_match.evidence.drawing.key import key
from crime_match.evidence.drawing.tracks_map import tracks_map
from crime_match.evidence.geo import geojson, geopackage, kml
from crime_match.evidence.geo.features import layers_of
from crime_match.evidence.manifest import encode, manifest_of, sums_of
from crime_match.evidence.pack import MANIFEST, SIGNATURE, SUMS, write
from crime_match.evidence.readme import readme
from crime_match.evidence.report import report, statement
from crime_match.evidence.report.method import method_text
from crime_match.evidence.signing import detached, pdf

if TYPE_CHECKING:
    from crime_match.evidence.signing.keys import Signer

_OWN_FILES = ("match", "crime", "trail")
"""What of a case stands in files of its own."""


def build(case: Case, record: Mapping[str, bytes], signer: Signer | None = None, base: BaseMap | None = None) -> bytes:
    """The pack, signed where there is a signer. record: the files of the folder of that name that hold the trail, the crime,
    activations and events; base: what the maps are drawn on."""
    members = documents(case, base) | dict(record)
    members |= {"record/match.json": encode(case.match), "record/case.json": encode(facts(case))}
    if signer is None:
        members[MANIFEST] = manifest_of(case, members)
    else:
        reason = pdf.reason_for(case.crime.reference)
        members["report.pdf"] = pdf.sign(members["report.pdf"], signer, dated_us=case.dated_us, reason=reason)
        members[MANIFEST] = manifest_of(case, members, signer.fingerprint)
        members[SIGNATURE] = detached.sign(members[MANIFEST], signer)
    members[SUMS] = sums_of(members)
    return write(members)


def documents(case: Case, base: BaseMap | None = None) -> dict[str, bytes]:
    """The members that people read."""
    tracks, detail, coverage = tracks_map(case, base), detail_map(case, base), coverage_chart(case)
    drawings = {
        "tracks_map": tracks, "detail_map": detail, "key": key(case, (tracks, detail, coverage)), "coverage_chart": coverage,
        "routine_chart": routine_chart(case),
    }  # fmt: skip
    with ThreadPoolExecutor(1) as beside:  # Typst is half of the work, and holds no lock of Python while it sets the pages
        pages = beside.submit(report.pdf, case, drawings)
        layers = layers_of(case)
        rest = {
            "README.txt": readme(case), "statement.docx": statement.docx(case), "fixes.csv": tables.fixes_csv(case),
            "fixes.geojson": geojson.write(case, layers), "fixes.gpkg": geopackage.write(case, layers),
            "fixes.kml": kml.write(case, layers), "crime.csv": tables.crime_csv(case),
            "method.txt": method_text(case).encode(),
        }  # fmt: skip
        return rest | {"report.pdf": pages.result()}


def facts(case: Case) -> dict[str, Any]:
    """All else that a case tells, as plain data."""
    return {field.name: _plain(getattr(case, field.name)) for field in fields(case) if field.name not in _OWN_FILES}


def _plain(value: Any) -> Any:
    return value._asdict() if hasattr(value, "_asdict") else value
