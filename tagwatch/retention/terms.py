"""Terms: for how long a kind of data is kept. From the data's own time, or from the end of the wearer's last activation."""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.errors import InputError
from engine.times import DAY_US

KINDS = ("positions", "raw", "quarantine", "alerts", "matches", "configuration")
"""Kinds of data: fixes and device events; payloads of the raw log; quarantined payloads; alerts with their history and
handling; lines of match runs; a wearer's record, activations, curfews, zones and proximities."""
MOST_DAYS = 36_500
EXPECTED = 'a number of days, "N days after the end", or "kept"'
_TEXT = re.compile(r"(\d+) days?( after the end)?")


class Term(NamedTuple):
    """`days` None: kept for good. `after_end`: from the end of the last activation, else from the data's own time."""

    days: int | None = None
    after_end: bool = False

    def cut_us(self, now_us: int, ended_us: int | None) -> int | None:
        """Data from before this instant are due; None where none are. ended_us: when the last activation ended."""
        if self.days is None:
            return None
        since_us = now_us - self.days * DAY_US
        if not self.after_end:
            return since_us
        return now_us if ended_us is not None and ended_us <= since_us else None

    def __str__(self) -> str:
        if self.days is None:
            return "kept"
        return f"{self.days} days" + " after the end" * self.after_end


KEPT = Term()


def read_term(value: int | str, field: str = "term") -> Term:
    """The term of a settings file or a command. InputError where it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _term(value, value, field, after_end=False)
    text = str(value).strip()
    if text == "kept":
        return KEPT
    if text.isdecimal():
        return _term(int(text), value, field, after_end=False)
    match = _TEXT.fullmatch(text)
    if match is None:
        raise InputError(field=field, value=value, expected=EXPECTED)
    return _term(int(match[1]), value, field, after_end=match[2] is not None)


def _term(days: int, value: object, field: str, *, after_end: bool) -> Term:
    if not 0 <= days <= MOST_DAYS:
        raise InputError(field=field, value=value, expected=f"0 to {MOST_DAYS} days")
    return Term(days, after_end)
