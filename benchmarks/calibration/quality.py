"""Quality of in and out beside what others do: false alarms a wearer-day against the delay of detection.

`python -m benchmarks.calibration.quality` prints the tables, writes benchmarks/results/quality.json and docs/quality.svg.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.calibration import picture, rivals
from benchmarks.calibration.absences import absences
from benchmarks.calibration.nights import Nights, nights
from benchmarks.calibration.posterior import reliability
from benchmarks.calibration.rivals import Alarm
from benchmarks.calibration.stays import Stay, beside, phone_stays, receiver_stays, trails_of
from benchmarks.calibration.visits import Errors, Scene, Visit, draw_scene
from benchmarks.rounds import machine
from engine.trail import Trail
from geofence.check import FilterSettings
from geofence.episodes import episodes
from geofence.filter import IN, SINGLE
from geofence.watch import Watch
from geofence.zone import Circle, Zone

ROOT = Path(__file__).resolve().parents[2]
THRESHOLDS = (0.6, 0.7, 0.8, 0.9, 0.95, 0.97)
MEMORIES_S = (0.0, 180.0, 600.0)
_HEAD = ("rule", "memory s", "fix s", "false/day", "delay 50 %", "90 %", "missed", "other found")
MERGE_GAP_US = 1_800_000_000
SEED, N_DAYS, TOWNS = 77, 800, (3, 8, 11, 12, 13)
GAPS_M, BESIDE_RADIUS_M, N_BESIDE = (20.0, 50.0, 100.0), 100.0, 8


class Score(NamedTuple):
    """One rule over one scene: false alarms, wearer-days; deep visits, those missed, delay of half and of 90 % of them [s];
    the others (short or shallow) and how many of them were found."""

    rule: str
    memory_s: float
    interval_s: float
    n_false: int
    days: float
    n_deep: int
    n_missed: int
    median_s: float
    most_s: float
    n_other: int
    n_other_found: int

    @property
    def false_a_day(self) -> float:
        """False alarms per wearer-day."""
        return self.n_false / self.days


def false_alarms(alarms: Iterable[Alarm], visits: Sequence[Visit]) -> int:
    """Alarms less than half an hour apart are one; one that overlaps no true presence is false."""
    true: dict[int, list[Visit]] = {}
    for visit in visits:
        true.setdefault(visit.wearer, []).append(visit)
    groups: list[list[Alarm]] = []
    for alarm in sorted(alarms, key=lambda a: (a.wearer, a.began_us)):
        last = groups[-1] if groups else []
        near = last and last[0].wearer == alarm.wearer and alarm.began_us - max(a.ended_us for a in last) < MERGE_GAP_US
        if near:
            last.append(alarm)
        else:
            groups.append([alarm])
    return sum(not any(_meet(a, v) for a in group for v in true.get(a.wearer, [])) for group in groups)


def delays_s(alarms: Iterable[Alarm], visits: Sequence[Visit]) -> list[float]:
    """For each visit from its true beginning to the alarm, inf where there was none, 0 where the alarm stood already."""
    raised: dict[int, list[Alarm]] = {}
    for alarm in alarms:
        raised.setdefault(alarm.wearer, []).append(alarm)
    each = ([max(0, a.raised_us - v.entered_us) * 1e-6 for a in raised.get(v.wearer, []) if _meet(a, v)] for v in visits)
    return [min(found, default=np.inf) for found in each]


def _meet(alarm: Alarm, visit: Visit) -> bool:
    return alarm.began_us <= visit.left_us and visit.entered_us <= alarm.ended_us


def score(rule: str, errors: Errors, scene: Scene, alarms: Sequence[Alarm]) -> Score:
    """The alarms of a rule against the truth of their scene."""
    deep = np.sort(delays_s(alarms, [v for v in scene.visits if v.deep]))
    other = np.array(delays_s(alarms, [v for v in scene.visits if not v.deep]))
    return Score(
        rule, errors.memory_s, errors.interval_s, false_alarms(alarms, scene.visits), scene.wearer_days, len(deep),
        int(np.isinf(deep).sum()), float(deep[len(deep) // 2]), float(deep[len(deep) * 9 // 10]), len(other),
        int(np.isfinite(other).sum()),
    )  # fmt: skip


def our_alarms(trails: Sequence[Trail], zones: Sequence[Zone], raise_at: float) -> list[Alarm]:
    """The alarms of the product's own watch, at the fixes that decided them."""
    watch = Watch(zones, [], FilterSettings(raise_at=raise_at))
    watch.feed(trails, [0] * len(trails))
    return [alarm for trail in trails for alarm in _alarms_of(watch, trail)]


