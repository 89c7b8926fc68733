"""How surprising the answer is, and who else: the wearer's routine, chance, and the other wearers of the run, as counts."""

from __future__ import annotations

from typing import Any

from crime_match.evidence.case import Case, Other
from crime_match.evidence.report.words import are, count, listed, metres, number

_MOST_OTHERS = 5
_SUPPORT = {"strong": "strong support", "weak": "weak support", "cell": "phone masts alone"}
_NO_GUILT = "This is a rate, not a probability of guilt."


def alternatives(case: Case) -> list[str]:
    """Sentences: routine and chance of who is placed, the verdicts of all wearers, those placed besides this one."""
    told = surprise(case) if case.verdict == "placed" else []
    return [*told, _all(case), _placed(case)]


def surprise(case: Case) -> list[str]:
    """What exhibit TW/06 says."""
    if case.verdict != "placed":
        return ["Routine and chance are worked out for wearers who are placed. This wearer is not."]
    return [_routine(case.match.get("routine")), _chance(case.match.get("chance"))]


def _routine(r: dict[str, Any] | None) -> str:
    if r is None:
        return "Routine: not looked at in this run."
    left = r["left_out"]["unmonitored"]
    if not r["windows"]:
        none = f"of {count(left, 'comparable window')} in the {r['days']} days before, none was monitored"
        return f"Routine: not known; {r.get('reason') or (none if left else 'no window is comparable')}."
    days = "all days" if r["weekdays"] == "all" else r["weekdays"].title().replace(" To ", " to ")
    others = f" {count(left, 'other window')} without a usable position {are(left)} not counted." if left else ""
    return (
        f"Routine: in the {r['days']} days before, the wearer was placed in this vicinity in {number(r['placed'])} of "
        f"{count(r['windows'], 'comparable window')} (same hours of the day, {days}).{others}"
    )


def _chance(c: dict[str, Any] | None) -> str:
    if c is None:
        return "Chance: not looked at in this run."
    if c["expected"] is None:
        return f"Chance: not known; {c.get('reason', 'nothing is comparable')}."
    return (
        f"Chance: at these hours of {count(c['days'], 'other comparable day')} a wearer was placed in this vicinity "
        f"{number(c['placed'])} times out of {number(c['wearer_windows'])} (one wearer on one day counts once), on "
        f"{number(c['days_with_placed'])} of the days. By that, the day of the crime counted in, chance "
        f"would place {c['expected']:.3g} of the {count(c['monitored'], 'wearer')} monitored in the window. {_NO_GUILT}"
    )


def _all(case: Case) -> str:
    verdicts = listed([f"{number(n)} {name}" for name, n in case.counts.items()], 8)
    return f"The same question was asked of {count(sum(case.counts.values()), 'wearer')}, this one included: {verdicts}."


def _placed(case: Case) -> str:
    mine = case.verdict == "placed"
    if not case.others:
        return "No other wearer is placed." if mine else "" if case.counts.get("placed") else "No wearer is placed."
    told = [_other(k, other) for k, other in enumerate(case.others[:_MOST_OTHERS], 1)]
    more = len(case.others) - _MOST_OTHERS
    rest = f"; and {number(more)} more" if more > 0 else ""
    return f"{'Placed besides this one' if mine else 'Placed'}: {'; '.join(told)}{rest}. They are not named here."


def _other(k: int, other: Other) -> str:
    fixes, support = count(other.n_fixes, "position"), _SUPPORT.get(other.support, other.support)
    return f"another wearer ({k}), {support}, {fixes}, closest {metres(other.closest_m)}"
