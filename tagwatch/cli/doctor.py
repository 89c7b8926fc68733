"""`tagwatch doctor`: looks at everything that the service needs, and says what is wrong and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from tagwatch.cli.options import Config


def doctor(
    json_: Annotated[bool, typer.Option("--json", help="A line of JSON each")] = False,
    thorough: Annotated[bool, typer.Option("--thorough", help="Verify the whole raw log, however large it is")] = False,
    config: Config = None,
) -> None:
    """Look at everything the service needs and say what is wrong and what to do; exit code 1 where there is a fault."""
    import json

    from tagwatch.doctor.examination import examine_all
    from tagwatch.doctor.finding import FAULT

    n_faults = 0
    for finding in examine_all(config, thorough=thorough):
        n_faults += finding.grade == FAULT
        if json_:
            print(json.dumps(finding._asdict()), flush=True)
        else:
            print(f"{finding.grade:<7} {finding.part}: {finding.said}", flush=True)
            if finding.advice:
                print(f"        -> {finding.advice}", flush=True)
    if n_faults:
        raise typer.Exit(1)
