"""The last word on each instrument, with its source and its age: fresh, or nothing."""

from collections.abc import Mapping

from msgspec import Struct

from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Quote, Trade
from interlock.model.money import Nanos
from interlock.model.playback import quote_of


class Held(Struct, frozen=True):
    """A message, the feed that brought it, and when it was received."""

    message: Quote | Trade | MarketState
    source: str
    ts_recv: Nanos

    def age(self, now: Nanos) -> Nanos:
        """Nanoseconds since it was received; negative when it is from the future."""
        return now - self.ts_recv


class MarketCache:
    """The last quote, trade and state per instrument.

    A message whose event or receipt time lies before the one held does not replace it: the held one stays and
    `backwards` counts it. A bar leaves the quote it implies. Crossed and non-positive quotes are held, as the last
    thing that was said, and are never fresh.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._quotes: dict[str, Held] = {}
        self._trades: dict[str, Held] = {}
        self._states: dict[str, Held] = {}
        self.backwards = 0

    def put(self, message: Bar | Quote | Trade | MarketState, source: str) -> bool:
        """Take a message; whether it was kept. Raises KeyError for a bar of an instrument that is not known here."""
        if isinstance(message, Bar):
            message = quote_of(message, self._instruments[message.instrument])
        if isinstance(message, Quote):
            held = self._quotes
        elif isinstance(message, Trade):
            held = self._trades
        else:
            held = self._states
        last = held.get(message.instrument)
        if last is not None and (message.ts_recv < last.ts_recv or message.ts_event < last.message.ts_event):
            self.backwards += 1
            return False
        held[message.instrument] = Held(message, source, message.ts_recv)
        return True

    def fresh(self, instrument: str, now: Nanos, max_age: Nanos) -> Quote | None:
        """The quote, if it can be judged upon at `now`; else None.

        A quote with `fresh_until` is fresh until then, any other while no older than `max_age`; one from the future is
        not fresh, and neither is a crossed one (bid above ask) nor one with a price of zero or below.
        """
        held = self._quotes.get(instrument)
        if held is None:
            return None
        quote = held.message
        assert isinstance(quote, Quote)
        if not 0 < quote.bid <= quote.ask:
            return None
        age = held.age(now)
        if age < 0:
            return None
        is_fresh = now <= quote.fresh_until if quote.fresh_until else age <= max_age
        return quote if is_fresh else None

    def quote(self, instrument: str) -> Held | None:
        """The last quote whatever its age or shape, or None."""
        return self._quotes.get(instrument)

    def trade(self, instrument: str) -> Held | None:
        """The last trade, or None."""
        return self._trades.get(instrument)

    def state(self, instrument: str) -> Held | None:
        """The last market state, or None, which counts as closed."""
        return self._states.get(instrument)
