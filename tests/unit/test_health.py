"""Health: clocks against each other, steps, the parts of a service, and what systemd is told."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.fixes import SOURCES, Fixes
from engine.times import SECOND_US, system_clock
from tagwatch import systemd
from tagwatch.counts import Counts
from tagwatch.health import vital
from tagwatch.health.clock_watch import ClockWatch
from tagwatch.health.kernel_clock import kernel_clock
from tagwatch.health.part import Part, answer
from tagwatch.health.server_clocks import ahead_of_ntp_s
from tagwatch.health.steps import LEAST_S, Steps
from tagwatch.health.tag_clocks import LEAST_TAGS, MOST_TAGS, WINDOW_US, TagClocks
from tagwatch.settings import Health

NOW_US = 1_790_000_000_000_000


def fixes_of(times_us: dict[str, list[int]], source: str = "gps") -> Fixes:
    names = sorted(times_us)
    rows = [(k, time_us) for k, name in enumerate(names) for time_us in times_us[name]]
    return Fixes.of(names, device=[k for k, _ in rows], time_us=[t for _, t in rows],
                    source=np.full(len(rows), SOURCES[source]), lat_e7=[0] * len(rows), lon_e7=[0] * len(rows))  # fmt: skip


@given(st.lists(st.lists(st.integers(-3600 * SECOND_US, 900 * SECOND_US), min_size=1, max_size=4), max_size=12))
def test_the_median_over_tags_of_the_least_delay(delays_us: list[list[int]]) -> None:
    tags = TagClocks()
    for k, delays in enumerate(delays_us):
        tags.take(fixes_of({f"t{k}": [NOW_US - delay for delay in delays]}), NOW_US)
    tags.take(Fixes.empty(), NOW_US + WINDOW_US + 1)
    if len(delays_us) < LEAST_TAGS:
        assert tags.behind_s is None
    else:
        expected = median(min(delays) for delays in delays_us) / SECOND_US
        assert tags.delay_s == pytest.approx(expected)
        assert tags.behind_s == pytest.approx(max(0.0, -expected))


def test_a_minority_of_liars_moves_nothing() -> None:
    tags = TagClocks()
    honest = {f"t{k}": [NOW_US - (k + 1) * SECOND_US] for k in range(6)}
    liars = {f"x{k}": [NOW_US + 5 * 365 * 86_400 * SECOND_US] for k in range(5)}
    tags.take(fixes_of(honest | liars), NOW_US)
    tags.take(fixes_of({"w": [NOW_US + 10**12]}, "wifi"), NOW_US)  # its time is not of the satellites
    tags.take(Fixes.empty(), NOW_US + WINDOW_US + 1)
    assert tags.behind_s == 0.0
    assert tags.n_tags == 11


def test_a_clock_that_is_set_throws_the_minute_away_and_memory_is_bounded() -> None:
    tags = TagClocks()
    tags.take(fixes_of({f"t{k}": [NOW_US] for k in range(9)}), NOW_US)
    tags.take(Fixes.empty(), NOW_US - 3600 * SECOND_US)
    assert tags.delay_s is None
    tags = TagClocks()
    for start in range(0, MOST_TAGS + 3_000, 1_000):
        tags.take(fixes_of({f"t{k}": [NOW_US] for k in range(start, start + 1_000)}), NOW_US)
    tags.take(Fixes.empty(), NOW_US + WINDOW_US + 1)
    assert tags.n_tags == MOST_TAGS


class Hands:
    """A wall clock and a steady one, moved by hand; reading takes a little."""

    def __init__(self) -> None:
        self.wall_us, self.steady = NOW_US, 100.0

    def go(self, seconds: float, step_s: float = 0.0) -> None:
        self.wall_us += round((seconds + step_s) * SECOND_US)
        self.steady += seconds


@given(st.lists(st.tuples(st.floats(0.5, 100), st.sampled_from([0.0, 0.0, -7200.0, -1.5, 0.2, 3600.0])), max_size=20))
def test_every_step_is_seen_and_nothing_else_is(moves: list[tuple[float, float]]) -> None:
    hands = Hands()
    steps = Steps(lambda: hands.wall_us, lambda: hands.steady)
    assert steps.look() == 0.0
    for seconds, step_s in moves:
        hands.go(seconds, step_s)
        assert steps.look() == pytest.approx(step_s, abs=1e-4)
    assert steps.n_steps == sum(abs(step_s) >= LEAST_S for _, step_s in moves)


def test_this_machines_clock_is_not_set_while_one_looks() -> None:
    steps = Steps(system_clock)
    assert [steps.look() for _ in range(50)] == [0.0] * 50
    known = kernel_clock()
    assert known is None or (known.most_s >= 0 and abs(known.offset_s) < 1)


@contextmanager
def ntp_server(ahead_s: float, stratum: int = 2) -> Iterator[str]:
    """A server of time that is so far ahead of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0.2)
        stopping = threading.Event()

        def serve() -> None:
            while not stopping.is_set():
                try:
                    asked, address = listening.recvfrom(512)
                except TimeoutError:
                    continue
                seconds, rest = divmod(time.time() + ahead_s + 2_208_988_800, 1)
                now = struct.pack("!II", int(seconds), int(rest * 2**32))
                listening.sendto(bytes([0x24, stratum, 6, 0xEC]) + bytes(12) + now + asked[40:48] + now + now, address)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        stopping.set()
        thread.join()


