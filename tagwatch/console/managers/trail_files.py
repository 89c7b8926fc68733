"""A trail as files: what the map draws, and all of it as CSV or GeoJSON. Each is streamed, and noted before it is given."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from crime_match.geojson import point
from crime_match.runs.results_csv import guarded
from engine.times import SECOND_US
from tagwatch.console import reason
from tagwatch.console.caller import Caller, needs
from tagwatch.console.managers.standings import Stood, zone_names
from tagwatch.console.managers.trail_map import chosen, features, scenery_of
from tagwatch.console.managers.trail_reading import Trails, WornTrail
from tagwatch.console.managers.trail_window import USUAL_ZONE, Window, read_window
from tagwatch.console.managers.trail_words import FIELDS, fix_rows
from tagwatch.console.managers.wearer_page import find
from tagwatch.console.office import Here
from tagwatch.monitor import Conditions

router = APIRouter(include_in_schema=False)
Reads = Annotated[Caller, needs("trails.read")]
_AT_ONCE = 500
GEOJSON, CSV = "application/geo+json", "text/csv; charset=utf-8"


class Typed(NamedTuple):
    """The window of an address, as it was typed."""

    from_: str
    to: str
    tz: str


def _typed(
    from_: Annotated[str, Query(alias="from", max_length=40)] = "", to: Annotated[str, Query(max_length=40)] = "",
    tz: Annotated[str, Query(max_length=60)] = "",
) -> Typed:  # fmt: skip
    return Typed(from_, to, tz)


Asked = Annotated[Typed, Depends(_typed)]


class Opened(NamedTuple):
    """A trail that may be given: somebody said why, and it is in the audit log."""

    trail: WornTrail
    conditions: Conditions
    window: Window


@router.get("/wearers/{wearer:path}/trail.json")
def drawn(
    request: Request, office: Here, caller: Reads, stood: Stood, trails: Trails, wearer: str, asked: Asked
) -> Response:
    """What the map draws; `drawn` and `of` count the fixes, `rule` says which were chosen."""
    opened = _open(request, office, caller, stood, trails, wearer, asked, "trail drawn")
    scenery = scenery_of(opened.conditions, wearer, opened.window)
    rows = chosen(opened.trail, scenery)
    head = {
        "type": "FeatureCollection", "rule": rows.rule, "drawn": len(rows.rows), "of": len(opened.trail),
        "silent_s": rows.silent_us // SECOND_US,
    }  # fmt: skip
    return StreamingResponse(
        collection(head, features(opened.trail, rows, scenery, opened.window)), media_type=GEOJSON
    )  # fmt: skip


@router.get("/wearers/{wearer:path}/trail.geojson")
def geojson(
    request: Request, office: Here, caller: Reads, stood: Stood, trails: Trails, wearer: str, asked: Asked
) -> Response:
    """Every fix of the window as a point, flagged ones too."""
    opened = _open(request, office, caller, stood, trails, wearer, asked, "trail exported", format="GeoJSON")
    head = {"type": "FeatureCollection", "wearer": wearer, **opened.window.given(), "fixes": len(opened.trail)}
    return _file(collection(head, _points(opened)), wearer, opened.window, "geojson", GEOJSON)


@router.get("/wearers/{wearer:path}/trail.csv")
def table(
    request: Request, office: Here, caller: Reads, stood: Stood, trails: Trails, wearer: str, asked: Asked
) -> Response:
    """Every fix of the window as a line, flagged ones too."""
    opened = _open(request, office, caller, stood, trails, wearer, asked, "trail exported", format="CSV")
    return _file(_lines(opened), wearer, opened.window, "csv", CSV)


def _open(
    request: Request, office: Here, caller: Caller, stood: Stood, trails: Trails, wearer: str, asked: Typed, action: str,
    **detail: Any,
) -> Opened:  # fmt: skip
    caller.require(wearer)
    with office.database.reading() as connection:
        conditions = stood.conditions(office, connection)
        find(office, connection, conditions, caller, wearer)
    window = read_window(*asked, zone_names(conditions).get(wearer, USUAL_ZONE), office.clock())
    reason.require(request, office, caller, wearer, action, **window.given(), **detail)
    with office.database.reading() as connection:
        return Opened(trails.read(office, connection, conditions, wearer, window), conditions, window)


def collection(head: dict[str, Any], features: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """A FeatureCollection piece by piece: it is never whole in memory."""
    yield msgspec.json.encode(head)[:-1] + b',"features":['
    each, first = iter(features), True
    while some := list(islice(each, _AT_ONCE)):
        yield (b"" if first else b",") + b",".join(map(msgspec.json.encode, some))
        first = False
    yield b"]}"


def _points(opened: Opened) -> Iterator[dict[str, Any]]:
    for row in fix_rows(opened.trail, range(len(opened.trail)), opened.window.timezone):
        place = point(row.pop("lon"), row.pop("lat"))
        yield {"type": "Feature", "geometry": place, "properties": row}


def _lines(opened: Opened) -> Iterator[bytes]:
    rows = fix_rows(opened.trail, range(len(opened.trail)), opened.window.timezone)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, FIELDS, lineterminator="\r\n")
    writer.writeheader()
    while some := list(islice(rows, _AT_ONCE)):
        for row in some:
            row |= {"device": guarded(row["device"]), "flags": "; ".join(row["flags"]), "weight": int(row["weight"])}
            writer.writerow(row)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    if text.getvalue():
        yield text.getvalue().encode()


def _file(pieces: Iterator[bytes], wearer: str, window: Window, ending: str, media_type: str) -> Response:
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", f"trail-{wearer}-{window.given()['from'][:16]}")[:80]
    given = {"content-disposition": f'attachment; filename="{stem}.{ending}"'}
    return StreamingResponse(pieces, media_type=media_type, headers=given)
