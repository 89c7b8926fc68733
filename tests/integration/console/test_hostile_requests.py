"""What attackers send to the console: connections that say nothing, bombs, paths that lead out, other origins, guesses."""

from __future__ import annotations

import io
import socket
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from engine.database import connect
from tagwatch.console import patience
from tagwatch.console.app import create_app
from tagwatch.console.body_bound import MOST_BYTES
from tagwatch.console.doors import local

HEAD = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@contextmanager
def spoken(address: str, first: bytes = b"") -> Iterator[socket.socket]:
    """A bare connection."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as made:
        if first:
            made.sendall(first)
        yield made


def is_closed_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        while connection.recv(4096):
            pass  # the rest of an answer
        return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def is_refused(connection: socket.socket, data: bytes) -> bool:
    time.sleep(0.05)
    try:
        connection.sendall(data)
    except OSError:
        return True
    return False


def test_who_says_nothing_or_too_little_is_left(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD_S", 0.4)
    monkeypatch.setattr(patience, "BODY_S", 0.4)
    begun = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 900\r\n\r\n"
    for first in (b"", b"GET /he", HEAD, begun, begun + b"login=x"):
        with spoken(address, first) as one:
            assert is_closed_within(one, 60), first
    with spoken(address) as one:  # byte by byte is no way to stay
        one.setblocking(False)
        assert any(is_refused(one, b"G") for _ in range(1_200))
    monkeypatch.setattr(patience, "HEAD_S", 4.0)  # enough for a first request on a slow machine
    with spoken(address, HEAD + b"\r\n") as one:  # ... and nor is it after a first request
        assert b"200 OK" in one.recv(4096)
        one.sendall(b"GET /")
        assert is_closed_within(one, 60)


def test_a_thousand_idle_connections_leave_room(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most that may be open is far below the number of files; those that say nothing make way for who speaks."""
    monkeypatch.setattr(patience, "MOST_CONNECTIONS", 40)
    monkeypatch.setattr(patience, "HEAD_S", 1.5)
    opened = []
    host, port = address.removeprefix("http://").split(":")
    try:
        for _ in range(300):
            opened.append(socket.create_connection((host, int(port)), timeout=60))
        end = time.monotonic() + 60
        while sum(is_closed_within(one, 0.02) for one in opened) < 300 - 40:
            assert time.monotonic() < end
        end = time.monotonic() + 60
        while True:
            try:
                assert httpx.get(f"{address}/health/live", trust_env=False, timeout=60).status_code == 200
                break
            except httpx.TransportError:
                assert time.monotonic() < end
                time.sleep(0.2)
    finally:
        for one in opened:
            one.close()


