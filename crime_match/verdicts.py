"""The four verdicts for one wearer: placed, possible, excluded, unmonitored. When in doubt, possible."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match.passage import Passage
from crime_match.question import STRONG_FIXES, STRONG_POSTERIOR, Question
from crime_match.reach import Reach, reach_of
from crime_match.tag_state import TagState
from crime_match.trails import WearerTrail
from engine.fixes import SOURCES
from engine.times import to_iso

PLACED, POSSIBLE, EXCLUDED, UNMONITORED = "placed", "possible", "excluded", "unmonitored"
STRONG, WEAK, CELL = "strong", "weak", "cell"
VERDICTS = (PLACED, POSSIBLE, EXCLUDED, UNMONITORED)
"""In the order in which they are listed."""
_MOST_TOLD = 3


class Verdict(NamedTuple):
    """The verdict, how far a placement carries, the lowest speed for presence [m/s], and the reasons as sentences."""

    name: str
    support: str | None
    required_speed_mps: float | None
    reasons: list[str]


def verdict_of(
    question: Question, trail: WearerTrail, passage: Passage, posterior: NDArray[np.float64] | None,
    tag: TagState | None = None,
) -> Verdict:  # fmt: skip
    """Decide; `posterior` of presence at each fix of the passage (n,), nan where none, or None where not computed; `tag` is
    the state of the trail's tags, where it was made before."""
    n_placing = int(passage.qualifies.sum())
    if n_placing >= question.min_fixes:
        return Verdict(PLACED, _support(trail, passage, posterior), None, [_placed_by(question, n_placing)])
    reach = reach_of(question, trail)
    hindrances = (tag or TagState(trail)).sentences(question, trail, reach.rests_on) + _strays(passage)
    outside = reach.exists and reach.needed_mps > question.max_speed_mps
    reasons = _short_of_placed(question, n_placing) + _position(question, reach, outside) + _contradictions(trail, reach)
    if outside and not hindrances:
        return Verdict(EXCLUDED, None, reach.required_mps, reasons)
    if passage.has_weight.any():
        return Verdict(POSSIBLE, None, reach.required_mps, reasons + [f"not excluded: {text}" for text in hindrances])
    nothing = ["no fix in the window carries weight"]
    return Verdict(UNMONITORED, None, None, nothing + reasons + [f"not excluded: {text}" for text in hindrances])


def _strays(passage: Passage) -> list[str]:
    """A fix that was left out excludes nothing; where it lies at the place, nor does anything else: it may be the right one."""
    if not passage.n_strays:
        return []
    fixes = "1 fix" if passage.n_strays == 1 else f"{passage.n_strays} fixes"
    return [f"{fixes} at the place, left out as implausible or contradictory, may be right"]


def _support(trail: WearerTrail, passage: Passage, posterior: NDArray[np.float64] | None) -> str:
    placing = passage.fix_indices[passage.qualifies]
    if bool(np.all(trail.fixes.source[placing] == SOURCES["lbs"])):
        return CELL
    if posterior is None:
        return WEAK
    sure = int(np.count_nonzero(passage.has_weight & (posterior >= STRONG_POSTERIOR)))
    return STRONG if sure >= STRONG_FIXES else WEAK


def _placed_by(question: Question, n: int) -> str:
    fixes = "1 fix lies" if n == 1 else f"{n} fixes lie"
    return f"{fixes} at least half inside the vicinity of {question.radius_m:g} m"


def _short_of_placed(question: Question, n: int) -> list[str]:
    return [f"{_placed_by(question, n)}, fewer than the {question.min_fixes} that place"] if n else []


def _position(question: Question, reach: Reach, outside: bool) -> list[str]:
    if np.isnan(reach.needed_mps):
        return ["no fix bounds where the wearer could have been"]
    if not reach.exists:
        return [f"at {question.max_speed_mps:g} m/s so many fixes contradict each other that none bounds the wearer"]
    if reach.required_mps is None:
        return ["no speed leads from the fixes to the vicinity and back"]
    if reach.required_mps == 0.0:
        return [
            "presence would need no movement: the exclusion circles of the fixes next to it in time reach into the vicinity"
        ]
    needs = f"presence would need at least {reach.required_mps:.2f} m/s"
    most = f"the maximum of {question.max_speed_mps:g} m/s"
    return [f"{needs}, more than {most}" if outside else f"{needs}, within {most}"]


def _contradictions(trail: WearerTrail, reach: Reach) -> list[str]:
    time_us = trail.fixes.time_us
    told = [
        f"the fixes of {to_iso(int(time_us[one]))} and {to_iso(int(time_us[two]))} contradict each other: "
        "either was left out in turn"
        for one, two in reach.contradictions[:_MOST_TOLD]
    ]
    more = len(reach.contradictions) - len(told)
    return [*told, f"{more} more such contradictions"] if more else told
