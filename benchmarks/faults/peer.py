"""The naive service on the same stand under the same fault, and the same judgement as far as it has the same things."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from benchmarks.faults.fault import Fault
from benchmarks.faults.judgement import Verdict
from benchmarks.faults.naive import NaiveProcess, Zones
from benchmarks.faults.recovery import Recovery, Watcher
from benchmarks.faults.run import Result, produce_all
from benchmarks.faults.stand import Stand, made
from engine.fixes import Fixes
from engine.times import to_iso

PATIENCE_S = 20.0
_COUNT = "SELECT count(*) FROM naive_fix"

Key = tuple[str, str]
Entry = tuple[str, str, str]
"""(device, zone, time) of an entry into a forbidden zone."""


class PeerWatcher(Watcher):
    """Recovery of a service that may have lost what it should store: the first fix after the fault is all that is asked."""

    def recovery(self, over_s: float) -> Recovery:
        """See `Watcher`."""
        give_up_s = over_s + PATIENCE_S
        before = self.ask(_COUNT, give_up_s)
        while before is not None and time.monotonic() < give_up_s:
            if (self.ask(_COUNT, give_up_s) or 0) > before:
                return Recovery(time.monotonic() - over_s, None)
            time.sleep(0.02)
        return Recovery(None, None)


def run_peer(fault: Fault, tries: int = 1, *, quick: bool = False, seed: int = 1) -> Result:
    """The naive service under a fault."""
    result = Result(fault.name, fault.how)
    if lacking := fault.lacks():
        result.skipped = lacking
        return result
    began_s = time.monotonic()
    with made(fault, tries, quick, seed, _service) as stand:
        produce_all(stand, result, lambda: PeerWatcher(stand))
        _judge(stand, result.verdict)
    result.seconds = time.monotonic() - began_s
    return result


def _service(stand: Stand) -> NaiveProcess:
    config = {
        "host": stand.broker.host, "port": stand.broker.port, "database": stand.database.tcp_url or stand.url,
        "webhook": stand.hook.url, "zones": (stand.world.first.zones or {}).get("features", []),
    }  # fmt: skip
    return NaiveProcess(stand.folder, config, stand.network.within)


def _judge(stand: Stand, verdict: Verdict) -> None:
    stand.tags.finish(180.0)
    stored = _when_quiet(stand)
    stand.service.stop()
    wanted, entries = faultless(stand.sent()[0], (stand.world.first.zones or {}).get("features", []))
    told = Counter(_entry(json.loads(taken.body)) for taken in (*stand.hook.taken, *stand.hook.unanswered))
    n_fixes, n_entries = len(wanted - stored), len(entries - told.keys())
    n_twice, n_false = sum(told.values()) - len(told), len(told.keys() - entries)
    verdict.lost, verdict.doubled = n_fixes + n_entries, n_twice + n_false
    verdict.counts |= {
        "fixes": len(wanted), "fixes lost": n_fixes, "entries": len(entries), "alerts lost": n_entries,
        "alerts twice": n_twice, "alerts of what was not so": n_false,
        "restarts by the supervisor": getattr(stand.service, "n_failures", 0),
    }  # fmt: skip


def _when_quiet(stand: Stand) -> set[Key]:
    """What is stored, once nothing has come for three seconds."""
    watcher = Watcher(stand)
    n_before, since_s, give_up_s = -1, time.monotonic(), time.monotonic() + 120.0
    try:
        while time.monotonic() < min(since_s + 3.0, give_up_s):
            n_now = watcher.ask(_COUNT, give_up_s) or 0
            if n_now != n_before:
                n_before, since_s = n_now, time.monotonic()
            time.sleep(0.1)
        return set(watcher.rows("SELECT device, time FROM naive_fix"))
    finally:
        watcher.close()


def faultless(fixes: Fixes, features: list[dict[str, Any]]) -> tuple[set[Key], set[Entry]]:
    """The fixes that the naive service would store without a fault, and the entries it would tell, by its own rules."""
    zones, keys, entries = Zones(features), set[Key](), set[Entry]()
    for row in range(len(fixes)):
        device, time_text = fixes.devices[int(fixes.device[row])], to_iso(int(fixes.time_us[row]))
        if (device, time_text) in keys:
            continue
        keys.add((device, time_text))
        for zone, is_in, is_news in zones.entries(device, fixes.lat_e7[row] / 1e7, fixes.lon_e7[row] / 1e7):
            if is_in and is_news:
                entries.add((device, zone, time_text))
    return keys, entries


def _entry(alert: dict[str, str]) -> Entry:
    return alert["device"], alert["zone"], alert["time"]
