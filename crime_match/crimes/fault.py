"""What is told of a row of a crime file: a fault keeps the row out, a hint only asks a person to look again."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import InputError

SHOWN = 200
"""A value is shown up to so many characters."""


@dataclass(frozen=True, slots=True)
class Remark:
    """`row` counts the records of the file from 1 (a header is not one); `line` is where the row starts, 0 where unknown.

    `field` is the column's name and `value` what stands there; both are None where the remark is about no one column.
    """

    row: int
    code: str
    field: str | None
    value: str | None
    message: str
    line: int = 0

    def record(self) -> dict[str, object]:
        """The line of JSON: row, code, field, value, message, in this order."""
        return {"row": self.row, "code": self.code, "field": self.field, "value": self.value, "message": self.message}


class CrimeFault(Remark):
    """What is wrong with a row, which is left out; a fault of a whole batch names the first row that shows it."""

    __slots__ = ()

    def error(self, file: str) -> InputError:
        """The same as an error of that file."""
        line = f" (line {self.line})" if self.line else ""
        place = f"{file}, row {self.row}{line}"
        return InputError(f"{self.message} [{self.code}]", place=place, field=self.field or "", value=self.value)


class CrimeHint(Remark):
    """What looks odd in a row or in the file; the data stay as they are."""

    __slots__ = ()


def shown(text: str) -> str | None:
    """A field's text as it can be printed: bytes that are no UTF-8 as \\x.., long text cut, None where it is blank."""
    if not text.strip():
        return None
    plain = text if text.isprintable() else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return plain if len(plain) <= SHOWN else plain[: SHOWN - 1] + "…"
