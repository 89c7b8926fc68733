"""The verdicts of devices of which the hours' summaries left pieces to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crime_match.batch.matcher import NUMBERS
from crime_match.batch.plans import Crimes
from crime_match.far import DOUBTFUL, MEETS, NONE, SURE, Pieces, Sifted
from crime_match.pieces_kernels import look_at_pieces
from crime_match.question import Question
from crime_match.verdicts import EXCLUDED, PLACED, POSSIBLE, UNMONITORED
from engine.error_model import errors
from engine.store.pieces import PieceRows
from engine.times import SECOND_US
from engine.tracks import up_to_cm

UNTOLD = 255
"""In the place of a verdict: the device has to be read in full."""


def verdicts_of(
    question: Question, found: Sifted, pieces: Pieces, rows: PieceRows, percentile: NDArray[np.float64],
    model: NDArray[np.uint8],
) -> NDArray[np.uint8]:  # fmt: skip
    """The verdict of each device as its number in `VERDICTS`, (n_devices,); percentile and model of its activation
    (n_devices,). UNTOLD where it is in doubt, and where two fixes of one instant, or no fix in the window, ask for all of the
    trail."""
    n = len(found.state)
    n_placing, n_inside = np.zeros((2, n), np.int64)
    meets, has_twins = found.state == MEETS, np.zeros(n, np.bool_)
    device = pieces.device[rows.piece]
    radii = errors(rows.accuracy_cm, rows.source, percentile[device], model[device])
    crimes = Crimes.of([question])
    look_at_pieces(
        crimes.rows[0], crimes.shapes[0], float(question.max_speed_mps), rows.piece, pieces.device, rows.time_us,
        rows.lat_e7, rows.lon_e7, radii.radius_m, up_to_cm(radii.exclusion_m) / 100.0, n_placing, n_inside, meets, has_twins,
    )  # fmt: skip
    verdict = np.where(meets, NUMBERS[POSSIBLE], NUMBERS[EXCLUDED]).astype(np.uint8)
    has_none = (found.inside == NONE) | (_covered(question, pieces, n) & (n_inside == 0))
    has_fix = (found.inside == SURE) | (n_inside > 0)
    verdict[meets & ~has_fix] = np.where(has_none, NUMBERS[UNMONITORED], UNTOLD)[meets & ~has_fix]
    verdict[n_placing >= question.min_fixes] = NUMBERS[PLACED]
    verdict[has_twins | (found.state == DOUBTFUL)] = UNTOLD
    return verdict


def _covered(question: Question, pieces: Pieces, n_devices: int) -> NDArray[np.bool_]:
    """Of which devices one piece holds all of the window."""
    covers = (pieces.from_s * SECOND_US <= question.start_us) & ((pieces.to_s + 1) * SECOND_US > question.end_us)
    found = np.zeros(n_devices, np.bool_)
    found[pieces.device[covers]] = True
    return found
