"""Real trails, moved: to another city, keeping bearing and distance from their middle, and to another time, as a whole."""

import csv
import gzip
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from pyproj import Geod

from engine.fixes import Fixes, concat
from engine.times import DAY_US

WGS84 = Geod(ellps="WGS84")
N_DRIVES = 25


def rows_of(path):
    data = path.read_bytes()
    return list(csv.DictReader((gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()))


def phones(shared_data):
    rows = rows_of(shared_data / "phones_saopaulo" / "fixes.csv.gz")
    accuracy = [float(row["accuracy_m"]) for row in rows]
    when = [float(row["ts"]) for row in rows], [float(row["write_ts"]) for row in rows]
    return batch([row["user"] for row in rows], *when, rows, "lat", "lon", accuracy_cm=np.rint(np.array(accuracy) * 100))


def buses(shared_data):
    rows = rows_of(shared_data / "bus_liverpool" / "liverpool_bus_route14_outbound.csv")
    times = [stamp(row["timestamp"]) for row in rows]
    return batch([f"bus {row['vehicle_id']}" for row in rows], times, times, rows, "latitude", "longitude")


def tracks(shared_data):
    rows = rows_of(shared_data / "gotrack_aracaju" / "go_track_trackspoints.csv")
    most = {name for name, _ in Counter(row["track_id"] for row in rows).most_common(N_DRIVES)}
    rows = [row for row in rows if row["track_id"] in most]
    times = [stamp(row["time"]) for row in rows]
    return batch([f"track {row['track_id']}" for row in rows], times, times, rows, "latitude", "longitude")


def stamp(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def batch(names, times, received, rows, lat, lon, **columns):
    devices = sorted(set(names))
    number = {name: k for k, name in enumerate(devices)}
    degrees = {f"{key[:3]}_e7": np.rint(np.array([float(row[key]) for row in rows]) * 1e7) for key in (lat, lon)}
    return Fixes.of(
        devices, device=[number[name] for name in names], time_us=np.rint(np.array(times) * 1e6),
        received_s=np.floor(received), source=np.full(len(names), 1), **degrees, **columns,
    )  # fmt: skip


def moved(fixes, lat, lon):
    """The same ways about another middle: bearing and distance from the middle of the trails stay as they are."""
    middle = np.median(fixes.lat_e7) / 1e7, np.median(fixes.lon_e7) / 1e7
    n = len(fixes)
    azimuth, _, apart = WGS84.inv(np.full(n, middle[1]), np.full(n, middle[0]), fixes.lon_e7 / 1e7, fixes.lat_e7 / 1e7)
    lons, lats, _ = WGS84.fwd(np.full(n, lon), np.full(n, lat), azimuth, apart)
    return replace(fixes, lat_e7=np.rint(lats * 1e7).astype(np.int32), lon_e7=np.rint(lons * 1e7).astype(np.int32))


def laid(fixes, from_us, length_us, every_day):
    """The trails from a time on: together, as they are; or, for so long, each of them on every day, at an hour of its own."""
    if not every_day:
        return later(fixes, np.full(len(fixes.devices), from_us - int(fixes.time_us.min())))
    first_us = np.array([int(fixes.time_us[fixes.device == k].min()) for k in range(len(fixes.devices))])
    hour_us = np.arange(len(first_us)) * 7 * 1_000_000 * 3607 % DAY_US
    days = range(0, length_us, DAY_US)
    return concat(later(fixes, from_us + day_us + hour_us - first_us) for day_us in days)


def later(fixes, by_us):
    """The trails so much later, a whole number of seconds for each device."""
    by_s = (by_us // 1_000_000)[fixes.device]
    return replace(fixes, time_us=fixes.time_us + by_s * 1_000_000, received_s=fixes.received_s + by_s)
