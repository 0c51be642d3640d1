"""A feature table: the columns that are asked for, fused into one compiled step over one flat record.

The step's text is written from the registry, so that history is the same step in a loop and a snapshot is the record.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from interlock.errors import InputError
from interlock.features import momentum, registry
from interlock.features.registry import Feature, feature
from interlock.model import kernels
from interlock.model.features import Columns, FeatureRow
from interlock.model.instrument import Instrument
from interlock.model.kernels import compiled, freeze, header, kernel, source_of, thaw
from interlock.model.market import Bar, Quality
from interlock.model.money import Nanos

SOURCE: Final = source_of(kernels, momentum, registry)

_HEAD: Final = [("n_steps", "i8"), ("ts_event", "i8"), ("ts_known", "i8"), ("quality", "i8"), ("ready", "i8")]
_QUALITIES: Final = tuple(Quality)
_STEP: Final = """\
def step(raw, ts_event, ts_known, quality, high, low, close):
    s = raw.view(RECORD)[0]
    s["n_steps"] += 1
    s["ts_event"] = ts_event
    s["ts_known"] = ts_known
    s["quality"] = quality
    out = s["out"]
    ready = 0
{body}
    s["ready"] = ready
    return ready
"""
_RUN: Final = """\
def run(raw, ts_event, ts_known, quality, high, low, close, values, ready):
    out = raw.view(RECORD)[0]["out"]
    for i in range(len(close)):
        ready[i] = step(raw, ts_event[i], ts_known[i], quality[i], high[i], low[i], close[i])
        for j in range(len(out)):
            values[i, j] = out[j]
"""


_COMPILED: Final[dict[str, tuple[Callable[..., int], Callable[..., None]]]] = {}
"""Steps by the hash of all they are made of: tables of one make share their code."""


class History(NamedTuple):
    """The inputs of many bars, oldest first: int64 arrays of equal length, prices in increments."""

    ts_event: NDArray[np.int64]
    ts_known: NDArray[np.int64]
    quality: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]

    @staticmethod
    def of(bars: Sequence[Bar]) -> "History":
        """The same of bars."""
        fields = ("ts_event", "ts_known", "quality", "high", "low", "close")
        return History(*(np.array([getattr(bar, name) for bar in bars], dtype=np.int64) for name in fields))


class FeatureTable:
    """The columns `names` of one instrument and bar length, stepped bar by bar.

    Raises InputError for an unknown name, and in `step` for a bar of something else or from the past.
    Cost: one compiled call per bar; the state is one record of a few hundred bytes.
    """

    def __init__(self, instrument: Instrument, timeframe_ns: Nanos, names: Sequence[str]) -> None:
        self.instrument = instrument
        self.timeframe = timeframe_ns
        self.columns = Columns(tuple(names))
        self.features = tuple(feature(name) for name in names)
        instances = _in_order(self.features)
        self.dtype = np.dtype([*_HEAD, ("out", "f8", (len(names),)),
                               *((each.instance, each.family.state(*each.periods)) for each in instances)])
        text = _STEP.format(body=_body(self.features, instances, float(instrument.increment)))
        self._step, self._run = _compile(text, self.dtype)
        params = f"{instrument.symbol} {timeframe_ns} {','.join(names)}\n{text}"
        self._header = header("features", SOURCE, params, self.dtype)
        self._state = np.zeros(1, self.dtype)
        self._raw = self._state.view(np.uint8)      # what compiled code is handed: its type is told at a glance
        self._out: NDArray[np.float64] = self._state["out"][0]
        self._symbol = instrument.symbol
        self._ts_event = -1

    def step(self, bar: Bar) -> FeatureRow:
        """Fold one finished bar and say what is known after it. A row always leaves."""
        if bar.instrument != self._symbol or bar.timeframe != self.timeframe:
            raise InputError(f"features of {self._symbol}, {self.timeframe} ns: "
                             f"found a bar of {bar.instrument}, {bar.timeframe} ns")
        ts_event, ts_known, quality = bar.ts_event, bar.ts_known, bar.quality
        if ts_event <= self._ts_event:
            raise InputError(f"features of {self._symbol}: a bar at {ts_event} after the bar at {self._ts_event}")
        self._ts_event = ts_event
        ready = self._step(self._raw, ts_event, ts_known, int(quality), bar.high, bar.low, bar.close)
        return FeatureRow(self.columns, self._symbol, self.timeframe, ts_event, ts_known, int(ready), quality,
                          self._out.tolist())

    @property
    def row(self) -> FeatureRow | None:
        """The row of the last bar, None before the first."""
        s = self._state[0]
        if not s["n_steps"]:
            return None
        return FeatureRow(self.columns, self._symbol, self.timeframe, int(s["ts_event"]), int(s["ts_known"]),
                          int(s["ready"]), _QUALITIES[int(s["quality"])], self._out.tolist())

    @property
    def n_steps(self) -> int:
        return int(self._state[0]["n_steps"])

    def run(self, history: History) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Fold many bars at once: the same step in a compiled loop.

        Returns values (bars, columns) float64, oldest row first, and the ready bits (bars,) int64.
        """
        n = len(history.close)
        values = np.empty((n, len(self.columns.names)), dtype=np.float64)
        ready = np.empty(n, dtype=np.int64)
        if not n:
            return values, ready
        if any(len(column) != n for column in history):
            lengths = [len(column) for column in history]
            raise InputError(f"features of {self._symbol}: history columns of different lengths {lengths}")
        if history.ts_event[0] <= self._ts_event or bool(np.any(np.diff(history.ts_event) <= 0)):
            raise InputError(f"features of {self._symbol}: the history's bars do not follow each other")
        self._run(self._raw, *history, values, ready)
        self._ts_event = int(history.ts_event[-1])
        return values, ready

    def snapshot(self) -> bytes:
        """Header, raw bytes and CRC32 of the record."""
        return freeze(self._header, self.n_steps, self._state)

    def restore(self, raw: bytes) -> None:
        """Put a snapshot back. Raises InputError naming what differs, and leaves the table as it was."""
        thaw(self._header, raw, self._state)
        self._ts_event = int(self._state[0]["ts_event"]) if self.n_steps else -1


