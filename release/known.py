"""What is known of each locked distribution: licence, what it requires, the libraries that its wheel brings along.

Read from an environment with everything installed and kept in known.json, so that the bill of materials is the same wherever it
is made: `python -m release.known`. A test holds the file to the lock and to the environment that it runs in.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, cast

from packaging.requirements import Requirement

from release.lock import ROOT, normal, python_pins

FILE = Path(__file__).parent / "known.json"
_PYTHONS = ("3.11", "3.12", "3.13")
_LINUX = {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"}
_LIBRARY = re.compile(r"(?:^|.*\.libs/|.*/)(lib[A-Za-z0-9_+.-]*?)(?:-[0-9a-f]{8})*\.so((?:\.\d+)*)$")
_SAID = {
    "aiosignal": "Apache-2.0", "arrow": "Apache-2.0", "atheris": "Apache-2.0", "colorama": "BSD-3-Clause",
    "contourpy": "BSD-3-Clause", "cycler": "BSD-3-Clause", "defusedxml": "PSF-2.0", "editables": "MIT",
    "fastkml": "LGPL-2.1-or-later", "gpxpy": "Apache-2.0", "grimp": "BSD-2-Clause", "import-linter": "BSD-2-Clause",
    "iotcore": "MIT", "isoduration": "ISC", "jinja2": "BSD-3-Clause", "kiwisolver": "BSD-3-Clause", "markdown-it-py": "MIT",
    "matplotlib": "LicenseRef-matplotlib", "mdurl": "MIT", "numba": "BSD-2-Clause", "pathspec": "MPL-2.0",
    "pygeoif": "LGPL-2.1-or-later", "pyogrio": "MIT", "pypdfium2": "BSD-3-Clause AND Apache-2.0",
    "rfc3339-validator": "MIT", "rfc3986-validator": "MIT", "scipy": "BSD-3-Clause", "shellingham": "ISC",
    "sortedcontainers": "Apache-2.0", "sqlparse": "BSD-3-Clause", "trove-classifiers": "Apache-2.0", "uri-template": "MIT",
    "yoyo-migrations": "Apache-2.0",
}  # fmt: skip
"""Licences of those whose metadata do not say them as an SPDX expression, read by a person."""


class Known(NamedTuple):
    """`licence` as an SPDX expression; `requires` names others of the lock; `scope`: needed to run ("required"), by an extra
    for running ("optional"), or for tests and builds alone ("excluded"); `libraries`: native (name, version) in its wheel."""

    licence: str
    scope: str
    requires: tuple[str, ...]
    libraries: tuple[tuple[str, str], ...]


def read_known(path: Path = FILE) -> dict[str, Known]:
    """By normal name, what is known."""
    told = json.loads(path.read_text("utf-8"))
    return {
        name: Known(one["licence"], one["scope"], tuple(one["requires"]), tuple(tuple(each) for each in one["libraries"]))
        for name, one in told.items()
    }


def look(root: Path = ROOT) -> dict[str, Known]:
    """What this environment and the lock say; of what is not installed, its licence and nothing else."""
    locked = sorted({pin.name for pin in python_pins(root)})
    scopes, edges = _scopes(root)
    return {
        name: Known(
            licence_of(name), scopes.get(name, "excluded"), tuple(sorted(edges.get(name, set()))), libraries_of(name)
        )
        for name in locked
    }


def licence_of(name: str) -> str:
    """An SPDX expression; empty where nobody said one."""
    try:
        told = cast(Message, metadata.metadata(name))
    except metadata.PackageNotFoundError:
        return _SAID.get(name, "")
    said = str(told.get("License-Expression") or _SAID.get(name) or told.get("License") or "")
    return said if len(said) < 80 and "\n" not in said else ""


def libraries_of(name: str) -> tuple[tuple[str, str], ...]:
    """The shared libraries that a wheel brings in folders of its own, without the hash in their names."""
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        return ()
    found = (_LIBRARY.fullmatch(str(file)) for file in files if ".libs/" in str(file))
    return tuple(sorted({(match[1], match[2].lstrip(".")) for match in found if match}))


def _scopes(root: Path) -> tuple[dict[str, str], dict[str, set[str]]]:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    edges: dict[str, set[str]] = {}
    scopes: dict[str, str] = {}
    groups = (("required", project["dependencies"]), ("optional", project["optional-dependencies"]["embedded"]),
              ("excluded", project["optional-dependencies"]["dev"]))  # fmt: skip
    for scope, given in groups:
        open_ = [(normal(r.name), frozenset(r.extras)) for r in map(Requirement, given)]
        seen = set(open_)
        while open_:
            name, extras = open_.pop()
            scopes.setdefault(name, scope)
            for requirement in _requirements(name, extras):
                step = normal(requirement.name), frozenset(requirement.extras)
                edges.setdefault(name, set()).add(step[0])
                if step not in seen:
                    seen.add(step)
                    open_.append(step)
    return scopes, edges


def _requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """What a distribution requires on Linux under one of our Pythons."""
    try:
        told = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for requirement in map(Requirement, told):
        scenes = [_LINUX | {"extra": extra, "python_version": python, "python_full_version": f"{python}.9"}
                  for extra in extras | {""} for python in _PYTHONS]  # fmt: skip
        if requirement.marker is None or any(requirement.marker.evaluate(scene) for scene in scenes):
            yield requirement


def main() -> None:
    """Write known.json anew."""
    told = {name: one._asdict() for name, one in look().items()}
    lines = [f"{json.dumps(name)}: {json.dumps(one, sort_keys=True)}" for name, one in sorted(told.items())]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()
