"""Links: crimes of a batch that share a wearer, by pairs and by groups, with what chance would make them share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from crime_match.strength.placements import n_bits
from crime_match.strength.survey import Crimes, Survey


def pairs(found: Survey, crimes: Crimes, wearers: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Each pair of crimes at which a wearer is placed both times, in the order of their windows: crimes, wearers, whether they
    are one event, and `expected`: how many wearers chance would place at both events (None within one).

    That number is the sum over all wearers of the product of their shares of the two events' days.
    """
    by_wearer = _crimes_of(found)
    shared: dict[tuple[int, int], list[int]] = {}
    for wearer in sorted(by_wearer):
        for both in combinations(by_wearer[wearer], 2):
            shared.setdefault(both, []).append(wearer)
    place = {k: place for place, k in enumerate(_in_order(found))}
    event_of = {k: number for number, event in enumerate(found.events) for k in event}
    shares = _shares(found)
    for one, two in sorted(shared, key=lambda both: (place[both[0]], place[both[1]])):
        first, second = event_of[one], event_of[two]
        yield {
            "crimes": [crimes[one][0], crimes[two][0]], "wearers": [wearers[w] for w in shared[one, two]],
            "same_event": first == second,
            "expected": None if first == second else _both(shares.get(first, {}), shares.get(second, {})),
        }  # fmt: skip


def groups(found: Survey, crimes: Crimes, wearers: Sequence[str]) -> list[dict[str, Any]]:
    """Sets of crimes that hang together by wearers placed at two or more of them: crimes in the order of their windows, and
    these wearers; the largest first."""
    several = {w: own for w, own in _crimes_of(found).items() if len(own) > 1}
    root: dict[int, int] = {}
    for own in several.values():
        joined = {_root(root, k) for k in own}
        for k in joined:
            root[k] = min(joined)
    members: dict[int, list[int]] = {}
    for k in _in_order(found):
        if k in root or any(k == top for top in root.values()):
            members.setdefault(_root(root, k), []).append(k)
    named: dict[int, list[str]] = {}
    for w in sorted(several):
        named.setdefault(_root(root, several[w][0]), []).append(wearers[w])
    records = [{"crimes": [crimes[k][0] for k in own], "wearers": named[top]} for top, own in members.items()]
    return sorted(records, key=lambda group: -len(group["crimes"]))


def _in_order(found: Survey) -> list[int]:
    """The numbers of the crimes, event after event."""
    return [k for event in found.events for k in event]


def _crimes_of(found: Survey) -> dict[int, list[int]]:
    """The crimes at which each wearer is placed, event after event."""
    by_wearer: dict[int, list[int]] = {}
    for k in _in_order(found):
        for w in found.placed[k].tolist():
            by_wearer.setdefault(w, []).append(k)
    return by_wearer


def _root(root: dict[int, int], k: int) -> int:
    while root.setdefault(k, k) != k:
        k = root[k]
    return k


def _shares(found: Survey) -> dict[int, dict[int, float]]:
    """For each event the share of days that place each wearer."""
    shares: dict[int, dict[int, float]] = {}
    each = (n_bits(found.rows.placed) / n_bits(found.rows.monitored)).tolist()
    for event, wearer, share in zip(found.rows.event.tolist(), found.rows.wearer.tolist(), each, strict=True):
        shares.setdefault(event, {})[wearer] = share
    return shares


def _both(one: dict[int, float], two: dict[int, float]) -> float:
    return round(sum(share * two[w] for w, share in sorted(one.items()) if w in two), 6)
