"""Where deliveries go: a terminal, a signed webhook. A notifier that does not raise has handed the delivery over."""

from __future__ import annotations

import binascii
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TextIO

import httpx
import msgspec
from rich.console import Console
from rich.text import Text
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from engine.errors import InputError, TagwatchError
from engine.times import SECOND_US, Clock, from_datetime, system_clock, to_datetime, to_iso

TIMEOUT_S = 10.0
GONE, TOO_MANY = 410, 429
STYLES = {"critical": "bold white on red", "high": "bold red", "medium": "yellow", "low": "cyan"}


class Delivery(msgspec.Struct, frozen=True):
    """One version of one alert on its way out; `alert` is the content as it is stored, byte for byte."""

    id: str
    version: int
    reason: str
    late_s: float
    seq: int
    alert: msgspec.Raw

    @property
    def key(self) -> str:
        """The same for every attempt: the receiver tells repetitions by it."""
        return f"{self.id}.{self.version}"

    def to_json(self) -> bytes:
        """The payload, keys in a fixed order."""
        return msgspec.json.encode(self)

    def content(self) -> dict[str, Any]:
        """The content of the alert."""
        return dict(msgspec.json.decode(self.alert))


class DeliveryError(TagwatchError):
    """The receiver did not take a delivery; another attempt is due, not before `wait_s` seconds."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class AwayError(DeliveryError):
    """The receiver could not be reached at all: other deliveries to it will fare no better now."""


class GoneError(DeliveryError):
    """The receiver is gone for good and wants no further attempt."""


class Notifier(Protocol):
    """Somewhere deliveries go."""

    def send(self, delivery: Delivery) -> None:
        """Hand over one delivery; raises when that failed (GoneError: never try again)."""


class TerminalNotifier:
    """One readable line a version, in colour where the stream is a terminal; times are of the clock, UTC."""

    def __init__(self, stream: TextIO, clock: Clock = system_clock) -> None:
        self._stream, self._clock = stream, clock
        self._console = Console(file=stream, highlight=False, soft_wrap=True) if stream.isatty() else None

    def send(self, delivery: Delivery) -> None:
        """Print the line and flush it."""
        alert = delivery.content()
        lead = f"{to_iso(self._clock() // SECOND_US * SECOND_US)[:19]}Z  "
        grade = f"{alert['grade'].upper():<8}"
        about = (
            f"  {alert['wearer']}  {alert['rule']}  {alert['subject']}  [{delivery.reason}]  {alert['why'].get('text', '')}"
        )
        lead, about = _printable(lead), _printable(about)
        if self._console is None:
            print(lead + grade + about, file=self._stream)
        else:
            self._console.print(Text.assemble(lead, (grade, STYLES.get(alert["grade"], "")), about))
        self._stream.flush()


class WebhookNotifier:
    """POST of the JSON with the signature headers of standardwebhooks.com. The secret is kept out of every message."""

    def __init__(self, url: str, secret: str, clock: Clock = system_clock, client: httpx.Client | None = None) -> None:
        self._shown, self._clock = _shown(url), clock
        self._url = httpx.URL(url)
        try:
            self._signer = Webhook(secret)
        except (binascii.Error, ValueError, EmptyWebhookSecretError):
            raise InputError("cannot be used", field="webhook secret", expected="whsec_ and base64 text") from None
        self._client = client or httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)

    def __repr__(self) -> str:
        return f"WebhookNotifier({self._shown})"

    def send(self, delivery: Delivery) -> None:
        """Post the delivery; anything but 2xx raises."""
        body = delivery.to_json()
        try:  # the answer's body says nothing to us, so it is not read
            with self._client.stream("POST", self._url, content=body, headers=self._headers(delivery.key, body)) as answer:
                self._judge(answer)
        except httpx.TransportError as fault:
            raise AwayError(f"{self._shown} is not reachable: {type(fault).__name__}") from None

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        moment = to_datetime(self._clock())
        return {
            "content-type": "application/json",
            "user-agent": "tagwatch",
            "webhook-id": key,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": self._signer.sign(key, moment, body.decode()),
        }

    def _judge(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        message = f"{self._shown} answered {answer.status_code}"
        if answer.status_code == GONE:
            raise GoneError(message)
        wait_s = (
            _retry_after_s(answer.headers.get("retry-after", ""), self._clock()) if answer.status_code == TOO_MANY else 0.0
        )
        raise DeliveryError(message, wait_s)


def _retry_after_s(text: str, now_us: int) -> float:
    """Retry-After (RFC 9110 section 10.2.3: seconds or a date) as seconds from now, 0 where it cannot be read."""
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (from_datetime(moment) - now_us) / SECOND_US)
    except (ValueError, TypeError):
        return 0.0


def _shown(url: str) -> str:
    """Scheme and host of a URL: its path or user part may be a secret of the receiver."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        raise InputError("is no URL", field="webhook url", expected="https://host/path") from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise InputError("is no web address", field="webhook url", expected="https://host/path")
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.host}{port}"


def _printable(text: str) -> str:
    """The text without control characters: names come from files and must not steer a terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)
