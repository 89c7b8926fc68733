"""Whom the hourly summaries settle, with a look at the pieces of trails that they leave open; all others have to be read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crime_match import far
from crime_match.pieces import UNTOLD, verdicts_of
from crime_match.question import Question
from crime_match.verdicts import UNMONITORED, VERDICTS
from engine.activations import Activation
from engine.database import Connection
from engine.error_model import device_model, number_of
from engine.store.extents import Extents, Span
from engine.store.fixes import NEAREST
from engine.store.hours import Hours
from engine.store.pieces import read_pieces
from engine.times import SECOND_US
from tagwatch.nearby.about import margin_us
from tagwatch.nearby.memory import HourMemory, Stored, Summaries
from tagwatch.nearby.worn import Roster, told_by_devices

ASIDE_H = (1, 12)
"""So many hours on both sides of the window are looked at; of those about whom they leave doubt, more."""
_MOST_HOURS = 24


class Settled(NamedTuple):
    """The verdicts that are certain, by wearer. devices: of whom the fixes about the window are in no doubt, with the device,
    of which no two neighbouring ones are farther apart than longest_us. others: who has to be read in full."""

    verdicts: dict[str, str]
    devices: dict[str, str]
    longest_us: dict[str, int]
    others: list[str]


class _Known(NamedTuple):
    """What holds for all looks: where all fixes lie, which devices are in doubt, and which surely may not exclude."""

    extents: Extents
    doubted: set[str]
    hindered: set[str]


def settle(
    connection: Connection, question: Question, rows: Sequence[Activation], wearers: Collection[str] | None = None,
    memory: HourMemory | None = None,
) -> Settled:  # fmt: skip
    """The verdicts of the wearers of these activations (of these wearers alone), as far as summaries and pieces tell them.

    Whoever wears several devices, or another one about that time, or whose tag may not vouch for him, is left to the others; so
    is everybody where the hours of the window are not summarised yet.
    """
    summaries = memory.of(connection) if memory else Stored(connection)
    until_s = summaries.until_s
    covered = [_covered(question, aside_h) for aside_h in ASIDE_H]
    roster = Roster(rows, wearers)
    worn = roster.about(question, covered[0])
    off = [name for name, is_off in zip(worn.wearers, worn.is_off.tolist(), strict=True) if is_off]
    settled = Settled(dict.fromkeys(off, UNMONITORED), {}, {}, sorted({*worn.wearers} - {*off}))
    if until_s < covered[0][1]:
        return settled
    known = _known(connection, summaries, question, rows)
    for span in covered:
        if span[1] <= until_s and settled.others:
            settled = _looked(connection, summaries, question, roster, known, span, settled)
    return settled


def _covered(question: Question, aside_h: int) -> tuple[int, int]:
    first_s, last_s = far.hours_about(question)
    return first_s - aside_h * far.HOUR_S, last_s + (aside_h + 1) * far.HOUR_S


def _known(connection: Connection, summaries: Summaries, question: Question, rows: Sequence[Activation]) -> _Known:
    """What is stale is read before any hour: hours that are made anew meanwhile are right."""
    span = _span(question, rows)
    stale = summaries.stale(span.outer_first_s, span.outer_last_s)
    extents = summaries.extents(span, NEAREST)
    wide = {name for name, is_wide in zip(extents.devices, extents.is_wide.tolist(), strict=True) if is_wide}
    widest = _covered(question, ASIDE_H[-1])
    first_s, last_s = min(span.first_s, widest[0]), max(span.last_s, widest[1])
    touched = {name for name, hour_s in stale if first_s <= hour_s < last_s or name in wide}
    told = told_by_devices(connection, question, rows, widest)
    return _Known(extents, touched | told.doubted, told.hindered)


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


def _looked(
    connection: Connection, summaries: Summaries, question: Question, roster: Roster, known: _Known,
    covered: tuple[int, int], before: Settled,
) -> Settled:  # fmt: skip
    """With what the hours [from, to) tell of those who are still among the others."""
    worn, left = roster.about(question, covered), set(before.others)
    row_of = {name: roster.rows[k] for name, k in zip(worn.wearers, worn.row.tolist(), strict=True) if k >= 0}
    device_of = {name: row.device for name, row in row_of.items() if name in left and row.device not in known.doubted}
    few = None if covered == _covered(question, ASIDE_H[0]) else sorted(device_of.values())
    hours = summaries.read(*covered, few)
    percentile, model = _error_models(hours, row_of.values())
    exclusion_m = far.exclusion_m(hours, percentile[hours.device], model[hours.device])
    found = _usable(hours, far.sifted(question, hours, exclusion_m, *_boxes(hours, known)), {*device_of.values()}, known)
    pieces = far.pieces_of(question, hours, found)
    names = [hours.devices[k] for k in pieces.device.tolist()]
    piece_rows = read_pieces(connection, names, pieces.from_s, pieces.to_s)
    verdict = verdicts_of(question, found, pieces, piece_rows, percentile, model)
    at = {name: k for k, name in enumerate(hours.devices) if verdict[k] != UNTOLD}
    sure = {name: at[device] for name, device in device_of.items() if device in at}
    read = {name: k for name, k in sure.items() if found.state[k] != far.FAR}
    return Settled(
        before.verdicts | {name: VERDICTS[verdict[k]] for name, k in sure.items()},
        before.devices | {name: device_of[name] for name in read},
        before.longest_us | {device_of[name]: int(found.longest_s[k]) * SECOND_US for name, k in read.items()},
        sorted({*before.others} - {*sure}),
    )


def _usable(hours: Hours, found: far.Sifted, devices: set[str], known: _Known) -> far.Sifted:
    """What was found of these devices alone. Whoever's tag may not exclude is as one who can have been there, where it is known
    whether a fix lies in the window."""
    asked = np.array([name in devices for name in hours.devices], np.bool_)
    hindered = np.array([name in known.hindered for name in hours.devices], np.bool_)
    state = np.where(asked, found.state, far.DOUBTFUL).astype(np.uint8)
    hindered &= state != far.DOUBTFUL
    state[hindered] = np.where(found.inside[hindered] != far.PERHAPS, far.MEETS, far.DOUBTFUL)
    return found._replace(state=state)


def _error_models(hours: Hours, rows: Iterable[Activation]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """What the circles of each device are said to hold, and the number of its model, by the only activation of its wearer."""
    percentile, model = np.full(len(hours.devices), 0.5), np.zeros(len(hours.devices), np.uint8)
    by_device = {row.device: row for row in rows}
    numbers = {key: number_of(device_model(*key)) for key in {(row.model, row.percentile) for row in by_device.values()}}
    for k, name in enumerate(hours.devices):
        row = by_device.get(name)
        if row is not None:
            percentile[k], model[k] = row.percentile, numbers[row.model, row.percentile]
    return percentile, model


def _boxes(hours: Hours, known: _Known) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The box of all fixes of each device, and whether it is known and nothing of the device is in doubt."""
    at = {name: k for k, name in enumerate(known.extents.devices)}
    where = np.array([at.get(name, -1) for name in hours.devices], np.int64)
    is_known = (where >= 0) & np.array([name not in known.doubted for name in hours.devices], np.bool_)
    return known.extents.box[where] if at else np.zeros((len(where), 4), np.int64), is_known
