"""Files of wearers: CSV into Wearers, in the order of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.errors import InputError
from engine.wearers import BASES, COHORTS, Wearer
from ingest.activation_files import check_wearer
from ingest.csv_table import rows_of, table_of
from ingest.fault import Fault, Faults, OnFault, from_error
from ingest.trail_files import read_bytes

COLUMNS = Wearer._fields
REQUIRED = ("wearer",)


def read_wearers(path: str | Path, on_fault: OnFault | None = None) -> list[Wearer]:
    """The wearers of one file (`-` is standard input), each once; faults as in `trail_files.read_trail`."""
    name, data = read_bytes(path)
    faults = Faults(name, on_fault)
    table = table_of(data, name, COLUMNS, REQUIRED)
    wearers: dict[str, Wearer] = {}
    for row in rows_of(table.body, len(table.names), line=table.line):
        if row.error:
            faults.add(Fault(row.row, "wrong_row", "", None, row.error, line=row.line))
            continue
        try:
            wearer = _wearer(dict(zip(table.names, row.fields, strict=True)))
            if wearer.wearer in wearers:
                raise InputError("comes twice", field="wearer", value=wearer.wearer, expected="each wearer once")
            wearers[wearer.wearer] = wearer
        except InputError as error:
            faults.add(from_error(error, row.row, row.line))
    faults.settle()
    return list(wearers.values())


def _wearer(fields: Mapping[str, str]) -> Wearer:
    texts = {name: fields.get(name, "").strip() for name in COLUMNS}
    return Wearer(
        check_wearer(texts["wearer"]), texts["name"], _one_of(texts["cohort"], "cohort", COHORTS), texts["scheme"],
        texts["force"], _one_of(texts["basis"], "basis", BASES), texts["team"],
    )  # fmt: skip


def _one_of(text: str, field: str, known: tuple[str, ...]) -> str:
    if text and text.lower() not in known:
        raise InputError(field=field, value=text, expected=f"one of {', '.join(known)}, or empty")
    return text.lower()
