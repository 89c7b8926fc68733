"""Crimes in the database: every import is a batch; a crime that comes again with changes becomes a further version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, NamedTuple

from crime_match.crimes.crime import Crime
from engine.database import Connection
from engine.times import from_datetime, to_datetime

GROUPS = {
    "location": ("lat", "lon", "easting_m", "northing_m"),
    "window": ("from_us", "to_us"),
    "type": ("type",),
    "text": ("text",),
    "uncertainty": ("uncertainty_m",),
}
"""What can change in a crime, by the fields that say it. What the force calls the batch belongs to the sending, not to the
crime."""
Key = tuple[str, str]
"""Force and reference: what names a crime."""

_VALUES_OF = {group: attrgetter(*names) for group, names in GROUPS.items()}
_FIELDS = tuple(field.name for field in fields(Crime))
_COLUMNS = tuple({"from_us": "from_time", "to_us": "to_time"}.get(name, name) for name in _FIELDS)
STORED = (*_COLUMNS, "version", "changed", "batch_number")
"""The columns of a version."""
_COPY = f"COPY crime_version ({', '.join(STORED)}) FROM STDIN"
_COPY_AGAIN = "COPY crime_seen_again (force, reference, version, batch, batch_number) FROM STDIN"
_LATEST = (
    f"SELECT DISTINCT ON (v.force, v.reference) {', '.join(f'v.{name}' for name in STORED)}"
    " FROM unnest(%s::text[], %s::text[]) k (force, reference)"
    " JOIN crime_version v ON v.force = k.force AND v.reference = k.reference"
    " ORDER BY v.force, v.reference, v.version DESC"
)


class Version(NamedTuple):
    """One version of a crime, what changed against the version before (nothing for the first), and the batch it came with."""

    crime: Crime
    version: int
    changed: tuple[str, ...]
    batch_number: int


class File(NamedTuple):
    """What an import remembers of the file: its name, the hash of its bytes, its form, rows, rows left out, and faults."""

    name: str
    sha256: str
    form: str
    n_rows: int
    n_refused: int = 0
    n_faults: int = 0


class Batch(NamedTuple):
    """One import: its number, the file, and how many of its crimes were new, changed, or as they were; when [us]."""

    number: int
    file: File
    n_new: int
    n_changed: int
    n_same: int
    imported_us: int


class Again(NamedTuple):
    """A batch repeated a version as it was; `batch` is what the force calls it."""

    force: str
    reference: str
    version: int
    batch: str
    batch_number: int


class Choice(NamedTuple):
    """Which stored crimes are asked for: by names, by windows that meet [from_us, to_us], and by what runs made of them.

    `batch` is what the force calls a batch that held the crime, in whatever version. `stale`: a run matched an earlier version
    than the latest; `new`: no run matched the latest one. Of these two, where both are asked for, one is enough. `forces`: of
    these alone, None for all; `words`: what the reference, type or text holds, in any case; `import_number`: came with it.
    """

    force: str | None = None
    batch: str | None = None
    reference: str | None = None
    from_us: int | None = None
    to_us: int | None = None
    stale: bool = False
    new: bool = False
    forces: Sequence[str] | None = None
    words: str | None = None
    import_number: int | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """The condition on the view `crime c`, and its values."""
        asked = {name: value for name, value in self._asdict().items() if name in _CHOSEN and value is not None}
        parts = [_CHOSEN[name] for name in asked]
        states = [_STATES[name] for name in _STATES if getattr(self, name)]
        parts += [f"({' OR '.join(states)})"] if states else []
        values = {name: to_datetime(value) if name.endswith("_us") else value for name, value in asked.items()}
        if self.forces is not None:
            values["forces"] = list(self.forces)
        return " AND ".join(parts) or "true", values


_CHOSEN = {
    "force": "c.force = %(force)s",
    "batch": "(c.force, c.reference) IN (SELECT force, reference FROM crime_version WHERE batch = %(batch)s"
    " UNION ALL SELECT force, reference FROM crime_seen_again WHERE batch = %(batch)s)",
    "reference": "c.reference = %(reference)s",
    "from_us": "c.to_time >= %(from_us)s",
    "to_us": "c.from_time <= %(to_us)s",
    "forces": "c.force = ANY(%(forces)s)",
    "words": "position(lower(%(words)s) IN lower(concat_ws(E'\\n', c.reference, c.type, c.text))) > 0",
    "import_number": "(c.force, c.reference) IN ("
    "SELECT force, reference FROM crime_version WHERE batch_number = %(import_number)s UNION ALL"
    " SELECT force, reference FROM crime_seen_again WHERE batch_number = %(import_number)s)",
}
_MATCHED = "EXISTS (SELECT FROM run_crime t WHERE t.force = c.force AND t.reference = c.reference AND t.version"
_STATES = {"stale": f"{_MATCHED} < c.version)", "new": f"NOT {_MATCHED} = c.version)"}


def key_of(crime: Crime) -> Key:
    """What names a crime."""
    return crime.force, crime.reference


def changes(before: Crime, after: Crime) -> tuple[str, ...]:
    """Which groups of a crime's fields differ between two versions, in the order of `GROUPS`."""
    return tuple(group for group, values in _VALUES_OF.items() if values(before) != values(after))


def compare(crimes: Sequence[Crime], held: dict[Key, Version]) -> tuple[list[Version], dict[tuple[str, str, int], str]]:
    """The versions that crimes add to the latest ones that are held, which follow; and those that they repeat (force,
    reference, version) with the force's batch. Each is compared with the one before it, in `crimes` too."""
    new: list[Version] = []
    again: dict[tuple[str, str, int], str] = {}
    for crime in crimes:
        before = held.get(key_of(crime))
        changed = changes(before.crime, crime) if before else ()
        if before and not changed:
            again.setdefault((*key_of(crime), before.version), crime.batch)
        else:
            held[key_of(crime)] = Version(crime, before.version + 1 if before else 1, changed, 0)
            new.append(held[key_of(crime)])
    return new, again


