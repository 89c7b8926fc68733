"""The world as files, byte for byte the same for the same world."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from engine.activations import FOREVER_US
from engine.errors import InputError
from engine.fixes import ABSENT, OPTIONAL, SOURCE_NAMES, Fixes
from engine.times import MINUTE_US, SECOND_US, to_iso
from ingest.csv_trail import COLUMNS, write_csv
from tagwatch.simulate.spans import Span
from tagwatch.simulate.world import World

_STAMP = pa.timestamp("us", tz="UTC")


def write(world: World, folder: Path, format: str = "parquet") -> list[Path]:
    """Write all files of a simulation to a folder (made where absent); returns their paths. `format` (of the trails) is
    parquet or csv, else InputError."""
    if format not in {"parquet", "csv"}:
        raise InputError(field="format", value=format, expected="parquet or csv")
    truth = folder / "truth"
    truth.mkdir(parents=True, exist_ok=True)
    trails = folder / f"trails.{format}"
    if format == "parquet":
        _write_parquet(trail_table(world.fixes), trails)
    else:
        write_csv(world.fixes, trails)
    _write_parquet(position_table(world), truth / "positions.parquet")
    tables = _tables(world, folder, truth)
    for path, header, rows in tables:
        _write_rows(path, header, rows)
    documents = {"teams.json": world.teams, "zones.geojson": world.zones, "curfews.json": world.curfews}
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [trails, truth / "positions.parquet", *(path for path, _, _ in tables), *(folder / name for name in documents)]


def trail_table(fixes: Fixes) -> pa.Table:
    """Fixes as an Arrow table with the canonical columns; what is absent is null."""
    columns: dict[str, Any] = {
        "device": pa.DictionaryArray.from_arrays(pa.array(fixes.device), pa.array(fixes.devices, pa.string())),
        "time": pa.array(fixes.time_us).cast(_STAMP),
        "lat": fixes.lat_e7 / 1e7,
        "lon": fixes.lon_e7 / 1e7,
        "source": _source(fixes),
        "received": pa.array(fixes.received_s * SECOND_US).cast(_STAMP),
    }
    for column in OPTIONAL:
        values = fixes.column(column.name)
        columns[column.key] = pa.array(values if column.scale == 1 else values / column.scale, mask=values == ABSENT)
    return pa.table({name: columns[name] for name in COLUMNS})


def position_table(world: World) -> pa.Table:
    """The true position at every fix: device, wearer, time, lat, lon."""
    fixes, truth = world.fixes, world.truth
    device = pa.DictionaryArray.from_arrays(pa.array(fixes.device), pa.array(fixes.devices, pa.string()))
    wearer = pa.DictionaryArray.from_arrays(pa.array(truth.wearer), pa.array(truth.wearers, pa.string()))
    time = pa.array(fixes.time_us).cast(_STAMP)
    lat, lon = truth.lat_e7 / 1e7, truth.lon_e7 / 1e7
    return pa.table({"device": device, "wearer": wearer, "time": time, "lat": lat, "lon": lon})


def _source(fixes: Fixes) -> pa.DictionaryArray:
    codes = sorted(SOURCE_NAMES)
    return pa.DictionaryArray.from_arrays(
        pa.array(np.searchsorted(codes, fixes.source).astype(np.int32)), pa.array([SOURCE_NAMES[code] for code in codes])
    )


def _write_parquet(table: pa.Table, path: Path) -> None:
    pyarrow.parquet.write_table(table, path, compression="zstd", row_group_size=1 << 18, store_schema=False)


def _tables(world: World, folder: Path, truth: Path) -> list[tuple[Path, str, Iterable[Sequence[Any]]]]:
    """The small CSV files: path, header, rows."""
    return [
        (folder / "events.csv", "device,time,event,value,received",
         ((e.device, to_iso(e.time_us), e.kind, e.value, to_iso(e.received_s * SECOND_US)) for e in world.events)),
        (folder / "activations.csv", "device,wearer,from,to,percentile,fix_interval_s,upload_interval_s,grace_s,model",
         ((a.device, a.wearer, to_iso(a.from_us), "" if a.to_us == FOREVER_US else to_iso(a.to_us), *a[4:])
          for a in world.activations)),
        (folder / "wearers.csv", "wearer,name,cohort,scheme,force,basis,team", world.wearers),
        (folder / "crimes.csv", "force,reference,type,from,to,lat,lon,uncertainty_m,text",
         ((c.force, c.reference, c.type, to_iso(c.from_us), to_iso(c.to_us), *c[5:]) for c in world.crimes)),
        (truth / "visits.csv", "wearer,zone,entered,left",
         ((v.wearer, v.zone, to_iso(v.entered_us), to_iso(v.left_us)) for v in world.truth.visits)),
        (truth / "presence.csv",
         "curfew,wearer,window_start,window_end,home_minutes,away_minutes,authorised_minutes,away",
         ((k.curfew, k.wearer, *_iso(k.window), *map(_minutes, (k.home_us, k.away_us, k.authorised_us)),
           ";".join("/".join(_iso(span)) for span in k.away)) for k in world.truth.curfews)),
        (truth / "crimes.csv", "reference,wearer,from,to,neighbour",
         ((p.reference, p.wearer, *(_iso((p.from_us, p.to_us)) if p.wearer else ("", "")), p.neighbour)
          for p in world.truth.crimes)),
    ]  # fmt: skip


def _minutes(length_us: int) -> str:
    return f"{length_us / MINUTE_US:.3f}"


def _iso(span: Span) -> tuple[str, str]:
    return to_iso(span[0]), to_iso(span[1])


def _write_rows(path: Path, header: str, rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)
