"""No contact: nothing received for longer than the device's plan allows. Arrival times only, and any message counts.

It begins with the last contact, is raised when the time allowed has passed, and the next contact clears it. Positions that
come late fill the trail; they do not undo it. Silences less than the merge gap apart are one finding, lest a device at the
edge of coverage raise one every quarter of an hour. What the broker says of a lost connection is told, but is no contact and
no finding of its own: phones change networks many times a day.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.alert import iso
from alerts.device_finding import Finding
from alerts.device_memory import Contact, Gap, Place
from alerts.device_scene import DeviceScene, Past
from engine.times import SECOND_US

NOT_FROM_THE_DEVICE = frozenset(("disconnected",))
_UNKNOWN_US = -(2**61)
_NEVER_US = 2**62


def contact(past: Past) -> Contact:
    """What is known of the device's contacts after the scene, with every silence that was too long."""
    before, scene = past.before.contact, past.scene
    silence_us = scene.activation.silence_us
    told = [e.received_s * SECOND_US for e in scene.events if e.kind not in NOT_FROM_THE_DEVICE]
    lost = [e.received_s * SECOND_US for e in scene.events if e.kind in NOT_FROM_THE_DEVICE]
    received = scene.rows.received_s
    base_us = _base_us(scene) if before.base_us is None else before.base_us
    if base_us is None:
        return before._replace(lost_us=_lost(before.lost_us, lost, -(2**62)))
    last_us = base_us if before.last_us is None else before.last_us
    gaps: tuple[Gap, ...] = before.gaps
    newest_us = None if gaps else _unbroken_to_us(received, told, last_us, silence_us)
    if newest_us is None:
        at_us = _contacts(received, told, base_us)
        gaps = tuple(_gaps(past, last_us, at_us, silence_us))
        newest_us = max(last_us, int(at_us[-1])) if len(at_us) else last_us
    return Contact(base_us, newest_us, gaps, _lost(before.lost_us, lost, gaps[0].began_us if gaps else newest_us))


def contact_findings(scene: DeviceScene, known: Contact, place: Place | None, due: list[int]) -> Iterable[Finding]:
    """The silences as of the scene's instant, those less than the merge gap apart as one; `place` is the newest fix known.

    When the next would speak, or one is over, goes into `due`.
    """
    if known.last_us is None:
        return
    as_of, over_us, silence_us = scene.as_of_us, scene.activation.to_us, scene.activation.silence_us
    spoken: list[Gap] = []
    for gap in (*known.gaps, Gap(known.last_us, _NEVER_US, place)):
        ended = min(gap.ended_us, over_us)
        if ended - gap.began_us <= silence_us:
            continue
        due += (gap.began_us + silence_us + 1, ended)
        if as_of > gap.began_us + silence_us:
            spoken.append(gap._replace(ended_us=ended))
    for group in _chains(spoken, scene.settings.merge_gap_us):
        yield _finding(scene, known, group)


def trimmed(known: Contact, since_us: int, gap_us: int) -> Contact:
    """Without the silences that ended before an instant, but with those to which a later one is or may be joined."""
    if known.last_us is None:
        return known
    gaps, joins_us = list(known.gaps), known.last_us
    kept: list[Gap] = []
    while gaps and (gaps[-1].ended_us >= since_us or joins_us - gaps[-1].ended_us < gap_us):
        kept.append(gaps.pop())
        joins_us = kept[-1].began_us
    from_us = kept[-1].began_us if kept else known.last_us
    return known._replace(gaps=tuple(reversed(kept)), lost_us=_lost(known.lost_us, (), from_us))


def _chains(gaps: Iterable[Gap], gap_us: int) -> list[list[Gap]]:
    """Silences in groups: less than the merge gap lies between two of a group."""
    groups: list[list[Gap]] = []
    for gap in gaps:
        if groups and gap.began_us - groups[-1][-1].ended_us < gap_us:
            groups[-1].append(gap)
        else:
            groups.append([gap])
    return groups


