"""The method and its limits in plain English, `method.txt`: annex of the report and member of the pack, one text."""

from __future__ import annotations

import textwrap
from functools import cache
from importlib.resources import files

from crime_match.evidence.case import Case
from crime_match.evidence.report.words import count, lasting, listed, metres, speed

Section = tuple[str, list[str]]
_WIDTH = 78
_TITLE = "THE METHOD AND ITS LIMITS"
_OPENING = (
    "This text describes how the answer came about, in the order in which it is worked out, and where it can go wrong. "
    "It is written for readers who are not engineers. The numbers are those that were used."
)


def method_text(case: Case) -> str:
    """The whole as plain text of lines of at most 78 characters."""
    parts = [_TITLE, _wrapped(_OPENING)]
    for number, (heading, paragraphs) in enumerate(method_sections(case), 1):
        parts += [f"{number}. {heading}", *map(_wrapped, paragraphs)]
    return "\n\n".join(parts) + "\n"


def method_sections(case: Case) -> list[Section]:
    """The text as sections of paragraphs, with the parameters of the case."""
    sections: list[Section] = []
    for paragraph in _template().format(**_numbers(case)).strip().split("\n\n"):
        if paragraph.endswith("."):
            sections[-1][1].append(paragraph)
        else:
            sections.append((paragraph, []))
    return sections


def circles(case: Case) -> str:
    """How often a circle holds the true place, by the tags' own word: 95 %."""
    percentiles = sorted({row.percentile for row in case.trail.activations}) or [0.95]
    return listed([f"{q * 100:g} %" for q in percentiles])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_on_hyphens=False)


@cache
def _template() -> str:
    return files(__package__).joinpath("method.txt").read_text("utf-8")


def _numbers(case: Case) -> dict[str, str]:
    p = case.match["parameters"]
    known = f"As the place of the crime is known to within {metres(p['uncertainty_m'])}, the vicinity is widened by that. "
    return {
        "circles": circles(case), "pad": lasting(p["pad_s"]), "radius": metres(p["radius_m"]),
        "overlap": f"{p['overlap'] * 100:g} %", "min_fixes": count(p["min_fixes"], "position"),
        "strong_fixes": count(p["strong_fixes"], "position"), "strong_posterior": f"{p['strong_posterior']:g}",
        "max_speed": speed(p["max_speed_mps"]), "widened": known if p["uncertainty_m"] else "", "timezone": case.timezone,
        "algorithm": case.run.algorithm,
    }  # fmt: skip
