"""The first pages of the report as sentences: what was asked, what the record shows, how sure that is, what it cannot show.

Every number in them is the case's own. No sentence says what a person did.
"""

from __future__ import annotations

from typing import Any

from crime_match.crimes.moj_batch import TYPES
from crime_match.evidence.case import Case, Stale
from crime_match.evidence.report.doubts import in_any_case, speaks
from crime_match.evidence.report.findings import Findings
from crime_match.evidence.report.method import circles
from crime_match.evidence.report.others import alternatives
from crime_match.evidence.report.words import count, day_time, from_to, is_changed, lasting, metres, shown
from crime_match.evidence.rows import FixRow, window_of

_MOST_TEXT, _MOST_NAME, _MOST_PARTS, _MOST_CHANGES = 240, 110, 3, 3
TITLES = {
    "placed": "The record places this wearer’s tag near the place of the crime",
    "possible": "The record neither places this wearer nor rules them out",
    "excluded": "The record rules this wearer out",
    "unmonitored": "The record is silent about this wearer",
}
SUPPORT = {"weak": ", with weak support", "cell": ", by phone masts alone"}
SPEAKS = {
    "placed": ("What speaks against it", ""),
    "possible": ("What speaks for and against", ""),
    "excluded": ("What would have to be true for this to be wrong", "At least one of these:"),
    "unmonitored": ("What is known on either side of the window", ""),
}
"""Heading of section 4, and what leads to its list."""
UNSIGNED = (
    "Nobody has signed this report or the pack that it belongs to. Its hashes show whether the pack is whole; they do not "
    "show who made it."
)
MASTS = (
    "Every position that places the tag comes from phone masts, none from satellites. Such positions are coarse. Taken alone "
    "they must not be used to put anybody at a place."
)
WEAK = (
    "Fewer than {strong_fixes} positions reach a probability of presence of {strong_posterior:g}.{highest} A placement with "
    "weak support must not stand alone."
)
_ALWAYS = (
    "A tag shows where the tag was. It does not show what anybody did, saw or meant. Nothing here is a finding of guilt."
)
_BY_VERDICT = {
    "placed": "Being in the vicinity is not taking part. People live, work and pass there; most people wear no tag.",
    "possible": "It does not show that the wearer was there, and it does not show that they were not.",
    "excluded": "It says nothing of anybody else, and nothing of a part in the crime that needs no presence.",
    "unmonitored": "It does not show that the wearer was there, and it does not show that they were not.",
}
_LIMITS = (
    "Between two positions the way is not known. Lines on the maps join positions; they are not the path that was taken.",
    "Whether the tag was on the right person rests on its fitting and on its strap, not on the positions.",
)
_FIELDS = {
    "lat": "latitude", "lon": "longitude", "uncertainty_m": "uncertainty, m", "easting_m": "easting", "northing_m": "northing",
}  # fmt: skip
NUMBERED = (
    "Characters that this document cannot print, or that turn the direction of writing, are shown by their Unicode number, as "
    "in [U+202E]. The data files of the pack hold the text itself."
)


def title(case: Case) -> str:
    """What the report says, in one line."""
    return TITLES[case.verdict] + SUPPORT.get(str(case.match["support"]), "")


def front(case: Case, rows: list[FixRow]) -> dict[str, Any]:
    """All that stands before the exhibits, for the template: texts only."""
    found = Findings(case, rows)
    heading, lead = SPEAKS[case.verdict]
    return {
        "title": title(case), "boxes": boxes(case), "facts": _facts(case), "asked": _asked(case), "shows": found.shows(),
        "sure": found.sure(), "speaks_title": heading, "speaks_lead": lead, "speaks": speaks(found),
        "doubts": in_any_case(found), "others": alternatives(case), "cannot": _cannot(case), "note": _note(case),
    }  # fmt: skip


