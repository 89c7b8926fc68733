"""RMC, GGA and ZDA sentences as columns: what each says, and which of them say that there is no fix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError
from ingest.fault import Faults, from_error
from ingest.nmea_fields import day_us, degrees, in_day_us, knots, number
from ingest.nmea_sentences import Sentence

WANTED = (b"RMC", b"GGA", b"ZDA")
_FIX_MODES = ("", "A", "D", "F", "P", "R")  # the others: estimated, manual, simulated, not valid
_FIX_QUALITIES = ("1", "2", "3", "4", "5", "9")
_VOID_QUALITIES = ("", "0", "6", "7", "8")  # no fix, estimated, manual, simulated
_PADDING = [""] * 12  # older receivers write fewer fields

Row = tuple[float | None, ...]


class Rmc(NamedTuple):
    """RMC that give a fix, columns of shape (n,): place among the sentences, line, time [us], degrees, m/s."""

    order: NDArray[np.int64]
    line: NDArray[np.int64]
    time_us: NDArray[np.int64]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    course_deg: NDArray[np.float64]


class Gga(NamedTuple):
    """GGA that give a fix, columns of shape (n,): place among the sentences, line, time of day [us], degrees, metres."""

    order: NDArray[np.int64]
    line: NDArray[np.int64]
    in_day_us: NDArray[np.int64]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    satellites: NDArray[np.float64]
    hdop: NDArray[np.float64]
    altitude_m: NDArray[np.float64]


@dataclass(slots=True)
class Readings:
    """All sentences of a log, by kind, as rows; of those that say "no fix" (order, time of day [us]) where they have one.

    `dated`: (order, time [us]) of ZDA, which gives the date without saying whether there is a fix.
    """

    rmc_rows: list[Row] = field(default_factory=list)
    gga_rows: list[Row] = field(default_factory=list)
    void_rmc: list[tuple[int, int]] = field(default_factory=list)
    void_gga: list[tuple[int, int]] = field(default_factory=list)
    dated: list[tuple[int, int]] = field(default_factory=list)
    n: int = 0
    n_void: int = 0

    def rmc(self) -> Rmc:
        """The RMC with a fix as columns."""
        return Rmc(*_columns(self.rmc_rows, 7))

    def gga(self) -> Gga:
        """The GGA with a fix as columns."""
        return Gga(*_columns(self.gga_rows, 8))

    def take(self, order: int, line: int, kind: str, fields: Sequence[str]) -> None:
        """One sentence; InputError names the field that is odd. Of a sentence that says "no fix" only the time is read."""
        if kind == "ZDA":
            self._take_date(order, fields)
            return
        void = _is_void_rmc(fields) if kind == "RMC" else _is_void_gga(fields)
        self.n_void += void
        if void and fields[0]:
            (self.void_rmc if kind == "RMC" else self.void_gga).append((order, in_day_us(fields[0])))
        elif not void and kind == "RMC":
            self.rmc_rows.append((order, line, *_rmc_values(fields)))
        elif not void:
            self.gga_rows.append((order, line, *_gga_values(fields)))

    def _take_date(self, order: int, fields: Sequence[str]) -> None:
        if fields[0] and fields[3]:
            date = f"{fields[1]:0>2}{fields[2]:0>2}{fields[3][-2:]}"
            self.dated.append((order, day_us(date) + in_day_us(fields[0])))


def read_sentences(sentences: Iterable[Sentence], faults: Faults) -> Readings:
    """What the sentences say; those with an odd field go to `faults`."""
    readings = Readings()
    for order, (line, text) in enumerate(sentences):
        name, *fields = text.split(",")
        readings.n += name[2:] != "ZDA"
        try:
            readings.take(order, line, name[2:], fields + _PADDING[len(fields) :])
        except InputError as error:
            code = "bad_time" if error.field in ("time", "date") else "bad_value"
            fault = from_error(error, 0, line, "missing" if error.value is None else code)
            faults.add(fault._replace(message=f"{fault.message} ({name})" if fault.message else name))
    return readings


def _columns(rows: list[Row], n: int) -> list[NDArray[Any]]:
    """Rows as columns, None as NaN; the first three are whole numbers below 2**53, which a float64 holds exactly."""
    table = np.array(rows, np.float64).reshape(-1, n).T
    return [*table[:3].astype(np.int64), *table[3:]]


def _is_void_rmc(fields: Sequence[str]) -> bool:
    if fields[1] not in ("A", "V"):
        raise InputError(field="status", value=fields[1] or None, expected="A or V")
    return fields[1] == "V" or fields[11] not in _FIX_MODES


def _is_void_gga(fields: Sequence[str]) -> bool:
    if fields[5] not in _FIX_QUALITIES and fields[5] not in _VOID_QUALITIES:
        raise InputError(field="quality", value=fields[5], expected="a digit from 0 to 9")
    return fields[5] in _VOID_QUALITIES


def _rmc_values(fields: Sequence[str]) -> Row:
    return (
        day_us(fields[8]) + in_day_us(fields[0]), degrees(fields[2], fields[3], "lat"), degrees(fields[4], fields[5], "lon"),
        knots(fields[6]), number(fields[7], "course", "degrees"),
    )  # fmt: skip


def _gga_values(fields: Sequence[str]) -> Row:
    if fields[8] and fields[9] not in ("M", ""):
        raise InputError(field="altitude", value=f"{fields[8]},{fields[9]}", expected="metres (M)")
    return (
        in_day_us(fields[0]), degrees(fields[1], fields[2], "lat"), degrees(fields[3], fields[4], "lon"),
        number(fields[6], "satellites", "a count"), number(fields[7], "hdop", "a number"),
        number(fields[8], "altitude", "metres"),
    )  # fmt: skip
