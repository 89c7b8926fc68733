"""Wearers: the people who wear devices, as the configuration names them."""

from __future__ import annotations

from typing import NamedTuple

COHORTS = ("fixed", "flex", "free")
BASES = ("licence", "bail", "court order", "voluntary")


class Wearer(NamedTuple):
    """One wearer: cohort is one of COHORTS or empty, basis (why the tag is worn) one of BASES or empty."""

    wearer: str
    name: str = ""
    cohort: str = ""
    scheme: str = ""
    force: str = ""
    basis: str = ""
    team: str = ""
