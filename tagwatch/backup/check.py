"""Whether a backup is what its manifest says: every file's size and hash, the raw log's chain, and a dump that can be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ingest.raw_verify import verify
from tagwatch.backup.manifest import DUMP, FILE, RAW, Manifest, read_manifest, stored

_MAGIC = b"PGDMP"


class Checked(NamedTuple):
    """The manifest, and what is wrong, a sentence each; nothing where all holds."""

    manifest: Manifest
    faults: list[str]


def check(folder: Path, tell: Callable[[str, int], None] = lambda what, n: None) -> Checked:
    """Read every byte of a backup. InputError where it is none, or was not finished."""
    manifest = read_manifest(folder)
    faults, n_bytes = list[str](), 0
    for name, wanted in sorted(manifest.files.items()):
        path = folder / name
        if path.is_symlink() or not path.is_file():
            faults.append(f"{name} is not there")
            continue
        found = stored(path)
        if found != wanted:
            what = (
                f"has {found.n_bytes} bytes instead of {wanted.n_bytes}"
                if found.n_bytes != wanted.n_bytes
                else "was changed"
            )
            faults.append(f"{name} {what}")
        tell("bytes read", n_bytes := n_bytes + found.n_bytes)
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()} - {FILE}
    faults += [f"{name} is not of the backup" for name in sorted(there - manifest.files.keys())]
    if not faults:
        faults += _of_content(folder)
    return Checked(manifest, faults)


def _of_content(folder: Path) -> list[str]:
    with (folder / DUMP).open("rb") as file:
        faults = [] if file.read(len(_MAGIC)) == _MAGIC else [f"{DUMP} is no dump of a database"]
    log = verify(folder / RAW)
    return faults + [f"{Path(fault.file).name}, line {fault.line}: {fault.message}" for fault in log.faults[:20]]
