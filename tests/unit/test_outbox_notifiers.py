"""Notifiers: what is printed, what is signed, what each answer of a receiver means."""

from __future__ import annotations

import base64
import io
import json

import httpx
import msgspec
import pytest
from standardwebhooks import Webhook

from alerts.cloud_event import to_event
from alerts.delivery import AwayError, Delivery, DeliveryError, GoneError
from alerts.disclosure import shown_to
from alerts.mail import MailNotifier, MailServer
from alerts.mail_text import message_of
from alerts.mqtt_notifier import MqttNotifier
from alerts.teams import ROLES
from alerts.terminal import TerminalNotifier
from alerts.webhook import WebhookNotifier
from engine.errors import InputError
from engine.times import SECOND_US, parse_time, system_clock

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
CONTENT = b'{"wearer":"W1","rule":"zone.exclusion","subject":"Z1","grade":"critical","why":{"text":"inside  the zone"}}'
DELIVERY = Delivery("abc", 2, "cleared", 1.5, 7, msgspec.Raw(CONTENT))
NOW_US = parse_time("2026-03-01T10:00:00Z")


class Answers(httpx.BaseTransport):
    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.requests = list(answers), []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.headers, request.read()))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def webhook(*answers: httpx.Response | Exception, clock=lambda: NOW_US) -> tuple[WebhookNotifier, Answers]:
    transport = Answers(*answers)
    client = httpx.Client(transport=transport, timeout=10, follow_redirects=False)
    return WebhookNotifier("https://receiver.example/secret-path", SECRET, clock, client), transport


def test_payload_holds_the_content_byte_for_byte():
    text = DELIVERY.to_json()
    assert CONTENT in text
    assert list(json.loads(text)) == ["id", "version", "reason", "late_s", "seq", "alert"]


def test_terminal_prints_one_plain_line_where_it_is_no_terminal():
    stream = io.StringIO()
    TerminalNotifier(stream, lambda: NOW_US).send(DELIVERY)
    assert stream.getvalue() == ("2026-03-01T10:00:00Z  CRITICAL  W1  zone.exclusion  Z1  [cleared]  inside  the zone\n")


def test_terminal_colours_and_never_obeys_names():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    content = {**json.loads(CONTENT), "wearer": "\x1b[2J[red]W\n1"}
    stream = Terminal()
    TerminalNotifier(stream, lambda: NOW_US).send(
        Delivery("a", 1, "raised", 0.0, 1, msgspec.Raw(json.dumps(content).encode()))
    )
    line = stream.getvalue()
    assert "\x1b[2J" not in line
    assert "[red]W" in line
    assert line.count("\n") == 1


def test_webhook_signature_is_what_the_standard_verifies():
    notifier, transport = webhook(httpx.Response(204), clock=system_clock)
    notifier.send(DELIVERY)
    headers, body = transport.requests[0]
    assert headers["webhook-id"] == "abc.2"
    assert headers["content-type"] == "application/cloudevents+json"
    assert Webhook(SECRET).verify(body, dict(headers))["data"]["seq"] == 7


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 500, 503])
def test_webhook_takes_anything_but_2xx_as_a_failure(status):
    notifier, transport = webhook(httpx.Response(status, headers={"location": "https://other.example/"}))
    with pytest.raises(DeliveryError, match=str(status)):
        notifier.send(DELIVERY)
    assert len(transport.requests) == 1


def test_webhook_gives_up_on_410():
    with pytest.raises(GoneError):
        webhook(httpx.Response(410))[0].send(DELIVERY)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("90", 90),
        ("Sun, 01 Mar 2026 10:02:00 GMT", 120),
        ("Sun, 01 Mar 2026 09:00:00 GMT", 0),
        ("soon", 0),
        ("", 0),
        ("²", 0),
    ],
)
def test_webhook_tells_how_long_to_wait(text, wait_s):
    answer = httpx.Response(429, headers={"retry-after": text.encode("latin-1")})
    with pytest.raises(DeliveryError) as fault:
        webhook(answer)[0].send(DELIVERY)
    assert fault.value.wait_s == wait_s