def _alarms_of(watch: Watch, trail: Trail) -> Iterator[Alarm]:
    """Alarms of one zone are those of one wearer: their number is the zone's place."""
    times = trail.column("time_us")
    for slot in watch.slots(trail.wearer):
        wearer = slot.subject.place
        for e in episodes(slot, trail, watch, int(times[-1])):
            if e.state in (IN, SINGLE):
                waits_us = int(trail.column("silence_us")[e.decided_row]) if e.state == SINGLE else 0
                yield Alarm(wearer, int(times[e.decided_row]) + waits_us, e.start_us, min(e.end_us, int(times[-1])))


def scores(errors: Errors, n_days: int, seed: int = SEED, thresholds: Sequence[float] = THRESHOLDS) -> list[Score]:
    """All rules over one scene; the last of the others knows the truth and is the limit of any rule of two fixes."""
    scene = draw_scene(seed, n_days, errors)
    times, radius_m = scene.fixes.time_us, scene.fixes.accuracy_cm / 100.0
    hits = np.concatenate([rivals.inside_zone(z, scene.fixes.take(_of(scene, k))) for k, z in enumerate(scene.zones)])
    found = []
    for rule in (*rivals.RULES, rivals.SECOND, rivals.LIMIT):
        inside = scene.inside if rule is rivals.LIMIT else hits
        pieces = [(k, _of(scene, k)) for k in range(len(scene.zones))]
        alarms = [a for k, w in pieces for a in rule.alarms(k, times[w], inside[w], radius_m[w])]
        found.append(score(rule.name, errors, scene, alarms))
    trails = trails_of(scene.fixes)
    for raise_at in thresholds:
        found.append(score(f"(d) ours at {raise_at}", errors, scene, our_alarms(trails, scene.zones, raise_at)))
    return found


def _of(scene: Scene, wearer: int) -> slice:
    """The rows of a wearer: fixes are in order of wearer."""
    return slice(*np.searchsorted(scene.fixes.device, (wearer, wearer + 1)))


class Beside(NamedTuple):
    """False alarms of one rule for zones laid beside real stays, so many metres from edge to true place."""

    stays: str
    gap_m: float
    rule: str
    n_false: int
    days: float


def beside_stays(kind: str, stays: Sequence[Stay]) -> list[Beside]:
    """Eight discs about each stay, each watched for as long as the stay lasted."""
    found: list[Beside] = []
    for gap_m in GAPS_M if stays else ():
        zones = [zone for k, stay in enumerate(stays) for zone in _discs(k, stay, gap_m)]
        owner = [k for k, stay in enumerate(stays) for _ in range(N_BESIDE)]
        days = N_BESIDE * sum(stay.days for stay in stays)
        for rule in rivals.RULES:
            each = (
                _rival_beside(rule, n, zone, stays[k].trail) for n, (k, zone) in enumerate(zip(owner, zones, strict=True))
            )
            found.append(Beside(kind, gap_m, rule.name, false_alarms(itertools.chain.from_iterable(each), []), days))
        ours = our_alarms([stay.trail for stay in stays], zones, FilterSettings().raise_at)
        found.append(Beside(kind, gap_m, "(d) ours", false_alarms(ours, []), days))
    return found


