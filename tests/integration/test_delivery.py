"""Delivery through real servers: who is told of versions and notices, mail, MQTT, couriers, a crash in the middle, a flood."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import os
import queue
import shutil
import signal
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import paho.mqtt.client as paho
import pytest
from click.testing import Result
from typer.testing import CliRunner

from alerts.alert import Alert, to_json
from alerts.dead_letters import dead_letters, letters, resend
from alerts.delivery import AwayError, Delivery, DeliveryError, GoneError
from alerts.dispatch import put_notices, put_versions
from alerts.ledger import Version
from alerts.mail import MailNotifier, MailServer
from alerts.mqtt_notifier import MqttNotifier
from alerts.outbox import REST_S, Outbox
from alerts.routing import Routing
from alerts.teams import read_teams
from alerts.webhook import WebhookNotifier
from engine.database import Connection
from engine.errors import InputError, UnreachableError
from engine.times import SECOND_US, parse_time, system_clock, to_datetime
from ingest.mqtt_link import Link
from tagwatch.channels import centre_of, notifiers_of, routing_of
from tagwatch.cli.main import app
from tagwatch.couriers import couriers
from tagwatch.settings import Settings, read_settings

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
NIGHT_US = parse_time("2026-01-05T23:00:00Z")
MORNING_US = parse_time("2026-01-06T07:00:00Z")
TEAM = read_teams(
    [{"id": "t1", "members": [
        {"name": "A", "role": "police_manager", "channels": ["mailto:ann@f.example"], "grades": ["critical", "high"],
         "hours": "Mo-Su 07:00-22:00"},
        {"name": "C", "role": "support_officer", "channels": ["mailto:cy@s.example"], "grades": ["low"]}]}]
)[0]  # fmt: skip
ROUTING = Routing(("terminal",), {"t1": TEAM}, {"W1": "t1"})


def alert_of(wearer: str = "W1", grade: str = "critical") -> Alert:
    why = {"text": "Inside the zone", "decided_at": "2026-01-05T23:00:00.000Z", "unknown_since": None}
    return Alert(
        wearer, "T", "zone.exclusion", "Z", grade, "active", "2026-01-05T22:59:00.000Z", None, None, 0.99, 3.0, 0, [], why
    )


def put(connection: Connection, *keys: str, routing: Routing = ROUTING, now_us: int = NIGHT_US, **more: str) -> None:
    """Write versions such as `a.1` as the service does."""
    versions = []
    for key in keys:
        identifier, _, number = key.partition(".")
        reason = "raised" if number == "1" else "amended: grade"
        versions.append(Version(identifier, int(number), reason, alert_of(**more), now_us, 0.0))
    now = to_datetime(now_us)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO alert (id, wearer, rule, subject, grade, condition, began, version, raised, raised_at, content)"
            " VALUES (%s, %s, 'zone.exclusion', 'Z', %s, 'active', %s, %s, 0, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version, grade = EXCLUDED.grade",
            [(v.id, v.alert.wearer, v.alert.grade, now, v.version, now, to_json(v.alert).decode()) for v in versions],
        )
        cursor.executemany(
            "INSERT INTO alert_version (seq, id, version, reason, content, as_of, late_s)"
            " SELECT coalesce(max(seq), 0) + 1, %s, %s, %s, %s, %s, 0 FROM alert_version",
            [(v.id, v.version, v.reason, to_json(v.alert).decode(), now) for v in versions],
        )
        put_versions(connection, versions, routing, now_us)


def waiting(connection: Connection) -> dict[tuple[str, str], int]:
    """When each pending delivery is due, by key and channel."""
    return {(f"{p.alert_id}.{p.version}", p.channel): p.at_us for p in letters(connection, "pending")}


class Receiver:
    """Notes what it gets; fails as it is told."""

    def __init__(self, *faults: Exception, pause_s: float = 0.0) -> None:
        self.got: list[Delivery] = []
        self.faults, self.pause_s = list(faults), pause_s

    @property
    def keys(self) -> list[str]:
        return [delivery.key for delivery in self.got]

    def send(self, delivery: Delivery) -> None:
        time.sleep(self.pause_s)
        if self.faults:
            raise self.faults.pop(0)
        self.got.append(delivery)


def until(true: Callable[[], bool], wait_s: float = 90.0) -> None:
    end = time.monotonic() + wait_s
    while not true():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


# Who is told


def test_at_night_the_centre_and_whoever_is_on_duty_are_told_and_the_rest_waits_for_the_morning(connection):
    put(connection, "a.1")
    assert waiting(connection) == {
        ("a.1", "terminal"): NIGHT_US, ("a.1", "mail:cy@s.example"): NIGHT_US, ("a.1", "mail:ann@f.example"): MORNING_US}  # fmt: skip
    mail, now_us = Receiver(), NIGHT_US
    outbox = Outbox(connection, {"mail": mail}, lambda: now_us)
    assert outbox.deliver_due() == 1
    assert (mail.got[0].channel, mail.got[0].role) == ("mail:cy@s.example", "support_officer")
    assert outbox.next_due_us() == MORNING_US
    put(connection, "a.2", grade="low")
    now_us = MORNING_US
    outbox.deliver_due()
    assert [(d.key, d.target) for d in mail.got[1:]] == [
        ("a.1", "ann@f.example"), ("a.2", "cy@s.example"), ("a.2", "ann@f.example")]  # fmt: skip
    assert {d.timezone for d in mail.got} == {"Europe/London"}


def test_who_comes_on_duty_early_does_not_wait_for_what_was_held(connection):
    put(connection, "a.1")
    early = Routing(("terminal",), {"t1": TEAM._replace(members=(TEAM.members[0]._replace(hours=None),))}, {"W1": "t1"})
    put(connection, "a.2", routing=early, now_us=NIGHT_US + SECOND_US)
    held = {key: at_us for (key, channel), at_us in waiting(connection).items() if channel == "mail:ann@f.example"}
    assert held == {"a.1": NIGHT_US + SECOND_US, "a.2": NIGHT_US + SECOND_US}


def test_the_critical_goes_first_and_versions_keep_their_order(connection):
    centre = Routing(("one",))
    put(connection, "low.1", "low.2", routing=centre, grade="low")
    put(connection, "high.1", routing=centre, grade="high")
    put(connection, "top.1", "top.2", routing=centre)
    one = Receiver()
    assert Outbox(connection, {"one": one}, lambda: NIGHT_US).deliver_due() == 5
    assert one.keys == ["top.1", "high.1", "low.1", "top.2", "low.2"]


def notice(connection: Connection, alert: str, number: int, kind: str, role: str, person: str = "") -> None:
    with connection.transaction():
        connection.execute(
            "INSERT INTO handling_action (alert_id, number, kind, actor, role, at, alert_version, state, note, reason, outcome,"
            " whom, channel, said) VALUES (%s, %s, 'x', 'x', '', %s, 1, 'new', '', '', '', '', '', '')",
            [alert, number, to_datetime(NIGHT_US)],
        )
        connection.execute(
            "INSERT INTO handling_notice (alert_id, number, kind, at, role, person, text) VALUES (%s, %s, %s, %s, %s, %s, 'why')",
            [alert, number, kind, to_datetime(NIGHT_US), role, person],
        )


def test_notices_of_handling_go_through_the_same_outbox_once(connection):
    put(connection, "a.1")
    for number, (kind, role, person) in enumerate(
        [("escalated", "senior operator", ""), ("returned", "operator", "olga"), ("assigned", "offender manager", "")], 1
    ):
        notice(connection, "a", number, kind, role, person)
    with connection.transaction():
        assert put_notices(connection, ROUTING, NIGHT_US) == 3
        assert put_notices(connection, ROUTING, NIGHT_US) == 0
    centre, mail = Receiver(), Receiver()
    outbox = Outbox(connection, {"terminal": centre, "mail": mail}, lambda: NIGHT_US)
    outbox.deliver_due()
    assert [d.reason for d in centre.got] == [
        "raised", "escalated to senior operator: why", "returned to olga: why", "assigned to offender manager: why"]  # fmt: skip
    assert [(d.step, d.reason) for d in mail.got] == [
        ("raised", "raised"), ("escalated", "escalated"), ("assigned", "assigned")]  # fmt: skip
    assert len({d.key for d in centre.got}) == 4
    assert {key for key, _ in waiting(connection)} == {"a.1"}, "what is handed to the team waits for ann, as a.1 does"
    assert len(letters(connection, "pending")) == 2


# Dead letters


def test_dead_letters_are_seen_and_sent_again_under_the_old_identifier(connection):
    put(connection, "a.1", "b.1", "c.1", routing=Routing(("one",)))
    one = Receiver(GoneError("no more"), GoneError("no more"))
    outbox = Outbox(connection, {"one": one}, lambda: NIGHT_US)
    outbox.deliver_due()
    first, second = dead_letters(connection)
    assert (first.alert_id, first.error, first.at_us) == ("a", "no more", NIGHT_US)
    with pytest.raises(InputError, match="the id of a dead letter"):
        resend(connection, [first.id, 10**9], NIGHT_US)
    assert len(dead_letters(connection)) == 2, "all or nothing"
    assert [letter.id for letter in resend(connection, [second.id], NIGHT_US)] == [second.id]
    assert [letter.id for letter in resend(connection, None, NIGHT_US)] == [first.id]
    outbox.deliver_due()
    assert one.keys == ["c.1", "a.1", "b.1"]
    assert not dead_letters(connection)
    assert [letter.alert_id for letter in letters(connection, "delivered", 2)] == ["c", "b"]


def test_a_receiver_that_is_away_is_left_alone_for_longer_and_longer(connection):
    put(connection, *(f"a{k}.1" for k in range(20)), routing=Routing(("one",)))
    now_us, one = NIGHT_US, Receiver(*[AwayError("away")] * 7)
    outbox = Outbox(connection, {"one": one}, lambda: now_us)
    for rest_s in (*REST_S, REST_S[-1], REST_S[-1]):
        assert outbox.deliver_due() == 0
        assert outbox.next_due_us() == now_us + rest_s * SECOND_US
        assert outbox.deliver_due() == 0
        now_us += rest_s * SECOND_US
    assert outbox.deliver_due() + outbox.deliver_due() >= 19
    assert not one.faults


# Couriers


class Held(Receiver):
    """Takes nothing before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def send(self, delivery: Delivery) -> None:
        assert self.may.wait(90)
        super().send(delivery)


