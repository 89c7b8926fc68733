"""Servers for the benchmarks: Mosquitto where the machine has it, else the embedded broker; the embedded PostgreSQL."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine import database
from tagwatch.embedded import embedded_broker, embedded_database, free_port
from tagwatch.service import initialise


@contextmanager
def broker(folder: Path) -> Iterator[tuple[str, str]]:
    """A broker on 127.0.0.1; yields its URL and its name."""
    binary = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        with embedded_broker() as url:
            yield url, "embedded broker"
        return
    port, config = free_port(), folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n"
        "log_type error\nset_tcp_nodelay true\n"
    )
    process = subprocess.Popen([binary, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield f"mqtt://127.0.0.1:{port}", "mosquitto"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def postgres() -> Iterator[tuple[str, Path]]:
    """A database with the schema, and a folder for what else a run needs."""
    with tempfile.TemporaryDirectory(prefix="tagwatch-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # the server runs as a user of its own where we are root
        with embedded_database(Path(name) / "postgres") as url:
            initialise(url)
            yield url, Path(name)


def empty(url: str) -> None:
    """Take away what a run has left."""
    with database.connect(url) as connection:
        connection.execute("TRUNCATE fix, device_event, alert, alert_version, outbox, quarantine, configuration CASCADE")
        connection.execute("TRUNCATE handling_action, handling_notice")  # the same scene gives the same identifiers again