def _discs(number: int, stay: Stay, gap_m: float) -> list[Zone]:
    centres = beside(stay, gap_m, BESIDE_RADIUS_M, N_BESIDE)
    circles = (Circle(round(lat * 1e7), round(lon * 1e7), BESIDE_RADIUS_M) for lat, lon in centres)
    return [Zone(f"{number}-{k}", "", "exclusion", (stay.trail.wearer,), circle, "") for k, circle in enumerate(circles)]


def _rival_beside(rule: rivals.Rule, wearer: int, zone: Zone, trail: Trail) -> list[Alarm]:
    fixes = trail.fixes((trail.wearer,))
    return rule.alarms(wearer, fixes.time_us, rivals.inside_zone(zone, fixes), trail.column("radius_m"))


def under_curfew(n: int = 120, seed: int = 79) -> list[Nights]:
    """Nights at home, then nights with an absence to 50, 100 and 200 m from the edge of home, in the open and indoors."""
    found = [nights(Errors(memory_s), 0.0, True, n, seed) for memory_s in MEMORIES_S]
    for gap_m in (50.0, 100.0, 200.0):
        found += [nights(Errors(180.0), gap_m, indoors, n, seed) for indoors in (False, True)]
    return found


def table(rows: Sequence[Score]) -> str:
    """The rows as text."""
    lines = ["{:28}{:>9}{:>6}{:>11}{:>11}{:>7}{:>12}{:>14}".format(*_HEAD)]
    for r in rows:
        lines.append(
            f"{r.rule:28}{r.memory_s:9.0f}{r.interval_s:6.0f}{r.false_a_day:11.4f}{r.median_s:11.0f}{r.most_s:7.0f}"
            f"{r.n_missed:6} of {r.n_deep:<4}{r.n_other_found:6} of {r.n_other}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    started = time.perf_counter()
    rows: list[Score] = []
    for interval_s, n_days in ((60.0, N_DAYS), (30.0, N_DAYS // 4), (300.0, N_DAYS // 4)):
        for memory_s in MEMORIES_S:
            rows += (found := scores(Errors(memory_s, interval_s), n_days))
            print(table(found), flush=True)
    stays = beside_stays("phones", phone_stays()) + beside_stays("receivers", receiver_stays())
    for each in stays:
        print(f"{each.stays:10}{each.gap_m:4.0f} m  {each.rule:28}{each.n_false:6} in {each.days:.1f} days")
    if not stays:
        print("shared/data is not here: what rests on it is left out")
    home, towns = under_curfew(), absences(TOWNS)
    print("\n".join(map(str, home)), f"curfews of towns {TOWNS}: {towns}", sep="\n", flush=True)
    posterior = reliability()
    for row in posterior:
        print(f"{row.truth:24}{row.n_fixes:9,}{row.posterior:9.4f}{row.plain_normal:9.4f}{row.hard:9.4f}")
    results = {
        "machine": machine(), "rules": [{**r._asdict(), "false_a_day": r.false_a_day} for r in rows],
        "stays": [each._asdict() for each in stays], "posterior": [row._asdict() for row in posterior],
        "nights": [night._asdict() for night in home], "curfews": {"seeds": TOWNS, **towns._asdict()},
    }  # fmt: skip
    _write(results, picture.draw([r for r in rows if r.interval_s == 60.0]))
    print(f"{time.perf_counter() - started:.0f} s")


def _write(results: dict[str, object], drawn: str) -> None:
    (ROOT / "benchmarks/results").mkdir(exist_ok=True)
    text = json.dumps(results, indent=1).replace("Infinity", "null")
    (ROOT / "benchmarks/results/quality.json").write_text(text + "\n", "utf-8")
    (ROOT / "docs/quality.svg").write_text(drawn, "utf-8")


if __name__ == "__main__":
    main()