def test_a_stream_of_changes_is_not_cut_for_being_long(signed_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in("operator")
    monkeypatch.setattr(patience, "HEAD_S", 2.0)  # enough for the request itself on a slow machine
    with client.http.stream("GET", "/events", headers={"accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200
        time.sleep(4.0)
        assert not answer.is_closed
        assert answer.num_bytes_downloaded >= 0
    assert client.get("/account").status_code == 200


@pytest.mark.parametrize(
    "path", ["/crimes/import", "/configuration/zones/import", "/evidence/verify", "/sign-in", "/api/v1/crimes"]
)
def test_a_body_of_a_gigabyte_is_refused_before_it_is_read(address: str, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\nContent-Length: {10**9}\r\n\r\n"
    with spoken(address, head.encode()) as one:
        assert one.recv(64).startswith(b"HTTP/1.1 413")
    with spoken(address, head.replace(f"Content-Length: {10**9}", "Transfer-Encoding: chunked").encode()) as one:
        assert one.recv(64).startswith(b"HTTP/1.1 411")
    for lie in ("-1", "1e3", "٣", "1, 2"):
        with spoken(address, head.replace(str(10**9), lie).encode("utf-8")) as one:
            assert one.recv(64).startswith((b"HTTP/1.1 400", b"HTTP/1.1 413")), lie
    assert MOST_BYTES < 10**9


def test_a_zip_that_grows_is_no_pack_and_costs_no_memory(signed_in: Any) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as container:
        container.writestr("manifest.json", b" " * 300_000_000)
    assert bomb.tell() < 400_000
    client = signed_in("investigator")
    sent = {"file": ("pack.zip", bomb.getvalue(), "application/zip")}
    answer = client.http.post("/evidence/verify", data={"csrf": client.csrf}, files=sent)
    assert answer.status_code in (200, 422)
    assert "not" in answer.text.lower()


@pytest.mark.parametrize("kind", ["investigator", "administrator"])
@pytest.mark.parametrize(
    "name", ["../../x.csv", "a\r\nset-cookie: x=1", "<script>alert(1)</script>.csv", "=cmd|'/C calc'!A0"]
)
def test_a_file_may_be_called_as_somebody_likes(signed_in: Any, kind: str, name: str) -> None:
    client = signed_in(kind)
    path = {"investigator": "/crimes/import", "administrator": "/configuration/zones/import"}[kind]
    sent = {"file": (name, b"{not what it should be", "text/csv")}
    answer = client.http.post(path, data={"csrf": client.csrf}, files=sent, follow_redirects=True)
    assert answer.status_code in (200, 422)
    assert "<script>alert" not in answer.text
    assert "x=1" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("path", [
    "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/%2e%2e%2f%2e%2e%2fsettings.py",
    "/static//etc/passwd", "/static/%2fetc/passwd", "/static/..\\app.py", "/static/%00", "/static/parts/../../app.py",
    "/map/tiles/../../etc/passwd", "/map/tiles/1/2/%2e%2e%2f%2e%2e", "/map/base.pmtiles/../../../etc/passwd",
])  # fmt: skip
def test_no_path_leads_out(address: str, signed_in: Any, path: str) -> None:
    cookie = signed_in("investigator").http.cookies["tagwatch_session"]
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: tagwatch_session={cookie}\r\nConnection: close\r\n\r\n"
    with spoken(address, head.encode()) as one:
        answer = b""
        while part := one.recv(65536):
            answer += part
    assert int(answer[9:12]) in (400, 404, 422), answer[:200]
    assert b"root:" not in answer
    assert b"from __future__" not in answer


def test_headers_of_another_host_or_origin_are_of_no_use(address: str, signed_in: Any) -> None:
    client = signed_in("operator")
    for host in ("elsewhere.example", "127.0.0.1.elsewhere.example", "127.0.0.1@elsewhere.example", ""):
        assert client.get("/account", headers={"host": host}).status_code == 400, host
    answer = client.get("/account", headers={"x-forwarded-host": "elsewhere.example", "x-forwarded-proto": "https"})
    assert answer.status_code == 200
    assert "elsewhere" not in answer.text
    page = httpx.get(f"{address}/sign-in", trust_env=False, timeout=60)
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy  # no page of ours in somebody's frame
    assert "form-action 'self'" in policy
    assert "base-uri 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", [
    "//elsewhere.example", "/\\elsewhere.example", "\\\\elsewhere.example", "https:elsewhere.example", "javascript:alert(1)",
    "/\t/elsewhere.example", "/\n/elsewhere.example", "/%0d%0aset-cookie:x", "\u2028/elsewhere.example", "", " /x",
])  # fmt: skip
def test_no_way_back_leads_elsewhere(path: str) -> None:
    found = local(path)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isprintable()


def test_pages_about_people_are_kept_by_nobody(signed_in: Any) -> None:
    for login, paths in {
        "operator": ("/queue", "/account"), "investigator": ("/near", "/crimes", "/wearers"), "auditor": ("/audit", "/audit/export"),
        "administrator": ("/configuration", "/users"), "offender-manager": ("/wearers",),
    }.items():  # fmt: skip
        client = signed_in(login)
        for path in paths:
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["cache-control"] in ("no-store", "private, no-store"), path
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_login_that_does_not_exist_takes_as_long_as_one_that_does(address: str, url: str) -> None:
    """Not a matter of a stopwatch: for both, one password is hashed."""
    from tagwatch.access import passwords

    hashed = []
    original = passwords._HASHER.verify
    with connect(url) as connection, pytest.MonkeyPatch.context() as patch:
        from tagwatch.access import accounts

        class Counting:
            def verify(self, stored: str, password: str) -> bool:
                hashed.append(stored)
                return original(stored, password)

        patch.setattr(passwords, "_HASHER", Counting())
        assert accounts.sign_in(connection, "operator", "wrong", 0) is None
        assert accounts.sign_in(connection, "nobody", "wrong", 0) is None
        assert accounts.sign_in(connection, "nobody", "x" * 10**6, 0) is None
    assert len(hashed) == 3


def test_guessing_is_bounded_and_everything_is_in_the_audit_log(address: str, url: str) -> None:
    """Eight guesses a quarter of an hour for an account; many at once are not more."""
    from concurrent.futures import ThreadPoolExecutor

    def guess(k: int) -> int:
        data = {"login": "operator", "password": f"guess number {k}"}
        return httpx.post(f"{address}/sign-in", data=data, trust_env=False, timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(guess, range(12))) == {403}
    right = {"login": "operator", "password": "three small words"}
    assert httpx.post(f"{address}/sign-in", data=right, trust_env=False, timeout=60).status_code == 403
    with connect(url) as connection:
        row = connection.execute("SELECT failures, locked_until > now() FROM account WHERE login = 'operator'").fetchone()
        told = connection.execute("SELECT count(*) FROM audit_entry WHERE action = 'sign in refused'").fetchone()
    assert row is not None
    assert told is not None
    assert (row[0] >= 8, row[1], told[0]) == (True, True, 13)


def test_a_cookie_or_token_is_not_what_the_database_holds(signed_in: Any, url: str) -> None:
    """Who steals the table of sessions cannot sign in with it."""
    client = signed_in("operator")
    with connect(url) as connection:
        rows = connection.execute("SELECT encode(id, 'hex') FROM session").fetchall()
    stolen = [row[0] for row in rows]
    assert client.http.cookies["tagwatch_session"] not in stolen
    for one in stolen:
        client.http.cookies.clear()
        assert client.get("/account", headers={"cookie": f"tagwatch_session={one}"}).status_code == 303
        assert client.get("/api/v1/account", headers={"authorization": f"Bearer {one}"}).status_code == 401


def test_a_fault_of_ours_tells_nothing_of_the_database(signed_in: Any, office: Any, url: str) -> None:
    """The page that says that something failed has no address, no query, no traceback."""
    app = create_app(office)
    assert app.debug is False
    client = signed_in("operator")
    with connect(url) as connection:
        connection.execute("ALTER TABLE account RENAME TO account_gone")
    try:
        for path in ("/queue", "/account", "/api/v1/queue"):
            answer = client.get(path, headers={"connection": "close"})
            assert answer.status_code in (500, 503), path
            for word in ("Traceback", "psycopg", "postgresql://", "SELECT", "account_gone", "site-packages"):
                assert word not in answer.text, word
    finally:
        with connect(url) as connection:
            connection.execute("ALTER TABLE account_gone RENAME TO account")
