"""Laws of curfews: windows against a walk over the minutes of the wall clock; alerts against a walk over every second."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.alert import Alert
from alerts.curfew_rules import curfew_alerts
from alerts.evidence import Scene
from engine.fixes import Fixes
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, from_datetime, parse_time
from geofence.curfew import Curfew, read_curfews
from geofence.curfew_windows import open_since_us, windows_of
from geofence.episodes import episodes
from geofence.filter import IN, OUT, UNKNOWN
from geofence.schedule import DAYS, Interval, read_schedule
from tagwatch.monitor import Conditions, Monitor

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # the hash, where not compiled

# --- windows

Row = tuple[list[str], str, str]
CLOCK = st.sampled_from(
    ["00:00", "00:30", "01:00", "01:15", "01:30", "01:45", "02:00", "02:15", "02:30", "06:00", "13:10", "22:00", "23:55"]
)
DAYS_OF = st.one_of(st.just(list(DAYS)), st.lists(st.sampled_from(DAYS), min_size=1, max_size=4, unique=True))
WHOLE_DAY = st.tuples(DAYS_OF, st.just("00:00"), st.just("24:00"))
ROW = st.one_of(st.tuples(DAYS_OF, CLOCK, CLOCK | st.just("24:00")).filter(lambda r: r[1] != r[2]), WHOLE_DAY)
ROWS = st.lists(ROW, min_size=1, max_size=3)
NIGHTS = st.sampled_from([
    ("Europe/London", date(2026, 3, 29)), ("Europe/London", date(2026, 10, 25)), ("Europe/London", date(2027, 1, 1)),
    ("Europe/London", date(2028, 2, 29)), ("Australia/Lord_Howe", date(2026, 4, 5)), ("UTC", date(2026, 7, 1)),
    ("Australia/Lord_Howe", date(2026, 10, 4)), ("Pacific/Apia", date(2026, 1, 1)), ("Africa/Casablanca", date(2026, 3, 22)),
])  # fmt: skip


class Wall:
    """The minutes about a night (every fifth), by what the clock on the wall says."""

    def __init__(self, zone: str, night: date, days: int) -> None:
        start = from_datetime(datetime.combine(night - timedelta(days=days), datetime.min.time(), ZoneInfo(zone)))
        self.first_day, self.n_days = night - timedelta(days=days), 2 * days
        self.minutes = range(start, start + 2 * days * DAY_US + 3 * HOUR_US, 5 * MINUTE_US)
        self.says: dict[datetime, list[int]] = {}
        for minute in self.minutes:
            local = datetime.fromtimestamp(minute / 1e6, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
            self.says.setdefault(local, []).append(minute)

    def instant(self, day: date, clock: str, *, last: bool) -> int:
        """When the wall says this, the first or the last time; where it never does, the first minute that says more."""
        wanted = datetime.combine(day, datetime.min.time()) + timedelta(hours=int(clock[:2]), minutes=int(clock[3:]))
        while wanted not in self.says:
            wanted += timedelta(minutes=5)
        return self.says[wanted][-1 if last else 0]


wall_of = cache(partial(Wall, days=17))


def plain_spans(rows: list[Row], wall: Wall) -> list[tuple[int, int, bool]]:
    found = []
    for k in range(1, wall.n_days - 2):
        day = wall.first_day + timedelta(days=k)
        for days, start, end in rows:
            if DAYS[day.weekday()] in days:
                begins = wall.instant(day, start, last=False)
                ends = wall.instant(day + timedelta(days=end < start), end, last=True)
                if begins < ends:
                    found.append((begins, ends, (start, end) == ("00:00", "24:00")))
    return found


def is_endless(rows: list[Row]) -> bool:
    free = np.ones(7 * 1440, bool)
    for days, start, end in rows:
        first, last = (int(c[:2]) * 60 + int(c[3:]) for c in (start, end))
        last += 1440 * (last < first)
        for day in days:
            free[(DAYS.index(day) * 1440 + np.arange(first, last)) % (7 * 1440)] = False
    return not free.any()


def groups(n: int, belong: Any) -> list[set[int]]:
    """The sets of numbers that hang together, by whether two belong to each other."""
    found: list[set[int]] = []
    for k in range(n):
        mine = [g for g in found if any(belong(k, other) or belong(other, k) for other in g)]
        found = [g for g in found if g not in mine] + [{k}.union(*mine)]
    return found


def plain_windows(rows: list[Row], wall: Wall) -> set[Interval]:
    """Rows that overlap, then those that touch but for whole days; whole days where no minute of the week is free."""
    spans = plain_spans(rows, wall)
    if is_endless(rows):
        midnights = [wall.instant(wall.first_day + timedelta(days=k), "00:00", last=False) for k in range(wall.n_days)]
        return set(itertools.pairwise(midnights))
    over = [[spans[k] for k in g] for g in groups(len(spans), lambda i, j: spans[i][0] <= spans[j][0] < spans[i][1])]
    apart = [(a, b, (a, b, True) in each) for each in over for a, b in [(min(s[0] for s in each), max(s[1] for s in each))]]
    made = groups(len(apart), lambda i, j: apart[i][1] == apart[j][0] and not (apart[i][2] or apart[j][2]))
    return {(min(apart[k][0] for k in g), max(apart[k][1] for k in g)) for g in made}


@settings(max_examples=150, deadline=None)
@given(ROWS, NIGHTS)
def test_windows_are_those_of_a_walk_over_the_minutes_of_the_wall(rows: list[Row], night: tuple[str, date]) -> None:
    wall = wall_of(*night)
    weekly = [{"days": days, "start": start, "end": end} for days, start, end in rows]
    schedule = read_schedule({"timezone": night[0], "weekly": weekly})
    low, high = (wall.instant(night[1] + timedelta(days=d), "12:00", last=False) for d in (-1, 1))
    expected = {w for w in plain_windows(rows, wall) if w[1] > low and w[0] <= high}
    assert set(schedule.windows(low, high)) == expected


EXTRA = st.tuples(st.integers(-6 * 48, 6 * 48), st.integers(1, 200), st.sampled_from(["authorised", "extra"]))


def curfew(rows: list[Row], zone: str = "UTC", **more: Any) -> dict[str, Any]:
    weekly = [{"days": days, "start": start, "end": end} for days, start, end in rows]
    return {
        "id": "c", "wearer": "tag", "place": {"lat": 53, "lon": -1, "radius_m": 80}, "timezone": zone, "weekly": weekly,
    } | more  # fmt: skip


def exceptions(some: list[tuple[int, int, str]], about_us: int) -> list[dict[str, str]]:
    half_hour = 30 * MINUTE_US
    times = [(about_us + at * half_hour, about_us + (at + n) * half_hour, kind) for at, n, kind in some]
    return [
        {"from": datetime.fromtimestamp(a / 1e6, UTC).isoformat(), "to": datetime.fromtimestamp(b / 1e6, UTC).isoformat(),
         "kind": kind} for a, b, kind in times
    ]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(ROWS, NIGHTS, st.lists(EXTRA, max_size=4), st.integers(-3 * 24, 3 * 24), st.integers(0, 48), st.integers(0, 400))
def test_a_window_is_the_same_whatever_is_asked_for(
    rows: list[Row], night: tuple[str, date], some: list[tuple[int, int, str]], at: int, n: int, more: int
) -> None:
    """And the exceptions are sets of minutes: extra ones added, authorised ones taken away."""
    zone, day = night
    about = from_datetime(datetime.combine(day, datetime.min.time(), ZoneInfo(zone)))
    (one,) = read_curfews([curfew(rows, zone, exceptions=exceptions(some, about))])
    low, high = about + at * HOUR_US, about + (at + n) * HOUR_US
    narrow, wide = one.windows(low, high), one.windows(low - more * HOUR_US, high + more * HOUR_US)
    assert narrow == [w for w in wide if w[1] > low and w[0] <= high]
    (bare,) = read_curfews([curfew(rows, zone)])
    for minute in range(low, high, 97 * MINUTE_US):
        plain = any(a <= minute < b for a, b in bare.schedule.windows(low, high))
        extra = any(e.start_us <= minute < e.end_us for e in one.exceptions if e.kind == "extra")
        leave = any(e.start_us <= minute < e.end_us for e in one.exceptions if e.kind == "authorised")
        assert any(a <= minute < b for a, b in narrow) == ((plain or extra) and not leave)


# --- versions


@settings(max_examples=100, deadline=None)
@given(ROWS, st.lists(st.integers(-5 * 24, 5 * 24), min_size=1, max_size=4, unique=True), st.integers(-72, 72))
def test_versions_that_say_the_same_are_one_curfew(rows: list[Row], changes: list[int], at: int) -> None:
    """Wherever a curfew is cut into versions, its windows are those of the whole."""
    about = parse_time("2026-01-07T00:00:00Z")
    whole = read_curfews([curfew(rows)])
    starts = [datetime.fromtimestamp((about + h * HOUR_US) / 1e6, UTC).isoformat() for h in changes]
    parts = read_curfews([curfew(rows), *(curfew(rows, holds_from=start) for start in starts)])
    assert len(parts) == len(changes) + 1
    assert {part.version for part in parts} == {whole[0].version}
    low, high = about + at * HOUR_US, about + (at + 30) * HOUR_US
    found = windows_of(parts, low, high)
    assert [(w.start_us, w.end_us) for w in found] == whole[0].windows(low, high)
    for window in found:
        assert all(one.end_us == two.start_us for one, two in itertools.pairwise(window.parts))
        assert all(parts[p.version].holds[0] <= p.start_us < p.end_us <= parts[p.version].holds[1] for p in window.parts)
    opened = open_since_us(parts, low)
    assert opened == min([low, *(a for a, b in whole[0].windows(low - 1, low) if a < low <= b)])


# --- alerts


class Story(NamedTuple):
    """Where a wearer is (minutes, at home or not, tag silent or not), what holds, and when one looks."""

    stays: list[tuple[int, str]]
    grace: float
    limit: float
    change_at: int | None
    as_of_half_minutes: int


START = parse_time("2026-01-05T20:00:00Z")
STAYS = st.lists(
    st.tuples(st.integers(3, 150), st.sampled_from(["home", "away", "silent", "other"])), min_size=1, max_size=9
)
STORIES = st.builds(
    Story, STAYS, st.sampled_from([0, 5, 20.5]), st.sampled_from([0, 30, 90]), st.none() | st.integers(60, 700),
    st.integers(100, 1800),
)  # fmt: skip
PLACES = {"home": (53.0, -1.0), "away": (53.05, -1.0), "other": (53.02, -1.0)}


def fixes_of(story: Story) -> Fixes:
    minutes, where, minute = [], [], 0
    for length, place in story.stays:
        if place != "silent":
            minutes += list(range(minute, minute + length))
            where += [PLACES[place]] * length
        minute += length
    return Fixes.of(
        ("tag",), device=np.zeros(len(minutes)), time_us=np.array([START + m * MINUTE_US for m in minutes], np.int64),
        lat_e7=np.array([round(lat * 1e7) for lat, _ in where], np.int64),
        lon_e7=np.array([round(lon * 1e7) for _, lon in where], np.int64), accuracy_cm=np.full(len(minutes), 800),
        source=np.ones(len(minutes)),
    )  # fmt: skip


def curfews_of(story: Story) -> list[Curfew]:
    """22:00 to 06:00 at home; from the change on 21:00 to 07:00 at the other place, with no grace and another limit."""
    nights: list[Row] = [(list(DAYS), "22:00", "06:00")]
    rows = [curfew(nights, grace_minutes=story.grace, unverified_minutes=story.limit)]
    if story.change_at is not None:
        lat, lon = PLACES["other"]
        start = datetime.fromtimestamp((START + story.change_at * MINUTE_US) / 1e6, UTC).isoformat()
        rows.append(
            curfew([(list(DAYS), "21:00", "07:00")], holds_from=start, place={"lat": lat, "lon": lon, "radius_m": 80})
        )
    return read_curfews(rows)


Expected = tuple[str, str, int, int | None, float]


def walked(monitor: Monitor, curfews: list[Curfew], from_us: int, as_of_us: int) -> list[Expected]:
    """The alerts by a walk over the seconds of every window: (rule, condition, began, ended, minutes)."""
    n = 26 * 3600
    says = np.full((len(curfews), n), UNKNOWN)
    inside = np.full(n, -1)
    seconds = START + np.arange(n) * SECOND_US
    for slot in monitor.watch.slots("tag"):
        number = next(k for k, c in enumerate(curfews) if c == slot.subject.of)
        for e in episodes(slot, monitor.trails["tag"], monitor.watch, as_of_us):
            says[number][(seconds >= e.start_us) & (seconds < e.end_us)] = e.state
    for number, one in enumerate(curfews):
        first, last = (("22:00", "06:00"), ("21:00", "07:00"))[number]
        clock = (seconds // SECOND_US) % 86400
        at = [int(t[:2]) * 3600 for t in (first, last)]
        inside[((clock >= at[0]) | (clock < at[1])) & (seconds >= one.holds[0]) & (seconds < one.holds[1])] = number
    inside[seconds < from_us] = -1
    edges = np.flatnonzero(np.diff(inside >= 0, prepend=False, append=False)).tolist()
    found: list[Expected] = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        found += _walked_window(curfews, says, inside, begin, end, (as_of_us - START) / SECOND_US)
    return sorted(
        (rule, c, START + a * SECOND_US, None if b is None else START + b * SECOND_US, m) for rule, c, a, b, m in found
    )


def _walked_window(
    curfews: list[Curfew], says: Any, inside: Any, begin: int, end: int, as_of: float
) -> list[tuple[str, str, int, Any, float]]:
    absences: list[dict[str, Any]] = []
    seen_in, unknown, first_unknown, last_unknown, open_ = False, 0, None, None, False
    now = int(min(end, as_of))
    for t in range(begin, now):
        state = says[inside[t]][t]
        if state == OUT:
            if not open_:
                absences.append(
                    {"began": t, "start": not seen_in, "s": 0, "back": None, "grace": curfews[inside[t]].grace_us}
                )
                open_ = True
            absences[-1]["s"] += 1
        elif state == IN:
            if open_:
                absences[-1]["back"] = t
            seen_in, open_ = True, False
        else:
            unknown += 1
            first_unknown, last_unknown = t if first_unknown is None else first_unknown, t + 1
    over = as_of >= end
    after = [s for s in says[inside[end - 1]][end - 1 : int(as_of)] if s in (IN, OUT)] if over else []
    out_at_end = bool(after) and after[0] == OUT
    found: list[tuple[str, str, int, Any, float]] = []
    for a in absences:
        if a["s"] * SECOND_US > a["grace"]:
            if a["back"] is not None:
                rule = "curfew.late" if a["start"] else "curfew.left"
            elif out_at_end:
                rule = "curfew.absent" if a["start"] else "curfew.end"
            else:
                rule = "curfew.start" if a["start"] else "curfew.left"
            active = a["back"] is None and not over
            ended = None if active else a["back"] if a["back"] is not None else end
            found.append((rule, "active" if active else "cleared", a["began"], ended, round(a["s"] / 60, 3)))
    if unknown * SECOND_US > curfews[inside[begin]].unverified_us and first_unknown is not None:
        active = not over and last_unknown == now
        ended = None if active else last_unknown
        found.append(("curfew.unverified", "active" if active else "cleared", first_unknown, ended, round(unknown / 60, 3)))
    return found


def curfew_alerts_of(monitor: Monitor, as_of_us: int) -> tuple[list[Alert], int]:
    found, due = monitor.alerts("tag", as_of_us)
    return [alert for alert in found if alert.rule.startswith("curfew.")], due


def brief(found: list[Alert]) -> list[Expected]:
    return sorted(
        (a.rule, a.condition, parse_time(a.began), None if a.ended is None else parse_time(a.ended), a.minutes)
        for a in found
    )


@settings(max_examples=80, deadline=None)
@given(STORIES)
def test_alerts_are_those_of_a_walk_over_the_seconds(story: Story) -> None:
    fixes, curfews = fixes_of(story), curfews_of(story)
    as_of = START + story.as_of_half_minutes * 30 * SECOND_US
    if not len(fixes) or fixes.time_us[0] > as_of:
        return
    monitor = Monitor(Conditions((), curfews))
    monitor.take(fixes, as_of)
    found, _ = curfew_alerts_of(monitor, as_of)
    assert brief(found) == walked(monitor, curfews, int(fixes.time_us[0]), as_of)


@settings(max_examples=20, deadline=None)
@given(STORIES)
def test_nothing_changes_but_at_the_instants_that_are_told(story: Story) -> None:
    fixes, curfews = fixes_of(story), curfews_of(story)
    if not len(fixes):
        return
    monitor = Monitor(Conditions((), curfews))
    now = int(fixes.time_us[-1])
    monitor.take(fixes, now)
    told, due = curfew_alerts_of(monitor, now)
    kinds = [(a.rule, a.condition, a.began) for a in told]
    for instant in range(now + 30 * SECOND_US, now + 14 * HOUR_US, 390 * SECOND_US):
        while due <= instant:
            told, due = curfew_alerts_of(monitor, due)
            kinds = [(a.rule, a.condition, a.began) for a in told]
        assert [(a.rule, a.condition, a.began) for a in curfew_alerts_of(monitor, instant)[0]] == kinds


@settings(max_examples=40, deadline=None)
@given(STORIES, st.integers(0, 1500))
def test_what_ended_before_is_not_wanted_again_and_all_else_is_the_same(story: Story, since_minute: int) -> None:
    fixes, curfews = fixes_of(story), curfews_of(story)
    as_of = START + story.as_of_half_minutes * 30 * SECOND_US
    if not len(fixes) or fixes.time_us[0] > as_of:
        return
    monitor = Monitor(Conditions((), curfews))
    monitor.take(fixes, as_of)
    since = START + since_minute * MINUTE_US
    scenes = [
        Scene(slot, monitor.trails["tag"], monitor.watch, monitor.devices, as_of, {}, since_us=since)
        for slot in monitor.watch.slots("tag")
    ]
    every = curfew_alerts_of(monitor, as_of)[0]
    wanted = [a for a in every if a.ended is None or parse_time(a.ended) >= since]
    found = curfew_alerts(scenes, [(int(fixes.time_us[0]), 2**62)], [])
    assert sorted(found, key=lambda a: a.sort_key) == wanted
