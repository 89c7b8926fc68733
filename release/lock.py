"""The locks: every Python distribution with its hashes, every npm package with its integrity."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\s*\\?$")


class Pin(NamedTuple):
    """One line of a pip lock; `marker` is empty where it holds everywhere; `hashes` are SHA-256, one a file."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


class BrowserPart(NamedTuple):
    """One package of the npm lock; `sha512` in hexadecimal; `dev`: for tests alone; `requires` names others of the lock."""

    name: str
    version: str
    licence: str
    sha512: str
    dev: bool
    requires: tuple[str, ...]


def pins_in(text: str) -> list[Pin]:
    """The pins of a pip lock, in its order. ValueError names a line that is neither a pin nor a hash of one."""
    found: list[Pin] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if pin := _PIN.fullmatch(line):
            found.append(Pin(normal(pin[1]), pin[2], pin[3] or "", ()))
        elif found and (hashed := _HASH.fullmatch(line)):
            found[-1] = found[-1]._replace(hashes=(*found[-1].hashes, hashed[1]))
        else:
            raise ValueError(f"line {number} of the lock is no pin and no hash: {line[:80]}")
    return found


def python_pins(root: Path = ROOT) -> list[Pin]:
    """The pins of requirements.lock."""
    return pins_in((root / "requirements.lock").read_text("utf-8"))


def browser_parts(root: Path = ROOT) -> list[BrowserPart]:
    """The packages of package-lock.json, by name."""
    packages = json.loads((root / "package-lock.json").read_text("utf-8"))["packages"]
    return [_part(path, told) for path, told in sorted(packages.items()) if path]


def normal(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _part(path: str, told: dict[str, object]) -> BrowserPart:
    algorithm, _, digest = str(told["integrity"]).partition("-")
    if algorithm != "sha512":
        raise ValueError(f"{path} is not locked by SHA-512")
    requires = told.get("dependencies", {})
    assert isinstance(requires, dict)
    return BrowserPart(
        path.rpartition("node_modules/")[2], str(told["version"]), str(told.get("license", "")),
        base64.b64decode(digest).hex(), bool(told.get("dev")), tuple(sorted(requires)),
    )  # fmt: skip
