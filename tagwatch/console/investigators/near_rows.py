"""What a page shows of the matches of a question: grouped by verdict, of placements by how far they carry; and as a map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from crime_match.question import Question
from crime_match.verdicts import CELL, EXCLUDED, PLACED, POSSIBLE, STRONG, UNMONITORED, WEAK
from engine.flags import WEIGHTLESS, flag_names
from tagwatch.console.geo_features import Feature, circle_feature, fix_feature, point_feature

Row = Mapping[str, Any]
"""A match as `Match.record` gives it."""


_BARE = frozenset(flag_names(WEIGHTLESS))


class Group(NamedTuple):
    """A group of matches: key, verdict, heading, what it means, and its rows."""

    key: str
    verdict: str
    heading: str
    meaning: str
    rows: Sequence[Row]


_GROUPS = (
    ("strong", PLACED, STRONG, "Placed, strong",
     "Fixes lie inside the vicinity, and two or more of them make presence at least 95 % probable."),
    ("weak", PLACED, WEAK, "Placed, weak", "At least one fix lies at least half inside the vicinity; too little to be sure."),
    ("cell", PLACED, CELL, "Placed by telephone masts only",
     "Mast positions cover hundreds of metres. Do not count these with the others."),
    ("possible", POSSIBLE, None, "Possible", "Not placed, but the fixes leave a way to have been there."),
    ("excluded", EXCLUDED, None, "Excluded",
     "At every instant of the window out of reach at the maximum speed, with the tag on."),
    ("unmonitored", UNMONITORED, None, "Not monitored",
     "No usable fix in the window, and those beside it do not exclude. This says nothing for or against."),
)  # fmt: skip


UNREAD = (EXCLUDED, UNMONITORED)
"""Groups whose wearers need not be read to be counted."""


def groups_of(rows: Sequence[Row]) -> list[Group]:
    """All groups, also the empty ones, each in the order of its rows."""
    return [
        Group(key, verdict, heading, meaning, [row for row in rows if _is(row, verdict, support)])
        for key, verdict, support, heading, meaning in _GROUPS
    ]


def _is(row: Row, verdict: str, support: str | None) -> bool:
    return row["verdict"] == verdict and (support is None or row["support"] == support)


def counts_of(rows: Sequence[Row]) -> dict[str, int]:
    """How many rows each group has."""
    return {group.key: len(group.rows) for group in groups_of(rows)}


def features_of(question: Question, rows: Sequence[Row], name: str) -> Iterator[Feature]:
    """The place with its vicinity, called `name`, and the fixes in the window of who is placed, for the map."""
    wider = [("Widened vicinity", question.reach_m)] if question.uncertainty_m else []
    for title, radius_m in [*wider, ("Vicinity", question.radius_m)]:
        yield circle_feature(question.lat, question.lon, radius_m, title=f"{title}: {radius_m:g} m about the place")
    yield point_feature("crime", question.lat, question.lon, title=name)
    for row in rows:
        if row["verdict"] == PLACED:
            yield from map(partial(_fix, row), row["fixes"])


def _fix(row: Row, fix: Row) -> Feature:
    when = fix["time"][:19].replace("T", " ")
    return fix_feature(
        fix["lat"], fix["lon"], fix["time"], fix["radius_m"], verdict=row["verdict"], source=fix["source"], p=fix["p"],
        label=f"{row['wearer']} {fix['label']}" if fix["label"] else "", weight=not _BARE.intersection(fix["flags"]),
        title=f"{row['wearer']}, {when} UTC, {fix['distance_m']:.0f} m from the place, accuracy {fix['radius_m']:.0f} m",
    )  # fmt: skip
