"""The Parquet files that the archive writes, as other libraries read them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.archive import parquet
from engine.archive.chunks import Encoding, Leaf, Type, Values
from engine.archive.columns import LEAVES, degrees, units
from engine.archive.export import export
from engine.archive.reader import Archive
from engine.archive.spill import by_day
from engine.fixes import ABSENT, NAMES, SOURCE_NAMES, Fixes
from engine.times import DAY_US, MINUTE_US, SECOND_US
from tagwatch.simulate.world import simulate

START_US = 20_600 * DAY_US


def column_of(leaf: Leaf, values: Any, is_there: Any = None, names: Any = ()) -> Any:
    """A column as pyarrow reads it, written as the second of two; rows in two row groups."""
    first, file = Leaf(("n",), Type.INT32, Encoding.DELTA_BINARY_PACKED, 3), io.BytesIO()
    n = len(values) if is_there is None else len(is_there)
    half = n // 2
    parts = []
    for rows in (slice(0, half), slice(half, n)):
        there = None if is_there is None else is_there[rows]
        where = rows if is_there is None else slice(int(is_there[: rows.start].sum()), int(is_there[: rows.stop].sum()))
        parts.append([Values(np.arange(n, dtype=np.int32)[rows]), Values(values[where], there, names)])
    parquet.write(file, [first, leaf], parts, {"key": "value"}, "test version 1")
    table = pq.read_table(io.BytesIO(file.getvalue()))
    assert table["n"].to_pylist() == [*range(n)]
    return table[leaf.path[0]]


ENDS = [0, 1, -1, 2**31 - 1, -(2**31)]


@settings(max_examples=60)
@given(st.lists(st.one_of(st.sampled_from([*ENDS, 2**63 - 1, -(2**63)]), st.integers(-(2**63), 2**63 - 1)), max_size=40))
def test_deltas_of_any_size_come_back(numbers: list[int]) -> None:
    leaf = Leaf(("t",), Type.INSTANT_US, Encoding.DELTA_BINARY_PACKED, 3)
    assert column_of(leaf, np.array(numbers, np.int64)).cast(pa.int64()).to_pylist() == numbers


@settings(max_examples=60)
@given(st.lists(st.one_of(st.none(), st.sampled_from(ENDS), st.integers(-(2**31), 2**31 - 1)), max_size=40), st.data())
def test_numbers_with_gaps_come_back(numbers: list[int | None], data: st.DataObject) -> None:
    encoding = data.draw(
        st.sampled_from([Encoding.RLE_DICTIONARY, Encoding.DELTA_BINARY_PACKED, Encoding.BYTE_STREAM_SPLIT])
    )
    leaf = Leaf(("v",), Type.INT32, encoding, 3, optional=True)
    is_there = np.array([number is not None for number in numbers], np.bool_)
    found = column_of(leaf, np.array([n for n in numbers if n is not None], np.int32), is_there)
    assert found.to_pylist() == numbers


@pytest.mark.parametrize("n_distinct", [1, 2, 255, 256, 257, 5000])
@pytest.mark.parametrize("run", [1, 40])
def test_long_columns_of_many_values_come_back(n_distinct: int, run: int) -> None:
    rng = np.random.default_rng(n_distinct)
    values = np.repeat(rng.integers(0, n_distinct, 20_000 // run), run).astype(np.int32)
    is_there = np.ones(len(values), np.bool_)
    is_there[5000:9000:3] = False
    leaf = Leaf(("v",), Type.INT32, Encoding.RLE_DICTIONARY, 3, optional=True)
    assert np.array_equal(column_of(leaf, values[is_there], is_there).drop_null().to_numpy(), values[is_there])
    text = Leaf(("v",), Type.TEXT, Encoding.RLE_DICTIONARY, 3)
    names = [f"device {k} ü" for k in range(n_distinct)]
    assert column_of(text, values, names=names).to_pylist() == [names[k] for k in values]
    deltas = Leaf(("v",), Type.INSTANT_MS, Encoding.DELTA_BINARY_PACKED, 3)
    assert np.array_equal(
        column_of(deltas, values * np.int64(10**12)).cast(pa.int64()).to_numpy(), values * np.int64(10**12)
    )


def test_degrees_are_the_units_and_a_centimetre_off_at_most() -> None:
    rng = np.random.default_rng(5)
    e7 = np.r_[rng.integers(-1_800_000_000, 1_800_000_001, 200_000), -(2**31), 2**31 - 1, np.arange(-50, 50)].astype(
        np.int32
    )
    assert np.array_equal(units(degrees(e7)), e7)
    assert np.abs(degrees(e7) - e7 / 1e7).max() <= 0.5e-7
    assert np.array_equal(degrees(e7) * 2.0**24 % 1, np.zeros(len(e7)))


def wandering(n: int, n_devices: int = 40) -> Fixes:
    rng = np.random.default_rng(n)
    columns = {name: rng.integers(0, 4000, n) for name in NAMES[4:-1] if name != "source"}
    columns |= {name: np.where(rng.random(n) < 0.3, ABSENT, column) for name, column in columns.items()}
    return Fixes.of(
        [f"T{k}" for k in range(n_devices)], device=rng.integers(0, n_devices, n),
        time_us=START_US + rng.integers(0, DAY_US // MINUTE_US, n) * MINUTE_US + np.arange(n),
        lat_e7=530_000_000 + rng.integers(0, 3_000_000, n), lon_e7=rng.integers(-3_000_000, 3_000_000, n),
        source=rng.choice([0, 1, 4, 5, 6], n), received_s=START_US // SECOND_US + rng.integers(0, 90_000, n), **columns,
    )  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    folder = tmp_path_factory.mktemp("others") / "archive"
    fixes = wandering(300_000)
    moved = Fixes(fixes.devices, **{n: fixes.column(n)[:500] + (3 * DAY_US if n == "time_us" else 0) for n in NAMES})
    export(folder, lambda spill: by_day([fixes, moved], spill))
    return Archive(folder)


def test_columns_have_ordinary_names_and_types(archive: Archive) -> None:
    file = pq.ParquetFile(archive.folder / archive.manifest.files[0].path)
    assert file.metadata.num_row_groups == 3
    point = pa.struct([pa.field(axis, pa.float64(), nullable=False) for axis in "xy"])
    assert file.schema_arrow.names == [
        "device", "time", "geometry", "accuracy_cm", "source", "speed_cm_per_s", "course_centidegrees", "altitude_cm",
        "hdop_hundredths", "satellites", "battery_percent", "received",
    ]  # fmt: skip
    kinds = [pa.string(), pa.timestamp("us", "UTC"), point, pa.int32(), pa.string(), *[pa.int32()] * 6]
    assert file.schema_arrow.types == [*kinds, pa.timestamp("ms", "UTC")]
    assert len(LEAVES) == len(NAMES)


def test_several_row_groups_are_read_as_one(archive: Archive) -> None:
    fixes, found = wandering(300_000), archive.read(to_us=START_US + DAY_US)
    order = np.lexsort(
        (fixes.time_us, np.array([sorted(fixes.devices).index(name) for name in fixes.devices])[fixes.device])
    )
    assert all(np.array_equal(fixes.column(name)[order], found.column(name)) for name in NAMES if name != "device")
    west, south, east, north = -300_000, 531_000_000, 200_000, 531_200_000
    inside = (fixes.lon_e7 >= west) & (fixes.lon_e7 <= east) & (fixes.lat_e7 >= south) & (fixes.lat_e7 <= north)
    assert len(archive.read(to_us=START_US + DAY_US, box_e7=(west, south, east, north))) == inside.sum() > 100
    file = archive.file(archive.manifest.files[0])
    assert len(file.candidates(box_e7=(west, south, west + 1000, south + 1000))) < len(file)


def test_duckdb_reads_it(archive: Archive) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    fixes, with_all = wandering(300_000), duckdb.connect()
    with_all.execute("SET TimeZone = 'UTC'")
    source = f"read_parquet('{archive.folder}/*/*.parquet')"
    told = with_all.execute(
        f"SELECT count(*), count(DISTINCT device), epoch_us(min(time)), count(accuracy_cm), count(DISTINCT day) FROM {source}"
    ).fetchone()
    assert told == (
        300_500, 40, fixes.time_us.min(), (fixes.accuracy_cm != ABSENT).sum() + (fixes.accuracy_cm[:500] != ABSENT).sum(), 2,
    )  # fmt: skip
    kind = with_all.execute(f"SELECT typeof(geometry) FROM {source} LIMIT 1").fetchone()[0]
    x, y = ("geometry.x", "geometry.y") if kind.startswith("STRUCT") else ("st_x(geometry)", "st_y(geometry)")
    inside = (fixes.lon_e7 > 0) & (fixes.lon_e7 < 1_000_000) & (fixes.lat_e7 < 531_000_000)
    inside = inside & (fixes.source == 1)
    found = with_all.execute(
        f"SELECT count(*) FROM {source} WHERE {x} BETWEEN 0.00000005 AND 0.09999995 AND {y} < 53.09999995 AND source = 'gps'"
        " AND day = '2026-05-27'"
    ).fetchone()
    with_all.close()
    assert found == (inside.sum(),)


def test_geopandas_reads_it_as_points(archive: Archive) -> None:
    file = archive.manifest.files[1]
    frame = geopandas.read_parquet(archive.folder / file.path)
    assert frame.crs.to_authority() == ("OGC", "CRS84")
    assert len(frame) == file.rows == 500
    fixes = archive.read(from_us=START_US + 2 * DAY_US)
    told = {
        (row.device, row.time.value // 1000): (row.geometry.x, row.geometry.y, row.source) for row in frame.itertuples()
    }
    for device, time_us, lat_e7, lon_e7, _, source, *_ in zip(*(fixes.column(n).tolist() for n in NAMES), strict=True):
        x, y, name = told[fixes.devices[device], time_us]
        assert name == SOURCE_NAMES[source]
        assert np.hypot(x - lon_e7 / 1e7, y - lat_e7 / 1e7) * 111_320 < 0.01  # metres
    bounds = archive.manifest.files[1].box_e7
    assert np.abs(frame.total_bounds * 1e7 - bounds).max() <= 0.5


def test_a_fix_takes_eight_bytes_at_most(tmp_path: Path) -> None:
    world = simulate(100, 2, 1)
    export(tmp_path / "archive", lambda spill: by_day([world.fixes], spill))
    told = Archive(tmp_path / "archive").manifest
    assert told.fixes == len(world.fixes)
    assert sum(path.stat().st_size for path in (tmp_path / "archive").rglob("*.parquet")) == told.bytes <= 8 * told.fixes