def _finding(scene: DeviceScene, known: Contact, group: list[Gap]) -> Finding:
    began, last, silence_us = group[0].began_us, group[-1], scene.activation.silence_us
    ended = last.ended_us if last.ended_us <= scene.as_of_us else None
    k = bisect_right(known.lost_us, last.began_us)
    lost = (
        known.lost_us[k] if k < len(known.lost_us) and known.lost_us[k] < min(last.ended_us, scene.as_of_us + 1) else None
    )
    return Finding(
        "tag.no_contact", began, ended, began + silence_us, _text(scene, began, silence_us, lost), group[0].place,
        apart_us=sum(two.began_us - one.ended_us for one, two in pairwise(group)),
        more={"limit_minutes": silence_us / (60 * SECOND_US), "connection_lost": None if lost is None else iso(lost),
              "n_joined": len(group)},
    )  # fmt: skip


def _base_us(scene: DeviceScene) -> int | None:
    """From when on contact is expected: the activation's start, else the arrival of what the device took first."""
    if scene.activation.from_us > _UNKNOWN_US:
        return scene.activation.from_us
    first = [(int(scene.rows.time_us[0]), int(scene.rows.received_s[0]))] if len(scene.rows.time_us) else []
    first += [(e.time_us, e.received_s) for e in scene.events if e.kind not in NOT_FROM_THE_DEVICE][:1]
    return min(first)[1] * SECOND_US if first else None


def _unbroken_to_us(received_s: NDArray[Any], told_us: list[int], last_us: int, silence_us: int) -> int | None:
    """The last contact, where no silence can lie before it: no step in the order of the fixes is long. Else None."""
    reach_us, silence_s = last_us, silence_us // SECOND_US
    if len(received_s):
        steps = np.diff(received_s)
        if len(steps) and (int(steps.max()) > silence_s or int(steps.min()) < -silence_s):
            return None
        if int(received_s.min()) * SECOND_US - last_us > silence_us:
            return None
        reach_us = max(last_us, int(received_s.max()) * SECOND_US)
    for at_us in sorted(told_us):
        if at_us - reach_us > silence_us:
            return None
        reach_us = max(reach_us, at_us)
    return reach_us


def _contacts(received_s: NDArray[Any], told_us: list[int], base_us: int) -> NDArray[Any]:
    """All instants of contact [us] from when contact is expected, in order."""
    at_us = np.concatenate([received_s * SECOND_US, np.array(told_us, np.int64)])
    at_us.sort(kind="stable")  # fast where most are in order
    return at_us[np.searchsorted(at_us, base_us) :]


def _gaps(past: Past, last_us: int, at_us: NDArray[Any], silence_us: int) -> Iterable[Gap]:
    """The silences known before, cut by these contacts, and those after the last contact known before."""
    earliest_us = _earliest_after_us(past)
    for gap in past.before.contact.gaps:
        inner = at_us[np.searchsorted(at_us, gap.began_us, side="right") : np.searchsorted(at_us, gap.ended_us)].tolist()
        for began, ended in pairwise([gap.began_us, *inner, gap.ended_us]):
            if ended - began > silence_us:
                yield Gap(began, ended, _known_at(past, earliest_us, began, gap.place))
    later = np.concatenate([[last_us], at_us[np.searchsorted(at_us, last_us, side="right") :]])
    for k in np.flatnonzero(np.diff(later) > silence_us).tolist():
        began = int(later[k])
        yield Gap(began, int(later[k + 1]), _known_at(past, earliest_us, began, past.before.position.last))


def _earliest_after_us(past: Past) -> NDArray[Any]:
    """For each fix with weight the earliest arrival of it and those after it [us], shape (m,)."""
    received = past.rows.received_s[: past.n] if past.weighty is None else past.rows.received_s[past.weighty]
    return np.minimum.accumulate(received[::-1])[::-1] * SECOND_US


def _known_at(past: Past, earliest_us: NDArray[Any], time_us: int, before: Place | None) -> Place | None:
    """The newest fix with weight that had been received by an instant; `before` where none of the scene's had."""
    k = int(np.searchsorted(earliest_us, time_us, side="right"))
    return past.weighty_place(k - 1) if k else before


def _lost(before_us: tuple[int, ...], more_us: Iterable[int], from_us: int) -> tuple[int, ...]:
    return tuple(sorted({at for at in (*before_us, *more_us) if at > from_us})) if before_us or more_us else ()


def _text(scene: DeviceScene, began_us: int, silence_us: int, lost_us: int | None) -> str:
    first = began_us == scene.activation.from_us
    text = f"Nothing was received from the device for more than {silence_us / (60 * SECOND_US):.0f} minutes"
    text += " after the activation began" if first else ""
    return text if lost_us is None else f"{text}; the broker lost its connection at {iso(lost_us)}"
