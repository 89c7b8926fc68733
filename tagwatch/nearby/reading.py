"""The trails of those who have to be read, their verdicts by the kernels, and the matches of whom is to be shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from crime_match.batch.matcher import Matcher
from crime_match.match import Match
from crime_match.near import match_of
from crime_match.question import COVERED_US, Question
from crime_match.trails import Trails
from crime_match.verdicts import EXCLUDED, VERDICTS
from engine.activations import Activation, Activations
from engine.fixes import Fixes, concat
from engine.store.fixes import FixStore
from engine.store.telling_events import read_telling_of
from engine.times import DAY_US, HOUR_US, MINUTE_US
from tagwatch.matching import NO_PLAN, is_close, presence_about, trails_of
from tagwatch.nearby.about import fixes_about
from tagwatch.wearing import Wearing

_ASIDE_US = (5 * MINUTE_US, HOUR_US, 3650 * DAY_US)
"""Those with gaps up to so long are read together."""


class Reader:
    """Reads of one question what the answer about some wearers needs."""

    def __init__(
        self, store: FixStore, question: Question, activations: Activations | None, plan: Activation | None
    ) -> None:  # fmt: skip
        self._store, self._question, self._plan = store, question, plan
        self._activations = activations or Activations()
        self._wearing = Wearing(self._activations, plan or NO_PLAN)

    def whole(self, wearers: Collection[str]) -> Trails:
        """The trails of wearers as far as any answer depends on them: about the window, and the nearest beyond."""
        devices = self._wearing.devices_of(wearers)
        if not devices:
            return trails_of(Fixes.empty(), self._of(wearers), (), self._plan)
        fixes = fixes_about(self._store, [self._question], devices=devices)
        return trails_of(fixes, self._of(wearers), read_telling_of(self._store.connection, devices), self._plan)

    def narrow(self, devices: Mapping[str, str], longest_us: Mapping[str, int]) -> Trails:
        """The trails of wearers by these devices, from the fix before the window to the one after it: none of theirs is in
        doubt, and no two next to each other are farther apart than longest_us, so nothing farther off changes their match."""
        fixes = []
        for least_us, most_us in pairwise((-1, *_ASIDE_US)):
            some = [device for device in devices.values() if least_us < longest_us[device] <= most_us]
            if some:
                aside_us = max(longest_us[device] for device in some) + COVERED_US
                start_us, end_us = self._question.start_us, self._question.end_us
                fixes.append(self._store.read(devices=some, from_us=start_us - aside_us, to_us=end_us + aside_us))
        events = read_telling_of(self._store.connection, [*devices.values()])
        return trails_of(concat(fixes), self._of(devices), events, self._plan)

    def _of(self, wearers: Collection[str]) -> Activations | None:
        if not self._activations.rows:
            return None
        return Activations(row for row in self._activations.rows if row.wearer in wearers)


class Judged(NamedTuple):
    """Trails, and the verdict of each of their wearers."""

    trails: Trails
    matcher: Matcher
    verdicts: dict[str, str]


def judge(question: Question, trails: Trails) -> Judged:
    """The verdicts of all wearers of these trails."""
    matcher = Matcher(trails)
    answers = matcher.answer([question], "scan")
    verdicts = dict.fromkeys(trails.wearers, EXCLUDED)
    for wearer, verdict in zip(answers.wearer.tolist(), answers.verdict.tolist(), strict=True):
        verdicts[trails.wearers[wearer]] = VERDICTS[verdict]
    return Judged(trails, matcher, verdicts)


def matches_of(question: Question, judged: Judged, wearers: Sequence[str]) -> list[Match]:
    """The matches of some of those who were judged."""
    found = []
    number = {name: k for k, name in enumerate(judged.trails.wearers)}
    for name in wearers:
        k = number[name]
        match = match_of(question, judged.trails[k], presence_about, judged.matcher.tags[k])
        if match.verdict != judged.verdicts[name]:  # the same law by two ways: they never differ
            raise AssertionError(f"{name} is {match.verdict}, and {judged.verdicts[name]} by the kernels")
        found.append(match)
    return found


def comes_close(question: Question, trails: Trails, wearer: str) -> bool:
    """Whether the posterior of presence is told of some fix of the window, which depends on the fixes of hours before it."""
    fixes = trails.of(wearer).fixes
    inside = (fixes.time_us >= question.start_us) & (fixes.time_us <= question.end_us)
    return bool(is_close(fixes.take(inside), question.lat_e7, question.lon_e7, question.radius_m).any())
