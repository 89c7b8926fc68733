"""The build hook: writes into wheel and source archive which build they are, and into the wheel its bill of materials.

Nothing of it depends on folder, clock or machine: the commit and its time are git's, or those of the source archive.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INFO = "build_info.json"  # in the wheel beside tagwatch/build.py, in the source archive at the top
PARTS = "tagwatch/console/static/parts/versions.json"


class TagwatchBuild(BuildHookInterface):  # type: ignore[type-arg]
    """Adds two files that are made; an editable install gets neither."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """RuntimeError where the browser parts of the console have not been copied."""
        if version == "editable":
            return
        root = Path(self.root)
        if not (root / PARTS).exists():
            raise RuntimeError(
                "the browser parts are not here: run `make setup` or python -m tagwatch.console.browser_parts"
            )
        told = build_of(root)
        made = root / "build" / "release"
        made.mkdir(parents=True, exist_ok=True)
        (made / INFO).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", "utf-8")
        is_wheel = self.target_name == "wheel"
        build_data["force_include"][str(made / INFO)] = f"tagwatch/{INFO}" if is_wheel else INFO
        if is_wheel:
            bill = made / "tagwatch.cdx.json"
            bill.write_bytes(_bill_of(root, int(told["epoch_s"])))
            build_data["sbom_files"].append(str(bill.relative_to(root)))


def build_of(root: Path) -> dict[str, Any]:
    """The commit, whether the tree differs from it, and the time: SOURCE_DATE_EPOCH, else that of the commit."""
    if (root / INFO).exists():  # an unpacked source archive
        told: dict[str, Any] = json.loads((root / INFO).read_text("utf-8"))
    else:
        commit = _git(root, "rev-parse", "HEAD")
        told = {"commit": commit, "changed": bool(commit and _git(root, "status", "--porcelain")),
                "epoch_s": int(_git(root, "log", "-1", "--format=%ct") or 0)}  # fmt: skip
    told["epoch_s"] = int(os.environ.get("SOURCE_DATE_EPOCH", told["epoch_s"]))
    return told | {"time": datetime.fromtimestamp(told["epoch_s"], UTC).isoformat().replace("+00:00", "Z")}


def _git(root: Path, *words: str) -> str:
    try:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _bill_of(root: Path, epoch_s: int) -> bytes:
    sys.path.insert(0, str(root))
    try:
        from release.sbom import bill_of  # noqa: PLC0415
    finally:
        sys.path.remove(str(root))
    return bill_of(root, epoch_s)
