"""Notifiers: what is printed, what is signed, what each answer of a receiver means."""

from __future__ import annotations

import base64
import io
import json

import httpx
import msgspec
import pytest
from standardwebhooks import Webhook

from alerts.notifiers import AwayError, Delivery, DeliveryError, GoneError, TerminalNotifier, WebhookNotifier
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
    assert Webhook(SECRET).verify(body, dict(headers))["seq"] == 7


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
