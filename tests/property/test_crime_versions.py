"""Versions of crimes: they follow the order of imports, and what comes again as it was adds none."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from crime_match.crimes.crime import Crime
from crime_match.crimes.store import GROUPS, Key, Version, changes, compare, key_of

FIRST = Crime("MPS", "R1", "BIAD", 1_000_000, 2_000_000, 51.5, -0.1)
CHANGES: dict[str, st.SearchStrategy[object]] = {
    "type": st.sampled_from(["BIAD", "RB"]), "from_us": st.sampled_from([0, 1_000_000]),
    "to_us": st.sampled_from([2_000_000, 3_000_000]), "lat": st.sampled_from([51.5, 51.500000000000007]),
    "lon": st.sampled_from([-0.1, 0.1]), "uncertainty_m": st.sampled_from([0.0, 50.0]), "text": st.sampled_from(["", "x"]),
    "batch": st.sampled_from(["", "MPS20250101", "MPS20250102"]), "easting_m": st.sampled_from([None, 530000.0]),
    "northing_m": st.sampled_from([None, 180000.0]),
}  # fmt: skip


@st.composite
def crimes(draw: st.DrawFn) -> Crime:
    """One of three crimes, as one of several reports of it."""
    named = replace(FIRST, force=draw(st.sampled_from(["MPS", "KNT"])), reference=draw(st.sampled_from(["R1", "R2"])))
    return replace(named, **{name: draw(values) for name, values in CHANGES.items()})  # type: ignore[arg-type]


files = st.lists(crimes(), max_size=8)
distinct_files = st.lists(crimes(), max_size=4, unique_by=key_of)


def test_every_field_but_names_and_batch_belongs_to_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted({f.name for f in fields(Crime)} - {"force", "reference", "batch"})


@given(crimes(), crimes())
def test_changes_name_the_groups_in_which_two_reports_differ(one: Crime, other: Crime) -> None:
    assert changes(one, other) == changes(other, one)
    assert changes(one, one) == ()
    told = {group for group, names in GROUPS.items() for name in names if getattr(one, name) != getattr(other, name)}
    assert set(changes(one, other)) == told


@given(files, files)
def test_two_files_give_the_versions_of_one_that_holds_both_in_their_order(first: list[Crime], second: list[Crime]) -> None:
    apart: dict[Key, Version] = {}
    together: dict[Key, Version] = {}
    versions = compare(first, apart)[0] + compare(second, apart)[0]
    assert versions == compare([*first, *second], together)[0]
    assert apart == together


@given(st.lists(files, max_size=4))
def test_versions_count_up_and_each_says_what_changed(batches: list[list[Crime]]) -> None:
    held: dict[Key, Version] = {}
    versions = [version for batch in batches for version in compare(batch, held)[0]]
    for key in {key_of(crime) for batch in batches for crime in batch}:
        chain = [version for version in versions if key_of(version.crime) == key]
        assert [version.version for version in chain] == list(range(1, len(chain) + 1))
        assert chain[0].changed == ()
        for before, after in pairwise(chain):
            assert after.changed == changes(before.crime, after.crime) != ()
        reports = [crime for batch in batches for crime in batch if key_of(crime) == key]
        assert changes(held[key].crime, reports[-1]) == ()
        assert len(chain) == 1 + sum(changes(a, b) != () for a, b in pairwise(reports))


@given(files, distinct_files)
def test_a_file_that_comes_again_adds_no_version_and_is_noted(before: list[Crime], file: list[Crime]) -> None:
    held: dict[Key, Version] = {}
    compare(before, held)
    compare(file, held)
    as_it_was = dict(held)
    new, again = compare(file, held)
    assert new == []
    assert held == as_it_was
    assert again == {(*key_of(crime), held[key_of(crime)].version): crime.batch for crime in file}
