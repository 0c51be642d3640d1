"""The simulated path: a price at any tick index, computed from (key, index) alone.

Numbers come from hashing a counter, so nothing is iterated from zero and no state exists. A price is a sum of
- a wandering part: Levy's midpoint construction of Brownian motion, one hashed displacement per level (a tent function
  over a dyadic interval, so that exactly one per level touches an index), its fine levels louder or calmer by the hour;
- a trend: straight lines between waypoints that lie one to six hours apart, some level with the one before (a range);
- gaps: at hashed instants the price jumps, and the jump melts away within the next hour or so.

Integers stay below 2^63 whether compiled or interpreted, and floats see only + - * / in a stated order: equal bits.
"""

import math
from collections.abc import Callable
from typing import Final, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from interlock.model.fallbacks import EARLY, INFO, fallback

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile for bits that equal the interpreted ones: no fast math, no ufuncs, IEEE division.

    All kernels stand in this file, so that a change in any of them renews what is kept on disk of all.
    """
    try:
        return cast(Function, numba.njit(cache=True, fastmath=False, error_model="numpy", nogil=True)(function))
    except RuntimeError:               # no directory can be written: the same code, compiled at each start
        EARLY.append(fallback("kernels.uncached", INFO))
        return cast(Function, numba.njit(fastmath=False, error_model="numpy", nogil=True)(function))


TICK_NS: Final = 500_000_000
TICKS_PER_MINUTE: Final = 120
LEVELS: Final = 20                     # the widest tent covers 2^20 ticks, six days
_FINE: Final = 10                      # levels below this one (tents up to 8.5 minutes) breathe with the hour
_MASK: Final = 0xFFFFFFFF
_HOUR: Final = 7_200
_PHASE: Final = 25_200                 # waypoints every 3.5 h on average ...
_PHASE_JITTER: Final = 18_000          # ... each moved within 2.5 h: 1 to 6 h apart
_GAP_SLOT: Final = 21_600              # one gap in three hours
_GAP_MELT: Final = 7_200
HALT_SLOT: Final = 64_800             # one halt in nine hours ...
_HALT_JITTER: Final = 21_480           # ... moved within 3 h less its longest length: 6 to 12 h apart
BEFORE_HALT: Final = 4                 # ticks of wide spreads before a halt
AFTER_HALT: Final = 10                 # ticks of wide spreads and missing sizes after it

_WALK, _TREND, _MOVED, _GAP, _HALT, _CALM, _QUOTE, _TRADE, _DRIFT = 0, 64, 65, 66, 67, 68, 69, 70, 71

_SLOW: Final = 14                      # levels from this one on (tents over 4.5 h and more) are damped
_DAMPED: Final = 0.6
_PINNED: Final = 30.0                  # height of the pins, in deviations of a minute

_AMPLITUDE: Final = tuple((_DAMPED if level >= _SLOW else 1.0) * 0.5 * math.sqrt(2 ** (level + 1) / TICKS_PER_MINUTE)
                          for level in range(LEVELS))


@kernel
def mix(x: int) -> int:
    """A permutation of 32-bit integers in which every input bit moves every output bit (two rounds of multiply-xor).

    The second multiplier is written less 2^32: the product then stays within int64 and is the same modulo 2^32.
    """
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & _MASK
    x = x ^ (x >> 15)
    x = (x * (0x846CA68B - 0x100000000)) & _MASK
    return x ^ (x >> 16)


@kernel
def draw(key: int, stream: int, index: int) -> int:
    """32 hashed bits for a counter: `key` below 2^62, any int64 `index`."""
    x = mix((key ^ index) & _MASK)
    x = mix((x + (index >> 32) * 0x2C1B3C6D + stream * 0x1E3779B9) & _MASK)
    return mix(x ^ (key >> 31))


@kernel
def normal(key: int, stream: int, index: int) -> float:
    """Roughly normal, mean 0, variance 1, within 4.9: the sum of eight hashed bytes.

    A uniform byte has variance (256^2 - 1) / 12, eight of them 43 690; the mean of the sum is 1 020.
    """
    a = draw(key, stream, index)
    b = mix(a ^ 0x5BD1E995)
    total = ((a & 255) + ((a >> 8) & 255) + ((a >> 16) & 255) + (a >> 24)
             + (b & 255) + ((b >> 8) & 255) + ((b >> 16) & 255) + (b >> 24))
    return (total - 1020) / 209.02153


@kernel
def uniform(key: int, stream: int, index: int) -> float:
    """Uniform in [-1, 1)."""
    return (draw(key, stream, index) - 2147483648) / 2147483648.0


@kernel
def calm(key: int, index: int) -> float:
    """How lively the fine levels are around `index`: 0.8 to 1.25, changing from hour to hour, constant for 512 s."""
    at = (index >> _FINE) << _FINE
    hour = at // _HOUR
    rest = (at - hour * _HOUR) / _HOUR
    left = uniform(key, _CALM, hour)
    right = uniform(key, _CALM, hour + 1)
    return 1.025 + 0.225 * (left + (right - left) * rest)


@kernel
def waypoint(key: int, node: int) -> int:
    """The tick at which the trend turns for the `node`-th time."""
    return node * _PHASE + (draw(key, _MOVED, node) * _PHASE_JITTER >> 32)


@kernel
def level_of(key: int, node: int) -> float:
    """The trend's height there, -1 to 1. Every fourth or so stays level with its predecessor: a range."""
    if draw(key, _TREND, node) & 3 == 0 and draw(key, _TREND, node - 1) & 3 != 0:
        return uniform(key, _DRIFT, node - 1)
    return uniform(key, _DRIFT, node)


