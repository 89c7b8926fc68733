"""Mail: one plain message a delivery, over SMTP, on a connection that is kept open between messages."""

from __future__ import annotations

import smtplib
import ssl
import threading
import time
from contextlib import suppress
from typing import NamedTuple

from alerts.delivery import AwayError, Delivery, DeliveryError, GoneError, printable
from alerts.mail_text import message_of
from engine.errors import InputError
from engine.times import Clock, system_clock

SECURITY = ("starttls", "tls", "none")
PORTS = {"starttls": 587, "tls": 465, "none": 25}
TIMEOUT_S = 10.0
_IDLE_S = 5.0  # after which it is looked whether the server has closed the connection
_SERVICE_CLOSING = 421
_PERMANENT = 500


class MailServer(NamedTuple):
    """The server that takes mail, and the sender's address; `cafile` trusts this authority only."""

    host: str
    sender: str
    port: int = 0
    security: str = "starttls"
    user: str = ""
    password: str = ""
    cafile: str | None = None
    timeout_s: float = TIMEOUT_S


class MailNotifier:
    """Sends each delivery to the address of its channel (`mail:address`). The password is kept out of every message."""

    def __init__(self, server: MailServer, clock: Clock = system_clock) -> None:
        if server.security not in SECURITY:
            raise InputError(field="mail security", value=server.security, expected=f"one of {', '.join(SECURITY)}")
        if server.user and server.security == "none":
            raise InputError(
                "would send the password in the clear", field="mail security", value="none", expected="starttls"
            )
        self._server, self._clock = server, clock
        self._port = server.port or PORTS[server.security]
        self._shown = f"mail server {server.host}:{self._port}"
        self._trust = ssl.create_default_context(cafile=server.cafile) if server.security != "none" else None
        self._lane = threading.local()  # a connection speaks of one message at a time, so each lane has its own
        self._links: list[smtplib.SMTP] = []

    def __repr__(self) -> str:
        return f"MailNotifier({self._shown})"

    def send(self, delivery: Delivery) -> None:
        """Send one message; GoneError where the server says that the receiver will never take it."""
        if not delivery.target:
            raise GoneError("a channel for mail without an address")
        message = message_of(delivery, self._server.sender, self._clock())
        link = self._kept() or self._open()
        try:
            link.send_message(message, self._server.sender, [delivery.target])
        except OSError as fault:  # smtplib's errors are among them
            judged = self._judged(fault)
            if isinstance(judged, AwayError):
                self._drop()
            raise judged from None
        self._lane.used_s = time.monotonic()

    def close(self) -> None:
        """Take leave of the server on all connections."""
        while self._links:
            with suppress(OSError):  # smtplib's errors are among them
                self._links.pop().quit()

    def _kept(self) -> smtplib.SMTP | None:
        """The connection of this lane; None where there is none, or the server has closed it in the meantime."""
        link: smtplib.SMTP | None = getattr(self._lane, "link", None)
        if link is None or time.monotonic() - self._lane.used_s < _IDLE_S:
            return link
        try:
            link.rset()
        except OSError:
            self._drop()
            return None
        return link

    def _open(self) -> smtplib.SMTP:
        server = self._server
        link: smtplib.SMTP | None = None
        try:
            if server.security == "tls":
                link = smtplib.SMTP_SSL(server.host, self._port, timeout=server.timeout_s, context=self._trust)
            else:
                link = smtplib.SMTP(server.host, self._port, timeout=server.timeout_s)
            if server.security == "starttls":
                link.starttls(context=self._trust)
            if server.user:
                link.login(server.user, server.password)
        except OSError as fault:
            if link is not None:
                link.close()
            raise AwayError(f"{self._shown} cannot be used: {_reply(fault)}") from None
        self._lane.link, self._lane.used_s = link, time.monotonic()
        self._links.append(link)
        return link

    def _drop(self) -> None:
        link, self._lane.link = self._lane.link, None
        if link is not None:
            link.close()
            with suppress(ValueError):
                self._links.remove(link)

    def _judged(self, fault: OSError) -> DeliveryError:
        """What a failure means: a refused receiver is refused for good on 5xx; anything else is tried again."""
        message = f"{self._shown}: {_reply(fault)}"
        if isinstance(fault, smtplib.SMTPRecipientsRefused):
            code = next(iter(fault.recipients.values()))[0]
            return GoneError(message) if code >= _PERMANENT else DeliveryError(message)
        if isinstance(fault, smtplib.SMTPResponseException) and fault.smtp_code != _SERVICE_CLOSING:
            return DeliveryError(message)
        return AwayError(message)


def _reply(fault: Exception) -> str:
    """What the server answered, without the addresses that smtplib's own text would name."""
    text: bytes | str
    if isinstance(fault, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(fault.recipients.values()))
    elif isinstance(fault, smtplib.SMTPResponseException):
        code, text = fault.smtp_code, fault.smtp_error
    else:
        return type(fault).__name__
    told = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
    return printable(f"{code} {told}")[:200]
