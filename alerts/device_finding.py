"""One finding of a device rule, and the alert that it makes as of an instant."""

from __future__ import annotations

from typing import Any, NamedTuple

from alerts.alert import ALGORITHM, Alert, AlertFix, iso
from alerts.device_memory import Place
from alerts.device_scene import DeviceScene
from engine.fixes import ABSENT, SOURCE_NAMES
from engine.times import MINUTE_US

_ENDED = "; ended with the activation"
_NO_PLACE_ASKED = 0.0


class Finding(NamedTuple):
    """What a rule found: beginning and end [us] (None: it goes on), when it could first be said, and what to tell of it.

    `place` is the last fix before it; `shown` and `n_fixes` are the fixes that are the finding, where fixes are.
    `said` tells whether the tag or the arrival times say so; else it is inferred and no probability is stated. `apart_us`
    lies between what was joined and is no part of its minutes.
    """

    rule: str
    began_us: int
    ended_us: int | None
    decided_us: int
    text: str
    place: Place | None = None
    shown: tuple[Place, ...] = ()
    n_fixes: int = 0
    said: bool = True
    apart_us: int = 0
    more: dict[str, Any] = {}  # noqa: RUF012 - never written to


def alert_of(scene: DeviceScene, found: Finding) -> Alert:
    """The alert as of the scene's instant. After the activation nothing is expected: what is open ends with it."""
    over_us = scene.activation.to_us
    ended = found.ended_us
    cut = scene.as_of_us >= over_us and (ended is None or ended > over_us)
    if cut:
        ended = over_us
    until = scene.as_of_us if ended is None else ended
    shown = found.shown or ((found.place,) if found.place else ())
    return Alert(
        wearer=scene.wearer, device=scene.activation.device, rule=found.rule, subject=scene.activation.device,
        grade=scene.settings.grades[found.rule], condition="active" if ended is None else "cleared",
        began=iso(found.began_us), began_after=None, ended=None if ended is None else iso(ended),
        posterior=1.0 if found.said else 0.0, minutes=round(max(0, until - found.began_us - found.apart_us) / MINUTE_US, 3),
        n_fixes=found.n_fixes, fixes=[_listed(place) for place in shown],
        why={
            "text": found.text + _ENDED * cut, "decided_at": iso(found.decided_us), "algorithm": ALGORITHM, **found.more,
            "ended_with_activation": cut,
        },
    )  # fmt: skip


def _listed(place: Place) -> AlertFix:
    """A fix as alerts list it; no place is asked about, so `p` is zero."""
    accuracy = None if place.accuracy_cm == ABSENT else place.accuracy_cm / 100
    at = place.lat_e7 / 1e7, place.lon_e7 / 1e7
    return AlertFix(iso(place.time_us), *at, accuracy, SOURCE_NAMES[place.source], _NO_PLACE_ASKED)
