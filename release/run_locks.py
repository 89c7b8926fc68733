"""Locks for machines that run Tagwatch and do not test it: `python -m release.run_locks dist` writes them beside the wheel.

One file installs the wheel by its own hash and all it needs by theirs, and nothing else; the other with the extra `embedded`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

from release.known import read_known
from release.lock import Pin, python_pins


def text_of(pins: Iterable[Pin]) -> str:
    """Pins as pip reads them."""
    return "".join(
        f"{pin.name}=={pin.version}{f' ; {pin.marker}' if pin.marker else ''}"
        + "".join(f" \\\n    --hash=sha256:{each}" for each in pin.hashes) + "\n"
        for pin in pins
    )  # fmt: skip


def needed(scopes: Iterable[str]) -> list[Pin]:
    """The pins of the lock that are needed to run."""
    known, wanted = read_known(), set(scopes)
    return [pin for pin in python_pins() if known[pin.name].scope in wanted]


def write(folder: Path) -> list[Path]:
    """Both locks for the one wheel in a folder; ValueError where there is another number of wheels."""
    wheels = sorted(folder.glob("tagwatch-*.whl"))
    if len(wheels) != 1:
        raise ValueError(f"one wheel of tagwatch is needed in {folder}, not {len(wheels)}")
    name, version = wheels[0].name.split("-")[:2]
    digest = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    made = []
    for extra, scopes in (("", ("required",)), ("embedded", ("required", "optional"))):
        own = Pin(f"{name}[{extra}]" if extra else name, version, "", (digest,))
        path = folder / f"{name}-{version}{'-' + extra if extra else ''}.lock"
        path.write_text(text_of([own, *needed(scopes)]), "utf-8")
        made.append(path)
    return made


if __name__ == "__main__":
    for each in write(Path(sys.argv[1])):
        print(each, file=sys.stderr)
