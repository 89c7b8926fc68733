"""One part of a service's health: a figure and a sentence, without names of people, devices or hosts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec


class Part(NamedTuple):
    """`figure` is in the unit that the sentence tells."""

    name: str
    is_well: bool
    figure: float
    said: str


def answer(name: str, parts: Iterable[Part]) -> tuple[int, bytes]:
    """HTTP status and JSON body: `name` (live, ready) is true where every part is well."""
    parts = list(parts)
    is_well = all(part.is_well for part in parts)
    told = {part.name: {"ok": part.is_well, "figure": round(part.figure, 3), "said": part.said} for part in parts}
    return 200 if is_well else 503, msgspec.json.encode({name: is_well, "parts": told})
