"""Results of a run as they are written: lines of JSON, the ministry's CSV, or GeoJSON, one crime after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import BinaryIO, NamedTuple

import msgspec

from crime_match.match import CrimeMatches
from crime_match.question import Parameters
from crime_match.runs import results_csv, results_geojson
from crime_match.runs.results_csv import People
from crime_match.runs.staleness import RunCrime
from crime_match.runs.store import Result
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
    lines = b"".join(match.to_json().encode() + b"\n" for match in found.matches)
    supports = (match.support for match in found.matches)
    return lines + _counts(found.crime.reference, found.crime.force, found.counts, supports) if counted else lines


def kept_lines(crimes: Iterable[RunCrime], results: Iterable[Result], *, counted: bool) -> Iterator[bytes]:
    """The lines of a recorded run, as `lines_of` wrote them: its crimes and its results, both in the run's order."""
    rest = iter(results)
    for crime in crimes:
        supports = []
        for result in islice(rest, crime.n_lines):
            supports.append(result.support)
            yield result.line.encode() + b"\n"
        if counted:
            yield _counts(crime.reference, crime.force, crime.counts, supports)


def _counts(reference: str, force: str, counts: Mapping[str, int], supports: Iterable[str | None]) -> bytes:
    """All wearers by verdict; where all who are placed are listed, how far these placements carry."""
    told = {"crime": reference, "force": force, "counts": dict(counts)}
    carried = Counter(support for support in supports if support)
    if counts["placed"] == carried.total():
        told["placed"] = {support: carried[support] for support in (STRONG, WEAK, CELL)}
    return msgspec.json.encode(told) + b"\n"
