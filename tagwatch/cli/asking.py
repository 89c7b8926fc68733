"""How `near` and `match` are asked: their common options, and what the texts of these mean."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.errors import InputError

VERDICTS = ("placed", "possible", "excluded", "unmonitored")
_MINUTES = {"s": 1 / 60, "m": 1, "h": 60}

Radius = Annotated[float, typer.Option("--radius", help="Radius of the vicinity, metres")]
Pad = Annotated[str, typer.Option("--pad", help="Added to both ends of the window, such as 10m")]
MaxSpeed = Annotated[float, typer.Option("--max-speed", help="How fast a wearer may have moved, metres a second")]
MinFixes = Annotated[int, typer.Option("--min-fixes", help="Fixes that it takes to be placed")]
Only = Annotated[
    str | None, typer.Option("--only", help="Verdicts to list, such as placed,possible; the others are counted")
]
Compatible = Annotated[bool, typer.Option("--compatible", help="The ministry's binary answer beside ours")]


def verdicts_of(only: str | None) -> tuple[str, ...]:
    """The verdicts to list, in the order in which they are listed; all of them where nothing was said."""
    wanted = [part.strip() for part in only.split(",")] if only is not None else VERDICTS
    for verdict in wanted:
        if verdict not in VERDICTS:
            raise InputError(field="--only", value=verdict, expected=", ".join(VERDICTS))
    return tuple(verdict for verdict in VERDICTS if verdict in wanted)


def pad_us(text: str) -> int:
    """A length of time such as 10m, 90s or 1h; a bare number is minutes [us]."""
    unit = text[-1:] if text[-1:] in _MINUTES else ""
    try:
        minutes = float(text[: len(text) - len(unit)]) * _MINUTES[unit or "m"]
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes <= 24 * 60:
        raise InputError(field="--pad", value=text, expected="a time such as 10m, 90s or 1h")
    return round(minutes * 60_000_000)