@kernel
def trend(key: int, index: int) -> float:
    """The straight line between the waypoints around `index`, -1 to 1."""
    node = index // _PHASE
    start = waypoint(key, node)
    if index < start:
        node -= 1
        start = waypoint(key, node)
    end = waypoint(key, node + 1)
    low = level_of(key, node)
    return low + (level_of(key, node + 1) - low) * ((index - start) / (end - start))


@kernel
def gap(key: int, index: int) -> float:
    """What is left of the last jumps, in units of one minute's deviation."""
    slot = index // _GAP_SLOT
    total = 0.0
    for n in range(slot - 1, slot + 1):
        at = n * _GAP_SLOT + (draw(key, _GAP, n) * _GAP_SLOT >> 32)
        if at <= index < at + _GAP_MELT:
            size = uniform(key, _GAP + 32, n)
            size = size + 1.0 if size > 0.0 else size - 1.0
            total += 2.0 * size * (1.0 - (index - at) / _GAP_MELT)
    return total


@kernel
def walk(key: int, index: int) -> float:
    """Brownian motion in units of its deviation over one minute, pinned every 2^20 ticks to a hashed height."""
    block = index >> LEVELS
    rest = (index - (block << LEVELS)) / (1 << LEVELS)
    left = uniform(key, _WALK + LEVELS, block)
    right = uniform(key, _WALK + LEVELS, block + 1)
    total = _PINNED * (left + (right - left) * rest)
    for level in range(LEVELS - 1, _FINE - 1, -1):
        total += _tent(key, level, index)
    fine = 0.0
    for level in range(_FINE - 1, -1, -1):
        fine += _tent(key, level, index)
    return total + fine * calm(key, index)


@kernel
def _tent(key: int, level: int, index: int) -> float:
    n = index >> (level + 1)
    half = 1 << level
    rest = index - (n << (level + 1))
    if rest > half:
        rest = 2 * half - rest
    if rest == 0:
        return 0.0
    return _AMPLITUDE[level] * normal(key, _WALK + level, n) * (rest / half)


@kernel
def price(key: int, index: int, base: float, minute: float, swing: float) -> float:
    """The price at a tick: `base`, plus `minute` times the walk and the gaps, plus `swing` times the trend."""
    return base + minute * (walk(key, index) + gap(key, index)) + swing * trend(key, index)


@kernel
def halt_start(key: int, slot: int) -> int:
    """The first tick of the only halt of a slot of nine hours."""
    return slot * HALT_SLOT + (draw(key, _HALT, slot) * _HALT_JITTER >> 32)


@kernel
def halt_end(key: int, slot: int) -> int:
    """The first tick after that halt: 20 to 60 s later."""
    return halt_start(key, slot) + 40 + (draw(key, _HALT + 32, slot) * 81 >> 32)


@kernel
def near_halt(key: int, index: int) -> int:
    """0: far from any halt, 1: in one, 2: in the seconds before one, 3: in the seconds after."""
    slot = (index + BEFORE_HALT) // HALT_SLOT
    start, end = halt_start(key, slot), halt_end(key, slot)
    if index < start - BEFORE_HALT or index >= end + AFTER_HALT:
        return 0
    if index < start:
        return 2
    return 1 if index < end else 3


@kernel
def last_price(value: float, tick: float) -> int:
    """The order tick nearest to the path: what traded."""
    return math.floor(value / tick + 0.5)


@kernel
def volume(key: int, index: int) -> int:
    """Lots traded in a tick, 1 to 24, mostly few."""
    bits = draw(key, _TRADE, index)
    return 1 + (bits & 7) + (16 if bits >> 27 == 0 else 0)


@kernel
def quote(key: int, own: int, index: int, base: float, minute: float, swing: float, tick: float, size: int,
          out: npt.NDArray[np.int64]) -> bool:
    """Bid, ask (in order ticks), bid size, ask size into `out`; False in a halt, when there is none.

    One tick wide, one time in eight two; both sizes one to ten times `size`. Around halts 4 to 11 ticks wide, and after
    one a side may be empty. `own` is the key of the symbol's own book, `key` that of the path it shares.
    """
    near = near_halt(key, index)
    if near == 1:
        return False
    bits = draw(own, _QUOTE, index)
    width, shift = 1, 0
    if near >= 2:
        width = 4 + (bits & 7)
        shift = width // 2
    elif bits & 7 == 0:
        width = 2
        shift = (bits >> 3) & 1
    bid = math.floor(price(key, index, base, minute, swing) / tick) - shift
    more = mix(bits ^ 0x3C6EF372)
    out[0] = bid
    out[1] = bid + width
    out[2] = size + ((more & 0xFFFF) * 9 * size >> 16)
    out[3] = size + ((more >> 16) * 9 * size >> 16)
    if near == 3:
        if bits & 0x300 == 0:
            out[2] = 0
        if bits & 0xC00 == 0:
            out[3] = 0
    return True


@kernel
def bars(key: int, first: int, width: int, base: float, minute: float, swing: float, tick: float,
         out: npt.NDArray[np.int64]) -> None:
    """Open, high, low, close, volume (in order ticks) of each `width` ticks from `first` on, a row each.

    Ticks of a halt do not trade; a row without a trade has volume 0.
    """
    for row in range(out.shape[0]):
        traded = 0
        for index in range(first + row * width, first + (row + 1) * width):
            if near_halt(key, index) == 1:
                continue
            last = last_price(price(key, index, base, minute, swing), tick)
            if traded == 0:
                out[row, 0] = last
                out[row, 1] = last
                out[row, 2] = last
            elif last > out[row, 1]:
                out[row, 1] = last
            elif last < out[row, 2]:
                out[row, 2] = last
            out[row, 3] = last
            traded += volume(key, index)
        out[row, 4] = traded
