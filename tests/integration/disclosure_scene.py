"""A town in the database for the tests of disclosure: hostile names, alerts with a history, runs, an evidence pack, looks."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

from alerts.alert import Alert, to_json
from alerts.ledger import Version
from alerts.routing import Routing
from alerts.store import Entry, Outgoing, write_entries, write_versions
from engine.activations import Activation, Activations
from engine.database import connect
from engine.fixes import NAMES as NAMES_OF_COLUMNS
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import to_iso
from engine.wearers import Wearer
from ingest.activation_files import read_activations
from ingest.event_files import read_events
from ingest.quarantine import Quarantined
from ingest.store import write_quarantine
from ingest.trail_files import read_trails
from tagwatch.configuration import save
from tests.integration.test_match_cli import call

HOSTILE = "../../=cmd|' /C calc'!A0"
NAMES = {"W0001": "Ann Otherson", "W0002": '=HYPERLINK("http://x")', "W0003": "Kim Example"}


class Scene(NamedTuple):
    """The folder, the database, a crime, its force, who is placed there, and a wearer who is not."""

    folder: Path
    url: str
    crime: str
    force: str
    placed: str
    excluded: str


def make_scene(folder: Path, url: str) -> Scene:
    call("simulate", "--wearers", 12, "--days", 2, "--seed", 1, "--out", folder, cwd=folder)
    (folder / "tagwatch.toml").write_text(f'[database]\nurl = "{url}"\n')
    worn = read_activations(folder / "activations.csv")
    with connect(url) as connection:
        store, trails = FixStore(connection), read_trails([folder / "trails.parquet"])
        store.write(trails)
        store.write_events(read_events(folder / "events.csv"))
        first_us = int(trails.time_us.min())
        store.write(_far(trails))
        tag = Activation("=tag", HOSTILE, first_us)
        people = [Wearer(one.wearer, NAMES.get(one.wearer, f"Person {one.wearer}")) for one in worn.rows]
        people += [Wearer(HOSTILE, "@SUM(1)")]
        away = Activation("FAR", "W-far", first_us)
        save(connection, first_us, activations=Activations([*worn.rows, tag, away]), wearers=people, zones=_zones())
    call("crimes", "import", "crimes.csv", cwd=folder)
    call("match", "--out", "run.jsonl", "--by", "kim", cwd=folder)
    found = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    placed = next(line for line in found if line.get("verdict") == "placed")
    of = {line["wearer"]: line["verdict"] for line in found if line.get("crime") == placed["crime"] and "wearer" in line}
    excluded = next(wearer for wearer, verdict in of.items() if verdict == "excluded")
    scene = Scene(folder, url, placed["crime"], placed["force"], placed["wearer"], excluded)
    _more(scene, first_us)
    return scene


def _far(trails: Fixes) -> Fixes:
    """The trail of somebody, 200 km to the north: he is excluded."""
    mine = trails.take(trails.device == 0)
    columns = {name: mine.column(name) for name in NAMES_OF_COLUMNS if name not in ("device", "lat_e7")}
    return Fixes.of(("FAR",), device=0 * mine.device, lat_e7=mine.lat_e7 + 20_000_000, **columns)


def _zones() -> dict[str, Any]:
    ring = [[0.0, 51.0], [0.1, 51.0], [0.1, 51.1], [0.0, 51.0]]
    told = {"id": "Z1", "name": "Home of Ann Otherson", "kind": "exclusion", "wearers": ["W0001", "W0002", HOSTILE],
            "note": "she moved there in May"}  # fmt: skip
    return {"type": "FeatureCollection", "features": [
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": told}]}  # fmt: skip


def _more(scene: Scene, first_us: int) -> None:
    with connect(scene.url) as connection:
        for k, wearer in enumerate((scene.placed, HOSTILE)):
            began = to_iso(first_us + 60_000_000)
            why = {"text": f"{wearer} was in Home of Ann Otherson, near W0002 and W0001", "zone": "Home of Ann Otherson"}
            alert = Alert(
                wearer, "=tag", "zone.exclusion", "Z1", "critical", "active", began, None, None, 0.99, 3.0, 0, [], why
            )
            identifier = f"a{k}"
            write_entries(connection, [Entry(identifier, 1, alert, k)], first_us)
            version = Version(identifier, 1, "raised", alert, first_us, 1.0, False)
            write_versions(connection, [version], k, Outgoing(Routing(("mail:boss@force.example",)), first_us, first_us))
            connection.execute("UPDATE alert SET content = %s WHERE id = %s", [to_json(alert).decode(), identifier])
        odd = Quarantined(first_us // 1_000_000 + 5, "tags/=tag/fixes", "=tag", b"\xff{}", "not JSON", "time", "x", "y")
        write_quarantine(connection, [odd])
    call("alerts", "ack", "a1", "--by", "olivia", "--note", "=called W0001, spoke to Ann Otherson", cwd=scene.folder)
    call("audit", "list", "--subject", HOSTILE, cwd=scene.folder)


def members(path: Path) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(path.read_bytes())) as file:
        return {name: file.read(name) for name in file.namelist()}


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def disclose(scene: Scene, *words: object, out: str = "d.zip") -> dict[str, bytes]:
    call("disclose", *words, "--reason", "asked for", "--out", out, "--overwrite", cwd=scene.folder)
    return members(scene.folder / out)
