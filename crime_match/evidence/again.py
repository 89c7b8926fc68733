"""A pack's documents made anew from its own record: whether what people read is what the record says, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

import msgspec
import pyogrio

from crime_match.crimes.crime import Crime
from crime_match.evidence.build import documents, facts
from crime_match.evidence.case import Case, Origin, Other, Person, Stale
from crime_match.evidence.manifest import UNREADABLE, check_form, manifest_of, read_shape
from crime_match.evidence.pack import DOCUMENTS, RECORD
from crime_match.evidence.signing import pdf
from crime_match.evidence.verify import Anew, Finding
from crime_match.runs.results_csv import guarded
from crime_match.runs.run import Run
from crime_match.verdicts import VERDICTS
from engine.errors import InputError
from engine.times import SECOND_US, parse_time, to_iso

REPORT = "report.pdf"
DRAWN = (REPORT, "statement.docx", "fixes.gpkg")
"""Documents whose bytes depend on more than is recorded: on a base map, on the libraries that write them."""
LARGEST_RECORD = 8 << 20
"""Bytes of a record from which documents are made anew: some 12,000 fixes. To set a report of more takes too long."""


def compare(members: Mapping[str, bytes], manifest: Mapping[str, Any], anew: Anew) -> list[Finding]:
    """Whether manifest and documents are what the record gives; anew: what was read and computed from the record's files."""
    if sum(len(data) for name, data in members.items() if name in RECORD) > LARGEST_RECORD:
        return [Finding(None, "documents: NOT COMPARED with the record, which is too large for it")]
    case = _case(members, manifest, anew)
    signer = read_shape(manifest).signer
    made = msgspec.json.decode(manifest_of(case, members, signer.fingerprint if signer else ""), type=dict[str, Any])
    wrong = [f"manifest.json: its {key} is not what the record says" for key in _differing(manifest, made)]
    wrong += _wrong_crime(case, members, anew)
    dated_us = _newest(anew)
    if case.dated_us != dated_us:
        wrong.append(
            f"manifest.json: it is dated {to_iso(case.dated_us)}, the newest of its inputs is of {to_iso(dated_us)}"
        )
    return [Finding(False, text) for text in wrong] or _documents(members, case)


def _case(members: Mapping[str, bytes], manifest: Mapping[str, Any], anew: Anew) -> Case:
    """The case that the pack was built from. InputError where the record does not hold one."""
    name = "record/case.json"
    try:
        told = msgspec.json.decode(members[name], type=_Facts)
        match = msgspec.json.decode(members["record/match.json"], type=dict[str, Any])
        crime = msgspec.convert(manifest["crime"], _Crime)
    except (KeyError, *UNREADABLE) as error:
        raise InputError(f"the case cannot be read: {error}") from None
    if len(told.origins) not in (0, len(anew.trail.fixes)):
        raise InputError(f"{name}: tells the origins of {len(told.origins)} fixes", expected=str(len(anew.trail.fixes)))
    values = {field: getattr(told, field) for field in told.__struct_fields__}
    values["counts"] = {verdict: told.counts[verdict] for verdict in (*VERDICTS, *told.counts) if verdict in told.counts}
    values["run"] = Run(told.run.algorithm, told.run.parameters, told.run.inputs)
    case = Case(match=match, crime=crime.crime(), trail=anew.trail, **values)
    check_form(name, members[name], facts(case))
    return case


