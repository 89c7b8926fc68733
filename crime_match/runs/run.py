"""A match run: the algorithm, the parameters and the hashes of all inputs; their hash is its name. It knows no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from crime_match.crimes.crime import Crime
from crime_match.trails import Trails
from engine.fixes import NAMES

ALGORITHM = "tagwatch-match-1"
"""Changes whenever a verdict could come out another than before."""


class Run(NamedTuple):
    """What was run on what; the same run gives the same bytes."""

    algorithm: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Any]

    @property
    def id(self) -> str:
        """SHA-256 of the canonical JSON of everything in it, as hexadecimal digits."""
        return hashlib.sha256(_canonical(self._asdict())).hexdigest()


def run_of(crimes: Sequence[Crime], trails: Trails, parameters: Mapping[str, Any]) -> Run:
    """The run of these parameters on these crimes and trails."""
    inputs = {"crimes": _hash(crime.record() for crime in crimes), "n_crimes": len(crimes)} | hashes_of(trails)
    return Run(ALGORITHM, dict(parameters), inputs)


def hashes_of(trails: Trails) -> dict[str, Any]:
    """Of all that is known of the wearers: fixes as the columns that were reported, activations, device events."""
    fixes = trails.rows.fixes
    names = sorted(fixes.devices[k] for k in np.unique(fixes.device).tolist())
    place = {name: k for k, name in enumerate(names)}
    rank = np.array([place.get(name, -1) for name in fixes.devices], np.int32)
    digest = hashlib.sha256(_canonical([list(trails.wearers), names, trails.start.tolist()]))
    for name in NAMES:
        column: NDArray[Any] = rank[fixes.device] if name == "device" and names else fixes.column(name)
        digest.update(column.astype(column.dtype.newbyteorder("<")).tobytes())
    worn = (row._asdict() for trail in trails for row in trail.activations)
    told = sorted(tuple(event) for trail in trails for event in trail.events)
    return {
        "fixes": digest.hexdigest(), "n_fixes": len(fixes), "wearers": len(trails), "activations": _hash(worn),
        "events": _hash(told),
    }  # fmt: skip


def _hash(records: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for record in records:
        digest.update(_canonical(record) + b"\n")
    return digest.hexdigest()


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")
