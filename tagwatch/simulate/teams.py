"""The teams about the wearers: police and probation offender managers and support officers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.wearers import Wearer

_MEMBERS = (
    ("police_manager", "Mo-Su 07:00-22:00", ["critical", "high"]),
    ("probation_manager", "Mo-Fr 08:00-18:00", ["critical", "high", "medium"]),
    ("support_officer", "Mo-Sa 09:00-17:00", ["medium", "low"]),
)
_NAMES = ("Alex Moorhouse", "Bryony Tate", "Colin Ferris", "Dilys Prowse", "Esme Thackray", "Farid Noor", "Greta Vane",
          "Hugh Lacey", "Isla Penrose", "Joss Whitlam", "Kemi Adair", "Lorna Sykes")  # fmt: skip


def teams_of(wearers: Sequence[Wearer]) -> list[dict[str, Any]]:
    """A team of three for each team name that a wearer has, in order of the names."""
    teams = []
    for number, team in enumerate(sorted({wearer.team for wearer in wearers})):
        members = []
        for place, (role, hours, grades) in enumerate(_MEMBERS):
            name = _NAMES[(3 * number + place) % len(_NAMES)]
            address = f"{name.lower().replace(' ', '.')}@{team.split('-', maxsplit=1)[0]}.example"
            members.append(
                {"name": name, "role": role, "channels": [f"mailto:{address}"], "grades": grades, "hours": hours}
            )
        teams.append({"id": team, "members": members})
    return teams
