"""The base of maps: the coast, a file of tiles with ranges, the tiles of another server, which this one fetches and keeps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas
import pytest
import shapely

from tagwatch.console import map_data
from tagwatch.console.map_data import Tiles
from tagwatch.console.office import Office
from tagwatch.settings import Console, Settings
from tests.integration.console.conftest import Client

if TYPE_CHECKING:
    from playwright.sync_api import Page

SignIn = Callable[[str], Client]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8ffff3f0005fe02fea7351f8c"
    "0000000049454e44ae426082"
)
STREETS = {"type": "FeatureCollection", "features": [
    {"type": "Feature", "properties": {"name": "Elm Street"}, "geometry": {"type": "LineString", "coordinates": [[-0.5, 53.2], [-0.49, 53.2]]}}]}  # fmt: skip


class Server(BaseHTTPRequestHandler):
    """Gives a picture for each tile of zoom 1 to 12, something else for the others; counts."""

    asked: list[str]

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        zoom = int(self.path.split("/")[1])
        kind, body = ("image/png", PNG) if zoom <= 12 else ("text/html", b"<p>no</p>")
        if zoom == 14:
            kind, body = "image/png", b"0" * (map_data.MOST_TILE_BYTES + 1)
        self.send_response(302 if zoom == 15 else 404 if zoom == 16 else 200)
        self.send_header("content-type", kind)
        self.send_header("location", "/1/0/0.png")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def tile_server() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (Server,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{{z}}/{{x}}/{{y}}.png", asked
        server.shutdown()


@pytest.fixture
def office(office: Office, request: pytest.FixtureRequest) -> Office:
    """The office with the base map that a test names."""
    kind = getattr(request, "param", "")
    if kind == "xyz":
        base_map = request.getfixturevalue("tile_server")[0]
    elif kind == "pmtiles":
        base_map = str(request.getfixturevalue("archive"))
    else:
        base_map = ""
    office.settings = Settings(console=Console(base_map=base_map, attribution="Map data: nobody <b>" if base_map else ""))
    office.scene = {"streets": STREETS}
    return office


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A small file of vector tiles: water and a road."""
    path = tmp_path / "town.pmtiles"
    shapes = [shapely.box(-2, 53, 0, 54), shapely.LineString([(-2, 53.5), (0, 53.6)])]
    frame = geopandas.GeoDataFrame({"name": ["Sea", "Road"]}, geometry=shapes, crs=4326)
    frame.to_file(path, driver="PMTiles", engine="pyogrio", layer="water", MINZOOM=0, MAXZOOM=8)
    return path


def test_without_a_setting_there_is_the_coast(signed_in: SignIn) -> None:
    client = signed_in("operator")
    assert client.get("/map/base.json").json() == {
        "kind": "coast",
        "attribution": "Coast: Natural Earth",
        "streets": STREETS,
    }
    assert client.get("/map/base.pmtiles").status_code == 404
    assert client.get("/map/tiles/1/0/0").status_code == 404


def test_nobody_gets_tiles_without_signing_in(address: str) -> None:
    import httpx

    for path in ("/map/base.json", "/map/base.pmtiles", "/map/tiles/1/0/0"):
        answer = httpx.get(address + path, headers={"sec-fetch-mode": "cors"}, trust_env=False, timeout=90)
        assert answer.status_code == 401, path


@pytest.mark.parametrize("office", ["xyz"], indirect=True)
def test_tiles_of_another_server(signed_in: SignIn, tile_server: tuple[str, list[str]]) -> None:
    client, asked = signed_in("operator"), tile_server[1]
    for _ in range(2):
        answer = client.get("/map/tiles/9/253/165")
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PNG, "image/png")
    assert asked == ["/9/253/165.png"]  # once: then it is kept
    for wrong in ("9/512/1", "9/-1/0", "23/0/0", "9/x/0"):
        assert client.get(f"/map/tiles/{wrong}").status_code in (404, 422), wrong
    assert "/9/512/1.png" not in asked
    for none in ("13/0/0", "14/0/0", "15/0/0", "16/0/0"):  # no picture, too large, elsewhere, not there
        answer = client.get(f"/map/tiles/{none}")
        assert (answer.status_code, answer.content) == (204, b""), none
    assert len(asked) == 5


def test_a_server_that_cannot_be_reached_and_a_full_store(tile_server: tuple[str, list[str]], monkeypatch: Any) -> None:
    assert Tiles("http://127.0.0.1:1/{z}/{x}/{y}").tile(1, 0, 0) is None
    monkeypatch.setattr(map_data, "MOST_KEPT_BYTES", 2 * len(PNG))
    tiles, asked = Tiles(tile_server[0]), tile_server[1]
    for x in (0, 1, 0, 2, 0, 1):
        assert tiles.tile(4, x, 0) is not None
    assert asked == ["/4/0/0.png", "/4/1/0.png", "/4/2/0.png", "/4/1/0.png"]  # 1 was the longest unused when 2 came


@pytest.mark.parametrize("office", ["pmtiles"], indirect=True)
def test_a_file_of_tiles_gives_ranges(signed_in: SignIn, archive: Path) -> None:
    client = signed_in("operator")
    told = client.get("/map/base.json").json()
    assert (told["kind"], told["vector"]) == ("pmtiles", True)
    answer = client.get("/map/base.pmtiles", headers={"range": "bytes=0-126"})
    assert (answer.status_code, answer.content) == (206, archive.read_bytes()[:127])
    assert answer.headers["content-range"] == f"bytes 0-126/{archive.stat().st_size}"
    assert client.get("/map/base.pmtiles", headers={"range": f"bytes={archive.stat().st_size}-"}).status_code == 416


@pytest.mark.parametrize(("office", "attribution"), [("xyz", "Map data: nobody <b>"), ("pmtiles", "Map data: nobody <b>"), ("", "Coast: Natural Earth")],
                         indirect=["office"])  # fmt: skip
def test_the_base_is_drawn(visit: Callable[..., Page], office: Office, attribution: str) -> None:
    page = visit("investigator", "/near")
    page.wait_for_selector("#near-map[data-ready]")
    page.wait_for_selector("#near-map .ol-attribution li")
    assert page.inner_text("#near-map .ol-attribution") == attribution
    assert page.locator("#near-map .ol-attribution b").count() == 0
    extent = "async () => { const map = await (await import('/static/map.js')).mapOf('near-map'); return map.streets.getSource().getFeatures().length; }"
    assert page.evaluate(extent) == 1
