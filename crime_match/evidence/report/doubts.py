"""What speaks against an answer, what would have to be true for it to be wrong, and what a reader should know of the window."""

from __future__ import annotations

from collections import Counter

from crime_match.evidence.report.findings import Findings
from crime_match.evidence.report.words import (
    are,
    count,
    from_to,
    lasting,
    listed,
    local_moment,
    metres,
    plainly,
    sentence,
    shown,
    speed,
)
from crime_match.evidence.rows import FixRow, local_text
from engine.times import parse_time

_MOST_REASONS, _MOST_REASON, _MOST_EVENTS, _MOST_GAPS = 4, 200, 3, 2
_ALARMS = {
    "strap_tamper": "strap tampered with", "case_tamper": "case tampered with", "power_off": "power off", "fault": "fault",
    "jamming": "jamming",
}  # fmt: skip
_ADDED = "outside the time for which the crime is reported, in what was added to it"
_NO_REPORT = "The pack holds no report of the tag of any kind: of tampering, power off, fault or jamming nothing is known."
_NO_ALARM = "The pack holds no report of the tag up to the end of the window of tampering, power off, fault or jamming."


def speaks(found: Findings) -> list[str]:
    """What speaks against the answer, or either way where it is open."""
    return {"placed": _placed, "possible": _reasons, "excluded": _excluded, "unmonitored": _unmonitored}[
        found.case.verdict
    ](found)


def in_any_case(found: Findings) -> list[str]:
    """What a reader should know whatever the answer: positions without weight, gaps, reports of the tag."""
    return [*_weightless(found), *_gaps(found), _events(found)]


def _placed(found: Findings) -> list[str]:
    first, last = found.placing[0].time_us, found.placing[-1].time_us
    away = [row for row in found.used if not row.label and first < row.time_us < last]
    assumed = sum(row.assumed_radius for row in found.placing)
    masts = sum(row.source == "lbs" for row in found.placing)
    told = _when(found)
    if away:
        told.append(f"Between the first and the last of the visits, {count(len(away), 'usable position')} {are(len(away))} not "
                    f"in the vicinity: {listed([_far(row) for row in away])}.")  # fmt: skip
    if assumed:
        told.append(f"Of {count(assumed, 'placing position')} the tag reported no circle; an assumed one was used.")
    if masts and found.match["support"] != "cell":
        told.append(f"{count(masts, 'placing position')} {are(masts)} from phone masts.")
    return (
        told
        if away
        else [*told, "No usable position between the first and the last of the visits lies outside the vicinity."]
    )


def _when(found: Findings) -> list[str]:
    """How the visits lie to the time for which the crime is reported: before or after it, or only a part of it."""
    start_us, end_us = parse_time(found.asked["from"]), parse_time(found.asked["to"])
    n, outside = len(found.placing), sum(not start_us <= row.time_us <= end_us for row in found.placing)
    if outside == n:
        return [f"{'The placing position lies' if n == 1 else 'All placing positions lie'} {_ADDED}."]
    told = [f"Of {count(n, 'placing position')}, {outside} {'lies' if outside == 1 else 'lie'} {_ADDED}."] * (outside > 0)
    visits = [(parse_time(visit["entered"]), parse_time(visit["left"])) for visit in found.match["visits"]]
    within_us = sum(max(0, min(left, end_us) - max(entered, start_us)) for entered, left in visits)
    if within_us >= end_us - start_us:
        return told
    part = f"the visits, from first to last position, make up {lasting(within_us / 1e6)} of it"
    return [
        *told,
        f"The crime is reported for a time of {lasting((end_us - start_us) / 1e6)}; "
        f"{part if within_us else 'the placing positions are single moments of it'}. "
        "The record does not tell at which moment of it the crime happened.",
    ]


def _far(row: FixRow) -> str:
    return f"no. {row.number}" + ("" if row.distance_m is None else f", {metres(row.distance_m)} away")


def _reasons(found: Findings) -> list[str]:
    reasons = [sentence(plainly(reason), found.zone, _MOST_REASON) for reason in found.match["reasons"]]
    more = len(reasons) - _MOST_REASONS
    return reasons[:_MOST_REASONS] + [f"{count(more, 'further reason')} {are(more)} in annex A."] * (more > 0)


def _excluded(found: Findings) -> list[str]:
    needed = found.match["required_speed_mps"]
    bounds_m = [row.exclusion_m for row in found.used] + [fix["exclusion_m"] for fix, _ in found.sides]
    told = [f"The wearer moved at {speed(needed)} or faster."] if needed is not None else []
    if bounds_m:
        told.append(
            "Positions were wrong by more than the circles that are used to rule out (radius up to "
            f"{metres(max(bounds_m))}, each made to hold the true place 999 times in 1,000), and no other position showed it."
        )
    return [
        *told,
        "The tag was not on this wearer: taken off or exchanged without a report of it.",
        "The crime happened at another time or place than was asked about, or the tag’s clock was wrong and nothing showed it.",
    ]  # fmt: skip


def _unmonitored(found: Findings) -> list[str]:
    told = [
        f"The nearest usable position {side} the window is {metres(fix['distance_m'])} away "
        f"({local_moment(fix['time'], found.zone)})."
        for fix, side in found.sides
    ]
    return [*(told or ["There is no usable position on either side in this pack."]), *_reasons(found)[1:]]


def _weightless(found: Findings) -> list[str]:
    thrown = [row for row in found.window if not row.has_weight]
    if not thrown:
        return []
    flags = Counter(name for row in thrown for name in row.flags)
    why = listed([f"{n} {name}" for name, n in sorted(flags.items())], 5)
    told = f"{count(len(thrown), 'position')} {are(len(thrown))} without weight and decided nothing ({why})."
    return [f"{told} {'It is' if len(thrown) == 1 else 'They are'} in the table."]


def _gaps(found: Findings) -> list[str]:
    silent = found.gaps()
    longest = lasting(2 * found.asked["covered_s"])
    if not silent:
        return [f"There is no gap of more than {longest} between usable positions."]
    spans = [f"{from_to(a, b, found.zone)} ({lasting((b - a) / 1e6)})" for a, b in silent[:_MOST_GAPS]]
    more = "; all are listed with TW/05" if len(silent) > _MOST_GAPS else ""
    return [f"{count(len(silent), 'gap')} of more than {longest} without a usable position: {'; '.join(spans)}{more}."]


def _events(found: Findings) -> str:
    events = [e for e in found.case.trail.events if e.kind in _ALARMS and e.time_us <= found.end_us]
    told = [f"{_ALARMS[e.kind]} ({shown(e.device, 40)}, {local_text(e.time_us, found.zone)})" for e in reversed(events)]
    if told:
        return f"Reports of the tag before the end of the window: {listed(told, _MOST_EVENTS)}."
    return _NO_ALARM if found.case.trail.events else _NO_REPORT
