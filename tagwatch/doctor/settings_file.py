"""The settings file: who may read it, and what in it is less safe than it should be."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg

from ingest.broker_url import parse_url
from tagwatch import secrets
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene, is_local
from tagwatch.settings import host_and_port

_OTHERS = 0o007


def examine(scene: Scene) -> Iterator[Finding]:
    """Mode of the file, connections in the clear, what is not switched on."""
    found = [*_mode(scene), *_in_the_clear(scene), *_not_in_force(scene)]
    yield from found
    if not found:
        yield Finding("settings", OK, str(scene.file))


def _mode(scene: Scene) -> Iterator[Finding]:
    if scene.file.stat().st_mode & _OTHERS and _has_secret(tomllib.loads(scene.file.read_text("utf-8"))):
        yield Finding("settings", FAULT, "the file holds a secret, and everybody on this machine may read it",
                      f"chmod 640 {scene.file}, or name the secret as ${{NAME}}")  # fmt: skip


def _has_secret(told: dict[str, dict[str, object]]) -> bool:
    """Whether a secret stands in the file itself; addresses are none unless they hold a password."""
    for part, name in (key.split(".") for key in secrets.KEYS):
        value = told.get(part, {}).get(name)
        texts = value if isinstance(value, list) else [value]
        for text in (one for one in texts if isinstance(one, str) and one and "${" not in one):
            if not name.endswith("url") or _password(text):
                return True
    return False


def _password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password) or "password=" in url
    except ValueError:
        return True


def _in_the_clear(scene: Scene) -> Iterator[Finding]:
    settings = scene.settings
    for name, url in (("broker", settings.broker.url), ("alerts_mqtt", settings.alerts_mqtt.url)):
        if url and not (broker := parse_url(url)).tls and not is_local(broker.host):
            yield _clear(
                f"[{name}] url", "positions and passwords" if name == "broker" else "alerts", "mqtts:// and cafile"
            )
    fields = psycopg.conninfo.conninfo_to_dict(settings.database.url)
    if not is_local(str(fields.get("host", ""))) and fields.get("sslmode") not in ("require", "verify-ca", "verify-full"):
        yield _clear("[database] url", "everything", "sslmode=verify-full and sslrootcert")
    if settings.webhook.url.startswith("http://") and not is_local(urlsplit(settings.webhook.url).hostname or ""):
        yield _clear("[webhook] url", "alerts", "https://")
    if settings.mail.host and settings.mail.security == "none" and not is_local(settings.mail.host):
        yield _clear("[mail] security", "alerts", 'security = "starttls" or "tls"')
    if settings.metrics.listen and not is_local(host_and_port(settings.metrics.listen)[0]):
        yield Finding("settings", WARNING, "[metrics] listen can be reached from other machines; it asks for no password",
                      "listen on 127.0.0.1, or let a firewall admit Prometheus alone")  # fmt: skip


def _clear(setting: str, what: str, advice: str) -> Finding:
    return Finding("settings", WARNING, f"{setting} is without TLS: {what} can be read on the way", f"use {advice}")


def _not_in_force(scene: Scene) -> Iterator[Finding]:
    settings = scene.settings
    if not settings.retention.enforce:
        yield Finding("settings", WARNING, "[retention] is not in force: nothing is ever erased by itself",
                      "agree on terms, see `tagwatch retention show`, then enforce = true")  # fmt: skip
    if not settings.clock.servers:
        yield Finding("settings", WARNING, "[clock] servers is empty: nothing outside tells whether this clock is right",
                      'name two or three NTP servers, as those of chrony: servers = ["ntp.example"]')  # fmt: skip
