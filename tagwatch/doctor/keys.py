"""The keys that sign packs and the roots of the raw log: there, readable, with a certificate that holds for some time yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.errors import InputError
from tagwatch.doctor.finding import FAULT, OK, WARNING, Finding, Scene

_SOON = timedelta(days=30)


def examine(scene: Scene) -> Iterator[Finding]:
    """Each key of the settings."""
    settings = scene.settings
    yield _key("[evidence] key", settings.evidence.key, "packs are not signed")
    yield _key("[raw_log] key", settings.raw_log.key, "the roots of the raw log's days are not signed")


def _key(setting: str, path: str, without: str) -> Finding:
    if not path:
        return Finding(
            "keys", WARNING, f"{setting} is empty: {without}", "tagwatch evidence key makes one for a trial; see ADR 9"
        )
    from crime_match.evidence.signing.keys import password_of, read_key

    try:
        certificate = read_key(path, password_of()).certificate
    except InputError as fault:
        return Finding(
            "keys", FAULT, f"{setting}: {fault}", "is its password in the environment, and may this user read it?"
        )
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    day = certificate.not_valid_after_utc.date()
    if left < timedelta(0):
        return Finding("keys", FAULT, f"{setting}: its certificate ended on {day}", "have a new one issued")
    if Path(path).stat().st_mode & 0o007:
        return Finding("keys", FAULT, f"{setting}: everybody on this machine may read it", f"chmod 640 {path}")
    if left < _SOON:
        return Finding("keys", WARNING, f"{setting}: its certificate ends on {day}", "have a new one issued now")
    return Finding("keys", OK, f"{setting}: holds until {day}")
