"""A market of one instrument, moved by hand. Prices are ticks; ES has one increment per tick."""

from decimal import Decimal

from interlock.matching import BookOrder, Bracket, Ended, Filled, Market, Resized, Rules
from interlock.model.instrument import Instrument, Kind
from interlock.model.market import Bar, Provenance, Quote, Trade
from interlock.model.money import MINUTE, SECOND
from interlock.model.order import OrderType


class Bench:
    """Shorthand around one Market."""

    def __init__(self, instrument: Instrument, rules: Rules) -> None:
        self.wakes: list[int] = []
        self.market = Market(instrument, rules, self.wakes.append)
        self.instrument = instrument
        self.ts = 0
        self.count = 0

    def order(self, side, quantity, kind="market", price=0, **more) -> BookOrder:
        self.count += 1
        return BookOrder(account=more.pop("account", "A"), id=more.pop("id", f"o{self.count}"), is_buy=side == "buy",
                         quantity=quantity, type=OrderType(kind), price=price, sequence=self.count, **more)

    def add(self, *args, **more) -> BookOrder:
        order = self.order(*args, **more)
        self.market.add(order, self.ts)
        return order

    def bracket(self, parent: BookOrder, *children: BookOrder) -> Bracket:
        bracket = Bracket(parent, list(children))
        for order in (*children, parent):
            self.market.add(order, self.ts)
        return bracket

    def quote(self, bid, ask, bid_size=50, ask_size=50, after=SECOND // 2, fresh_until=0):
        self.ts += after
        self.market.quote(Quote(self.instrument.symbol, bid, ask, bid_size, ask_size, self.ts, self.ts,
                                Provenance.SIMULATED, fresh_until=fresh_until), self.ts)
        return self.fills()

    def trade(self, price, size=1, after=SECOND // 10):
        self.ts += after
        self.market.trade(Trade(self.instrument.symbol, price, size, self.ts, self.ts, Provenance.SIMULATED), self.ts)
        return self.fills()

    def bar(self, open, high, low, close, **more):
        self.ts += MINUTE
        begin = self.ts - MINUTE
        self.market.bar(Bar(self.instrument.symbol, MINUTE, open, high, low, close, 100, begin, self.ts,
                            Provenance.PLAYBACK, **more))
        return self.fills()

    def tick(self, after):
        self.ts += after
        self.market.tick(self.ts)
        return self.fills()

    def events(self):
        return self.market.collect()

    def fills(self):
        """(id, lots, price) of the fills since the last look."""
        self.seen = self.market.collect()
        return [(e.order.id, e.lots, e.price) for e in self.seen if isinstance(e, Filled)]

    @property
    def ended(self):
        return [(e.order.id, e.outcome.value) for e in self.seen if isinstance(e, Ended)]

    @property
    def resized(self):
        return [(e.order.id, e.order.quantity) for e in self.seen if isinstance(e, Resized)]


def wide(spread_ticks: int = 4, quote_size: int = 50, tick: str = "1", increment: str = "1") -> Instrument:
    return Instrument(symbol="W", exchange="X", kind=Kind.FUTURE, increment=Decimal(increment), tick=Decimal(tick),
                      multiplier=Decimal(1), calendar="c", parent="W", spread_ticks=spread_ticks, quote_size=quote_size)
