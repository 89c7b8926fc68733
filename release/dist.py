"""Wheel, source archive, locks to run them by, and the bill of materials, in dist/: `python -m release.dist` (`make dist`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hatch_build import build_of
from release.lock import ROOT
from release.run_locks import write
from release.sbom import bill_of, problems_of


def make(root: Path = ROOT) -> Path:
    """Build from what is in the tree, dated by its commit; returns the folder. ValueError where the bill is not valid."""
    epoch_s, folder = int(build_of(root)["epoch_s"]), root / "dist"
    bill = bill_of(root, epoch_s)
    if problems := problems_of(bill):
        raise ValueError("\n".join(problems))
    shutil.rmtree(folder, ignore_errors=True)
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(epoch_s)}
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "."], cwd=root, env=environment, check=True)
    write(folder)
    (folder / "tagwatch.cdx.json").write_bytes(bill)
    return folder


if __name__ == "__main__":
    for each in sorted(make().iterdir()):
        print(each.name, file=sys.stderr)
