"""The commands as a user runs them: what they print where, and their exit codes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

TAGWATCH = Path(sys.executable).with_name("tagwatch")
HEADER = "device,time,lat,lon\n"
GOOD = "a,2026-03-01T10:00:00Z,53.2,-0.5\n"


def run(*words: object, cwd: Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([TAGWATCH, *map(str, words)], cwd=cwd, input=stdin, capture_output=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    done = run("simulate", "--wearers", 24, "--days", 2, "--seed", 5, "--out", folder, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    return folder


def rules(town: Path) -> list[object]:
    return ["--zones", town / "zones.geojson", "--curfews", town / "curfews.json",
            "--activations", town / "activations.csv", "--events", town / "events.csv"]  # fmt: skip


def test_replay_writes_an_ordered_ledger_and_is_repeatable(town: Path) -> None:
    done = run("replay", town / "trails.parquet", *rules(town), "--summary", cwd=town)
    assert done.returncode == 0, done.stderr.decode()
    assert b"fixes a second" in done.stderr
    lines = done.stdout.splitlines()
    alerts = [json.loads(line) for line in lines]
    assert alerts
    keys = [(a["began"], a["wearer"], a["rule"], a["subject"]) for a in alerts]
    assert keys == sorted(keys)
    assert list(alerts[0]) == ["wearer", "device", "rule", "subject", "grade", "condition", "began", "began_after", "ended",
                               "posterior", "minutes", "n_fixes", "fixes", "why"]  # fmt: skip
    again = run("replay", town / "trails.parquet", *rules(town), "--out", "led.jsonl", cwd=town)
    assert again.stdout == b""
    assert (town / "led.jsonl").read_bytes() == done.stdout


def test_history_ends_in_the_ledger(town: Path) -> None:
    final = {
        json.dumps(json.loads(x))
        for x in run("replay", town / "trails.parquet", *rules(town), cwd=town).stdout.splitlines()
    }
    told = [
        json.loads(x)
        for x in run("replay", town / "trails.parquet", *rules(town), "--history", cwd=town).stdout.splitlines()
    ]
    last: dict[str, dict[str, object]] = {}
    for version in told:
        assert version["version"] == last.get(version["id"], {"version": 0})["version"] + 1  # type: ignore[operator]
        last[version["id"]] = version
    alive = [v for v in last.values() if not v["retracted"]]
    assert len(alive) == len(final)
    began = {(json.loads(a)["wearer"], json.loads(a)["rule"], json.loads(a)["began"]) for a in final}
    assert {(v["wearer"], v["rule"], v["began"]) for v in alive} == began


def test_near_places_the_burglar_and_answers_for_every_wearer(town: Path) -> None:
    crimes = {row["reference"]: row for row in csv.DictReader((town / "crimes.csv").read_text().splitlines())}
    truth = [row for row in csv.DictReader((town / "truth" / "crimes.csv").read_text().splitlines()) if row["wearer"]]
    assert truth
    crime, guilty = crimes[truth[0]["reference"]], truth[0]["wearer"]
    question = ["--lat", crime["lat"], "--lon", crime["lon"], "--from", crime["from"], "--to", crime["to"]]
    done = run("near", *question, "--trails", town / "trails.parquet", "--activations", town / "activations.csv",
               "--events", town / "events.csv", "--json", cwd=town)  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    matches = [json.loads(line) for line in done.stdout.splitlines()]
    verdicts = {m["wearer"]: m["verdict"] for m in matches}
    assert verdicts[guilty] in ("placed", "possible")
    assert guilty not in {w for w, v in verdicts.items() if v == "excluded"}
    only = run("near", *question, town / "trails.parquet", "--only", "placed", cwd=town)
    assert all(line.startswith(b"placed") for line in only.stdout.splitlines())


def test_standard_input_is_a_trail(tmp_path: Path) -> None:
    done = run("replay", "-", "--summary", cwd=tmp_path, stdin=(HEADER + GOOD).encode())
    assert done.returncode == 0, done.stderr.decode()
    assert b"1 fixes of 1 wearers" in done.stderr


BAD_TRAILS = [
    ("a,2026-03-01T10:01:00,53.2,-0.5\n", "row 2 (line 3)", "time", "2026-03-01T10:01:00", "offset"),
    ("a,1025-03-01T10:01:00Z,53.2,-0.5\n", "row 2 (line 3)", "time", "1025", "2000"),
    ("a,2999-03-01T10:01:00Z,53.2,-0.5\n", "row 2 (line 3)", "time", "2999", "2000"),
    ("a,2026-03-01T10:01:00Z,93.2,-0.5\n", "row 2 (line 3)", "lat", "93.2", "-90"),
    ("a,2026-03-01T10:01:00Z,nan,-0.5\n", "row 2 (line 3)", "lat", "nan", "degrees"),
]


@pytest.mark.parametrize(("row", "place", "field", "value", "expected"), BAD_TRAILS)
def test_a_bad_row_is_named(tmp_path: Path, row: str, place: str, field: str, value: str, expected: str) -> None:
    (tmp_path / "t.csv").write_text(HEADER + GOOD + row)
    done = run("replay", "t.csv", cwd=tmp_path)
    line = done.stderr.decode().strip()
    assert done.returncode == 2
    assert "\n" not in line
    for part in ("t.csv", place, field, value, expected):
        assert part in line
    kept = run("replay", "t.csv", "--skip-bad", "--summary", cwd=tmp_path)
    assert kept.returncode == 0
    assert b"1 bad rows left out" in kept.stderr
    assert b"1 fixes of" in kept.stderr


def test_files_that_are_no_trails(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    for name in ("empty.csv", "picture.png", "none.csv"):
        done = run("replay", name, cwd=tmp_path)
        assert done.returncode == 2
        assert name in done.stderr.decode()
        assert len(done.stderr.decode().strip().splitlines()) == 1


BOW_TIE = [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]
SQUARE = [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]


def zone(name: str, ring: object) -> dict[str, object]:
    properties = {"id": name, "kind": "exclusion", "wearers": "*"}
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": ring}}


def test_bad_zones_and_curfews_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(HEADER + GOOD)
    (tmp_path / "a.csv").write_text("device,wearer,from,to\na,W1,2026-01-01T00:00:00Z,\n")
    twice = {"type": "FeatureCollection", "features": [zone("z", SQUARE), zone("z", SQUARE)]}
    (tmp_path / "twice.json").write_text(json.dumps(twice))
    (tmp_path / "bow.json").write_text(json.dumps({"type": "FeatureCollection", "features": [zone("b", BOW_TIE)]}))
    curfew = {"id": "c", "wearer": "nobody", "place": {"lat": 53, "lon": 0, "radius_m": 50}, "timezone": "Europe/London",
              "weekly": [{"days": ["mon"], "start": "19:00", "end": "07:00"}]}  # fmt: skip
    (tmp_path / "c.json").write_text(json.dumps([curfew]))
    for words, parts in (
        (["zones", "check", "twice.json"], ("feature 2", "'z'")),
        (["zones", "check", "bow.json"], ("feature 1", "Self-intersection", "0.5 0.5")),
        (["replay", "t.csv", "--curfews", "c.json", "--activations", "a.csv"], ("curfew c", "wearer", "'nobody'")),
    ):
        done = run(*words, cwd=tmp_path)
        assert done.returncode == 2
        for part in parts:
            assert part in done.stderr.decode()
    assert run("zones", "check", "bow.json", "--repair", cwd=tmp_path).returncode == 0


def test_servers_that_are_not_there(tmp_path: Path) -> None:
    assert run("run", cwd=tmp_path).returncode == 2
    (tmp_path / "tagwatch.toml").write_text('[database]\nurl = "postgresql://127.0.0.1:1/x"\n')
    done = run("run", "--wait", 1, cwd=tmp_path)
    assert done.returncode == 3
    assert b"127.0.0.1:1/x is not reachable after 1 s" in done.stderr
    (tmp_path / "tagwatch.toml").write_text('[database]\nurll = "x"\n')
    wrong = run("db", "status", cwd=tmp_path)
    assert wrong.returncode == 2
    assert b"database.urll" in wrong.stderr


def test_the_demo_ends_by_itself_with_a_summary(tmp_path: Path) -> None:
    done = run("demo", "--for", "30s", "--no-browser", "--port", 8655, "--data", tmp_path / "demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    summary = json.loads(done.stdout.splitlines()[-1])
    assert list(summary) == ["wearers", "messages", "fixes_sent", "fixes_stored", "alerts", "near"]
    assert summary["wearers"] >= 200
    assert summary["fixes_sent"] == summary["fixes_stored"] > 5_000
    assert summary["alerts"] >= 2
    assert summary["near"]["placed"] >= 1
    told = done.stdout.decode()
    assert "zone.exclusion" in told
    assert "curfew.left" in told


def test_configuration_goes_into_the_database_in_versions(town: Path, tmp_path: Path) -> None:
    from tagwatch.embedded import embedded_database

    tmp_path.chmod(0o755)
    with embedded_database(tmp_path / "postgres") as url:
        (tmp_path / "tagwatch.toml").write_text(f'[database]\nurl = "{url}"\n')
        assert run("db", "status", cwd=tmp_path).returncode == 1
        early = run("zones", "import", town / "zones.geojson", cwd=tmp_path)
        assert early.returncode == 2
        assert b"tagwatch db init" in early.stderr
        assert run("db", "init", cwd=tmp_path).returncode == 0
        assert run("activations", "import", town / "activations.csv", cwd=tmp_path).returncode == 0
        assert b"24 new" in run("wearers", "import", town / "wearers.csv", cwd=tmp_path).stderr
        for kind, name in (("zones", "zones.geojson"), ("curfews", "curfews.json"), ("teams", "teams.json")):
            assert b" 0 changed, 0 as before" in run(kind, "import", town / name, cwd=tmp_path).stderr
            assert b"0 new, 0 changed" in run(kind, "import", town / name, cwd=tmp_path).stderr
        curfews = json.loads((town / "curfews.json").read_text())
        curfews[0]["grace_minutes"] = 42
        (tmp_path / "changed.json").write_text(json.dumps(curfews[:1]))
        assert b"0 new, 1 changed" in run("curfews", "import", "changed.json", cwd=tmp_path).stderr
        curfews[0]["wearer"] = "nobody"
        (tmp_path / "stranger.json").write_text(json.dumps(curfews[:1]))
        stranger = run("curfews", "import", "stranger.json", cwd=tmp_path)
        assert stranger.returncode == 2
        assert b"'nobody'" in stranger.stderr
        listed = [json.loads(line) for line in run("curfews", "list", cwd=tmp_path).stdout.splitlines()]
        assert {c["id"]: c["content"]["grace_minutes"] for c in listed}[curfews[0]["id"]] == 42
        status = json.loads(run("db", "status", cwd=tmp_path).stdout)
        assert status["missing_migrations"] == []
        assert status["fixes"] == 0
