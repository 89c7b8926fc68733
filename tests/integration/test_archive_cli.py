"""The commands `archive export`, `import` and `verify` as a user runs them, and an archive where trails are taken."""

from __future__ import annotations

import csv
import json
import resource
import subprocess
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from typer.testing import CliRunner

from engine.activations import Activations
from engine.archive.order import once
from engine.archive.reader import Archive
from engine.database import Connection
from engine.errors import InputError
from engine.fixes import NAMES, Fixes
from engine.store.fixes import FixStore
from engine.times import parse_time
from ingest.activation_files import read_activations
from ingest.event_files import read_events
from ingest.trail_files import read_trail, read_trails
from tagwatch.cli.main import app
from tagwatch.configuration import save
from tests.integration.test_match_cli import TAGWATCH, call, run

START_US = parse_time("2026-03-01T00:00Z")
OURS = ("--activations", "activations.csv", "--events", "events.csv")
THEIRS = ("--activations", "A/activations.csv", "--events", "A/events.csv")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town on the disk, and the archive A of it."""
    folder = tmp_path_factory.mktemp("town")
    run("simulate", "--wearers", 20, "--days", 3, "--seed", 1, "--out", folder, cwd=folder)
    done = json.loads(call("archive", "export", "--trails", "trails.parquet", *OURS, "--out", "A", cwd=folder))
    assert (done["days"], done["days_new"], done["fixes"], done["devices"]) == (3, 3, done["fixes_new"], 20)
    return folder


def same(one: Fixes, two: Fixes) -> bool:
    one, two = once(one), once(two)
    return one.devices == two.devices and all(np.array_equal(one.column(name), two.column(name)) for name in NAMES)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_what_the_trails_do_and_verifies(town: Path) -> None:
    assert same(read_trail(town / "A"), read_trail(town / "trails.parquet"))
    assert (town / "A/activations.csv").read_bytes() == (town / "activations.csv").read_bytes()
    assert {*read_events(town / "A/events.csv")} == {*read_events(town / "events.csv")}
    call("archive", "verify", "A", cwd=town)
    assert json.loads((town / "A/manifest.json").read_bytes())["software"].startswith("tagwatch ")


def test_a_fault_is_a_line_and_exit_code_1(town: Path, tmp_path: Path) -> None:
    call("archive", "export", "A", "--out", tmp_path / "copy", cwd=town)
    (tmp_path / "copy/day=2026-03-24/fixes.parquet").unlink()
    done = CliRunner().invoke(app, ["archive", "verify", str(tmp_path / "copy")])
    assert done.exit_code == 1
    [flaw] = [json.loads(line) for line in done.stdout.splitlines()]
    message = "is in the manifest, and not there"
    assert flaw == {"file": "day=2026-03-24/fixes.parquet", "code": "missing", "message": message}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--trails is missing: expected trail files, or --database instead of them"),
        (("--database", "--trails", "A"), "--trails is missing: expected trail files, or --database"),
        (("--database", "--events", "events.csv"), "no --activations or --events"),
        (("--trails", "none.csv"), "none.csv: cannot be read"),
        (("--trails", "crimes.csv"), "crimes.csv"),
    ],
)
def test_wrong_use_leaves_nothing_behind(town: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError) as fault:
        call("archive", "export", *words, "--out", "none", cwd=town)
    assert said in str(fault.value)
    assert not (town / "none").exists() or not [*(town / "none").iterdir()]


def test_month_by_month_is_as_at_once(town: Path) -> None:
    cut = "2026-03-24T13:30:00Z"
    give = ("archive", "export", "--trails", "trails.parquet", *OURS, "--out", "B")
    call(*give, "--from", cut, cwd=town)
    with pytest.raises(InputError, match="--merge"):
        call(*give, "--to", cut, cwd=town)
    done = json.loads(call(*give, "--to", cut, "--merge", cwd=town))
    assert (done["days_new"], done["days_grown"], done["days"]) == (1, 1, 3)
    assert tree(town / "B") == tree(town / "A")
    assert json.loads(call(*give, cwd=town))["days_same"] == 3
    assert tree(town / "B") == tree(town / "A")


def test_bad_rows_are_refused_or_left_out(town: Path) -> None:
    (town / "bad.csv").write_text("device,time,lat,lon\nx,2026-03-24T12:00Z,53,-1\nx,2026-03-24T12:01Z,93,-1\n")
    give = ("archive", "export", "bad.csv", "--out", "C")
    with pytest.raises(InputError, match=r"bad\.csv, row 2"):
        call(*give, cwd=town)
    assert json.loads(call(*give, "--skip-bad", cwd=town))["fixes"] == 1


@pytest.mark.parametrize("at", [0, 1, 3])
def test_near_says_the_same_from_the_archive(town: Path, at: int) -> None:
    row = list(csv.DictReader((town / "crimes.csv").read_text().splitlines()))[at]
    place = ("--lat", row["lat"], "--lon", row["lon"], "--from", row["from"], "--to", row["to"], "--json", "--compatible")
    told = call("near", *place, "--trails", "trails.parquet", *OURS, cwd=town)
    assert told == call("near", *place, "--trails", "A", *THEIRS, cwd=town)
    assert told.count(b"\n") >= 20


def test_match_and_replay_say_the_same_from_the_archive(town: Path) -> None:
    assert call("match", "--crimes", "crimes.csv", "--trails", "trails.parquet", *OURS, cwd=town) == call(
        "match", "--crimes", "crimes.csv", "--trails", "A", *THEIRS, cwd=town
    )
    rules = ("--zones", "zones.geojson", "--curfews", "curfews.json", *OURS)
    whole = call("replay", "trails.parquet", *rules, cwd=town)
    assert whole == call("replay", "A", *rules, cwd=town)
    days = sorted(str(path.relative_to(town)) for path in (town / "A").glob("*/*.parquet"))
    assert whole == call("replay", *days, *rules, cwd=town)
    assert call("replay", days[0], *rules, cwd=town)


def test_evidence_from_an_archive_names_its_rows_and_verifies(town: Path) -> None:
    lines = call("match", "--crimes", "crimes.csv", "--trails", "A", *THEIRS, "--only", "placed", cwd=town).splitlines()
    line = next(line for line in map(json.loads, lines) if "wearer" in line)
    build = ("evidence", "build", "--crime", line["crime"], "--wearer", line["wearer"], "--out", "pack.zip")
    call(*build, "--crimes", "crimes.csv", "--trails", "A", *THEIRS, cwd=town)
    assert call("evidence", "verify", "pack.zip", cwd=town).endswith(b"pack.zip: verified\n")
    with ZipFile(town / "pack.zip") as pack:
        rows = list(csv.DictReader(pack.read("fixes.csv").decode().splitlines()))
        origins = json.loads(pack.read("manifest.json"))["origins"]
    told = {file.sha256: file.path for file in Archive(town / "A").manifest.files}
    assert {(o["file"], o["sha256"]) for o in origins} <= {(path, sha256) for sha256, path in told.items()}
    for row in rows[:: len(rows) // 10]:
        fixes = read_trail(town / "A" / told[row["origin_sha256"]])
        k = int(row["origin_row"]) - 1
        assert (f"{fixes.lat_e7[k] / 1e7:.7f}", int(fixes.time_us[k])) == (row["lat"], parse_time(row["time"]))


def test_a_full_disk_is_one_line_and_leaves_the_archive_as_it_was(town: Path, tmp_path: Path) -> None:
    call("archive", "export", "A", "--out", tmp_path / "archive", "--to", "2026-03-24T00:00Z", cwd=town)
    before = tree(tmp_path / "archive")
    done = subprocess.run(
        [TAGWATCH, "archive", "export", "A", "--out", tmp_path / "archive"], cwd=town, capture_output=True, check=False,
        timeout=60, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )  # fmt: skip
    assert done.returncode == 2
    assert b"cannot be written: File too large" in done.stderr
    assert tree(tmp_path / "archive") == before


def test_through_the_database_and_back(town: Path, connection: Connection, url: str) -> None:
    (town / "tagwatch.toml").write_text(f'[database]\nurl = "{url}"\n')
    first = json.loads(call("archive", "import", "A", cwd=town))
    assert first["fixes"] == first["fixes_new"] == Archive(town / "A").manifest.fixes
    again = json.loads(call("archive", "import", "A", cwd=town))
    assert (again["fixes"], again["fixes_new"], again["events"]) == (first["fixes"], 0, first["events"])
    assert same(FixStore(connection).read(), read_trails([town / "trails.parquet"]))
    assert [*Archive(town / "A").events()] == sorted(FixStore(connection).read_events(), key=lambda e: (e.time_us, *e[:4]))
    connection.commit()
    rows = read_activations(town / "activations.csv").rows
    save(connection, START_US, activations=Activations(rows))
    connection.commit()
    call("archive", "export", "--database", "--out", "D", "--reason", "year end", cwd=town)
    assert tree(town / "D") == tree(town / "A")
    actions = connection.execute(
        "SELECT action, reason FROM audit_entry WHERE action LIKE 'archive%' ORDER BY number"
    ).fetchall()
    assert actions == [("archive imported", ""), ("archive imported", ""), ("archive exported", "year end")]
    part = ("--from", "2026-03-24T06:00Z", "--to", "2026-03-25T06:00Z")
    call("archive", "export", "--database", "--out", "E", *part, cwd=town)
    call("archive", "export", "A", *OURS, "--out", "F", *part, cwd=town)
    assert tree(town / "E") == tree(town / "F")
