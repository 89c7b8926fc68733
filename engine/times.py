"""Time as the engine holds it: int64 microseconds since 1970 in UTC. Text and local time exist only at the edge."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

# A tag's time outside these years is a fault of its clock or of the file, not a fix of the past.
EARLIEST_US = 946_684_800 * SECOND_US  # 2000-01-01
LATEST_US = 4_102_444_800 * SECOND_US  # 2100-01-01

Clock = Callable[[], int]
"""A clock is an argument: it returns the present as microseconds UTC."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?$")
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?\s*(Z|z|[+-]\d\d(:?\d\d)?)?$")
_EXPECTED = "ISO 8601 with an offset (2026-03-29T01:30:00Z) or epoch seconds"


def system_clock() -> int:
    """The machine's clock [us, UTC]."""
    return time.time_ns() // 1000


def from_datetime(moment: datetime) -> int:
    """An aware datetime as microseconds UTC, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(time_us: int) -> datetime:
    """Microseconds UTC as an aware datetime, exactly."""
    return _EPOCH + timedelta(microseconds=int(time_us))


_YEAR_0, _YEAR_10000 = -62_135_596_800 * SECOND_US, 253_402_300_800 * SECOND_US


def to_iso(time_us: int) -> str:
    """ISO 8601 UTC with `Z`, milliseconds, or microseconds where there are any."""
    day, in_day_us = divmod(int(time_us), DAY_US)
    minutes, in_minute_us = divmod(in_day_us, MINUTE_US)
    second, micro = divmod(in_minute_us, SECOND_US)
    fraction = f"{micro:06d}" if micro % 1000 else f"{micro // 1000:03d}"
    return f"{_date(day)}T{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}.{fraction}Z"


def to_isos(time_us: NDArray[np.int64]) -> list[str]:
    """`to_iso` of many times (n,)."""
    if not len(time_us) or np.any(time_us % 1000) or not _YEAR_0 <= int(time_us.min()) <= int(time_us.max()) < _YEAR_10000:
        return [to_iso(moment) for moment in time_us.tolist()]
    texts: list[str] = np.datetime_as_string(time_us.astype("M8[us]"), unit="ms", timezone="UTC").tolist()
    return texts


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return to_datetime(day * DAY_US).date().isoformat()


def from_epoch_seconds(value: float | str | Decimal, field: str = "time") -> int:
    """Epoch seconds (a fraction is allowed) as microseconds, rounded to the nearest."""
    try:
        number = Decimal(str(value))
        return int((number * SECOND_US).to_integral_value())
    except (InvalidOperation, ValueError, OverflowError):
        raise InputError(field=field, value=value, expected=_EXPECTED) from None


def parse_time(value: str | float, tz: ZoneInfo | None = None, field: str = "time") -> int:
    """Text or epoch seconds to microseconds UTC; a time without an offset needs `tz`.

    Raises InputError where it is no time, has no zone, or lies outside the years 2000 to 2099.
    """
    time_us = _parse(value, tz, field)
    return in_range(time_us, value, field)


def in_range(time_us: int, value: object, field: str = "time") -> int:
    """The time itself; InputError where it lies outside the years 2000 to 2099."""
    if not EARLIEST_US <= time_us < LATEST_US:
        raise InputError("a time that no tag can have", field=field, value=value, expected="a year from 2000 to 2099")
    return time_us


def _parse(value: str | float, tz: ZoneInfo | None, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InputError(field=field, value=value, expected=_EXPECTED)
    if not isinstance(value, str) or _NUMBER.match(value.strip()):
        return from_epoch_seconds(value if not isinstance(value, str) else value.strip(), field)
    text = value.strip()
    if not _ISO.match(text):
        raise InputError(field=field, value=value, expected=_EXPECTED)
    try:
        moment = datetime.fromisoformat(text.replace(",", ".").replace("z", "Z"))
        if moment.tzinfo is None:
            if tz is None:
                raise InputError(
                    "has no zone", field=field, value=value, expected="an offset such as Z or +01:00 (or say --tz)"
                )
            moment = moment.replace(tzinfo=tz)
        return from_datetime(moment)
    except InputError:
        raise
    except (ValueError, OverflowError):
        raise InputError("does not exist", field=field, value=value, expected=_EXPECTED) from None
