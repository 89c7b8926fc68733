"""`tagwatch --version`: which build this is, for people or as JSON."""

from __future__ import annotations

from typing import Annotated

import typer


def about(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say which build this is")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --version: as JSON, libraries too")] = False,
) -> None:
    """What is said where no command is named."""
    if version:
        print(_as_json() if as_json else _for_people())
        raise typer.Exit
    if as_json:
        raise typer.BadParameter("goes with --version", param_hint="--json")
    if context.invoked_subcommand is None:
        context.fail("say which command")


def _for_people() -> str:
    from tagwatch import build

    which = build.build()
    return "\n".join([
        f"tagwatch {which.version}", str(which), f"kernels {build.kernels_hash()}", f"{build.python()}, {build.machine()}",
    ])  # fmt: skip


def _as_json() -> str:
    import json

    from tagwatch import build

    which = build.build()
    told = which._asdict() | {"is_checkout": which.is_checkout, "kernels": build.kernels_hash(), "python": build.python(),
                              "machine": build.machine(), "libraries": build.libraries()}  # fmt: skip
    return json.dumps(told, indent=1)
