"""What the record of one wearer shows and how sure that is, verdict by verdict, as sentences."""

from __future__ import annotations

from typing import Any

from crime_match.evidence.case import Case
from crime_match.evidence.report.words import (
    SOURCES,
    are,
    bearing,
    count,
    day_time,
    from_to,
    gaps,
    lasting,
    listed,
    local_moment,
    metres,
    percent,
    speed,
)  # fmt: skip
from crime_match.evidence.rows import WINDOW, FixRow, window_of
from engine.times import parse_time

_MOST_VISITS = 3
_SUPPORT = {
    "strong": "At least {strong_fixes} positions have a probability of presence of {strong_posterior:g} or more.",
    "weak": "Fewer than {strong_fixes} positions have a probability of presence of {strong_posterior:g} or more.",
    "cell": "All placing positions come from phone masts.",
}
_SILENT = (
    "The positions before and after do not rule the wearer out either. This answer speaks neither for nor against them."
)
_OPEN = "No position places the tag in the vicinity. But the positions do not show that the wearer stayed away."
_FITTED = "one fitting covers the window"
_NOT_FITTED = "no record of fittings was given, so it counts as this wearer’s throughout"
_ON = "the data hold no report of tampering, power off, fault or wrong clock that was open in it"
_NO_REPORT = "the data hold no report of the tag of any kind, so it counts as on throughout"
_PROBABILITY = (
    "The highest of any position of the window that the tag was in the vicinity, by the error model and the positions "
    "before. It is not a probability of guilt."
)


def _by(source: str) -> str:
    return f"by {SOURCES[source]}" if source != "unknown" else "of a source that is not told"


