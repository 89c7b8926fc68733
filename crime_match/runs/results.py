"""Results of a run as they are written: lines of JSON, the ministry's CSV, or GeoJSON, one crime after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

import msgspec

from crime_match.match import CrimeMatches
from crime_match.question import Parameters
from crime_match.runs import results_csv, results_geojson
from crime_match.runs.results_csv import People
from crime_match.verdicts import CELL, STRONG, WEAK

FORMATS = ("jsonl", "csv", "geojson")


class Form(NamedTuple):
    """The bytes of one crime (none where there is nothing to say), and those before, between and after the crimes."""

    of_crime: Callable[[CrimeMatches], bytes]
    opening: bytes = b""
    separator: bytes = b""
    closing: bytes = b""


def form_of(name: str, parameters: Parameters, people: People, *, counted: bool = False) -> Form:
    """One of FORMATS; `counted`: JSON lines end each crime with how many wearers had which verdict."""
    if name == "csv":
        return Form(lambda found: results_csv.rows_of(found, people), results_csv.header())
    if name == "geojson":
        marks = results_geojson.OPENING, results_geojson.SEPARATOR, results_geojson.CLOSING
        return Form(lambda found: results_geojson.features_of(found, parameters), *marks)
    return Form(lambda found: lines_of(found, counted=counted))


def write(form: Form, results: Iterable[CrimeMatches], file: BinaryIO) -> Iterator[CrimeMatches]:
    """Hand the results on, each written to the file first; what closes the file is written when the last was taken."""
    file.write(form.opening)
    between = b""
    for found in results:
        if part := form.of_crime(found):
            file.write(between + part)
            between = form.separator
        yield found
    file.write(form.closing)


def lines_of(found: CrimeMatches, *, counted: bool) -> bytes:
    """A line of JSON for each match; then, where counted, one of `crime`, `force` and `counts`: it has no `wearer`."""
    lines = [match.to_json().encode() for match in found.matches]
    if counted:
        told = {"crime": found.crime.reference, "force": found.crime.force, "counts": dict(found.counts)}
        supports = Counter(match.support for match in found.matches if match.support)
        if found.counts["placed"] == supports.total():
            told["placed"] = {support: supports[support] for support in (STRONG, WEAK, CELL)}
        lines.append(msgspec.json.encode(told))
    return b"".join(line + b"\n" for line in lines)
