"""What each role is shown of an alert: no more of a wearer's life than the role needs.

The centre (no role) sees all. A police manager sees where the wearer was last, not the trail; a probation manager the
circumstances without any position; a support officer that something of this kind happened, without the place or its name:
the name of a zone may give away whom it protects.
"""

from __future__ import annotations

from typing import Any

_HAPPENED = ("wearer", "rule", "grade", "condition", "began", "ended", "minutes")
_CIRCUMSTANCES = ("wearer", "device", "rule", "subject", "grade", "condition", "began", "began_after", "ended", "minutes")


def shown_to(role: str, alert: dict[str, Any]) -> dict[str, Any]:
    """The content of an alert as this role is shown it, keys in the order of the content; an unknown role sees the least."""
    if role == "":
        return alert
    if role not in ("police_manager", "probation_manager"):
        return {key: alert[key] for key in _HAPPENED if key in alert}
    shown = {key: alert[key] for key in _CIRCUMSTANCES if key in alert}
    if role == "police_manager":
        shown["fixes"] = alert.get("fixes", [])[-1:]
    return shown | {"why": {key: value for key, value in alert["why"].items() if key in ("text", "unknown_since")}}
