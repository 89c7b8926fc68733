"""A small web server of its own for Prometheus and for who watches over the service: /metrics, /health/live, /health/ready."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, exposition

from tagwatch.health.part import answer
from tagwatch.metrics.database_figures import DatabaseFigures
from tagwatch.metrics.delivered import Delivered
from tagwatch.metrics.families import DatabaseFamilies, ServiceFamilies
from tagwatch.settings import host_and_port

if TYPE_CHECKING:
    from tagwatch.health.examiner import Examiner
    from tagwatch.service import Service

log: Any = structlog.get_logger("tagwatch.metrics")
MOST_AT_ONCE = 8
TIMEOUT_S = 5.0


class _Server(ThreadingHTTPServer):
    """No more than a few askers at once; the others are sent away."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, handler: Any) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__((host, port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, where one is free."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread's work."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asks and goes away before the answer is no fault."""


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_S
    server_version, sys_version = "tagwatch", ""

    def __init__(self, registry: CollectorRegistry, examiner: Examiner, *arguments: Any) -> None:
        self._registry, self._examiner = registry, examiner
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """The three paths that there are."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, kind = exposition.choose_encoder(self.headers.get("accept", ""))
            self._answer(200, kind, encode(self._registry))
        elif path == "/health/live":
            status, body = answer("live", self._examiner.live())
            self._answer(status, "application/json", body)
        elif path == "/health/ready":
            status, body = answer("ready", self._examiner.ready())
            self._answer(status, "application/json", body)
        else:
            self._answer(404, "text/plain", b"/metrics, /health/live, /health/ready\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Who scrapes is not logged."""

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.send_header("x-content-type-options", "nosniff")
        self.end_headers()
        self.wfile.write(body)


def registry_of(service: Service, examiner: Examiner, delivered: Delivered, figures: DatabaseFigures) -> CollectorRegistry:
    """Everything that is measured."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServiceFamilies(service, examiner, delivered))
    registry.register(DatabaseFamilies(figures))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


@contextmanager
def listening(service: Service, examiner: Examiner, delivered: Delivered) -> Iterator[str]:
    """Serve metrics and health while the block runs; yields the address, empty where the settings want none.

    Where the port is taken the service runs without them: people are watched over, measured or not.
    """
    settings = service.settings
    if not settings.metrics.listen:
        yield ""
        return
    stale_us = round(settings.handling.stale_hours * 3_600_000_000)
    figures = DatabaseFigures(settings.database.url, service.clock, settings.flood_thresholds, stale_us)
    host, port = host_and_port(settings.metrics.listen)
    try:
        server = _Server(host, port, partial(_Handler, registry_of(service, examiner, delivered, figures), examiner))
    except OSError as fault:
        log.error("metrics and health cannot be served", fault=fault)
        yield ""
        return
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, name="metrics", daemon=True)
    thread.start()
    try:
        yield f"http://{settings.metrics.listen.rpartition(':')[0]}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        figures.close()
