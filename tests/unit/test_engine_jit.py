"""The cache of compiled kernels: a change in any kernel file makes another cache, whichever file calls it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROBE = "from numba import config; import engine.jit; print(config.CACHE_DIR)"


def cache_of(home: Path, cache: Path) -> str:
    environment = {**os.environ, "TAGWATCH_CACHE": str(cache), "PYTHONPATH": str(home)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=home, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for room in ("engine", "geofence", "crime_match"):
        shutil.copytree(ROOT / room, tmp_path / "home" / room, ignore=shutil.ignore_patterns("__pycache__", "schema"))
    return tmp_path / "home"


@pytest.mark.parametrize("changed", ["geofence/masses.py", "geofence/containment.py", "engine/kernels.py"])
def test_a_changed_helper_in_another_file_names_another_cache(home: Path, tmp_path: Path, changed: str) -> None:
    before = cache_of(home, tmp_path)
    assert cache_of(home, tmp_path) == before
    path = home / changed
    path.write_text(path.read_text("utf-8") + "\n# changed\n", "utf-8")
    after = cache_of(home, tmp_path)
    assert after != before
    assert Path(after).parent == Path(before).parent


def test_what_is_no_kernel_keeps_the_cache(home: Path, tmp_path: Path) -> None:
    before = cache_of(home, tmp_path)
    path = home / "geofence/zone.py"
    path.write_text(path.read_text("utf-8") + "\n# changed\n", "utf-8")
    assert cache_of(home, tmp_path) == before
