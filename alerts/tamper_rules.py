"""Strap and case: once tampered with, open to the end of the activation. No event says that either was made good.

Nothing closes the finding but the end of the activation, and a further event is never swallowed: each is counted, and each
burst (the merge gap after the one before, or later) makes a new version of the alert.
"""

from __future__ import annotations

from collections.abc import Iterable

from alerts.alert import iso
from alerts.device_finding import Finding
from alerts.device_memory import Tampering
from alerts.device_scene import Past

RULES = {"tag.strap": "strap_tamper", "tag.case": "case_tamper"}
_WHAT = {"tag.strap": "strap", "tag.case": "case"}


def tampering(past: Past, rule: str, before: Tampering | None) -> Tampering | None:
    """What is known of a rule's tamper events after those of the scene."""
    found, gap_us = before, past.scene.settings.merge_gap_us
    for event in past.events:
        if event.kind != RULES[rule]:
            continue
        at = event.time_us
        if found is None:
            found = Tampering(at, at, 1, 1, past.place_at(at))
        else:
            found = found._replace(last_us=at, n=found.n + 1, n_times=found.n_times + (at - found.last_us >= gap_us))
    return found


def tamper_findings(rule: str, known: Tampering | None) -> Iterable[Finding]:
    """The finding of a rule: from the first event on, never with an end of its own."""
    if known is not None:
        text = f"The tag says that its {_WHAT[rule]} was tampered with"
        if known.n > 1:
            text += f": {known.n} times by {iso(known.last_us)}"
        more = {"last": iso(known.last_us), "n_events": known.n, "n_times": known.n_times}
        yield Finding(rule, known.first_us, None, known.first_us, text, known.place, more=more)
