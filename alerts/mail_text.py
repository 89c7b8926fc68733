"""What a mail says: a subject with grade, rule and wearer, and a few lines; times in the team's own time zone and in UTC."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

from alerts.delivery import VERSION, Delivery, printable
from engine.times import parse_time, to_datetime
from geofence.schedule import time_zone

_UTC = "UTC"


def message_of(delivery: Delivery, sender: str, now_us: int) -> EmailMessage:
    """The message. Its Message-ID is the same at every attempt; the versions of an alert are one thread (RFC 5322, 3.6.4)."""
    alert = delivery.content
    message = EmailMessage()
    message["From"], message["To"] = sender, delivery.target
    message["Subject"] = printable(f"[{alert['grade'].upper()}] {alert['rule']} {alert['wearer']}: {delivery.step}")
    message["Date"] = format_datetime(to_datetime(now_us))
    message["Message-ID"] = _message_id(delivery, delivery.key, sender)
    first = _message_id(delivery, f"{delivery.id}.1", sender)
    if first != message["Message-ID"]:
        message["In-Reply-To"] = message["References"] = first
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers
    if alert["grade"] == "critical":
        message["Importance"] = "high"
    text = "\n".join(_lines(delivery, alert)) + "\n"
    message.set_content(text, cte="7bit" if text.isascii() else "quoted-printable")
    return message


def _message_id(delivery: Delivery, key: str, sender: str) -> str:
    """Each role is shown something else, so each has a message of its own."""
    return f"<{key}{'.' if delivery.role else ''}{delivery.role}@{sender.rpartition('@')[2]}>"


def _lines(delivery: Delivery, alert: dict[str, Any]) -> list[str]:
    zone = time_zone(delivery.timezone)
    rows = [
        ("Wearer", alert["wearer"]), ("Rule", alert["rule"]), ("About", alert.get("subject")), ("Grade", alert["grade"]),
        ("Step", delivery.step if delivery.reason == delivery.step else f"{delivery.step} ({delivery.reason})"),
        ("Condition", _condition(delivery, alert)),
        ("Began", _moment(alert["began"], zone)), ("Ended", _moment(alert["ended"], zone)),
        ("Unknown since", _moment(alert.get("why", {}).get("unknown_since"), zone)),
        ("Minutes", f"{alert['minutes']:.0f}" if alert["minutes"] else None),
        ("Late by", _span(delivery.late_s) if delivery.kind == VERSION and delivery.late_s >= 600 else None),
        *(("Last seen", line) for line in _last_fix(alert, zone)),
        ("Reference", f"{delivery.id}, version {delivery.version}"),
    ]  # fmt: skip
    text = alert.get("why", {}).get("text") or "The monitoring centre has the circumstances."
    return [printable(str(text)), "", *(printable(f"{name + ':':<15}{value}") for name, value in rows if value)]


def _condition(delivery: Delivery, alert: dict[str, Any]) -> str:
    return "taken back: it is borne out no more" if delivery.step == "retracted" else str(alert["condition"])


def _last_fix(alert: dict[str, Any], zone: ZoneInfo) -> list[str]:
    if not alert.get("fixes"):
        return []
    fix = alert["fixes"][-1]
    radius = "" if fix["accuracy_m"] is None else f" within {fix['accuracy_m']:.0f} m"
    return [f"{fix['lat']:.5f}, {fix['lon']:.5f}{radius}, {_moment(fix['time'], zone)}"]


def _moment(text: str | None, zone: ZoneInfo) -> str | None:
    """A time as the team reads it, and as the ledger says it."""
    if text is None:
        return None
    moment = to_datetime(parse_time(text))
    utc = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return utc if zone.key == _UTC else f"{moment.astimezone(zone):%a %d %b %Y %H:%M:%S %Z} ({utc})"


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