def test_servers_of_time_are_asked_and_the_median_counts() -> None:
    with ntp_server(30.0) as one, ntp_server(31.0) as two, ntp_server(-900.0) as wrong, ntp_server(0.0, 16) as lost:
        assert ahead_of_ntp_s([one]) == pytest.approx(-30.0, abs=0.5)
        assert ahead_of_ntp_s([one, two, wrong, lost]) == pytest.approx(-30.0, abs=0.5)
        assert ahead_of_ntp_s([lost]) is None
        watch = ClockWatch(system_clock, [one], 1.0, lambda: None)
        assert watch.part().is_well
        watch.ask_ntp()
        watch.ask_ntp()  # not again at once
        assert not watch.part().is_well
        assert "30." in watch.part().said
        assert "behind the NTP servers" in watch.part().said
    assert ahead_of_ntp_s([]) is None
    assert ahead_of_ntp_s(["127.0.0.1:1", "not a host"]) is None


def test_the_clock_is_out_of_bound_by_the_tags_and_right_again_after_it_was_set() -> None:
    hands = Hands()
    behind: list[float | None] = [40.0]
    watch = ClockWatch(lambda: hands.wall_us, [], 1.0, lambda: behind[0])
    watch.steps = Steps(lambda: hands.wall_us, lambda: hands.steady)
    watch.look(None)
    assert not watch.part().is_well
    assert "behind the tags" in watch.part().said
    hands.go(1.0, 40.0)
    behind[0] = None
    watch.look(None)
    assert watch.part().is_well
    assert watch.steps.n_steps == 1
    assert watch.offsets_s() == {}


def service_of(tmp_path: Path, **more: Any) -> Any:
    events = {name: threading.Event() for name in ("ready", "stopping", "warmed", "standing_by")}
    return SimpleNamespace(counts=Counts(), subscriber=None, reaches_broker=False, **events, **more)


def test_a_service_that_shows_no_sign_of_life_hangs_but_not_while_kernels_are_made(tmp_path: Path) -> None:
    service, bounds = service_of(tmp_path), Health(hang_s=60)
    service.counts.beat_s = time.monotonic() - 100
    assert vital.loop(service, bounds).is_well
    service.warmed.set()
    assert not vital.loop(service, bounds).is_well
    service.counts.beat_s = time.monotonic()
    assert vital.loop(service, bounds).is_well


def test_an_instance_that_stands_by_is_well_where_it_could_take_over(tmp_path: Path) -> None:
    service = service_of(tmp_path)
    assert not vital.session(service).is_well  # it may be on its way up
    service.standing_by.set()
    assert vital.session(service).is_well
    assert not vital.broker(service).is_well
    service.reaches_broker = True
    assert vital.broker(service).is_well


def test_backlog_disk_folder_and_broker(tmp_path: Path) -> None:
    service = service_of(tmp_path)
    assert not vital.broker(service).is_well
    service.subscriber = SimpleNamespace(connected=True, waiting=0)
    service.counts.lag_s = 100.0
    assert vital.broker(service).is_well
    assert vital.backlog(service, Health()).is_well  # nothing waits: that batch is over
    service.subscriber.waiting = 5
    assert not vital.backlog(service, Health()).is_well
    assert vital.disk(tmp_path, Health(least_free_mb=0)).is_well
    assert not vital.disk(tmp_path, Health(least_free_mb=10**9)).is_well
    assert not vital.disk(tmp_path / "gone", Health()).is_well
    assert vital.raw_log(tmp_path).is_well
    assert not vital.raw_log(tmp_path / "gone").is_well
    assert not vital.session(service).is_well
    service.ready.set()
    assert vital.session(service).is_well
    service.stopping.set()
    assert not vital.session(service).is_well


def test_the_answer_tells_each_part_and_its_status() -> None:
    status, body = answer("ready", [Part("disk", True, 5.0, "enough"), Part("clock", False, -2.5, "behind")])
    assert status == 503
    assert json.loads(body) == {
        "ready": False,
        "parts": {"disk": {"ok": True, "figure": 5.0, "said": "enough"},
                  "clock": {"ok": False, "figure": -2.5, "said": "behind"}},
    }  # fmt: skip
    assert answer("live", [Part("loop", True, 0.1, "")])[0] == 200


@pytest.mark.parametrize("name", ["path", "abstract"])
def test_systemd_is_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        path = f"@tagwatch-test-{os.getpid()}" if name == "abstract" else str(tmp_path / "notify")
        listening.bind("\0" + path[1:] if name == "abstract" else path)
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        assert systemd.notify("READY=1", "STATUS=two\nlines")
        assert listening.recv(500) == b"READY=1\nSTATUS=two lines"
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not systemd.notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not systemd.notify("READY=1")


def test_the_watchdog_is_for_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, pid, expected in (("60000000", str(os.getpid()), 60.0), ("60000000", "", 60.0), ("60000000", "1", None),
                                ("", "", None), ("soon", "", None), ("0", "", None)):  # fmt: skip
        monkeypatch.setenv("WATCHDOG_USEC", told)
        monkeypatch.setenv("WATCHDOG_PID", pid)
        assert systemd.watchdog_s() == expected
