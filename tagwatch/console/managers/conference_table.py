"""The figures of a case conference as columns, for the page and the PDF: what each is called, what it means, its cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from alerts.compliance import APART, Stays
from engine.wearers import Wearer
from tagwatch.compliance import Figures, Report, together
from tagwatch.compliance_table import COHORTLESS, cohorts
from tagwatch.console.managers.nights import LEGEND, clock_words, night_of, share_words

Cell = Callable[[Figures], str]


class Column(NamedTuple):
    """One figure: its short head, what it means, and how it is told of somebody's figures."""

    head: str
    meaning: str
    cell: Cell


class Group(NamedTuple):
    """Columns that belong together."""

    title: str
    columns: tuple[Column, ...]


class Row(NamedTuple):
    """One line of the table: somebody, or the sum of several (`who` is None)."""

    title: str
    cells: list[str]
    who: Wearer | None = None


class Matter(NamedTuple):
    """A wearer with nights to speak about, in words."""

    who: Wearer
    sentences: list[str]


def _n(count: int) -> str:
    return f"{count:,}" if count else "·"


def _t(time_us: int) -> str:
    return clock_words(time_us) if time_us else "·"


def _closed(f: Figures) -> str:
    closed = sum(n for state, n in f.handling.items() if state.startswith("closed"))
    return f"{closed} of {f.handling.total()}" if f.handling else "·"


def _windows(*verdicts: str) -> Cell:
    return lambda f: _n(sum(f.windows[verdict] for verdict in verdicts))


def _entries(kind: str) -> Cell:
    return lambda f: _n(f.zones[kind].n_entries)


def _wrong(kind: str) -> Cell:
    return lambda f: _t(f.zones[kind].wrong_us)


def _all(f: Figures) -> Stays:
    return Stays(*map(sum, zip(*f.zones.values(), strict=True)))


def _rules(*rules: str) -> Cell:
    return lambda f: _n(sum(f.rules[rule] for rule in rules))


NIGHTS = (
    Column(
        "Kept", "Nights kept, of those that are over and were monitored.", lambda f: f"{f.windows['kept']} of {f.judged}"
    ),
    Column("Partly", "Partly kept: away for longer than the grace, and there for some of it.", _windows("partly_kept")),
    Column("Missed", "Never seen to be there, and away for half of it at least.", _windows("missed")),
    Column("Not verifiable", "Too much of it unknown to say; never counted as kept.", _windows("not_verifiable")),
    Column("Apart", "Not judged: not over, authorised as a whole, or no activated tag.", _windows(*APART)),
    Column("Away", "Hours and minutes away in the nights that were judged, grace included.", lambda f: _t(f.away_us)),
    Column("Unknown", "Hours and minutes of those nights of which nothing is known.", lambda f: _t(f.unknown_us)),
    Column("Required", "Hours and minutes that were required in them.", lambda f: _t(f.required_us)),
)
ZONES = (
    Column("Entries", "Times inside an exclusion zone while it was in force.", _entries("exclusion")),
    Column("Inside", "Hours and minutes inside.", _wrong("exclusion")),
    Column("Exits", "Times outside an inclusion zone while it was in force.", _entries("inclusion")),
    Column("Outside", "Hours and minutes outside.", _wrong("inclusion")),
    Column(
        "Unknown", "Share of the time in force, zone by zone, of which nothing is known.", lambda f: share_words(_all(f))
    ),
)
TAG = (
    Column("Strap", "Times the strap was tampered with.", lambda f: _n(f.tag.n_strap)),
    Column("Case", "Times the case was tampered with.", lambda f: _n(f.tag.n_case)),
    Column("Flat", "Alerts of a battery that was critical or dead.", _rules("tag.battery_critical", "tag.battery_dead")),
    Column("No contact", "Hours and minutes without contact beyond the tag's plan.", lambda f: _t(f.tag.no_contact_us)),
)
ALERTS = (
    Column("All", "Alerts that began in the period.", lambda f: _n(f.grades.total())),
    Column("Critical", "Of these, critical.", lambda f: _n(f.grades["critical"])),
    Column("High", "Of these, high.", lambda f: _n(f.grades["high"])),
    Column("Closed", "How many of them people closed.", _closed),
)
GROUPS = (Group("Curfew nights", NIGHTS), Group("Zones", ZONES), Group("Tag", TAG), Group("Alerts", ALERTS))
"""All columns in their order."""
NOTES = (
    "Nights, zones and the tag are told from where the tag was, never from alerts. A night that nobody could verify is not a "
    "kept night.",
    "A night belongs to the local day on which it begins. Times are hours:minutes, seconds rounded up; a dot is none.",
    "Counts stand with what they are counted of. Wearers are not ranked: their conditions differ.",
)


def columns() -> Iterator[Column]:
    """The columns of all groups."""
    return (column for group in GROUPS for column in group.columns)


def cells(figures: Figures) -> list[str]:
    """The cells of a line."""
    return [column.cell(figures) for column in columns()]


def blocks(reports: Sequence[Report]) -> list[tuple[str, list[Row]]]:
    """By cohort a line for each wearer and, where there are several, their sum."""
    found = []
    for name, figures in cohorts(reports):
        mine = [r for r in reports if (r.wearer.cohort or COHORTLESS) == name]
        rows = [Row(r.wearer.name or r.wearer.wearer, cells(r.figures), r.wearer) for r in mine]
        words = "no cohort" if name == COHORTLESS else name
        if len(mine) > 1:
            rows.append(Row(f"All {figures.wearers:,} of {words}", cells(figures)))
        found.append((words, rows))
    return found


def total(reports: Sequence[Report]) -> Row:
    """The sum of everybody."""
    whole = together(reports)
    return Row("Everybody" if whole.wearers != 1 else "One wearer", cells(whole))


def matters(reports: Iterable[Report]) -> list[Matter]:
    """Of each wearer the nights that were not kept or not verifiable, oldest first."""
    found = []
    for report in reports:
        sentences = []
        for verdict in ("missed", "partly_kept", "not_verifiable"):
            nights = [night_of(w, report.timezone) for w in report.windows if w.verdict == verdict]
            told = [f"{n.day:%a %d %b}{_why(n.verdict, n.away, n.unknown)}" for n in nights]
            if told:
                sentences.append(f"{LEGEND[verdict][1].capitalize()}: {'; '.join(told)}.")
        if sentences:
            found.append(Matter(report.wearer, sentences))
    return found


def _why(verdict: str, away: str, unknown: str) -> str:
    if verdict == "not_verifiable":
        return f" (unknown {unknown})"
    return f" (away {away}{f', unknown {unknown}' if unknown else ''})"
