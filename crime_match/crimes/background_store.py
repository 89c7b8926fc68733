"""Published crimes in the database, for background only: each once, however often its file or a later one is imported."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from crime_match.crimes.police_uk import BackgroundCrime
from crime_match.crimes.store import Batch, File, write_batch
from engine.database import Connection

_COLUMNS = ("key", "month", "force", "type", "lat", "lon", "location", "outcome", "batch_number")


def keys(crimes: Iterable[BackgroundCrime]) -> Iterator[str]:
    """What names each: its published id, else a hash of its content without the outcome, which comes later.

    Two without an id that say the same in one file are two crimes: the hash counts them.
    """
    seen: Counter[tuple[object, ...]] = Counter()
    for crime in crimes:
        if crime.crime_id:
            yield crime.crime_id
            continue
        content = (crime.month, crime.force, crime.type, crime.lat, crime.lon, crime.location)
        seen[content] += 1
        yield "sha256:" + hashlib.sha256(msgspec.json.encode([*content, seen[content]])).hexdigest()


def import_background(connection: Connection, crimes: Sequence[BackgroundCrime], file: File, now_us: int) -> Batch:
    """Store published crimes, all or nothing; those that are stored stay as they were first read."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE crime_batch IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("CREATE TEMP TABLE staged (LIKE background_crime) ON COMMIT DROP")
        with cursor.copy(f"COPY staged ({', '.join(_COLUMNS)}) FROM STDIN") as copy:
            for key, crime in zip(keys(crimes), crimes, strict=True):
                place = (crime.lat, crime.lon, crime.location, crime.outcome)
                copy.write_row((key, f"{crime.month}-01", crime.force, crime.type, *place, 0))
        cursor.execute(
            "SELECT count(DISTINCT key) FROM staged s WHERE NOT EXISTS (SELECT FROM background_crime b WHERE b.key = s.key)"
        )
        row = cursor.fetchone()
        n_new = row[0] if row else 0
        batch = write_batch(connection, file, (n_new, 0, len(crimes) - n_new), now_us)
        cursor.execute(
            f"INSERT INTO background_crime ({', '.join(_COLUMNS)}) SELECT {', '.join(_COLUMNS[:-1])}, %s FROM staged"
            " ON CONFLICT (key) DO NOTHING",
            [batch.number],
        )
        cursor.execute("DROP TABLE staged")
    return batch
