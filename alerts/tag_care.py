"""The care of a tag over a period: tampers, and how long nothing came. How often the battery ran down the ledger says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.activations import Activation
from engine.events import DeviceEvent
from engine.times import SECOND_US
from geofence.schedule import Interval


class TagCare(NamedTuple):
    """Counts, and device time [us]: worn, with nothing received for longer than the plan allows, with no fix for as long."""

    n_strap: int = 0
    n_case: int = 0
    worn_us: int = 0
    no_contact_us: int = 0
    no_fix_us: int = 0


class DeviceRows(NamedTuple):
    """The fixes of one device within one activation, in event-time order, each column (n,)."""

    time_us: NDArray[np.int64]
    received_s: NDArray[np.int64]


def tag_care(
    worn: Activation, rows: DeviceRows, events: Sequence[DeviceEvent], within: Interval, loaded_from_us: int = -(2**62)
) -> TagCare:  # fmt: skip
    """The care of one device in [from, to) of an activation; events are those of the device within the activation.

    loaded_from_us: fixes before it have not been looked at; silence is counted from there.
    """
    start, end = max(within[0], worn.from_us), min(within[1], worn.to_us)
    if start >= end:
        return TagCare()
    kinds = [e.kind for e in events if start <= e.time_us < end]
    since = max(worn.from_us, loaded_from_us)
    received = np.array([e.received_s for e in events], np.int64)
    contacts = np.concatenate([rows.received_s.astype(np.int64), received]) * SECOND_US
    no_contact, no_fix = (_silent_us(at, worn.silence_us, since, (start, end)) for at in (contacts, rows.time_us))
    return TagCare(kinds.count("strap_tamper"), kinds.count("case_tamper"), end - start, no_contact, no_fix)


def _silent_us(instants: NDArray[np.int64], silence_us: int, since_us: int, within: Interval) -> int:
    """How long in [from, to) nothing had come for longer than silence_us."""
    at = np.concatenate([[since_us], np.sort(instants[(instants > since_us) & (instants < within[1])])])
    begins = np.maximum(at + silence_us, within[0])
    ends = np.append(at[1:], within[1])
    return int(np.maximum(ends - begins, 0).sum())