def boxes(case: Case) -> list[dict[str, str]]:
    """What a reader must know before anything else: not signed, out of date, masts alone, weak."""
    found = [] if case.signer else [("Not signed", UNSIGNED)]
    if case.stale:
        found.append(("Out of date", _out_of_date(case.stale)))
    if case.match["support"] == "cell":
        found.append(("Phone masts alone", MASTS))
    if case.match["support"] == "weak":
        highest = case.match["probability"]
        most = "" if highest is None else f" The highest is {highest:.3f}."
        found.append(("Weak support", WEAK.format(**case.match["parameters"], highest=most)))
    return [{"title": name, "text": text} for name, text in found]


def _out_of_date(stale: Stale) -> str:
    changes = [
        f"{shown(_FIELDS.get(name, name), 24)}, when matched “{shown(was, 48)}”, now “{shown(now, 48)}”"
        for name, was, now in stale.changes[:_MOST_CHANGES]
    ]
    more = len(stale.changes) - _MOST_CHANGES
    changes += [f"and {count(more, 'further change')}"] * (more > 0)
    changed = f" What has changed: {'; '.join(changes)}." if changes else ""
    return (
        f"This report rests on version {stale.version} of the crime. Version {stale.latest} is the latest.{changed} The crime "
        "has to be matched again."
    )


def _facts(case: Case) -> list[tuple[str, str]]:
    crime, person = case.crime, case.person
    facts = [
        ("Crime", _joined(crime.reference, crime.force)),
        ("Type", _joined(f"{TYPES[crime.type]} ({crime.type})" if crime.type in TYPES else crime.type)),
        ("Reported as", shown(crime.text, _MOST_TEXT)), ("Wearer", _joined(person.name, person.wearer)),
        ("Tag", _joined(*case.trail.devices) or _joined(case.match["device"] or "")),
        ("Force and scheme", _joined(person.force, person.scheme)), ("Offender manager", _joined(person.manager)),
        ("Data up to", day_time(case.dated_us, case.timezone)), ("To be signed by", _joined(case.signer)),
    ]  # fmt: skip
    return [(name, value) for name, value in facts if value]


def _joined(*parts: str) -> str:
    """Each as it is shown, and isolated on its own."""
    there = [part for part in parts if part.strip()]
    most = _MOST_NAME // min(len(there), 2) if there else 0
    return ", ".join(shown(part, most) for part in there[:_MOST_PARTS]) + "…" * (len(there) > _MOST_PARTS)


def _asked(case: Case) -> list[str]:
    p, crime, (start_us, end_us) = case.match["parameters"], case.crime, window_of(case)
    radius, grid = metres(p["radius_m"]), ""
    if crime.easting_m is not None and crime.northing_m is not None:
        grid = f" (National Grid {crime.easting_m:.0f} E, {crime.northing_m:.0f} N)"
    asked = [
        f"Was the tag of this wearer within {radius} of the place of the crime when it happened, or could the wearer have been "
        f"there? That circle is called the vicinity. Its centre is latitude {p['lat']:.7f}, longitude {p['lon']:.7f}{grid}.",
        f"The crime is reported for {from_to(crime.from_us, crime.to_us, case.timezone)}. The record was searched with "
        f"{lasting(p['pad_s'])} added at both ends: {from_to(start_us, end_us, case.timezone)}. This is called the window.",
    ]
    if not p["uncertainty_m"]:
        return asked
    widened = metres(p["radius_m"] + p["uncertainty_m"])
    return [
        *asked,
        f"The place is known to within {metres(p['uncertainty_m'])}. To rule out, or to call presence possible, the circle is "
        f"taken as {widened}; to place, it stays {radius}.",
    ]


def _cannot(case: Case) -> list[str]:
    circle = (
        f"Each position is a circle, not a point. By the tag’s own word, which nobody has checked, the true place is inside "
        f"in {circles(case)} of cases; in the rest it is farther off, in a few much farther."
    )
    return [_ALWAYS, _BY_VERDICT[case.verdict], circle, *_LIMITS]


def _note(case: Case) -> str:
    person, crime = case.person, case.crime
    texts = (
        person.wearer,
        person.name,
        person.force,
        person.scheme,
        person.manager,
        crime.reference,
        crime.force,
        crime.text,
    )
    return NUMBERED if any(is_changed(text) for text in texts) else ""