def _in_order(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Each record once, those that another one reads before it."""
    found: dict[str, Feature] = {}

    def add(each: Feature) -> None:
        for text in each.inputs:
            if _is_name(text):
                add(feature(text))
        found.setdefault(each.instance, each)

    for each in features:
        add(each)
    return tuple(found.values())


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[a-z]+(_[0-9]+)+", text) is not None


def _body(features: Sequence[Feature], instances: Sequence[Feature], increment: float) -> str:
    lines = []
    for each in instances:
        inputs = [*each.inputs, *(map(str, each.periods) if each.family.takes_parameters else ())]
        call = f'{each.family.kernel.__name__}(s["{each.instance}"], {", ".join(inputs)})'
        lines.append(f"{each.instance} = {call}")
    for position, each in enumerate(features):
        value = f's["{each.instance}"]["{each.family.field}"]' if each.family.field else each.instance
        lines += [f"value = {value} * {increment!r}" if each.unit == "px" else f"value = {value}",
                  f"out[{position}] = value", "if value == value:", f"    ready |= {1 << position}"]
    return "\n".join(f"    {line}" for line in lines)


def _compile(text: str, dtype: np.dtype[Any]) -> tuple[Callable[..., int], Callable[..., None]]:
    """The step and the loop over it. They are given this file's name, under which compiled code is kept on disk."""
    source = source_of(SOURCE, text, _RUN, repr(dtype.descr))
    if source in _COMPILED:
        return _COMPILED[source]
    names: dict[str, Any] = {"__name__": __name__, "RECORD": dtype}
    names.update({family.kernel.__name__: family.kernel for family in registry.FAMILIES.values()})
    exec(compile(text, __file__, "exec"), names)
    plain = names["step"]
    step = compiled(plain, source)
    names["step"] = kernel(plain) if step is not plain else plain
    exec(compile(_RUN, __file__, "exec"), names)
    _COMPILED[source] = step, compiled(names["run"], source)
    return _COMPILED[source]
