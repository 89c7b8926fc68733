"""The command `match` as a user runs it: the contract of its lines, its other forms, its exit codes, files and database."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import geopandas
import pytest
from typer.testing import CliRunner

from crime_match.runs.results_csv import COLUMNS
from engine.database import connect
from engine.errors import InputError
from engine.store.fixes import FixStore
from ingest.activation_files import read_activations
from ingest.event_files import read_events
from ingest.trail_files import read_trails
from tagwatch.cli.main import app
from tagwatch.configuration import save

TAGWATCH = Path(sys.executable).with_name("tagwatch")
VERDICTS = ["placed", "possible", "excluded", "unmonitored"]
CONTRACT = [
    "crime", "wearer", "device", "verdict", "support", "closest_m", "closest_at", "n_fixes", "visits", "dwell_s",
    "probability", "required_speed_mps", "coverage", "worst_gap_s", "sources", "fixes", "routine", "chance", "parameters",
]  # fmt: skip
Lines = list[dict[str, Any]]


def run(*words: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run([TAGWATCH, *map(str, words)], cwd=cwd, capture_output=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr.decode()
    return done


def given(crimes: str) -> list[str]:
    return ["--crimes", crimes, "--trails", "trails.parquet", "--activations", "activations.csv", "--events", "events.csv"]


def match(town: Path, *words: object, crimes: str = "crimes.csv", code: int = 0) -> subprocess.CompletedProcess[bytes]:
    return run("match", *given(crimes), *words, cwd=town, code=code)


def call(*words: object, cwd: Path) -> bytes:
    """The same without a process of its own, which would load its kernels anew; errors are raised."""
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(app, [*map(str, words)])
    if done.exception:
        raise done.exception
    return done.stdout_bytes


def lines(text: bytes) -> Lines:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    run("simulate", "--wearers", 20, "--days", 3, "--seed", 1, "--out", folder, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def whole(town: Path) -> subprocess.CompletedProcess[bytes]:
    return match(town)


@pytest.fixture(scope="module")
def matches(whole: subprocess.CompletedProcess[bytes]) -> Lines:
    return lines(whole.stdout)


def test_every_crime_has_a_line_for_every_wearer_in_the_order_of_the_contract(town: Path, matches: Lines) -> None:
    references = [row["reference"] for row in csv.DictReader((town / "crimes.csv").read_text().splitlines())]
    assert list(dict.fromkeys(m["crime"] for m in matches)) == references
    assert Counter(m["crime"] for m in matches) == dict.fromkeys(references, 20)
    for line in matches:
        strength = {"routine", "chance"} if line["verdict"] == "placed" else set()
        assert [key for key in line if key in CONTRACT] == [
            key for key in CONTRACT if key in strength or key not in ("routine", "chance")
        ]
        assert "compatible" not in line
    ranks = [
        (references.index(m["crime"]), VERDICTS.index(m["verdict"]), m["closest_m"] or 1e9, m["wearer"]) for m in matches
    ]
    assert ranks == sorted(ranks)


def test_the_burglars_are_never_excluded_and_mostly_placed(town: Path, matches: Lines) -> None:
    truth = [row for row in csv.DictReader((town / "truth" / "crimes.csv").read_text().splitlines()) if row["wearer"]]
    verdicts = {(m["crime"], m["wearer"]): m["verdict"] for m in matches}
    found = [verdicts[row["reference"], row["wearer"]] for row in truth]
    assert "excluded" not in found
    assert found.count("placed") >= 1


def test_another_run_gives_the_same_bytes_and_name_by_either_plan(
    town: Path, whole: subprocess.CompletedProcess[bytes]
) -> None:
    counted, named = whole.stderr.decode().splitlines()[-2:]
    assert counted.startswith("4 crimes, 20 wearers: ")
    assert len(named.removeprefix("run ")) >= 16
    for plan in ("index", "scan"):
        done = match(town, "--plan", plan, "--out", f"{plan}.jsonl")
        assert done.stdout == b""
        assert done.stderr == whole.stderr
        assert (town / f"{plan}.jsonl").read_bytes() == whole.stdout


def test_only_lists_some_and_counts_all(town: Path, matches: Lines) -> None:
    told = lines(call("match", *given("crimes.csv"), "--only", "possible,placed", "--compatible", cwd=town))
    listed = [line for line in told if "wearer" in line]
    counted = [line for line in told if "wearer" not in line]
    assert [list(line) for line in counted] == [["crime", "force", "counts", "placed"]] * 4
    for line in listed:
        compatible = line.pop("compatible")
        assert compatible["matched"] or line["verdict"] == "possible"
        assert list(compatible) == ["matched", "n_fixes", "labels", "differs", "parameters"]
    assert listed == [m for m in matches if m["verdict"] in ("placed", "possible")]
    for line in counted:
        assert list(line["counts"]) == VERDICTS
        assert line["counts"] == {
            v: sum((m["crime"], m["verdict"]) == (line["crime"], v) for m in matches) for v in VERDICTS
        }
        assert line["placed"] == {
            s: sum((m["crime"], m["support"]) == (line["crime"], s) for m in matches) for s in ("strong", "weak", "cell")
        }
    after = [told[k - 1]["crime"] for k, line in enumerate(told) if "wearer" not in line]
    assert after == [line["crime"] for line in counted]


def test_the_csv_has_the_ministrys_columns_and_those_who_are_placed(town: Path, matches: Lines) -> None:
    people = ["--wearers", "wearers.csv", "--teams", "teams.json"]
    text = call("match", *given("crimes.csv"), "--format", "csv", *people, cwd=town).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert text.splitlines()[0] == ",".join(COLUMNS)
    placed = [m for m in matches if m["verdict"] == "placed"]
    assert placed
    assert [(r["CRIME REF"], r["SUBJECT IDENTIFIER"], r["DEVICE ID"]) for r in rows] == [
        (m["crime"], m["wearer"], m["device"]) for m in placed
    ]
    names = {row["wearer"]: row["name"] for row in csv.DictReader((town / "wearers.csv").read_text().splitlines())}
    assert [r["OFFENDER NAME"] for r in rows] == [names[m["wearer"]] for m in placed]
    assert all(r["OFFENDER MANAGER"] for r in rows)


def test_the_geojson_is_read_by_others(town: Path, matches: Lines) -> None:
    words = ["--format", "geojson", "--only", "placed", "--out", "found.geojson"]
    assert call("match", *given("crimes.csv"), *words, cwd=town) == b""
    frame = geopandas.read_file(town / "found.geojson")
    placed = [m for m in matches if m["verdict"] == "placed"]
    assert (frame["kind"] == "crime").sum() == 4
    n_fixes = sum(len(m["fixes"]) + (m["before"] is not None) + (m["after"] is not None) for m in placed)
    assert (frame["kind"] == "fix").sum() == n_fixes
    assert frame[frame["kind"] == "fix"]["label"].notna().sum() == sum(m["n_fixes"] for m in placed)
    assert frame.geometry.is_valid.all()


def test_the_links_of_a_batch_are_a_file_of_their_own(town: Path, whole: subprocess.CompletedProcess[bytes]) -> None:
    text = (town / "crimes.csv").read_text().splitlines()
    (town / "twice.csv").write_text("\n".join([*text, text[4].replace("26/00004", "26/4b")]) + "\n")
    words = ["--only", "placed", "--links", "links.jsonl"]
    placed = [line for line in lines(call("match", *given("twice.csv"), *words, cwd=town)) if "wearer" in line]
    told = lines((town / "links.jsonl").read_bytes())
    assert [line["kind"] for line in told][:1] == ["series"]
    assert (told[0]["crimes"], told[0]["events"], told[0]["same_event"]) == (5, 4, [["26/00004", "26/4b"]])
    assert not [line for line in told if line["kind"] == "pair"]  # of one event are no two crimes
    n_placed = Counter(m["crime"] for m in placed if m["crime"] != "26/4b")
    assert Counter(line["crime"] for line in told if line["kind"] == "company") == {
        crime: n * (n - 1) // 2 for crime, n in n_placed.items() if n > 1
    }


def test_bad_rows_are_told_loudly_and_the_good_ones_matched(town: Path, matches: Lines) -> None:
    good = (town / "crimes.csv").read_text().splitlines()
    bad = [good[1].replace("26/00001", "26/7").replace("53.", "99."), good[1].replace("26/00001", "")]
    (town / "some.csv").write_text("\n".join([*good[:2], *bad, *good[2:]]) + "\n")
    done = match(town, "--crime", "26/00001", crimes="some.csv")
    assert lines(done.stdout) == matches[:20]
    said = done.stderr.decode()
    assert "some.csv, row 2" in said
    assert "some.csv, row 3" in said
    assert "2 bad rows of some.csv LEFT OUT, 4 crimes matched" in said


def test_where_no_row_is_good_nothing_is_matched(town: Path) -> None:
    (town / "bad.csv").write_text("force,reference,type,from,to,lat,lon\nF,1,BIAD,yesterday,today,53,-0.5\n")
    done = match(town, crimes="bad.csv", code=2)
    assert done.stdout == b""
    assert b"bad.csv, row 1" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_police_uk_file_is_refused_with_the_reason(town: Path) -> None:
    (town / "uk.csv").write_text(
        "Crime ID,Month,Reported by,Falls within,Longitude,Latitude,Location,LSOA code,LSOA name,Crime type,"
        "Last outcome category,Context\nabc,2026-03,Lincolnshire Police,Lincolnshire Police,-0.5,53.2,On or near Elm Lane,"
        "E01,Lincoln,Burglary,Under investigation,\n"
    )
    assert b"cannot be matched" in match(town, crimes="uk.csv", code=2).stderr


def test_the_police_batch_is_matched_too(town: Path) -> None:
    (town / "batch.csv").write_text(
        "Humberside,BIAD,Burglary,HMB20260324,HMB/1,20260323160000,20260323170000,,,53.2070485,-0.5140787,WGS84,=1+1\n"
    )
    text = call("match", *given("batch.csv"), "--format", "csv", cwd=town).decode()
    row = next(csv.DictReader(io.StringIO(text, newline="")))
    assert (row["POLICE FORCE"], row["BATCH ID"], row["OTHER INFO"]) == ("Humberside", "HMB20260324", "'=1+1")
    assert (row["FROM DATE/TIME"], row["SUBJECT IDENTIFIER"]) == ("23/03/2026 16:00", "W0001")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--plan", "guess"], "--plan is 'guess'"), (["--format", "xlsx"], "--format is 'xlsx'"),
        (["--format", "csv", "--only", "possible"], "18 columns"), (["--crime", "26/9"], "--crime is '26/9'"),
        (["--radius", "0"], "radius_m is 0.0"),
    ],
)  # fmt: skip
def test_wrong_use_is_told(town: Path, words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        call("match", *given("crimes.csv"), *words, cwd=town)


def test_trails_without_crimes_and_near_with_the_ministrys_answer(town: Path, matches: Lines) -> None:
    with pytest.raises(InputError, match="--crimes is missing"):
        call("match", "--trails", "trails.parquet", cwd=town)
    asked = matches[0]["parameters"]
    words = ["--lat", asked["lat"], "--lon", asked["lon"], "--from", asked["from"], "--to", asked["to"]]
    files = ["trails.parquet", "--activations", "activations.csv", "--events", "events.csv", "--compatible"]
    table = call("near", *words, *files, cwd=town).decode().splitlines()
    assert len(table) == 20
    assert all(("ministry yes" in line) == line.startswith("placed") for line in table)
    still = [line for line in table if "need no movement" in line]
    assert len(still) == sum(m["required_speed_mps"] == 0.0 for m in matches[:20])
    assert still
    assert all("the exclusion circles of the fixes next to it in time reach into the vicinity" in line for line in still)


def test_from_the_database_the_same_and_the_run_is_kept(
    town: Path, matches: Lines, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(url) as connection:
        FixStore(connection).write(read_trails([town / "trails.parquet"]))
        FixStore(connection).write_events(read_events(town / "events.csv"))
        save(connection, 0, activations=read_activations(town / "activations.csv"))
    (tmp_path / "tagwatch.toml").write_text(f'[database]\nurl = "{url}"\n')
    monkeypatch.setenv("TAGWATCH_OPERATOR", "Pat")

    def summary(found: Lines) -> list[tuple[Any, ...]]:
        keys = "crime", "wearer", "verdict", "closest_m", "n_fixes", "required_speed_mps", "dwell_s", "routine", "chance"
        return [tuple(str(line.get(key)) for key in keys) for line in found]

    call("crimes", "import", town / "crimes.csv", cwd=tmp_path)
    found = lines(call("match", cwd=tmp_path))
    assert sorted(summary(found)) == sorted(summary(matches))
    kept = lines(call("runs", "list", "--json", cwd=tmp_path))
    assert len(kept) == 1
    call("match", "--plan", "scan", "--out", "again.jsonl", cwd=tmp_path)
    call("runs", "show", kept[0]["run"], "--out", "kept.jsonl", cwd=tmp_path)
    assert (tmp_path / "kept.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert lines((tmp_path / "again.jsonl").read_bytes()) == found
    of_file = call("match", "--crimes", town / "crimes.csv", cwd=tmp_path)
    assert sorted(of_file.splitlines()) == sorted((tmp_path / "again.jsonl").read_bytes().splitlines())
    counted = call("match", "--only", "placed,possible", cwd=tmp_path)
    kept = lines(call("runs", "list", "--json", cwd=tmp_path))
    assert len(kept) == 2
    call("runs", "show", kept[0]["run"], "--out", "counted.jsonl", cwd=tmp_path)
    assert (tmp_path / "counted.jsonl").read_bytes() == counted
    assert counted.count(b'"counts"') == 4
    call("match", "--only", "possible", "--out", "few.jsonl", cwd=tmp_path)  # who is placed is not listed: no supports
    call("runs", "show", lines(call("runs", "list", "--json", cwd=tmp_path))[0]["run"], "--out", "few2.jsonl", cwd=tmp_path)
    assert (tmp_path / "few2.jsonl").read_bytes() == (tmp_path / "few.jsonl").read_bytes()


def test_only_what_needs_it_is_matched_day_by_day(town: Path, url: str, tmp_path: Path) -> None:
    (tmp_path / "tagwatch.toml").write_text(f'[database]\nurl = "{url}"\n')
    with connect(url) as connection:
        connection.execute("TRUNCATE crime_batch, crime_version, crime_seen_again, run, run_crime, run_result CASCADE")

    def matched(*words: object) -> list[str]:
        return sorted({line["crime"] for line in lines(call("match", *words, cwd=tmp_path))})

    head, *rows = (town / "crimes.csv").read_text().splitlines()
    (tmp_path / "some.csv").write_text("\n".join([head, *rows[:2]]) + "\n")
    call("crimes", "import", "some.csv", cwd=tmp_path)
    assert matched("--new") == ["26/00001", "26/00002"]
    (tmp_path / "today.jsonl").write_text("of yesterday")
    done = run("match", "--new", "--out", "today.jsonl", cwd=tmp_path)
    assert b"no crime of the database is asked for by --new: nothing to match" in done.stderr
    assert (tmp_path / "today.jsonl").read_bytes() == b""
    changed = rows[0].replace(",53.", ",54.")
    (tmp_path / "more.csv").write_text("\n".join([head, changed, *rows[1:3]]) + "\n")
    call("crimes", "import", "more.csv", cwd=tmp_path)
    assert matched("--new", "--stale") == ["26/00001", "26/00003"]
    assert matched("--new") == []
    assert matched("--stale") == ["26/00001"]
    assert matched("--crime", "26/00002") == ["26/00002"]
    force, day = rows[0].split(",")[0], rows[2].split(",")[3][:10]
    assert matched("--force", force, "--to", day) == ["26/00001", "26/00003"]
    assert matched("--force", force, "--from", day) == ["26/00003"]
    for words, said in (
        (["--force", "Atlantis"], "--force is 'Atlantis'"), (["--batch", "X1"], "--batch is 'X1'"),
        (["--force", force, "--crime", "26/9"], "--crime is '26/9'.*with --force as told"),
        (["--new", "--crimes", "some.csv"], "--new chooses among the crimes of the database"),
        (["--new", "--force", force, "--trails", "t.csv"], "--force, --new choose among"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            call("match", *words, cwd=tmp_path)


def test_trails_without_a_fix_are_told(town: Path, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("device,time,lat,lon\n")
    said = b"there is no fix in none.csv: nobody can be placed or excluded"
    done = run("match", "--crimes", town / "crimes.csv", "none.csv", cwd=tmp_path)  # and no wearer either: no line
    assert (done.stdout, said in done.stderr) == (b"", True)
    words = ["--lat", 53, "--lon", 0, "--from", "2026-03-23T10:00Z", "--to", "2026-03-23T11:00Z"]
    assert said in run("near", *words, "none.csv", cwd=tmp_path).stderr
