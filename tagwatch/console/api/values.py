"""The kinds of values that calls take and give: instants with their offset, texts that a database can hold, numbers."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from engine.errors import InputError
from engine.times import parse_time

MOST_TEXT = 200
_OFFSET = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
EXPECTED = "ISO 8601 with an offset, such as 2026-03-29T01:30:00Z, of the years 2000 to 2099"


def read_instant(value: Any) -> int:
    """An instant [us UTC] from its text; InputError where it is none or has no offset."""
    if isinstance(value, str) and _OFFSET.fullmatch(value.strip()):
        try:
            return parse_time(value)
        except InputError as fault:
            raise InputError(fault.message, value=value, expected=EXPECTED) from None
    raise InputError(value=value, expected=EXPECTED)


def read_day(value: Any) -> date:
    """A day from its text; InputError where it is none."""
    if isinstance(value, str) and re.fullmatch(r"20\d\d-\d\d-\d\d", value, re.ASCII):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise InputError(value=value, expected="a day such as 2026-03-29, of the years 2000 to 2099")


Instant = Annotated[
    int, BeforeValidator(read_instant), WithJsonSchema({"type": "string", "format": "date-time", "description": EXPECTED})
]
"""An instant that comes in: text outside, microseconds UTC inside."""
Iso = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""An instant that goes out, in UTC with `Z`."""
Day = Annotated[date, BeforeValidator(read_day), WithJsonSchema({"type": "string", "format": "date"})]
"""A day of the years 2000 to 2099."""
Text = Annotated[str, StringConstraints(max_length=MOST_TEXT, pattern=r"^[^\x00]*$")]
LongText = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=MOST_TEXT, pattern=r"^[^\x00]*$")]
"""A text that is not empty: identifiers, references, names."""
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
"""Why something is asked; blanks alone are no reason."""
Number = Annotated[int, Field(ge=0, le=2**53)]


class Taken(BaseModel):
    """The body of a request: what it does not know it refuses, and no text or truth value passes for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True, allow_inf_nan=False)


class Told(BaseModel):
    """The body of an answer."""

    model_config = ConfigDict(populate_by_name=True, extra="forbid")


KNOWN: dict[int | str, dict[str, Any]] = {304: {"description": "It is as `If-None-Match` says that it is known"}}
"""The answer of calls whose answers have an ETag, beside the one with content."""
