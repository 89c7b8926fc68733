"""Evidence packs as the commands make and check them: what a verdict rests on, as files of Tagwatch, and read again."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crime_match.crimes.crime import Crime
from crime_match.crimes.files import read_crimes
from crime_match.evidence.manifest import RECOMPUTED
from crime_match.evidence.signed_members import check_signatures
from crime_match.evidence.verify import Anew, Finding, Verification, refuse_algorithm, verify
from crime_match.near import match_of
from crime_match.question import Parameters
from crime_match.runs.results_csv import guarded
from crime_match.trails import WearerTrail
from engine.activations import FOREVER_US, Activation
from engine.errors import InputError
from engine.events import DeviceEvent
from engine.times import EARLIEST_US, HOUR_US, LATEST_US, SECOND_US, to_iso
from ingest.activation_files import COLUMNS as ACTIVATION_COLUMNS
from ingest.activation_files import read_activations
from ingest.csv_trail import COLUMNS as FIX_COLUMNS
from ingest.csv_trail import write_csv
from ingest.event_files import COLUMNS as EVENT_COLUMNS
from ingest.event_files import read_events
from ingest.trail_files import read_trail
from tagwatch.matching import presence_about, trails_of
from tagwatch.provenance import findings

MARGINS_US = (6 * HOUR_US, 48 * HOUR_US, 28 * 24 * HOUR_US, LATEST_US)
"""So far on both sides of the window a pack carries fixes: the least that gives the match again."""
CRIME_COLUMNS = ("force", "reference", "type", "from", "to", "lat", "lon", "uncertainty_m", "text")
_COLUMNS: Mapping[str, Sequence[str]] = {
    "crimes": CRIME_COLUMNS, "fixes": FIX_COLUMNS, "activations": ACTIVATION_COLUMNS, "events": EVENT_COLUMNS
}  # fmt: skip


def record_of(crime: Crime, trail: WearerTrail, parameters: Parameters, match: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a pack's record from which this match comes out again: as few fixes as give it.

    InputError where none do: the fixes, activations or events are not those that were matched.
    """
    question = parameters.ask(crime)
    for margin_us in MARGINS_US:
        rows = np.flatnonzero(
            (trail.fixes.time_us >= question.start_us - margin_us) & (trail.fixes.time_us <= question.end_us + margin_us)
        )
        files = _files(crime, trail, rows)
        found = match_in(files, parameters)[1]
        other = differing(found, match)
        if not other or len(rows) == len(trail.fixes):
            break
    if other:
        raise InputError(
            "the match does not come out of these fixes, activations and events again: " + ", ".join(other),
            expected="the inputs that were matched; match again where later ones have come",
        )
    return files


def differing(found: Mapping[str, Any], match: Mapping[str, Any]) -> list[str]:
    """The fields in which a match that was computed anew is another; what rests on other wearers or weeks is left out."""
    return [key for key in RECOMPUTED if found.get(key) != match.get(key)]


def match_in(files: Mapping[str, bytes], parameters: Parameters) -> tuple[WearerTrail, dict[str, Any]]:
    """The trail in the files of a record, and its match computed from them. InputError names the file that cannot be read."""
    anew = anew_in(files, parameters)
    return anew.trail, dict(anew.match)


def anew_in(files: Mapping[str, bytes], parameters: Parameters) -> Anew:
    """The crime and the trail in the files of a record, and the match computed from them; errors as in `match_in`."""
    with tempfile.TemporaryDirectory(prefix="tagwatch-") as folder:
        paths = {}
        for name, columns in _COLUMNS.items():
            data = files[f"record/{name}.csv"]
            if not data.startswith(",".join(columns[:2]).encode()):  # nothing packed is opened, whatever it would unfold to
                raise InputError("is not written as a record is", place=f"record/{name}.csv")
            paths[name] = Path(folder) / f"{name}.csv"
            paths[name].write_bytes(data)
        try:
            file = read_crimes(paths["crimes"])
            file.settle()
            activations = read_activations(paths["activations"])
            trails = trails_of(read_trail(paths["fixes"]), activations, read_events(paths["events"]))
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/", "record/")) from None
    if len(file.crimes) != 1 or len(trails) != 1:
        raise InputError(f"the record holds {len(file.crimes)} crimes and {len(trails)} wearers", expected="one of each")
    crime, trail = file.crimes[0], trails[0]
    return Anew(crime, trail, match_of(parameters.ask(crime), trail, presence_about, None, crime).record())


