"""What a recorded run of the database says of one crime and one wearer, with all that it was computed from."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from crime_match.crimes.store import Version, history
from crime_match.evidence.case import Stale
from crime_match.question import Parameters
from crime_match.runs import staleness
from crime_match.runs.run import Run
from crime_match.runs.store import lines_about, makings, placed_at
from crime_match.trails import Trails
from engine.activations import Activations
from engine.database import Connection
from engine.errors import InputError
from engine.store.fixes import FixStore
from engine.times import SECOND_US
from geofence.store import current
from tagwatch import configuration
from tagwatch.cases import Matched, others_of
from tagwatch.evidence import parameters_in
from tagwatch.matching import trails_of
from tagwatch.settings import Settings
from tagwatch.wearing import Wearing


class Recorded(NamedTuple):
    """A match as it was recorded, the trail it was computed from, its parameters, and the versions of the configuration."""

    matched: Matched
    trails: Trails
    parameters: Parameters
    configuration: dict[str, str]


def recorded(
    connection: Connection, settings: Settings, reference: str, force: str | None, wearer: str, run: str | None
) -> Recorded:
    """The last run that tells of both, or the one whose id begins so. InputError where none does, or several crimes have that
    reference."""
    wanted = staleness.run(connection, run).id if run else None
    lines = lines_about(connection, reference, wearer, force, wanted)
    if not lines:
        _require_crime(connection, reference, force)
        where = f"of run {run}" if run else "of a recorded run"
        listed = f"a line {where} about {reference} and {wearer} (`match --only` keeps the others as counts)"
        raise InputError(field="--wearer", value=wearer, expected=listed)
    if len({line.force for line in lines}) > 1:
        forces = ", ".join(sorted({line.force for line in lines}))
        raise InputError(
            "several forces have that reference", field="--crime", value=reference, expected=f"--force: {forces}"
        )
    line = lines[0]
    kept = staleness.run(connection, line.run)
    about = next(
        one for one in staleness.run_crimes(connection, line.run) if (one.force, one.reference) == (line.force, reference)
    )
    versions = {version.version: version for version in history(connection, reference, line.force)}
    placed = placed_at(connection, line.run, line.force, reference)
    matched = Matched(
        Run(kept.algorithm, kept.parameters, kept.inputs), versions[about.version].crime, msgspec.json.decode(line.line),
        about.counts, others_of([msgspec.json.decode(text) for name, text in placed if name != wearer]),
        _stale(versions[about.version], versions[about.latest]) if about.stale else None,
    )  # fmt: skip
    made = makings(connection, line.run)
    trails = _trails(connection, settings, wearer, made[0].made_us if made else None)
    return Recorded(matched, trails, parameters_in(kept.parameters), _versions(connection, wearer))


def _require_crime(connection: Connection, reference: str, force: str | None) -> None:
    """InputError where no stored crime has that reference, or none of that force."""
    forces = sorted({version.crime.force for version in history(connection, reference)})
    if not forces:
        raise InputError(
            field="--crime", value=reference, expected="the reference of a stored crime, as `crimes list` shows them"
        )
    if force is not None and force not in forces:
        raise InputError(
            field="--force", value=force, expected=f"one of the forces that have a crime {reference}: {', '.join(forces)}"
        )


def _trails(connection: Connection, settings: Settings, wearer: str, made_us: int | None) -> Trails:
    """The trail of a wearer, of what had arrived when the run was made."""
    conditions = configuration.load(connection, settings.filter_settings, settings.default_plan)
    rows = conditions.activations.rows
    devices = Wearing(conditions.activations, settings.default_plan).devices_of([wearer])
    store, until_s = FixStore(connection), made_us // SECOND_US if made_us is not None else 2**62
    fixes = store.read(devices=devices)
    fixes = fixes.take(fixes.received_s <= until_s)
    events = [event for event in store.read_events(devices=devices) if event.received_s <= until_s]
    mine = Activations(row for row in rows if row.wearer == wearer)
    trails = trails_of(fixes, mine if rows else None, events, settings.default_plan)
    if wearer not in trails.wearers:
        raise InputError(
            field="--wearer", value=wearer, expected="a wearer of whom the database holds fixes or an activation"
        )
    return trails


def _versions(connection: Connection, wearer: str) -> dict[str, str]:
    """The versions of the wearer's record and activations, by name, as they are now."""
    found = {}
    for kind in ("wearer", "activation"):
        for name, (version, content) in sorted(current(connection, kind).items()):
            if name == wearer or content.get("wearer") == wearer:
                found[f"{kind} {name}"] = str(version)
    return found


def _stale(used: Version, latest: Version) -> Stale:
    before, now = used.crime.record(), latest.crime.record()
    changes = [(name, str(before[name]), str(now[name])) for name in before if before[name] != now[name]]
    return Stale(used.version, latest.version, changes)
