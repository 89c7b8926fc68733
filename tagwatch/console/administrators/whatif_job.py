"""What if a change had held for the last days: the stored fixes of its wearers, decided as it was and as it would have been."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from engine.activations import Activations
from engine.errors import InputError
from engine.store.fixes import FixStore
from engine.times import DAY_US
from tagwatch.configuration import load
from tagwatch.console.administrators.change import Change
from tagwatch.console.administrators.drafts import Draft
from tagwatch.console.administrators.preview import applied, whose
from tagwatch.console.caller import Caller
from tagwatch.console.jobs import Progress, Result
from tagwatch.console.office import Office
from tagwatch.monitor import Conditions
from tagwatch.whatif import record, what_if

DAYS = (1, 7, 14, 28)
MOST_WEARER_DAYS = 15_000
MOST_SHOWN = 200
_SHOWN = ("change", "wearer", "rule", "subject", "grade", "began", "ended", "minutes", "why", "changes")


class Found(NamedTuple):
    """What a what-if found: counts, the first differences without positions, and over what it was asked."""

    n_days: int
    n_wearers: int
    n_fixes: int
    n_before: int
    n_after: int
    counts: dict[str, int]
    differences: list[dict[str, Any]]


def work_of(office: Office, caller: Caller, draft: Draft, n_days: int) -> Callable[[Progress], Result]:
    """The job for a draft; its result is the draft's page, with what was found on it. InputError for too much at once."""
    wearers = whose(office, caller, draft.change)
    if n_days not in DAYS:
        raise InputError(field="days", value=n_days, expected=f"one of {', '.join(map(str, DAYS))}")
    if len(wearers) * n_days > MOST_WEARER_DAYS:
        most = MOST_WEARER_DAYS // max(1, len(wearers))
        raise InputError(
            f"of {len(wearers)} wearers are too many at once", field="days", value=n_days, expected=f"{most} days or fewer"
        )

    def work(progress: Progress) -> Result:
        draft.outcome = ask(office, caller, draft.change, wearers, n_days, progress)
        return Result(page=f"/configuration/drafts/{draft.id}#what-if", note=sentence(draft.outcome))

    return work


def ask(
    office: Office, caller: Caller, change: Change, wearers: Collection[str], n_days: int, progress: Progress
) -> Found:  # fmt: skip
    """Decide the last days twice. The change is taken to have held from their beginning on."""
    to_us = office.clock()
    from_us = to_us - n_days * DAY_US
    settings = office.settings
    progress(0.05, "Reads the conditions.")
    since = change._replace(from_us=from_us) if change.kind.versioned else change
    with office.database.reading() as connection:
        before = load(connection, settings.filter_settings, settings.default_plan)
    with applied(office, caller, since) as (connection, _, _):
        after = load(connection, settings.filter_settings, settings.default_plan)
    people = {*wearers, *(p.protected for side in (before, after) for p in side.proximities if p.wearer in wearers)}
    sides = [_only(side, wearers, people) for side in (before, after)]
    devices = sorted({row.device for side in sides for row in side.activations.rows if row.wearer in people})
    if not (before.activations.rows or after.activations.rows):
        devices = sorted(people)  # without activations every device is its own wearer
    progress(0.15, "Reads the stored fixes.")
    with office.database.reading() as connection:
        store = FixStore(connection)
        fixes = store.read(devices=devices, from_us=from_us, to_us=to_us)
        events = [e for e in store.read_events(to_us=to_us, devices=devices) if e.time_us >= from_us]
    progress(0.3, f"Decides {len(fixes):,} fixes of {len(wearers)} wearers, once as it was and once as it would have been.")
    outcome = what_if(fixes, sides[0], sides[1], to_us, events)
    told = [record(d, why) for d, why in outcome.differences if d.alert.wearer in wearers]
    told = [{name: row[name] for name in _SHOWN} for row in told]
    counts = Counter(row["change"] for row in told)
    n_before, n_after = (sum(a.wearer in wearers for a in side) for side in (outcome.before, outcome.after))
    return Found(n_days, len(wearers), len(fixes), n_before, n_after, dict(counts), told[:MOST_SHOWN])


def sentence(found: Found) -> str:
    """What was found, in one sentence."""
    counts = ", ".join(f"{found.counts.get(name, 0)} {name}" for name in ("added", "removed", "changed"))
    return (
        f"Over the last {found.n_days} days: {found.n_before} alerts as it was, {found.n_after} as it would be ({counts})."
    )


def _only(side: Conditions, wearers: Collection[str], people: Collection[str]) -> Conditions:
    """The conditions of some wearers alone."""
    rows = [row for row in side.activations.rows if row.wearer in people]
    rows = rows or list(side.activations.rows[:1])  # with none at all every device would be its own wearer
    return replace(
        side,
        zones=[zone for zone in side.zones if any(zone.concerns(wearer) for wearer in wearers)],
        curfews=_of(side.curfews, wearers), proximities=_of(side.proximities, wearers),
        activations=Activations(rows),
    )  # fmt: skip


def _of(conditions: Sequence[Any], wearers: Collection[str]) -> list[Any]:
    return [one for one in conditions if one.wearer in wearers]
