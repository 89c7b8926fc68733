"""The webhook: CloudEvents by POST, signed as Standard Webhooks are. Secrets are kept out of every message."""

from __future__ import annotations

import binascii
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

import httpx
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from alerts.cloud_event import CONTENT_TYPE, SOURCE, to_event
from alerts.delivery import AwayError, Delivery, DeliveryError, GoneError
from engine.errors import InputError
from engine.times import SECOND_US, Clock, from_datetime, system_clock, to_datetime

TIMEOUT_S = 10.0
_MOST_BYTES = 65_536
GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503


class WebhookNotifier:
    """POST of the event with the signature headers of standardwebhooks.com.

    With several secrets each signs, so that a receiver may change from one to the next without missing a delivery.
    """

    def __init__(
        self,
        url: str,
        secrets: str | Sequence[str],
        clock: Clock = system_clock,
        client: httpx.Client | None = None,
        source: str = SOURCE,
    ) -> None:
        self._shown, self._clock, self._source = _shown(url), clock, source
        self._url = httpx.URL(url)
        self._signers = [_signer(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets or [""])]
        self._client = client or httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)

    def __repr__(self) -> str:
        return f"WebhookNotifier({self._shown})"

    def send(self, delivery: Delivery) -> None:
        """Post the delivery; anything but 2xx raises."""
        body = to_event(delivery, self._source)
        try:
            with self._client.stream("POST", self._url, content=body, headers=self._headers(delivery.key, body)) as answer:
                _read_out(answer)
                self._judge(answer)
        except httpx.TransportError as fault:
            raise AwayError(f"{self._shown} is not reachable: {type(fault).__name__}") from None

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        moment, text = to_datetime(self._clock()), body.decode()
        return {
            "content-type": CONTENT_TYPE,
            "user-agent": "tagwatch",
            "webhook-id": key,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": " ".join(signer.sign(key, moment, text) for signer in self._signers),
        }

    def _judge(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        message = f"{self._shown} answered {answer.status_code}"
        if answer.status_code == GONE:
            raise GoneError(message)
        asks = answer.status_code in (TOO_MANY, UNAVAILABLE)
        wait_s = _retry_after_s(answer.headers.get("retry-after", ""), self._clock()) if asks else 0.0
        raise DeliveryError(message, wait_s)


def _read_out(answer: httpx.Response) -> None:
    """Read the answer's body, which says nothing to us, so that the connection can be used again; not for ever."""
    n_bytes, until_s = 0, time.monotonic() + TIMEOUT_S
    for part in () if answer.is_stream_consumed else answer.iter_raw():
        n_bytes += len(part)
        if n_bytes > _MOST_BYTES or time.monotonic() > until_s:
            return


def _signer(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (binascii.Error, ValueError, EmptyWebhookSecretError):
        raise InputError("cannot be used", field="webhook secret", expected="whsec_ and base64 text") from None


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
