"""What the crimes of a batch show together, as lines of JSON: the series, crimes that share wearers, who was in company."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from crime_match.crimes.crime import Crime
from crime_match.question import Parameters
from crime_match.runs.run import Run
from crime_match.strength.chance import period_of
from crime_match.strength.company import companions
from crime_match.strength.links import groups, pairs
from crime_match.strength.series import series
from crime_match.strength.shifts import LONDON, Calendar
from crime_match.strength.survey import survey
from crime_match.trails import Trails


def lines_of(
    run: Run, trails: Trails, crimes: Sequence[Crime], parameters: Parameters, timezone: str = LONDON,
    progress: Callable[[int], None] | None = None,
) -> Iterator[bytes]:  # fmt: skip
    """One line of `kind` series, then those of kind group, pair and company, in a fixed order; see `records_of`."""
    for record in records_of(run, trails, crimes, parameters, timezone, progress):
        yield msgspec.json.encode(record) + b"\n"


def records_of(
    run: Run, trails: Trails, crimes: Sequence[Crime], parameters: Parameters, timezone: str = LONDON,
    progress: Callable[[int], None] | None = None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """The same as dictionaries. Crimes are named by their references, with the force before where two forces share one.

    Placements by telephone masts alone do not count. `run` names the matches that these lines go with; `progress` is told how
    many crimes are done by now.
    """
    asked = [(name, parameters.ask(crime)) for name, crime in zip(_names(crimes), crimes, strict=True)]
    tracks = trails.tracks.counting(masts=False)
    calendar = Calendar(*period_of(tracks), timezone)
    n_done = Counter[str]()

    def more(n: int) -> None:
        n_done["crimes"] += n
        if progress:
            progress(n_done["crimes"])

    found = survey(tracks, asked, calendar, trails.hours, progress=more)
    yield {"kind": "series", "run": run.id, "calendar": calendar.record()} | series(found, asked, trails.wearers)
    yield from ({"kind": "group"} | group for group in groups(found, asked, trails.wearers))
    yield from ({"kind": "pair"} | pair for pair in pairs(found, asked, trails.wearers) if not pair["same_event"])
    for event in found.events:  # crimes of one event are one place and time: once is enough
        name, question = asked[event[0]]
        placed = np.unique(np.concatenate([found.placed[k] for k in event])).tolist()
        for company in companions(question, [trails[w] for w in placed]):
            yield {"kind": "company", "crime": name} | company


def _names(crimes: Sequence[Crime]) -> list[str]:
    n_forces = Counter(crime.reference for crime in crimes)
    return [c.reference if n_forces[c.reference] == 1 else f"{c.force} {c.reference}" for c in crimes]
