"""Fixes and events as canonical JSON payloads, as a tag would send them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from engine.events import DeviceEvent
from engine.fixes import ABSENT, OPTIONAL, POSITION, SOURCE_NAMES, Fixes
from engine.times import to_iso
from ingest.csv_trail import time_text

_Text = msgspec.defstruct(
    "FixText",
    [("time", str), *((c.key, float) for c in POSITION), ("source", str), *((c.key, Any, UNSET) for c in OPTIONAL),
     ("seq", Any, UNSET)],
)  # fmt: skip
_encode = msgspec.json.encode


def fix_texts(fixes: Fixes, seq: NDArray[np.int64] | None = None) -> list[bytes]:
    """One JSON object for each fix: what is absent is left out; coordinates in the decimals that give back the columns."""
    columns: list[list[Any]] = [time_text(fixes.time_us).to_pylist()]
    columns += [(fixes.column(column.name) / column.scale).tolist() for column in POSITION]
    columns.append([SOURCE_NAMES[code] for code in fixes.source.tolist()])
    columns += [_present(fixes.column(column.name), column.scale) for column in OPTIONAL]
    if seq is not None:
        columns.append(seq.tolist())
    return [_encode(_Text(*values)) for values in zip(*columns, strict=True)]


def event_text(event: DeviceEvent, seq: int | None = None) -> bytes:
    """One device event as a JSON object."""
    document: dict[str, Any] = {"time": to_iso(event.time_us), "event": event.kind}
    if event.value:
        document["value"] = event.value
    if seq is not None:
        document["seq"] = seq
    return _encode(document)


def _present(units: NDArray[np.int32], scale: int) -> list[Any]:
    numbers: list[Any] = (units / scale if scale > 1 else units).tolist()
    for index in np.flatnonzero(units == ABSENT):
        numbers[index] = UNSET
    return numbers
