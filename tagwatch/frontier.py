"""How far each device's own sequence is durable: what `stored` notices say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Run = tuple[int, int]
"""The first and the last of numbers that are all durable."""
MOST_BEYOND = 4096
"""Numbers of a device that are remembered beyond a gap. Who leaves more gaps is told of less, and sends some again."""


class Frontier:
    """From which number on, and how far, each device's sequence is durable without a gap; and which numbers beyond."""

    def __init__(self, known: Mapping[str, tuple[int, int, set[int]]]) -> None:
        self._known = dict(known)

    def note(self, device: str, seqs: Sequence[int]) -> list[Run]:
        """Take numbers that are durable with this batch; returns what can be said to be.

        Of what came before the first number ever seen nothing is: the broker may have lost it. A number at or below the
        frontier is a repeat, or a tag that counts from the start again: then only the numbers that are here are claimed,
        because to claim too little costs a repeat and too much a fix.
        """
        here = sorted(set(seqs))
        since, until, beyond = self._known.get(device, (here[0], here[0] - 1, set()))
        new = {n for n in here if n > until}
        claims = _runs(n for n in here if n <= until)
        beyond = beyond | new
        while until + 1 in beyond:
            until += 1
            beyond.discard(until)
        if len(beyond) > MOST_BEYOND:
            return [*claims, *self._move_on(device, new, beyond)]
        self._known[device] = (since, until, beyond)
        return [*claims, (since, until)] if new and since <= until else claims

    def _move_on(self, device: str, new: set[int], beyond: set[int]) -> list[Run]:
        """Begin anew behind the gaps; of what is before only the numbers that are here are claimed."""
        since = until = sorted(beyond)[-MOST_BEYOND // 2]
        while until + 1 in beyond:
            until += 1
        self._known[device] = (since, until, {n for n in beyond if n > until})
        return [*_runs(sorted(n for n in new if n < since)), (since, until)]

    def of(self, devices: Iterable[str]) -> dict[str, tuple[int, int, set[int]]]:
        """What is known of these devices, to be kept."""
        return {device: self._known[device] for device in devices}


def _runs(numbers: Iterable[int]) -> list[Run]:
    """The unbroken runs of ascending numbers."""
    runs: list[Run] = []
    for n in numbers:
        if runs and runs[-1][1] + 1 == n:
            runs[-1] = (runs[-1][0], n)
        else:
            runs.append((n, n))
    return runs
