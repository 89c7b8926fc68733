"""Tags whose clocks are years off: what they send is kept as evidence and flagged, raises nothing that did not happen, and
takes no memory for what is dated ahead."""

from __future__ import annotations

import numpy as np

from benchmarks.crash_world import World
from benchmarks.faults.backlog import with_wearers
from benchmarks.faults.bare_tag import BareTag, in_messages, walk
from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.stand import Stand, count
from engine import database
from engine.fixes import Fixes, concat
from engine.times import DAY_US, MINUTE_US, SECOND_US, system_clock
from ingest.payload_text import fix_texts

YEAR_US = 365 * DAY_US
ROLLOVER_US = 1024 * 7 * DAY_US
"""A receiver that counts weeks in ten bits is that far behind, or ahead."""
OFF_US = {
    "years-ahead": 3 * YEAR_US, "years-behind": -6 * YEAR_US, "week-rollover": -ROLLOVER_US, "rolled-ahead": ROLLOVER_US,
    "an-hour-ahead": 60 * MINUTE_US, "jumping": 2 * DAY_US,
}  # fmt: skip
N_EACH, N_AHEAD, N_AHEAD_QUICK = 120, 200_000, 4_000


class ClocksYearsOff(Fault):
    """Six clocks that are wrong, one that says 1970, one in a leap second, and one that dates a great many fixes ahead."""

    name = "clocks years off"
    how = (
        "tags three years ahead, six behind, 1,024 weeks off either way, an hour ahead, jumping two days back and forth, in"
        " 1970, in a leap second, and one with 200,000 fixes dated a year ahead"
    )
    times = 1
    setting = Setting(entries_a_try=600, patience_s=300.0)
    peer = False

    def world(self, seed: int, tries: int, quick: bool) -> World:
        """Each tag is worn, and was when its clock says."""
        made = super().world(seed, tries, quick)
        return with_wearers(made, [*OFF_US, "epoch", "leap", "flood-ahead"], system_clock() - 25 * YEAR_US)

    def produce(self, stand: Stand) -> None:
        """See `Fault`."""
        for name, off_us in OFF_US.items():
            self._send(stand, name, _minutes(name, off_us))
        self._send_unreadable(stand)
        n = N_AHEAD_QUICK if stand.quick else N_AHEAD
        before = _held(stand)
        self._send(stand, "flood-ahead", walk("flood-ahead", system_clock() + YEAR_US + np.arange(n) * SECOND_US), 100)
        stand.note("ahead: fixes", n)
        stand.note("ahead: MiB in memory", max(0, _held(stand) - before))

    def check(self, stand: Stand) -> None:
        """Flagged for the clock, and accused of nothing else: these tags were where they may be, or nowhere yet."""
        wrong = [f"of-{name}" for name, off_us in OFF_US.items() if off_us > 5 * MINUTE_US] + ["of-flood-ahead"]
        with database.connect(stand.url) as connection:
            rules = connection.execute(
                "SELECT wearer, rule, condition FROM alert WHERE wearer = ANY(%s)"
                " AND rule NOT IN ('tag.clock', 'tag.no_contact')",
                [wrong],
            ).fetchall()
            n_future = count(connection, f"SELECT count(*) FROM fix WHERE time_s > {system_clock() // SECOND_US + 1800}")
            n_why = count(connection, "SELECT count(*) FROM quarantine WHERE device IN ('epoch', 'leap')")
        n_ahead = int(np.count_nonzero(stand.sent()[0].time_us > system_clock() + 30 * MINUTE_US))
        assert not rules, f"alerts from a time that has not come: {rules[:5]}"
        assert n_future >= n_ahead > 0, f"{n_future} fixes dated ahead are kept, {n_ahead} were sent"
        assert n_why == stand.n_quarantined, f"{n_why} of {stand.n_quarantined} unreadable times are kept with their reason"

    def _send(self, stand: Stand, name: str, fixes: Fixes, n_each: int = 1) -> None:
        texts = fix_texts(fixes, np.arange(1, len(fixes) + 1))
        tag = BareTag(stand.broker.url, name)
        tag.send(in_messages(texts, n_each))
        tag.wait_stored(len(fixes), 300.0)
        tag.close()
        stand.also(fixes)

    def _send_unreadable(self, stand: Stand) -> None:
        """1970 is no time of a tag; a leap second is none that the engine has: both are kept in quarantine with the reason."""
        texts = {
            "epoch": b'{"time":"1970-01-01T00:00:00Z","lat":53.2,"lon":-0.5,"seq":1}',
            "leap": b'{"time":"2016-12-31T23:59:60Z","lat":53.2,"lon":-0.5,"seq":1}',
        }
        for name, text in texts.items():
            tag = BareTag(stand.broker.url, name)
            tag.send([text])
            tag.wait_stored(1, 60.0)
            tag.close()
            stand.n_quarantined += 1


def _minutes(name: str, off_us: int) -> Fixes:
    """Two hours of fixes up to now, as a tag with that clock dates them; the jumping one is right every second time."""
    now_us = system_clock() // SECOND_US * SECOND_US
    true_us = now_us - np.arange(N_EACH, 0, -1) * MINUTE_US
    if name == "jumping":
        return concat([walk(name, true_us[::2]), walk(name, true_us[1::2] + off_us)])
    return walk(name, true_us + off_us)


def _held(stand: Stand) -> float:
    import psutil

    return round(psutil.Process(stand.service.pid).memory_info().rss / 2**20)


FAULTS = [ClocksYearsOff()]