def test_messages_hold_neither_secret_nor_path():
    for answer in (httpx.Response(500), httpx.ConnectError("secret-path")):
        notifier, _ = webhook(answer)
        with pytest.raises(DeliveryError) as fault:
            notifier.send(DELIVERY)
        for text in (str(fault.value), repr(notifier)):
            assert SECRET[6:] not in text
            assert "secret-path" not in text
    assert isinstance(fault.value, AwayError)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_a", "!!"])
def test_bad_secret_is_refused_without_showing_it(secret):
    with pytest.raises(InputError) as fault:
        WebhookNotifier("https://receiver.example/", secret)
    assert "webhook secret" in str(fault.value)


@pytest.mark.parametrize("url", ["", "receiver", "ftp://receiver/", "http://", "https://a:b:c/"])
def test_bad_url_is_refused(url):
    with pytest.raises(InputError, match="webhook url"):
        WebhookNotifier(url, SECRET)


def test_timestamp_is_the_clocks():
    notifier, transport = webhook(httpx.Response(200))
    notifier.send(DELIVERY)
    assert transport.requests[0][0]["webhook-timestamp"] == str(NOW_US // SECOND_US)


FULL = {
    "wearer": "W1", "device": "T1", "rule": "zone.exclusion", "subject": "refuge-3", "grade": "critical", "condition": "active",
    "began": "2026-07-01T10:00:00.000Z", "began_after": "2026-07-01T09:59:00.000Z", "ended": None, "posterior": 0.99,
    "minutes": 12.5, "n_fixes": 2,
    "fixes": [{"time": "2026-07-01T10:00:00.000Z", "lat": 53.1, "lon": -0.5, "accuracy_m": 7.0, "source": "gps", "p": 1.0},
              {"time": "2026-07-01T10:12:00.000Z", "lat": 53.2, "lon": -0.6, "accuracy_m": None, "source": "gps", "p": 1.0}],
    "why": {"text": "Inside exclusion zone St Guthlac’s", "decided_at": "x", "unknown_since": None, "subject_version": "v"},
}  # fmt: skip


def full(reason: str = "raised", version: int = 1, **more: object) -> Delivery:
    fields = {"channel": "mail:ann@force.example", "timezone": "Europe/London", "time": "2026-07-01T10:12:30.000Z", **more}
    return Delivery("abc", version, reason, 0.0, 7, msgspec.Raw(json.dumps(FULL).encode()), **fields)


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        ("raised", "raised"), ("cleared", "cleared"), ("amended: grade", "amended"), ("active again", "amended"),
        ("retracted: the data received since then do not bear it out", "retracted"), ("joined into abc-2", "retracted"),
        ("raised; zone changed", "raised"), ("cleared; zone changed", "cleared"),
    ],
)  # fmt: skip
def test_an_event_is_what_the_standard_asks_for(reason, step):
    event = json.loads(to_event(full(reason, 3)))
    assert list(event) == ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"]
    assert (event["specversion"], event["id"], event["type"]) == ("1.0", "abc.3", f"tagwatch.alert.{step}")
    assert event["time"] == "2026-07-01T10:12:30.000Z"
    assert event["data"]["alert"] == FULL
    attributes = json.dumps({key: value for key, value in event.items() if key != "data"})
    assert "W1" not in attributes, "attributes are read by everything on the way"


def test_a_notice_has_an_identifier_and_a_type_of_its_own():
    event = json.loads(to_event(full("escalated to senior operator", 2, kind="escalated", notice=17), "urn:centre:north"))
    assert (event["id"], event["type"], event["source"]) == (
        "abc.2.escalated-17", "tagwatch.handling.escalated", "urn:centre:north")  # fmt: skip
    assert json.loads(to_event(full(kind="test")))["type"] == "tagwatch.test"


