"""Commands that serve: `run` against the servers of the settings file, `demo` on embedded parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tagwatch.cli.options import Config


def run(
    config: Config = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for broker and database at the start")] = 30.0,
) -> None:
    """The service, against the broker and the database of the settings file."""
    from tagwatch.running import run_service
    from tagwatch.settings import read_settings

    run_service(read_settings(config), wait)


def demo(
    for_: Annotated[str | None, typer.Option("--for", help="End by itself after this time, such as 30s")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser")] = False,
    port: Annotated[int, typer.Option(help="Port of the web page on 127.0.0.1")] = 8600,
    data: Annotated[Path | None, typer.Option(help="Folder for the embedded parts (default: a temporary one)")] = None,
    wearers: Annotated[int, typer.Option(help="How many wearers")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the town")] = 1,
) -> None:
    """Everything on one machine: embedded database and broker, simulated tags, live checking, a web page."""
    from tagwatch.demo import run_demo

    run_demo(for_, no_browser=no_browser, port=port, data=data, wearers=wearers, seed=seed)
