"""The market that is there when no other is: quotes, halts and bars by seed, the same whenever they are asked for."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Final, NamedTuple

import numpy as np

from interlock.errors import InputError
from interlock.feeds.simulated import path
from interlock.feeds.simulated.levels import Level, level_of
from interlock.feeds.simulated.path import AFTER_HALT, BEFORE_HALT, TICK_NS
from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Provenance, Quality, Quote, Trade
from interlock.model.money import MINUTE, Nanos

_ROWS: Final = 1_440


class _Line(NamedTuple):
    """What the kernels need of one instrument: the key of its underlying's path, that of its own book, its scale."""

    key: int
    own: int
    level: Level
    tick: float
    increments: int
    size: int


class SimulatedMarket:
    """A pure function of (seed, instrument, tick index), where the tick index is the engine time // 500 ms.

    Instruments of one parent share a path and its halts, each with a book of its own. It never closes. Outside halts
    every tick has a two-sided quote of tradable size; wide spreads and empty sides occur only in the seconds around.
    """

    def __init__(self, seed: int, instruments: Sequence[Instrument]) -> None:
        self.seed = seed
        self.symbols: Sequence[str] = tuple(sorted(instrument.symbol for instrument in instruments))
        self._lines = {instrument.symbol: _Line(
            _key(seed, "path", instrument.parent), _key(seed, "book", instrument.symbol), level_of(instrument),
            float(instrument.tick), instrument.tick_increments, instrument.quote_size) for instrument in instruments}
        self._out = np.zeros(4, np.int64)

    def quote(self, instrument: str, index: int) -> Quote | None:
        """The quote of one tick; None in a halt."""
        line = self._line(instrument)
        out = self._out
        if not path.quote(line.key, line.own, index, *line.level, line.tick, line.size, out):
            return None
        bid, ask, bid_size, ask_size = out.tolist()
        ts = index * TICK_NS
        return Quote(instrument, bid * line.increments, ask * line.increments, bid_size, ask_size, ts, ts,
                     Provenance.SIMULATED)

    def trade(self, instrument: str, index: int) -> Trade | None:
        """What traded in one tick, as the bars count it; None in a halt."""
        line = self._line(instrument)
        if path.near_halt(line.key, index) == 1:
            return None
        last = path.last_price(path.price(line.key, index, *line.level), line.tick)
        ts = index * TICK_NS
        return Trade(instrument, last * line.increments, path.volume(line.key, index), ts, ts, Provenance.SIMULATED)

    def state(self, instrument: str, index: int) -> MarketState:
        """Whether it trades at that tick."""
        ts = index * TICK_NS
        return MarketState(instrument, True, path.near_halt(self._line(instrument).key, index) == 1, ts, ts)

    def halts(self, instrument: str, start: Nanos, end: Nanos) -> list[tuple[Nanos, Nanos]]:
        """The halts that overlap [start, end), each as [first tick without a quote, first tick with one again)."""
        return self._halts(instrument, start, end, 0, 0)

    def disturbed(self, instrument: str, start: Nanos, end: Nanos) -> list[tuple[Nanos, Nanos]]:
        """The halts with the seconds around them in which spreads are wide and sides may be empty."""
        return self._halts(instrument, start, end, BEFORE_HALT * TICK_NS, AFTER_HALT * TICK_NS)

    def bars(self, instrument: str, timeframe: Nanos, start: Nanos, end: Nanos) -> Iterator[Bar]:
        """The final bars that lie wholly within [start, end); none for a window that lies wholly within a halt.

        They are what traded: the order tick nearest to the path at each tick outside halts.
        """
        line = self._line(instrument)
        if timeframe <= 0 or timeframe % TICK_NS:
            raise InputError(f"a simulated bar lasts a multiple of {TICK_NS} ns, found {timeframe}")
        width = timeframe // TICK_NS
        ts = -(-start // timeframe) * timeframe
        rows = max(1, min(_ROWS, _ROWS * 120 // width))
        while (left := (end - ts) // timeframe) > 0:
            out = np.zeros((min(rows, left), 5), np.int64)
            path.bars(line.key, ts // TICK_NS, width, *line.level, line.tick, out)
            starts = ts + timeframe * np.arange(len(out), dtype=np.int64)
            traded = out[:, 4] > 0
            prices = (out[traded, :4] * line.increments).T.tolist()
            yield from map(Bar, repeat(instrument), repeat(timeframe), *prices, out[traded, 4].tolist(),
                           starts[traded].tolist(), (starts[traded] + timeframe).tolist(), repeat(Provenance.SIMULATED),
                           repeat(Quality.OK))
            ts += timeframe * len(out)

    def messages(self, instruments: Sequence[str], start: Nanos, end: Nanos) -> Iterator[Bar | Quote | MarketState]:
        """All that becomes known in [start, end), in the order (time, instrument); of one instrument at one time
        the bar of the minute that has just ended, the state where it changed (and at the first tick), the quote.
        """
        order = sorted(instruments)
        halted: dict[str, bool] = {}
        for index in range(-(-start // TICK_NS), -(-end // TICK_NS)):
            ts = index * TICK_NS
            for instrument in order:
                if ts % MINUTE == 0:
                    yield from self.bars(instrument, MINUTE, ts - MINUTE, ts)
                quote = self.quote(instrument, index)
                if halted.get(instrument) is not (quote is None):
                    halted[instrument] = quote is None
                    yield MarketState(instrument, True, quote is None, ts, ts)
                if quote is not None:
                    yield quote

    def _halts(self, instrument: str, start: Nanos, end: Nanos, before: Nanos,
               after: Nanos) -> list[tuple[Nanos, Nanos]]:
        key = self._line(instrument).key
        slots = range((start - after) // (path.HALT_SLOT * TICK_NS), (end + before) // (path.HALT_SLOT * TICK_NS) + 1)
        spans = [(path.halt_start(key, slot) * TICK_NS - before, path.halt_end(key, slot) * TICK_NS + after)
                 for slot in slots]
        return [(first, last) for first, last in spans if first < end and last > start]

    def _line(self, instrument: str) -> _Line:
        try:
            return self._lines[instrument]
        except KeyError:
            raise InputError(f"{instrument} is not simulated; expected one of {', '.join(self.symbols)}") from None


def _key(seed: int, *parts: str) -> int:
    """62 bits of a hash of its parts."""
    text = "\0".join((str(seed), *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2
