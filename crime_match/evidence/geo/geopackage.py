"""The map of a pack as a GeoPackage (OGC 12-128r19), written by GDAL: layers crime, vicinity, tracks, circles, fixes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyogrio
import shapely

from crime_match.evidence.case import Case
from crime_match.evidence.geo.features import Layer, layers_of
from crime_match.geojson import Geometry
from engine.times import to_iso

_TYPES = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "text": pa.string(), "time": pa.string()}
_TIME = pa.timestamp("us", "UTC")
_ONE = Lock()  # GDAL's settings are the process's


def write(case: Case, layers: Sequence[Layer] = ()) -> bytes:
    """The same bytes for the same case, GDAL, SQLite and PROJ.

    A GeoPackage holds times in UTC to the millisecond; `time_us` of the fixes, microseconds since 1970, is exact.
    layers: those of the case, if they are at hand.
    """
    tables = [(layer, _table(layer)) for layer in layers or layers_of(case)]
    with tempfile.TemporaryDirectory() as folder, _dated(case.dated_us):
        path = Path(folder, "pack.gpkg")
        for n, (layer, table) in enumerate(tables):
            pyogrio.write_arrow(
                table, path, layer=layer.name, driver="GPKG", geometry_type=layer.geometry_type,
                geometry_name="geom", crs="EPSG:4326", append=n > 0,
                layer_options={"DATETIME_PRECISION": "MILLISECOND"},
            )  # fmt: skip
        return path.read_bytes()


@contextmanager
def _dated(moment_us: int) -> Iterator[None]:
    """While it lasts GDAL dates what it writes by this moment [us UTC] instead of the clock."""
    with _ONE:
        settings = {"OGR_CURRENT_DATE": to_iso(moment_us // 1000 * 1000), "OGR_SQLITE_SYNCHRONOUS": "OFF"}
        before = {name: pyogrio.get_gdal_config_option(name) for name in settings}
        pyogrio.set_gdal_config_options(settings)
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options(before)


def _table(layer: Layer) -> Any:
    """The layer as an Arrow table with its geometry as WKB."""
    columns = {"geom": pa.array(shapely.to_wkb(_shapes(layer)), pa.binary())}
    for key, kind in layer.columns.items():
        values = pa.array([feature.properties[key] for feature in layer.features], _TYPES[kind])
        columns[key] = values.cast(_TIME) if kind == "time" else values
    if "time" in columns:
        columns["time_us"] = columns["time"].cast(pa.int64())
    return pa.table(columns)


def _shapes(layer: Layer) -> Any:
    """The geometries (n,), those of one part as the many that the layer is declared to hold; None where there is none."""
    many = layer.geometry_type.startswith("Multi")
    found = [feature.geometry and (_as_many(feature.geometry) if many else feature.geometry) for feature in layer.features]
    return shapely.from_geojson(np.array([geometry and msgspec.json.encode(geometry) for geometry in found], object))


def _as_many(geometry: Geometry) -> Geometry:
    kind, coordinates = geometry["type"], geometry["coordinates"]
    return geometry if kind.startswith("Multi") else {"type": f"Multi{kind}", "coordinates": [coordinates]}
