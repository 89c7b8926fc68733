"""The libraries that are installed, against the versions that were tested, or at least those that are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from tagwatch import build
from tagwatch.doctor.finding import OK, WARNING, Finding, Scene

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
_LINE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def examine(_scene: Scene) -> Iterator[Finding]:
    """What differs from the lock, where this is a checkout that has one; what is missing."""
    installed = build.libraries()
    if LOCK.exists():
        locked: dict[str, set[str]] = {}
        for name, version in _LINE.findall(LOCK.read_text("utf-8")):  # some have a version for each Python
            locked.setdefault(_plain(name), set()).add(version)
        differ = [
            f"{name} {version} (tested: {', '.join(sorted(locked[_plain(name)]))})"
            for name, version in installed.items()
            if version not in locked.get(_plain(name), {version})
        ]
        if differ:
            yield Finding("libraries", WARNING, f"other versions than tested: {', '.join(differ)}", "make setup")
            return
    which = "as tested" if LOCK.exists() else "installed"
    yield Finding(
        "libraries", OK, f"Tagwatch {metadata.version('tagwatch')}, {len(installed)} libraries {which}, {build.python()}"
    )


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
