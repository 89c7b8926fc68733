"""The address of a broker: mqtt://user:password@host:port, or mqtts:// for TLS."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from engine.errors import InputError

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_EXPECTED = "mqtt://host:port or mqtts://host:port, with user:password@ before the host where needed"


class BrokerUrl(NamedTuple):
    """Where a broker listens and how to enter."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: bool = False

    @property
    def name(self) -> str:
        """The address without the password, for messages."""
        return f"{self.host}:{self.port}"


def parse_url(url: str) -> BrokerUrl:
    """The parts of a broker's address; InputError where it is none. The password is never in a message."""
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an IPv6 address without its end; what stands there may hold a password
        raise InputError("the broker's address cannot be read", expected=_EXPECTED) from None
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if "@" in url and not parts.netloc.endswith(url.rpartition("@")[2].rstrip("/")):  # a password with a / or # in it
        shown = "(not shown)"
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InputError("not a port", field="broker", value=shown, expected=_EXPECTED) from None
    if parts.scheme not in _PORTS or not host or parts.path not in ("", "/"):
        raise InputError(field="broker", value=shown, expected=_EXPECTED)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return BrokerUrl(host, port or _PORTS[parts.scheme], user, password, parts.scheme == "mqtts")
