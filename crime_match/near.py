"""Who was near a place in a window: one match for each wearer, the excluded ones too."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crime_match.crimes.crime import Crime
from crime_match.fix_records import fix_records
from crime_match.kernels import lens_share
from crime_match.match import Match
from crime_match.passage import Passage, coverage, passage_of, worst_gap_s
from crime_match.question import Question
from crime_match.tag_state import TagState
from crime_match.trails import Presence, WearerTrail
from crime_match.verdicts import VERDICTS, verdict_of
from crime_match.visits import Visit, dwell_s, visits_of
from engine.fixes import SOURCE_NAMES
from engine.kernels import distance_m
from engine.times import to_iso


def near(question: Question, trails: Iterable[WearerTrail], presence: Presence | None = None) -> list[Match]:
    """The matches of all wearers, ordered by verdict, then closest approach, then wearer.

    Without `presence` (the posterior of the zone filter) `probability` is null and support at most weak.
    """
    return sorted((match_of(question, trail, presence) for trail in trails), key=rank)


def match_of(
    question: Question, trail: WearerTrail, presence: Presence | None = None, tag: TagState | None = None,
    crime: Crime | None = None,
) -> Match:  # fmt: skip
    """The match of one wearer; `tag` is the state of the trail's tags where it is known, `crime` what was asked about."""
    passage = passage_of(question, trail)
    posterior = _posterior(question, trail, passage, presence)
    verdict = verdict_of(question, trail, passage, posterior, tag)
    visits = visits_of(trail, passage)
    closest = passage.closest
    closest_at = None if closest is None else to_iso(int(trail.fixes.time_us[passage.fix_indices[closest]]))
    return Match(
        wearer=trail.wearer,
        device=", ".join(_devices(question, trail, passage)),
        verdict=verdict.name,
        support=verdict.support,
        closest_m=None if closest is None else round(float(passage.distance_m[closest]), 3),
        closest_at=closest_at,
        n_fixes=int(passage.qualifies.sum()),
        visits=[visit.record() for visit in visits],
        dwell_s=dwell_s(visits),
        probability=_highest(passage, posterior),
        required_speed_mps=verdict.required_speed_mps,
        coverage=coverage(question, trail),
        worst_gap_s=worst_gap_s(question, trail),
        sources=_sources(trail, passage),
        fixes=fix_records(trail, passage.fix_indices, passage.distance_m, passage.share, posterior, _labels(visits)),
        parameters=question.parameters(),
        reasons=verdict.reasons,
        before=_outside_record(question, trail, passage.before),
        after=_outside_record(question, trail, passage.after),
        crime=crime.reference if crime else None,
        force=crime.force if crime else None,
    )


def rank(match: Match) -> tuple[int, float, str]:
    """The order in which matches are told: by verdict, closest approach, wearer."""
    return VERDICTS.index(match.verdict), math.inf if match.closest_m is None else match.closest_m, match.wearer


def _posterior(
    question: Question, trail: WearerTrail, passage: Passage, presence: Presence | None
) -> NDArray[np.float64] | None:
    """Posteriors of the window's fixes on the grid of 1e-6."""
    if presence is None or not len(passage.fix_indices):
        return None
    first, last = int(passage.fix_indices[0]), int(passage.fix_indices[-1]) + 1
    found = np.asarray(presence(trail, first, last, question.lat_e7, question.lon_e7, question.radius_m), np.float64)
    if found.shape != (last - first,):
        raise ValueError(f"presence gave shape {found.shape}, expected ({last - first},)")
    return np.round(found, 6)


def _highest(passage: Passage, posterior: NDArray[np.float64] | None) -> float | None:
    if posterior is None:
        return None
    known = posterior[passage.has_weight & ~np.isnan(posterior)]
    return float(known.max()) if len(known) else None


def _devices(question: Question, trail: WearerTrail, passage: Passage) -> list[str]:
    """The devices that reported in the window; else those activated in it; else the wearer's."""
    reported = {trail.fixes.devices[k] for k in np.unique(trail.fixes.device[passage.fix_indices]).tolist()}
    on = {a.device for a in trail.activations if a.from_us <= question.end_us and a.to_us > question.start_us}
    return sorted(reported or on or trail.devices)


def _sources(trail: WearerTrail, passage: Passage) -> dict[str, int]:
    codes, counts = np.unique(trail.fixes.source[passage.fix_indices[passage.has_weight]], return_counts=True)
    return {SOURCE_NAMES.get(int(code), "unknown"): int(count) for code, count in zip(codes, counts, strict=True)}


def _labels(visits: list[Visit]) -> dict[int, str]:
    return {row: f"{visit.label}{k}" for visit in visits for k, row in enumerate(visit.rows, 1)}


def _outside_record(question: Question, trail: WearerTrail, index: int) -> dict[str, Any] | None:
    if index < 0:
        return None
    apart_m = distance_m(question.lat_e7, question.lon_e7, int(trail.fixes.lat_e7[index]), int(trail.fixes.lon_e7[index]))
    share = lens_share(apart_m, float(trail.radius_m[index]), float(question.radius_m))
    return fix_records(trail, np.array([index]), np.array([apart_m]), np.array([share]))[0]
