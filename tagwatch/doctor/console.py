"""The console: reached how, and by which names."""

from __future__ import annotations

from collections.abc import Iterator

from tagwatch.doctor.finding import OK, WARNING, Finding, Scene, is_local

_PART = "console"


def examine(scene: Scene) -> Iterator[Finding]:
    """What its settings mean for who signs in from another machine."""
    console = scene.settings.console
    if console.demo:
        yield Finding(_PART, WARNING, "demo = true: pages say that nobody is real", "demo = false where people are")
    if console.hosts and not console.https:
        yield Finding(_PART, WARNING, "it answers to other names without https: sessions can be taken over on the way",
                      "a proxy with TLS before it, and https = true")  # fmt: skip
    if console.https and not console.hosts:
        yield Finding(_PART, WARNING, "https = true and hosts is empty: a proxy's requests are refused",
                      "name the host that people type: hosts = [...]")  # fmt: skip
    where = "this machine alone" if is_local(console.listen) else f"{console.listen}, for other machines too"
    yield Finding(_PART, OK, f"listens on port {console.port} of {where}")
