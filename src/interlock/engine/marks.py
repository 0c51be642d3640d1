"""The market as the core last saw it: one quote per instrument, its state, how fresh it is, and where it has been lately."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Quote
from interlock.model.money import MINUTE, Nanos
from interlock.model.playback import quote_of
from interlock.model.view import Mark

BUCKETS: Final = 12
"""Parts of the window of prices. Whole ones leave it, so that it reaches back at most a twelfth further than asked."""

Bucket = tuple[int, int, int]
"""Number of the bucket, lowest and highest of twice the mid in it, in increments."""


class _State(Struct):
    quotes: dict[str, Quote]
    states: dict[str, MarketState]
    bars: dict[str, Bar]
    buckets: dict[str, list[Bucket]] = {}


class Marks:
    """Last quote, state and playback bar of every instrument. A playback bar implies its quote, made when it is asked for."""

    def __init__(self, instruments: Mapping[str, Instrument], window: Nanos = MINUTE) -> None:
        self._instruments = instruments
        self._quotes: dict[str, Quote] = {}
        self._states: dict[str, MarketState] = {}
        self._bars: dict[str, Bar] = {}
        self._window = window
        self._span: Nanos = max(1, window // BUCKETS)
        self._buckets: dict[str, list[Bucket]] = {}
        self.version = 0                   # moves with everything that is told

    def on_bar(self, bar: Bar) -> None:
        self.version += 1
        symbol = bar.instrument
        self._bars[symbol] = bar
        self._quotes.pop(symbol, None)
        # A bar that is longer than the window says where the market was too long ago; its close alone is of now.
        if bar.timeframe <= self._window:
            self._reach(symbol, bar.ts_known, 2 * bar.low, 2 * bar.high)
        else:
            self._reach(symbol, bar.ts_known, 2 * bar.close, 2 * bar.close)

    def on_quote(self, quote: Quote) -> None:
        self.version += 1
        self._quotes[quote.instrument] = quote
        twice = quote.bid + quote.ask
        self._reach(quote.instrument, quote.ts_recv, twice, twice)

    def on_state(self, state: MarketState) -> None:
        self.version += 1
        self._states[state.instrument] = state

    def latest(self) -> Iterator[Quote | Bar | MarketState]:
        """What was last seen of each instrument: its state, and its bar or quote."""
        yield from self._states.values()
        yield from self._bars.values()
        yield from (quote for symbol, quote in self._quotes.items() if symbol not in self._bars)

    def state(self, symbol: str) -> MarketState | None:
        """What the market last said of itself; None: nothing."""
        return self._states.get(symbol)

    def quote(self, symbol: str) -> Quote | None:
        quote = self._quotes.get(symbol)
        if quote is None and (bar := self._bars.get(symbol)) is not None:
            quote = self._quotes[symbol] = quote_of(bar, self._instruments[symbol])
        return quote

    def mark(self, symbol: str, *, is_session_open: bool) -> Mark | None:
        """The mark as prices. Open means that session and market state both say so; no state means the session decides."""
        quote = self.quote(symbol)
        if quote is None:
            return None
        state = self._states.get(symbol)
        instrument = self._instruments[symbol]
        return Mark(instrument=symbol, bid=instrument.price(quote.bid), ask=instrument.price(quote.ask),
                    bid_size=quote.bid_size, ask_size=quote.ask_size, ts_event=quote.ts_event, ts_recv=quote.ts_recv,
                    provenance=quote.provenance, quality=quote.quality, fresh_until=quote.fresh_until,
                    is_open=is_session_open and (state is None or state.is_open),
                    is_halted=state is not None and state.is_halted)

    def mid(self, symbol: str) -> tuple[Nanos, int] | None:
        """(time, bid + ask in increments): twice the mid, exact."""
        quote = self.quote(symbol)
        return None if quote is None else (quote.ts_recv, quote.bid + quote.ask)

    def window(self, symbol: str, now: Nanos) -> tuple[Decimal, Decimal] | None:
        """The lowest and the highest mid of the window that ends now, the price that stands now among them. None: nothing is
        known of the instrument."""
        mid = self.mid(symbol)
        if mid is None:
            return None
        low = high = mid[1]
        first = (now - self._window) // self._span
        for number, lowest, highest in self._buckets.get(symbol, ()):
            if number >= first:
                low, high = min(low, lowest), max(high, highest)
        increment = self._instruments[symbol].increment
        return increment * low / 2, increment * high / 2

    def _reach(self, symbol: str, ts: Nanos, low: int, high: int) -> None:
        number = ts // self._span
        buckets = self._buckets.get(symbol)
        if buckets is None:
            self._buckets[symbol] = [(number, low, high)]
            return
        last, lowest, highest = buckets[-1]
        if number > last:
            buckets.append((number, low, high))
            if len(buckets) > BUCKETS + 1:
                del buckets[0]
        elif low < lowest or high > highest:           # also where time was told out of order: better too wide than too narrow
            buckets[-1] = (last, min(low, lowest), max(high, highest))

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(_State(self._quotes, self._states, self._bars, self._buckets))

    def restore(self, body: bytes) -> None:
        state = msgspec.msgpack.decode(body, type=_State)
        self._quotes, self._states, self._bars = state.quotes, state.states, state.bars
        self._buckets = state.buckets
        self.version += 1
