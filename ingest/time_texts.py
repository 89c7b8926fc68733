"""Columns of time texts to microseconds, all at once where every text is plain; the meaning is that of engine.times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.errors import InputError
from engine.times import MINUTE_US, from_datetime, parse_time, to_datetime

# What both Arrow and engine.times read, and read alike; all else is left to engine.times, text by text.
_DATE_TIME = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?"
_ZONED = _DATE_TIME + r"(Z|[+-]\d\d(:?\d\d)?)$"
_NAIVE = _DATE_TIME + "$"
_EPOCH = r"^\d{1,11}(\.\d{0,6})?$"
_WORTH_IT = 16  # below this many texts one by one is quicker


def parse_column(texts: Any, tz: ZoneInfo | None = None) -> NDArray[np.int64] | None:
    """A pyarrow string column to microseconds, shape (n,), nulls as 0; None where any text is not plain."""
    try:
        if _all_match(texts, _ZONED):
            return _micros(pc.cast(texts, pa.timestamp("us", "UTC")))
        if _all_match(texts, _EPOCH):
            return _decimal_micros(pc.cast(texts, pa.decimal128(18, 6)))
        if tz is not None and _all_match(texts, _NAIVE):
            return localise(_micros(pc.cast(texts, pa.timestamp("us"))), tz)
    except pa.ArrowInvalid:
        pass
    return None


def parse_values(values: Sequence[str | float]) -> tuple[NDArray[np.int64], dict[int, InputError]]:
    """Times of payloads to microseconds, shape (n,), and by index the errors; text is ISO 8601, a number is epoch s."""
    if len(values) >= _WORTH_IT and all(type(value) is str for value in values):
        column = pa.array(values, pa.string())
        times = _micros_of_iso(column)
        if times is not None:
            return times, {}
    out = np.zeros(len(values), np.int64)
    errors: dict[int, InputError] = {}
    for index, value in enumerate(values):
        try:
            out[index] = parse_value(value)
        except InputError as error:
            errors[index] = error
    return out, errors


def parse_texts(
    texts: Sequence[str | None], tz: ZoneInfo | None, field: str
) -> tuple[NDArray[np.int64], dict[int, InputError]]:
    """Times as files write them, one by one, to microseconds, shape (n,), None as 0, and by index the errors."""
    out = np.zeros(len(texts), np.int64)
    errors: dict[int, InputError] = {}
    for index, text in enumerate(texts):
        try:
            out[index] = 0 if text is None else parse_time(text, tz, field)
        except InputError as error:
            errors[index] = error
    return out, errors


def parse_value(value: str | float) -> int:
    """One time of a payload [us]; raises InputError, also where a number comes as text or the year is impossible."""
    if isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdigit():
        raise InputError("a number sent as text", field="time", value=value, expected="ISO 8601 text or a number")
    try:
        return parse_time(value)
    except InputError as error:  # a payload has no --tz to say
        wanted = error.expected.removesuffix(" (or say --tz)")
        raise InputError(error.message, field=error.field, value=error.value, expected=wanted) from None


def localise(naive_us: NDArray[np.int64], tz: ZoneInfo) -> NDArray[np.int64]:
    """Wall-clock microseconds to UTC: zone changes fall on whole minutes, so each minute is looked up once."""
    minutes, where = np.unique(naive_us // MINUTE_US, return_inverse=True)
    offsets = [_offset_us(int(minute) * MINUTE_US, tz) for minute in minutes]
    return naive_us - np.array(offsets, np.int64)[where]


def _offset_us(naive_us: int, tz: ZoneInfo) -> int:
    return naive_us - from_datetime(to_datetime(naive_us).replace(tzinfo=tz))


def _micros_of_iso(column: Any) -> NDArray[np.int64] | None:
    try:
        return _micros(pc.cast(column, pa.timestamp("us", "UTC"))) if _all_match(column, _ZONED) else None
    except pa.ArrowInvalid:
        return None


def _all_match(texts: Any, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py())


def _micros(moments: Any) -> NDArray[np.int64]:
    numbers = pc.fill_null(pc.cast(moments, pa.int64()), 0)
    return np.array(numbers.to_numpy(), np.int64)  # a copy: kernels are compiled for columns that may be written


def _decimal_micros(numbers: Any) -> NDArray[np.int64]:
    # The unscaled value of a decimal(18, 6) in seconds is microseconds; it fits the low half of its 128 bits.
    column = numbers.combine_chunks() if isinstance(numbers, pa.ChunkedArray) else numbers
    column = pc.fill_null(column, pa.scalar(0, pa.decimal128(18, 6)))
    words = np.frombuffer(column.buffers()[1], np.int64)
    return words[2 * column.offset : 2 * (column.offset + len(column)) : 2].copy()
