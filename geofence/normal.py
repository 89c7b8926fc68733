"""Kernels of the normal distribution: exact, and from a table where it is asked for often. Numbers only."""

from __future__ import annotations

import math

import numpy as np

from engine.jit import kernel

_EDGE = 8.0  # sigmas up to which the table goes
_STEP = 16  # rows of the table to a sigma
_SQRT2 = math.sqrt(2.0)
_SQRT_2PI = math.sqrt(2.0 * math.pi)


def _taylor(x: float) -> tuple[list[float], list[float]]:
    """Taylor coefficients (5 each) about x of the normal distribution function and of its density."""
    density = math.exp(-0.5 * x * x) / _SQRT_2PI
    hermite = [1.0, x]  # He(n): the n-th derivative of the density is (-1)^n He(n) times the density
    for n in range(1, 4):
        hermite.append(x * hermite[n] - n * hermite[n - 1])
    slopes = [(-1) ** n * hermite[n] * density / math.factorial(n) for n in range(5)]
    return [0.5 * math.erfc(-x / _SQRT2), *(slopes[n] / (n + 1) for n in range(4))], slopes


_ROWS = [_taylor(k / _STEP - _EDGE) for k in range(int(2 * _EDGE * _STEP) + 1)]
_PHI = np.array([row[0] for row in _ROWS])
_DENSITY = np.array([row[1] for row in _ROWS])


@kernel
def phi(x: float) -> float:
    """Standard normal distribution function."""
    return 0.5 * math.erfc(-x / _SQRT2)


@kernel
def tabled_phi(x: float) -> float:
    """The same to 1e-9, from a table: Taylor series of degree 4 about sixteenths."""
    if x >= _EDGE:
        return 1.0
    if x <= -_EDGE:
        return 0.0
    return _phi(x)


@kernel
def _phi(x: float) -> float:
    k = int((x + _EDGE) * _STEP + 0.5)
    d = x - (k * (1.0 / _STEP) - _EDGE)
    value: float = _PHI[k, 0] + d * (_PHI[k, 1] + d * (_PHI[k, 2] + d * (_PHI[k, 3] + d * _PHI[k, 4])))
    return value


@kernel
def tabled_density(x: float) -> float:
    """Standard normal density to 1e-9, |x| up to 8."""
    k = int((x + _EDGE) * _STEP + 0.5)
    d = x - (k * (1.0 / _STEP) - _EDGE)
    value: float = _DENSITY[k, 0] + d * (_DENSITY[k, 1] + d * (_DENSITY[k, 2] + d * (_DENSITY[k, 3] + d * _DENSITY[k, 4])))
    return value
