"""What somebody typed into a form, and what is wrong with it: each fault names its field, nothing that was typed is lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends, Request

from engine.errors import InputError

T = TypeVar("T")
LONGEST = {"reason": 1000, "case_ref": 200}


@dataclass
class Fields:
    """The texts of a form by field; `faults`: what is wrong, by field."""

    texts: Mapping[str, str]
    faults: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """What stands in a field, without blanks about it."""
        return self.texts.get(name, "").strip()

    def read(self, name: str, how: Callable[[str], T]) -> T | None:
        """A field's value; None where there is a fault, which is kept."""
        try:
            return how(self.text(name))
        except InputError as fault:
            self.faults.setdefault(name, said(fault))
            return None

    def needed(self, name: str, told: str) -> str:
        """A text that must not be empty; told: what is said where it is."""
        text = self.text(name)
        most = LONGEST.get(name, 200)
        if not text:
            self.faults.setdefault(name, told)
        elif len(text) > most:
            self.faults.setdefault(name, f"This is {len(text):,} characters long; at most {most:,} are kept.")
        return text

    def number(self, name: str, otherwise: float | None, low: float, high: float, unit: str) -> float | None:
        """A number within bounds; `otherwise` where the field is empty, None where there is a fault."""
        text = self.text(name)
        if not text and otherwise is not None:
            return otherwise
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            self.faults.setdefault(name, f"Give a number of {unit} from {low:g} to {high:,.10g}.")
            return None
        return value


def said(fault: InputError) -> str:
    """An error as a sentence for people: what is wrong, and what was expected."""
    value = "" if fault.value is None else f"“{str(fault.value)[:80]}”"
    what = " ".join(part for part in (value, fault.message or ("is not understood" if value else "")) if part)
    told = [what[:1].upper() + what[1:]] if what else []
    told += [f"expected {fault.expected}" if told else f"Give {fault.expected}"] if fault.expected else []
    return ": ".join(told) + "."


async def _texts_of(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


Texts = Annotated[dict[str, str], Depends(_texts_of)]
"""The type of a parameter that is to be given the texts of the form that was sent."""
