"""`disclose case`: every version, run and verdict, used and unused, by identifier; the same bytes for the same content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.database import connect
from engine.errors import InputError
from engine.store.fixes import FixStore
from engine.times import HOUR_US, MINUTE_US, parse_time
from tests.integration.disclosure_scene import HOSTILE, NAMES, Scene, disclose, make_scene, table
from tests.integration.test_match_cli import call


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, url: str) -> Scene:
    """Run 1 keeps all lines and a pack rests on it; run 2 keeps who is placed; then the crime changes, and run 3 follows."""
    found = make_scene(tmp_path_factory.mktemp("town"), url)
    words = ("evidence", "build", "--crime", found.crime, "--wearer", found.placed, "--out", "pack.zip")
    call(*words, "--reason", "court asked", cwd=found.folder)
    call("match", "--only", "placed", "--out", "run2.jsonl", cwd=found.folder)
    rows = (found.folder / "crimes.csv").read_text().splitlines()
    mine = next(row for row in rows if row.split(",")[1] == found.crime)
    changed = mine.replace(mine.split(",")[2], "=AB", 1)
    (found.folder / "changed.csv").write_text(f"{rows[0]}\n{changed}\n")
    call("crimes", "import", "changed.csv", cwd=found.folder)
    call("match", "--out", "run3.jsonl", cwd=found.folder)
    other = mine.replace(mine.split(",")[0], "Elsewhere", 1)
    (found.folder / "other.csv").write_text(f"{rows[0]}\n{other}\n")
    call("crimes", "import", "other.csv", cwd=found.folder)
    return found


@pytest.fixture(scope="module")
def case(scene: Scene) -> dict[str, bytes]:
    return disclose(scene, "case", "--crime", scene.crime, "--force", scene.force)


def test_every_version_and_run_with_every_verdict(scene: Scene, case: dict[str, bytes]) -> None:
    assert [row["type"] for row in table(case["crime/versions.csv"])][1:] == ["'=AB"]
    runs = sorted(name for name in case if name.endswith("run.json"))
    assert len(runs) == 3
    with connect(scene.url) as connection:
        for name in runs:
            told = json.loads(case[name])
            lines = connection.execute(
                "SELECT line FROM run_result WHERE run = %s AND force = %s AND reference = %s ORDER BY number",
                [told["id"], scene.force, scene.crime],
            ).fetchall()
            assert case[name.replace("run.json", "verdicts.jsonl")] == b"".join(row[0].encode() + b"\n" for row in lines)
            assert len(table(case[name.replace("run.json", "verdicts.csv")])) == len(lines) == told["lines"]
            assert told["made"][0]["by"]
    assert [json.loads(case[name])["crime"]["stale"] for name in runs] == [True, True, False]
    verdicts = {row["verdict"] for row in table(case["runs/001/verdicts.csv"])}
    verdicts |= {row["verdict"] for row in table(case["runs/002/verdicts.csv"])}
    assert {"placed", "possible", "excluded", "unmonitored"} == verdicts


def test_the_schedule_lists_every_file_and_what_was_used(scene: Scene, case: dict[str, bytes]) -> None:
    rows = table(case["schedule.csv"])
    assert [row["number"] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
    listed = {row["file"] for row in rows} | {"README.txt", "manifest.json", "schedule.csv", "alerts/alerts.csv"}
    lines = {name for name in case if name.endswith("verdicts.jsonl")}
    assert case.keys() - lines <= listed
    used = {row["item"]: row for row in rows if row["used"] == "used"}
    assert f"positions of {scene.placed}" in used
    assert f"evidence pack about {scene.placed}" in used
    assert "version 1 of the crime" in used
    assert "version 2 of the crime" not in used
    of_runs = [item for item in used if item.startswith("run ") and scene.placed in item]
    assert len(of_runs) == 1
    assert all("evidence pack of" in used[item]["why"] for item in of_runs)
    assert not [item for item in used if scene.excluded in item]
    excluded = [row for row in rows if scene.excluded in row["item"]]
    assert [row["why"] for row in excluded] == ["no evidence pack rests on it"] * len(excluded)
    counts = [row for row in rows if "only their number is held" in row["what"]]
    assert counts
    assert all(row["used"] == "unused" for row in counts)


def test_positions_are_those_about_the_window_of_who_was_placed_or_possible(scene: Scene, case: dict[str, bytes]) -> None:
    version = table(case["crime/versions.csv"])[0]
    from_us = parse_time(version["from"]) - 10 * MINUTE_US - 6 * HOUR_US
    to_us = parse_time(version["to"]) + 10 * MINUTE_US + 6 * HOUR_US
    with connect(scene.url) as connection:
        for row in table(case["wearers.csv"]):
            is_near = "placed" in row["verdicts"] or "possible" in row["verdicts"]
            assert bool(row["positions"]) == is_near
            if is_near:
                devices = row["devices"].split(", ")
                n = len(FixStore(connection).read(devices=devices, from_us=from_us, to_us=to_us - 1))
                assert len(table(case[row["positions"]])) == int(row["n_positions"]) == n


def test_wearers_have_no_names_unless_they_are_asked_for(scene: Scene, case: dict[str, bytes]) -> None:
    names = set(NAMES.values())
    for name, data in case.items():
        assert not [one for one in names if one in data.decode()], name
    whose = {json.loads(line)["content"]["wearer"] for line in case["alerts/alerts.jsonl"].splitlines()}
    assert whose == {scene.placed, HOSTILE}
    named = disclose(scene, "case", "--crime", scene.crime, "--force", scene.force, "--with-names", out="named.zip")
    told = {row["wearer"]: row["name"] for row in table(named["names.csv"])}
    assert told["W0001"] == "Ann Otherson"
    assert told["W0002"].startswith("'=HYPER")
    assert b"Ann Otherson" in named["alerts/alerts.jsonl"]


def test_the_same_again_is_the_same_file(scene: Scene) -> None:
    words = ("case", "--crime", scene.crime, "--force", scene.force)
    until = json.loads(disclose(scene, *words, out="first.zip")["manifest.json"])["audit_until"]
    disclose(scene, *words, "--audit-until", until, out="again.zip")
    assert (scene.folder / "first.zip").read_bytes() == (scene.folder / "again.zip").read_bytes()


def test_who_looked_is_told_of_this_force_alone(scene: Scene, case: dict[str, bytes]) -> None:
    disclose(scene, "case", "--crime", scene.crime, "--force", "Elsewhere", out="other.zip")
    rows = table(disclose(scene, "case", "--crime", scene.crime, "--force", scene.force)["looks.csv"])
    assert "evidence asked" in {row["action"] for row in rows}
    assert "disclosed case" in {row["action"] for row in rows}
    assert not [row for row in rows if "Elsewhere" in row["detail"]]


def test_a_crime_that_nobody_matched_is_disclosed_too(scene: Scene) -> None:
    found = disclose(scene, "case", "--crime", scene.crime, "--force", "Elsewhere", out="other.zip")
    assert not [name for name in found if name.startswith("runs/")]
    assert {row["why"] for row in table(found["schedule.csv"])} == {
        "no evidence pack of this crime was asked for from the database"
    }


def test_what_is_wrong_is_named(scene: Scene) -> None:
    for words, said in (
        (("--crime", "none"), "--crime is 'none': expected the reference of a stored crime"),
        (("--crime", scene.crime), "several forces have that reference: expected --force: "),
        (("--crime", scene.crime, "--force", "Nowhere"), "--force is 'Nowhere'"),
    ):
        with pytest.raises(InputError, match=said):
            disclose(scene, "case", *words, out="none.zip")
    assert not Path(scene.folder / "none.zip").exists()


def test_a_line_that_was_erased_is_listed_as_erased(scene: Scene) -> None:
    with connect(scene.url) as connection:
        connection.execute(
            "UPDATE run_result SET erased = 7, wearer = '(erased 7.1)', line = %s WHERE wearer = %s AND force = %s"
            " AND reference = %s",
            ['{"erased":7}', scene.excluded, scene.force, scene.crime],
        )
    found = disclose(scene, "case", "--crime", scene.crime, "--force", scene.force)
    erased = [row for row in table(found["schedule.csv"]) if "erased by order 7" in row["what"]]
    assert len(erased) == 2
    assert scene.excluded not in {row["wearer"] for row in table(found["wearers.csv"])}
