"""The check: the states of all (wearer, place) slots in flat arrays, and the one kernel call that moves them over a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine import flags
from engine.error_model import TAILS
from engine.errors import InputError
from engine.kernels import metres_per_e7
from geofence.evidence import MOST_ABSENT, MOST_EVIDENCE, absence_of, clear_limits
from geofence.filter import (
    BLOCK,
    CHANGE,
    COARSE_M,
    FILTER_STATE,
    KEPT,
    MOST_LOGIT,
    REACH,
    SPAN,
    Bounds,
    Columns,
    Rules,
    Slots,
    advance,
    relaxed,
    share_of_news,
)
from geofence.masses import margin_sigmas
from geofence.places import Places
from geofence.zone import Circle, Place

_ROOM = 8 * BLOCK
_WORLD = (-(2**31) + 1, -(2**31) + 1, 2**31 - 1, 2**31 - 1)


class FilterSettings(NamedTuple):
    """Settings of the in/out filter; probabilities, and time constants in seconds."""

    raise_at: float = 0.95
    clear_at: float = 0.05
    base_exclusion: float = 0.1
    base_stay: float = 0.5
    relax_s: float = 2400.0
    correlation_s: float = 300.0


class Advanced(NamedTuple):
    """What a batch did: changes of state (CHANGE), and copies of states kept every BLOCK rows (KEPT), oldest first."""

    changes: NDArray[Any]
    kept: NDArray[Any]


class Check:
    """The states of slots, and their rosters: the slots of one wearer are a run of `roster`."""

    def __init__(
        self, places: Places, shapes: Sequence[Sequence[Place]], settings: FilterSettings = FilterSettings()
    ) -> None:
        """`shapes` are the places as they were given, in the order of `places`; InputError for settings that decide nothing."""
        self.settings = _reachable(settings)
        self.revise(places, shapes)
        self.rules = Rules(
            logit(settings.raise_at), logit(settings.clear_at), settings.relax_s, settings.correlation_s, flags.WEIGHTLESS,
            quiet_us(settings), TAILS, reaches(),
        )  # fmt: skip
        self.n_slots = 0
        self._free: list[int] = []
        self.states = np.zeros(64, FILTER_STATE)
        self.column = self._columns()
        self.slots = Slots(np.zeros(64, np.int64), np.zeros(64), np.zeros(64, np.uint8), *np.zeros((4, 64)))
        self._reaches = np.zeros(BLOCK + BLOCK // SPAN, REACH)
        self._changes, self._kept = np.empty(_ROOM, CHANGE), np.empty(64, KEPT)

    def _columns(self) -> dict[str, NDArray[Any]]:
        """Views of the states' fields: one number of one slot is read ten times as fast from them."""
        return {name: self.states[name] for name in FILTER_STATE.names or ()}

    def revise(self, places: Places, shapes: Sequence[Sequence[Place]]) -> None:
        """Take more places; those there were before come first, as they were."""
        self.places, self.bounds = places, bounds_of(places, shapes)

    def free_slot(self, number: int) -> None:
        """Give a slot back: its number may be another's."""
        self._free.append(number)

    def add_slot(self, place: int, *, exclusion: bool) -> int:
        """A new slot for a place, of an exclusion zone or of a place to stay at; returns its number."""
        number = self._free.pop() if self._free else self.n_slots
        if number == len(self.states):
            self.states = _doubled(self.states)
            self.column = self._columns()
            self.slots = Slots(*(_doubled(column) for column in self.slots))
        self.states[number] = FRESH[0]
        base = self.settings.base_exclusion if exclusion else self.settings.base_stay
        absent = 0.0 if exclusion else absence_of(self.places.size[place, 0])
        quiet_m = (quiet_sigma_m(sign, base, self.settings) for sign in (-1, 1))
        columns: tuple[NDArray[Any], ...] = self.slots
        for column, value in zip(columns, (place, base, exclusion, absent, deep_share(absent), *quiet_m), strict=True):
            column[number] = value
        self.n_slots = max(self.n_slots, number + 1)
        return number

    def advance(self, pieces: NDArray[np.int64], roster: NDArray[np.int64], columns: Columns) -> Advanced:
        """Feed pieces of trails to the slots of their part of the roster; see `geofence.filter.advance` for the arrays."""
        start, changes, kept = np.zeros(3, np.int64), [], []
        while True:
            n_changes, n_kept = advance(
                pieces, start, roster, self.states, self.slots, self._changes, self._kept, columns, self.rules, self.bounds,
                self.places, self._reaches,
            )  # fmt: skip
            changes.append(self._changes[:n_changes].copy())
            kept.append(self._kept[:n_kept].copy())
            if start[0] == len(pieces):
                return Advanced(*(c[0] if len(c) == 1 else np.concatenate(c) for c in (changes, kept)))
            if n_kept == len(self._kept):
                self._kept = np.empty(2 * len(self._kept), KEPT)


FRESH = np.zeros(1, FILTER_STATE)
"""The state before any fix, shape (1,)."""
FRESH["last"] = FRESH["last_in"] = FRESH["last_out"] = -1


def logit(p: float) -> float:
    """Log odds of a probability."""
    return math.log(p / (1.0 - p))


