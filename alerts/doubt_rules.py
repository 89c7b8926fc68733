"""Implausible movement and wrong clocks: fixes that carry a flag, grouped where less than the merge gap lies between.

Implausible groups go by the time of the fix; a fix that another of the same instant contradicts beyond both errors counts
too. Clock groups go by arrival, since the time of the fix is what is wrong. A group is active while a further fix would
still join it. That fix times go back while `seq` counts up cannot be seen here: no `seq` is stored with a fix.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.alert import MOST_FIXES
from alerts.device_finding import Finding
from alerts.device_memory import Cluster, Place
from alerts.device_scene import DeviceScene, Past
from engine import flags
from engine.times import SECOND_US

JUMPS = flags.IMPLAUSIBLE | flags.CONTRADICTORY


def implausible(past: Past) -> tuple[Cluster, ...]:
    """The groups of fixes that no plausible path joins, after the scene."""
    before = past.before.implausible
    if not past.bits & JUMPS:
        return before
    rows = np.flatnonzero(past.rows.flags[: past.n] & JUMPS)
    return _joined(past, before, rows, past.rows.time_us[rows])


def wrong_clock(past: Past) -> tuple[Cluster, ...]:
    """The groups of fixes dated more than five minutes after their arrival, after the scene; keys are arrivals."""
    before = past.before.clock
    if not past.bits & flags.CLOCK_WRONG:
        return before
    received_us = past.rows.received_s * SECOND_US
    found = ((past.rows.flags & flags.CLOCK_WRONG) != 0) & (received_us <= past.scene.as_of_us)
    rows = np.flatnonzero(found)
    rows = rows[np.argsort(received_us[rows], kind="stable")]
    return _joined(past, before, rows, received_us[rows])


def doubt_findings(
    scene: DeviceScene, jumps: Iterable[Cluster], clock: Iterable[Cluster], due: list[int]
) -> Iterable[Finding]:
    """The findings of both rules; when a group is over goes into `due`."""
    for rule, groups, text in (
        ("tag.implausible", jumps, "No plausible path joins {n} with the others"),
        ("tag.clock", clock, "{n} dated more than five minutes after arrival: the clock is wrong"),
    ):
        for group in groups:
            to_us = scene.activation.to_us
            first_us, last_us = min(group.first_us, to_us), min(group.last_us, to_us)
            over_us = min(group.last_us + scene.settings.merge_gap_us, to_us)
            due.append(over_us)
            count = "1 fix" if group.n == 1 else f"{group.n} fixes"
            yield Finding(
                rule, first_us, last_us if over_us <= scene.as_of_us else None, first_us, text.format(n=count),
                shown=tuple(place for _, place in group.shown), n_fixes=group.n,
            )  # fmt: skip


def kept(groups: Iterable[Cluster], since_us: int, gap_us: int) -> tuple[Cluster, ...]:
    """The groups that ended at `since_us` or later, or to which one of those may still be joined."""
    return tuple(group for group in groups if group.last_us >= since_us - 2 * gap_us)


def _joined(past: Past, before: tuple[Cluster, ...], rows: NDArray[Any], keys: NDArray[Any]) -> tuple[Cluster, ...]:
    """Those known before together with these rows, whose keys [us] are in order."""
    if not len(rows):
        return before
    gap_us = past.scene.settings.merge_gap_us
    edges = np.flatnonzero(np.diff(keys) >= gap_us) + 1
    new = [
        Cluster(int(of[0]), int(of[-1]), len(of), _shown(past, some, of))
        for some, of in zip(np.split(rows, edges), np.split(keys, edges), strict=True)
    ]
    found: list[Cluster] = []
    for group in sorted((*before, *new), key=lambda c: (c.first_us, c.last_us)):
        if found and group.first_us - found[-1].last_us < gap_us:
            found[-1] = _united(found[-1], group)
        else:
            found.append(group)
    return tuple(found)


def _shown(past: Past, rows: NDArray[Any], keys: NDArray[Any]) -> tuple[tuple[int, Place], ...]:
    """The first and the last of these fixes, MOST_FIXES together."""
    few = rows if len(rows) <= MOST_FIXES else np.append(rows[: MOST_FIXES - 1], rows[-1])
    of = keys if len(rows) <= MOST_FIXES else np.append(keys[: MOST_FIXES - 1], keys[-1])
    return tuple((key, past.rows.place(row)) for row, key in zip(few.tolist(), of.tolist(), strict=True))


def _united(one: Cluster, two: Cluster) -> Cluster:
    shown = sorted((*one.shown, *two.shown), key=lambda each: (each[0], each[1].time_us))
    few = shown if len(shown) <= MOST_FIXES else [*shown[: MOST_FIXES - 1], shown[-1]]
    return Cluster(min(one.first_us, two.first_us), max(one.last_us, two.last_us), one.n + two.n, tuple(few))
