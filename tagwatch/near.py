"""Who was near a place: from files, or from the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

from psycopg.pq import TransactionStatus

from crime_match.match import Match
from crime_match.near import near, rank
from crime_match.question import Question
from crime_match.verdicts import EXCLUDED, PLACED, UNMONITORED, VERDICTS
from engine.activations import Activation, Activations
from engine.database import Connection
from engine.events import DeviceEvent
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.store.gate import one_instant
from tagwatch.matching import NO_PLAN, beside_all, presence_about, trails_of
from tagwatch.nearby.about import fixes_about
from tagwatch.nearby.memory import HourMemory
from tagwatch.nearby.reading import Judged, Reader, comes_close, judge, matches_of
from tagwatch.nearby.settled import Settled, settle

SUPPORTS = ("strong", "weak", "cell")


class Found(NamedTuple):
    """The matches of the verdicts that were asked for, in order; of all wearers how many have each verdict, and how many of
    the placed ones which support."""

    matches: list[Match]
    counts: Mapping[str, int]
    supports: Mapping[str, int]


def near_from(
    fixes: Fixes, question: Question, activations: Activations | None = None, events: Sequence[DeviceEvent] = (),
    plan: Activation | None = None, *, compatible: bool = False,
) -> list[Match]:  # fmt: skip
    """The matches of all wearers that these fixes and activations know of; `compatible`: the ministry's answer beside."""
    trails = trails_of(fixes, activations, events, plan)
    found = near(question, trails, presence_about)
    return beside_all(question, trails, found) if compatible else found


def near_in_database(
    connection: Connection, question: Question, activations: Activations | None = None, plan: Activation | None = None,
    *, only: Collection[str] | None = None, compatible: bool = False, wearers: Collection[str] | None = None,
    memory: HourMemory | None = None,
) -> Found:  # fmt: skip
    """Who was near, of all wearers or of these, from the fixes in the database; `only`: the verdicts whose matches are told;
    `memory`: of a process that answers many questions.

    Where the matches of the excluded are not asked for, the hourly summaries rule most wearers out, and only the others are
    read; else everybody is. Both ways give the same answer.
    """
    with _one_instant(connection):
        if only is None or EXCLUDED in only:
            found = found_of(_of_everybody(connection, question, activations, plan, compatible, wearers))
            return found if only is None else found._replace(matches=[m for m in found.matches if m.verdict in only])
        settled = settle(connection, question, _rows(connection, activations, plan, wearers), wearers, memory)
        return _of_few(question, settled, Reader(FixStore(connection), question, activations, plan), only, compatible)


def found_of(matches: list[Match]) -> Found:
    """All wearers' matches, counted."""
    told = Counter(match.verdict for match in matches)
    return Found(matches, {verdict: told[verdict] for verdict in VERDICTS}, _supports(matches))


def _of_everybody(
    connection: Connection, question: Question, activations: Activations | None, plan: Activation | None, compatible: bool,
    wearers: Collection[str] | None,
) -> list[Match]:  # fmt: skip
    """Everybody's fixes about the window are read: those of a margin, and the nearest on both sides."""
    store = FixStore(connection)
    if wearers is None:
        fixes, events = fixes_about(store, [question]), store.read_events()
        return near_from(fixes, question, activations, events, plan, compatible=compatible)
    trails = Reader(store, question, activations, plan).whole(set(wearers))
    found = near(question, trails, presence_about)
    return beside_all(question, trails, found) if compatible else found


def _of_few(question: Question, settled: Settled, reader: Reader, only: Collection[str], compatible: bool) -> Found:
    """Whom the summaries settle is counted; the others are read in full."""
    if UNMONITORED in only:  # their matches tell of fixes that nobody has read
        unread = [name for name, verdict in settled.verdicts.items() if verdict == UNMONITORED]
        certain = {name: verdict for name, verdict in settled.verdicts.items() if verdict != UNMONITORED}
        settled = settled._replace(verdicts=certain, others=[*settled.others, *unread])
    whole = judge(question, reader.whole(set(settled.others)))
    told = Counter([*settled.verdicts.values(), *whole.verdicts.values()])
    matches = _shown(question, reader, settled, whole, {*only, PLACED}, compatible)
    shown = sorted((match for match in matches if match.verdict in only), key=rank)
    return Found(shown, {verdict: told[verdict] for verdict in VERDICTS}, _supports(matches))


def _shown(
    question: Question, reader: Reader, settled: Settled, whole: Judged, shown: Collection[str], compatible: bool
) -> list[Match]:
    """The matches of these verdicts. Who comes close is read in full for that: the posterior starts hours before."""
    named = {name: device for name, device in settled.devices.items() if settled.verdicts.get(name) in shown}
    narrow = judge(question, reader.narrow(named, settled.longest_us)) if named else None
    parts = [(whole, [name for name, verdict in whole.verdicts.items() if verdict in shown])]
    if narrow:
        close = {name for name in named if comes_close(question, narrow.trails, name)}
        parts.append((narrow, [name for name in named if name not in close]))
        if close:
            parts.append((judge(question, reader.whole(close)), sorted(close)))
    found = []
    for part, names in parts:
        matches = matches_of(question, part, names)
        found += beside_all(question, part.trails, matches) if compatible else matches
    for match in found:
        if settled.verdicts.get(match.wearer, match.verdict) != match.verdict:  # one law by two ways: they never differ
            raise AssertionError(
                f"{match.wearer} is {match.verdict}, and {settled.verdicts[match.wearer]} by the summaries"
            )
    return found


def _rows(
    connection: Connection, activations: Activations | None, plan: Activation | None, wearers: Collection[str] | None
) -> Sequence[Activation]:
    """The activations; where there are none, each device is worn by a wearer of its name."""
    if activations and activations.rows:
        return activations.rows
    names = FixStore(connection).devices() if wearers is None else sorted(wearers)
    return [(plan or NO_PLAN)._replace(device=name, wearer=name) for name in names]


def _supports(matches: Sequence[Match]) -> dict[str, int]:
    told = Counter(match.support for match in matches)
    return {support: told[support] for support in SUPPORTS}


def _one_instant(connection: Connection) -> AbstractContextManager[None]:
    """Within this all that is read is of one instant, where a transaction may begin with it."""
    is_free = connection.info.transaction_status == TransactionStatus.IDLE
    return one_instant(connection) if is_free else nullcontext()


__all__ = ["Found", "Settled", "fixes_about", "found_of", "near_from", "near_in_database"]
