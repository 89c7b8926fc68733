"""How wearers stood over some days: the reports of `tagwatch compliance`, one wearer at a time, kept for a while.

A report comes from presence. It is asked for again once the configuration changed or the report has grown old.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Annotated

from fastapi import Depends, Request

from alerts.compliance import Period
from engine.activations import Activations
from engine.database import Connection
from engine.errors import InputError
from engine.store.fixes import FixStore
from engine.times import DAY_US, HOUR_US, MINUTE_US, Clock, to_datetime
from engine.wearers import Wearer
from geofence.schedule import read_date, time_zone
from geofence.store import last_number
from tagwatch import configuration
from tagwatch.compliance import Inquiry, Report, from_database, monitored_in
from tagwatch.console.office import Office, office_of
from tagwatch.monitor import Conditions

STEP_US = 5 * MINUTE_US
"""Standings are as known at the last full five minutes: so they need not be found anew for every page."""
OLD_US = 2 * HOUR_US
"""Asked for again as of the same instant, a report is found anew after this: late data may have come."""
_MOST_HELD = 10_000
_FIRST_DAY = date(2001, 1, 1)
_Key = tuple[tuple[int, int], str, Period]


@dataclass
class Standings:
    """The conditions that hold now, and the reports that were asked for lately."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _conditions: tuple[tuple[int, int], Conditions] | None = None
    _reports: OrderedDict[_Key, tuple[int, Report]] = field(default_factory=OrderedDict)

    def conditions(self, office: Office, connection: Connection) -> Conditions:
        """The conditions that the database holds."""
        return self._numbered(office, connection)[1]

    def held(self, office: Office, connection: Connection, asked: Mapping[str, Period]) -> dict[str, Report]:
        """The reports of wearers, each over a period, that need not be found anew."""
        number, oldest_us = self._numbered(office, connection)[0], office.wall() - OLD_US
        with self._lock:
            found = ((wearer, self._reports.get((number, wearer, period))) for wearer, period in asked.items())
            return {wearer: kept[1] for wearer, kept in found if kept is not None and kept[0] >= oldest_us}

    def report(self, office: Office, connection: Connection, who: Wearer, period: Period) -> Report:
        """One wearer's report, found anew where it is not held."""
        known = self.held(office, connection, {who.wearer: period})
        if known:
            return known[who.wearer]
        number, conditions = self._numbered(office, connection)
        mine = conditions_of(conditions, who.wearer)
        (found,) = from_database(connection, mine, [who], Inquiry(period, who.wearer))
        with self._lock:
            self._reports[number, who.wearer, period] = (office.wall(), found)
            while len(self._reports) > _MOST_HELD:
                self._reports.popitem(last=False)
        return found

    def reports(
        self, office: Office, people: Iterable[Wearer], period: Period, tell: Callable[[int], None] = lambda n: None
    ) -> list[Report]:
        """The reports of several wearers, in their order; `tell` is told how many there are after each."""
        found = []
        for who in people:
            with office.database.reading() as connection:
                found.append(self.report(office, connection, who, period))
            tell(len(found))
        return found

    def monitored(self, office: Office, connection: Connection, period: Period) -> set[str]:
        """Who wore a device or had a curfew in a period: of whom the command reports."""
        conditions = self.conditions(office, connection)
        devices = set() if conditions.activations.rows else set(FixStore(connection).devices())
        return monitored_in(conditions, *Inquiry(period).bounds()) | devices

    def _numbered(self, office: Office, connection: Connection) -> tuple[tuple[int, int], Conditions]:
        number = last_number(connection)
        with self._lock:
            if self._conditions is None or self._conditions[0] != number:
                settings = office.settings
                held = configuration.load(connection, settings.filter_settings, settings.default_plan)
                self._conditions = (number, held)
            return self._conditions


def _standings_of(request: Request) -> Standings:
    return office_of(request).one(Standings, Standings)


Stood = Annotated[Standings, Depends(_standings_of)]
"""The type of a parameter that is to be given the application's standings."""


def conditions_of(conditions: Conditions, wearer: str) -> Conditions:
    """What concerns one wearer. Who wears nothing keeps an activation of somebody else, so that devices stay assigned."""
    rows = conditions.activations.of_wearer(wearer) or conditions.activations.rows[:1]
    return replace(
        conditions, zones=[z for z in conditions.zones if z.concerns(wearer)], activations=Activations(rows),
        curfews=[c for c in conditions.curfews if c.wearer == wearer], proximities=(),
    )  # fmt: skip


def known_at(clock: Clock) -> int:
    """The instant as of which standings are told [us]: the last full step of the clock."""
    return clock() // STEP_US * STEP_US


def zone_names(conditions: Conditions) -> dict[str, str]:
    """By wearer the time zone of the curfew, as compliance takes it; who has none is left out."""
    return {c.wearer: c.schedule.timezone for c in reversed(conditions.curfews)}


def last_days(n: int, as_of_us: int, zone_name: str, last: date | None = None) -> Period:
    """The last n local days up to an instant, or up to a day."""
    last = last or to_datetime(as_of_us).astimezone(time_zone(zone_name)).date()
    return Period(last - timedelta(days=n - 1), last, as_of_us)


def read_day(raw: str, field: str, now_us: int) -> date | None:
    """A day that standings can be told of, None where nothing is typed; InputError where it is none, or is to come."""
    day, newest = read_date(raw.strip(), field), to_datetime(now_us + DAY_US).date()
    if day is not None and not _FIRST_DAY <= day <= newest:
        raise InputError(field=field, value=raw, expected=f"a day from {_FIRST_DAY} on, not after {newest}")
    return day
