"""Compiled recurrences over flat records: one implementation, live or over history, compiled or plain, the same bits.

A kernel is a function of one structured NumPy record and numbers. Its state is the record and nothing else, so a
snapshot is a copy of bytes. Sums run oldest to newest, every division is guarded, powers are multiplied out.
"""

import hashlib
import inspect
import sys
import zlib
from collections.abc import Callable
from math import nan
from types import ModuleType
from typing import Any, Final, TypeAlias, TypeVar, cast

import msgspec
import numba
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from interlock.errors import InputError
from interlock.model.fallbacks import EARLY, INFO, fallback

Record: TypeAlias = Any
"""One structured record: np.void in plain Python, a Numba record when compiled."""

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: Final[dict[str, Any]] = {"fastmath": False, "parallel": False, "error_model": "numpy", "nogil": True}


def kernel(function: F) -> F:
    """Compile one building block. It is kept on disk only as part of the whole step that `compiled` caches: a cache of
    its own would not notice a change in the blocks that it calls."""
    return cast(F, numba.njit(function, **_OPTIONS))


def compiled(function: F, source: str) -> F:
    """Compile a whole step and keep the machine code on disk under a name that holds `source`, the hash of all it is
    made of, so that a change in any block, however deep, is a new name."""
    function.__qualname__ = function.__name__ = f"{function.__name__}_{source[:16]}"
    try:
        return cast(F, numba.njit(function, cache=True, **_OPTIONS))
    except RuntimeError:               # no directory can be written: the same code, compiled at each start
        EARLY.append(fallback("kernels.uncached", INFO))
        return cast(F, numba.njit(function, **_OPTIONS))


def source_of(*modules: ModuleType | str) -> str:
    """SHA-256 over the source text of the modules (or over a text itself), hex."""
    digest = hashlib.sha256()
    for part in modules:
        text = part if isinstance(part, str) else inspect.getsource(part)
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()


class StateHeader(Struct, frozen=True):
    """What a snapshot of a record stands on. Every field must be the same when it is read back."""

    kernel: str
    source: str                        # SHA-256 of the source text
    params: str                        # SHA-256 of names and parameters
    dtype: str
    endianness: str
    numpy_format: int = 1


class _Snapshot(Struct, frozen=True, array_like=True):
    header: StateHeader
    n_steps: int
    body: bytes
    crc: int


_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[_Snapshot] = msgspec.msgpack.Decoder(_Snapshot)


def header(kernel_id: str, source: str, params: str, dtype: np.dtype[Any]) -> StateHeader:
    """The header of a record of this type on this machine."""
    layout = source_of(f"{dtype.descr!r} {dtype.itemsize}")
    return StateHeader(kernel_id, source, source_of(params), layout, sys.byteorder)


def freeze(head: StateHeader, n_steps: int, state: NDArray[np.void]) -> bytes:
    """Header, raw bytes and CRC32 of a state."""
    body = state.tobytes()
    return _encode(_Snapshot(head, n_steps, body, zlib.crc32(body)))


def thaw(head: StateHeader, raw: bytes, state: NDArray[np.void]) -> int:
    """Put a frozen state back, and say after how many steps it was taken.

    Raises InputError naming what differs: another kernel, source, parameter set, layout or damaged bytes.
    """
    try:
        found = _decoder.decode(raw)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InputError(f"{head.kernel}: not a snapshot of a feature state: {error}") from error
    for name in StateHeader.__struct_fields__:
        expected, seen = getattr(head, name), getattr(found.header, name)
        if expected != seen:
            raise InputError(f"{head.kernel}: the snapshot's {name} is {seen!r}, expected {expected!r}")
    if len(found.body) != state.nbytes:
        raise InputError(f"{head.kernel}: the snapshot has {len(found.body)} bytes, expected {state.nbytes}")
    if zlib.crc32(found.body) != found.crc:
        raise InputError(f"{head.kernel}: the snapshot's bytes do not fit their CRC32")
    state[:] = np.frombuffer(found.body, dtype=state.dtype)
    return found.n_steps


EMA: Final = np.dtype([("count", "i8"), ("value", "f8")])
WILDER: Final = np.dtype([("count", "i8"), ("value", "f8")])
ATR: Final = np.dtype([("seen", "?"), ("close", "i8"), ("mean", WILDER)])


@kernel
def ema(s: Record, x: float, period: int) -> float:
    """Exponential mean: the plain mean of the first `period` values, then e += 2/(period+1) * (x - e).

    Input:   one value per step, any unit.
    Output:  the same unit; nan before `period` values.
    Cost:    O(1).
    Source:  as TA-Lib's EMA in its default mode; a mean seeded with the first value gives other numbers.

    >>> state = np.zeros(1, EMA)[0]
    >>> [float(ema(state, x, 3)) for x in (1.0, 2.0, 3.0, 8.0)]
    [nan, nan, 2.0, 5.0]
    """
    s["count"] += 1
    if s["count"] < period:
        s["value"] += x                # still a sum
        return nan
    if s["count"] == period:
        s["value"] = (s["value"] + x) / period
    else:
        alpha = 2.0 / (period + 1)
        s["value"] += alpha * (x - s["value"])
    return s["value"]                  # type: ignore[no-any-return]


@kernel
def wilder_mean(s: Record, x: float, period: int) -> float:
    """Wilder's smoothed mean: the plain mean of the first `period` values, then (mean * (period - 1) + x) / period.

    >>> state = np.zeros(1, WILDER)[0]
    >>> [float(wilder_mean(state, x, 2)) for x in (1.0, 3.0, 6.0)]
    [nan, 2.0, 4.0]
    """
    s["count"] += 1
    if s["count"] < period:
        s["value"] += x                # still a sum
        return nan
    kept = s["value"] if s["count"] == period else s["value"] * (period - 1)
    s["value"] = (kept + x) / period
    return s["value"]                  # type: ignore[no-any-return]


@kernel
def true_range(high: int, low: int, close_before: int) -> int:
    """The widest of the bar's own range and its reach from the close before it.

    >>> int(true_range(12, 10, 15))
    5
    """
    return max(high - low, abs(high - close_before), abs(low - close_before))


@kernel
def atr(s: Record, high: int, low: int, close: int, period: int) -> float:
    """Average true range, Wilder's smoothing.

    Input:   high, low and close of one finished bar per step, int64 increments.
    Output:  increments; nan for the first `period` bars (the first bar has no true range). A gap between sessions
             counts once.
    Cost:    O(1).
    Source:  J. W. Wilder, New Concepts in Technical Trading Systems, 1978; as TA-Lib's ATR.

    >>> state = np.zeros(1, ATR)[0]
    >>> [float(atr(state, h, l, c, 2)) for h, l, c in ((11, 9, 10), (13, 10, 12), (12, 11, 11), (16, 11, 15))]
    [nan, nan, 2.0, 3.5]
    """
    if not s["seen"]:
        s["seen"] = True
        s["close"] = close
        return nan
    width = true_range(high, low, s["close"])
    s["close"] = close
    return wilder_mean(s["mean"], float(width), period)
