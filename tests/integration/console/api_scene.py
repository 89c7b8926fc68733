"""A database with something of everything for the API: the burglary of the investigators, alerts, zones, curfews, a team; and
accounts with every role, for every force (`every`) and for Kent alone (`kent`), each with a token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from alerts.alert import Alert, AlertFix, to_json
from engine.database import Connection, connect
from engine.times import MINUTE_US, parse_time, system_clock, to_datetime, to_iso
from tagwatch import configuration
from tagwatch.access import accounts, tokens
from tagwatch.access.roles import OPERATIONS, ROLES
from tests.integration.console.conftest import add_account
from tests.integration.console.investigators_scene import LAT, LON, settle

RAISED_US = parse_time("2026-03-01T09:00:00Z")
WHY = {"x-reason": "Burglary", "x-case-ref": "26/4711"}
Token = Callable[..., httpx.Client]


def fill(connection: Connection) -> None:
    """Settle everything; two accounts with every role."""
    settle(connection)
    members = [
        {"name": "T. Team", "role": "police_manager", "channels": ["mailto:t@example.org"], "hours": "Mo-Fr 08:00-18:00"}
    ]
    configuration.save(
        connection, RAISED_US, zones={"type": "FeatureCollection", "features": [zone("Z1", ["K1"]), zone("Z2", ["E1"])]},
        curfews=[curfew("C1", "K1"), curfew("C2", "E1")], teams=[{"id": "TEAM", "members": members}],
    )  # fmt: skip
    for k, (name, wearer) in enumerate([("A-k1", "K1"), ("A-k2", "K2"), ("A-e1", "E1")]):
        raise_alert(connection, name, wearer, at_us=RAISED_US + k * MINUTE_US)
    for login, force in (("every", "*"), ("kent", "Kent")):
        add_account(connection, login, list(ROLES), force)


def zone(name: str, wearers: Sequence[str]) -> dict[str, Any]:
    """A circle of 200 m that wearers must not enter."""
    properties = {"id": name, "kind": "exclusion", "wearers": list(wearers), "radius_m": 200}
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [LON, LAT]}, "properties": properties}


def curfew(name: str, wearer: str) -> dict[str, Any]:
    """Every night at home."""
    weekly = [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "start": "19:00", "end": "07:00"}]
    place = {"lat": LAT, "lon": LON, "radius_m": 100}
    return {"id": name, "wearer": wearer, "place": place, "timezone": "Europe/London", "weekly": weekly}


def raise_alert(connection: Connection, name: str, wearer: str, *, grade: str = "high", at_us: int = RAISED_US) -> None:
    """An alert with its first version, as the service writes it."""
    began = to_iso(at_us)
    fix = AlertFix(began, LAT, LON, 10.0, "gps", 0.99)
    alert = Alert(wearer, f"T-{wearer}", "zone.inclusion", "Z1", grade, "active", began, None, None, 0.99, 1.0, 1, [fix],
                  {"text": f"{wearer} left Z1"})  # fmt: skip
    text = to_json(alert).decode()
    with connection.transaction():
        connection.execute(
            "INSERT INTO alert (id, wearer, rule, subject, grade, condition, began, version, raised, raised_at, content)"
            " VALUES (%s, %s, %s, 'Z1', %s, 'active', %s, 1, (SELECT count(*) FROM alert), %s, %s)",
            [name, wearer, alert.rule, grade, to_datetime(at_us), to_datetime(at_us), text],
        )
        connection.execute(
            "INSERT INTO alert_version (seq, id, version, reason, content, as_of, late_s)"
            " VALUES ((SELECT count(*) + 1 FROM alert_version), %s, 1, 'raised', %s, %s, 0)",
            [name, text, to_datetime(at_us)],
        )


def make_token(url: str, login: str, scopes: Sequence[str] = tuple(OPERATIONS), *, now_us: int | None = None) -> str:
    """A token of an account, of a day."""
    with connect(url) as connection:
        account = accounts.account_of(connection, login)
        assert account is not None
        return tokens.make(connection, account, "test", scopes, 1, now_us or system_clock())


@contextmanager
def client_of(address: str, token: str) -> Iterator[httpx.Client]:
    """Somebody who calls with a token."""
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{address}/api/v1", headers=headers, trust_env=False, timeout=90) as client:
        yield client
