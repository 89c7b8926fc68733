"""`disclose subject`: all of one person, nobody else, in one exact form; hostile names; nothing half-done."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.database import connect
from engine.errors import InputError
from engine.store.fixes import FixStore
from ingest.raw_log import RawLog
from ingest.raw_redaction import redact
from tagwatch.cli.main import app
from tagwatch.disclosure import container
from tagwatch.disclosure.others import Others
from tagwatch.disclosure.packs import packs_built
from tagwatch.disclosure.worn import Worn
from tests.integration.disclosure_scene import HOSTILE, Scene, disclose, make_scene, members, table
from tests.integration.test_match_cli import call


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, url: str) -> Scene:
    found = make_scene(tmp_path_factory.mktemp("town"), url)
    words = ("evidence", "build", "--crime", found.crime, "--wearer", found.placed, "--out", "pack.zip")
    call(*words, "--reason", "court asked", cwd=found.folder)
    return found


@pytest.fixture(scope="module")
def placed(scene: Scene) -> dict[str, bytes]:
    return disclose(scene, "subject", "--wearer", scene.placed)


def test_everything_of_a_person_is_there(scene: Scene, placed: dict[str, bytes]) -> None:
    with connect(scene.url) as connection:
        n_fixes = 0
        for device, from_us, to_us in Worn(connection).of(scene.placed):
            fixes = FixStore(connection).read(devices=[device], from_us=from_us, to_us=to_us - 1)
            n_fixes += len(fixes)
        lines = connection.execute("SELECT line FROM run_result WHERE wearer = %s", [scene.placed]).fetchall()
    rows = table(placed["positions/positions.csv"])
    assert len(rows) == n_fixes > 1000
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    days = json.loads(placed["positions/positions.geojson"])["features"]
    assert sum(len(day["geometry"]["coordinates"]) for day in days) == n_fixes
    told = [json.loads(line) for line in placed["matches/matches.jsonl"].splitlines()]
    assert sorted(line["crime"] for (text,) in lines for line in [json.loads(text)]) == sorted(o["reference"] for o in told)
    assert len(table(placed["matches/matches.csv"])) == len(lines)
    (pack,) = table(placed["packs.csv"])
    assert (pack["crime"], pack["reason"]) == (scene.crime, "court asked")
    assert "evidence asked" in {row["action"] for row in table(placed["looks.csv"])}
    (alert,) = [json.loads(line) for line in placed["alerts/alerts.jsonl"].splitlines()]
    assert [version["reason"] for version in alert["versions"]] == ["raised"]
    assert [sent["channel"] for sent in alert["sent"]] == ["mail"]


def test_the_manifest_has_the_hash_of_every_file_and_the_readme_tells_every_one(placed: dict[str, bytes]) -> None:
    manifest = json.loads(placed["manifest.json"])
    assert manifest["members"].keys() == placed.keys() - {"manifest.json"}
    for name, told in manifest["members"].items():
        assert (told["bytes"], told["sha256"]) == (len(placed[name]), hashlib.sha256(placed[name]).hexdigest())
    readme = placed["README.txt"].decode()
    for name, data in placed.items():
        assert f"{name} (" in readme or name in ("README.txt", "manifest.json")
        if name.endswith(".csv"):
            header = data.split(b"\n", 1)[0].decode().split(",")
            assert all(re.search(rf"^ +{column}  ", readme, re.MULTILINE) for column in header), name


def test_nobody_else_is_in_it(scene: Scene, placed: dict[str, bytes]) -> None:
    with connect(scene.url) as connection:
        rows = connection.execute("SELECT id, content->>'name' FROM configuration WHERE kind = 'wearer'").fetchall()
    others = {name for row in rows if row[0] != scene.placed for name in row} | {"she moved there", "boss@"}
    for name, data in placed.items():
        text = data.decode()
        assert not [other for other in others if other in text], name
    assert b"(another person)" in placed["alerts/alerts.jsonl"]


def test_a_hostile_name_makes_no_path_and_no_formula(scene: Scene) -> None:
    found = disclose(scene, "subject", "--wearer", HOSTILE)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)?\.[a-z]+", name) for name in found)
    for name in [name for name in found if name.endswith(".csv")]:
        for row in table(found[name]):
            for cell in row.values():
                assert not cell.startswith(("=", "+", "-", "@")) or re.fullmatch(r"-?\d+(\.\d+)?", cell), (name, cell)
    (odd,) = table(found["quarantine.csv"])
    assert odd["payload"] == "base64:/3t9"
    (alert,) = [json.loads(line) for line in found["alerts/alerts.jsonl"].splitlines()]
    (action,) = alert["actions"]
    assert (action["actor"], action["note"]) == ("olivia", "=called (another person), spoke to (another person)")
    assert alert["content"]["why"]["text"].endswith("was in (zone Z1), near (another person) and (another person)")
    zone = json.loads(found["record/zones.geojson"])["features"][0]["properties"]
    assert zone == {"id": "Z1", "kind": "exclusion", "wearers": [HOSTILE]}
    assert json.loads(found["manifest.json"])["wearer"] == HOSTILE


def test_the_same_again_is_the_same_file(scene: Scene) -> None:
    first = disclose(scene, "subject", "--wearer", scene.placed, out="first.zip")
    until = json.loads(first["manifest.json"])["audit_until"]
    disclose(scene, "subject", "--wearer", scene.placed, "--audit-until", until, out="again.zip")
    assert (scene.folder / "first.zip").read_bytes() == (scene.folder / "again.zip").read_bytes()
    later = disclose(scene, "subject", "--wearer", scene.placed)
    assert {name for name in later if later[name] != first[name]} == {"looks.csv", "README.txt", "manifest.json"}
    assert table(later["looks.csv"])[-1]["action"] == "disclosed subject"


def test_somebody_unknown_and_a_place_that_is_taken(scene: Scene) -> None:
    folder = scene.folder
    for wearer in ("nobody", "", "../W0001"):
        with pytest.raises(InputError, match="--wearer is .*expected a wearer of whom something is held"):
            disclose(scene, "subject", "--wearer", wearer, out="none.zip")
    with contextlib.chdir(folder):
        runner = CliRunner()
        assert runner.invoke(app, ["disclose", "subject", "--wearer", scene.placed, "--out", "x.zip"]).exit_code == 2
    (folder / "taken.zip").write_bytes(b"mine")
    words = ("disclose", "subject", "--wearer", scene.placed, "--reason", "r", "--out")
    for out, said in (
        ("taken.zip", "is there already.*--overwrite"), (".", "expected a file"), ("-", "expected a file"), ("no/x.zip", "a folder that there is")
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            call(*words, out, cwd=folder)
    with pytest.raises(InputError, match="--reason"):
        call(*words, "y.zip", "--reason", " ", cwd=folder)
    assert (folder / "taken.zip").read_bytes() == b"mine"
    assert not [path.name for path in folder.iterdir() if path.name.endswith(".part")]
    assert not (folder / "none.zip").exists()


def test_a_full_disk_leaves_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(container.Container, "close", full)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        disclose(scene, "subject", "--wearer", scene.placed, out="full.zip")
    assert not list(scene.folder.glob("full.zip*"))


def test_the_view_is_in_the_audit_log_before_anything_is_read(scene: Scene) -> None:
    with pytest.raises(InputError):
        disclose(scene, "subject", "--wearer", "nobody at all", out="none.zip")
    with connect(scene.url) as connection:
        row = connection.execute("SELECT action, subject, reason FROM audit_entry ORDER BY number DESC LIMIT 1").fetchone()
    assert row == ("disclosed subject", "nobody at all", "asked for")


def test_messages_of_the_raw_log_are_listed_where_they_are_asked_for(scene: Scene) -> None:
    assert table(disclose(scene, "subject", "--wearer", HOSTILE, "--raw")["raw_messages.csv"]) == []
    with connect(scene.url) as connection:
        ((_, from_us, _),) = Worn(connection).of(HOSTILE)
    day_us = 86_400_000_000
    some = [(from_us + k * day_us, "tags/=tag/fixes", b'{"time":%d}' % (from_us // 1_000_000 + k)) for k in range(3)]
    with RawLog(scene.folder / "raw-log") as log:
        log.append([(from_us - 1_000_000, "tags/=tag/fixes", b"before"), *some])
    redact(scene.folder / "raw-log", [("=tag", from_us, from_us + 1_000_000)], "erase/1")
    rows = table(disclose(scene, "subject", "--wearer", HOSTILE, "--raw")["raw_messages.csv"])
    assert [(row["n"], row["state"]) for row in rows] == [("2", "erased"), ("3", "whole"), ("4", "whole")]


def test_terms_holds_and_erasures_are_told_without_other_wearers(scene: Scene) -> None:
    with connect(scene.url) as connection:
        connection.execute(
            "INSERT INTO legal_hold (wearers, reason, placed_by, placed_at) VALUES (%s, 'trial of W0001', 'os:x', now())",
            [[scene.placed, "W0001", "W0002", "W0003"]],
        )
    told = json.loads(disclose(scene, "subject", "--wearer", scene.placed)["retention.json"])
    (hold,) = told["legal_hold"]
    assert hold["wearers"] == [scene.placed]
    assert hold["reason"] == "trial of (another person)" or scene.placed == "W0001"


def test_packs_are_listed_by_wearer_and_by_crime(scene: Scene) -> None:
    with connect(scene.url) as connection:
        (pack,) = packs_built(connection, wearer=scene.placed)
        assert packs_built(connection, crime=(scene.force, scene.crime)) == [pack]
        assert packs_built(connection, crime=("Nowhere", scene.crime)) == []
        assert packs_built(connection, wearer="nobody") == []
        run = connection.execute("SELECT id FROM run").fetchone()
    assert run is not None
    assert (pack.wearer, pack.force, pack.crime, pack.run) == (scene.placed, scene.force, scene.crime, run[0])


def test_others_are_replaced_as_values_and_as_words() -> None:
    others = Others({"W1": "X", "Ann Smith": "Y", "a": "Z", "W-100": "V"})
    assert others.text("a") == "Z"
    assert others.text("a letter to ann SMITH, of W-100 and W 100's W1000") == "a letter to Y, of V and V's W1000"
    assert others.value({"W1": ["W1", 1, None, {"x": "Ann Smith"}]}) == {"X": ["X", 1, None, {"x": "Y"}]}
    assert Others({}).text("Ann") == "Ann"


def test_members_have_names_of_ours_alone(tmp_path: Path) -> None:
    with container.written(str(tmp_path / "x.zip")) as file:
        for name in ("../x.csv", "/x.csv", "a//b.csv", "a b.csv", "x", "a\\b.csv", ""):
            with pytest.raises(ValueError, match="no name of a member"):
                file.table(name, "", {}, [])
        file.table("a/b.csv", "t", {"x": ""}, [["=1"], [-1], [None], ["\t@x"], [["=a"]]])
        file.close({}, "")
    assert members(tmp_path / "x.zip")["a/b.csv"] == b'x\n\'=1\n-1\n\n\'\t@x\n"[""=a""]"\n'.replace(b"\n\n", b'\n""\n')
    assert (tmp_path / "x.zip").stat().st_mode & 0o077 == 0
