"""The audit of dependencies, without asking anybody: `python -m release.audit`. What is asked of registries is in `make audit`.

Every pin is exact, hashed and known, every licence allowed, what is installed is what is locked, and what the project asks for
is in the lock.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from release.known import read_known
from release.lock import ROOT, browser_parts, normal, python_pins

ALLOWED = frozenset({
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BlueOak-1.0.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC",
    "LGPL-2.1-or-later", "LGPL-3.0-only", "LicenseRef-matplotlib", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib",
})  # fmt: skip
"""Licences that may be used: none that would bind our own sources, none that nobody has read."""


def terms_of(expression: str) -> list[list[str]]:
    """An SPDX expression as its choices, each the licences that hold together. Brackets within are not read: ValueError."""
    if expression.startswith("(") and expression.find(")") == len(expression) - 1:
        expression = expression[1:-1]
    if not expression or set("()") & set(expression):
        raise ValueError(f"not a plain SPDX expression: {expression!r}")
    return [[one.strip() for one in choice.split(" AND ")] for choice in expression.split(" OR ")]


def is_allowed(expression: str) -> bool:
    """Whether one of the choices of a licence expression is allowed in all its parts."""
    try:
        return any(ALLOWED.issuperset(choice) for choice in terms_of(expression))
    except ValueError:
        return False


def problems(root: Path = ROOT) -> Iterator[str]:
    """What is wrong, a sentence each."""
    known, pins = read_known(root / "release" / "known.json"), python_pins(root)
    for pin in pins:
        if not pin.hashes:
            yield f"{pin.name} {pin.version} has no hash"
        if pin.name not in known:
            yield f"{pin.name} is not in release/known.json"
        elif not is_allowed(known[pin.name].licence):
            yield f"{pin.name}: licence {known[pin.name].licence!r} is not allowed"
    for name in sorted(known.keys() - {pin.name for pin in pins}):
        yield f"{name} is in release/known.json and not in the lock"
    for part in browser_parts(root):
        if not is_allowed(part.licence):
            yield f"{part.name} (npm): licence {part.licence!r} is not allowed"
    yield from _unmet(root)
    yield from _installed(root)


def _unmet(root: Path) -> Iterator[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    versions: dict[str, list[str]] = {}
    for pin in python_pins(root):
        versions.setdefault(pin.name, []).append(pin.version)
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in (Requirement(text) for group in groups for text in group):
        locked = versions.get(normal(requirement.name), [])
        if not any(requirement.specifier.contains(version) for version in locked):
            yield f"{requirement} is not met by the lock ({', '.join(locked) or 'not there'})"


def _installed(root: Path) -> Iterator[str]:
    """What runs here and is locked in another version; pip and setuptools come with Python."""
    locked: dict[str, set[str]] = {}
    for pin in python_pins(root):
        locked.setdefault(pin.name, set()).add(pin.version)
    for one in metadata.distributions():
        name = normal(str(one.metadata["Name"]))
        if name in locked and one.version not in locked[name]:
            yield f"{name} {one.version} is installed, the lock has {', '.join(sorted(locked[name]))}"


def main() -> None:
    """Tell what is wrong; exit code 1 where anything is."""
    found = list(problems())
    for one in found:
        print(one, file=sys.stderr)
    n_hashes = sum(len(pin.hashes) for pin in python_pins())
    print(f"{len(python_pins())} pins with {n_hashes} hashes, {len(browser_parts())} npm packages: "
          + (f"{len(found)} problems" if found else "complete, hashed, licences allowed"), file=sys.stderr)  # fmt: skip
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
