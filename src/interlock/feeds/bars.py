"""Bars from trades, causally: a bar is finished by the first print after its end or by the clock, never by a guess."""

from interlock.model.market import Bar, Provenance
from interlock.model.money import MINUTE, Nanos


class BarBuilder:
    """Collects the prints of one instrument into bars that start at whole multiples of the timeframe.

    A window without a print gives no bar. A print from before the open window, or from before the end of the last
    finished bar, changes nothing and is counted in `late`.
    """

    __slots__ = ("_close", "_end", "_floor", "_high", "_is_open", "_low", "_open", "_volume", "instrument", "late",
                 "provenance", "timeframe")

    def __init__(self, instrument: str, provenance: Provenance, timeframe: Nanos = MINUTE) -> None:
        self.instrument = instrument
        self.provenance = provenance
        self.timeframe = timeframe
        self.late = 0
        self._is_open = False
        self._floor: Nanos = -(1 << 63)
        self._end: Nanos = 0
        self._open = self._high = self._low = self._close = self._volume = 0

    def add(self, ts: Nanos, price: int, size: int) -> Bar | None:
        """Take one print; the finished bar, if this print is the first one after its end."""
        if ts < self._floor:
            self.late += 1
            return None
        if self._is_open and ts < self._end:
            if price > self._high:
                self._high = price
            elif price < self._low:
                self._low = price
            self._close = price
            self._volume += size
            return None
        finished = self._bar() if self._is_open else None
        self._floor = ts - ts % self.timeframe
        self._end = self._floor + self.timeframe
        self._open = self._high = self._low = self._close = price
        self._volume = size
        self._is_open = True
        return finished

    def finish(self, now: Nanos) -> Bar | None:
        """The open bar, if its end has come by `now`."""
        if not self._is_open or now < self._end:
            return None
        self._is_open = False
        self._floor = self._end
        return self._bar()

    def _bar(self) -> Bar:
        return Bar(self.instrument, self.timeframe, self._open, self._high, self._low, self._close, self._volume,
                   self._end - self.timeframe, self._end, self.provenance)
