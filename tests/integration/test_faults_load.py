"""Load and hostile tags in their shortest forms, with real servers: nothing is lost, and the ledger is a replay's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench_held
from benchmarks.crash_world import World
from benchmarks.faults.backlog import Flood
from benchmarks.faults.clock_years_off import ClocksYearsOff
from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.reconnect import Reconnect
from benchmarks.faults.run import Result, run
from benchmarks.faults.soak import Soak, growth
from benchmarks.faults.stand import Stand
from benchmarks.faults.two_tags_one_identity import TwoTagsOneIdentity
from benchmarks.victims import mosquitto_binary
from tagwatch.frontier import MOST_BEYOND, Frontier

needs_servers = pytest.mark.skipif(mosquitto_binary() is None, reason="the mosquitto binary is not on this machine")


class Together(Fault):
    """Several faults one after the other on one stand."""

    name, how = "together", "one after the other"
    setting = Setting(entries_a_try=600, patience_s=120.0)
    parts: tuple[Any, ...] = (Flood(), ClocksYearsOff(), TwoTagsOneIdentity())

    def world(self, seed: int, tries: int, quick: bool) -> World:
        made = super().world(seed, tries, quick)
        rows = [row for part in self.parts for row in part.world(seed, tries, quick).activations.rows]
        return made._replace(activations=type(made.activations)({row.device: row for row in rows}.values()))

    def prepare(self, stand: Stand) -> None:
        for part in self.parts:
            part.prepare(stand)

    def produce(self, stand: Stand) -> None:
        for part in self.parts:
            part.produce(stand)

    def check(self, stand: Stand) -> None:
        for part in self.parts:
            part.check(stand)


def fine(fault: Fault) -> Result:
    """The result of a run in which all was well."""
    result = run(fault, 1, quick=True)
    assert result.fine, (result.verdict, result.recoveries)
    return result


@needs_servers
def test_a_backlog_wrong_clocks_and_a_doubled_identity() -> None:
    notes = fine(Together()).notes
    assert notes["live, hundreds: n"] > 0
    assert notes["fixes under the name"] > 200
    assert notes["alerts of the contradiction"] > 0


@needs_servers
def test_many_tags_come_back_while_the_service_starts() -> None:
    notes = fine(Reconnect()).notes
    assert notes["tags"] == notes["sockets"] == 1_200


@needs_servers
def test_an_hour_in_seconds() -> None:
    notes = fine(Soak()).notes
    assert notes["samples"] > 0
    assert notes["live: n"] >= 3_600


@needs_servers
def test_a_load_above_what_is_held_loses_nothing() -> None:
    found = bench_held.trial(6_000.0, 500, 2.0)
    assert found["lost"] == 0
    assert found["n"] > 0


def test_growth_is_the_slope_after_the_warm_up(tmp_path: Path) -> None:
    held = {"objects": 1000, "files": 20, "threads": 5, "connections": 4, "messages": 1}
    days = range(11)
    mib = [100 + 50 * min(d, 2) + 3 * d for d in days]  # caches fill for two days, then three more a day
    lines = [json.dumps({**held, "time_us": d * 86_400_000_000, "mib": m}) for d, m in zip(days, mib, strict=True)]
    (tmp_path / "samples.jsonl").write_text("\n".join(lines))
    found = growth(tmp_path / "samples.jsonl")
    assert found["memory: MiB a day"] == pytest.approx(3.0)
    assert found["memory: MiB more"] == pytest.approx(24.0)
    assert found["objects: share more"] == 0.0


def test_numbers_beyond_gaps_are_bounded_and_claimed_rightly() -> None:
    """A tag that leaves gaps for ever takes no memory for it, and is never told that something is durable which never came."""
    frontier, sent = Frontier({}), set[int]()
    claimed = set[int]()
    for first in range(1, 60_000, 300):
        seqs = [n for n in range(first, first + 300) if n % 3]  # every third is missing
        sent |= set(seqs)
        for low, high in frontier.note("gaps", seqs):
            claimed |= set(range(low, high + 1))
    assert claimed <= sent
    _, until, beyond = frontier.of(["gaps"])["gaps"]
    assert len(beyond) <= MOST_BEYOND
    again = [n for n in range(1, 301) if n % 3]
    for low, high in frontier.note("gaps", again):
        claimed |= set(range(low, high + 1))
    assert set(again) <= claimed, "what is sent once more is claimed then"
    assert until > 1
    for low, high in frontier.note("gaps", [until + 1]):
        claimed |= set(range(low, high + 1))
    assert claimed <= sent | {until + 1}
