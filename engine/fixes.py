"""Fixes: a batch of GPS readings, one integer column each, the same in memory, database and archive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.kernels import content_hash

ABSENT = -(2**31)
"""What an integer column holds where the tag reported nothing: absent is absent, never zero."""

SOURCES = {"unknown": 0, "gps": 1, "rf": 4, "lbs": 5, "wifi": 6}
"""Names and codes of the geolocation mechanism; the codes are those of the field (GPS 1, RF 4, LBS 5, WIFI 6)."""
SOURCE_NAMES = {code: name for name, code in SOURCES.items()}


class Column(NamedTuple):
    """One column: its name in memory and store, its type, the key in files and payloads, units per file unit."""

    name: str
    dtype: str
    key: str
    scale: int
    most: float  # largest plausible absolute value, in the file's unit
    unit: str

    @property
    def least(self) -> float:
        """The smallest plausible value, in the file's unit."""
        return -self.most if self.key in ("lat", "lon", "altitude_m") else 0.0

    @property
    def whole(self) -> bool:
        """Whether the field takes whole numbers only."""
        return self.key == "satellites"


POSITION = (
    Column("lat_e7", "i4", "lat", 10_000_000, 90, "degrees"),
    Column("lon_e7", "i4", "lon", 10_000_000, 180, "degrees"),
)
OPTIONAL = (
    Column("accuracy_cm", "i4", "accuracy_m", 100, 20_000_000, "metres"),
    Column("speed_cms", "i4", "speed_mps", 100, 20_000_000, "metres a second"),
    Column("course_cdeg", "i4", "course_deg", 100, 360, "degrees"),
    Column("altitude_cm", "i4", "altitude_m", 100, 20_000_000, "metres"),
    Column("hdop_c", "i4", "hdop", 100, 20_000_000, "a number"),
    Column("satellites", "i4", "satellites", 1, 1000, "a count"),
    Column("battery_pct", "i4", "battery_pct", 1, 100, "percent"),
)
CONTENT = (*(c.name for c in (*POSITION, *OPTIONAL)), "source")
"""The columns that make the content of a fix, in order: all but device, time and `received_s`."""

_DTYPES = (
    {"device": "i4", "time_us": "i8", "source": "i4", "received_s": "i8"}
    | {c.name: c.dtype for c in (*POSITION, *OPTIONAL)}
)  # fmt: skip
NAMES = ("device", "time_us", "lat_e7", "lon_e7", "accuracy_cm", "source", "speed_cms", "course_cdeg",
         "altitude_cm", "hdop_c", "satellites", "battery_pct", "received_s")  # fmt: skip
"""All columns in their fixed order."""


@dataclass(frozen=True, slots=True)
class Fixes:
    """A batch of fixes as columns of shape (n,); `device` indexes `devices`, the batch's own table of names.

    time_us [us UTC], lat_e7 lon_e7 [1e-7 degree, WGS84], accuracy_cm [cm], source [code], speed_cms [cm/s],
    course_cdeg [0.01 degree], altitude_cm [cm], hdop_c [0.01], satellites, battery_pct, received_s [s UTC].
    """

    devices: tuple[str, ...]
    device: NDArray[np.int32]
    time_us: NDArray[np.int64]
    lat_e7: NDArray[np.int32]
    lon_e7: NDArray[np.int32]
    accuracy_cm: NDArray[np.int32]
    source: NDArray[np.int32]
    speed_cms: NDArray[np.int32]
    course_cdeg: NDArray[np.int32]
    altitude_cm: NDArray[np.int32]
    hdop_c: NDArray[np.int32]
    satellites: NDArray[np.int32]
    battery_pct: NDArray[np.int32]
    received_s: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_us)

    @classmethod
    def of(cls, devices: Sequence[str], **columns: Any) -> Fixes:
        """Columns by name to a batch: cast, missing optional ones ABSENT, `received_s` from the time where absent."""
        n = len(columns["time_us"])
        full = {name: _column(name, columns.get(name), n) for name in NAMES}
        if columns.get("received_s") is None:
            full["received_s"] = full["time_us"] // 1_000_000
        if columns.get("source") is None:
            full["source"] = np.zeros(n, np.int32)
        return cls(tuple(devices), **full)

    @staticmethod
    def dtype(name: str) -> Any:
        """The type of a column."""
        return np.dtype(_DTYPES[name])

    @classmethod
    def empty(cls) -> Fixes:
        """No fixes."""
        none: list[int] = []
        return cls.of((), device=none, time_us=none, lat_e7=none, lon_e7=none)

    def column(self, name: str) -> NDArray[Any]:
        """A column by its name."""
        return getattr(self, name)  # type: ignore[no-any-return]

    def take(self, where: NDArray[Any] | slice) -> Fixes:
        """The fixes at these indices (or of this mask), in that order."""
        return Fixes(self.devices, **{name: self.column(name)[where] for name in NAMES})

    def content(self) -> NDArray[np.int64]:
        """A 64-bit hash of each fix's content (all fields but device, time and received): part of the identity."""
        return content_hash(*(self.column(name) for name in CONTENT))


def concat(batches: Iterable[Fixes]) -> Fixes:
    """One batch of several, in order; the device tables are joined."""
    kept = [batch for batch in batches if len(batch)]
    if len(kept) == 1:
        return kept[0]
    names: dict[str, int] = {}
    device = [np.array([names.setdefault(d, len(names)) for d in b.devices], np.int32)[b.device] for b in kept]
    if not kept:
        return Fixes.empty()
    columns = {name: np.concatenate([b.column(name) for b in kept]) for name in NAMES if name != "device"}
    return Fixes(tuple(names), device=np.concatenate(device), **columns)


def _column(name: str, values: Any, n: int) -> NDArray[Any]:
    if values is None:
        return np.full(n, ABSENT, _DTYPES[name])
    column = np.ascontiguousarray(values, dtype=_DTYPES[name])
    if column.shape != (n,):
        raise ValueError(f"column {name} has shape {column.shape}, expected ({n},)")
    return column
