"""Matches as the ministry's table of 18 columns: one row for each wearer who is placed at a crime."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from crime_match.crimes.crime import Crime
from crime_match.match import CrimeMatches, Match
from crime_match.verdicts import PLACED
from engine.times import to_datetime
from engine.wearers import Wearer

COLUMNS = (
    "POLICE FORCE", "BATCH ID", "CRIME REF", "CRIME TYPE", "FROM DATE/TIME", "TO DATE/TIME", "CRIME LATITUDE",
    "CRIME LONGITUDE", "OTHER INFO", "DEVICE ID", "DEVICE NAME", "SUBJECT IDENTIFIER", "OFFENDER NAME", "NOMIS ID",
    "PNC REF", "OFFENDER ADDRESS", "OFFENDER DATE OF BIRTH", "OFFENDER MANAGER",
)  # fmt: skip
ZONE = ZoneInfo("Europe/London")
"""Times are written as theirs are: DD/MM/YYYY HH:MM on the clocks of this zone; seconds and offset are left out."""
_FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"  # and their full-width forms, which spreadsheets in Asian settings take for them
_BREAKS = "\t\r\n"


class People:
    """What is known of the wearers: their records, and the manager of each team by its name. Nobody need be known."""

    def __init__(self, wearers: Mapping[str, Wearer] | None = None, managers: Mapping[str, str] | None = None) -> None:
        self._wearers, self._managers = wearers or {}, managers or {}

    def wearer(self, wearer: str) -> Wearer | None:
        """The wearer's record, None where there is none."""
        return self._wearers.get(wearer)

    def name(self, wearer: str) -> str:
        """The wearer's name, or nothing."""
        known = self._wearers.get(wearer)
        return known.name if known else ""

    def manager(self, wearer: str) -> str:
        """The manager of the wearer's team, or nothing."""
        known = self._wearers.get(wearer)
        return self._managers.get(known.team, "") if known else ""


def header() -> bytes:
    """The line of column names."""
    return _line(COLUMNS)


def rows_of(found: CrimeMatches, people: People) -> bytes:
    """The rows of one crime: nothing where nobody is placed."""
    return b"".join(_line(_row(found.crime, match, people)) for match in found.matches if match.verdict == PLACED)


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula: an apostrophe before what begins like one (OWASP)."""
    begins = text.lstrip()[:1]
    return f"'{text}" if (begins and begins in _FORMULA) or (text[:1] and text[:1] in _BREAKS) else text


def _row(crime: Crime, match: Match, people: People) -> tuple[str, ...]:
    """NOMIS, PNC, address and date of birth stay empty: no record here holds them."""
    told = (crime.force, crime.batch, crime.reference, crime.type)
    place = (_when(crime.from_us), _when(crime.to_us), _degrees(crime.lat), _degrees(crime.lon))
    tag = (crime.text, match.device, "")
    person = (match.wearer, people.name(match.wearer), "", "", "", "", people.manager(match.wearer))
    return *map(guarded, told), *place, *map(guarded, (*tag, *person))


def _when(time_us: int) -> str:
    return to_datetime(time_us).astimezone(ZONE).strftime("%d/%m/%Y %H:%M")


def _degrees(value: float) -> str:
    """A number, which may well begin with a minus, to the grid of 1e-7 degree."""
    return f"{round(value, 7) + 0.0:.7f}".rstrip("0").rstrip(".")


def _line(cells: tuple[str, ...]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()
