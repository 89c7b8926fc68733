"""Everything held for a case: the crime in every version, every run with every verdict, positions, alerts, packs, who looked;
and a schedule that says of each item whether it was used. Wearers are told by identifier unless names are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, NamedTuple

from crime_match.crimes.store import history
from engine.database import Connection
from engine.errors import InputError
from engine.store.fixes import FixStore
from engine.times import HOUR_US, to_iso
from geofence.holdings import activation_rows, names
from geofence.schedule import merged
from tagwatch.disclosure import looks, positions, schedule
from tagwatch.disclosure.alert_files import write_alerts
from tagwatch.disclosure.case_crime import write_crime
from tagwatch.disclosure.case_runs import InRuns, write_runs
from tagwatch.disclosure.container import Container
from tagwatch.disclosure.kept import kept_for
from tagwatch.disclosure.others import Others
from tagwatch.disclosure.packs import packs_built, told
from tagwatch.disclosure.readme import readme
from tagwatch.disclosure.schedule import Schedule
from tagwatch.disclosure.worn import Worn

MARGIN_US = 6 * HOUR_US
"""So far on both sides of the padded windows positions are taken: what bounds a verdict lies mostly within."""
_WEARERS = {
    "number": "number in this file", "wearer": "identifier", "devices": "tags that were matched",
    "verdicts": "in which run what", "positions": "file with the positions about the window", "n_positions": "how many",
}  # fmt: skip
_ACTIVATIONS = {
    "id": "device and start", "wearer": "on whom", "device": "which tag", "from": "from when (UTC)", "to": "until when (UTC)",
    "since": "when this was read (UTC)", "replaced": "when another version took its place (UTC)",
}  # fmt: skip
_PACKS = {
    "number": "row of the audit log", "at": "when it was asked for (UTC)", "actor": "by whom", "via": "by which way",
    "wearer": "about whom", "run": "run that it rests on", "reason": "why", "case_ref": "for which case",
    "sha256": "SHA-256 of the pack, where it was noted",
}  # fmt: skip
_MISSING = (
    "Verdicts of which a run kept only the number (`match --only`): the schedule says how many. A search without --only over"
    " the same window gives them, as far as the positions are still held.",
    "Positions of those who are excluded or unmonitored: their verdicts are here, with the positions that each names.",
    "Positions that were erased before: retention.json tells by which order.",
    "Evidence packs themselves: they are handed to whoever asks for them. Packs built from files alone are not known here.",
    "What other systems hold: this is one system's material, and the schedule is of this system alone.",
)  # fmt: skip


class Asked(NamedTuple):
    """The crime, up to which row of the audit log, and whether wearers are named."""

    force: str
    reference: str
    audit_until: int
    with_names: bool = False


def force_of(connection: Connection, reference: str, force: str | None) -> str:
    """The force of a crime. InputError where no stored crime has that reference, or those of several forces do."""
    forces = sorted({version.crime.force for version in history(connection, reference)})
    if not forces:
        raise InputError(field="--crime", value=reference, expected="the reference of a stored crime (`crimes list`)")
    if force is not None and force not in forces:
        raise InputError(field="--force", value=force, expected=f"one that has a crime {reference}: {', '.join(forces)}")
    if force is None and len(forces) > 1:
        raise InputError(
            "several forces have that reference", field="--crime", value=reference, expected=f"--force: {', '.join(forces)}"
        )
    return force or forces[0]


def write_case(container: Container, connection: Connection, asked: Asked) -> dict[str, Any]:
    """Write everything, in the caller's transaction; returns what the manifest says of it."""
    crime = asked.force, asked.reference
    known, listed = names(connection), Schedule(packs_built(connection, crime=crime, until=asked.audit_until))
    hidden = _hidden(known, asked)
    found = write_runs(container, connection, listed, crime)
    versions = write_crime(container, connection, listed, crime, found.versions_used)
    windows = [(v.crime.from_us - found.pad_us, v.crime.to_us + found.pad_us) for v in versions]
    _write_positions(container, connection, listed, found, windows)
    _write_activations(container, connection, listed, found)
    between = min(start for start, _ in windows), max(end for _, end in windows)
    for what in write_alerts(container, connection, sorted(found.verdicts), hidden, between):
        listed.add(f"alert {what}", "alerts/alerts.jsonl", "an alert of a wearer in a run that meets the window")
    _write_packs(container, listed, hidden)
    _write_looks(container, connection, listed, asked, hidden)
    value = kept_for(connection, container.told, *crime, sorted(found.verdicts))
    container.document("retention.json", "Holds and erasures that concern this case", hidden.value(value))
    listed.add("holds and erasures", "retention.json", "what must stay for this case, and what was erased")
    if asked.with_names:
        rows = ((wearer, "; ".join(sorted(known.get(wearer, ())))) for wearer in sorted(found.verdicts))
        container.table("names.csv", "Who the wearers are", {"wearer": "identifier", "name": "name"}, rows)
        listed.add("names of the wearers", "names.csv", "names as the wearers file had them")
    container.table("schedule.csv", "Every item, and whether an evidence pack used it", schedule.COLUMNS, listed.rows())
    return _close(container, asked, listed)


