"""The ministry's binary answer beside ours: enough fixes with half of their circle in the vicinity, and no more asked.

Their program is not public; its rule and its settings are (`docs/method.md`, with what is not known of them).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crime_match.kernels import OVERLAP
from crime_match.match import Match
from crime_match.passage import Passage, passage_of
from crime_match.question import Question
from crime_match.trails import WearerTrail
from crime_match.verdicts import EXCLUDED, PLACED, UNMONITORED
from crime_match.visits import label_of
from engine.flags import WEIGHTLESS, flag_names
from engine.times import to_iso


def beside(question: Question, trail: WearerTrail, match: Match) -> Match:
    """The match with the ministry's answer in it."""
    return replace(match, compatible=compatible_of(question, trail, passage_of(question, trail), match.verdict))


def compatible_of(question: Question, trail: WearerTrail, passage: Passage, verdict: str) -> dict[str, Any]:
    """Whether the ministry's rule matches this wearer, by which fixes, and in what that differs from our verdict.

    Every fix of the window counts, flagged ones and those set aside too; `labels` rise with each exit and re-entry.
    """
    counts = passage.share >= OVERLAP
    n = int(counts.sum())
    matched = n >= question.min_fixes
    rows = zip(np.flatnonzero(counts).tolist(), _labels(counts), strict=True)
    return {
        "matched": matched,
        "n_fixes": n,
        "labels": [_labelled(trail, int(passage.fix_indices[row]), label) for row, label in rows],
        "differs": _difference(question, trail, passage, counts, verdict),
        "parameters": _parameters(question),
    }


def widest_m(vicinity_m: float) -> float:
    """The widest circle that can lie half inside a vicinity: sqrt(2) times its radius, rounded down to 1 cm [m]."""
    return math.floor(math.sqrt(1.0 / OVERLAP) * vicinity_m * 100.0) / 100.0


def _labelled(trail: WearerTrail, index: int, label: str) -> dict[str, Any]:
    return {"time": to_iso(int(trail.fixes.time_us[index])), "device": trail.device_of(index), "label": label}


def _labels(counts: NDArray[np.bool_]) -> list[str]:
    """A1, A2, ... B1 for the fixes that count: a fix outside between two of them begins a new letter."""
    labels: list[str] = []
    visit, within = -1, 0
    for row, counted in enumerate(counts.tolist()):
        if not counted:
            continue
        again = row > 0 and bool(counts[row - 1])
        visit, within = (visit, within + 1) if again else (visit + 1, 1)
        labels.append(f"{label_of(visit)}{within}")
    return labels


def _parameters(question: Question) -> dict[str, Any]:
    return {
        "radius_m": float(question.radius_m), "overlap": OVERLAP, "pad_s": question.pad_us / 1e6,
        "min_fixes": question.min_fixes, "widest_m": widest_m(question.radius_m),
    }  # fmt: skip


def _difference(
    question: Question, trail: WearerTrail, passage: Passage, counts: NDArray[np.bool_], verdict: str
) -> str | None:
    """Why the binary answer is not ours; None where both say the same (an excluded wearer is not matched)."""
    n = int(counts.sum())
    if n >= question.min_fixes:
        return None if verdict == PLACED else f"matched, {verdict} here: {_without_weight(trail, passage, counts)}"
    if verdict == EXCLUDED:
        return None
    if verdict == UNMONITORED:
        return "not matched, unmonitored here: the rule does not tell a silent tag from one that was elsewhere"
    if n:
        return f"not matched, {verdict} here: {n} of the {question.min_fixes} fixes that it takes"
    too_wide = (trail.radius_m[passage.fix_indices] > widest_m(question.radius_m)) & (passage.share > 0.0)
    if too_wide.any():
        n_wide = int(too_wide.sum())
        circles = "the circle of 1 fix meets" if n_wide == 1 else f"the circles of {n_wide} fixes meet"
        most = f"none wider than {widest_m(question.radius_m):g} m can match"
        return f"not matched, {verdict} here: {circles} the vicinity, but {most}"
    return f"not matched, {verdict} here: the rule does not look between fixes"


def _without_weight(trail: WearerTrail, passage: Passage, counts: NDArray[np.bool_]) -> str:
    bare = counts & ~passage.has_weight
    flags = int(np.bitwise_or.reduce(trail.flags[passage.fix_indices[bare]])) & WEIGHTLESS
    said = "carries no weight" if bare.sum() == 1 else "carry no weight"
    which = "its one fix" if counts.sum() == 1 else f"{int(bare.sum())} of its {int(counts.sum())} fixes"
    return f"{which} {said} ({', '.join(flag_names(flags))})"
