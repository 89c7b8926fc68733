"""The wheel: built from the source archive, installed where no checkout is, it has all its parts and runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from release import twice
from release.lock import ROOT

pytest.importorskip("build", reason="the builder is not installed")
if not (ROOT / twice.PARTS / "versions.json").exists():
    pytest.skip("the browser parts are not installed: `make setup` does it where there is npm", allow_module_level=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Wheel and source archive of this tree, of no known commit."""
    home = tmp_path_factory.mktemp("build")
    twice.copy(ROOT, home, backwards=False)
    twice.build(home, {"umask": "077", "LC_ALL": "C"}, "1790000000")
    yield next((home / "out").glob("*.whl")), next((home / "out").glob("*.tar.gz"))
    shutil.rmtree(home)


def test_the_wheel_has_every_part(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        names, modes = set(wheel.namelist()), {info.external_attr >> 16 & 0o777 for info in wheel.infolist()}
        info = json.loads(wheel.read("tagwatch/build_info.json"))
        bill = next(wheel.read(name) for name in names if name.endswith("dist-info/sboms/tagwatch.cdx.json"))
    for room in ("engine", "ingest", "geofence", "alerts", "crime_match", "tagwatch"):
        there = {str(p.relative_to(ROOT)) for p in (ROOT / room).rglob("*") if p.is_file() and "__pycache__" not in p.parts}
        assert not there - names
        assert f"{room}/py.typed" in names
    assert not [
        name for name in names if name.startswith(("tests/", "benchmarks/", "release/", "docs/")) or name.endswith(".pyc")
    ]
    assert modes <= {0o644, 0o664}  # whatever the umask of who built
    assert (info["commit"], info["time"]) == ("", "2026-09-21T14:13:20Z")
    assert json.loads(bill)["bomFormat"] == "CycloneDX"


def test_the_source_archive_has_what_builds_and_tests(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("pyproject.toml", "hatch_build.py", "build_info.json", "Makefile", "requirements.lock", "requirements-node.lock",
                 "package-lock.json", "release/known.json", "tests/conftest.py", "docs/operations.md", "README.md", ".ci/run"):  # fmt: skip
        assert name in names, name


def test_it_runs_where_no_checkout_is(built: tuple[Path, Path], tmp_path: Path) -> None:
    """A new environment, with the libraries that are installed here, but not this checkout."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    home = next((tmp_path / "env" / "lib").glob("python3*")) / "site-packages"
    with zipfile.ZipFile(built[0]) as wheel:
        wheel.extractall(home)
    (home / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}

    def run(*words: str) -> str:
        command = [str(tmp_path / "env" / "bin" / "python"), "-I", "-c", "from tagwatch.cli import main; main()", *words]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    told = json.loads(run("--version", "--json"))
    assert (told["time"], told["is_checkout"]) == ("2026-09-21T14:13:20Z", False)
    run("simulate", "--wearers", "3", "--days", "1", "--out", "town", "--format", "csv")
    assert (tmp_path / "town" / "zones.geojson").exists()
    where = "import tagwatch.console.app as a, pathlib; print(pathlib.Path(a.__file__).parent)"
    folder = subprocess.run([tmp_path / "env" / "bin" / "python", "-I", "-c", where], env=env, capture_output=True, text=True,
                            check=True).stdout.strip()  # fmt: skip
    assert folder.startswith(str(home))
    assert (
        hashlib.sha256((Path(folder) / "static/parts/ol/ol.js").read_bytes()).hexdigest()
        == hashlib.sha256((ROOT / twice.PARTS / "ol/ol.js").read_bytes()).hexdigest()
    )