class Findings:
    """The sentences of one case; its rows are those of `fix_rows`."""

    def __init__(self, case: Case, rows: list[FixRow]) -> None:
        self.case, self.match, self.zone = case, case.match, case.timezone
        self.asked = case.match["parameters"]
        self.start_us, self.end_us = window_of(case)
        self.window = [row for row in rows if row.when == WINDOW]
        self.used = [row for row in self.window if row.has_weight]
        self.placing = [row for row in self.window if row.label]
        self.sides = [(case.match[side], side) for side in ("before", "after") if case.match[side]]

    def at(self, iso: str) -> str:
        """An instant of the match in local words."""
        return day_time(parse_time(iso), self.zone)

    def gaps(self) -> list[tuple[int, int]]:
        """Stretches of the window without a usable position that are too long to be covered from both ends."""
        return gaps([row.time_us for row in self.used], self.start_us, self.end_us, 2 * self.asked["covered_s"])

    def shows(self) -> list[str]:
        """What the record shows: the answer first, then where the tag was nearest."""
        told = {
            "placed": self._placed, "possible": self._possible, "excluded": self._excluded, "unmonitored": self._unmonitored,
        }[self.case.verdict]()  # fmt: skip
        return [*told, *self._nearest()]

    def _placed(self) -> list[str]:
        n, visits = self.match["n_fixes"], self.match["visits"]
        more = len(visits) - _MOST_VISITS
        told = [
            f"{count(n, 'position')} of the tag {are(n)} in the vicinity: at least {percent(self.asked['overlap'])} of the "
            f"circle of each lies within {metres(self.asked['radius_m'])} of the place. The first is of "
            f"{self.at(visits[0]['entered'])}, the last of {self.at(visits[-1]['left'])}."
        ]
        told += [self._visit(visit) for visit in visits[:_MOST_VISITS]]
        return told + [f"{count(more, 'further visit')} {are(more)} in the table of positions (TW/04)."] * (more > 0)

    def _visit(self, visit: dict[str, Any]) -> str:
        entered, left = parse_time(visit["entered"]), parse_time(visit["left"])
        came, went = visit["entry_bearing_deg"], visit["exit_bearing_deg"]
        ways = [
            f"on a bearing of {bearing(way)} when {how}"
            for way, how in ((came, "entering"), (went, "leaving"))
            if way is not None
        ]
        span = f"{from_to(entered, left, self.zone)}, {lasting((left - entered) / 1e6)} between first and last position"
        if left == entered:
            span = f"one moment, {day_time(entered, self.zone)}"
        return f"Visit {visit['label']}: {span}; {'; '.join([count(visit['n_fixes'], 'position'), *ways])}."

    def _possible(self) -> list[str]:
        needed, most = self.match["required_speed_mps"], self.asked["max_speed_mps"]
        if needed is None:
            return [_OPEN]
        if needed == 0.0:
            return [_OPEN, "Presence would have needed no movement: the wide circles that are used to rule out (annex D) reach "
                    "into the vicinity."]  # fmt: skip
        lowest = "To have been there, and at the next position in time, the wearer would have had to move at "
        lowest += f"{speed(needed)} or faster."
        if needed <= most:
            return [_OPEN, f"{lowest} That is within the {speed(most)} that are allowed for."]
        return [
            _OPEN,
            f"{lowest} That is more than the {speed(most)} allowed for; it is not ruled out for the reasons below.",
        ]

    def _excluded(self) -> list[str]:
        needed, most = self.match["required_speed_mps"], self.asked["max_speed_mps"]
        speeds = (
            "No speed leads from the positions to the vicinity and back."
            if needed is None
            else "To have been there at any moment, and at the next position in time, the wearer would have had to move at "
            f"{speed(needed)} or faster."
        )
        sides = [
            f"{metres(fix['distance_m'])} away {side} it ({local_moment(fix['time'], self.zone)})"
            for fix, side in self.sides
        ]
        beyond = f", and on the nearest usable positions outside it, {listed(sides)}" if sides else ""
        fitted = _FITTED if self.case.is_fitting_recorded else _NOT_FITTED
        reported = _ON if self.case.trail.events else _NO_REPORT
        return [
            "At every moment of the window the wearer’s positions keep them outside the vicinity.",
            f"{speeds} Up to {speed(most)} is allowed for.",
            f"This rests on {count(len(self.used), 'usable position')} of the window{beyond}. "
            f"It also rests on the tag: {fitted}, and {reported}.",
        ]

    def _unmonitored(self) -> list[str]:
        thrown = len(self.window) - len(self.used)
        unusable = [f"{count(thrown, 'position')} came but cannot be used."] if thrown else []
        return ["There is no usable position of this wearer in the window.", *unusable, _SILENT]

    def _nearest(self) -> list[str]:
        closest_m = self.match["closest_m"]
        near = next((row for row in self.used if closest_m is not None and row.distance_m == closest_m), None)
        if near is None:
            return []
        circle = f"its circle has a radius of {metres(near.radius_m)}{', which is assumed' if near.assumed_radius else ''}"
        return [
            f"The nearest usable position of the window is no. {near.number}, {metres(closest_m)} from the place, on "
            f"{day_time(near.time_us, self.zone)} ({_by(near.source)}; {circle})."
        ]

    def sure(self) -> list[tuple[str, str, str]]:
        """How sure: rows of (measure, value, what it means)."""
        m, rows = self.match, []
        if m["support"]:
            rows.append(("Support", m["support"], _SUPPORT[m["support"]].format(**self.asked)))
        if self.placing:
            rows.append(
                ("Share of circle", self._shares(), "How much of the circle of each placing position is in the vicinity.")
            )
        if m["probability"] is not None:
            rows.append(("Probability", f"{m['probability']:.3f}", _PROBABILITY))
        within = lasting(self.asked["covered_s"])
        rows.append(("Coverage", percent(m["coverage"]), f"Share of the window within {within} of a usable position."))
        rows.append(("Longest gap", lasting(m["worst_gap_s"]), self._longest_gap()))
        sources = [f"{count(n, 'position')} {_by(name)}" for name in SOURCES if (n := m["sources"].get(name))]
        if sources:
            rows.append(
                ("Sources", count(sum(m["sources"].values()), "position"), f"Usable in the window: {listed(sources, 5)}.")
            )
        return rows

    def _shares(self) -> str:
        shares = [row.share for row in self.placing if row.share is not None]
        least, most = percent(min(shares)), percent(max(shares))
        return least if least == most else f"{least} to {most}"

    def _longest_gap(self) -> str:
        edges = [self.start_us, *(row.time_us for row in self.used), self.end_us]
        k = max(range(len(edges) - 1), key=lambda k: edges[k + 1] - edges[k])
        return f"The longest stretch without a usable position: {from_to(edges[k], edges[k + 1], self.zone)}."
