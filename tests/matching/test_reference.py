"""The core against the slow, plain matcher, on markets that nobody would think of."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.matching.bench import wide
from tests.matching.reference import Plain

from interlock.matching import BookOrder, Bracket, Filled, Market, Rules
from interlock.model.market import Bar, Provenance, Quote, Trade
from interlock.model.money import SECOND
from interlock.model.order import OrderType

PRICES = st.integers(90, 110)
STEPS = st.sampled_from([SECOND // 4, SECOND // 2, SECOND, 3 * SECOND, 7 * SECOND])
QUOTES = st.tuples(st.just("quote"), STEPS, PRICES, st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))
TRADES = st.tuples(st.just("trade"), STEPS, PRICES)
WAITS = st.tuples(st.just("wait"), STEPS)
BARS = st.tuples(st.just("bar"), st.lists(PRICES, min_size=4, max_size=4))
ORDERS = st.tuples(st.booleans(), st.sampled_from(["market", "limit", "stop"]), PRICES, st.integers(1, 9),
                   st.booleans())


class Both:
    """One order in the core and in the plain matcher."""

    def __init__(self, order, spread, size):
        is_buy, kind, price, quantity, is_exit = order
        self.plain = Plain(is_buy, kind, price, quantity, spread, size, is_exit)
        self.dues: list[int] = []
        self.market = Market(wide(spread, size), Rules(), self.dues.append)
        self.order = BookOrder(account="A", id="o", is_buy=is_buy, quantity=quantity, type=OrderType(kind), price=price,
                               is_exit=is_exit)
        self.ts = 0
        self.fills = []

    def pass_time(self, nanos):
        self.ts += nanos
        while self.dues and min(self.dues) <= self.ts:
            due = min(self.dues)
            self.dues.remove(due)
            self.market.tick(due)

    def arrive(self):
        self.market.add(self.order, self.ts)
        self.plain.arrive(self.ts)
        self.collect()

    def play(self, event):
        match event:
            case ("quote", after, bid, spread, bid_size, ask_size):
                self.pass_time(after)
                self.market.quote(Quote("W", bid, bid + spread, bid_size, ask_size, self.ts, self.ts,
                                        Provenance.SIMULATED), self.ts)
                bid, ask = self.one_sided(bid, bid + spread, bid_size, ask_size)
                self.plain.quote(self.ts, bid, ask, bid_size, ask_size)
            case ("trade", after, price):
                self.pass_time(after)
                self.market.trade(Trade("W", price, 1, self.ts, self.ts, Provenance.SIMULATED), self.ts)
                self.plain.trade(self.ts, price)
            case ("wait", after):
                self.pass_time(after)
                self.plain.wait(self.ts)
            case ("bar", (a, b, c, d)):
                begin, self.ts = self.ts, self.ts + 60 * SECOND
                high, low = max(a, b, c, d), min(a, b, c, d)
                self.market.bar(Bar("W", 60 * SECOND, a, high, low, d, 1, begin, self.ts, Provenance.PLAYBACK))
                self.plain.bar(self.ts, a, high, low, d)
        self.collect()

    def collect(self):
        self.fills += [(e.lots, e.price) for e in self.market.collect() if isinstance(e, Filled)]

    @staticmethod
    def one_sided(bid, ask, bid_size, ask_size):
        """One side alone has no spread."""
        return (bid if bid_size else ask), (ask if ask_size else bid)


@settings(max_examples=400, deadline=None)
@given(ORDERS, st.lists(QUOTES | TRADES | WAITS, max_size=4), st.lists(QUOTES | TRADES | WAITS, max_size=12))
def test_quotes_and_trades_fill_as_the_plain_matcher_fills(order, before, after):
    both = Both(order, 2, 5)
    for event in before:
        both.play(event)
    both.arrive()
    for event in after:
        both.play(event)

    assert both.fills == both.plain.fills
    assert both.order.remaining == both.plain.left


@settings(max_examples=400, deadline=None)
@given(ORDERS, st.lists(BARS, max_size=6), st.integers(1, 5), st.integers(1, 5))
def test_bars_fill_as_a_walk_tick_by_tick_fills(order, bars, spread, size):
    both = Both(order, spread, size)
    both.arrive()
    for event in bars:
        both.play(event)

    assert both.fills == both.plain.fills
    assert both.order.remaining == both.plain.left


@settings(max_examples=300, deadline=None)
@given(st.lists(QUOTES | TRADES | WAITS | BARS, max_size=20), st.integers(1, 9), PRICES, PRICES, st.sampled_from("ml"))
def test_a_bracket_never_crosses_zero_and_its_exits_are_as_large_as_the_position(events, quantity, stop, target, kind):
    ts = 0
    market = Market(wide(2, 4), Rules(), lambda due: None)
    entry = BookOrder(account="A", id="entry", is_buy=True, quantity=quantity, price=100,
                      type=OrderType.MARKET if kind == "m" else OrderType.LIMIT)
    exits = [BookOrder(account="A", id="stop", is_buy=False, quantity=quantity, type=OrderType.STOP, price=stop,
                       is_exit=True),
             BookOrder(account="A", id="target", is_buy=False, quantity=quantity, type=OrderType.LIMIT, price=target,
                       is_exit=True)]
    Bracket(entry, exits)
    for order in (*exits, entry):
        market.add(order, ts)

    position = 0
    for event in events:
        match event:
            case ("quote", after, bid, spread, bid_size, ask_size):
                ts += after
                market.quote(Quote("W", bid, bid + spread, bid_size, ask_size, ts, ts, Provenance.SIMULATED), ts)
            case ("trade", after, price):
                ts += after
                market.trade(Trade("W", price, 1, ts, ts, Provenance.SIMULATED), ts)
            case ("wait", after):
                ts += after
                market.tick(ts)
            case ("bar", (a, b, c, d)):
                begin, ts = ts, ts + 60 * SECOND
                market.bar(Bar("W", 60 * SECOND, a, max(a, b, c, d), min(a, b, c, d), d, 1, begin, ts,
                               Provenance.PLAYBACK))
        for happened in market.collect():
            if isinstance(happened, Filled):
                position += happened.lots if happened.order.is_buy else -happened.lots
                assert 0 <= position <= quantity
        assert market.positions.get("A", 0) == position
        live = {order.id: order.remaining for order in market.orders.values() if order.is_exit}
        if position:
            assert live == {"stop": position, "target": position}
        if entry.id not in {order.id for order in market.orders.values()} and position == 0:
            assert not market.orders
