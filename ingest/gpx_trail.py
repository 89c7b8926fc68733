"""GPX trails, 1.0 and 1.1: the points of all tracks, in file order; a track's name, else the file's, is the device."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import compress
from typing import Any
from zoneinfo import ZoneInfo

import gpxpy
import gpxpy.gpx
import numpy as np

from engine.errors import InputError
from engine.fixes import Fixes
from engine.times import SECOND_US, from_datetime, in_range
from ingest.fault import Fault, Faults, from_error
from ingest.fix_checks import Raw, assemble, check_device

# A GPX has no radius of accuracy: its dilutions are without a unit and do not become one.
_FIELDS = {"lat": "latitude", "lon": "longitude", "altitude_m": "elevation", "speed_mps": "speed", "course_deg": "course",
           "hdop": "horizontal_dilution", "satellites": "satellites"}  # fmt: skip


def read_gpx(data: bytes, faults: Faults, stem: str, tz: ZoneInfo | None = None) -> Fixes:
    """The track points of a GPX file; points without a time are faults. InputError where it has no track points."""
    document = _parse(data, faults.file)
    points = list(_points(document, stem))
    if not points:
        others = f"{len(document.waypoints)} waypoints and {len(document.routes)} routes, which are no trail"
        raise InputError(f"no track points (it has {others})", place=faults.file, expected="a GPX track with times")
    devices: dict[str, int] = {}
    device, times, kept = [], [], []
    for row, (name, where, point) in enumerate(points, start=1):
        try:
            time_us, checked = _time_us(point.time, tz), check_device(name)
        except InputError as error:
            code = "missing" if point.time is None else f"bad_{error.field}"
            faults.add(_told(from_error(error, row, code=code), where))
            continue
        times.append(time_us)
        device.append(devices.setdefault(checked, len(devices)))
        kept.append((row, where, point))
    return _fixes(devices, device, times, kept, faults)


def _parse(data: bytes, file: str) -> Any:
    try:
        return gpxpy.parse(data)
    except (gpxpy.gpx.GPXException, UnicodeDecodeError, ValueError, LookupError) as error:
        raise InputError(f"not a readable GPX file ({str(error).splitlines()[0][:120]})", place=file) from None


def _points(document: Any, stem: str) -> Iterator[tuple[str, str, Any]]:
    for t, track in enumerate(document.tracks, start=1):
        name = (track.name or "").strip() or stem
        for s, segment in enumerate(track.segments, start=1):
            for p, point in enumerate(segment.points, start=1):
                yield name, f"track {t}, segment {s}, point {p}", point


def _time_us(moment: datetime | None, tz: ZoneInfo | None) -> int:
    if moment is None:
        raise InputError("required", field="time", expected="a time for every track point")
    if moment.tzinfo is None:
        if tz is None:
            raise InputError("has no zone", field="time", value=moment.isoformat(),
                             expected="an offset such as Z or +01:00 (or say --tz)")  # fmt: skip
        moment = moment.replace(tzinfo=tz)
    return in_range(from_datetime(moment), moment.isoformat())


def _fixes(
    devices: dict[str, int], device: list[int], times: list[int], kept: list[tuple[int, str, Any]], faults: Faults
) -> Fixes:
    values = {key: np.array([_number(point, name) for _, _, point in kept]) for key, name in _FIELDS.items()}
    time_us = np.array(times, np.int64)
    unknown = np.zeros(len(times), np.int32)
    raw = Raw(tuple(devices), np.array(device, np.int32), time_us, values, unknown, time_us // SECOND_US)
    fixes, good, doubts = assemble(raw)
    faults.keep(compress((row for row, _, _ in kept), good))
    for doubt in doubts:
        row, where, _ = kept[doubt.row]
        fault = Fault(row, doubt.code, doubt.field, doubt.value, doubt.message, doubt.expected)
        faults.add(_told(fault, where))
    return fixes


def _number(point: Any, name: str) -> float:
    value = getattr(point, name, None)
    return float("nan") if value is None else float(value)


def _told(fault: Fault, where: str) -> Fault:
    return fault._replace(message=f"{fault.message} ({where})" if fault.message else where)