@lru_cache(maxsize=1)
def reaches() -> NDArray[np.float64]:
    """By error model, the distance in sigmas of its core from which a fix is clear for every place that could hold half of its
    mass: `geofence.evidence.clear_limits`, whichever asks most."""
    return np.array([margin_sigmas(min(clear_limits(0.5, MOST_ABSENT)), *tail) * (1.0 + 1e-9) for tail in TAILS])


@lru_cache(maxsize=4096)
def deep_share(absent: float) -> float:
    """The share of its reach from which on a fix inside a place is clear, for the error model that asks most."""
    inside = clear_limits(0.5, absent)[0]
    shares = [margin_sigmas(inside, *tail) / reach for tail, reach in zip(TAILS, reaches(), strict=True)]
    return float(max(shares)) * (1.0 + 1e-9)


@lru_cache(maxsize=64)
def quiet_us(settings: FilterSettings) -> int:
    """The least time between two clear fixes [us] from which on the second leaves a sure state exactly as sure as it was.

    That is so where what relaxes away in dt is no more than what the fix brings, for both signs, both base rates and all dt
    up to 30 days; for all fixes finer than COARSE_M. Where it never holds no fix is passed over (answers are the same).
    """
    bases = settings.base_exclusion, settings.base_stay
    quiet = [all(_holds(sign, base, dt, COARSE_M, settings) for sign in (-1, 1) for base in bases) for dt in _WAITS_S]
    if not quiet[-1]:
        return 2**62
    first = max((k + 1 for k, holds in enumerate(quiet) if not holds), default=0)
    return round(_WAITS_S[first] * 1e6)


@lru_cache(maxsize=64)
def quiet_sigma_m(sign: int, base: float, settings: FilterSettings) -> float:
    """The largest sigma of a clear fix [m], of some that are tried, for which the same holds for one sign and base rate."""
    waits = [dt for dt in _WAITS_S if dt * 1e6 >= quiet_us(settings)]
    tried = (COARSE_M, 25.0, 30.0, 35.0, 40.0, 50.0, 60.0, 80.0, 100.0)
    return max((s for s in tried if all(_holds(sign, base, dt, s, settings) for dt in waits)), default=COARSE_M)


_WAITS_S: list[float] = np.geomspace(0.25, 30 * 86_400.0, 2_000).tolist()


def _holds(sign: int, base: float, dt_s: float, sigma_m: float, settings: FilterSettings) -> bool:
    left = sign * relaxed(sign * MOST_LOGIT, base, dt_s, settings.relax_s)
    return left + share_of_news(dt_s, sigma_m, settings.correlation_s) * MOST_EVIDENCE > MOST_LOGIT + 1e-9


def bounds_of(places: Places, shapes: Sequence[Sequence[Place]]) -> Bounds:
    """Bounds of all places. Places near the antimeridian or a pole get none: their fixes are all looked at."""
    outer = np.empty((len(places.box), 4), np.int32)
    outer[:, :2] = np.maximum(np.floor(places.box[:, :2]), _WORLD[0])
    outer[:, 2:] = np.minimum(np.ceil(places.box[:, 2:]), _WORLD[2])
    inner = np.array([_disc_in(shape) for shape in shapes], np.float64).reshape(-1, 5)
    at_the_edge = (np.abs(places.box) > [1.79e9, 8.85e8, 1.79e9, 8.85e8]).any(axis=1)
    outer[at_the_edge], inner[at_the_edge] = _WORLD, 0.0
    # P(inside) of a fix in the best spot is at least 1/2 up to these sigmas: see `geofence.masses.most_mass`
    by_area = np.sqrt(places.size[:, 0] / (2.0 * math.pi * math.log(2.0)))
    by_width = places.size[:, 1] / (2.0 * math.sqrt(2.0) * 0.4769363)
    return Bounds(outer, inner, np.minimum(by_area, by_width))


def _disc_in(shape: Sequence[Place]) -> tuple[float, ...]:
    """A disc within a place. Its radius is 1 % shorter, and its plane is used up to 5 km and 75 degrees of latitude: there the
    metres a degree differ by less from those at its centre."""
    if len(shape) != 1 or not isinstance(shape[0], Circle):
        return (0.0,) * 5
    disc = shape[0]
    if disc.radius_m > 5_000.0 or abs(disc.lat_e7) > 750_000_000:
        return (0.0,) * 5
    ky, kx = metres_per_e7(float(disc.lat_e7))
    return disc.lon_e7, disc.lat_e7, 0.99 * disc.radius_m, kx, ky


def _doubled(column: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([column, np.zeros_like(column)])


def _reachable(settings: FilterSettings) -> FilterSettings:
    """The settings; InputError where no posterior could ever raise or clear: the filter stops at MOST_LOGIT on either side."""
    surest = 1.0 / (1.0 + math.exp(-MOST_LOGIT))
    if not 0.5 < settings.raise_at <= surest:
        raise InputError(
            field="raise_at", value=settings.raise_at, expected=f"over 0.5 and at most {surest:.4f}, the surest there is"
        )
    if not 1.0 - surest <= settings.clear_at < 0.5:
        raise InputError(field="clear_at", value=settings.clear_at, expected=f"at least {1.0 - surest:.4f} and under 0.5")
    return settings