def test_a_slow_receiver_holds_up_no_other(connection, url):
    slow, quick = Held(), Receiver()
    put(connection, *(f"a{k}.1" for k in range(50)), routing=Routing(("slow", "quick")))
    with couriers(url, {"slow": slow, "quick": quick}, lambda: NIGHT_US):
        until(lambda: len(quick.got) == 50)
        assert slow.got == []
        put(connection, "b.1", routing=Routing(("quick",)))
        until(lambda: quick.keys[-1] == "b.1")
        slow.may.set()
        with connection.transaction():
            connection.execute("UPDATE outbox SET status = 'delivered' WHERE channel = 'slow'")


def test_lanes_are_used_at_one_time_and_keep_the_order_of_each_alert(connection):
    together, most, lock = 0, 0, threading.Lock()

    class Busy(Receiver):
        def send(self, delivery: Delivery) -> None:
            nonlocal together, most
            with lock:
                together += 1
                most = max(most, together)
            try:
                super().send(delivery)
            finally:
                with lock:
                    together -= 1

    busy = Busy(DeliveryError("once"), pause_s=0.05)
    keys = [f"{alert}.{version}" for version in (1, 2, 3) for alert in "abcdefgh"]
    put(connection, *keys, routing=Routing(("one",)))
    now_us = NIGHT_US
    outbox = Outbox(connection, {"one": busy}, lambda: now_us, lanes=4)
    while (due_us := outbox.next_due_us()) is not None:
        now_us = max(now_us, due_us)
        outbox.deliver_due()
    outbox.close()
    assert 1 < most <= 4
    assert sorted(busy.keys) == sorted(keys)
    for alert in "abcdefgh":
        mine = [key for key in busy.keys if key[0] == alert]
        assert mine == sorted(mine)


