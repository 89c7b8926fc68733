"""A delivery as a CloudEvents 1.0 event in structured JSON: the body of webhooks and of MQTT messages."""

from __future__ import annotations

import msgspec

from alerts.delivery import VERSION, Delivery

CONTENT_TYPE = "application/cloudevents+json"
SOURCE = "tagwatch"


def to_event(delivery: Delivery, source: str = SOURCE) -> bytes:
    """The event (CloudEvents 1.0.2, JSON format); `data` is the payload.

    `subject` is the alert, never the wearer: attributes of an event are read by everything on its way, and end in logs.
    """
    event = {
        "specversion": "1.0",
        "id": delivery.key,
        "source": source,
        "type": _type(delivery),
        "subject": delivery.id,
        **({"time": delivery.time} if delivery.time else {}),
        "datacontenttype": "application/json",
        "data": delivery.payload(),
    }
    return msgspec.json.encode(event)


def _type(delivery: Delivery) -> str:
    """`tagwatch.alert.raised`, `.amended`, `.cleared` or `.retracted`; `tagwatch.handling.escalated` ...; `tagwatch.test`."""
    if delivery.kind == VERSION:
        return f"tagwatch.alert.{delivery.step}"
    return f"tagwatch.handling.{delivery.kind}" if delivery.notice else f"tagwatch.{delivery.kind}"
