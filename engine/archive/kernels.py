"""Kernels of the archive's reader. Arrays only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel


@kernel
def fill_units_e7(degrees: NDArray[np.float64], units_e7: NDArray[np.int32]) -> None:
    """Write degrees (n,) as the nearest 1e-7 degree units (n,)."""
    for i in range(len(degrees)):
        units_e7[i] = np.int32(np.rint(degrees[i] * 1e7))


@kernel
def fill_by_code(values: NDArray[np.int32], codes: NDArray[np.int32], found: NDArray[np.int32]) -> None:
    """Write for each code (n,) the value that it stands for (n,)."""
    for i in range(len(codes)):
        found[i] = values[codes[i]]
