"""Real phones of São Paulo: arrival in real order, in random batches, gives the ledger of a replay by time, byte for byte."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alerts.alert import Alert, to_json
from engine.activations import Activation
from engine.fixes import CONTENT, Fixes
from geofence.curfew import read_curfews
from geofence.zone import read_zones
from tagwatch.monitor import Conditions, Monitor
from tagwatch.replay import replay

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
PHONES = Activation("", "", -(2**62), percentile=0.68)
COLUMNS = {
    "lat_e7": ("lat", 1e7), "lon_e7": ("lon", 1e7), "accuracy_cm": ("accuracy_m", 100), "speed_cms": ("speed_mps", 100),
    "course_cdeg": ("heading", 100), "altitude_cm": ("altitude_m", 100), "time_us": ("ts", 1e6),
}  # fmt: skip


def read_rows(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[dict[str, str]]:
    return read_rows(shared_data / "phones_saopaulo" / "fixes.csv.gz")


@pytest.fixture(scope="module")
def fixes(rows: list[dict[str, str]]) -> Fixes:
    """The fixes as they lie in the file, on the grid of the columns."""
    names = sorted({row["user"] for row in rows})
    number = {name: k for k, name in enumerate(names)}
    columns: dict[str, Any] = {
        name: np.round(np.array([float(row[key]) for row in rows]) * scale) for name, (key, scale) in COLUMNS.items()
    }
    received_s = np.floor([float(row["write_ts"]) for row in rows])
    return Fixes.of(names, device=[number[row["user"]] for row in rows], received_s=received_s, **columns)


@pytest.fixture(scope="module")
def conditions(shared_data: Path) -> Conditions:
    """Discs about places where the phones' owners really stayed, some as exclusion, some as inclusion, and night curfews."""
    dwells = [
        row for row in read_rows(shared_data / "phones_saopaulo" / "dwell_drift_windows.csv") if float(row["err50_m"]) < 100
    ]
    dwells.sort(key=lambda row: -int(row["n_fixes"]))
    features, curfews = [], {}
    for k, row in enumerate(dwells[:40]):
        owner, place = row["user"], {"lat": float(row["lat"]), "lon": float(row["lon"]), "radius_m": 150}
        kind = "inclusion" if k % 7 == 0 else "exclusion"
        wearers = [owner] if kind == "inclusion" or k % 3 else "*"
        features.append(
            {
                "type": "Feature", "properties": {"id": f"z{k}", "kind": kind, "wearers": wearers, "radius_m": 150},
                "geometry": {"type": "Point", "coordinates": [place["lon"], place["lat"]]},
            }
        )  # fmt: skip
        nights = [{"days": DAYS, "start": "21:00", "end": "06:00"}]
        curfews[owner] = {
            "id": f"c-{owner}", "wearer": owner, "place": place, "timezone": "America/Sao_Paulo", "weekly": nights,
            "grace_minutes": 15,
        }  # fmt: skip
    zones = read_zones({"type": "FeatureCollection", "features": features})
    return Conditions(zones, read_curfews(list(curfews.values())), plan=PHONES)


def text(alerts: list[Alert]) -> list[bytes]:
    return [to_json(alert) for alert in sorted(alerts, key=lambda a: a.sort_key)]


def present(monitor: Monitor, as_of_us: int) -> list[Alert]:
    return [alert for wearer in monitor.trails for alert in monitor.alerts(wearer, as_of_us)[0]]


def test_duplicates_on_the_grid_are_one_more_than_in_the_text(rows: list[dict[str, str]], fixes: Fixes) -> None:
    """49,866 fixes. 363 repeat another in every field of its text but the time of writing. On the grid of 1e-7 degree there
    is one more: two texts of one fix whose position differs beyond the seventh decimal only."""
    assert len(rows) == 49_866
    keys = ("user", "ts", *(key for key, _ in COLUMNS.values() if key != "ts"))
    in_text = Counter(tuple(row[key] for key in keys) for row in rows)
    on_grid: dict[tuple[int, ...], set[tuple[str, ...]]] = {}
    columns = [fixes.column(name).tolist() for name in ("device", "time_us", *CONTENT)]
    for row, key in zip(rows, zip(*columns, strict=True), strict=True):
        on_grid.setdefault(key, set()).add(tuple(row[k] for k in keys))
    assert len(rows) - len(in_text) == 363
    assert len(rows) - len(on_grid) == 364
    (pair,) = (texts for texts in on_grid.values() if len(texts) > 1)
    differ = [k for k, values in zip(keys, zip(*pair, strict=True), strict=True) if len(set(values)) > 1]
    assert set(differ) <= {"lat", "lon"}


@pytest.mark.parametrize("seed", [0, 1])
def test_random_batches_in_the_real_order_of_arrival_give_the_replay(
    fixes: Fixes, conditions: Conditions, seed: int
) -> None:
    as_of_us = int(fixes.time_us.max())
    in_time = fixes.take(np.argsort(fixes.time_us, kind="stable"))
    expected = replay(in_time, conditions, as_of_us)
    assert expected.n_duplicates == 364
    assert expected.n_fixes == 49_866 - 364
    rules = Counter(alert.rule for alert in expected.alerts)
    assert len(expected.alerts) > 300
    assert {"zone.exclusion", "zone.inclusion", "curfew.unverified", "curfew.absent", "curfew.late"} <= set(rules)
    rng = np.random.default_rng(seed)
    order = np.argsort(fixes.received_s, kind="stable")
    if seed:  # the same once more with whole weeks held back
        week = (fixes.received_s // (7 * 86_400))[order]
        order = order[np.argsort(rng.permutation(int(week.max()) + 1)[week], kind="stable")]
    monitor, start, n_duplicates = Monitor(conditions), 0, 0
    while start < len(order):
        n = int(rng.integers(1, 500))
        n_duplicates += monitor.take(fixes.take(order[start : start + n]), as_of_us).n_duplicates
        start += n
        if rng.random() < 0.05:
            present(monitor, as_of_us)
    assert n_duplicates == 364
    assert text(present(monitor, as_of_us)) == [to_json(alert) for alert in expected.alerts]


def test_the_ledger_at_an_earlier_instant_is_that_of_the_fixes_until_then(fixes: Fixes, conditions: Conditions) -> None:
    as_of_us = int(np.quantile(fixes.time_us, 0.4))
    expected = replay(fixes, conditions, as_of_us)
    assert expected.n_after == np.count_nonzero(fixes.time_us > as_of_us)
    monitor = Monitor(conditions)
    monitor.take(fixes, as_of_us)
    assert text(present(monitor, as_of_us)) == [to_json(alert) for alert in expected.alerts]