def test_couriers_come_back_when_the_database_cuts_them_off(connection, url):
    one = Receiver()
    with couriers(url, {"one": one}, lambda: NIGHT_US):
        put(connection, "a.1", routing=Routing(("one",)))
        until(lambda: bool(letters(connection, "delivered")))
        with connection.transaction():
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'tagwatch'"
            )
        put(connection, "b.1", routing=Routing(("one",)))
        until(lambda: one.keys == ["a.1", "b.1"])


# Mail


class MailBox:
    """A real SMTP server on 127.0.0.1: keeps what it gets, answers as it is told, speaks STARTTLS and AUTH."""

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        self.got: list[tuple[str, EmailMessage]] = []
        self.answers: dict[str, list[bytes]] = {}
        self.n_connections = 0
        self.logins: list[bytes] = []
        self.trust = trust

    @property
    def messages(self) -> list[EmailMessage]:
        return [message for _, message in self.got]


@contextmanager
def mail_box(trust: ssl.SSLContext | None = None) -> Iterator[tuple[MailBox, int]]:
    box = MailBox(trust)

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            box.n_connections += 1
            encrypted, receivers = False, []
            self.say(b"220 here")
            while line := self.rfile.readline():
                verb = line.split(b" ")[0].strip().upper().decode()
                receivers = [] if verb in ("MAIL", "RSET") else receivers
                if told := box.answers.get(verb):
                    answer = told.pop(0)
                    if answer == b"":
                        return
                    self.say(answer)
                elif verb in ("EHLO", "HELO"):
                    offer = b"AUTH PLAIN" if encrypted or not box.trust else b"STARTTLS"
                    self.say(b"250-here\r\n250 " + offer)
                elif verb == "STARTTLS" and box.trust:
                    self.say(b"220 go")
                    self.request = box.trust.wrap_socket(self.request, server_side=True)
                    self.setup()
                    encrypted = True
                elif verb == "AUTH":
                    box.logins.append(base64.b64decode(line.split()[2]))
                    self.say(b"235 welcome")
                elif verb == "RCPT":
                    receivers.append(line.decode().partition("<")[2].partition(">")[0])
                    self.say(b"250 ok")
                elif verb == "DATA":
                    self.say(b"354 go on")
                    text = b""
                    while (row := self.rfile.readline()) != b".\r\n":
                        text += row[1:] if row.startswith(b".") else row
                    message = email.message_from_bytes(text, policy=email.policy.default)
                    assert isinstance(message, EmailMessage)
                    box.got += [(receiver, message) for receiver in receivers]
                    receivers = []
                    self.say(b"250 kept")
                elif verb == "QUIT":
                    self.say(b"221 bye")
                    return
                else:
                    self.say(b"250 ok")

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()
            self.request.close()

        def say(self, text: bytes) -> None:
            self.wfile.write(text + b"\r\n")

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a client that hangs up

    with Server(("127.0.0.1", 0), Session) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield box, server.server_address[1]
        finally:
            server.shutdown()
            thread.join(10)


