"""Trails of a few wearers about one place, and questions about it, for the tests of strength."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from crime_match.question import Question
from crime_match.strength.shifts import Calendar, Shifted
from crime_match.strength.survey import Rows
from crime_match.trails import Trails
from engine.fixes import Fixes
from engine.flags import IMPLAUSIBLE
from engine.times import DAY_US, HOUR_US, MINUTE_US, SECOND_US, from_datetime, parse_time
from engine.trail import Arranged

LONDON = ZoneInfo("Europe/London")
LAT, LON = 51.5, -0.1
M_LAT, M_LON = 1.0 / 111_250.0, 1.0 / 69_400.0
MONDAY_US = parse_time("2026-02-02T00:00:00Z")
FOUR_WEEKS = Calendar(MONDAY_US, MONDAY_US + 28 * DAY_US)


def trails_of(tracks):
    """Trails of (time_us, north m, east m, radius m, flags) columns by wearer; about LAT, LON."""
    columns = [[np.asarray(column) for column in own] for own in tracks]
    lengths = [len(own[0]) for own in columns]
    time_us, north, east, radius_m, flags = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    n = len(time_us)
    fixes = Fixes.of(
        ("tag",), device=np.zeros(n), time_us=time_us, lat_e7=np.rint((LAT + north * M_LAT) * 1e7),
        lon_e7=np.rint((LON + east * M_LON) * 1e7), source=np.zeros(n), accuracy_cm=np.rint(radius_m * 100.0),
    )  # fmt: skip
    radius_m = fixes.accuracy_cm / 100.0
    rows = Arranged(
        fixes, np.zeros(n, np.int64), np.full(n, 960_000_000), radius_m, radius_m / 2.45, radius_m * 5.0 + 2.0,
        np.zeros(n, np.uint8), flags.astype(np.uint8),
    )  # fmt: skip
    start = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Trails([f"w{k}" for k in range(len(lengths))], start, rows, {}, {})


def walk(rng, n, start_us=MONDAY_US, step_s=60.0, spread_m=150.0):
    """Somebody about the place: pauses, jumps, circles of all sizes, some fixes without weight."""
    steps = rng.exponential(step_s, n) * np.where(rng.random(n) < 0.02, 100.0, 1.0)
    time_us = start_us + np.rint(np.cumsum(steps)).astype(np.int64) * SECOND_US
    radius_m = np.where(rng.random(n) < 0.1, 0.0, np.round(rng.lognormal(3.0, 1.2, n), 2))
    flags = np.where(rng.random(n) < 0.05, IMPLAUSIBLE, 0)
    return time_us, rng.normal(0.0, spread_m, n), rng.normal(0.0, spread_m, n), radius_m, flags


def still(times_us, north=0.0, east=0.0, radius_m=10.0):
    """Fixes at one place at these times."""
    n = len(times_us)
    return np.array(times_us), np.full(n, north), np.full(n, east), np.full(n, radius_m), np.zeros(n)


def question(from_us, to_us, **changed):
    return Question(**{"lat": LAT, "lon": LON, "from_us": int(from_us), "to_us": int(to_us)} | changed)


def local(text):
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=LONDON))


def windows_of(questions):
    """The padded windows of questions, as shifts without a meaning."""
    starts, ends = ([getattr(q, name) for q in questions] for name in ("start_us", "end_us"))
    return Shifted(np.arange(len(questions)), np.array(starts), np.array(ends))


def days_at(days, hour, n=30, **where):
    """A fix a minute for n minutes from this hour on, on these days."""
    return still([MONDAY_US + d * DAY_US + hour * HOUR_US + m * MINUTE_US for d in days for m in range(n)], **where)


def both(*parts):
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return tuple(column[order] for column in columns)


def town(rng, n_wearers, n_days, crimes=(), burglar=0):
    """Wearers who stay at home but for a walk about noon; the burglar is at each of these crimes (day, north, east) instead."""
    tracks = []
    for w in range(n_wearers):
        home = rng.uniform(-3000.0, 3000.0, 2)
        times, north, east = [], [], []
        for d in range(n_days):
            shop = rng.uniform(-3000.0, 3000.0, 2) if rng.random() < 0.5 else home
            done = [place for day, *place in crimes if day == d] if w == burglar else []
            for m in range(0, 1440, 5):
                at = shop if 12 * 60 <= m < 13 * 60 else home
                at = done[0] if done and 14 * 60 <= m < 15 * 60 else at
                times.append(MONDAY_US + d * DAY_US + m * MINUTE_US)
                north.append(at[0])
                east.append(at[1])
        n = len(times)
        noise = rng.normal(0.0, 8.0, (2, n))
        tracks.append(
            (np.array(times), np.array(north) + noise[0], np.array(east) + noise[1], np.full(n, 15.0), np.zeros(n))
        )
    return tracks


def asked_at(day, north, east, hour=14, minutes=60):
    from_us = MONDAY_US + day * DAY_US + hour * HOUR_US
    return question(from_us, from_us + minutes * MINUTE_US, lat=LAT + north * M_LAT, lon=LON + east * M_LON)


def drawn_rows(rng, n_events, n_wearers, n_days):
    """Events with days at random as their own: what the null hypothesis says, for wearers of all habits."""
    habit = rng.beta(0.3, 3.0, n_wearers)
    watched = rng.uniform(0.3, 1.0, n_wearers)
    rows = []
    for event in range(n_events):
        monitored = rng.random((n_wearers, n_days)) < watched[:, None]
        placed = monitored & (rng.random((n_wearers, n_days)) < habit[:, None])
        own = int(rng.integers(n_days))
        bits = 1 << np.arange(n_days)
        for w in np.flatnonzero(monitored[:, own] & placed.any(axis=1)).tolist():
            rows.append((event, w, int(monitored[w] @ bits), int(placed[w] @ bits), 1 << own))
    return Rows(*np.array(rows, np.int64).reshape(-1, 5).T)
