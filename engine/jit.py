"""The one numba decorator, and where compiled kernels are cached.

Kernels take batches, never allocate in loops, never raise, never use fastmath or SVML: the same bits on every machine that
rounds by IEEE 754. The cache folder is named by a hash of every kernel source, because numba does not notice that a kernel
called from another file has changed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., Any])
_ROOMS = ("engine", "geofence", "crime_match")


def _sources_key() -> str:
    """Hash of all kernel files and of numba's version: names the cache folder."""
    home = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(numba.__version__.encode())
    for room in _ROOMS:
        for path in sorted((home / room).rglob("*.py")):
            source = path.read_bytes()
            if b"@kernel" in source:
                digest.update(source)
    return digest.hexdigest()[:16]


def _cache_folder() -> str:
    """`TAGWATCH_CACHE`, else the user's cache folder, else a private temporary one that can be written."""
    base = os.environ.get("TAGWATCH_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "tagwatch" / f"kernels-{_sources_key()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return str(folder)
    except OSError:
        pass
    return tempfile.mkdtemp(prefix="tagwatch-kernels-")


if not os.environ.get("NUMBA_CACHE_DIR"):
    numba.config.CACHE_DIR = _cache_folder()  # type: ignore[attr-defined]


_MAKERS = {"empty", "empty_like", "zeros", "zeros_like", "ones", "full", "arange", "copy", "array"}


def kernel(function: _F) -> _F:
    """Compile a batch kernel: cached on disk, without the GIL, IEEE floats, divisions by zero give inf or nan.

    A kernel that makes no arrays is compiled without reference counting: counting the arrays of a NamedTuple up and down at
    every inner call took a third of the check's time. numba refuses to compile what makes arrays in a way not known here.
    """
    return _compiled(function, inline=False)


def kernel_part(function: _F) -> _F:
    """The same for a part that has one caller or two: compiled into them, so that NamedTuples of arrays are not copied."""
    return _compiled(function, inline=True)


def _compiled(function: _F, *, inline: bool) -> _F:
    makes_arrays = not _MAKERS.isdisjoint(function.__code__.co_names)
    options: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": False, "_nrt": makes_arrays,
               "forceinline": inline}  # fmt: skip
    return cast(_F, numba.njit(**options)(function))