def plain(port: int) -> MailNotifier:
    return MailNotifier(MailServer("127.0.0.1", "alerts@centre.example", port, "none", timeout_s=60.0), lambda: NIGHT_US)


def test_mail_goes_to_each_member_as_his_role_is_shown_it_over_one_connection(connection):
    put(connection, "a.1", now_us=MORNING_US)
    put(connection, "a.2", now_us=MORNING_US)
    put(connection, "b.1", now_us=MORNING_US, grade="low")
    with mail_box() as (box, port):
        notifier = plain(port)
        assert Outbox(connection, {"mail": notifier}, lambda: MORNING_US).deliver_due() == 3
        notifier.close()
    assert [(to, m["Message-ID"]) for to, m in box.got] == [
        ("ann@f.example", "<a.1.police_manager@centre.example>"), ("cy@s.example", "<b.1.support_officer@centre.example>"),
        ("ann@f.example", "<a.2.police_manager@centre.example>")]  # fmt: skip
    assert box.n_connections == 1
    first, third, second = box.messages
    assert second["References"] == first["Message-ID"]
    assert first["Subject"] == "[CRITICAL] zone.exclusion W1: raised"
    assert "Inside the zone" in first.get_content()
    assert "zone Z" not in third.get_content() + third["Subject"]
    assert "Inside" not in third.get_content()


