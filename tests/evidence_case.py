"""Cases for tests of the evidence pack: a walk past a house, its match and its trail, all made up here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crime_match.crimes.crime import Crime
from crime_match.evidence.case import Case, Origin, Other, Person
from crime_match.question import Parameters
from engine.activations import Activation, Activations
from engine.fixes import SOURCES, Fixes
from engine.times import MINUTE_US, SECOND_US
from tagwatch.matching import match_crimes, run_of, trails_of

START_US = 1_781_560_800_000_000
"""2026-06-15T22:00:00Z, 23:00 in London."""
PLACE = (51.5, -0.12)
FILE = "a" * 64


def fixes(n=180, wearer="T1001", far_m=0.0):
    """One fix a minute for n minutes: towards the place, eight minutes there, and away again; a gap of 20 minutes, a mast
    fix, a fix that was thrown kilometres off, one without a circle."""
    minute = np.arange(n)
    apart_m = np.abs(minute - n // 2) * 60.0
    north_m = np.where(np.abs(minute - n // 2) <= 4, 15.0 * np.sin(minute), np.maximum(apart_m - 240.0, 0.0)) + far_m
    east_m = 10.0 * np.cos(1.7 * minute) + 0.3 * north_m
    accuracy_cm, source = np.full(n, 1200), np.full(n, SOURCES["gps"])
    mast, wild, bare = n // 2 + 12, n // 2 - 9, n // 2 - 15
    accuracy_cm[mast], source[mast] = 80_000, SOURCES["lbs"]
    north_m[wild] += 9_000.0
    accuracy_cm[bare] = -(2**31)
    keep = (minute < n // 2 + 30) | (minute > n // 2 + 50)
    time_us = START_US + minute * MINUTE_US + (minute % 3) * SECOND_US
    columns = {
        "time_us": time_us, "received_s": time_us // SECOND_US + 40, "accuracy_cm": accuracy_cm, "source": source,
        "lat_e7": np.rint((PLACE[0] + north_m / 111_250.0) * 1e7), "lon_e7": np.rint((PLACE[1] + east_m / 69_400.0) * 1e7),
        "speed_cms": np.full(n, 100), "course_cdeg": (minute * 100) % 36_000, "satellites": np.full(n, 9),
    }  # fmt: skip
    return Fixes.of((wearer,), device=np.zeros(int(keep.sum())), **{name: values[keep] for name, values in columns.items()})


def case(n=180, *, far_m=0.0, name="Alex Example", text="Rear window forced", reference="CR/1", **changes):
    """A wearer who is placed at a burglary of an hour (far_m=90000: excluded, 30000: possible); any field of Case may be changed."""
    middle_us = START_US + n // 2 * MINUTE_US
    window = middle_us - 30 * MINUTE_US, middle_us + 30 * MINUTE_US
    crime = Crime("METROPOLITAN", reference, "RB", *window, *PLACE, text=text, batch="MPS20260616")
    worn = Activations([Activation("T1001", "W1", START_US - 86_400 * SECOND_US)])
    trails = trails_of(fixes(n, far_m=far_m), worn)
    parameters = Parameters()
    [found] = list(match_crimes(trails, [crime], parameters))
    trail = trails[0]
    values = {
        "match": found.matches[0].record(), "crime": crime, "trail": trail, "run": run_of([crime], trails, parameters),
        "counts": {"placed": 2, "possible": 31, "excluded": 1_204, "unmonitored": 3},
        "others": [Other("weak", 64.2, 1)], "person": Person("W1", name, "METROPOLITAN", "acquisitive crime", "Sam Manager"),
        "origins": [Origin("trails.csv", FILE, k + 1) for k in range(len(trail.fixes))],
        "configuration": {"activations": "version 3, from 2026-06-01", "wearers": "version 1"},
        "software": {"tagwatch": "0.1.0", "numpy": np.__version__}, "timezone": "Europe/London",
        "dated_us": int(trail.fixes.received_s.max()) * SECOND_US,
    }  # fmt: skip
    return replace(Case(**values), **changes) if changes else Case(**values)


def hostile_case():
    """Names and texts that try to be markup, formulas, right-to-left, endless."""
    name = '=HYPERLINK("http://x")<b>#eval("1")*_`$x$</b> \u202eملاك\u202c @sum & "q"'
    return case(name=name, text='<script>alert(1)</script>\n#include "x"\t=1+1 ' + "x" * 10_000, reference='../CR"<1>&=cmd')
