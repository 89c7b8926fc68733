"""A wearer's conditions in words: zones, curfews with the coming week in local time, proximities. No word says where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from engine.times import DAY_US, MINUTE_US, to_datetime
from geofence.curfew import Curfew
from geofence.curfew_windows import windows_of
from geofence.exceptions import ScheduleException
from geofence.remarks import row_text
from geofence.schedule import Interval, time_zone
from geofence.versions import FAR_US
from geofence.zone import EVERYBODY, Zone
from tagwatch.console.managers.nights import change_words, length_words, times_words
from tagwatch.monitor import Conditions

WEEK_US = 7 * DAY_US
EXCEPTIONS = {"authorised": "authorised", "suspended": "monitoring suspended", "extra": "extra window"}


class Coming(NamedTuple):
    """One window of the coming week; `change` is what the clocks do within it."""

    day: str
    times: str
    length: str
    change: str


class Condition(NamedTuple):
    """One condition in words; `earlier` are its other versions, `coming` is of a curfew alone."""

    title: str
    kind: str
    sentences: list[str]
    exceptions: list[str]
    earlier: list[str]
    timezone: str
    coming: list[Coming] | None = None


def conditions_in_words(conditions: Conditions, wearer: str, now_us: int) -> list[Condition]:
    """The curfews, zones and proximities that hold now or later, each with what held before it."""
    found = [_curfew(versions, now_us) for versions in _by_id(c for c in conditions.curfews if c.wearer == wearer)]
    found += [_zone(versions, now_us) for versions in _by_id(z for z in conditions.zones if z.concerns(wearer))]
    return found + list(_proximities(conditions, wearer))


def _curfew(versions: list[Curfew], now_us: int) -> Condition:
    held = _now(versions, now_us)
    zone = held.schedule.timezone
    where = "one of the places" if len(held.places) > 1 else "the place"
    sentences = [
        f"Must be at {where} of the curfew: {_rows(held)} ({zone}).",
        f"Grace {held.grace_us // MINUTE_US} min.",
        f"A night with more than {held.unverified_us // MINUTE_US} min unknown, or half of a short one, is not verifiable.",
    ]
    sentences += _validity(held.schedule.valid_from, held.schedule.valid_to)
    windows = [w for w in windows_of(versions, now_us, now_us + WEEK_US) if w.end_us > now_us]
    coming = [_coming(w.start_us, w.end_us, zone) for w in windows]
    return Condition(
        f"Curfew {held.id}", "curfew", sentences, _exceptions(held.exceptions, now_us, zone),
        [f"{_span(old.holds, zone)}: {_rows(old)}" for old in _others(versions, held)], zone, coming,
    )  # fmt: skip


def _rows(curfew: Curfew) -> str:
    return "; ".join(row_text(row) for row in curfew.schedule.weekly)


def _zone(versions: list[Zone], now_us: int) -> Condition:
    held = _now(versions, now_us)
    zone = held.schedule.timezone if held.schedule else held.timezone
    must = "Must stay inside" if held.kind == "inclusion" else "Must not enter"
    when = "; ".join(row_text(row) for row in held.schedule.weekly) + f" ({zone})" if held.schedule else "at all times"
    sentences = [f"{must} this zone: {when}."]
    if held.buffer_m:
        sentences.append(f"Early warning within {held.buffer_m:g} m of it.")
    if held.wearers == EVERYBODY:
        sentences.append("This zone is for every wearer.")
    sentences += _validity(held.valid_from, held.valid_to)
    title = held.id if held.name in ("", held.id) else f"{held.name} ({held.id})"
    earlier = [f"{_span(old.holds, zone)}: another version of this zone" for old in _others(versions, held)]
    return Condition(
        f"{held.kind.capitalize()} zone {title}", held.kind, sentences, _exceptions(held.exceptions, now_us, zone),
        earlier, zone,
    )  # fmt: skip


def _proximities(conditions: Conditions, wearer: str) -> Iterator[Condition]:
    for near in conditions.proximities:
        if near.wearer == wearer and near.holds[1] == FAR_US:
            told = [f"Must keep {near.radius_m:g} m away from a protected person, wherever that person is."]
            yield Condition(f"Proximity {near.id}", "proximity", told, [], [], "UTC")


def _coming(start_us: int, end_us: int, zone: str) -> Coming:
    start = to_datetime(start_us).astimezone(time_zone(zone))
    times = times_words(start_us, end_us, zone)
    return Coming(f"{start:%A %d %B}", times, length_words(end_us - start_us), change_words(start_us, end_us, zone))


def _exceptions(exceptions: Iterable[ScheduleException], now_us: int, zone: str) -> list[str]:
    return [
        f"{_span((one.start_us, one.end_us), zone)}: {EXCEPTIONS[one.kind]}{f' ({one.reason})' if one.reason else ''}"
        for one in exceptions
        if one.end_us > now_us
    ]


def _validity(first: object, last: object) -> list[str]:
    told = (f"From {first}" if first else "") + (f"{' to' if first else 'Until'} {last}, that day included" if last else "")
    return [f"{told}."] if told else []


def _span(span: Interval, zone: str) -> str:
    start = "from the beginning" if span[0] == -FAR_US else _moment(span[0], zone)
    return f"{start} to {'now' if span[1] == FAR_US else _moment(span[1], zone)}"


def _moment(time_us: int, zone: str) -> str:
    return f"{to_datetime(time_us).astimezone(time_zone(zone)):%a %d %b %Y %H:%M}"


def _now(versions: Sequence[Any], now_us: int) -> Any:
    """The version that holds now, else the newest."""
    return next((one for one in versions if one.holds[0] <= now_us < one.holds[1]), versions[-1])


def _others(versions: Sequence[Any], held: Any) -> list[Any]:
    return [one for one in versions if one is not held]


def _by_id(subjects: Iterable[Any]) -> list[list[Any]]:
    groups: dict[str, list[Any]] = {}
    for one in subjects:
        groups.setdefault(one.id, []).append(one)
    return [sorted(group, key=lambda s: s.holds) for group in groups.values()]