def _hidden(known: dict[str, set[str]], asked: Asked) -> Others:
    """What stands for names: identifiers; names stay where they are asked for."""
    if asked.with_names:
        return Others({})
    return Others({name: wearer for wearer, called in sorted(known.items()) for name in called if name not in known})


def _write_positions(
    container: Container, connection: Connection, listed: Schedule, found: InRuns, windows: list[tuple[int, int]]
) -> None:  # fmt: skip
    wide = merged((start - MARGIN_US, end + MARGIN_US) for start, end in windows)
    store, worn, note, rows = FixStore(connection), Worn(connection), container.told.note, list[tuple[Any, ...]]()
    for number, wearer in enumerate(sorted(found.verdicts), 1):
        file, n = "", None
        if wearer in found.near:
            file, spans = f"positions/{number:05d}.csv", worn.within(wearer, wide)
            what = f"positions of {wearer} from 6 hours before the padded window to 6 hours after it"
            pieces = positions.csv_of(store, spans, note)
            n = container.pieces(file, what[0].upper() + what[1:], positions.COLUMNS, pieces)
            listed.add(f"positions of {wearer}", file, f"{what}: {n:,}", wearer=wearer)
            events = f"positions/{number:05d}_events.csv"
            told_rows = positions.events_of(store, spans, note)
            container.table(events, f"What the tag of {wearer} told besides", positions.EVENT_COLUMNS, told_rows)
            listed.add(f"device events of {wearer}", events, "what the tag told about the window", wearer=wearer)
        devices = ", ".join(sorted(found.devices.get(wearer, ())))
        rows.append((number, wearer, devices, "; ".join(found.verdicts[wearer]), file, n))
    container.table("wearers.csv", "Everybody who is in a run, by identifier", _WEARERS, rows)
    listed.add("everybody in the runs", "wearers.csv", "who was placed, possible, excluded or unmonitored, by run")


def _write_activations(container: Container, connection: Connection, listed: Schedule, found: InRuns) -> None:
    def rows() -> Iterator[tuple[Any, ...]]:
        for row in activation_rows(connection, sorted(found.verdicts)):
            plain = container.told.row(row)
            said = plain["content"] or {}
            values = {**plain, **said, "from": said.get("from_us", ""), "to": said.get("to_us", "")}
            yield tuple(values.get(name) for name in _ACTIVATIONS)

    title = "Which tag was on whom, in every version that was ever read"
    container.table("activations.csv", title, _ACTIVATIONS, rows())
    listed.add("who wore which tag", "activations.csv", title[0].lower() + title[1:])


def _write_packs(container: Container, listed: Schedule, hidden: Others) -> None:
    rows = [hidden.value(container.told.row(told(pack))) for pack in listed.packs]
    values = ([row[name] for name in _PACKS] for row in rows)
    container.table("packs.csv", "Evidence packs that were asked for", _PACKS, values)
    for pack in listed.packs:
        what = "that it was asked for; the pack is with who asked"
        why = f"asked for by {pack.actor} on {to_iso(pack.at_us)}"
        listed.used(f"evidence pack about {pack.wearer}", "packs.csv", what, why)


def _write_looks(container: Container, connection: Connection, listed: Schedule, asked: Asked, hidden: Others) -> None:
    looked = looks.looks_for(connection, asked.force, asked.reference, asked.audit_until)
    rows = (hidden.value(container.told.row(row)) for row in looked)
    values = ([row[name] for name in looks.COLUMNS] for row in rows)
    title = "Who looked, searched or exported for this case, when and why"
    container.table("looks.csv", title, looks.COLUMNS, values)
    listed.add("who looked", "looks.csv", "rows of the audit log about this crime or for this case")


def _close(container: Container, asked: Asked, listed: Schedule) -> dict[str, Any]:
    dated, n_used = to_iso(container.told.newest_us), sum(item.used for item in listed.items)
    about = {
        "kind": "case", "force": asked.force, "crime": asked.reference, "with_names": asked.with_names, "dated": dated,
        "audit_until": asked.audit_until, "software": version("tagwatch"), "items": len(listed.items), "used": n_used,
    }  # fmt: skip
    named = "names.csv says who they are" if asked.with_names else "names are not in it, but in texts of the force"
    opening = (
        f"This is everything that the monitoring centre's system holds for the crime {asked.reference} of {asked.force}, as it"
        f" was on {dated}, when the newest of it came: material that evidence packs used, and the unused material.",
        f"schedule.csv lists {len(listed.items):,} items, {n_used:,} of them used. Begin there.",
        "A verdict is what a search found about one wearer: placed (positions in the vicinity), possible, excluded (could not"
        " have been there), unmonitored (nothing is known). No verdict is a probability of guilt. Wearers are told by"
        f" identifier; {named}. Each search is there as it was recorded, stale ones too (the crime has changed since).",
        f"Made again from the same data it is the same file, byte for byte (rows of the audit log up to {asked.audit_until}).",
    )  # fmt: skip
    whom = (
        "The disclosure officer of the force that handed you this file. `tagwatch evidence verify` checks evidence packs;"
        " docs/method.md of Tagwatch says how verdicts come about."
    )
    title = f"Material held for {asked.reference} of {asked.force}"
    container.close(about, readme(title, opening, container.members, _MISSING, whom))
    return about
