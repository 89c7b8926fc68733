"""The commands `evidence build`, `verify` and `key` as a user runs them, from files and from the database."""

from __future__ import annotations

import csv
import json
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner

from engine.database import connect
from engine.errors import InputError
from engine.store.fixes import FixStore
from ingest.activation_files import read_activations
from ingest.event_files import read_events
from ingest.trail_files import hash_of, read_trails
from tagwatch.cli.main import app
from tagwatch.configuration import save
from tests.integration.test_match_cli import call, given, run


class Scene(NamedTuple):
    """A town on the disk, with a crime and who did it."""

    folder: Path
    crime: str
    burglar: str


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("town")
    run("simulate", "--wearers", 20, "--days", 3, "--seed", 1, "--out", folder, cwd=folder)
    rows = list(csv.DictReader((folder / "truth" / "crimes.csv").read_text().splitlines()))
    lines = [json.loads(line) for line in call("match", *given("crimes.csv"), "--only", "placed", cwd=folder).splitlines()]
    placed = {(line["crime"], line["wearer"]) for line in lines if "wearer" in line}
    row = next(row for row in rows if (row["reference"], row["wearer"]) in placed)
    return Scene(folder, row["reference"], row["wearer"])


def build(scene: Scene, *words: object, out: str = "pack.zip") -> bytes:
    call("evidence", "build", "--crime", scene.crime, "--wearer", scene.burglar, "--out", out, *words, cwd=scene.folder)
    return (scene.folder / out).read_bytes()


def members(pack: bytes) -> dict[str, bytes]:
    with ZipFile(BytesIO(pack)) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_from_files_signed_and_verified(scene: Scene) -> None:
    call("evidence", "key", "--out", "key.pem", "--name", "A force", cwd=scene.folder)
    pack = build(scene, *given("crimes.csv"), "--sign", "key.pem")
    assert build(scene, *given("crimes.csv"), "--sign", "key.pem", out="again.zip") == pack
    told = call("evidence", "verify", "pack.zip", "--signed", cwd=scene.folder).decode()
    assert "signature of the pack: by " in told
    assert told.endswith("pack.zip: verified\n")