def test_each_role_is_shown_what_it_needs():
    assert shown_to("", FULL) == FULL
    police, probation, support = (shown_to(role, FULL) for role in ROLES)
    assert police["fixes"] == FULL["fixes"][-1:]
    for shown in (probation, support):
        assert "fixes" not in shown
        assert "53.2" not in json.dumps(shown)
    assert probation["why"] == {"text": FULL["why"]["text"], "unknown_since": None}
    assert list(support) == ["wearer", "rule", "grade", "condition", "began", "ended", "minutes"]
    assert shown_to("a role of tomorrow", FULL) == support
    assert json.loads(full(role="support_officer").to_json())["alert"] == support


def test_every_secret_signs_while_one_is_changed_for_the_next():
    newer = "whsec_" + base64.b64encode(b"another secret of thirty-two byte").decode()
    transport = Answers(httpx.Response(204))
    WebhookNotifier("https://r.example/", [newer, SECRET], system_clock, httpx.Client(transport=transport)).send(DELIVERY)
    headers, body = transport.requests[0]
    assert [part[:3] for part in headers["webhook-signature"].split(" ")] == ["v1,", "v1,"]
    for secret in (newer, SECRET):
        assert Webhook(secret).verify(body, dict(headers))["id"] == "abc.2"
    with pytest.raises(InputError, match="webhook secret"):
        WebhookNotifier("https://r.example/", [])


def test_a_mail_says_what_its_reader_needs():
    message = message_of(full(role="police_manager"), "alerts@centre.example", NOW_US)
    assert message["Subject"] == "[CRITICAL] zone.exclusion W1: raised"
    assert message["To"] == "ann@force.example"
    assert message["Message-ID"] == "<abc.1.police_manager@centre.example>"
    assert message["References"] is None
    assert (message["Auto-Submitted"], message["Importance"]) == ("auto-generated", "high")
    text = message.get_content()
    assert text.startswith("Inside exclusion zone St Guthlac’s\n")
    assert "Wed 01 Jul 2026 11:00:00 BST (2026-07-01 10:00:00 UTC)" in text
    assert "53.20000, -0.60000, Wed 01 Jul 2026 11:12:00 BST" in text
    assert "53.1" not in text


def test_mails_of_an_alert_are_a_thread_and_repeats_are_the_same_mail():
    first, second = full(), full("cleared", 2)
    assert message_of(second, "a@c.example", 1)["Message-ID"] == message_of(second, "a@c.example", 2)["Message-ID"]
    assert message_of(second, "a@c.example", 1)["References"] == message_of(first, "a@c.example", 1)["Message-ID"]
    assert (
        message_of(full(role="support_officer"), "a@c.example", 1)["Message-ID"]
        != message_of(first, "a@c.example", 1)["Message-ID"]
    )


def test_a_support_officers_mail_holds_neither_place_nor_position():
    message = message_of(full("retracted: no", 2, role="support_officer", timezone="UTC"), "a@c.example", NOW_US)
    text = message.as_string()
    for secret in ("Guthlac", "refuge-3", "53.", "-0.6"):
        assert secret not in text
    assert "taken back" in text
    assert "BST" not in text


def test_a_name_cannot_write_a_header():
    evil = {**FULL, "wearer": "W\r\nBcc: all@world.example", "rule": "x\x00y"}
    delivery = Delivery("abc", 1, "raised", 0.0, 1, msgspec.Raw(json.dumps(evil).encode()), "mail:a@b.example")
    message = message_of(delivery, "a@c.example", NOW_US)
    assert message["Bcc"] is None
    assert "\nBcc" not in message.as_string()


@pytest.mark.parametrize(("security", "user"), [("ssl", ""), ("none", "me")])
def test_mail_refuses_what_it_does_not_know_and_a_password_in_the_clear(security, user):
    with pytest.raises(InputError, match="mail security"):
        MailNotifier(MailServer("mail.example", "a@c.example", security=security, user=user, password="hush"))


@pytest.mark.parametrize("topic", ["", "alerts/#", "a/+/b", "alerts/{place}", "alerts/{", "{0}"])
def test_mqtt_refuses_a_topic_that_cannot_be_published_to(topic):
    with pytest.raises(InputError, match="alerts_mqtt topic"):
        MqttNotifier(lambda: pytest.fail("not yet"), topic)
