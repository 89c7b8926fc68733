"""The form of a team: its members, their channels, grades and duty hours."""

from __future__ import annotations

from typing import Any

from alerts.alert import GRADE_ORDER
from alerts.teams import ROLES, TIMEZONE, read_teams
from tagwatch.console.administrators.forms.parts import Fields, fill_texts, kept, read_with
from tagwatch.console.administrators.typed import Faults, Typed

LABELS = {
    "id": "Team", "timezone": "Time zone", "members": "Members", "name": "Name", "role": "Role", "channels": "Channels",
    "grades": "Grades", "hours": "Duty hours",
}  # fmt: skip
ID = "id"
CHOICES = {"role": ROLES, "grades": tuple(reversed(GRADE_ORDER))}
MEMBER = ("name", "channels", "hours")


def read(typed: Typed, base: Any, zones: Any) -> tuple[str, Any]:
    """The identifier and the content; FormError says what is wrong."""
    faults: Faults = {}
    members, numbers = [], []
    for row in typed.rows("members"):
        if row.is_blank(*MEMBER):
            continue
        grades = [grade for grade in CHOICES["grades"] if grade in row.all("grades")]
        told = {"name": row.text("name"), "role": row.text("role"), "channels": row.words("channels"), "grades": grades}
        members.append({**told, **kept(row, "hours")})
        numbers.append(int(row.id("").split(".")[1]))
    for member, number in zip(members, numbers, strict=True):
        if not member["name"]:
            faults[f"members.{number}.name"] = "Name is missing: expected who the member is"
    if not members:
        faults["members.0.name"] = "Members are missing: a team has one member or more"
    content: dict[str, Any] = {"id": typed.text("id"), "timezone": typed.text("timezone") or TIMEZONE, "members": members}
    content = {**{k: v for k, v in (base or {}).items() if k not in content}, **content}
    read_with(lambda: read_teams([content]), LABELS, {"members": numbers}, faults)
    return content["id"], content


def fill(content: Any) -> Fields:
    """The fields of a content."""
    fields = fill_texts({"timezone": TIMEZONE, **content}, "id", "timezone")
    for k, member in enumerate(content["members"]):
        fields |= {f"members.{k}.{name}": [str(member.get(name) or "")] for name in ("name", "role", "hours")}
        fields[f"members.{k}.channels"] = ["\n".join(member["channels"])]
        fields[f"members.{k}.grades"] = list(member.get("grades", GRADE_ORDER))
    return fields