def test_each_position_names_the_row_of_the_file_it_came_from(scene: Scene) -> None:
    found = members(build(scene, *given("crimes.csv")))
    rows = list(csv.DictReader(found["fixes.csv"].decode().splitlines()))
    trail = read_trails([scene.folder / "trails.parquet"])
    assert {row["origin_sha256"] for row in rows} == {hash_of(scene.folder / "trails.parquet")}
    for row in rows[:: len(rows) // 20]:
        k = int(row["origin_row"]) - 1
        assert f"{trail.lat_e7[k] / 1e7:.7f}" == row["lat"]
    origins = json.loads(found["manifest.json"])["origins"]
    assert origins == [{"file": "trails.parquet", "sha256": hash_of(scene.folder / "trails.parquet")}]


def test_the_record_gives_the_same_match_by_the_ordinary_command(scene: Scene) -> None:
    found = members(build(scene, *given("crimes.csv")))
    for name in ("crimes", "fixes", "activations", "events"):
        (scene.folder / f"record_{name}.csv").write_bytes(found[f"record/{name}.csv"])
    paths = ("--crimes", "record_crimes.csv", "--trails", "record_fixes.csv", "--activations", "record_activations.csv")
    line = json.loads(call("match", *paths, "--events", "record_events.csv", cwd=scene.folder))
    told = json.loads(found["record/match.json"])
    assert {key: value for key, value in line.items() if key not in ("routine", "chance", "crime", "force")} == {
        key: value for key, value in told.items() if key not in ("routine", "chance", "crime", "force")
    }


def test_exit_codes(scene: Scene) -> None:
    pack = bytearray(build(scene, *given("crimes.csv")))
    pack[len(pack) // 2] ^= 1
    (scene.folder / "broken.zip").write_bytes(pack)
    runner = CliRunner()
    assert runner.invoke(app, ["evidence", "verify", str(scene.folder / "broken.zip")]).exit_code == 1
    assert runner.invoke(app, ["evidence", "verify", str(scene.folder / "pack.zip"), "--signed"]).exit_code == 1
    assert runner.invoke(app, ["evidence", "verify", str(scene.folder / "pack.zip")]).exit_code == 0
    for words, message in (
        (("--wearer", "nobody"), "--wearer"), (("--crime", "none"), "--crime"), (("--local", "Mars"), "--local"),
        (("--sign", "town.pem"), "town.pem"), (("--run", "abc"), "--run"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            build(scene, *given("crimes.csv"), *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "none/pack.zip"), "--out is 'none/pack.zip': expected a file in a folder that there is; none is none"),
        (("--out", "truth"), "--out is 'truth': expected a file, not a folder"),
        (("--base-map", "none.gpkg"), "--base-map is 'none.gpkg': expected a GeoPackage or GeoJSON file that there is"),
        (("--password-file", "crimes.csv"), "--sign is missing: expected the key that --password-file opens"),
        (("--config", "tagwatch.toml"), "--config is for a run of the database: expected no --trails beside it"),
        (("--force", "Nowhere"), "--force is 'Nowhere': expected one of the forces that have a crime"),
        (("--wearer", "nobody"), r"one of the 20 wearers of the trails and activations \(W0001, W0002, "),
    ],
)
def test_what_is_wrong_is_named(scene: Scene, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        build(scene, *given("crimes.csv"), *words)
    assert not list(scene.folder.glob("*.part"))


@pytest.mark.parametrize(
    "words", [("--radius", "100"), ("--crimes", "crimes.csv"), ("--percentile", "0.95"), ("--skip-bad",)]
)
def test_a_recorded_run_takes_no_options_of_a_match(scene: Scene, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=f"--trails is missing: {words[0]} is for a match of files"):
        build(scene, *words)


def test_a_reference_of_two_forces_asks_for_the_force(scene: Scene) -> None:
    rows = (scene.folder / "crimes.csv").read_text().splitlines()
    mine = next(row for row in rows if row.split(",")[1] == scene.crime)
    other = mine.replace(mine.split(",")[0], "Essex", 1)
    (scene.folder / "both.csv").write_text("\n".join([rows[0], mine, other]) + "\n")
    with pytest.raises(InputError, match=f"--force is missing: expected one of .* a crime {scene.crime}: Essex, "):
        build(scene, *given("both.csv"))
    found = members(build(scene, *given("both.csv"), "--force", "Essex"))
    assert found["crime.csv"].decode().splitlines()[1].startswith("Essex,")


def test_from_the_database_the_same_verdict_and_a_changed_crime_is_named_on_the_first_page(scene: Scene, url: str) -> None:
    folder = scene.folder
    (folder / "tagwatch.toml").write_text(f'[database]\nurl = "{url}"\n')
    with connect(url) as connection:
        FixStore(connection).write(read_trails([folder / "trails.parquet"]))
        FixStore(connection).write_events(read_events(folder / "events.csv"))
        save(connection, 0, activations=read_activations(folder / "activations.csv"))
    with pytest.raises(InputError, match="--crime is '.*': expected the reference of a stored crime"):
        build(scene)
    call("crimes", "import", "crimes.csv", cwd=folder)
    with pytest.raises(InputError, match="--wearer is '.*': expected a line of a recorded run about"):
        build(scene)
    with pytest.raises(InputError, match="--force is 'Nowhere': expected one of the forces that have a crime"):
        build(scene, "--force", "Nowhere")
    call("match", "--out", "run.jsonl", "--by", "kim", cwd=folder)
    recorded = members(build(scene, out="first.zip"))
    of_files = members(build(scene, *given("crimes.csv"), out="files.zip"))
    assert recorded["record/match.json"] == of_files["record/match.json"]
    assert recorded["record/fixes.csv"] == of_files["record/fixes.csv"]
    assert "crime" in json.loads(recorded["record/match.json"])
    assert call("evidence", "verify", "first.zip", cwd=folder).decode().endswith("verified\n")

    rows = (folder / "crimes.csv").read_text().splitlines()
    changed = [rows[0], *(row.replace(row.split(",")[2], "AB", 1) for row in rows[1:] if row.split(",")[1] == scene.crime)]
    (folder / "changed.csv").write_text("\n".join(changed) + "\n")
    call("crimes", "import", "changed.csv", cwd=folder)
    stale = members(build(scene, out="stale.zip"))
    facts = json.loads(stale["record/case.json"])["stale"]
    assert (facts["version"], facts["latest"]) == (1, 2)
    assert [change[0] for change in facts["changes"]] == ["type"]
    assert call("evidence", "verify", "stale.zip", cwd=folder).decode().endswith("verified\n")
