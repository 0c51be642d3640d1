"""The market as the core last saw it: one quote per instrument, its state, and how fresh it is."""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Quote
from interlock.model.money import Nanos
from interlock.model.playback import quote_of
from interlock.model.view import Mark


class _State(Struct):
    quotes: dict[str, Quote]
    states: dict[str, MarketState]
    bars: dict[str, Bar]


class Marks:
    """Last quote, state and playback bar of every instrument. A playback bar implies its quote, made when it is asked for."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._quotes: dict[str, Quote] = {}
        self._states: dict[str, MarketState] = {}
        self._bars: dict[str, Bar] = {}

    def on_bar(self, bar: Bar) -> None:
        self._bars[bar.instrument] = bar
        self._quotes.pop(bar.instrument, None)

    def on_quote(self, quote: Quote) -> None:
        self._quotes[quote.instrument] = quote

    def on_state(self, state: MarketState) -> None:
        self._states[state.instrument] = state

    def latest(self) -> Iterator[Quote | Bar | MarketState]:
        """What was last seen of each instrument: its state, and its bar or quote."""
        yield from self._states.values()
        yield from self._bars.values()
        yield from (quote for symbol, quote in self._quotes.items() if symbol not in self._bars)

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

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(_State(self._quotes, self._states, self._bars))

    def restore(self, body: bytes) -> None:
        state = msgspec.msgpack.decode(body, type=_State)
        self._quotes, self._states, self._bars = state.quotes, state.states, state.bars
