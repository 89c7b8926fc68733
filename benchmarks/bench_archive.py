"""The archive: writing it, its bytes a fix, scanning it, a wearer's day, a place in a window; beside duckdb on the same files,
and on the Parquet that pyarrow writes of the same fixes by itself. One thread each, but for the writing."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pyarrow.parquet as pq

from benchmarks.rounds import Row, medians, rows
from engine.archive.columns import LEAVES
from engine.archive.export import export
from engine.archive.reader import Archive
from engine.archive.spill import by_day
from engine.fixes import Fixes
from engine.times import DAY_US, HOUR_US
from tagwatch.simulate.files import trail_table
from tagwatch.simulate.world import simulate

SCANNED = ("device", "time_us", "lon_e7", "lat_e7", "accuracy_cm", "source")
PLAIN = "duckdb on plain Parquet"
_BOX_E7 = 20_000
_SUMS = "SELECT count(*), min(device), max(time), sum({x}), sum({y}), sum({accuracy}), min(source) FROM {files}"
_WHERE = " WHERE time BETWEEN make_timestamptz({from_us}) AND make_timestamptz({to_us})"
_PLACE = " AND {x} BETWEEN {west} AND {east} AND {y} BETWEEN {south} AND {north}"


def bench(n_wearers: int = 300, n_days: int = 3, n_rounds: int = 5) -> list[Row]:
    """Rows of the report, over a simulated town."""
    fixes = simulate(n_wearers, n_days, 1).fixes
    with TemporaryDirectory() as home:
        folder, plain = Path(home) / "archive", Path(home) / "plain.parquet"
        written = {
            "archive": partial(_export, fixes, folder),
            "plain Parquet": lambda: pq.write_table(trail_table(fixes), plain),
        }
        taken = {name: _seconds(write) for name, write in written.items()}
        found = rows("archive, write", len(fixes), "fixes", taken, "plain Parquet")
        found[0] = found[0]._replace(note=_sizes(Archive(folder)))
        found[1] = found[1]._replace(note=f"{plain.stat().st_size / len(fixes):.2f} bytes a fix")
        for name, (candidates, n) in _questions(fixes, Archive(folder), plain).items():
            peer = PLAIN if PLAIN in candidates else next(iter(candidates))
            found += rows(f"archive, {name}", n, "fixes", medians(candidates, n_rounds), peer)
    return found


def _export(fixes: Fixes, folder: Path) -> None:
    export(folder, lambda spill: by_day([fixes], spill))


def _seconds(run: Callable[[], object]) -> float:
    started_s = perf_counter()
    run()
    return perf_counter() - started_s


def _sizes(archive: Archive) -> str:
    """Bytes a fix, of all and by column."""
    sizes: Counter[str] = Counter()
    for file in archive.manifest.files:
        told = pq.read_metadata(archive.folder / file.path)
        for group in range(told.num_row_groups):
            for column in range(told.num_columns):
                chunk = told.row_group(group).column(column)
                sizes[chunk.path_in_schema] += chunk.total_compressed_size
    n = archive.manifest.fixes
    each = ", ".join(f"{name} {size / n:.2f}" for name, size in sizes.items())
    return f"{archive.manifest.bytes / n:.2f} bytes a fix: {each}"


def _questions(fixes: Fixes, archive: Archive, plain: Path) -> dict[str, tuple[dict[str, Callable[[], object]], int]]:
    """The candidates of each question, and how many fixes it is about: all for a scan, the day's for the others."""
    start_us = int(np.median(fixes.time_us)) // DAY_US * DAY_US
    day, window = (start_us, start_us + DAY_US - 1), (start_us + 8 * HOUR_US, start_us + 16 * HOUR_US)
    n_of_day = int(((fixes.time_us >= day[0]) & (fixes.time_us <= day[1])).sum())
    lon, lat = int(np.median(fixes.lon_e7)), int(np.median(fixes.lat_e7))
    box = (lon - _BOX_E7, lat - _BOX_E7, lon + _BOX_E7, lat + _BOX_E7)
    device = fixes.devices[len(fixes.devices) // 2]
    found: dict[str, tuple[dict[str, Callable[[], object]], int]] = {
        "scan": (
            {"decode": lambda: _decode(archive), "scan": lambda: sum(len(g.devices) for g in archive.scan(SCANNED))},
            len(fixes),
        ),
        "a wearer's day": ({"read": lambda: archive.read(devices=[device], from_us=day[0], to_us=day[1])}, n_of_day),
        "a place in 8 hours": ({"read": lambda: archive.read(from_us=window[0], to_us=window[1], box_e7=box)}, n_of_day),
    }
    if importlib.util.find_spec("duckdb"):
        for name, files in (("duckdb on the archive", f"{archive.folder}/*/*.parquet"), (PLAIN, str(plain))):
            ask = _Duck(files)
            spans = [dict(zip(("from_us", "to_us"), span, strict=True)) for span in (day, window)]
            edges = {name: edge / 1e7 for name, edge in zip(("west", "south", "east", "north"), box, strict=True)}
            found["scan"][0][name] = partial(ask, _SUMS)
            found["a wearer's day"][0][name] = partial(
                ask, f"SELECT * FROM {{files}}{_WHERE} AND device = '{device}'", **spans[0]
            )
            found["a place in 8 hours"][0][name] = partial(
                ask, f"SELECT * FROM {{files}}{_WHERE}{_PLACE}", **spans[1], **edges
            )
    return found


def _decode(archive: Archive) -> None:
    """The same columns by pyarrow, left as it gives them."""
    paths = [".".join(LEAVES[name].path) for name in SCANNED]
    for file in archive.manifest.files:
        opened = pq.ParquetFile(archive.folder / file.path, read_dictionary=["device", "source"], memory_map=True)
        for group in range(opened.metadata.num_row_groups):
            opened.read_row_group(group, paths, use_threads=False)


class _Duck:
    """duckdb, one thread, over files of one of the two kinds."""

    def __init__(self, files: str) -> None:
        import duckdb

        self._connection = duckdb.connect(config={"threads": 1})
        self._connection.execute("SET TimeZone = 'UTC'")
        source = f"read_parquet('{files}')"
        kinds = {name: kind for name, kind, *_ in self._connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
        x, y = ("lon", "lat") if "lon" in kinds else ("geometry.x", "geometry.y")
        if kinds.get("geometry", "").startswith("GEOMETRY"):
            x, y = "st_x(geometry)", "st_y(geometry)"
        accuracy = "accuracy_cm" if "accuracy_cm" in kinds else "accuracy_m"
        self._names = {"files": source, "x": x, "y": y, "accuracy": accuracy}

    def __call__(self, query: str, **values: object) -> object:
        return self._connection.sql(query.format(**self._names, **values)).to_arrow_table()
