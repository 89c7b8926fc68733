"""Two builds of one commit, far apart, must be the same bytes: `python -m release.twice` (`make reproducible`).

The second is made in another folder, at another hour, with another umask, locale, time zone and hash seed, from files that were
written in another order.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from release.lock import ROOT

PARTS = Path("tagwatch/console/static/parts")
_SCENES = (
    {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0", "umask": "022"},
    {"LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "4711", "umask": "077"},
)


def files_of_commit(root: Path) -> list[str]:
    """What git knows of a tree; of an unpacked source archive every file."""
    try:
        told = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root,
                              capture_output=True, check=True).stdout.decode().split("\0")  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        told = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    return sorted(name for name in told if name and (root / name).is_file() and not name.startswith(("dist/", "build/")))


def copy(root: Path, target: Path, *, backwards: bool) -> None:
    """The tree without git, its browser parts, and which commit it is."""
    names = [
        *files_of_commit(root),
        *(str(path.relative_to(root)) for path in sorted((root / PARTS).rglob("*")) if path.is_file()),
    ]
    for k, name in enumerate(reversed(names) if backwards else names):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, target / name)
        (target / name).chmod(0o600 if backwards else 0o644)
        os.utime(target / name, (10**9 + k * 1_000, 10**9 + k * 1_000) if backwards else None)


def build(target: Path, scene: dict[str, str], epoch_s: str) -> dict[str, str]:
    """Build in a folder; by file name the SHA-256."""
    environment = {
        **os.environ,
        **{key: value for key, value in scene.items() if key != "umask"},
        "SOURCE_DATE_EPOCH": epoch_s,
    }
    order = f'umask {scene["umask"]} && exec "$0" -m build --no-isolation --outdir out .'
    subprocess.run(["sh", "-c", order, sys.executable], cwd=target, env=environment, check=True, stdout=subprocess.DEVNULL)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((target / "out").iterdir())}


def twice(root: Path = ROOT, epoch_s: str = "1790000000") -> list[dict[str, str]]:
    """The hashes of both builds."""
    with tempfile.TemporaryDirectory(prefix="tagwatch-build-") as home:
        targets = [Path(home) / "a", Path(home) / "another folder"]
        copy(root, targets[0], backwards=False)
        copy(targets[0], targets[1], backwards=True)
        return [build(target, scene, epoch_s) for target, scene in zip(targets, _SCENES, strict=True)]


def main() -> None:
    """Exit code 1 where the bytes differ."""
    one, other = twice(epoch_s=os.environ.get("SOURCE_DATE_EPOCH", "1790000000"))
    for name in sorted(one.keys() | other.keys()):
        print(f"{'same' if one.get(name) == other.get(name) else 'DIFFERS'} {one.get(name)} {name}")
    sys.exit(one != other)


if __name__ == "__main__":
    main()
