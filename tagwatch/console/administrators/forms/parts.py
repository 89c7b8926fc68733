"""What several forms share: numbers, weekly rows, exceptions, dates, and how a reader's fault finds its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.errors import InputError
from geofence.schedule import DAYS
from tagwatch.console.administrators.typed import Faults, Typed, field_of, sentence

TIMEZONE = "Europe/London"
WEEKLY = ("days", "start", "end")
EXCEPTION = ("from", "to", "reason")
Fields = dict[str, list[str]]


class FormError(Exception):
    """What was typed cannot be taken; `faults` says why, by field."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        super().__init__("; ".join(faults.values()))


def number(typed: Typed, name: str, label: str, faults: Faults) -> float | int | None:
    """A number, None where nothing was typed; what is none is a fault."""
    text = typed.text(name)
    if not text:
        return None
    try:
        value = float(text)
        if not abs(value) <= 1e12:  # neither beyond all sense nor not a number
            raise ValueError
    except ValueError:
        faults[typed.id(name)] = f"{label} “{text[:60]}” is not a number: expected digits, such as 250 or 0.5"
        return None
    return int(value) if value == int(value) else value


def weekly_rows(typed: Typed) -> tuple[list[dict[str, Any]], list[int]]:
    """The weekly rows that something was typed into, and their numbers on the page."""
    rows, numbers = [], []
    for row in typed.rows("weekly"):
        if row.is_blank(*WEEKLY):
            continue
        days = [day for day in DAYS if day in row.all("days")]
        told = {"days": days, "start": clock(row.text("start")), "end": clock(row.text("end"))}
        rows.append({**told, **kept(row, "note")})
        numbers.append(int(row.id("").split(".")[1]))
    return rows, numbers


def clock(text: str) -> str:
    """A time of day as the readers take it: `7:00` and `07.00` are meant as `07:00`."""
    hours, _, minutes = text.replace(".", ":").partition(":")
    return f"{int(hours):02d}:{minutes or '00'}" if hours.isdigit() and hours.isascii() and len(hours) <= 2 else text


def exception_rows(typed: Typed) -> tuple[list[dict[str, Any]], list[int]]:
    """The exceptions that something was typed into, and their numbers on the page."""
    rows, numbers = [], []
    for row in typed.rows("exceptions"):
        if row.is_blank(*EXCEPTION):
            continue
        rows.append({"from": row.text("from"), "to": row.text("to"), "kind": row.text("kind"), **kept(row, "reason")})
        numbers.append(int(row.id("").split(".")[1]))
    return rows, numbers


def missing_reasons(typed: Typed, faults: Faults) -> None:
    """An exception made here says why."""
    for row in typed.rows("exceptions"):
        if not row.is_blank(*EXCEPTION) and row.is_blank("reason"):
            faults[row.id("reason")] = "Reason is missing: say who authorised the exception and why"


def kept(typed: Typed, *names: str) -> dict[str, str]:
    """Texts that are not empty."""
    return {name: typed.text(name) for name in names if typed.text(name)}


def read_with(
    reader: Callable[[], object], labels: Mapping[str, str], rows: Mapping[str, Sequence[int]], faults: Faults
) -> None:
    """Ask the reader of files whether it takes what was made of the form; FormError with what is wrong, by field."""
    if not faults:
        try:
            reader()
        except InputError as fault:
            faults[field_of(fault, rows)] = sentence(fault, labels)
    if faults:
        raise FormError(faults)


def fill_weekly(rows: Sequence[Mapping[str, Any]]) -> Fields:
    """Weekly rows as fields."""
    fields: Fields = {}
    for k, row in enumerate(rows):
        fields[f"weekly.{k}.days"] = list(row["days"])
        fields |= {f"weekly.{k}.{name}": [str(row.get(name) or "")] for name in ("start", "end", "note")}
    return fields


def fill_exceptions(rows: Sequence[Mapping[str, Any]] | None) -> Fields:
    """Exceptions as fields."""
    return {
        f"exceptions.{k}.{name}": [str(row.get(name) or "")]
        for k, row in enumerate(rows or ())
        for name in ("kind", *EXCEPTION)
    }


def fill_texts(content: Mapping[str, Any], *names: str) -> Fields:
    """Texts and numbers as fields; what is absent is empty."""
    return {name: ["" if content.get(name) is None else f"{content[name]:g}" if isinstance(content[name], float)
                   else str(content[name])] for name in names}  # fmt: skip
