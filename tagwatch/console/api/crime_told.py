"""How crimes are told: a version, all of them, and what came of a file."""

from __future__ import annotations

from pydantic import Field

from tagwatch.console.api.values import Iso, Told

MOST_FAULTS = 1_000


class CrimeTold(Told):
    """One version of a crime as a force reported it."""

    force: str
    reference: str
    version: int
    type: str
    from_: Iso = Field(alias="from")
    to: Iso
    lat: float
    lon: float
    uncertainty_m: float
    text: str
    batch: str = Field(description="As the force calls what it sent")
    easting_m: float | None
    northing_m: float | None
    changed: list[str] = Field(description="What differs from the version before")
    import_: int = Field(alias="import", description="The number of the import that it came with")


class Matched(Told):
    """A run that matched a version of the crime; stale where a later version has come."""

    run: str
    version: int
    stale: bool


class CrimeWhole(CrimeTold):
    """The latest version, every version (oldest first), and the runs that matched the crime."""

    versions: list[CrimeTold]
    runs: list[Matched]


class RowRemark(Told):
    """What is wrong or odd with a row of a file."""

    row: int
    line: int
    code: str
    field: str | None
    value: str | None
    message: str


class ImportTold(Told):
    """What a file held and what came, or would come, of it; `number` is null where it was only checked."""

    number: int | None
    form: str
    n_rows: int
    n_refused: int
    n_faults: int
    n_new: int
    n_changed: int
    n_same: int
    n_stale_runs: int = Field(description="Runs that matched what has changed now")
    faults: list[RowRemark] = Field(description=f"The first {MOST_FAULTS:,}")
    hints: list[RowRemark] = Field(description=f"The first {MOST_FAULTS:,}")
