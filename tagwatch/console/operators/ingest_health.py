"""What comes in: the last message, what the service counts, what was quarantined and why, and which devices are silent."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from alerts.queue import Row, section_of
from engine.times import DAY_US, SECOND_US, to_iso
from ingest.health import Heard, Quarantined, newest_of_devices, quarantined_since
from tagwatch.console.caller import Caller, needs
from tagwatch.console.managers.standings import Stood
from tagwatch.console.managers.worn import worn_now
from tagwatch.console.office import Here
from tagwatch.console.operators.queue_page import desk_of
from tagwatch.console.rendering import page

router = APIRouter(include_in_schema=False)
MOST_SILENT = 100
SINCE_US = 7 * DAY_US


class Silent(NamedTuple):
    """One device that is worn and silent: for how long [s], since when, and its open alert of lost contact."""

    device: str
    wearer: str
    silent_s: float | None
    last: str
    alert: str


@router.get("/ingest")
def health(request: Request, office: Here, caller: Annotated[Caller, needs("ingest.read")], stood: Stood) -> Response:
    """How what comes in stands."""
    now_us = office.clock()
    with office.database.reading() as connection:
        conditions = stood.conditions(office, connection)
        heard, kept = newest_of_devices(connection), quarantined_since(connection, now_us - SINCE_US)
        rows = desk_of(request).queue(connection, office, caller.scope).rows
    people = {row.wearer for row in conditions.activations.rows} or {one.device for one in heard}
    worn = worn_now(conditions, people, now_us)
    wearer_of = {row.device: wearer for wearer, each in worn.items() for row in each}
    grace_s = {
        row.device: row.upload_interval_s + row.fix_interval_s + row.grace_s for each in worn.values() for row in each
    }
    if caller.scope.wearers is not None:
        mine = {device for device, wearer in wearer_of.items() if caller.scope.holds(wearer)}
        heard, kept = [one for one in heard if one.device in mine], [one for one in kept if one.device in mine]
    silent = _silent(heard, wearer_of, grace_s, rows, now_us)
    came = [one.received_us for one in heard if one.received_us is not None]
    return page(
        request, office, caller, "operators/ingest.html", feed=office.feed(), last=to_iso(max(came)) if came else None,
        n_devices=len(heard), n_worn=sum(one.device in wearer_of for one in heard), silent=silent[:MOST_SILENT],
        n_silent=len(silent), reasons=_by_reason(kept), n_kept=sum(one.n_payloads for one in kept), to_iso=to_iso,
        noisiest=Counter({one.device: one.n_payloads for one in kept}).most_common(10), whole=caller.scope.wearers is None,
    )  # fmt: skip


def _silent(
    heard: list[Heard], wearer_of: dict[str, str], grace_s: dict[str, int], rows: list[Row], now_us: int
) -> list[Silent]:
    """Worn devices of which nothing came for longer than their plan allows, the longest first."""
    lost = {row.wearer: row.id for row in rows if row.rule == "tag.no_contact" and section_of(row)}
    found = []
    for one in heard:
        wearer = wearer_of.get(one.device)
        silent_s = None if one.time_us is None else (now_us - one.time_us) / SECOND_US
        if wearer is not None and (silent_s is None or silent_s > grace_s[one.device]):
            last = "" if one.time_us is None else to_iso(one.time_us)
            found.append(Silent(one.device, wearer, silent_s, last, lost.get(wearer, "")))
    return found


def _by_reason(kept: list[Quarantined]) -> list[tuple[str, int, int, str]]:
    """Reason, payloads, devices, and when the last one came; the most first."""
    counts: Counter[str] = Counter()
    for one in kept:
        counts[one.reason] += one.n_payloads
    return [
        (
            reason,
            n,
            sum(one.reason == reason for one in kept),
            to_iso(max(one.last_us for one in kept if one.reason == reason)),
        )
        for reason, n in counts.most_common()
    ]
