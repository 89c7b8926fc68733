"""Everything held about one wearer, in one file that the wearer can read. Other people are not in it.

Operators are told by login, as in the audit log; other wearers, and names of exclusion zones (which may give away whom they
protect), never.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from alerts.holdings import has_alerts
from crime_match.runs.holdings import has_lines, lines_of_wearer
from crime_match.runs.store import makings
from engine.database import Connection
from engine.errors import InputError
from engine.store.fixes import FixStore
from engine.times import LATEST_US, SECOND_US, to_iso
from geofence.holdings import called, names, rows_about
from ingest.holdings import quarantined
from tagwatch.disclosure import looks, positions
from tagwatch.disclosure.alert_files import write_alerts
from tagwatch.disclosure.container import Container
from tagwatch.disclosure.kept import kept_of
from tagwatch.disclosure.others import Others, everybody_but
from tagwatch.disclosure.packs import packs_built, told
from tagwatch.disclosure.positions import Span
from tagwatch.disclosure.readme import readme
from tagwatch.disclosure.values import json_of
from tagwatch.disclosure.worn import Worn

ANOTHER = "(another person)"
_RECORD = {
    "kind": "wearer: the record; activation: a tag was fitted; zone, curfew, proximity: conditions",
    "id": "its identifier", "version": "hash of the content", "content": "what it says (JSON); empty where it was ended",
    "since": "when this version was read (UTC)", "replaced": "when another took its place (UTC)",
    "holds_from": "from when on it holds (UTC), empty: from the beginning",
}  # fmt: skip
_QUARANTINE = {
    "received": "when it came (UTC)", "topic": "on which topic", "device": "from which tag", "reason": "why it was not taken",
    "field": "which value was wrong", "value": "what it was", "expected": "what was expected", "payload": "what came",
}  # fmt: skip
_MATCHES = {
    "run": "identifier of the search", "made": "when and by whom it was made", "force": "force of the crime",
    "reference": "reference of the crime", "version": "version of the crime",
    "verdict": "placed, possible, excluded or unmonitored",
    "support": "how far a placement carries", "closest_m": "how near the nearest position was [m]", "closest_at": "when (UTC)",
}  # fmt: skip
_PACKS = {
    "at": "when it was asked for (UTC)", "actor": "by whom", "via": "by which way", "force": "force of the crime",
    "crime": "reference of the crime", "run": "search that it rests on", "reason": "why", "case_ref": "for which case",
}  # fmt: skip
_RAW = {
    "file": "file of the raw log", "n": "number of the message", "received": "when it came (UTC)", "topic": "on which topic",
    "sha256": "SHA-256 of what it said", "state": "whole, or what is left of it",
}  # fmt: skip
_MISSING = (
    "Other people. Identifiers and names of other wearers are replaced by \"(another person)\", names of zones by their"
    " identifiers. Texts that people wrote are looked through for these alone: whoever hands this out reads them first.",
    "Alerts about others who are to keep away from this person: they are the others'. That they are to is in record.csv.",
    "Descriptions of crimes: they are the forces'. The searches are here in full, with each verdict about this person.",
    "What the messages of the tag said word for word: their content is in positions and events; the messages themselves are"
    " in the raw log, as signed evidence of what came. --raw lists them.",
    "Evidence packs: they are handed to whoever asks for them and not kept. packs.csv lists them. One that was built from files"
    " on somebody's own machine is not known here.",
    "Backups, and what was handed to others before: ask those who have it.",
)  # fmt: skip


class Asked(NamedTuple):
    """Whose data, up to which row of the audit log; the raw log where its messages are to be listed."""

    wearer: str
    audit_until: int
    raw_log: Path | None = None


def write_subject(container: Container, connection: Connection, asked: Asked) -> dict[str, Any]:
    """Write everything, in the caller's transaction; returns what the manifest says of it. InputError for somebody of whom
    nothing is held."""
    wearer, note = asked.wearer, container.told.note
    record, spans = rows_about(connection, wearer), Worn(connection).of(wearer)
    store = FixStore(connection)
    _require_known(connection, store, wearer, record, spans)
    others = others_of(connection, wearer)
    record = [_own(row, wearer) for row in record]
    _write_record(container, record, others)
    container.pieces("positions/positions.csv", "Every position that was recorded", positions.COLUMNS,
                     positions.csv_of(store, spans, note))  # fmt: skip
    container.pieces("positions/positions.geojson", "The same for a map, the positions of a day together", {},
                     positions.geojson_of(store, spans, note))  # fmt: skip
    container.table("positions/events.csv", "What the tag told besides: battery, tampering, contact", positions.EVENT_COLUMNS,
                    positions.events_of(store, spans, note))  # fmt: skip
    _write_quarantine(container, connection, spans, others)
    write_alerts(container, connection, [wearer], others)
    _write_matches(container, connection, wearer, others)
    packs = [container.told.row(told(pack)) for pack in packs_built(connection, wearer=wearer, until=asked.audit_until)]
    container.table("packs.csv", "Evidence packs that were asked for about this person", _PACKS,
                    ([others.value(row[name]) for name in _PACKS] for row in packs))  # fmt: skip
    rows = (others.value(container.told.row(row)) for row in looks.looks_at(connection, wearer, asked.audit_until))
    container.table("looks.csv", "Who looked at, searched for or changed this person's data, when and why", looks.COLUMNS,
                    ([row[name] for name in looks.COLUMNS] for row in rows))  # fmt: skip
    container.document("retention.json", "For how long data are kept, what stops that, and what was erased",
                       others.value(kept_of(connection, container.told, wearer)))  # fmt: skip
    if asked.raw_log is not None:
        _write_raw(container, asked.raw_log, spans)
    return _close(container, asked)


def others_of(connection: Connection, wearer: str) -> Others:
    """What stands for other wearers, and for names of zones and proximities."""
    found = {name: f"(zone {key})" if kind == "zone" else ANOTHER for kind, key, name in called(connection)}
    known = names(connection)
    return Others(found | everybody_but([wearer], known, ANOTHER))


def _require_known(
    connection: Connection, store: FixStore, wearer: str, record: list[dict[str, Any]], spans: list[Span]
) -> None:  # fmt: skip
    is_named = any(row["kind"] != "zone" or wearer in _wearers(row) for row in record)
    has_device = wearer in store.devices() and any(span.device == wearer for span in spans)
    if not (is_named or has_device or has_alerts(connection, wearer) or has_lines(connection, wearer)):
        raise InputError(field="--wearer", value=wearer, expected="a wearer of whom something is held")


def _wearers(row: dict[str, Any]) -> list[str]:
    told = ((row["content"] or {}).get("properties") or {}).get("wearers")
    return told if isinstance(told, list) else []


def _own(row: dict[str, Any], wearer: str) -> dict[str, Any]:
    """A row of the configuration with no other wearer in it, and no note about a zone or a protected person."""
    content = row["content"]
    if content is None or row["kind"] not in ("zone", "proximity"):
        return row
    part = content.get("properties", {}) if row["kind"] == "zone" else content
    left = {key: value for key, value in part.items() if key not in ("note", "name")}
    if isinstance(left.get("wearers"), list):
        left["wearers"] = [one for one in left["wearers"] if one in (wearer, "*")]
    for name in ("wearer", "protected"):
        if name in left and left[name] != wearer:
            left[name] = ANOTHER
    return {**row, "content": {**content, "properties": left} if row["kind"] == "zone" else left}


def _write_record(container: Container, record: list[dict[str, Any]], others: Others) -> None:
    rows = [others.value(container.told.row(row)) for row in record]
    title = "The person's record, the tags, and the conditions, in every version that was ever read"
    container.table("record/record.csv", title, _RECORD, ([row[name] for name in _RECORD] for row in rows))
    zones = [row["content"] for row in rows if row["kind"] == "zone" and row["content"] and row["replaced"] is None]
    container.document("record/zones.geojson", "The zones that hold now, for a map",
                       {"type": "FeatureCollection", "features": zones})  # fmt: skip


def _write_quarantine(container: Container, connection: Connection, spans: list[Span], others: Others) -> None:
    rows = (container.told.row(row) for row in quarantined(connection, spans))
    title = "Messages of the tag that could not be taken, as they came"
    values = ([others.value(row[name]) if name != "payload" else row[name] for name in _QUARANTINE] for row in rows)
    container.table("quarantine.csv", title, _QUARANTINE, values)


def _write_matches(container: Container, connection: Connection, wearer: str, others: Others) -> None:
    def objects() -> Iterator[dict[str, Any]]:
        for row in lines_of_wearer(connection, wearer):
            plain = container.told.row(row)
            yield others.value({**plain, "line": json_of(row["line"])})

    title = "Searches who was near a crime, as far as they are about this person"
    container.lines("matches/matches.jsonl", f"{title}: all that was found", objects())
    made = {run: _made(container, connection, run) for run in {row["run"] for row in lines_of_wearer(connection, wearer)}}
    rows = ({**row["line"], **row, "made": made[row["run"]]} for row in objects())
    container.table("matches/matches.csv", f"{title}, as a table", _MATCHES,
                    ([row.get(name) for name in _MATCHES] for row in rows))  # fmt: skip


def _made(container: Container, connection: Connection, run: str) -> str:
    times = makings(connection, run)
    for made in times:
        container.told.note(made.made_us)
    return "; ".join(f"{to_iso(made.made_us)} {made.made_by}" for made in times)


def _write_raw(container: Container, folder: Path, spans: list[Span]) -> None:
    """The messages that came while the person wore their device; later ones that brought older positions are not told apart."""
    from ingest.raw_search import messages_of

    def rows() -> Iterator[tuple[Any, ...]]:
        for device, from_us, to_us in spans if folder.is_dir() else ():
            for file, record in messages_of(folder, [device], from_us // SECOND_US, min(to_us, LATEST_US - 1) // SECOND_US):
                state = "whole" if record.payload is not None else "a part" if isinstance(record.rest, str) else "erased"
                yield file, record.n, record.received, record.topic, record.sha256, state

    container.table("raw_messages.csv", "The messages with positions that came from the tag, in the raw log", _RAW, rows())


def _close(container: Container, asked: Asked) -> dict[str, Any]:
    dated, software = to_iso(container.told.newest_us), version("tagwatch")
    about = {
        "kind": "subject",
        "wearer": asked.wearer,
        "dated": dated,
        "audit_until": asked.audit_until,
        "software": software,
    }
    opening = (
        f"This is everything that the monitoring centre's system holds about the wearer {asked.wearer!r}, as it was on {dated},"
        " when the newest of it came. It was put together by a program and shows data as they are stored, also what was wrong"
        " or was corrected later.",
        f"Made again from the same data it is the same file, byte for byte (rows of the audit log up to {asked.audit_until}).",
    )  # fmt: skip
    whom = (
        "The controller of the data is the organisation that handed you this file; ask its data protection officer what"
        " anything here means, to have it corrected, or to have it erased. You may also complain to the supervisory"
        " authority for data protection: in the United Kingdom the Information Commissioner's Office."
    )
    title = f"What is held about {asked.wearer}"
    container.close(about, readme(title, opening, container.members, _MISSING, whom))
    return about
