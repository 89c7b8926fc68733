"""What a case conference is about, as it is typed: the days, the scheme and the cohort; and whom that concerns."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, NamedTuple

from fastapi import Depends, Form, Query

from alerts.compliance import Period
from engine.errors import InputError
from engine.times import DAY_US, MINUTE_US, parse_time, to_datetime, to_iso
from engine.wearers import Wearer
from tagwatch.console.managers.roll import Sought
from tagwatch.console.managers.standings import Standings, known_at, read_day
from tagwatch.console.office import Office

LABELS = {"from": "First day", "to": "Last day", "as_of": "As known at"}
MOST_DAYS, USUAL_DAYS = 92, 28


class Asked(NamedTuple):
    """What is typed: days, scheme and cohort, and as of when; empty is the usual."""

    first: str
    last: str
    scheme: str
    cohort: str
    as_of: str

    def given(self) -> dict[str, str]:
        """As addresses hold it."""
        told = {"from": self.first, "to": self.last, "scheme": self.scheme, "cohort": self.cohort, "as_of": self.as_of}
        return {key: value for key, value in told.items() if value}


def _asked(
    first: Annotated[str, Query(alias="from", max_length=40)] = "", last: Annotated[str, Query(alias="to", max_length=40)] = "",
    scheme: Annotated[str, Query(max_length=200)] = "", cohort: Annotated[str, Query(max_length=40)] = "",
    as_of: Annotated[str, Query(max_length=40)] = "",
) -> Asked:  # fmt: skip
    return Asked(first, last, scheme, cohort, as_of)


def _posted(
    first: Annotated[str, Form(alias="from", max_length=40)] = "", last: Annotated[str, Form(alias="to", max_length=40)] = "",
    scheme: Annotated[str, Form(max_length=200)] = "", cohort: Annotated[str, Form(max_length=40)] = "",
    as_of: Annotated[str, Form(max_length=40)] = "",
) -> Asked:  # fmt: skip
    return Asked(first, last, scheme, cohort, as_of)


Typed = Annotated[Asked, Depends(_asked)]
"""The question of an address."""
Posted = Annotated[Asked, Depends(_posted)]
"""The question of a form that was sent."""


class Conference(NamedTuple):
    """A conference that can be held: the days, whom the caller may see of those asked for, and the question in full."""

    period: Period
    people: list[Wearer]
    asked: Asked


def read_conference(office: Office, stood: Standings, everybody: list[Wearer], asked: Asked) -> Conference:
    """The conference that was asked for, of those on a roll. InputError where the days are none, or too many."""
    now_us = known_at(office.clock)
    as_of_us = _as_of(asked.as_of, now_us)
    yesterday = to_datetime(as_of_us - DAY_US).date()
    last = read_day(asked.last, "to", now_us) or yesterday
    first = read_day(asked.first, "from", now_us) or last - timedelta(days=USUAL_DAYS - 1)
    if last < first:
        raise InputError(field="to", value=str(last), expected=f"{first} or later")
    if (last - first).days >= MOST_DAYS:
        raise InputError(field="from", value=str(first), expected=f"at most {MOST_DAYS} days")
    period = Period(first, last, as_of_us)
    with office.database.reading() as connection:
        there = stood.monitored(office, connection, period)
    sought = Sought(scheme=asked.scheme, cohort=asked.cohort)
    people = [who for who in everybody if who.wearer in there and sought.holds(who)]
    return Conference(period, people, asked._replace(first=str(first), last=str(last), as_of=to_iso(as_of_us)))


def _as_of(raw: str, now_us: int) -> int:
    """The instant asked for, never one to come; whole minutes, so that few differ."""
    return min(parse_time(raw, field="as_of") // MINUTE_US * MINUTE_US, now_us) if raw.strip() else now_us
