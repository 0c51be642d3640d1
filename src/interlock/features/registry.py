"""Every feature by its name: which kernel, with which numbers, in which unit, warm after how many bars.

A name is a family and its periods: `ema_20`, `atr_14`, `cross_9_20`. A few have a second, shorter name.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from interlock.errors import InputError
from interlock.features import momentum
from interlock.model import kernels

PERIOD_MAX: Final = 1000
TRAJECTORY_MAX: Final = 100
"""Keeps the exact sums of a trajectory below 2**63 for moves of up to 2**24 increments within its window."""


@dataclass(frozen=True)
class Family:
    """A kernel and how it is called. `inputs` are words of the bar or names of other features, with {0} the period."""

    kernel: Callable[..., Any]
    state: Callable[..., np.dtype[Any]]
    inputs: tuple[str, ...]
    parameters: int                    # how many numbers the name carries
    takes_parameters: bool             # whether the kernel itself is handed them
    smallest: int
    unit: str                          # px: a price, converted from increments once; else a pure number or percent
    warmup: Callable[..., int]         # bars, the one that gives the first value included
    meaning: str
    source: str
    field: str = ""                    # a further output of the kernel's record; "" is its result
    largest: int = PERIOD_MAX


def _trajectory(field: str, meaning: str) -> Family:
    return Family(momentum.trajectory, momentum.trajectory_state, ("close", "atr_14"), 1, True, 4,
                  "ratio", lambda n: max(n, 15), meaning, "ordinary least squares", field, TRAJECTORY_MAX)


FAMILIES: Final[dict[str, Family]] = {
    "ema": Family(kernels.ema, lambda _: kernels.EMA, ("float(close)",), 1, True, 1, "px", lambda n: n,
                  "exponential mean of closes, seeded by a plain mean", "TA-Lib EMA"),
    "atr": Family(kernels.atr, lambda _: kernels.ATR, ("high", "low", "close"), 1, True, 1, "px", lambda n: n + 1,
                  "average true range, Wilder's smoothing", "Wilder 1978"),
    "rsi": Family(momentum.rsi, lambda _: momentum.RSI, ("close",), 1, True, 1, "percent", lambda n: n + 1,
                  "relative strength index, Wilder's smoothing", "Wilder 1978"),
    "cross": Family(momentum.cross, lambda *_: momentum.CROSS, ("ema_{0}", "ema_{1}"), 2, False, 1, "sign",
                    lambda fast, slow: max(fast, slow),
                    "1 where the faster mean has just risen above the slower, -1 mirrored", "two exponential means"),
    "trajectory": _trajectory("", "slope of the last closes in average ranges"),
    "trajectory_first": _trajectory("first", "the same of the older half of the window"),
    "trajectory_second": _trajectory("second", "the same of the newer half of the window"),
    "trajectory_r2": _trajectory("r2", "share of the variance of the closes that the line explains"),
}

ALIASES: Final = {
    "ema_fast": "ema_9", "ema_slow": "ema_20", "atr": "atr_14", "rsi": "rsi_14", "trajectory": "trajectory_20",
    "trajectory_first": "trajectory_first_20", "trajectory_second": "trajectory_second_20",
    "trajectory_r2": "trajectory_r2_20",
}


@dataclass(frozen=True)
class Feature:
    """One column's definition. Columns with equal `instance` share one record and are stepped once."""

    name: str
    family: Family
    periods: tuple[int, ...]
    instance: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """The kernel's inputs: expressions over the bar, or names of other features."""
        return tuple(text.format(*self.periods) for text in self.family.inputs)

    @property
    def unit(self) -> str:
        return self.family.unit

    @property
    def warmup(self) -> int:
        """Bars until the first value, that bar included."""
        return self.family.warmup(*self.periods)

    @property
    def meaning(self) -> str:
        return self.family.meaning


def feature(name: str) -> Feature:
    """The definition of a feature by its name. Raises InputError for a name that is none, with the nearest that is.

    >>> feature("atr").instance, feature("atr").warmup, feature("ema_20").unit
    ('atr_14', 15, 'px')
    """
    match = re.fullmatch(r"([a-z]+(?:_[a-z][a-z0-9]*)?)((?:_[0-9]+)*)", ALIASES.get(name, name))
    family = FAMILIES.get(match[1]) if match else None
    if match is None or family is None:
        near = difflib.get_close_matches(name, [*ALIASES, *(f"{known}_20" for known in FAMILIES)], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"no feature is named {name!r}{hint} (families: {', '.join(FAMILIES)})")
    periods = tuple(int(part) for part in match[2].split("_")[1:])
    if len(periods) != family.parameters or not all(family.smallest <= n <= family.largest for n in periods):
        raise InputError(
            f"feature {name!r}: expected {family.parameters} period(s) from {family.smallest} to {family.largest}")
    stem = match[1].split("_")[0] if family.field else match[1]
    return Feature(name, family, periods, "_".join([stem, *map(str, periods)]))
