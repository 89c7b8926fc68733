"""What lies below the data on maps: tiles of the base map that is set, or the coast, and the streets of a demo.

Browsers ask this server alone. Tiles of another server are fetched by this one and kept for a while: that server learns which
places are looked at, and by nobody but the centre.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, NamedTuple

import httpx
from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse, JSONResponse, Response

from tagwatch.console.caller import Caller, needs
from tagwatch.console.office import Here
from tagwatch.settings import Settings

router = APIRouter(include_in_schema=False)
Anybody = Annotated[Caller, needs("own account")]

MOST_ZOOM = 22
MOST_TILE_BYTES, MOST_KEPT_BYTES = 2_000_000, 64_000_000
TIMEOUT_S = 8.0
_DAY = {"cache-control": "private, max-age=86400"}
_PMTILES_HEADER_BYTES, _TILE_TYPE_AT, _VECTOR = 127, 99, 1


class Tile(NamedTuple):
    """A picture of a tile server."""

    media_type: str
    body: bytes


class Tiles:
    """Tiles of an address with {z}, {x}, {y}, fetched once and kept, the longest unused going first."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)
        self._kept: OrderedDict[tuple[int, int, int], Tile] = OrderedDict()
        self._n_bytes = 0
        self._lock = Lock()

    def tile(self, z: int, x: int, y: int) -> Tile | None:
        """The tile, or None where the server has none, sends no picture, or cannot be reached in time."""
        with self._lock:
            if (kept := self._kept.get((z, x, y))) is not None:
                self._kept.move_to_end((z, x, y))
                return kept
        found = self._fetch(z, x, y)
        if found is not None:
            self._keep((z, x, y), found)
        return found

    def _fetch(self, z: int, x: int, y: int) -> Tile | None:
        address = self._address.replace("{z}", str(z)).replace("{x}", str(x)).replace("{y}", str(y))
        try:
            with self._client.stream("GET", address) as answer:
                kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
                if answer.status_code != 200 or kind not in ("image/png", "image/jpeg", "image/webp", "image/avif"):
                    return None
                body = b""
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > MOST_TILE_BYTES:
                        return None
                return Tile(kind, body)
        except httpx.HTTPError:
            return None

    def _keep(self, key: tuple[int, int, int], found: Tile) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = found
            self._n_bytes += len(found.body)
            while self._n_bytes > MOST_KEPT_BYTES:
                self._n_bytes -= len(self._kept.popitem(last=False)[1].body)


@lru_cache(maxsize=4)
def _server(address: str) -> Tiles:
    return Tiles(address)


@router.get("/map/base.json")
def base(office: Here, caller: Anybody) -> Response:
    """Which base map there is: kind "xyz", "pmtiles" or "coast", its attribution, and the streets of a demo."""
    return JSONResponse(told(office.settings, office.scene.get("streets")), headers={"cache-control": "no-store"})


@router.get("/map/base.pmtiles")
def archive(office: Here, caller: Anybody) -> Response:
    """The file of the base map, any range of it."""
    path = office.settings.console.base_map
    if not is_archive(path) or not Path(path).is_file():
        raise HTTPException(404, "no file of tiles is set")
    return FileResponse(path, media_type="application/vnd.pmtiles", headers=dict(_DAY))


@router.get("/map/tiles/{z}/{x}/{y}")
def tile(office: Here, caller: Anybody, z: int, x: int, y: int) -> Response:
    """A tile of the server that is set, or nothing (204) where it has none; 404 for a tile that cannot be."""
    address = office.settings.console.base_map
    if "{z}" not in address or not (0 <= z <= MOST_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise HTTPException(404, "there is no such tile")
    found = _server(address).tile(z, x, y)
    if found is None:
        return Response(status_code=204)
    return Response(found.body, media_type=found.media_type, headers=dict(_DAY))


def is_archive(base_map: str) -> bool:
    """Whether a setting names a file of tiles, not an address."""
    return base_map.lower().endswith(".pmtiles") and "://" not in base_map


def told(settings: Settings, streets: Any = None) -> dict[str, Any]:
    """What the maps are told of their base."""
    path, attribution = settings.console.base_map, settings.console.attribution
    if "{z}" in path:
        return {"kind": "xyz", "attribution": attribution, "max_zoom": 19, "streets": streets}
    if is_archive(path) and Path(path).is_file():
        return {"kind": "pmtiles", "vector": _is_vector(Path(path)), "attribution": attribution, "streets": streets}
    return {"kind": "coast", "attribution": "Coast: Natural Earth", "streets": streets}


def _is_vector(path: Path) -> bool:
    with path.open("rb") as file:
        header = file.read(_PMTILES_HEADER_BYTES)
    return len(header) > _TILE_TYPE_AT and header[_TILE_TYPE_AT] == _VECTOR
