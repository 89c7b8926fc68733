"""The one recursion of the simulator that numpy cannot express: noise that remembers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.jit import kernel


@kernel
def gauss_markov(decay: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """First-order Gauss-Markov (AR(1)) series of unit variance; decay (n,) = exp(-dt/tau) before each step, noise (n, k)
    standard normal, result (n, k): columns are independent."""
    n, k = noise.shape
    out = np.empty((n, k))
    for j in range(k):
        value = 0.0
        for i in range(n):
            d = decay[i] if i > 0 else 0.0
            value = d * value + np.sqrt(1.0 - d * d) * noise[i, j]
            out[i, j] = value
    return out