@pytest.mark.parametrize(
    ("verb", "answer", "fault"),
    [
        ("RCPT", b"550 5.1.1 no such user", GoneError),
        ("RCPT", b"451 greylisted", DeliveryError),
        ("MAIL", b"552 too big", DeliveryError),
        ("DATA", b"554 spam", DeliveryError),
        ("MAIL", b"421 closing", AwayError),
        ("DATA", b"", AwayError),
        ("MAIL", b"", AwayError),
    ],
)
def test_what_a_mail_server_answers(verb, answer, fault):
    delivery = Delivery("a", 1, "raised", 0.0, 1, msgspec.Raw(to_json(alert_of())), "mail:ann@f.example")
    with mail_box() as (box, port):
        notifier = plain(port)
        notifier.send(delivery)
        box.answers[verb] = [answer]
        with pytest.raises(DeliveryError) as told:
            notifier.send(delivery)
        assert type(told.value) is fault
        assert "ann@f" not in str(told.value)
        notifier.send(delivery)  # and goes on
        assert len(box.got) == 2
        notifier.close()
    assert {message["Message-ID"] for message in box.messages} == {"<a.1@centre.example>"}
    with pytest.raises(AwayError):
        plain(port).send(delivery)


def test_mail_is_encrypted_and_logs_in(tmp_path):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not on this machine: no certificate to test with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate, key)
    delivery = Delivery("a", 1, "raised", 0.0, 1, msgspec.Raw(to_json(alert_of())), "mail:ann@f.example")
    server = MailServer("localhost", "a@c.example", security="starttls", user="me", password="hush-hush")
    with mail_box(trust) as (box, port):
        good = MailNotifier(server._replace(port=port, cafile=str(certificate)))
        good.send(delivery)
        good.close()
        with pytest.raises(AwayError, match="SSLCertVerificationError") as fault:
            MailNotifier(server._replace(port=port)).send(delivery)
        box.answers["AUTH"] = [b"535 wrong password"]
        with pytest.raises(AwayError, match="535") as refused:
            MailNotifier(server._replace(port=port, cafile=str(certificate))).send(delivery)
        box.trust = None  # a server that offers no encryption gets neither password nor mail
        with pytest.raises(AwayError, match="SMTPNotSupportedError"):
            MailNotifier(server._replace(port=port, cafile=str(certificate))).send(delivery)
    assert box.logins == [b"\0me\0hush-hush"]
    assert len(box.got) == 1
    assert "hush" not in str(fault.value) + str(refused.value)


# MQTT


@contextmanager
def listening(url: str) -> Iterator[queue.SimpleQueue[paho.MQTTMessage]]:
    got: queue.SimpleQueue[paho.MQTTMessage] = queue.SimpleQueue()
    link = Link(
        url, "listener", "3.1.1", persistent=False, topics=("#",), on_message=lambda _t, message, _g: got.put(message)
    )
    granted = threading.Event()
    link.client.on_subscribe = lambda *_: granted.set()
    link.connect(90.0)
    assert granted.wait(90), "the broker does not answer the subscription"
    try:
        yield got
    finally:
        link.close()


