"""Two devices publish under one name from two places 50 km apart, with the same numbers; and a file that gives one device to
two wearers. Nothing may be chosen silently."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np

from benchmarks.crash_world import World
from benchmarks.faults.backlog import with_wearers
from benchmarks.faults.bare_tag import BareTag, walk
from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.stand import Stand, count
from benchmarks.victims import ROOT
from engine import database
from engine.fixes import Fixes
from engine.times import DAY_US, MINUTE_US, SECOND_US, system_clock
from ingest.payload_text import fix_texts

APART_M = 50_000.0
N_EACH, N_QUICK = 600, 120
_ROWS = """device,wearer,from,to,percentile,fix_interval_s,upload_interval_s,grace_s
twin,one,2026-01-01T00:00:00Z,,0.95,60,600,300
twin,other,2026-02-01T00:00:00Z,,0.95,60,600,300
"""


class TwoTagsOneIdentity(Fault):
    """A clone, or a spoofer that knows the password, or two tags that were given one number by mistake."""

    name = "two tags with one identity"
    how = (
        "two tags under one name 50 km apart send in turn with the same numbers, every tenth fix of both at the same instant;"
        " then an activations file gives the device to two wearers"
    )
    times = 1
    setting = Setting(entries_a_try=600, patience_s=120.0)
    peer = False

    def world(self, seed: int, tries: int, quick: bool) -> World:
        """The name is worn by one."""
        return with_wearers(super().world(seed, tries, quick), ["twin"], system_clock() - 30 * DAY_US)

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        n = N_QUICK if stand.quick else N_EACH
        until_us = system_clock() // SECOND_US * SECOND_US
        time_us = until_us - np.arange(n, 0, -1) * MINUTE_US
        shifted = time_us + np.where(np.arange(n) % 10 == 0, 0, MINUTE_US // 2)
        here, there = walk("twin", time_us, radius_m=100.0), walk("twin", np.minimum(shifted, until_us), (0.0, APART_M))
        senders = [threading.Thread(target=_send, args=(stand, fixes, k)) for k, fixes in enumerate((here, there))]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        stand.also(here)
        stand.also(there)
        self._refused = _import(stand)

    def check(self, stand: Stand) -> None:
        """Both are kept (the judgement counts); the contradiction is an alert that somebody sees; the file is refused whole."""
        with database.connect(stand.url) as connection:
            n_told = count(
                connection, "SELECT count(*) FROM alert WHERE wearer = 'of-twin' AND rule = 'tag.implausible'"
            )  # fmt: skip
            n_fixes = count(connection, "SELECT count(*) FROM fix JOIN device USING (device_id) WHERE name = 'twin'")
            zones = connection.execute(
                "SELECT rule, subject FROM alert WHERE wearer = 'of-twin' AND rule LIKE 'zone.%%' AND grade = 'critical'"
            ).fetchall()
            n_delivered = count(
                connection,
                "SELECT count(*) FROM outbox o JOIN alert a ON a.id = o.alert_id"
                " WHERE a.wearer = 'of-twin' AND a.rule = 'tag.implausible' AND o.status = 'delivered'",
            )
        code, said = self._refused
        assert n_told > 0, "nobody is told that a tag is in two places"
        assert n_delivered > 0, "the alert was not delivered"
        assert code == 2, f"the file that contradicts itself ended with {code}"
        assert "one wearer at a time" in said, f"what is said of the file: {said}"
        stand.note("fixes under the name", n_fixes)
        stand.note("alerts of the contradiction", n_told)
        stand.note("critical zone alerts", len(zones))


def _send(stand: Stand, fixes: Fixes, which: int) -> None:
    tag = BareTag(stand.broker.url, "twin", name=f"twin-{which}")
    for number, text in enumerate(fix_texts(fixes, np.arange(1, len(fixes) + 1)), start=1):
        tag.send([text])
        if number % 20 == 0:
            stand.hold(0.05)
    tag.wait_acknowledged(len(fixes))
    tag.close()


def _import(stand: Stand) -> tuple[int, str]:
    """Exit code and what is said of a file that contradicts itself."""
    path = stand.folder / "activations.csv"
    path.write_text(_ROWS, "utf-8")
    command = [sys.executable, "-c", "from tagwatch.cli import main; main()", "activations", "import", str(path),
               "--config", str(stand.settings_file)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


FAULTS = [TwoTagsOneIdentity()]
