"""Which Tagwatch this is: version, commit, build time, kernels, Python, libraries. Needs no git; imports nothing heavy."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

_HOME = Path(__file__).resolve().parents[1]
_INFO = Path(__file__).with_name("build_info.json")
_ROOMS_WITH_KERNELS = ("engine", "geofence", "crime_match")


class Build(NamedTuple):
    """`commit` and `time` (ISO, UTC) are empty in a checkout; `changed`: the tree that was built differed from the commit."""

    version: str
    commit: str
    changed: bool
    time: str

    @property
    def is_checkout(self) -> bool:
        """Whether this runs from sources that nobody built, and so nobody can say which they are."""
        return not self.time

    def __str__(self) -> str:
        if self.is_checkout:
            return "a checkout, not a build: its commit is not known"
        commit = f"commit {self.commit}" if self.commit else "of no known commit"
        return f"{commit}{', with changes' if self.changed else ''}, built {self.time}"


def build() -> Build:
    """What was written at the build, or that there was none."""
    version = metadata.version("tagwatch")
    try:
        told = json.loads(_INFO.read_text("utf-8"))
    except FileNotFoundError:
        return Build(version, "", False, "")
    return Build(version, str(told["commit"]), bool(told["changed"]), str(told["time"]))


def kernels_hash() -> str:
    """The hash that names the folder of compiled kernels: of their sources and of numba's version, as `engine.jit` has it."""
    digest = hashlib.sha256(metadata.version("numba").encode())
    for room in _ROOMS_WITH_KERNELS:
        for path in sorted((_HOME / room).rglob("*.py")):
            source = path.read_bytes()
            if b"@kernel" in source:
                digest.update(source)
    return digest.hexdigest()[:16]


def libraries() -> dict[str, str]:
    """By name, the version of each library that Tagwatch requires; of an extra's, where it is installed."""
    found = {}
    for requirement in metadata.requires("tagwatch") or []:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        if "extra ==" in requirement and "'embedded'" not in requirement.replace('"', "'"):
            continue
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return dict(sorted(found.items()))


def python() -> str:
    """The interpreter, as `CPython 3.11.7`."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def machine() -> str:
    """System and processor, as `Linux x86_64`; the machine's name is not told."""
    return f"{platform.system()} {platform.machine()}"
