"""Binary COPY in columns: there and back, against PostgreSQL itself, and torn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from psycopg import sql

from engine.database import Connection, connect
from engine.errors import StoreError
from engine.store.image import HEADER, NULL, TRAILER, copy_in, copy_out, image_of, rows_in
from tests.integration.store_world import fresh_database, server_of

TYPES = {2: "smallint", 4: "integer", 8: "bigint"}
Table = tuple[list[int], NDArray[np.int64]]


def columns(width: int, n: int) -> st.SearchStrategy[list[int]]:
    most = 2 ** (8 * width - 1)
    edges = st.sampled_from([-most + 1, -1, 0, 1, 255, 256, most - 1, -most if width < 8 else -most + 1])
    return st.lists(st.one_of(st.just(NULL), edges, st.integers(-most + 1, most - 1)), min_size=n, max_size=n)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    widths = draw(st.lists(st.sampled_from([2, 4, 8]), min_size=1, max_size=5))
    n = draw(st.integers(0, 12))
    return widths, np.array([draw(columns(width, n)) for width in widths], np.int64).reshape(len(widths), n)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with (
        server_of("plain", tmp_path_factory.mktemp("postgres")) as server, fresh_database(server) as url,
        connect(url) as found,
    ):  # fmt: skip
        yield found


@given(table=tables())
def test_there_and_back(table: Table) -> None:
    widths, rows = table
    image = bytes(image_of(rows, widths))
    assert np.array_equal(rows_in(image + TRAILER, len(widths)), rows)


@given(table=tables(), data=st.data())
def test_a_torn_image_is_refused(table: Table, data: st.DataObject) -> None:
    widths, rows = table
    image = bytes(image_of(rows, widths)) + TRAILER
    cut = data.draw(st.integers(0, len(image) - 1))
    with pytest.raises(StoreError, match="cannot be read"):
        rows_in(image[:cut], len(widths))
    if rows.shape[1]:
        with pytest.raises(StoreError, match="cannot be read"):
            rows_in(image, len(widths) + 1)


@settings(max_examples=40)
@given(table=tables(), parts=st.integers(1, 5))
def test_postgresql_takes_and_gives_the_same(connection: Connection, table: Table, parts: int) -> None:
    widths, rows = table
    names = [f"c{k}" for k in range(len(widths))]
    ordered = sql.SQL("SELECT {} FROM t ORDER BY n").format(sql.SQL(", ").join(map(sql.Identifier, names)))
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        fields = ", ".join(f"{name} {TYPES[width]}" for name, width in zip(names, widths, strict=True))
        cursor.execute(f"CREATE TEMP TABLE t ({fields}, n integer)".encode())
        numbered = np.vstack([rows, np.arange(rows.shape[1])])
        copy_in(cursor, "t", [*names, "n"], [*widths, 4], np.array_split(numbered, parts, axis=1))
        told = [[None if v == NULL else v for v in row] for row in rows.T.tolist()]
        assert [list(row) for row in cursor.execute(ordered).fetchall()] == told
        assert np.array_equal(copy_out(cursor, ordered, [], len(widths)), rows)
        with cursor.copy(sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(ordered)) as copy:
            theirs = b"".join(bytes(block) for block in copy)
        assert theirs == HEADER + bytes(image_of(rows, widths)) + TRAILER


def test_a_query_of_other_columns_is_refused(connection: Connection) -> None:
    with connection.transaction(force_rollback=True), connection.cursor() as cursor, pytest.raises(StoreError):
        copy_out(cursor, sql.SQL("SELECT 1::bigint, 2::bigint"), [], 3)


def test_a_part_that_cannot_be_made_leaves_nothing(connection: Connection) -> None:
    def parts() -> Iterator[NDArray[np.int64]]:
        yield np.zeros((1, 5), np.int64)
        raise ValueError("torn")

    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE t (a integer)")
        with pytest.raises(ValueError, match="torn"), connection.transaction():
            copy_in(cursor, "t", ["a"], [4], parts())
        assert cursor.execute("SELECT count(*) FROM t").fetchone() == (0,)
