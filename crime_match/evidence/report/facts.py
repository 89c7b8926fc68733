"""What the draft statement says: paragraphs of facts of the record, and when the tag was first and last in the vicinity."""

from __future__ import annotations

from itertools import groupby

from crime_match.evidence.case import Case
from crime_match.evidence.report.findings import Findings
from crime_match.evidence.report.words import (
    are,
    count,
    day_time,
    from_to,
    lasting,
    listed,
    metres,
    percent,
    shown,
    speed,
)  # fmt: skip
from crime_match.evidence.rows import WINDOW, FixRow, local_text, utc_text, window_of


def paragraphs(case: Case, rows: list[FixRow]) -> list[str]:
    """The facts, in order; no opinion, no word on what anybody did."""
    return [_subject(case), _crime(case), _searched(case), *_answer(case), *_quality(case, rows), _source(case)]


def _subject(case: Case) -> str:
    person = case.person
    known = f"identified as {shown(person.wearer, 60)}"
    wearer = f"{shown(person.name, 120)}, {known}" if person.name else f"the wearer {known}"
    devices = case.trail.devices or (str(case.match["device"] or "not named"),)
    tags = listed([shown(device, 60) for device in devices])
    if not case.is_fitting_recorded:
        return f"The record holds positions of the tag {tags}, of {wearer}. The pack holds no record of its fitting."
    return f"The record holds positions reported by the tag {tags}. By the record of fittings it was assigned to {wearer}."


def _crime(case: Case) -> str:
    crime, p = case.crime, case.match["parameters"]
    return (
        f"The crime with the reference {shown(crime.reference, 80)} of {shown(crime.force, 80)} is reported for "
        f"{from_to(crime.from_us, crime.to_us, case.timezone)}, at latitude {p['lat']:.7f}, longitude {p['lon']:.7f} (WGS84)."
    )


def _searched(case: Case) -> str:
    p, (start_us, end_us) = case.match["parameters"], window_of(case)
    return (
        f"The record was searched for the window {from_to(start_us, end_us, case.timezone)}, the reported time with "
        f"{lasting(p['pad_s'])} added at both ends, and for a circle of {metres(p['radius_m'])} about that place, the vicinity."
    )


def _answer(case: Case) -> list[str]:
    m, p = case.match, case.match["parameters"]
    needed, most = m["required_speed_mps"], f"the method allows for up to {speed(p['max_speed_mps'])}"
    if case.verdict == "placed":
        highest = m["probability"]
        reached = (
            ""
            if highest is None
            else f"The highest probability of presence that it gives for any position is {highest:.3f}. "
        )
        masts = ["All of these positions come from phone masts."] if m["support"] == "cell" else []
        return [
            f"The record has {count(m['n_fixes'], 'position')} of the tag in the window for which at least "
            f"{percent(p['overlap'])} of the circle lies in the vicinity, in {count(len(m['visits']), 'visit')}. "
            f"The support of this placement is recorded as “{m['support']}”. {reached}"
            "The first and last position of each visit are in the table below.",
            *masts,
        ]
    if case.verdict == "excluded":
        wanted = "no speed would have been enough" if needed is None else f"{speed(needed)} or more would have been needed"
        return [
            "By the record the wearer was outside the vicinity at every moment of the window. "
            f"To have been in it, {wanted}; {most}."
        ]
    if case.verdict == "possible":
        wanted = "" if needed is None else f" Presence would have needed {speed(needed)} or more; {most}."
        return [
            f"The record has no placement of the tag in the vicinity in the window, and does not rule presence out.{wanted}"
        ]
    return ["The record has no usable position of the tag in the window. It neither places the wearer nor rules them out."]


def _quality(case: Case, rows: list[FixRow]) -> list[str]:
    m, told, found = case.match, [], Findings(case, rows)
    if m["closest_m"] is not None:
        near, at = metres(m["closest_m"]), found.at(m["closest_at"])
        told.append(f"The usable position of the window that is nearest to the place is {near} from it, on {at}.")
    told.append(
        f"{percent(m['coverage'])} of the window is within {lasting(m['parameters']['covered_s'])} of a usable position. "
        f"The longest stretch without one lasts {lasting(m['worst_gap_s'])}."
    )
    n = len(found.window) - len(found.used)
    if n:
        told.append(
            f"{count(n, 'position')} of the window {are(n)} without weight and did not decide. TW/04 shows all of them."
        )
    if case.stale:
        version, latest = case.stale.version, case.stale.latest
        told.append(f"The search used version {version} of the crime. Version {latest} has come since.")
    return told


def _source(case: Case) -> str:
    return (
        "The positions are those of a tag. They do not show what any person did. The newest data in the record are of "
        f"{day_time(case.dated_us, case.timezone)}. The run is named {case.run.id}."
    )


def spans(case: Case, rows: list[FixRow]) -> list[list[str]]:
    """First and last position of each visit; without a visit, of the usable ones of the window. Empty where there is none."""
    placing = [row for row in rows if row.label]
    if placing:
        visits = groupby(placing, lambda row: row.label.rstrip("0123456789"))
        return [_span(f"Visit {label}", list(visit), case.timezone) for label, visit in visits]
    used = [row for row in rows if row.when == WINDOW and row.has_weight]
    return [_span("Window", used, case.timezone)] if used else []


def _span(name: str, rows: list[FixRow], timezone: str) -> list[str]:
    ends = [text for row in (rows[0], rows[-1]) for text in (local_text(row.time_us, timezone), utc_text(row.time_us))]
    return [name, *ends, str(len(rows))]