@pytest.mark.parametrize("broker", ["mosquitto", "embedded_broker"])
def test_mqtt_publishes_events_and_waits_for_the_broker(broker, request):
    url = request.getfixturevalue(broker)
    protocol = "auto" if broker == "mosquitto" else "3.1.1"
    notifier = MqttNotifier(lambda: Link(url, "alerts", protocol, persistent=False))
    with listening(url) as got:
        for number, (wearer, channel, role) in enumerate(
            [("W1", "mqtt", ""), ("W/1+#%é", "mqtt", ""), ("W1", "mqtt:team/ben", "support_officer")], 1
        ):
            notifier.send(Delivery("a", number, "raised", 0.0, 1, msgspec.Raw(to_json(alert_of(wearer))), channel, role))
        messages = [got.get(timeout=90) for _ in range(3)]
    notifier.close()
    assert [m.topic for m in messages] == ["alerts/critical/W1", "alerts/critical/W%2F1%2B%23%25%C3%A9", "team/ben"]
    assert [(m.qos, m.retain) for m in messages] == [(1, False)] * 3 or broker != "mosquitto"
    first, _, third = (json.loads(m.payload) for m in messages)
    assert (first["specversion"], first["id"], first["data"]["alert"]["subject"]) == ("1.0", "a.1", "Z")
    assert "subject" not in third["data"]["alert"]


def test_mqtt_says_that_the_broker_is_away_and_comes_back(mosquitto_broker):
    delivery = Delivery("a", 1, "raised", 0.0, 1, msgspec.Raw(to_json(alert_of())), "mqtt")
    notifier = MqttNotifier(lambda: Link(mosquitto_broker.url, "alerts", "5", persistent=False))
    notifier.send(delivery)
    mosquitto_broker.stop()
    with pytest.raises(AwayError):
        notifier.send(delivery)
    mosquitto_broker.start()

    def taken() -> bool:
        try:
            notifier.send(delivery)
        except AwayError:
            return False
        return True

    until(taken)
    notifier.close()


# Crashes and floods


@contextmanager
def hook(on_post: Callable[[str], None] = lambda _key: None) -> Iterator[tuple[str, list[str]]]:
    """A receiver of webhooks; yields its address and the identifiers that it got."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            got.append(self.headers["webhook-id"])
            on_post(got[-1])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a client that was killed

    with Server(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}/", got
        finally:
            http.shutdown()
            thread.join(10)


CHILD = """
import sys, time
from alerts.webhook import WebhookNotifier
from engine.times import system_clock
from tagwatch.channels import centre_of, notifiers_of, routing_of
from tagwatch.cli.main import app
from tagwatch.couriers import couriers
with couriers(sys.argv[1], {"webhook": WebhookNotifier(sys.argv[2], sys.argv[3])}, system_clock):
    time.sleep(300)