def _differing(manifest: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    """Keys of a manifest whose values are others than the record gives. Another version may have computed other fields; the
    members' hashes are looked at by themselves."""
    keys = {*manifest, *made} - {"members"}
    if _other_versions(made["software"]):
        keys -= {"recomputed", "recorded"}
    return sorted(key for key in keys if key not in manifest or key not in made or manifest[key] != made[key])


def _wrong_crime(case: Case, members: Mapping[str, bytes], anew: Anew) -> list[str]:
    """What the match was computed with and what the manifest, the documents and the recorded line say was asked."""
    one, other = case.crime.record(), anew.crime.record()
    texts = "force", "reference", "type"
    wrong = [key for key in texts if guarded(one[key]) != other[key]]
    wrong += [key for key in ("from", "to", "lat", "lon", "uncertainty_m") if one[key] != other[key]]
    wrong += [
        key for told, key in (("crime", "reference"), ("force", "force")) if case.match.get(told, one[key]) != one[key]
    ]
    return [f"record/crimes.csv: the {key} of the crime is another than the manifest or the match says" for key in wrong]


def _newest(anew: Anew) -> int:
    """The newest of the inputs [us UTC], which is a pack's date."""
    received_s = anew.trail.fixes.received_s
    dates = [event.received_s for event in anew.trail.events] + ([int(received_s.max())] if len(received_s) else [])
    return max(anew.crime.to_us, *(second * SECOND_US for second in dates))


def _documents(members: Mapping[str, bytes], case: Case) -> list[Finding]:
    made = documents(case)
    if case.signer:
        reason = pdf.reason_for(case.crime.reference)
        made[REPORT] = _signed(made[REPORT], members.get(REPORT, b""), case.dated_us, reason)
    same = [name for name in DOCUMENTS if made[name] == members.get(name)]
    other = [name for name in DOCUMENTS if name in members and name not in same]
    found = [Finding(True, f"documents: made anew from the record, byte for byte: {', '.join(same)}")] if same else []
    versions = _other_versions(case.software)
    if versions and other:
        text = f"documents: NOT COMPARED with the record: {', '.join(other)}: made by other versions: {versions}"
        return [*found, Finding(None, text)]
    found += [Finding(False, f"{name}: is not what the record gives") for name in other if name not in DRAWN]
    return found + [Finding(None, _doubt(name)) for name in other if name in DRAWN]


def _doubt(name: str) -> str:
    drawn = "its maps were drawn on a base map, or " if name == REPORT else ""
    return f"{name}: IS NOT WHAT THE RECORD GIVES HERE: {drawn}other libraries wrote it, or somebody changed it"


def _signed(made: bytes, signed: bytes, dated_us: int, reason: str) -> bytes:
    try:
        return pdf.signed_again(made, signed, dated_us=dated_us, reason=reason)
    except InputError:
        return made  # told where signatures are checked


def _other_versions(software: Mapping[str, str]) -> str:
    """What is of another version here than where the pack was built, in words."""
    here = {name: _version(name) for name in software}
    return ", ".join(
        f"{name} {told} (here {here[name] or 'none'})" for name, told in software.items() if here[name] != told
    )


def _version(name: str) -> str:
    if name == "gdal":
        return str(pyogrio.__gdal_version_string__)
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


class _Ran(msgspec.Struct):
    algorithm: str
    parameters: dict[str, Any]
    inputs: dict[str, Any]


class _Facts(msgspec.Struct):
    """What record/case.json holds."""

    run: _Ran
    counts: dict[str, int]
    others: list[Other]
    person: Person
    origins: list[Origin | None]
    configuration: dict[str, str]
    software: dict[str, str]
    timezone: str
    dated_us: int
    stale: Stale | None
    signer: str


class _Crime(msgspec.Struct, forbid_unknown_fields=True, rename={"from_text": "from", "to_text": "to"}):
    """The crime as a manifest holds it: `Crime.record`."""

    force: str
    reference: str
    type: str
    from_text: str
    to_text: str
    lat: float
    lon: float
    uncertainty_m: float
    text: str
    batch: str
    easting_m: float | None
    northing_m: float | None

    def crime(self) -> Crime:
        """As a crime; InputError for a time that is none."""
        return Crime(
            self.force, self.reference, self.type, parse_time(self.from_text), parse_time(self.to_text), self.lat, self.lon,
            self.uncertainty_m, self.text, self.batch, self.easting_m, self.northing_m,
        )  # fmt: skip
