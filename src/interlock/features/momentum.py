"""How strongly and how straight price has moved: relative strength, trajectory, and the crossing of two means."""

from math import nan, sqrt
from typing import Any, Final

import numpy as np

from interlock.model.kernels import WILDER, Record, kernel, wilder_mean

RSI: Final = np.dtype([("seen", "?"), ("close", "i8"), ("gain", WILDER), ("loss", WILDER)])
CROSS: Final = np.dtype([("sign", "i8")])


def trajectory_state(n: int) -> np.dtype[Any]:
    """The record of a trajectory over `n` closes."""
    return np.dtype([("count", "i8"), ("closes", "i8", (n,)), ("first", "f8"), ("second", "f8"), ("r2", "f8")])


@kernel
def rsi(s: Record, close: int, period: int) -> float:
    """Relative strength index of closing prices, Wilder's smoothing.

    Input:   the close of one finished bar per step, int64 increments, oldest first.
    Output:  percent in [0, 100]; nan for the first `period` bars; 50 while no price moves.
    Cost:    O(1).
    Source:  J. W. Wilder, New Concepts in Technical Trading Systems, 1978.
             Cutler's variant (a plain moving mean) gives other numbers.

    >>> state = np.zeros(1, RSI)[0]
    >>> [float(rsi(state, close, 2)) for close in (10, 11, 10, 12)]
    [nan, nan, 50.0, 83.33333333333333]
    """
    if not s["seen"]:
        s["seen"] = True
        s["close"] = close
        return nan
    change = close - s["close"]
    s["close"] = close
    gain = wilder_mean(s["gain"], float(max(change, 0)), period)
    loss = wilder_mean(s["loss"], float(max(-change, 0)), period)
    if gain != gain:
        return nan
    total = gain + loss
    if total == 0.0:
        return 50.0
    return 100.0 * gain / total


@kernel
def lift(closes: Record, start: int, first: int, n: int) -> int:
    """Twice the sum of products of a least-squares line through `n` closes of a ring, from place `first` of the window.

    The sum over i of (2i - n + 1) * close is an exact integer; the weights add up to zero, so closes count from the
    first one and stay small.
    """
    size = len(closes)
    at = (start + first) % size
    base = closes[at]
    total = 0
    for i in range(n):
        total += (2 * i - n + 1) * (closes[at] - base)
        at += 1
        if at == size:
            at = 0
    return total


@kernel
def steepness(lifted: int, average_range: float, n: int) -> float:
    """A slope in average ranges: what the line climbs over `n` bars by what chance would climb (the root of n - 1)."""
    if average_range == 0.0:
        return 0.0
    slope = 6.0 * lifted / (n * (n * n - 1))
    return slope * (n - 1) / (average_range * sqrt(float(n - 1)))


@kernel
def trajectory(s: Record, close: int, average_range: float, n: int) -> float:
    """How steeply the last `n` closes rise, measured by a least-squares line in units of the average true range.

    Input:   the close of one finished bar per step and the average true range at that bar, both in increments.
    Output:  the line's rise over the window divided by (range * sqrt(n - 1)); nan until `n` closes and the range are
             known; 0 where the range is 0. Further outputs: `first` and `second`, the same measure of the two half
             windows of n // 2 closes; `r2`, the share of the variance that the line explains, 0 while no price moves.
    Cost:    O(n), recomputed from the ring at each step.
    Source:  ordinary least squares on the bar number; sums of integers are exact, hence free of drift.

    >>> state = np.zeros(1, trajectory_state(4))[0]
    >>> [round(float(trajectory(state, close, 2.0, 4)), 6) for close in (10, 12, 14, 16)]
    [nan, nan, nan, 1.732051]
    >>> float(state["first"]), float(state["r2"])
    (1.0, 1.0)
    """
    s["closes"][s["count"] % n] = close
    s["count"] += 1
    s["first"] = nan
    s["second"] = nan
    s["r2"] = nan
    if s["count"] < n or average_range != average_range:
        return nan
    closes = s["closes"]
    start = s["count"] % n             # the oldest
    half = n // 2
    whole = lift(closes, start, 0, n)
    s["first"] = steepness(lift(closes, start, 0, half), average_range, half)
    s["second"] = steepness(lift(closes, start, n - half, half), average_range, half)
    base = closes[start]
    total, squares = 0, 0
    for close_at in closes:            # sums of integers: the order does not matter
        distance = close_at - base
        total += distance
        squares += distance * distance
    spread = n * squares - total * total
    if spread == 0:
        s["r2"] = 0.0
    else:
        s["r2"] = 3.0 * float(whole) * float(whole) / (float(n * n - 1) * float(spread))
    return steepness(whole, average_range, n)


@kernel
def cross(s: Record, fast: float, slow: float) -> float:
    """Whether the fast mean has just crossed the slow one.

    Input:   two means in the same unit.
    Output:  1 on the bar where fast first stands above slow after having stood below, -1 mirrored, else 0; nan until
             both are known. Being equal is no side: it neither crosses nor forgets the side before.
    Cost:    O(1).

    >>> state = np.zeros(1, CROSS)[0]
    >>> [float(cross(state, fast, 5.0)) for fast in (4.0, 5.0, 6.0, 7.0, 4.0)]
    [0.0, 0.0, 1.0, 0.0, -1.0]
    """
    if fast != fast or slow != slow:
        return nan
    before = s["sign"]
    if fast > slow:
        s["sign"] = 1
    elif fast < slow:
        s["sign"] = -1
    if before == 0 or s["sign"] == before:
        return 0.0
    return float(s["sign"])
