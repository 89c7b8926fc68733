"""NMEA 0183 logs: RMC gives time and place, GGA of the same instant HDOP, satellites and altitude; the file is the device.

A GGA without an RMC of its instant is a fix too, on the day of the dated sentence next to it. The error ellipse of GST is
not read: it is the receiver's own estimate, with no stated probability, and in real logs it contradicts itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from engine.fixes import SOURCES, Fixes
from engine.times import DAY_US, HOUR_US, SECOND_US
from ingest.fault import Fault, Faults
from ingest.fix_checks import Raw, assemble, check_device
from ingest.nmea_readings import WANTED, Gga, Readings, Rmc, read_sentences
from ingest.nmea_sentences import sentences_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_NEAR_US = HOUR_US
_RMC_KEYS = ("lat", "lon", "speed_mps", "course_deg")
_GGA_KEYS = ("satellites", "hdop", "altitude_m")


class Log(NamedTuple):
    """What a log holds: its fixes, the sentences of no use by name, and how many RMC and GGA said that there is no fix."""

    fixes: Fixes
    skipped: Counter[str]
    n_void: int


def read_nmea(data: bytes, faults: Faults, stem: str) -> Fixes:
    """The fixes of a log in the order of its sentences; InputError where no sentence gives a place, or none a date."""
    return read_log(data, faults, stem).fixes


def read_log(data: bytes, faults: Faults, stem: str) -> Log:
    """The same, with what was skipped."""
    device = check_device(stem)
    sentences, skipped = sentences_of(data, WANTED, faults)
    readings = read_sentences(sentences, faults)
    if not readings.n and not faults.count:
        found = ", ".join(f"{n} {name}" for name, n in skipped.most_common(8)) or "none"
        raise InputError(f"no RMC and no GGA sentence (it has: {found})", place=faults.file,
                         expected="an NMEA 0183 log with RMC sentences")  # fmt: skip
    return Log(_fixes(readings, device, faults), skipped, readings.n_void)


def _fixes(readings: Readings, device: str, faults: Faults) -> Fixes:
    """RMC and GGA joined by their instant, in the order of the sentences."""
    rmc, gga = readings.rmc(), readings.gga()
    anchors = np.array([rmc.order, rmc.time_us]) if len(rmc.order) else np.array(readings.dated, np.int64).reshape(-1, 2).T
    if len(gga.order) and not anchors.size:
        raise InputError("no sentence gives a date: GGA has none, and there is no valid RMC and no ZDA",
                         place=faults.file, expected="an NMEA 0183 log with RMC sentences")  # fmt: skip
    gga, gga_us = _near(gga, anchors, faults)
    void_gga_us, void_rmc_us = _void_us(readings.void_gga, anchors), _void_us(readings.void_rmc, anchors)
    beside = _beside(rmc.time_us, gga, gga_us)
    kept = (beside >= 0) | ~np.isin(rmc.time_us, void_gga_us)
    alone = _alone(gga, gga_us, np.concatenate([rmc.time_us, void_rmc_us]))

    values = {key: np.concatenate([_of_rmc(rmc, key)[kept], _of_gga(gga, key, alone)]) for key in _RMC_KEYS}
    values |= {key: np.concatenate([_of_gga(gga, key, beside[kept]), _of_gga(gga, key, alone)]) for key in _GGA_KEYS}
    order = np.argsort(np.concatenate([rmc.order[kept], gga.order[alone]]))
    time_us = np.concatenate([rmc.time_us[kept], gga_us[alone]])[order]
    line = np.concatenate([rmc.line[kept], gga.line[alone]])[order]
    source = np.full(len(order), SOURCES["gps"], np.int32)
    raw = Raw((device,), np.zeros(len(order), np.int32), time_us, {key: column[order] for key, column in values.items()},
              source, time_us // SECOND_US)  # fmt: skip
    fixes, good, doubts = assemble(raw)
    faults.keep(line[good])
    for doubt in doubts:
        faults.add(Fault(0, doubt.code, doubt.field, doubt.value, doubt.message, doubt.expected, line=int(line[doubt.row])))
    return fixes


def _near(gga: Gga, anchors: Ints, faults: Faults) -> tuple[Gga, Ints]:
    """The GGA that have a dated sentence within an hour, and their times [us]; the others are faults."""
    time_us, distance_us = _dated(gga.order, gga.in_day_us, anchors)
    near = distance_us <= _NEAR_US
    for line in gga.line[~near]:
        expected = "a sentence with a date (RMC or ZDA) within an hour of it"
        faults.add(Fault(0, "bad_time", "date", None, "GGA", expected, line=int(line)))
    columns: list[NDArray[Any]] = [column[near] for column in gga]
    return Gga(*columns), time_us[near]


def _void_us(voids: list[tuple[int, int]], anchors: Ints) -> Ints:
    order, in_day_us = np.array(voids, np.int64).reshape(-1, 2).T
    return _dated(order, in_day_us, anchors)[0]


def _dated(order: Ints, in_day_us: Ints, anchors: Ints) -> tuple[Ints, Ints]:
    """Times [us] of sentences without a date, shape (n,), and how far each is from the anchor that gave its day.

    That is the dated sentence before or the one after, whichever is the closer in time of day: a log may be cut at any
    hour, and the first sentence behind a cut belongs to the day that comes.
    """
    best, least = np.zeros_like(in_day_us), np.full_like(in_day_us, DAY_US)
    if not anchors.size:
        return best, least
    after = np.searchsorted(anchors[0], order)
    for index in (np.maximum(after - 1, 0), np.minimum(after, len(anchors[0]) - 1)):
        anchor_us = anchors[1][index]
        time_us = in_day_us + (anchor_us - in_day_us + DAY_US // 2) // DAY_US * DAY_US
        distance_us = np.abs(time_us - anchor_us)
        best, least = np.where(distance_us < least, time_us, best), np.minimum(distance_us, least)
    return best, least


def _beside(time_us: Ints, gga: Gga, gga_us: Ints) -> Ints:
    """For each RMC the GGA of its instant, -1 where there is none: of several (one a satellite system) the one with the
    most satellites, of equals the first."""
    ranked = np.lexsort((gga.order, -np.nan_to_num(gga.satellites), gga_us))
    instants, first = np.unique(gga_us[ranked], return_index=True)
    if not len(instants):
        return np.full(len(time_us), -1, np.int64)
    at = np.minimum(np.searchsorted(instants, time_us), len(instants) - 1)
    return np.where(instants[at] == time_us, ranked[first[at]], -1)


def _alone(gga: Gga, gga_us: Ints, spoken_us: Ints) -> Ints:
    """The GGA of instants of which no RMC speaks, each place of an instant once."""
    left = np.flatnonzero(~np.isin(gga_us, spoken_us))
    places = np.column_stack([gga_us[left].astype(np.float64), gga.lat[left], gga.lon[left]])
    return np.sort(left[np.unique(places, axis=0, return_index=True)[1]])


def _of_rmc(rmc: Rmc, key: str) -> Floats:
    column: Floats = getattr(rmc, key)
    return column


def _of_gga(gga: Gga, key: str, index: Ints) -> Floats:
    """Values at these indices, NaN where there is none (-1), or where a GGA has no such field."""
    column: Floats = getattr(gga, key, np.empty(0))
    if not len(column):
        return np.full(len(index), np.nan)
    return np.where(index >= 0, column[index], np.nan)
