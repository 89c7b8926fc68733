"""Forms of the console as a browser, or anybody, sends them: conditions, teams, wearers, activations, and `near`."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any
from urllib.parse import parse_qs, urlencode

from engine.errors import InputError
from tagwatch.console.administrators.forms import activation, curfew, proximity, team, wearer, zone
from tagwatch.console.administrators.forms.parts import FormError
from tagwatch.console.administrators.typed import Typed, renumbered
from tagwatch.console.investigators.near_form import read_form
from tests.fuzz.target import Target, require
from tests.fuzz.targets.conditions import KNOWN

_FORMS: dict[str, Any] = {
    "activation": activation,
    "curfew": curfew,
    "proximity": proximity,
    "team": team,
    "wearer": wearer,
    "zone": zone,
}
_WEEKLY = {"weekly.0.days": ["mon", "tue"], "weekly.0.start": "19:00", "weekly.0.end": "7:00", "timezone": "Europe/London",
           "exceptions.0.from": "2026-11-22T18:00", "exceptions.0.to": "2026-11-23T09:00", "exceptions.0.kind": "authorised",
           "exceptions.0.reason": "work", "valid_from": "2026-01-01", "valid_to": "2026-12-31"}  # fmt: skip
_FILLED: dict[str, dict[str, Any]] = {
    "activation": {"device": "T1", "wearer": "W1", "from": "2026-11-01T00:00", "to": "", "percentile": "0.95", "fix_interval_s": "60"},
    "curfew": {"id": "C1", "wearer": "W1", "name": "n", "places.0.lat": "51.5", "places.0.lon": "-0.1", "places.0.radius_m": "100",
               "places.0.centre": "51.5, -0.1", "places.1.zone": "Z1", "grace_minutes": "5", **_WEEKLY},
    "proximity": {"id": "P1", "wearer": "W1", "protected": "V1", "radius_m": "500", "stale_minutes": "10", "grade": "high", **_WEEKLY},
    "team": {"id": "A", "timezone": "Europe/London", "members.0.name": "Sam", "members.0.role": "police_manager",
             "members.0.channels": "mailto:sam@example.org", "members.0.grades": ["critical"], "members.0.hours": "Mo-Fr 08:00-18:00"},
    "wearer": {"wearer": "W1", "name": "Ann", "cohort": "fixed", "basis": "bail", "team": "A"},
    "zone": {"id": "Z1", "kind": "exclusion", "wearers": "W1", "shape": "polygon", "corners": "51.5, -0.1\n51.5, -0.09\n51.51, -0.1",
             "buffer_m": "50", "geometry": '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}', "centre": "51.5, -0.1",
             "radius_m": "100", **_WEEKLY},
}  # fmt: skip
_NEAR = {"lat": "51.5", "lon": "-0.12", "place": "", "uncertainty": "5", "from": "27/02/2026 19:30", "to": "27/02/2026 20:30",
         "timezone": "Europe/London", "radius": "100", "pad": "10", "max_speed": "55", "min_fixes": "1", "reason": "r", "case_ref": "c"}  # fmt: skip


def _seeds() -> list[bytes]:
    found = [f"{name}\n{urlencode(fields, doseq=True)}".encode() for name, fields in _FILLED.items()]
    for shape in ("circle", "geojson"):
        found.append(f"zone\n{urlencode({**_FILLED['zone'], 'shape': shape}, doseq=True)}".encode())
    return found


def _form(data: bytes) -> Hashable:
    name, _, query = data.decode("utf-8", "replace").partition("\n")
    form = _FORMS.get(name)
    if form is None:
        raise InputError("no form")
    typed = Typed(parse_qs(query, keep_blank_values=True, max_num_fields=None))
    renumbered(typed, "weekly", drop=0, more=True)
    key, content = form.read(typed, None, KNOWN)
    require(isinstance(key, str) and bool(key), "an entry without an identifier")
    form.fill(content)
    return name, len(content)


def _near(data: bytes) -> Hashable:
    texts = {key: values[0] for key, values in parse_qs(data.decode("utf-8", "replace"), keep_blank_values=True).items()}
    asked, faults = read_form(texts)
    require((asked is None) == bool(faults), "refused without a fault")
    if asked is None:
        raise InputError(next(iter(faults.items()))[0])
    require(asked.question.from_us <= asked.question.to_us, "a window that ends before it begins")
    return bool(asked.note)


_SIGNS = (
    b"&",
    b"=",
    b"%00",
    b"%ED%A0%80",
    b"weekly.999.start=",
    b"exceptions.1.from=",
    b"members.0.",
    b"shape=geojson&geometry=",
)

TARGETS = (
    Target("forms", _form, _seeds, (), _SIGNS, refusals=(FormError,), share=0.7),
    Target(
        "near_form",
        _near,
        lambda: [urlencode(_NEAR).encode(), urlencode({**_NEAR, "lat": "", "lon": "", "place": "SK 97 71"}).encode()],
        (),
        _SIGNS,
    ),
)
