"""Whom the hourly summaries settle: who surely was elsewhere, who surely is not monitored, and who has to be read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match import far
from crime_match.question import Question
from engine.activations import Activation
from engine.database import Connection
from engine.error_model import device_model, number_of
from engine.store.extents import Extents, Span, read_extents
from engine.store.fixes import NEAREST
from engine.store.hours import Hours, HourSummaries
from engine.store.telling_events import read_telling
from engine.times import SECOND_US
from tagwatch.nearby.about import margin_us

_FAR_US = 2**61
_MOST_HOURS = 24


class Settled(NamedTuple):
    """Wearers by what is known of them without their fixes: excluded, unmonitored; clear, with their devices: none of their
    fixes about the window can be in doubt, and two next to each other are at most longest_us apart; all others."""

    excluded: list[str]
    unmonitored: list[str]
    clear: dict[str, str]
    longest_us: int
    others: list[str]


class _Worn(NamedTuple):
    """For each wearer (n,) his only activation about the window as a row of `rows`, -1 where there is none or more; and
    whether none meets the window."""

    wearers: list[str]
    row: NDArray[np.int64]
    is_off: NDArray[np.bool_]


def nobody_settled(wearers: Collection[str]) -> Settled:
    """Everybody has to be read."""
    return Settled([], [], {}, 0, sorted(wearers))


def settle(
    connection: Connection, question: Question, rows: Sequence[Activation], wearers: Collection[str] | None = None
) -> Settled:
    """What the summaries tell of the wearers of these activations (of these wearers alone), in an answer of one instant.

    Whoever wears several devices, or another one about that time, or whose tag may not vouch for him, has to be read.
    """
    first_s, last_s = far.hours_about(question)
    summaries = HourSummaries(connection)
    until_s = summaries.until_s
    covered = (first_s - far.HOUR_S, last_s + 2 * far.HOUR_S)
    worn = _worn(question, rows, wearers, covered)
    if until_s < covered[1]:
        return _of(worn, rows, np.zeros(len(worn.wearers), np.uint8), 0)
    span = _span(question, rows)
    stale = summaries.stale(span.outer_first_s, span.outer_last_s)
    hours = summaries.read(*covered)
    extents = read_extents(connection, span, until_s, NEAREST)
    stale |= summaries.stale(span.outer_first_s, span.outer_last_s)
    doubted = _doubted(connection, question, rows, covered) | _touched(stale, span, extents)
    state, longest_s = _sifted(question, hours, extents, worn, rows, doubted)
    clear = state == far.CLEAR
    return _of(worn, rows, state, int(longest_s[clear].max(initial=0)) * SECOND_US)


def _span(question: Question, rows: Sequence[Activation]) -> Span:
    """The hours about all that the exact answer reads: the margin, and the nearest few beyond it of tags that send by plan; and
    about all that can contradict what is in the window wherever it lies."""
    aside_us = margin_us(question)
    before_s = (question.start_us - aside_us) // SECOND_US // far.HOUR_S * far.HOUR_S
    after_s = ((question.end_us + aside_us) // SECOND_US // far.HOUR_S + 1) * far.HOUR_S
    interval_s = float(np.quantile([row.fix_interval_s for row in rows], 0.9)) if rows else 0.0
    more_s = min(_MOST_HOURS, 1 + int(1.25 * NEAREST * interval_s / far.HOUR_S)) * far.HOUR_S
    outer_s = -(-far.apart_us(question) // SECOND_US // far.HOUR_S) * far.HOUR_S + far.HOUR_S
    first_s, last_s = before_s - more_s, after_s + more_s
    return Span(min(first_s, before_s - outer_s), first_s, before_s, after_s, last_s, max(last_s, after_s + outer_s))


def _touched(stale: set[tuple[str, int]], span: Span, extents: Extents) -> set[str]:
    """The devices of which hours that were looked at are not what they were when they were summarised."""
    wide = {name for name, is_wide in zip(extents.devices, extents.is_wide.tolist(), strict=True) if is_wide}
    return {name for name, hour_s in stale if span.first_s <= hour_s < span.last_s or name in wide}


def _worn(
    question: Question, rows: Sequence[Activation], wearers: Collection[str] | None, covered: tuple[int, int]
) -> _Worn:
    names = sorted({row.wearer for row in rows if wearers is None or row.wearer in wearers})
    number = {name: k for k, name in enumerate(names)}
    wearer = np.array([number.get(row.wearer, -1) for row in rows], np.int64)
    bounds = np.array([(max(row.from_us, -_FAR_US), min(row.to_us, _FAR_US)) for row in rows], np.int64).reshape(-1, 2)
    from_us, to_us = covered[0] * SECOND_US, covered[1] * SECOND_US
    aside_us = far.apart_us(question)
    counts = (bounds[:, 0] < to_us + aside_us) & (bounds[:, 1] > from_us - aside_us) & (wearer >= 0)
    meets = (bounds[:, 0] <= question.end_us) & (bounds[:, 1] > question.start_us) & (wearer >= 0)
    covers = counts & (bounds[:, 0] <= from_us) & (bounds[:, 1] >= to_us)
    row = np.full(len(names), -1, np.int64)
    row[wearer[covers]] = np.flatnonzero(covers)
    row[np.bincount(wearer[counts], minlength=len(names)) != 1] = -1
    return _Worn(names, row, np.bincount(wearer[meets], minlength=len(names)) == 0)


def _doubted(connection: Connection, question: Question, rows: Sequence[Activation], covered: tuple[int, int]) -> set[str]:
    """The devices with events that may matter. A strap tamper does in its own activation alone."""
    events = read_telling(
        connection, since_us=covered[0] * SECOND_US, start_us=question.start_us, end_us=question.end_us,
        until_us=covered[1] * SECOND_US,
    )  # fmt: skip
    found = {name for name, _, kind in events if kind != "strap_tamper"}
    tampered = {(name, time_us) for name, time_us, kind in events if kind == "strap_tamper"}
    names = {name for name, _ in tampered}
    start_us, end_us = question.start_us, question.end_us
    about = [row for row in rows if row.device in names and row.from_us <= end_us and row.to_us > start_us]
    return found | {
        row.device for row in about for name, at_us in tampered if row.device == name and row.from_us <= at_us < row.to_us
    }


def _sifted(
    question: Question, hours: Hours, extents: Extents, worn: _Worn, rows: Sequence[Activation], doubted: set[str]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """State and longest step (see `far.Sifted`) of each wearer; those without an only device are in doubt."""
    at = {name: k for k, name in enumerate(hours.devices)}
    device = np.array([at.get(rows[k].device, -1) if k >= 0 else -1 for k in worn.row.tolist()], np.int64)
    percentile, model = np.full(len(at), 0.5), np.zeros(len(at), np.uint8)
    is_known, box = np.zeros(len(at), np.bool_), np.zeros((len(at), 4), np.int64)
    for k, row in zip(device.tolist(), worn.row.tolist(), strict=True):
        if k >= 0:
            percentile[k] = rows[row].percentile
            model[k] = number_of(device_model(rows[row].model, rows[row].percentile))
    here = np.array([at.get(name, -1) for name in extents.devices], np.int64)
    box[here[here >= 0]] = extents.box[here >= 0]
    is_known[here[here >= 0]] = True
    is_known[[at[name] for name in doubted if name in at]] = False
    radius_m = far.exclusion_m(hours, percentile[hours.device], model[hours.device])
    found = far.sifted(question, hours, radius_m, box, is_known)
    # a device that is not there is the one after the last
    return np.append(found.state, np.uint8(far.DOUBTFUL))[device], np.append(found.longest_s, 0)[device]


def _of(worn: _Worn, rows: Sequence[Activation], state: NDArray[np.uint8], longest_us: int) -> Settled:
    settled = Settled([], [], {}, longest_us, [])
    for k, name in enumerate(worn.wearers):
        if worn.is_off[k]:
            settled.unmonitored.append(name)
        elif state[k] == far.FAR:
            settled.excluded.append(name)
        elif state[k] == far.CLEAR:
            settled.clear[name] = rows[worn.row[k]].device
        else:
            settled.others.append(name)
    return settled
