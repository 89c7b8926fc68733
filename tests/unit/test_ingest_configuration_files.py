import json
from pathlib import Path

import pytest

from engine.activations import FOREVER_US
from engine.errors import InputError
from ingest.activation_files import read_activations
from ingest.event_files import read_events
from ingest.fault import Fault
from ingest.wearer_files import read_wearers


def file(folder: Path, text: str) -> Path:
    path = folder / "file"
    path.write_text(text, encoding="utf-8")
    return path


def test_events_csv_and_json_are_the_same(tmp_path: Path) -> None:
    csv = file(tmp_path, "event,device,time,value\nbattery,a,2026-03-29T01:30:00Z,15\nstrap_tamper,b,1774747800.5,\n")
    from_csv = read_events(csv)
    entries = [{"device": "a", "time": "2026-03-29T01:30:00Z", "event": "battery", "value": 15},
               {"device": "b", "time": 1774747800.5, "event": "strap_tamper"}]  # fmt: skip
    assert from_csv == read_events(file(tmp_path, json.dumps(entries)))
    assert from_csv == read_events(file(tmp_path, "\n".join(json.dumps(entry) for entry in entries)))
    assert [(event.kind, event.value, event.received_s) for event in from_csv] == [
        ("battery", "15", 1774747800), ("strap_tamper", "", 1774747800)]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("a,2026-03-29T01:30:00Z,explosion,", r"row 2 \(line 3\): event is 'explosion'"),
        ("a,2026-03-29T01:30:00,motion,", "time is .*has no zone"),
        (",2026-03-29T01:30:00Z,motion,", "device is missing"),
        ("a,2026-03-29T01:30:00Z,battery,150", "value is '150'.*percentage"),
        ("a,2026-03-29T01:30:00Z,battery,", "value is missing"),
        ("a,b", "has 2 fields"),
    ],
)
def test_event_faults(tmp_path: Path, line: str, wanted: str) -> None:
    path = file(tmp_path, f"device,time,event,value\na,1774747800,motion,\n{line}\n")
    with pytest.raises(InputError, match=wanted):
        read_events(path)
    told: list[Fault] = []
    assert len(read_events(path, on_fault=told.append)) == 1
    assert len(told) == 1


@pytest.mark.parametrize(
    "text", ["", "[1]", "[{]", '{"device": "a", "device": "b"}', "device,time\n", '[{"device": 5}]', "[]]"]
)
def test_event_files_that_are_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="file"):
        read_events(file(tmp_path, text))


ACTIVATIONS = "device,wearer,from,to,percentile,fix_interval_s\n"


def test_activations(tmp_path: Path) -> None:
    text = ACTIVATIONS + "a,w1,2026-01-01T00:00:00Z,2026-02-01T00:00:00Z,0.68,30\na,w2,2026-02-01T00:00:00Z,,,\n"
    rows = read_activations(file(tmp_path, text)).rows
    assert [(row.wearer, row.percentile, row.fix_interval_s, row.grace_s) for row in rows] == [
        ("w1", 0.68, 30, 300), ("w2", 0.95, 60, 300)]  # fmt: skip
    assert rows[1].to_us == FOREVER_US


@pytest.mark.parametrize(("line", "wanted"), [
    ("a,w,2026-01-01T00:00:00Z,2025-01-01T00:00:00Z,,", r"row 1 \(line 2\): to is .*later than"),
    ("a,w,2026-01-01T00:00:00Z,,1,", "percentile is '1'"), ("a,w,2026-01-01T00:00:00Z,,nan,", "percentile is 'nan'"),
    ("a,w,2026-01-01T00:00:00Z,,x,", "not a number"), ("a,w,2026-01-01T00:00:00Z,,,0", "fix_interval_s is '0'"),
    ("a,w,2026-01-01T00:00:00Z,,,1.5", "whole seconds"), ("a,w,2026-01-01T00:00:00Z,,,inf", "whole seconds"),
    ("a,,2026-01-01T00:00:00Z,,,", "wearer"), ("a,w,,,,", "from is missing"), ("a,w,2026-01-01,,,", "from is '2026-01-01'"),
    ("a,w,2026-01-01T00:00:00Z,,,\na,v,2026-01-02T00:00:00Z,,,", "device a is on w and on v"),
])  # fmt: skip
def test_activation_faults(tmp_path: Path, line: str, wanted: str) -> None:
    with pytest.raises(InputError, match=wanted):
        read_activations(file(tmp_path, ACTIVATIONS + line + "\n"))


def test_wearers(tmp_path: Path) -> None:
    header = "wearer,name,cohort,scheme,force,basis,team\n"
    wearers = read_wearers(file(tmp_path, header + 'w1,"Doe, Jo",Fixed,s,f,court order,t\nw2,,,,,,\n'))
    assert wearers[0] == ("w1", "Doe, Jo", "fixed", "s", "f", "court order", "t")
    assert wearers[1].cohort == ""
    for line, wanted in (("w1,,purple,,,,", "cohort is 'purple'"), ("w1,,,,,x,", "basis"), (",,,,,,", "wearer"),
                         ("w1,,,,,,\nw1,,,,,,", "row 2 .*comes twice")):  # fmt: skip
        with pytest.raises(InputError, match=wanted):
            read_wearers(file(tmp_path, header + line + "\n"))
