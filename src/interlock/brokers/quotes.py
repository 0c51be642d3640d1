"""SafeBroker's own memory of the market: the last quote of each instrument, kept apart from the engine's."""

from collections.abc import Mapping

from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Proof, Quote, Trade
from interlock.model.playback import quote_of

MarketInput = Quote | Trade | MarketState | Proof | Bar


class QuoteCache:
    """Last quote (or finished bar) and market state per instrument. A bar becomes a quote when somebody asks."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._latest: dict[str, Quote | Bar] = {}
        self._states: dict[str, MarketState] = {}

    def on_market(self, message: MarketInput) -> None:
        if isinstance(message, Quote | Bar):
            self._latest[message.instrument] = message
        elif isinstance(message, MarketState):
            self._states[message.instrument] = message

    def quote(self, symbol: str) -> Quote | None:
        latest = self._latest.get(symbol)
        if isinstance(latest, Bar):
            instrument = self._instruments.get(symbol)
            if instrument is None:
                return None
            latest = self._latest[symbol] = quote_of(latest, instrument)
        return latest

    def is_shut(self, symbol: str) -> bool:
        """Whether the market has said that it is closed or halted. One that says nothing is judged by its quotes."""
        state = self._states.get(symbol)
        return state is not None and (state.is_halted or not state.is_open)
