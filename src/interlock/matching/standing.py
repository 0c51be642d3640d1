"""The quote that stands: what a taker would meet now, how long it counts, and how much of it each account has used."""

from interlock.model.instrument import Instrument
from interlock.model.market import Bar, Quote
from interlock.model.money import Nanos
from interlock.model.playback import quote_of


class Standing:
    """One instrument's best bid and offer. A side without size is no price."""

    def __init__(self, instrument: Instrument, age_max: Nanos) -> None:
        self.bid = self.ask = self.bid_size = self.ask_size = 0
        self.fresh_until: Nanos = 0
        self._instrument, self._age_max = instrument, age_max
        self._tick = instrument.tick_increments
        self._bar: Bar | None = None               # whose closing quote nobody has asked for yet
        self._implied: int | None = None           # the point of a bar's path that the quote stands for
        self._used: dict[tuple[str, bool], int] = {}

    def look(self, message: Quote | Bar) -> None:
        """A new quote, or a bar that implies one."""
        self._used.clear()
        if isinstance(message, Bar):
            self._bar = message
        else:
            self._bar = None
            self._see(message)

    def settle(self) -> None:
        """Work out the closing quote of the last bar, unless that has been done."""
        if self._bar is not None:
            bar, self._bar = self._bar, None
            self._see(quote_of(bar, self._instrument))

    def imply(self, price: int) -> None:
        """The quote around a point of a bar's path. Its size is new when the price is."""
        tick = self._tick
        spread = max(1, self._instrument.spread_ticks)
        self._bar = None                           # the path quotes from here on, not the close before it
        self.bid = price - price % tick - spread // 2 * tick
        self.ask = self.bid + spread * tick
        self.bid_size = self.ask_size = self._instrument.quote_size
        if price != self._implied:
            self._implied = price
            self._used.clear()

    def imply_close(self, bar: Bar) -> None:
        """The closing quote of the bar, at the end of its path."""
        if bar.close != self._implied:
            self._used.clear()
        self._implied = None
        self._see(quote_of(bar, self._instrument))

    def forget(self) -> None:
        self._bar = None
        self.bid_size = self.ask_size = 0

    def opposite(self, is_buy: bool) -> tuple[int, int]:
        """Price and size that a buyer (or else a seller) meets."""
        return (self.ask, self.ask_size) if is_buy else (self.bid, self.bid_size)

    def use(self, account: str, is_buy: bool, lots: int) -> int:
        """Take up to `lots` of the side for the account; how many there were. Accounts do not take from each other."""
        size = self.ask_size if is_buy else self.bid_size
        used = self._used.get((account, is_buy), 0)
        taken = max(min(lots, size - used), 0)
        self._used[account, is_buy] = used + taken
        return taken

    def _see(self, quote: Quote) -> None:
        is_usable = quote.bid <= quote.ask or not (quote.bid_size and quote.ask_size)      # crossed is no price
        self.bid, self.ask = quote.bid, quote.ask
        self.bid_size = quote.bid_size if is_usable else 0
        self.ask_size = quote.ask_size if is_usable else 0
        self.fresh_until = quote.fresh_until or quote.ts_recv + self._age_max
