"""The device findings of one activation as of an instant: what the tag, its fixes and their arrival say of its own state.

One pass makes a memory of everything so far, and the findings are read from it: so a memory of the past and the rest give
the same as the whole. Battery, position and tamper go by the times of fixes and events, contact and clock by arrival.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts import contact_rules, doubt_rules, spans
from alerts.alert import Alert
from alerts.battery_rules import battery, battery_findings
from alerts.contact_rules import contact, contact_findings
from alerts.device_finding import alert_of
from alerts.device_memory import Battery, DeviceMemory
from alerts.device_scene import DeviceScene, DeviceSettings, Past, Rows
from alerts.doubt_rules import doubt_findings, implausible, wrong_clock
from alerts.position_rules import leading_satellites, packed, position, position_findings
from alerts.tamper_rules import tamper_findings, tampering
from engine import flags
from engine.times import SECOND_US
from engine.trail import CLOCK_TOLERANCE_US

_MATTERS = flags.IMPLAUSIBLE | flags.CONTRADICTORY | flags.CLOCK_WRONG
_LASTING = frozenset(("tag.strap", "tag.case"))


def device_alerts(scene: DeviceScene, due: list[int]) -> list[Alert]:
    """The alerts of one activation as of the scene's instant: the active ones and those that ended at `since_us` or later.

    Instants at which they may change without new data are put into `due`. A pure function of the set of rows and events
    with their earliest arrivals, the activation, the settings and the instant.
    """
    worn, as_of = scene.activation, scene.as_of_us
    if as_of <= worn.from_us:
        due.append(worn.from_us + 1)
        return []
    known = _known(Past(scene))
    found = list(chain(
        tamper_findings("tag.strap", known.strap), tamper_findings("tag.case", known.case),
        battery_findings(known.battery, scene.settings), contact_findings(scene, known.contact, known.position.last, due),
        position_findings(scene, known.position), doubt_findings(scene, known.implausible, known.clock, due),
    ))  # fmt: skip
    wanted = [f for f in found if f.ended_us is None or min(f.ended_us, worn.to_us) >= scene.since_us]
    if wanted:
        due.append(worn.to_us)
    alerts = [alert_of(scene, each) for each in wanted]
    alerts.sort(key=lambda a: a.sort_key)
    return alerts


def remember(scene: DeviceScene) -> DeviceMemory:
    """What has to be kept so that the scene's rows and events can be let go.

    Alerts that end at `since_us` or later come out the same from this and what follows as from the whole, where the cut is
    a time (no row or event of the rest is dated at or before any of the scene's), what was let go is dated and was received
    by `as_of_us`, later scenes want nothing from before `since_us`, and `follows` holds of the rest.
    """
    past = Past(scene)
    known = _known(past)
    gap_us, since = scene.settings.merge_gap_us, scene.since_us
    last = known.position.last
    open_to_us = (last.time_us if last else scene.activation.from_us) - gap_us
    satellites = packed(leading_satellites(past, len(past.times) - 1))
    spot = known.position._replace(
        satellites=satellites, no_fix=spans.kept(known.position.no_fix, since, open_to_us),
        jamming=spans.kept(known.position.jamming, since, open_to_us),
        faults=spans.kept(known.position.faults, since, open_to_us),
    )  # fmt: skip
    return DeviceMemory(
        known.strap, known.case, _kept_battery(known.battery, since, open_to_us, gap_us),
        contact_rules.trimmed(known.contact, since, gap_us), spot,
        doubt_rules.kept(known.implausible, min(since, open_to_us), gap_us), doubt_rules.kept(known.clock, since, gap_us),
    )  # fmt: skip


def follows(since_us: int, rest: Rows, settings: DeviceSettings | None = None) -> bool:
    """Whether a memory that was made with this `since_us` can be gone on from with these rows.

    It cannot where a fix with a wrong clock arrived long before: its group may have been let go. Then read all of it again.
    """
    wrong = rest.received_s[(rest.flags & flags.CLOCK_WRONG) != 0]
    gap_us = (settings or DeviceSettings()).merge_gap_us
    return not len(wrong) or int(wrong.min()) * SECOND_US >= since_us - gap_us


def unsettled(alerts: Iterable[Alert]) -> bool:
    """Whether a further fix without any doubt may change one of these: those that are active or that only the activation's
    end has ended, but for tampers."""
    return any(
        alert.rule.startswith("tag.") and alert.rule not in _LASTING
        and (alert.active or alert.why.get("ended_with_activation"))
        for alert in alerts
    )  # fmt: skip


def may_move(
    time_us: NDArray[Any], received_s: NDArray[Any], bits: NDArray[Any], battery_pct: NDArray[Any],
    newest_us: NDArray[Any], heard_s: NDArray[Any], silence_s: NDArray[Any], open_: NDArray[Any], low_pct: int = 20,
) -> NDArray[np.bool_]:  # fmt: skip
    """Which of these new fixes may change any device finding but for the length of those that go on; all of shape (n,).

    newest_us, heard_s: of each fix's activation the newest fix time and the last contact before the batch (very early where
    there was none); silence_s its time allowed; open_ what `unsettled` said of its alerts. A fix moves nothing where it is
    newer than all, came in order and in time, carries no flag that matters, and its battery is well (absent is well).
    """
    # the flags of a batch may not be known yet: what makes a wrong clock can be seen here
    ahead = time_us > received_s * SECOND_US + CLOCK_TOLERANCE_US
    out_of_order = (time_us <= newest_us) | (received_s < heard_s)
    low = battery_pct.astype(np.int32, copy=False).view(np.uint32) <= low_pct
    moves: NDArray[np.bool_] = (
        open_ | ahead | out_of_order | low | ((bits & _MATTERS) != 0) | (received_s - heard_s > silence_s)
    )
    return moves


def _known(past: Past) -> DeviceMemory:
    """The memory of everything up to the scene's end, with nothing left out."""
    before = past.before
    charge, other_offs = battery(past)
    events = past.events
    return DeviceMemory(
        tampering(past, "tag.strap", before.strap) if events else before.strap,
        tampering(past, "tag.case", before.case) if events else before.case,
        charge, contact(past), position(past, other_offs), implausible(past), wrong_clock(past),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _calm(level: int, row_level: int, peak: int) -> Battery:
    """One object for all that are alike; when it was last read matters to a low battery only."""
    return Battery(level, row_level, peak=peak)


def _kept_battery(known: Battery, since_us: int, open_to_us: int, gap_us: int) -> Battery:
    """Without the spans that are over; one of not charging may go on from where the present low began."""
    if not (known.low or known.critical or known.dead or known.no_charge):
        return _calm(known.level, known.row_level, known.peak)
    low_us = known.low[-1].last_us - gap_us if spans.is_open(known.low) else open_to_us
    return known._replace(
        low=spans.kept(known.low, since_us, open_to_us), critical=spans.kept(known.critical, since_us, open_to_us),
        dead=spans.kept(known.dead, since_us, open_to_us),
        no_charge=spans.kept(known.no_charge, since_us, min(open_to_us, low_us)),
    )  # fmt: skip
