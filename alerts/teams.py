"""The teams about the wearers: who is told, about which grades, in which hours. Reads and checks teams.json."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from alerts.alert import GRADE_ORDER
from alerts.duty_hours import read_hours
from engine.errors import InputError
from geofence.schedule import Schedule, time_zone

ROLES = ("police_manager", "probation_manager", "support_officer")
TIMEZONE = "Europe/London"
"""The time zone of a team that names none."""

_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\Z")
_CHANNELS = "mailto:name@host or mqtt:topic"


class Member(NamedTuple):
    """One person: channels as the outbox writes them (`mail:...`, `mqtt:...`); `hours` None means always on duty."""

    name: str
    role: str
    channels: tuple[str, ...]
    grades: frozenset[str]
    hours: Schedule | None


class Team(NamedTuple):
    """The people about some wearers; `timezone` is that of their hours, and of the times in their mail."""

    id: str
    members: tuple[Member, ...]
    timezone: str = TIMEZONE


def read_teams(raw: Any) -> list[Team]:
    """The teams of a JSON list `[{"id", "timezone", "members": [{"name", "role", "channels", "grades", "hours"}]}]`.

    `timezone` may be left out (Europe/London), so may `grades` (all) and `hours` (always). InputError names team, member,
    field, value and what was expected.
    """
    if not isinstance(raw, list):
        raise InputError(field="teams", value=type(raw).__name__, expected="a JSON list of teams")
    teams: dict[str, Team] = {}
    for number, row in enumerate(raw, 1):
        try:
            team = _read_team(row)
            if team.id in teams:
                raise InputError(field="id", value=team.id, expected="an id that no other team has")
        except InputError as fault:
            name = row.get("id") if isinstance(row, dict) else None
            raise fault.at(f"team {number}" + (f" (id {name})" if name else "")) from None
        teams[team.id] = team
    return list(teams.values())


def is_address(text: str) -> bool:
    """Whether this is one plain mail address, without a name."""
    return bool(_MAIL.match(text))


def _read_team(row: Any) -> Team:
    if not isinstance(row, dict):
        raise InputError(field="team", value=row, expected="a JSON object")
    identifier = _text(row, "id")
    timezone = row.get("timezone", TIMEZONE)
    time_zone(timezone)
    rows = row.get("members")
    if not isinstance(rows, list):
        raise InputError(field="members", value=rows, expected="a list of members")
    members = []
    for number, member in enumerate(rows, 1):
        try:
            members.append(_read_member(member, timezone))
        except InputError as fault:
            name = member.get("name") if isinstance(member, dict) else None
            raise fault.at(f"member {number}" + (f" ({name})" if name else "")) from None
    return Team(identifier, tuple(members), timezone)


def _read_member(row: Any, timezone: str) -> Member:
    if not isinstance(row, dict):
        raise InputError(field="member", value=row, expected="a JSON object")
    name, role = _text(row, "name"), row.get("role")
    if role not in ROLES:
        raise InputError(field="role", value=role, expected=f"one of {', '.join(ROLES)}")
    channels = tuple(dict.fromkeys(_channel(text) for text in _texts(row, "channels", _CHANNELS)))
    grades = _texts(row, "grades", ", ".join(GRADE_ORDER)) if "grades" in row else list(GRADE_ORDER)
    for grade in grades:
        if grade not in GRADE_ORDER:
            raise InputError(field="grades", value=grade, expected=f"one of {', '.join(GRADE_ORDER)}")
    return Member(name, role, channels, frozenset(grades), read_hours(row.get("hours"), timezone))


def _channel(text: str) -> str:
    """A channel as the outbox writes it."""
    kind, _, target = text.partition(":")
    if kind in ("mail", "mailto") and is_address(target):
        return f"mail:{target}"
    if kind == "mqtt" and _is_topic(target):
        return text
    raise InputError(field="channels", value=text, expected=_CHANNELS)


def _is_topic(text: str) -> bool:
    return bool(text) and text.isprintable() and not set("+#") & set(text) and not text.startswith("$")


def _text(row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise InputError(field=field, value=value, expected="a text")
    return value


def _texts(row: dict[str, Any], field: str, expected: str) -> list[str]:
    values = row.get(field)
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise InputError(field=field, value=values, expected=f"a list with at least one of: {expected}")
    return values
