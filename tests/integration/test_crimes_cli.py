"""`tagwatch crimes` and `tagwatch runs` as a user runs them: what they print where, and their exit codes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crime_match.crimes.store import batches, crimes, import_crimes
from crime_match.runs.store import Found, Line, record_making, record_run
from engine.database import Connection
from engine.times import SECOND_US
from tagwatch.cli.main import main

HEADER = "force,reference,type,from,to,lat,lon,uncertainty_m,text\n"
ROWS = (
    "Kent,R1,BIAD,2026-03-01T21:00:00Z,2026-03-01T23:30:00Z,51.27123,0.52345,50,back door\n"
    "Kent,R2,RB,2026-03-02T10:00:00Z,2026-03-02T10:30:00Z,51.28123,0.53345,50,\n"
    "Essex,R1,RB,2026-03-03T10:00:00Z,2026-03-03T10:30:00Z,51.73123,0.47345,50,\n"
)
GOOD = HEADER + ROWS
BAD_ROW = "Kent,R3,RB,2026-03-31T10:00:00Z,2026-03-02T10:30:00Z,151.2,0.53,-1,\n"
BATCH = (
    "Metropolitan,BIAD,Burglary,MPS20260301,M1,20260301210000,20260301233000,530001,180002,,,OSGB,door\n"
    "Metropolitan,XX,Burglary,MPS20260301,M2,20260231180000,20260301220000,,,51.5d,-0.12,WGS84,\n"
)
BACKGROUND = (
    "Crime ID,Month,Reported by,Falls within,Longitude,Latitude,Location,LSOA code,LSOA name,Crime type,"
    "Last outcome category,Context\n"
    "a1,2026-03,Kent Police,Kent Police,0.52,51.27,On or near High Street,E1,Maidstone 1A,Burglary,,\n"
    ",2026-03,Kent Police,Kent Police,0.52,51.27,On or near High Street,E1,Maidstone 1A,Anti-social behaviour,,\n"
    ",2026-03,Kent Police,Kent Police,0.52,51.27,On or near High Street,E1,Maidstone 1A,Anti-social behaviour,,\n"
)
RUN, OTHER_RUN = "ab" * 32, "ac" * 32
NOW_US = 1_800_000_000 * SECOND_US


class Terminal:
    """The command line in this process: exit code, standard output and standard error of each command."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._monkeypatch, self._capsys, self.folder = monkeypatch, capsys, folder

    def __call__(self, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["tagwatch", *words])
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *self._capsys.readouterr()

    def write(self, name: str, text: str | bytes) -> str:
        (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A folder without settings."""
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capsys, tmp_path)


@pytest.fixture
def tagwatch(bare: Terminal, url: str, connection: Connection) -> Terminal:
    """A folder whose settings name a database without crimes and runs."""
    connection.execute(
        "TRUNCATE crime_batch, crime_version, crime_seen_again, background_crime, run, run_crime, run_result, run_made CASCADE"
    )
    connection.commit()
    bare.write("tagwatch.toml", f'[database]\nurl = "{url}"\n')
    return bare


@pytest.fixture
def run(tagwatch: Terminal, connection: Connection) -> Terminal:
    """The same with three crimes, matched by one run."""
    tagwatch("crimes", "import", tagwatch.write("good.csv", GOOD))
    found = [
        Found("Kent", "R1", 1, {"placed": 1, "possible": 1, "excluded": 8},
              [Line("W1", "placed", "strong", '{"wearer": "W1",  "caf\u00e9": 1.50}'), Line("W2", "possible", None, "{}")]),
        Found("Kent", "R2", 1, {"excluded": 10}, []),
    ]  # fmt: skip
    parameters = {
        "radius_m": 100.0, "pad_us": 600_000_000, "max_speed_mps": 55.0, "verdicts": ["placed", "possible"],
        "compatible": False,
    }  # fmt: skip
    record_run(connection, RUN, "match-1", parameters, {"fixes": "cd" * 32, "n_fixes": 72_913, "wearers": 20}, found)
    record_making(connection, RUN, NOW_US, "kim", "daily")
    connection.commit()
    return tagwatch


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# --- import and check


def test_check_needs_no_database_and_tells_every_fault_of_a_row(bare: Terminal) -> None:
    code, out, err = bare("crimes", "import", bare.write("b.csv", BATCH), "--check")
    assert code == 1
    told = lines(out)
    assert [list(fault) for fault in told] == [["row", "code", "field", "value", "message"]] * 3
    assert [(f["row"], f["code"]) for f in told] == [
        (2, "INVALID_CRIME_TYPE"), (2, "INVALID_FROM_DATE_FORMAT"), (2, "INVALID_NUMBER")
    ]  # fmt: skip
    assert "b.csv (moj): 2 rows, 3 faults, 1 row left out" in err
    code, out, err = bare("crimes", "import", bare.write("good.csv", GOOD), "--check")
    assert (code, out) == (0, "")
    assert "good.csv (csv): 3 rows, no fault found" in err


def test_good_rows_are_stored_and_bad_ones_told(tagwatch: Terminal, connection: Connection) -> None:
    code, out, err = tagwatch("crimes", "import", tagwatch.write("b.csv", BATCH))
    assert (code, len(lines(out))) == (0, 3)
    assert "1 new, 0 changed, 0 as before" in err
    (version,) = crimes(connection)
    assert (version.crime.reference, version.crime.batch, version.crime.easting_m) == ("M1", "MPS20260301", 530001.0)
    (batch,) = batches(connection)
    file = batch.file
    assert (file.name, file.form, file.n_rows, file.n_refused, file.n_faults) == ("b.csv", "moj", 2, 1, 3)
    assert file.sha256 == hashlib.sha256(BATCH.encode()).hexdigest()


def test_a_file_of_which_nothing_can_be_taken_is_a_no(tagwatch: Terminal, connection: Connection) -> None:
    code, out, err = tagwatch("crimes", "import", tagwatch.write("bad.csv", HEADER + BAD_ROW))
    assert code == 1
    assert {fault["row"] for fault in lines(out)} == {1}
    assert "1 row left out" in err
    assert crimes(connection) == []
    assert [batch.file.n_refused for batch in batches(connection)] == [1]
    assert tagwatch("crimes", "import", tagwatch.write("none.csv", HEADER))[0] == 0


def test_many_hints_of_one_kind_do_not_bury_the_rest(bare: Terminal) -> None:
    row = "Kent,{},RB,2026-03-02T10:00:00Z,2026-03-02T10:00:00Z,51.28123,0.53345,50,\n"
    long = "Kent,long,RB,2026-03-01T10:00:00Z,2026-03-04T10:00:00Z,51.28123,0.53345,50,\n"
    code, out, err = bare(
        "crimes", "import", bare.write("h.csv", HEADER + "".join(map(row.format, range(30))) + long), "--check"
    )
    assert (code, out) == (0, "")
    told = [line for line in err.splitlines() if line.startswith("hint: ")]
    assert sum("one instant" in line for line in told) == 10
    assert any(line.startswith("hint: 20 more of this kind (") for line in told)
    assert any(line.startswith("hint: row 31, ") for line in told)


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_is_read_like_a_file(tagwatch: Terminal, connection: Connection, packed: bool) -> None:
    data = gzip.compress(GOOD.encode()) if packed else GOOD.encode()
    code, out, err = tagwatch("crimes", "import", "-", stdin=data)
    assert (code, out) == (0, "")
    assert "standard input (csv): 3 rows" in err
    assert batches(connection)[0].file.sha256 == hashlib.sha256(data).hexdigest()
    assert len(crimes(connection)) == 3


def test_the_same_file_again_changes_nothing_and_says_so(tagwatch: Terminal, connection: Connection) -> None:
    tagwatch("crimes", "import", tagwatch.write("good.csv", GOOD))
    before = crimes(connection)
    code, out, err = tagwatch("crimes", "import", "good.csv")
    assert (code, out) == (0, "")
    assert "this very file was imported before: import " in err
    assert "0 new, 0 changed, 3 as before" in err
    assert crimes(connection) == before


def test_wrong_use_is_one_line_and_exit_code_2(tagwatch: Terminal, bare: Terminal) -> None:
    for words, said in (
        (("crimes", "import", "none.csv"), "none.csv: cannot be read: No such file"),
        (("crimes", "import", tagwatch.write("good.csv", GOOD), "--format", "xml"), "--format is 'xml': expected one of moj, csv"),
        (("crimes", "import", tagwatch.write("x.csv", "a,b\n1,2\n")), "x.csv: not a file of crimes"),
        (("crimes", "list", "--from", "yesterday"), "option --from: time is 'yesterday'"),
        (("crimes", "list", "--to", "2026-02-30"), "option --to"),
        (("crimes", "list", "--config", "none.toml"), "none.toml"),
        (("runs", "show", "ff"), "run is 'ff': expected the beginning of an id that `runs list` shows"),
    ):  # fmt: skip
        code, out, err = tagwatch(*words)
        assert (code, out) == (2, ""), words
        assert said in err
        assert len(err.splitlines()) == 1


def test_published_crimes_are_background_told_by_their_content(tagwatch: Terminal, connection: Connection) -> None:
    code, out, err = tagwatch("crimes", "import", tagwatch.write("p.csv", BACKGROUND))
    assert (code, out) == (0, "")
    assert "p.csv (police-uk): 3 rows" in err
    assert "3 new, 0 known" in err
    assert "never matched" in err
    assert "0 new, 3 known" in tagwatch("crimes", "import", "p.csv", "--format", "police-uk")[2]
    assert crimes(connection) == []
    assert tagwatch("crimes", "import", "p.csv", "--format", "csv")[0] == 2
    code, out, err = tagwatch("crimes", "import", "p.csv", "--check", "--tz", "Europe/London")
    assert (code, out) == (0, "")
    assert "never matched" in err
    assert "--tz is not for files of data.police.uk" in err


def test_a_zone_for_the_batch_is_told_to_be_of_no_use_and_a_wrong_one_by_its_option(bare: Terminal) -> None:
    said = "--tz is not for a police batch: its times are UTC by its format"
    assert said in bare("crimes", "import", bare.write("b.csv", BATCH), "--check", "--tz", "Europe/London")[2]
    assert said not in bare("crimes", "import", "b.csv", "--check")[2]
    assert said not in bare("crimes", "import", bare.write("g.csv", GOOD), "--check", "--tz", "Europe/London")[2]
    for words in (
        ("crimes", "import", "g.csv", "--check"), ("crimes", "list"), ("crimes", "list", "--from", "2026-03-01"),
        ("near", "--lat", "51", "--lon", "0", "--from", "2026-03-01T10:00", "--to", "2026-03-01T11:00", "t.csv"),
    ):  # fmt: skip
        code, out, err = bare(*words, "--tz", "Mars")
        assert (code, out) == (2, ""), words
        assert err == "tagwatch: --tz is 'Mars': expected an IANA name such as Europe/London\n"


def test_a_look_up_does_not_wait_long_for_a_database_that_is_away(
    bare: Terminal, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    bare.write("tagwatch.toml", f'[database]\nurl = "postgresql://127.0.0.1:{free_port()}/none"\n')
    slept: list[float] = []
    monkeypatch.setattr("engine.database.time.sleep", slept.append)
    monkeypatch.setattr("engine.database.time.monotonic", lambda: sum(slept))
    near = ("near", "--lat", "51", "--lon", "0", "--from", "2026-03-01T10:00Z", "--to", "2026-03-01T11:00Z")
    for words in (("crimes", "list"), ("crimes", "show", "R1"), ("runs", "list"), ("runs", "show", "ab"), near):
        slept.clear()
        code, out, err = bare(*words)
        assert (code, out) == (3, ""), words
        assert "is not reachable after 3 s" in err
        assert sum(slept) == 3.0


# --- list and show


def test_list_shows_the_newest_first_and_what_is_asked_for(run: Terminal) -> None:
    code, out, err = run("crimes", "list")
    assert (code, err) == (0, "3 crimes\n")
    assert out.splitlines() == [
        "force  reference  type  window                       version  runs",
        "Essex  R1         RB    2026-03-03 10:00 to 10:30 Z  1",
        "Kent   R2         RB    2026-03-02 10:00 to 10:30 Z  1        1",
        "Kent   R1         BIAD  2026-03-01 21:00 to 23:30 Z  1        1",
    ]
    assert run("crimes", "list", "--most", "1")[2] == "1 of 3 crimes (--most N shows more)\n"
    for words, references in (
        (["--new"], ["R1"]), (["--new", "--force", "Kent"], []), (["--batch", "B1"], []),
        (["--force", "Kent"], ["R2", "R1"]), (["--from", "2026-03-02"], ["R1", "R2"]), (["--to", "2026-03-01"], ["R1"]),
        (["--from", "2026-03-01T23:30:00Z", "--to", "2026-03-02T10:00:00Z"], ["R2", "R1"]), (["--stale"], []),
        (["--to", "2026-03-02", "--tz", "Pacific/Kiritimati"], ["R1"]), (["--from", "2026-03-03T10:30:01Z"], []),
    ):  # fmt: skip
        found = lines(run("crimes", "list", "--json", *words)[1])
        assert [crime["reference"] for crime in found] == references, words


def test_a_run_without_any_fix_makes_no_crime_pass_for_matched(tagwatch: Terminal) -> None:
    tagwatch("crimes", "import", tagwatch.write("good.csv", GOOD))
    code, out, err = tagwatch("match", "--out", "found.jsonl")
    assert (code, out) == (0, "")
    assert "there is no fix in the database" in err
    assert "the run is not recorded: without fixes it answers nothing" in err
    assert tagwatch("runs", "list")[2] == "0 runs\n"
    assert tagwatch("crimes", "list", "--new")[2] == "3 crimes\n"


def test_list_as_json_has_every_field(run: Terminal) -> None:
    first = lines(run("crimes", "list", "--json", "--force", "Kent", "--to", "2026-03-01")[1])[0]
    assert list(first) == [
        "force", "reference", "version", "changed", "type", "from", "to", "lat", "lon", "uncertainty_m", "text", "batch",
        "easting_m", "northing_m", "import", "runs", "stale_runs",
    ]  # fmt: skip
    assert (first["from"], first["text"], first["runs"]) == ("2026-03-01T21:00:00.000Z", "back door", 1)


def test_show_tells_versions_changes_repetitions_and_runs(run: Terminal) -> None:
    run("crimes", "import", "good.csv")
    code, _, err = run(
        "crimes", "import", run.write("new.csv", GOOD.replace("back door", "front door").replace("51.27", "51.26"))
    )
    assert code == 0
    assert "1 run matched what has changed now" in err
    code, out, err = run("crimes", "show", "R1", "--force", "Kent")
    assert (code, err) == (0, "")
    for line in (
        "Kent R1, version 1", "Kent R1, version 2 (the latest)", "  location 51.261230, 0.523450 ± 50 m",
        "       was 51.271230, 0.523450 ± 50 m", "  text     front door", "       was back door",
    ):  # fmt: skip
        assert line in out.splitlines()
    assert out.count("the same again in import") == 1
    assert out.count("  window ") == 1
    assert out.splitlines()[-1].split() == [
        RUN[:12], "2027-01-15", "08:00:00Z", "kim", "1", "1", "1", "8", "0", "STALE:", "location,", "text"
    ]  # fmt: skip
    one, two = lines(run("crimes", "show", "R1", "--force", "Kent", "--json")[1])
    assert (one["latest"], one["file"], len(one["again"]), two["latest"], two["changed"]) == (  # type: ignore[arg-type]
        False, "good.csv", 1, True, ["location", "text"]
    )  # fmt: skip
    counts = {"placed": 1, "possible": 1, "excluded": 8, "unmonitored": 0}
    assert one["runs"] == [{"run": RUN, "stale": True, "changed": ["location", "text"], "counts": counts}]
    assert two["runs"] == []


def test_show_of_a_reference_that_two_forces_have_shows_both(run: Terminal) -> None:
    out = run("crimes", "show", "R1")[1]
    assert out.index("Essex R1, version 1") < out.index("Kent R1, version 1")
    assert "no run has matched it" in out
    code, out, err = run("crimes", "show", "R9", "--force", "Kent")
    assert (code, out, err) == (1, "", "tagwatch: there is no crime 'R9' of Kent\n")


def test_what_a_terminal_would_obey_is_not_printed(tagwatch: Terminal, connection: Connection) -> None:
    tagwatch("crimes", "import", tagwatch.write("good.csv", GOOD))
    odd = replace(crimes(connection)[0].crime, reference="R\x1b[2J", text="two\nlines")
    import_crimes(connection, [odd], batches(connection)[0].file, NOW_US)
    connection.commit()
    shown = tagwatch("crimes", "list")[1] + tagwatch("crimes", "show", "R\x1b[2J")[1]
    assert "\x1b" not in shown
    assert "two\\nlines" in shown


# --- runs


def test_runs_are_listed_with_who_made_them_and_what_is_stale(run: Terminal, connection: Connection) -> None:
    code, out, err = run("runs", "list")
    assert (code, err) == (0, "1 run\n")
    assert out.splitlines()[1].split() == [RUN[:12], "2027-01-15", "08:00:00Z", "kim", "2", "1", "1"]
    run("crimes", "import", run.write("new.csv", GOOD.replace("10:30", "10:40")))
    record_run(connection, OTHER_RUN, "match-1", {}, {}, [])
    connection.commit()
    first, second = lines(run("runs", "list", "--json")[1])
    assert (first["run"], first["stale_crimes"], first["crimes"], first["results"]) == (RUN, 1, 2, 2)
    assert first["made"] == [{"at": "2027-01-15T08:00:00.000Z", "by": "kim", "reason": "daily"}]
    assert (second["run"], second["made"]) == (OTHER_RUN, [])
    code, _, err = run("runs", "show", "a")
    assert code == 2
    assert "several begin so" in err


def test_show_marks_what_is_stale(run: Terminal) -> None:
    code, out, err = run("runs", "show", RUN[:3])
    assert (code, err) == (0, "2 crimes\n")
    assert "STALE" not in out
    assert "parameters  radius 100 m, pad 10 min, max speed 55 m/s, verdicts placed+possible, compatible no" in out
    assert "inputs      72,913 fixes, 20 wearers" in out
    assert f"sha256      fixes {'cd' * 32}" in out
    run("crimes", "import", run.write("new.csv", GOOD.replace("23:30", "23:40")))
    out = run("runs", "show", RUN)[1]
    assert "STALE       1 of 2 crimes have changed since: match them again" in out
    rows = [line.split() for line in out.splitlines()[-2:]]
    assert rows == [["Kent", "R1", "1", "1", "1", "8", "0", "STALE:", "window"], ["Kent", "R2", "1", "0", "0", "10", "0"]]
    head, crime = lines(run("runs", "show", RUN, "--json", "--stale")[1])
    assert (head["stale_crimes"], crime["crime"], crime["stale"], crime["changed"]) == (1, "R1", True, ["window"])
    out = run("runs", "show", RUN, "--results")[1]
    assert [line.split() for line in out.splitlines()[-2:]] == [
        ["Kent", "R1", "1", "W1", "placed", "strong", "STALE:", "window"],
        ["Kent", "R1", "1", "W2", "possible", "STALE:", "window"],
    ]


def test_results_come_back_byte_for_byte(run: Terminal) -> None:
    code, out, err = run("runs", "show", RUN, "--out", "out.jsonl")
    assert (code, out, err) == (0, "", "")
    written = '{"wearer": "W1",  "caf\u00e9": 1.50}\n{}\n'.encode()
    assert (run.folder / "out.jsonl").read_bytes() == written
    code, out, err = run("runs", "show", RUN, "--results", "--json")
    assert err == "2 results\n"
    results = out.splitlines()[1:]
    assert results[0].endswith('"match":{"wearer": "W1",  "caf\u00e9": 1.50}}')
    assert [json.loads(line)["wearer"] for line in results] == ["W1", "W2"]
    assert run("runs", "show", RUN, "--results", "--most", "1")[2] == "1 of 2 results (--most N shows more)\n"
    code, out, err = run("runs", "show", RUN, "--stale", "--out", "some.jsonl")
    assert (code, out, (run.folder / "some.jsonl").exists()) == (2, "", False)
    assert "--out writes all lines of the run" in err
