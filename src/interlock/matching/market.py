"""One instrument's book: what rests, what the market did, what filled.

A limit fills when a trade goes through it, or when the opposite quote has stood at it for a while with enough size;
a marketable order pays the opposite quote and a part of the spread; a stop fills at the first opposite quote after its
trigger.
Every account meets the whole market by itself: orders of one account never use up the size that another one sees.
"""

from collections.abc import Callable

from interlock.matching.order import LIMIT, MARKET, STOP, BookOrder, Bracket, Ended, Event, Filled, Phase, Resized
from interlock.matching.path import walk
from interlock.matching.rules import Rules, taken_price
from interlock.matching.standing import Standing
from interlock.model.instrument import Instrument
from interlock.model.market import Bar, Quote, Trade
from interlock.model.money import Nanos
from interlock.model.order import Outcome

LIVE, TAKING, WAITING, CLOSED = Phase.LIVE, Phase.TAKING, Phase.WAITING, Phase.CLOSED
Shape = Callable[[BookOrder, int], int]


class Market:
    """The orders of one instrument at one venue. `collect` hands out what has happened since it was last called.

    Args:
        wake: called with the time at which `tick` must be called.
        shape: may change the lots of a fill (fault plans); None for none.
    """

    def __init__(self, instrument: Instrument, rules: Rules, wake: Callable[[Nanos], None],
                 shape: Shape | None = None) -> None:
        self.instrument, self.rules, self.wake, self.shape = instrument, rules, wake, shape
        self.tick_size = instrument.tick_increments
        self.orders: dict[tuple[str, str], BookOrder] = {}
        self.positions: dict[str, int] = {}        # signed lots by account
        self.is_trading = True
        self.now: Nanos = 0                        # of what is being done; inside a bar's path, the bar's beginning
        self.turn = 1
        self.is_walking = False                    # inside a bar's path
        self.standing = Standing(instrument, rules.quote_age_max)
        self._events: list[Event] = []

    def collect(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    # what clients do

    def add(self, order: BookOrder, ts: Nanos) -> None:
        """The order reaches the book. A waiting child only takes its place."""
        through = self.rules.through_ticks * self.tick_size
        order.level = order.price if order.type is not LIMIT else order.price + (-through if order.is_buy else through)
        self.orders[order.key] = order
        self.now = ts
        if order.phase is not WAITING:
            self.arrive(order, ts)

    def restore(self, order: BookOrder, phase: Phase) -> None:
        """Put back an order that had already arrived, as it was."""
        order.phase = WAITING
        self.add(order, order.arrived)
        order.phase = phase

    def cancel(self, order: BookOrder, reason: str, outcome: Outcome = Outcome.CANCELLED) -> None:
        if order.phase is not CLOSED:
            self._end(order, outcome, reason)

    def replace(self, old: BookOrder, new: BookOrder, ts: Nanos) -> None:
        """`new` takes the place of `old`, in its bracket too; `old` ends as cancelled."""
        bracket = old.bracket
        if bracket is not None:
            bracket.replace(old, new)
            old.bracket = None
            if new is not bracket.parent:
                new.quantity = bracket.wanted(new)
                new.phase = WAITING if new.quantity == 0 else LIVE
        self._end(old, Outcome.CANCELLED, f"replaced by {new.id}")
        self.add(new, ts)

    def price_now(self, order: BookOrder) -> int | None:
        """What the order would fill at outside all rules: its own limit, else the opposite quote; None without one."""
        if order.type is LIMIT:
            return order.price
        self.standing.settle()
        price, size = self.standing.opposite(order.is_buy)
        return price if size else None

    def fill_now(self, order: BookOrder) -> bool:
        """Fill what is left, outside all rules; False where there is no price for it."""
        price = self.price_now(order)
        if price is None or order.phase in (WAITING, CLOSED):
            return False
        self.fill(order, order.remaining, price)
        return True

    # what the market does

    def look(self, message: Quote | Bar) -> None:
        """Take note of a quote without acting on it."""
        self.standing.look(message)

    def quote(self, quote: Quote, ts: Nanos) -> None:
        self.look(quote)
        self.now = ts
        if not self.is_trading:
            return
        self.turn += 1
        turn = self.turn
        for order in tuple(self.orders.values()):
            phase = order.phase
            if order.turn == turn or phase is WAITING or phase is CLOSED:
                continue
            if phase is TAKING:
                self.take(order)
            elif order.type is STOP:
                self._trigger(order)
            else:
                self._watch(order, ts)

    def trade(self, trade: Trade, ts: Nanos) -> None:
        if not self.is_trading:
            return
        self.turn += 1
        self.now = ts
        price, turn = trade.price, self.turn
        for order in tuple(self.orders.values()):
            if order.turn == turn or order.phase is WAITING or order.phase is CLOSED or order.type is MARKET:
                continue
            if (price <= order.level) if order.falls else (price >= order.level):
                if order.type is LIMIT:
                    self.fill(order, order.remaining, order.price)
                else:
                    order.phase, order.turn = TAKING, turn

    def bar(self, bar: Bar) -> None:
        """The bar as a path, once for those whose bad extreme is the low, once for the others."""
        if self.is_trading:
            low, high = bar.low, bar.high
            is_low_first = is_high_first = False
            for order in self.orders.values():
                phase = order.phase
                if phase is TAKING or (
                        phase is LIVE and ((low <= order.level) if order.falls else (high >= order.level))):
                    if order.low_first:
                        is_low_first = True
                    else:
                        is_high_first = True
            if is_low_first or is_high_first:
                self.turn += 1
                self.now = bar.ts_event
                self.is_walking = True
                if is_low_first:
                    walk(self, bar, low_first=True)
                if is_high_first:
                    walk(self, bar, low_first=False)
                self.is_walking = False
        self.look(bar)

    def tick(self, ts: Nanos) -> None:
        """Fill the limits at which the opposite quote has stood long enough."""
        self.now = ts
        for order in tuple(self.orders.values()):
            if order.since is not None and order.phase is LIVE and ts - order.since >= self.rules.dwell:
                if self._is_reached(order) and ts <= self.standing.fresh_until:
                    self.fill(order, order.remaining, order.price)
                else:
                    order.since = None

    def halt(self) -> None:
        """No trading until `resume`; the quote that stood is no price any more."""
        self.is_trading = False
        self.standing.forget()
        for order in self.orders.values():
            order.since = None

    def resume(self) -> None:
        self.is_trading = True

    # the parts, which a bar's path uses too

    def arrive(self, order: BookOrder, ts: Nanos) -> None:
        """The order becomes live now: it meets the quote that stands."""
        self.standing.settle()
        order.arrived, order.turn, order.phase = ts, self.turn, LIVE
        has_quote = self.is_trading and (self.is_walking or ts <= self.standing.fresh_until)
        if order.type is MARKET or (order.type is LIMIT and has_quote and self._is_crossing(order)):
            order.phase = TAKING
            if has_quote:
                self.take(order)
        elif order.type is STOP and has_quote and not self.is_walking:
            self._trigger(order)
        if order.is_ioc and order.phase is not CLOSED and order.type is not STOP:
            self._end(order, Outcome.CANCELLED, "immediate or cancel")

    def take(self, order: BookOrder) -> None:
        """Fill against the quote as far as its size goes. A limit that does not cross any more comes to rest."""
        if order.type is LIMIT and not self._is_crossing(order):
            order.phase = LIVE
            return
        standing = self.standing
        lots = standing.use(order.account, order.is_buy, order.remaining)
        if lots <= 0:
            return
        bid = standing.bid if standing.bid_size else standing.ask      # one side alone has no spread
        ask = standing.ask if standing.ask_size else standing.bid
        quarters = 0 if order.type is STOP else self.rules.slip_quarters
        price = taken_price(order.is_buy, bid, ask, self.tick_size, quarters)
        if order.type is LIMIT:
            price = min(price, order.price) if order.is_buy else max(price, order.price)
        self.fill(order, lots, price)

    def fill(self, order: BookOrder, lots: int, price: int) -> None:
        position = self.positions.get(order.account, 0)
        if order.is_reduce_only:
            lots = min(lots, -position if order.is_buy else position)
            if lots <= 0:
                self._end(order, Outcome.CANCELLED, "nothing to reduce")
                return
        if self.shape is not None:
            lots = self.shape(order, lots)
        order.filled += lots
        self.positions[order.account] = position + (lots if order.is_buy else -lots)
        self._events.append(Filled(order, lots, price))
        bracket = order.bracket
        if bracket is not None and order is not bracket.parent:
            self._exited(bracket, order, lots)
        else:
            if order.remaining <= 0:
                self._end(order, Outcome.FILLED, "")
            if bracket is not None:
                bracket.entered += lots
                self._resize(bracket)

    # inside

    def _is_crossing(self, order: BookOrder) -> bool:
        price, size = self.standing.opposite(order.is_buy)
        return size > 0 and (price <= order.price if order.is_buy else price >= order.price)

    def _is_reached(self, order: BookOrder) -> bool:
        return self._is_crossing(order) and self.standing.opposite(order.is_buy)[1] >= order.remaining

    def _watch(self, order: BookOrder, ts: Nanos) -> None:
        if not self._is_reached(order):
            order.since = None
        elif order.since is None:
            order.since = ts
            self.wake(ts + self.rules.dwell)

    def _trigger(self, order: BookOrder) -> None:
        """A quote at or through the stop triggers it; it fills at a later one."""
        price, size = self.standing.opposite(order.is_buy)
        if size > 0 and (price >= order.price if order.is_buy else price <= order.price):
            order.phase, order.turn = TAKING, self.turn

    def _resize(self, bracket: Bracket) -> None:
        for child in tuple(bracket.children):
            if child.phase is CLOSED:
                continue
            wanted = bracket.wanted(child)
            if wanted != child.quantity:
                child.quantity = wanted
                self._events.append(Resized(child))
                if child.phase is WAITING:
                    self.arrive(child, self.now)

    def _exited(self, bracket: Bracket, child: BookOrder, lots: int) -> None:
        """One exit filled: the others shrink; nothing left to exit ends them all, and the rest of the entry."""
        bracket.exited += lots
        if child.remaining <= 0:
            self._end(child, Outcome.FILLED, "")
        if bracket.open > 0:
            self._resize(bracket)
            return
        for other in tuple(bracket.children):
            self.cancel(other, "one cancels the other")
        self.cancel(bracket.parent, "its exit has filled")

    def _end(self, order: BookOrder, outcome: Outcome, reason: str) -> None:
        order.phase, order.since = CLOSED, None
        self.orders.pop(order.key, None)
        self._events.append(Ended(order, outcome, reason))
        bracket = order.bracket
        if bracket is not None and order is bracket.parent and bracket.entered == 0 and outcome is not Outcome.FILLED:
            for child in tuple(bracket.children):
                self.cancel(child, "its entry has ended")
