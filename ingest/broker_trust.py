"""TLS to a broker: the authorities that are trusted, the certificate that we show, and in words why it did not come about."""

from __future__ import annotations

import socket
import ssl
from typing import NamedTuple

from engine.errors import InputError
from ingest.broker_url import BrokerUrl

_REFUSALS = {
    "REVOKED": "the broker refuses our certificate: it is revoked",
    "CERTIFICATE_EXPIRED": "the broker refuses our certificate: it has expired",
    "CERTIFICATE_REQUIRED": "the broker wants a certificate of ours (certfile, keyfile)",
    "UNKNOWN_CA": "the broker refuses our certificate: it does not know the authority that signed it",
    "BAD_CERTIFICATE": "the broker refuses our certificate",
    "UNSUPPORTED_CERTIFICATE": "the broker refuses our certificate: it is none for clients",
    "CERTIFICATE_UNKNOWN": "the broker refuses our certificate",
    "HANDSHAKE_FAILURE": "the broker breaks off: it wants a certificate of ours (certfile, keyfile), or another kind of TLS",
    "PROTOCOL_VERSION": "the broker does not speak TLS 1.2 or later",
    "WRONG_VERSION_NUMBER": "what answers does not speak TLS on this port",
}
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)  # X509_V_ERR_*: the chain does not end at an authority that is trusted


class Trust(NamedTuple):
    """PEM files: the authorities that the broker may be certified by (default: the system's), and our certificate and key."""

    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None

    def context(self, url: BrokerUrl) -> ssl.SSLContext | None:
        """TLS 1.2 or later with the host's name checked, None where the address is without TLS; InputError names the file."""
        if not url.tls:
            self._refuse_unused()
            return None
        try:
            context = ssl.create_default_context(cafile=self.cafile)
        except OSError as error:
            raise InputError(f"cannot be used: {error}", field="cafile", value=self.cafile, expected="a PEM file") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certfile:
            self._show_certificate(context)
        elif self.keyfile:
            raise InputError(
                "there is no certificate to this key", field="keyfile", value=self.keyfile, expected="certfile too"
            )
        return context

    def _show_certificate(self, context: ssl.SSLContext) -> None:
        for field, name in (("certfile", self.certfile), ("keyfile", self.keyfile)):
            try:
                if name:
                    open(name, "rb").close()
            except OSError as error:
                raise InputError(f"cannot be read: {error.strerror}", field=field, value=name) from None
        try:
            context.load_cert_chain(str(self.certfile), self.keyfile, password=lambda: "")  # never ask the terminal
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot be used: {error}", field="certfile", value=self.certfile,
                expected="a PEM certificate and its own key, not encrypted, in keyfile or in the same file",
            ) from None  # fmt: skip

    def _refuse_unused(self) -> None:
        if self.certfile or self.keyfile:
            raise InputError(
                "nobody would see it: the broker's address is without TLS", field="certfile" if self.certfile else "keyfile",
                value=self.certfile or self.keyfile, expected="an address that begins with mqtts://",
            )  # fmt: skip


def explained(error: BaseException, *, tls: bool) -> str:
    """Why a connection failed, in words; the system's own where there are no better ones."""
    if isinstance(error, ssl.SSLCertVerificationError):
        told = error.verify_message.rstrip(".")
        if error.verify_code in _UNKNOWN_AUTHORITY:
            told = f"its authority is unknown here, see cafile ({told})"
        return f"the broker's certificate is not accepted: {told}"
    if isinstance(error, ssl.SSLEOFError) or (tls and isinstance(error, ConnectionResetError)):
        return "closed while TLS was agreed on: it may not speak TLS on this port"
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or "")
        return next((words for sign, words in _REFUSALS.items() if sign in reason), f"TLS failed: {error}")
    return f"no connection: {error}"


def refusal(url: BrokerUrl, context: ssl.SSLContext, wait_s: float = 2.0) -> str:
    """What a broker says that refuses us only after TLS was agreed on, as TLS 1.3 has it; empty where it says nothing."""
    try:
        with (
            socket.create_connection((url.host, url.port), wait_s) as plain,
            context.wrap_socket(plain, server_hostname=url.host) as connection,
        ):
            connection.recv(1)
    except TimeoutError:
        return ""
    except OSError as error:
        return explained(error, tls=True)
    return ""