def parameters_in(run: Mapping[str, Any]) -> Parameters:
    """The parameters of a run, as it records them."""
    try:
        return Parameters(**{name: run[name] for name in Parameters._fields})
    except KeyError as error:
        raise InputError("the run lacks a parameter", field="parameters", value=str(error)) from None


def _files(crime: Crime, trail: WearerTrail, rows: NDArray[np.int64]) -> dict[str, bytes]:
    fixes = io.BytesIO()
    write_csv(trail.fixes.take(rows), fixes)
    place = repr(crime.lat), repr(crime.lon), repr(crime.uncertainty_m)
    names = (guarded(text) for text in (crime.force, crime.reference, crime.type))  # the text itself is in crime.csv
    told = *names, to_iso(crime.from_us), to_iso(crime.to_us), *place, ""
    return {
        "record/crimes.csv": _csv(CRIME_COLUMNS, [told]),
        "record/fixes.csv": fixes.getvalue(),
        "record/activations.csv": _csv(ACTIVATION_COLUMNS, map(_activation, trail.activations)),
        "record/events.csv": _csv(EVENT_COLUMNS, map(_event, trail.events)),
    }


def _activation(row: Activation) -> Sequence[object]:
    """Open ends are those of all time that a file can tell."""
    ends = to_iso(max(row.from_us, EARLIEST_US)), "" if row.to_us >= min(FOREVER_US, LATEST_US) else to_iso(row.to_us)
    plan = repr(row.percentile), row.fix_interval_s, row.upload_interval_s, row.grace_s, row.model
    return row.device, row.wearer, *ends, *plan


def _event(event: DeviceEvent) -> Sequence[object]:
    return event.device, to_iso(event.time_us), event.kind, event.value, to_iso(event.received_s * SECOND_US)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    return text.getvalue().encode()


def verify_pack(data: bytes, *, must_be_signed: bool = False, trust: Sequence[bytes] = ()) -> Verification:
    """All that can be checked of a pack on a machine that has nothing but Tagwatch."""
    from crime_match.evidence.again import compare  # what draws and sets documents takes 0.5 s to import

    def signatures(members: Mapping[str, bytes], manifest: Mapping[str, Any], anew: Anew | None) -> list[Finding]:
        return check_signatures(members, manifest, must_be_signed=must_be_signed, trust=trust)

    def origins(members: Mapping[str, bytes], manifest: Mapping[str, Any], anew: Anew | None) -> list[Finding]:
        return findings(members, anew.trail.fixes, trust) if anew else []  # told where the match is computed anew

    def made(members: Mapping[str, bytes], manifest: Mapping[str, Any], anew: Anew | None) -> list[Finding]:
        return compare(members, manifest, anew) if anew else []

    looks = {"documents": made, "origins": origins, "signatures": signatures}
    return verify(data, _recomputed, looks, trusted=bool(trust))


def _recomputed(members: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Anew:
    run = manifest["run"]
    refuse_algorithm(run["algorithm"], manifest["software"])
    anew = anew_in(members, parameters_in(run["parameters"]))
    again = _files(anew.crime, anew.trail, np.arange(len(anew.trail.fixes)))
    if other := [name for name, data in again.items() if data != members[name]]:
        raise InputError("is not written as a record is", place=other[0])
    return anew
