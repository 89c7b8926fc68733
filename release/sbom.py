"""The software bill of materials as CycloneDX JSON: `python -m release.sbom FILE`. The same bytes from the same locks.

Needs the standard library alone, as the build hook makes it too; `make sbom` has the library of CycloneDX check it.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from release.known import Known, read_known
from release.lock import ROOT, BrowserPart, Pin, browser_parts, python_pins

_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562: names that are URLs
_NATIVE = "native, in the wheel for CPython 3.11 on Linux x86-64"


def bill_of(root: Path = ROOT, epoch_s: int = 0) -> bytes:
    """The bill of a tree; epoch_s is the moment it tells [s UTC]. ValueError where a locked part is not known."""
    known, pins, parts = read_known(root / "release" / "known.json"), python_pins(root), browser_parts(root)
    unknown = sorted({pin.name for pin in pins} - known.keys())
    if unknown:
        raise ValueError(f"run python -m release.known: nothing is known of {', '.join(unknown)}")
    told = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": _metadata(root, epoch_s),
        "components": [*(_python(pin, known[pin.name]) for pin in pins), *map(_browser, parts)],
        "dependencies": sorted(_dependencies(root, pins, known, parts), key=lambda one: str(one["ref"])),
    }
    name = uuid.uuid5(_SPACE, json.dumps(told, sort_keys=True))
    return (json.dumps(told | {"serialNumber": name.urn}, indent=1, sort_keys=True) + "\n").encode()


def _metadata(root: Path, epoch_s: int) -> dict[str, Any]:
    project = _project(root)
    return {
        "timestamp": datetime.fromtimestamp(epoch_s, UTC).isoformat(),
        "lifecycles": [{"phase": "pre-build"}],
        "component": {
            "type": "application",
            "bom-ref": "tagwatch",
            "name": project["name"],
            "version": project["version"],
            "description": project["description"],
            "licenses": [{"expression": project["license"]}],
        },
    }


def _python(pin: Pin, known: Known) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": "library",
        "bom-ref": _ref(pin),
        "name": pin.name,
        "version": pin.version,
        "purl": f"pkg:pypi/{pin.name}@{pin.version}",
        "scope": known.scope,
        "licenses": [{"expression": known.licence}],
        "hashes": [{"alg": "SHA-256", "content": each} for each in sorted(pin.hashes)],
        "properties": [{"name": "tagwatch:hashes", "value": "of every file of this version that the lock admits"}],
    }
    if pin.marker:
        told["properties"].append({"name": "tagwatch:marker", "value": pin.marker})
    if known.libraries:
        told["components"] = [_library(pin, name, version) for name, version in known.libraries]
    return told


def _library(pin: Pin, name: str, version: str) -> dict[str, Any]:
    told = {"type": "library", "bom-ref": f"{_ref(pin)}#{name}-{version}", "name": name,
            "properties": [{"name": "tagwatch:kind", "value": _NATIVE}]}  # fmt: skip
    return told | ({"version": version} if version else {})


def _browser(part: BrowserPart) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _npm(part.name, part.version),
        "name": part.name,
        "version": part.version,
        "purl": _npm(part.name, part.version),
        "scope": "excluded" if part.dev else "required",
        "licenses": [{"expression": part.licence}],
        "hashes": [{"alg": "SHA-512", "content": part.sha512}],
    }


def _dependencies(
    root: Path, pins: list[Pin], known: dict[str, Known], parts: list[BrowserPart]
) -> Iterator[dict[str, Any]]:
    refs: dict[str, list[str]] = {}
    for pin in pins:
        refs.setdefault(pin.name, []).append(_ref(pin))
    direct = {_first(one) for one in _project(root)["dependencies"]}
    npm = {part.name: _npm(part.name, part.version) for part in parts}
    of_console = json.loads((root / "package.json").read_text("utf-8"))["dependencies"]
    first = [ref for name in direct for ref in refs[name]] + [npm[name] for name in of_console]
    yield {"ref": "tagwatch", "dependsOn": sorted(first)}
    for pin in pins:
        yield {"ref": _ref(pin), "dependsOn": sorted({ref for name in known[pin.name].requires for ref in refs[name]})}
    for part in parts:
        yield {"ref": npm[part.name], "dependsOn": sorted(npm[name] for name in part.requires if name in npm)}


def _first(requirement: str) -> str:
    """The normal name that a requirement begins with."""
    name = requirement
    for sign in " [<>=!~;":
        name = name.partition(sign)[0]
    return name.lower().replace("_", "-").replace(".", "-")


def _ref(pin: Pin) -> str:
    return f"pkg:pypi/{pin.name}@{pin.version}"


def _npm(name: str, version: str) -> str:
    return f"pkg:npm/{name.replace('@', '%40')}@{version}"


def _project(root: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def problems_of(bill: bytes) -> list[str]:
    """What the schema of CycloneDX says against a bill; needs cyclonedx-python-lib."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.decode())
    return [] if found is None else [str(found)]


def main() -> None:
    """Write the bill, checked, to the file that is named."""
    bill = bill_of(epoch_s=int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    if problems := problems_of(bill):
        raise SystemExit("\n".join(problems))
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bill)
    print(f"{path}: {bill.count(b'purl')} parts", file=sys.stderr)


if __name__ == "__main__":
    main()
