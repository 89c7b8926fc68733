"""A trail: one wearer's fixes in event-time order. Late fixes find their place, duplicates are recognised.

The order is (time, device name, content), so it is the same whatever the order of arrival. Derived columns (radius, sigma,
exclusion radius, error model, silence, flags) stand beside the reported ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import flags
from engine.error_model import errors
from engine.fixes import NAMES, Fixes
from engine.kernels import FLAG_STATE, flag_implausible, flag_same_time

MOST_MPS = 70.0
FAST_MPS = 55.0
CLOCK_TOLERANCE_US = 300_000_000
NEVER_US = -(2**62)
CHECKPOINT_EVERY = 512
"""A state is kept every so many fixes: a late fix recomputes from the last one before it."""

_DERIVED_DTYPES = {
    "content": np.int64, "silence_us": np.int64, "radius_m": np.float64, "sigma_m": np.float64,
    "exclusion_m": np.float64, "model": np.uint8, "flags": np.uint8,
}  # fmt: skip
_DERIVED = tuple(_DERIVED_DTYPES)
_ALL = (*NAMES, *_DERIVED)
_TELLING = ("time_us", "content", "device", "received_s", "flags")


@dataclass(slots=True)
class Arranged:
    """Fixes of one wearer or many in event-time order, with their derived columns, each of shape (n,).

    `model` is the row of each fix's error model in `engine.error_model.TABLE`; silence_us is how long after a fix silence
    speaks.
    """

    fixes: Fixes
    content: NDArray[np.int64]
    silence_us: NDArray[np.int64]
    radius_m: NDArray[np.float64]
    sigma_m: NDArray[np.float64]
    exclusion_m: NDArray[np.float64]
    model: NDArray[np.uint8]
    flags: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.fixes)

    def column(self, name: str) -> NDArray[Any]:
        """A reported or derived column by its name."""
        return getattr(self, name) if name in _DERIVED_DTYPES else self.fixes.column(name)

    def take(self, where: NDArray[Any] | slice) -> Arranged:
        """The rows at these indices, in that order."""
        return Arranged(self.fixes.take(where), *(self.column(name)[where] for name in _DERIVED))


class Packed:
    """Arranged fixes with their columns as the rows of one array a type: cut and copied in a few steps, whatever the number
    of columns. `blocks` are in the order of _BLOCKS, each (n_columns, n)."""

    __slots__ = ("blocks", "devices")

    def __init__(self, devices: tuple[str, ...], blocks: list[NDArray[Any]]) -> None:
        self.devices, self.blocks = devices, blocks

    @classmethod
    def of(cls, rows: Arranged) -> Packed:
        """The same rows, copied."""
        blocks = _room(len(rows))
        for name, (b, k) in _PLACE.items():
            blocks[b][k] = rows.column(name)
        return cls(rows.fixes.devices, blocks)

    def __len__(self) -> int:
        return int(self.blocks[0].shape[1])

    @property
    def fixes(self) -> Fixes:
        """The reported columns as a batch."""
        return Fixes(self.devices, **{name: self.column(name) for name in NAMES})

    def column(self, name: str) -> NDArray[Any]:
        """A reported or derived column by its name."""
        b, k = _PLACE[name]
        column: NDArray[Any] = self.blocks[b][k]
        return column

    def take(self, where: NDArray[Any] | slice) -> Packed:
        """The rows at these indices, in that order."""
        return Packed(self.devices, [block[:, where] for block in self.blocks])


Piece = Arranged | Packed


def arrange(
    fixes: Fixes,
    wearer: NDArray[np.int32],
    percentile: NDArray[np.float64],
    silence_us: NDArray[np.int64],
    device_model: NDArray[np.uint8] | None = None,
) -> tuple[Arranged, NDArray[np.int32], int]:
    """Sort by (wearer, time, device, content), leave duplicates out with the earliest `received`, derive the errors.

    Names decide between devices at one instant, never their index, so the order does not depend on who came first.
    Device models are numbers of `engine.error_model` (default: tags). Returns the rows, their wearers (n,), and how many
    duplicates were left out.
    """
    device_model = np.zeros(len(fixes), np.uint8) if device_model is None else device_model
    found = errors(fixes.accuracy_cm, fixes.source, percentile, device_model)
    return _in_order(Arranged(fixes, fixes.content(), silence_us, *found, np.zeros(len(fixes), np.uint8)), wearer)


def _in_order(rows: Arranged, wearer: NDArray[np.int32]) -> tuple[Arranged, NDArray[np.int32], int]:
    """The rows sorted, without duplicates, and flagged where their clock is wrong."""
    order = _order(wearer, rows.fixes, rows.content)
    if order is not None:
        rows, wearer = rows.take(order), wearer[order]
    again = _repeats(wearer, rows.fixes, rows.content)
    n_again = int(np.count_nonzero(again))
    if n_again:
        first = np.flatnonzero(~again)
        received = np.minimum.reduceat(rows.fixes.received_s, first)
        rows, wearer = rows.take(first), wearer[first]
        rows.fixes.received_s[:] = received
    clock = rows.fixes.time_us > rows.fixes.received_s * 1_000_000 + CLOCK_TOLERANCE_US
    rows.flags[:] = np.where(clock, flags.CLOCK_WRONG, 0)
    return rows, wearer, n_again


class Trail:
    """The growing trail of one wearer: columns with room to spare, and the plausibility states to rewind to."""

    def __init__(self, wearer: str) -> None:
        self.wearer = wearer
        self.n = 0
        self._first: Arranged | None = None
        """A first batch, as it came: copied only when more comes."""
        self._blocks: list[NDArray[Any]] = []
        self._states: NDArray[Any] = np.zeros(1, FLAG_STATE)
        self._marked_state: NDArray[Any] | None = None
        self.marked = -1
        """Where `forget` may cut, -1 where nowhere."""
        self.base = 0
        """The row from which on the trail is whole; of those before it only some are left (see `forget`)."""
        self.changed_to_us = NEVER_US
        """Time of the newest row that the last merge put in or flagged anew."""
        self.floor_us = NEVER_US
        """Time of the newest row that was before `base`: a fix no later than this has no place here any more."""

    def __len__(self) -> int:
        return self.n

    @property
    def is_whole(self) -> bool:
        """Whether all rows are here that ever were."""
        return self.floor_us == NEVER_US

    def column(self, name: str) -> NDArray[Any]:
        """A column of shape (n,): a view that is valid until the next merge."""
        if self._first is not None:
            return self._first.column(name)
        if not self.n:
            return np.empty(0, _dtype(name))
        b, k = _PLACE[name]
        return self._blocks[b][k, : self.n]

    def merge(self, batch: Piece) -> tuple[int, int]:
        """Merge this wearer's arranged fixes; returns the index of the first changed row and how many were duplicates."""
        if not len(batch):
            return self.n, 0
        first = int(np.searchsorted(self.column("time_us"), batch.column("time_us")[0], side="left")) if self.n else 0
        n_again = 0
        if first < self.marked:
            self.unmark()
        if first < self.n:
            batch, n_again = self._with_tail(batch, first)
            if n_again and len(batch) == self.n - first and self._unchanged(batch, first):
                return self.n, n_again
        before = {name: self.column(name)[first:].copy() for name in _TELLING} if first < self.n else {}
        self._write(first, batch)
        self._flag(first)
        self.changed_to_us = self._last_change_us(first, before)
        return first, n_again

    def mark(self) -> None:
        """Remember the plausibility state as after the last row, so that `forget` may cut here later."""
        used = -(-(self.n - self.base) // CHECKPOINT_EVERY)
        self._marked_state, self.marked = self._states[used : used + 1].copy(), self.n

    def unmark(self) -> None:
        """Forget the mark."""
        self._marked_state, self.marked = None, -1

    def forget(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Leave out the rows before the mark but for some (their indices, ascending).

        Returns the new index of each old row, -1 where it is gone; shape (n,).
        """
        assert self._marked_state is not None
        left = np.concatenate([rows, np.arange(self.marked, self.n)])
        moved = np.full(self.n, -1, np.int64)
        moved[left] = np.arange(len(left))
        self.floor_us = int(self.column("time_us")[self.marked - 1])
        self._blocks = [block[:, left] for block in self._own_blocks(self.n)]
        self._first = None
        self.n, self.base = len(left), len(rows)
        self._states = np.repeat(self._marked_state, 2)
        self._marked_state, self.marked = None, -1
        self._flag(self.base)
        return moved

    def fixes(self, devices: tuple[str, ...], where: slice = slice(None)) -> Fixes:
        """The reported columns as a batch."""
        return Fixes(devices, **{name: self.column(name)[where].copy() for name in NAMES})

    def _last_change_us(self, first: int, before: dict[str, NDArray[Any]]) -> int:
        """The time of the last row that is another than before, where the rows from `first` on were these."""
        if not before:
            return int(self.column("time_us")[-1])
        n = min(len(before["time_us"]), self.n - first)
        same = np.ones(n, np.bool_)
        for name, old in before.items():
            same &= old[::-1][:n] == self.column(name)[first:][::-1][:n]
        other = np.flatnonzero(~same)
        k = int(other[0]) if len(other) else n
        return int(self.column("time_us")[max(first, self.n - 1 - k)])

    def _with_tail(self, batch: Piece, first: int) -> tuple[Arranged, int]:
        """The rows from `first` on together with the batch, in order, duplicates out."""
        tail = slice(first, self.n)
        joined = {name: np.concatenate([self.column(name)[tail], batch.column(name)]) for name in _ALL}
        devices = batch.devices if isinstance(batch, Packed) else batch.fixes.devices
        fixes = Fixes(devices, **{name: joined[name] for name in NAMES})
        rows = Arranged(fixes, **{name: joined[name] for name in _DERIVED})
        merged, _, n_again = _in_order(rows, np.zeros(len(rows), np.int32))
        return merged, n_again

    def _unchanged(self, batch: Arranged, first: int) -> bool:
        return all(
            np.array_equal(self.column(name)[first:], batch.column(name)) for name in ("time_us", "content", "received_s")
        )

    def _write(self, first: int, batch: Piece) -> None:
        """The batch's rows from `first` on."""
        stop = first + len(batch)
        if not self.n and isinstance(batch, Arranged):
            self._first, self.n = batch, stop
            return
        blocks = self._blocks = self._own_blocks(stop)
        self._first = None
        if isinstance(batch, Packed):
            for mine, other in zip(blocks, batch.blocks, strict=True):
                mine[:, first:stop] = other
        else:
            for name, (b, k) in _PLACE.items():
                blocks[b][k, first:stop] = batch.column(name)
        self.n = stop

    def _own_blocks(self, n: int) -> list[NDArray[Any]]:
        """The columns in arrays of this trail's own, with room for n rows."""
        if self._first is None and self._blocks and n <= self._blocks[0].shape[1]:
            return self._blocks
        blocks = _room(n + max(8, n // 2))
        if self._first is not None:
            for name, (b, k) in _PLACE.items():
                blocks[b][k, : self.n] = self._first.column(name)
        else:
            for mine, old in zip(blocks, self._blocks, strict=False):
                mine[:, : self.n] = old[:, : self.n]
        return blocks

    def _flag(self, first: int) -> None:
        """Flag from `first` on, starting at the last plausibility state kept before it."""
        column, group = self.column, slice(first, self.n)
        flag_same_time(
            column("device")[group], column("time_us")[group], column("lat_e7")[group], column("lon_e7")[group],
            column("radius_m")[group], column("exclusion_m")[group], column("flags")[group],
            flags.SAME_TIME, flags.CONTRADICTORY, flags.SET_ASIDE,
        )  # fmt: skip
        base = self.base
        n_states = (self.n - base) // CHECKPOINT_EVERY + 2
        if n_states > len(self._states):
            states = np.zeros(n_states + n_states // 2, FLAG_STATE)
            states[: len(self._states)] = self._states
            self._states = states
        flag_implausible(
            (first - base) // CHECKPOINT_EVERY, CHECKPOINT_EVERY, self._states, column("time_us")[base:],
            column("lat_e7")[base:], column("lon_e7")[base:], column("radius_m")[base:], column("flags")[base:],
            MOST_MPS, FAST_MPS, flags.WEIGHTLESS & ~flags.IMPLAUSIBLE, flags.IMPLAUSIBLE,
        )  # fmt: skip


def _dtype(name: str) -> Any:
    if name in _DERIVED_DTYPES:
        return _DERIVED_DTYPES[name]
    return np.int64 if name in ("time_us", "received_s") else np.int32


_BLOCKS = [(kind, [name for name in _ALL if _dtype(name) is kind]) for kind in (np.int32, np.int64, np.float64, np.uint8)]
_PLACE = {name: (b, k) for b, (_, names) in enumerate(_BLOCKS) for k, name in enumerate(names)}


def _room(n: int) -> list[NDArray[Any]]:
    """Blocks for n rows."""
    return [np.empty((len(names), n), kind) for kind, names in _BLOCKS]


def _order(wearer: NDArray[np.int32], fixes: Fixes, content: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The sorting permutation, or None where the rows are in order already (the common case)."""
    later = np.diff(fixes.time_us)
    same = wearer[1:] == wearer[:-1]
    if bool(np.all((wearer[1:] > wearer[:-1]) | (same & (later > 0)))):
        return None
    return np.lexsort((content, _name_rank(fixes), fixes.time_us, wearer))


def _name_rank(fixes: Fixes) -> NDArray[np.int64]:
    """For each fix the rank of its device's name among those of the batch."""
    present, inverse = np.unique(fixes.device, return_inverse=True)
    names = [fixes.devices[i] for i in present]
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return rank[inverse]


def _repeats(wearer: NDArray[np.int32], fixes: Fixes, content: NDArray[np.int64]) -> NDArray[np.bool_]:
    again = np.zeros(len(fixes), np.bool_)
    again[1:] = (
        (fixes.time_us[1:] == fixes.time_us[:-1])
        & (content[1:] == content[:-1])
        & (fixes.device[1:] == fixes.device[:-1])
        & (wearer[1:] == wearer[:-1])
    )
    return again
