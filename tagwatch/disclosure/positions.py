"""Positions of device spans out of the store, a month at a time: as the canonical CSV, and as GeoJSON, a feature a day."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np

from crime_match.runs.results_csv import guarded
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import DAY_US, EARLIEST_US, LATEST_US, SECOND_US, to_iso
from ingest.csv_trail import COLUMNS as CSV_COLUMNS
from ingest.csv_trail import write_csv

PORTION_US = 30 * DAY_US
COLUMNS = dict(zip(CSV_COLUMNS, (
    "the tag", "when the tag was there (UTC)", "latitude [degrees]", "longitude [degrees]",
    "radius of the circle that the true place lies in with the tag's stated probability [m]", "how the tag knew: gps, rf, lbs"
    " (masts), wifi", "speed [m/s]", "direction [degrees from north]", "height [m]", "dilution of precision: higher is worse",
    "satellites used", "battery [%]", "when the centre received it (UTC)",
), strict=True))  # fmt: skip
EVENT_COLUMNS = {
    "device": "the tag", "time": "when (UTC)", "event": "what the tag told", "value": "with which value",
    "received": "when the centre received it (UTC)",
}  # fmt: skip
Note = Callable[[int], None]


class Span(NamedTuple):
    """A device in [from_us, to_us)."""

    device: str
    from_us: int
    to_us: int


def csv_of(store: FixStore, spans: Sequence[Span], note: Note) -> Iterator[tuple[bytes, int]]:
    """The CSV in pieces; `note` is told when positions were received."""
    header = True
    for fixes in portions(store, spans, note):
        out = io.BytesIO()
        write_csv(replace(fixes, devices=tuple(map(guarded, fixes.devices))), out)
        data = out.getvalue()
        yield data if header else data[data.index(b"\n") + 1 :], len(fixes)
        header = False
    if header:
        yield ",".join(CSV_COLUMNS).encode() + b"\n", 0


def geojson_of(store: FixStore, spans: Sequence[Span], note: Note) -> Iterator[tuple[bytes, int]]:
    """A FeatureCollection in pieces: the positions of each device and UTC day as one MultiPoint."""
    before = b'{"type":"FeatureCollection","features":[\n'
    for fixes in portions(store, spans, note):
        days = fixes.time_us // DAY_US
        for part in np.split(np.arange(len(fixes)), np.flatnonzero(np.diff(days)) + 1):
            feature = _feature(fixes.take(part))
            yield before + msgspec.json.encode(feature), 1
            before = b",\n"
    yield (b"\n]}\n" if before == b",\n" else before + b"]}\n"), 0


def portions(store: FixStore, spans: Sequence[Span], note: Note) -> Iterator[Fixes]:
    """The fixes of the spans, one device after the other, in the order of time; none empty, none longer than a month."""
    for device, from_us, to_us in spans:
        first = store.nearest(max(from_us, EARLIEST_US) - 1, before=False, devices=[device])
        last = store.nearest(min(to_us, LATEST_US), before=True, devices=[device])
        if not len(first) or not len(last):
            continue
        end_us = min(to_us, int(last.time_us.max()) + 1)
        first_us = int(first.time_us.min())
        for start_us in range(first_us // DAY_US * DAY_US, end_us, PORTION_US):
            until_us = min(start_us + PORTION_US, end_us) - 1
            fixes = store.read(devices=[device], from_us=max(start_us, first_us), to_us=until_us)
            if len(fixes):
                note(int(fixes.received_s.max()) * SECOND_US)
                yield fixes.take(np.lexsort((fixes.received_s, fixes.content(), fixes.time_us)))


def events_of(store: FixStore, spans: Sequence[Span], note: Note) -> Iterator[tuple[str, str, str, str, str]]:
    """What the devices told besides positions: rows of `EVENT_COLUMNS`."""
    for device, from_us, to_us in spans:
        for event in store.read_events(devices=[device], to_us=min(to_us, LATEST_US) - 1):
            if event.time_us >= from_us:
                note(event.received_s * SECOND_US)
                received = to_iso(event.received_s * SECOND_US)
                yield event.device, to_iso(event.time_us), event.kind, event.value, received


def _feature(fixes: Fixes) -> dict[str, object]:
    points = np.column_stack([fixes.lon_e7, fixes.lat_e7]) / 1e7
    told = {"device": fixes.devices[int(fixes.device[0])], "day": to_iso(int(fixes.time_us[0]))[:10], "n": len(fixes),
            "first": to_iso(int(fixes.time_us[0])), "last": to_iso(int(fixes.time_us[-1]))}  # fmt: skip
    geometry = {"type": "MultiPoint", "coordinates": points.tolist()}
    return {"type": "Feature", "properties": told, "geometry": geometry}
