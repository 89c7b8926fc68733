"""What a form held, as it was typed: texts, lists, and rows of fields that are numbered (`weekly.0.start`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from engine.errors import InputError

MOST_ROWS = 60
_PLACES = {
    "weekly row": "weekly", "exception": "exceptions", "member": "members", "place": "places",
}  # fmt: skip
_NUMBERED = re.compile(r"(weekly row|exception|member|place) (\d+)")


class Typed:
    """The values of a form; every look gives texts without the blanks about them."""

    def __init__(self, values: Mapping[str, Sequence[str]], before: str = "") -> None:
        self.values, self._before = values, before

    def text(self, name: str, otherwise: str = "") -> str:
        """The one value of a field."""
        found = self.values.get(self._before + name)
        return found[0].strip() if found else otherwise

    def all(self, name: str) -> list[str]:
        """Every value of a field, such as of check boxes."""
        return list(self.values.get(self._before + name, ()))

    def words(self, name: str) -> list[str]:
        """The words of a field, by blanks, commas and lines."""
        return [word for word in re.split(r"[\s,;]+", self.text(name)) if word]

    def lines(self, name: str) -> list[str]:
        """The lines of a field that are not blank."""
        return [line.strip() for line in self.text(name).splitlines() if line.strip()]

    def rows(self, prefix: str) -> list[Typed]:
        """The numbered rows of a prefix, in their order; a form has one at least."""
        pattern = re.compile(re.escape(prefix) + r"\.(\d{1,3})\.")
        numbers = {int(found[1]) for name in self.values if (found := pattern.match(name))}
        return [Typed(self.values, f"{prefix}.{number}.") for number in sorted(numbers)[:MOST_ROWS]]

    def id(self, name: str) -> str:
        """The name of a field as the page knows it."""
        return self._before + name

    def is_blank(self, *names: str) -> bool:
        """Whether nothing was typed into any of these."""
        return not any(value.strip() for name in names for value in self.all(name))


Faults = dict[str, str]
"""By field of the page, what is wrong with it, in one sentence."""


_BLANK = {"members": {"grades": ["critical", "high", "medium", "low"]}}


def renumbered(typed: Typed, prefix: str, *, drop: int = -1, more: bool = False) -> Typed:
    """The form with the rows of a prefix counted anew, one of them dropped, or an empty one added."""
    values = {name: list(v) for name, v in typed.values.items() if not name.startswith(f"{prefix}.")}
    kept = [row for row in typed.rows(prefix) if row.id("") != f"{prefix}.{drop}."]
    for number, row in enumerate(kept):
        for name, found in typed.values.items():
            if name.startswith(row.id("")):
                values[f"{prefix}.{number}.{name.removeprefix(row.id(''))}"] = list(found)
    if more:
        values[f"{prefix}.{len(kept)}.new"] = ["1"]
        values |= {f"{prefix}.{len(kept)}.{name}": text for name, text in _BLANK.get(prefix, {}).items()}
    return Typed(values)


def field_of(fault: InputError, rows: Mapping[str, Sequence[int]]) -> str:
    """The field of the page that a reader's fault is about; rows: by prefix the numbers of those that the reader was given."""
    found = _NUMBERED.search(fault.place)
    field = re.sub(r"[.\[].*", "", fault.field)
    if found:
        prefix, number = _PLACES[found[1]], int(found[2]) - 1
    else:
        prefix, number = next((p for p, names in _ROW_FIELDS.items() if field in names and rows.get(p)), ""), 0
    if prefix and number < len(rows.get(prefix, ())):
        return f"{prefix}.{rows[prefix][number]}.{field}"
    return field


_ROW_FIELDS = {
    "weekly": ("days", "start", "end"), "exceptions": ("from", "to"), "members": ("role", "channels", "grades", "hours"),
    "places": ("lat", "lon"),
}  # fmt: skip


_MANY = ("Roles", "Scopes", "Days", "Hours", "Corners", "Wearers", "Channels", "Grades", "Members")


def sentence(fault: InputError, labels: Mapping[str, str]) -> str:
    """A fault as the page tells it: the field by its label, what is wrong, what was expected."""
    name = re.sub(r"[.\[].*", "", fault.field)
    told = labels.get(name, name.replace("_", " ").capitalize()) or "It"
    value = "" if fault.value in (None, "", [], ()) else f" {_short(fault.value)}"
    verb = "are" if told in _MANY else "is"
    parts = [f"{told}{value} " + (fault.message or f"{verb} {'not right' if value else 'missing'}")]
    return ": expected ".join([*parts, *([fault.expected] if fault.expected else [])])


def _short(value: object, most: int = 60) -> str:
    text = f"“{value}”" if isinstance(value, str) else str(value)
    return text if len(text) <= most else text[: most - 1] + "…"


async def typed_of(request: Request) -> Typed:
    """The form of a request; files are left out."""
    try:
        form = await request.form()
    except ClientDisconnect:  # whoever typed has gone to another page
        return Typed({})
    values: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            values.setdefault(name, []).append(value)
    return Typed(values)


Form = Annotated[Typed, Depends(typed_of)]
"""The type of a parameter that is to be given the form."""