"""


@pytest.mark.parametrize("moment", [1, 61])
def test_killed_after_sending_and_before_marking(connection, url, moment, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    keys = [f"{alert}{k}.{version}" for version in (1, 2) for k in range(20) for alert in "abc"]
    put(connection, *keys, routing=Routing(("webhook",)))
    child: list[subprocess.Popen[bytes]] = []

    def kill(_key: str) -> None:
        if len(got) == moment:
            os.kill(child[0].pid, signal.SIGKILL)

    with hook(kill) as (address, got):
        child.append(subprocess.Popen([sys.executable, "-c", CHILD, url, address, SECRET]))
        assert child[0].wait(120) == -signal.SIGKILL
        until(lambda: len(got) >= moment)
        time.sleep(0.2)
        notifier = WebhookNotifier(address, SECRET, system_clock)
        with couriers(url, {"webhook": notifier}, system_clock):
            until(lambda: not letters(connection, "pending"))
    counts = Counter(got)
    assert set(counts) == set(keys), "at least once each"
    assert max(counts.values()) <= 2
    assert sum(counts.values()) - len(keys) <= 8, "no more than one repeat a lane"
    for key in keys:
        if key.endswith(".1"):
            assert got.index(key) < got.index(key[:-1] + "2")


def test_a_flood_drains_and_what_is_read_of_it_stays_bounded(connection, url, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    n, keys = 700, [f"a{k}.1" for k in range(700)]
    put(connection, *keys, routing=Routing(("webhook",)), grade="low")
    with hook() as (address, got):
        notifier = WebhookNotifier(address, SECRET, system_clock)
        with couriers(url, {"webhook": notifier}, system_clock):
            until(lambda: len(got) > 100)
            put(connection, "top.1", routing=Routing(("webhook",)))
            until(lambda: len(letters(connection, "delivered", n + 1)) == n + 1, 120.0)
    assert sorted(got) == sorted([*keys, "top.1"])
    assert got.index("top.1") < len(got) - 1, "what is urgent overtakes a flood"


# Commands


def test_the_commands_show_dead_letters_send_them_again_and_try_a_channel(connection, url, tmp_path):
    settings = tmp_path / "tagwatch.toml"
    settings.write_text(f'[database]\nurl = "{url}"\n')

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["outbox", *words, "--config", str(settings)])

    put(connection, "a.1", "b.1", routing=Routing(("one",)))
    assert run("dead").exit_code == 0
    Outbox(connection, {"one": Receiver(GoneError("no more"))}, lambda: NIGHT_US).deliver_due()
    seen = run("dead")
    (told,) = (json.loads(line) for line in seen.stdout.splitlines())
    assert seen.exit_code == 1
    assert (told["delivery"], told["channel"], told["error"], told["attempts"]) == ("a.1", "one", "no more", 1)
    assert told["at"] == "2026-01-05T23:00:00.000Z"
    assert isinstance(run("resend").exception, InputError)
    assert isinstance(run("resend", "--all", "7").exception, InputError)
    assert isinstance(run("resend", "999999999").exception, InputError)
    assert json.loads(run("resend", str(told["id"])).stdout)["delivery"] == "a.1"
    assert run("dead").stdout == ""
    assert json.loads(run("list").stdout)["delivery"] == "a.1"
    assert json.loads(run("list", "--state", "delivered").stdout)["delivery"] == "b.1"
    assert isinstance(run("list", "--state", "lost").exception, InputError)
    assert "This is a test of a channel" in run("test", "terminal").stdout
    assert isinstance(run("test", "webhook").exception, InputError), "the settings serve none"
    with mail_box() as (box, port):
        settings.write_text(f'[mail]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "none"\nsender = "a@c.example"\n')
        assert run("test", "mail:ann@f.example", "--role", "support_officer").exit_code == 0
    assert [message["Subject"] for message in box.messages] == ["[LOW] test TEST: test"]
    assert isinstance(run("test", "mail:ann@f.example").exception, UnreachableError)


def test_the_settings_say_which_channels_there_are(tmp_path):
    file = tmp_path / "tagwatch.toml"
    file.write_text(
        f'[webhook]\nurl = "https://r.example/"\nsecret = "{SECRET}"\nolder_secrets = ["{SECRET}"]\n'
        '[mail]\nhost = "m.example"\nsender = "a@c.example"\ncentre = ["duty@c.example"]\n'
        '[alerts_mqtt]\nurl = "mqtt://127.0.0.1:1"\n'
    )
    settings = read_settings(file)
    notifiers = notifiers_of(settings, system_clock)
    assert list(notifiers) == ["terminal", "webhook", "mail", "mqtt"]
    assert centre_of(settings) == ("terminal", "webhook", "mail:duty@c.example", "mqtt")
    routing = routing_of(settings, [TEAM], {"W1": "t1"})
    assert {r.channel for r in routing.recipients("low", "W1", NIGHT_US)} == {*centre_of(settings), "mail:cy@s.example"}
    assert list(notifiers_of(Settings(), system_clock)) == list(centre_of(Settings())) == ["terminal"]
    assert [r.channel for r in routing_of(Settings(), [TEAM], {"W1": "t1"}).recipients("low", "W1", 0)] == ["terminal"]
    with pytest.raises(AwayError, match="127.0.0.1:1 is not reachable"):
        notifiers["mqtt"].send(Delivery("a", 1, "raised", 0.0, 1, msgspec.Raw(to_json(alert_of())), "mqtt"))
    file.write_text('[mail]\nhost = "m.example"\n')
    with pytest.raises(InputError, match=r"mail\.sender"):
        notifiers_of(read_settings(file), system_clock)
