"""Which stored crimes a command is about: the options of `crimes list` and `match`, and what they mean."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import InputError
from tagwatch.cli.options import instant

if TYPE_CHECKING:
    from crime_match.crimes.store import Choice
    from engine.database import Connection

Force = Annotated[str | None, typer.Option("--force", help="Only crimes of this force")]
Batch = Annotated[str | None, typer.Option("--batch", help="Only crimes of the batch that the force calls so")]
From = Annotated[str | None, typer.Option("--from", help="Only crimes whose window reaches this day or instant")]
To = Annotated[str | None, typer.Option("--to", help="Only crimes whose window begins by this day or instant")]
Stale = Annotated[bool, typer.Option("--stale", help="Only crimes that changed after a run had matched them")]
New = Annotated[
    bool, typer.Option("--new", help="Only crimes that no run has matched as they are now; beside --stale: either")
]
_DAY = re.compile(r"\d{4}-\d\d-\d\d$")
_OPTIONS = {
    "force": "--force", "batch": "--batch", "reference": "--crime", "from_us": "--from", "to_us": "--to",
    "stale": "--stale", "new": "--new",
}  # fmt: skip


def choice_of(
    force: str | None, batch: str | None, from_: str | None, to: str | None, stale: bool, new: bool, tz: str | None,
    reference: str | None = None,
) -> Choice:  # fmt: skip
    """The crimes that these options ask for. Days are local to --tz, else UTC, and both are counted in."""
    from crime_match.crimes.store import Choice

    return Choice(
        force, batch, reference, _bound(from_, "--from", tz), _bound(to, "--to", tz, end=True), stale=stale, new=new
    )


def options_of(choice: Choice) -> list[str]:
    """The options that this choice was made by."""
    return [option for name, option in _OPTIONS.items() if getattr(choice, name) not in (None, False)]


def require_known(connection: Connection, choice: Choice) -> None:
    """InputError where no stored crime has this force, batch or reference: a slip, not a day without crimes."""
    from crime_match.crimes.store import Choice, crimes

    named: dict[str, Any] = {}
    for name in ("force", "batch", "reference"):
        value = getattr(choice, name)
        if value is None:
            continue
        beside = f" with {' and '.join(_OPTIONS[other] for other in named)} as told" if named else ""
        named[name] = value
        if not crimes(connection, Choice(**named)):
            expected = f"that of a crime in the database{beside} (`tagwatch crimes list`)"
            raise InputError(field=_OPTIONS[name], value=value, expected=expected)


def _bound(text: str | None, option: str, tz: str | None, *, end: bool = False) -> int | None:
    """An instant; of a day its start, or its last microsecond."""
    if text is None or not _DAY.match(text.strip()):
        return instant(text, option, tz)
    from datetime import date, timedelta

    start = instant(f"{text.strip()}T00:00", option, tz or "UTC")
    if not end:
        return start
    after = instant(f"{date.fromisoformat(text.strip()) + timedelta(days=1)}T00:00", option, tz or "UTC")
    return None if after is None else after - 1
