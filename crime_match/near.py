"""Who was near a place in a window: one match for each wearer, the excluded ones too."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crime_match.crime import Crime
from crime_match.kernels import lens_share
from crime_match.match import Match
from crime_match.passage import Passage, coverage, passage_of, worst_gap_s
from crime_match.question import Question
from crime_match.tag_state import TagState
from crime_match.trails import Presence, WearerTrail
from crime_match.verdicts import VERDICTS, verdict_of
from crime_match.visits import Visit, dwell_s, visits_of
from engine.fixes import ABSENT, SOURCE_NAMES
from engine.flags import flag_names
from engine.kernels import distance_m
from engine.times import to_iso


def near(question: Question, trails: Iterable[WearerTrail], presence: Presence | None = None) -> list[Match]:
    """The matches of all wearers, ordered by verdict, then closest approach, then wearer.

    Without `presence` (the posterior of the zone filter) `probability` is null and support at most weak.
    """
    asked = (trail for trail in trails if trail.is_asked(question.start_us, question.end_us))
    return sorted((match_of(question, trail, presence) for trail in asked), key=rank)


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
        fixes=_fix_records(trail, passage, visits, posterior),
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
    reported = {trail.device_of(int(i)) for i in passage.fix_indices}
    on = {a.device for a in trail.activations if a.from_us <= question.end_us and a.to_us > question.start_us}
    return sorted(reported or on or trail.devices)


def _sources(trail: WearerTrail, passage: Passage) -> dict[str, int]:
    codes, counts = np.unique(trail.fixes.source[passage.fix_indices[passage.has_weight]], return_counts=True)
    return {SOURCE_NAMES.get(int(code), "unknown"): int(count) for code, count in zip(codes, counts, strict=True)}


def _fix_records(
    trail: WearerTrail, passage: Passage, visits: list[Visit], posterior: NDArray[np.float64] | None
) -> list[dict[str, Any]]:
    labels = {row: f"{visit.label}{k}" for visit in visits for k, row in enumerate(visit.rows, 1)}
    return [
        _fix_record(
            trail, int(passage.fix_indices[row]), float(passage.distance_m[row]), float(passage.share[row]),
            labels.get(row),
            None if posterior is None or math.isnan(posterior[row]) else float(posterior[row]),
        )
        for row in range(len(passage.fix_indices))
    ]  # fmt: skip


def _outside_record(question: Question, trail: WearerTrail, index: int) -> dict[str, Any] | None:
    if index < 0:
        return None
    apart_m = distance_m(question.lat_e7, question.lon_e7, int(trail.fixes.lat_e7[index]), int(trail.fixes.lon_e7[index]))
    share = lens_share(apart_m, float(trail.radius_m[index]), float(question.radius_m))
    return _fix_record(trail, index, apart_m, share, None, None)


def _fix_record(
    trail: WearerTrail, index: int, apart_m: float, share: float, label: str | None, p: float | None
) -> dict[str, Any]:
    """One fix; accuracy_m is what the tag reported (null: nothing), radius_m the circle that was used."""
    fixes = trail.fixes
    reported = int(fixes.accuracy_cm[index])
    return {
        "time": to_iso(int(fixes.time_us[index])), "lat": int(fixes.lat_e7[index]) / 1e7,
        "lon": int(fixes.lon_e7[index]) / 1e7, "accuracy_m": None if reported == ABSENT else reported / 100,
        "source": SOURCE_NAMES.get(int(fixes.source[index]), "unknown"), "p": p, "label": label,
        "distance_m": round(apart_m, 3), "share": round(share, 6), "radius_m": round(float(trail.radius_m[index]), 2),
        "assumed_radius": reported == ABSENT, "exclusion_m": round(float(trail.exclusion_m[index]), 3),
        "device": trail.device_of(index), "flags": flag_names(int(trail.flags[index])),
    }  # fmt: skip