def import_crimes(connection: Connection, crimes: Sequence[Crime], file: File, now_us: int) -> Batch:
    """Store a file's crimes, each compared with its latest version, those before it in the file included.

    All or nothing; imports wait for each other, so versions count up in the order of imports. The same file twice changes
    nothing but the list of batches.
    """
    with connection.transaction():
        connection.execute("LOCK TABLE crime_batch IN SHARE ROW EXCLUSIVE MODE")
        held = latest(connection, {key_of(crime) for crime in crimes})
        new, again = compare(crimes, held)
        n_new = sum(version.version == 1 for version in new)
        n_changed, n_same = len(new) - n_new, len(crimes) - len(new)
        batch = write_batch(connection, file, (n_new, n_changed, n_same), now_us)
        with connection.cursor() as cursor:
            with cursor.copy(_COPY) as copy:
                for crime, version, changed, _ in new:
                    copy.write_row((*_values(crime), version, list(changed), batch.number))
            with cursor.copy(_COPY_AGAIN) as copy:
                for key, sent in again.items():
                    copy.write_row((*key, sent, batch.number))
    return batch


def write_batch(connection: Connection, file: File, counts: tuple[int, int, int], now_us: int) -> Batch:
    """Note an import, with how many of its crimes were new, changed, or as they were."""
    row = connection.execute(
        "INSERT INTO crime_batch (file, sha256, form, n_rows, n_refused, n_faults, n_new, n_changed, n_same, imported)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING number",
        [*file, *counts, to_datetime(now_us)],
    ).fetchone()
    assert row is not None
    return Batch(row[0], file, *counts, now_us)


def latest(connection: Connection, keys: Iterable[Key]) -> dict[Key, Version]:
    """The latest version of each of these crimes that is stored."""
    pairs = list(keys)
    rows = connection.execute(_LATEST, [[force for force, _ in pairs], [reference for _, reference in pairs]])
    return {(version.crime.force, version.crime.reference): version for version in map(version_of_row, rows)}


def versions_of(connection: Connection, keys: Sequence[tuple[str, str, int]]) -> list[Version]:
    """These versions (force, reference, version), in this order; those that are not stored are left out."""
    rows = connection.execute(
        f"SELECT {', '.join(f'v.{name}' for name in STORED)}"
        " FROM unnest(%s::text[], %s::text[], %s::integer[]) WITH ORDINALITY k (force, reference, version, place)"
        " JOIN crime_version v USING (force, reference, version) ORDER BY k.place",
        [[key[part] for key in keys] for part in range(3)],
    )
    return [version_of_row(row) for row in rows]


def history(connection: Connection, reference: str, force: str | None = None) -> list[Version]:
    """Every version of the crimes with a reference, of one force or of all: by force, oldest first."""
    rows = connection.execute(
        f"SELECT {', '.join(STORED)} FROM crime_version"
        " WHERE reference = %s AND (%s::text IS NULL OR force = %s) ORDER BY force, version",
        [reference, force, force],
    )
    return [version_of_row(row) for row in rows]


def seen_again(connection: Connection, reference: str, force: str | None = None) -> list[Again]:
    """The batches that repeated a version of these crimes as it was, in the order of imports."""
    rows = connection.execute(
        "SELECT force, reference, version, batch, batch_number FROM crime_seen_again"
        " WHERE reference = %s AND (%s::text IS NULL OR force = %s) ORDER BY force, batch_number, version",
        [reference, force, force],
    )
    return [Again(*row) for row in rows]


def crimes(connection: Connection, choice: Choice = Choice()) -> list[Version]:
    """The latest version of every crime that is asked for, by force and reference."""
    condition, values = choice.where()
    rows = connection.execute(
        f"SELECT {', '.join(STORED)} FROM crime c WHERE {condition} ORDER BY force, reference", values
    )
    return [version_of_row(row) for row in rows]


def forces_with_crimes(connection: Connection) -> list[str]:
    """The forces of which any crime is stored, by name."""
    return [row[0] for row in connection.execute("SELECT DISTINCT force FROM crime_version ORDER BY force")]


def batches(connection: Connection, *, sha256: str | None = None, numbers: Iterable[int] | None = None) -> list[Batch]:
    """The imports in their order: all, those of a file with these very bytes, or those with these numbers."""
    rows = connection.execute(
        "SELECT number, file, sha256, form, n_rows, n_refused, n_faults, n_new, n_changed, n_same, imported FROM crime_batch"
        " WHERE (%s::text IS NULL OR sha256 = %s) AND (%s::bigint[] IS NULL OR number = ANY(%s)) ORDER BY number",
        [sha256, sha256, *[None if numbers is None else sorted(numbers)] * 2],
    )
    return [Batch(row[0], File(*row[1:7]), row[7], row[8], row[9], from_datetime(row[10])) for row in rows]


def version_of_row(row: Sequence[Any]) -> Version:
    """A version from its columns, in the order of `STORED`."""
    values = dict(zip(_FIELDS, row, strict=False))
    values |= {name: from_datetime(values[name]) for name in ("from_us", "to_us")}
    version, changed, number = row[len(_FIELDS) :]
    return Version(Crime(**values), version, tuple(changed), number)


def _values(crime: Crime) -> Iterator[Any]:
    for name in _FIELDS:
        value = getattr(crime, name)
        yield to_datetime(value) if name.endswith("_us") else value
