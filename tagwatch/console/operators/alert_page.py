"""The page of one alert, and what its map draws."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response

from alerts.records import texts_of
from tagwatch.console import geo_features
from tagwatch.console.caller import Caller, needs
from tagwatch.console.managers.standings import Stood, conditions_of
from tagwatch.console.managers.trail_map import chosen, features, scenery_of
from tagwatch.console.managers.trail_reading import read_trail
from tagwatch.console.office import Here
from tagwatch.console.operators.alert_view import alert_answer, seen_row, window_of
from tagwatch.console.wording import rule_words

router = APIRouter(include_in_schema=False)
Reads = Annotated[Caller, needs("alerts.read")]


@router.get("/alerts/{identifier}")
def alert(request: Request, office: Here, caller: Reads, stood: Stood, identifier: str, day: str = "") -> Response:
    """The page; the alert itself is the reason for which a person's locations are shown. day: another local day of it."""
    return alert_answer(request, office, caller, stood, identifier, day=day)


@router.get("/alerts/{identifier}/map.json")
def alert_map(request: Request, office: Here, caller: Reads, stood: Stood, identifier: str) -> Response:
    """Zones, home, the way about the alert with its gaps, and on top the fixes that the alert rests on."""
    with office.database.reading() as connection:
        row = seen_row(connection, caller, identifier)
        text = texts_of(connection, [identifier])[identifier]
        conditions = conditions_of(stood.conditions(office, connection), row.wearer)
        window = window_of(text.alert, office.clock())
        trail = read_trail(connection, conditions, row.wearer, window)
    office.log(caller, "alert mapped", row.wearer, alert=identifier)
    scenery = scenery_of(conditions, row.wearer, window)
    listed = [
        geo_features.fix_feature(
            fix.lat, fix.lon, fix.time, fix.accuracy_m, label=str(k), grade=row.grade, p=fix.p,
            title=f"Fix {k} of the alert: {rule_words(row.rule)}, {100 * fix.p:.1f} % inside, {fix.source}, {fix.time}",
        )
        for k, fix in enumerate(text.alert.fixes, 1)
    ]  # fmt: skip
    return geo_features.answer([*features(trail, chosen(trail, scenery), scenery, window), *listed])
