"""What near and match are asked with, and the bar that shows how far they are."""

import io
import sys

import numpy as np
import pytest

from engine.errors import InputError
from engine.fixes import Fixes
from tagwatch.cli.asking import VERDICTS, pad_us, verdicts_of
from tagwatch.cli.progress import progress
from tagwatch.cli.trails import tell_cut_times


def test_verdicts_are_listed_in_one_order_whatever_was_typed():
    assert verdicts_of(None) == VERDICTS
    assert verdicts_of("possible, placed,possible") == ("placed", "possible")
    for wrong in ("", "place", "placed,", "PLACED"):
        with pytest.raises(InputError, match="placed, possible, excluded, unmonitored"):
            verdicts_of(wrong)


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("90s", 90), ("1h", 3600), ("10", 600), ("0", 0), ("0.5m", 30), ("24h", 86_400)]
)
def test_a_length_of_time(text, seconds):
    assert pad_us(text) == seconds * 1_000_000


@pytest.mark.parametrize("text", ["", "m", "-1m", "25h", "ten", "nan", "infm", "1d"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(InputError, match="--pad"):
        pad_us(text)


class Screen(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, patience_s, out="file", **streams):
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr("tagwatch.cli.progress.PATIENCE_S", patience_s)
    monkeypatch.setenv("TERM", "xterm")
    with progress(3, "matching", out) as tell:
        for n in (1, 2, 3):
            if tell:
                tell(n)
    return tell is not None, streams["stderr"].getvalue()


def test_a_bar_is_drawn_where_a_person_looks_and_only_when_it_takes_long(monkeypatch):
    drawn, text = shown(monkeypatch, -1.0, stderr=Screen())
    assert drawn
    assert "matching" in text
    assert "3/3" in text
    assert shown(monkeypatch, 60.0, stderr=Screen()) == (True, "")
    assert shown(monkeypatch, -1.0, stderr=io.StringIO()) == (False, "")
    assert shown(monkeypatch, -1.0, out=None, stderr=Screen(), stdout=Screen()) == (False, "")


def test_whole_minutes_all_along_are_told_of(capsys):
    n = 30
    times = np.arange(n) * 60_000_000
    fixes = Fixes.of(
        ("cut", "whole"), device=np.repeat([0, 1], n), time_us=np.concatenate([times, times + 1_000_000]),
        lat_e7=np.zeros(2 * n), lon_e7=np.zeros(2 * n),
    )  # fmt: skip
    tell_cut_times(fixes)
    assert "all fixes of cut lie on whole minutes" in capsys.readouterr().err
    tell_cut_times(fixes.take(fixes.device == 1))
    tell_cut_times(fixes.take(slice(0, 5)))
    assert capsys.readouterr().err == ""
