"""A slow, plain matcher in fractions, written from the rules, sharing nothing with the core. One order, one account."""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

SECOND = 1_000_000_000


@dataclass
class Plain:
    """One order of quantity `left` on a grid of one; prices are whole ticks."""

    buy: bool
    kind: str
    price: int
    left: int
    spread: int
    size: int
    exit: bool = False
    fills: list[tuple[int, int]] = field(default_factory=list)
    bid: int = 0
    ask: int = 0
    bid_size: int = 0
    ask_size: int = 0
    quote_ts: int | None = None
    triggered: bool = False
    resting: bool = False
    since: int | None = None
    arrived: bool = False
    at: int | None = None              # price of the path that the standing quote belongs to
    used: int = 0                      # what we have taken of it

    # one point of view for both sides: what we would pay or get, and whether a price is good for us

    def opposite(self):
        return (self.ask, self.ask_size) if self.buy else (self.bid, self.bid_size)

    def at_least_as_good(self, price, limit):
        return price <= limit if self.buy else price >= limit

    def done(self, lots, price):
        if lots > 0:
            self.left -= lots
            self.fills.append((lots, price))

    def take(self):
        price, size = self.opposite()
        slip = Fraction(self.ask - self.bid, 4) if self.kind != "stop" else Fraction(0)
        paid = ceil(price + slip) if self.buy else floor(price - slip)
        if self.kind == "limit":
            paid = min(paid, self.price) if self.buy else max(paid, self.price)
        lots = min(self.left, size - self.used)
        self.used += max(lots, 0)
        self.done(lots, paid)

    def crosses(self):
        price, size = self.opposite()
        return size > 0 and self.at_least_as_good(price, self.price)

    def arrive(self, ts):
        self.arrived = True
        fresh = self.quote_ts is not None and ts - self.quote_ts <= 5 * SECOND
        if self.kind == "market" and fresh:
            self.take()
        if self.kind == "limit":
            self.resting = not (fresh and self.crosses())
            if not self.resting:
                self.take()
        if self.kind == "stop" and fresh:
            self.see_stop()

    def see_stop(self):
        """The quote that we would meet has reached the stop: for a seller the bid, for a buyer the offer."""
        price, size = self.opposite()
        if size > 0 and (price >= self.price if self.buy else price <= self.price):
            self.triggered = True

    def quote(self, ts, bid, ask, bid_size, ask_size):
        self.wait(ts)
        self.bid, self.ask, self.bid_size, self.ask_size, self.quote_ts = bid, ask, bid_size, ask_size, ts
        self.used = 0
        if self.left == 0 or not self.arrived:
            return
        if self.kind == "market" or (self.kind == "stop" and self.triggered):
            self.take()
        elif self.kind == "stop":
            self.see_stop()
        elif not self.resting:
            if self.crosses():
                self.take()
            else:
                self.resting = True
        elif self.crosses() and self.opposite()[1] >= self.left:
            self.since = ts if self.since is None else self.since
        else:
            self.since = None

    def trade(self, ts, price):
        self.wait(ts)
        if self.left == 0 or not self.arrived:
            return
        if self.kind == "limit" and self.at_least_as_good(price, self.price - 1 if self.buy else self.price + 1):
            self.done(self.left, self.price)
        if self.kind == "stop" and (price >= self.price if self.buy else price <= self.price):
            self.triggered = True

    def wait(self, ts):
        """Time passes up to ts: the second at our limit may be over."""
        if self.left and self.since is not None and ts - self.since >= SECOND:
            fresh = self.quote_ts is not None and self.since + SECOND - self.quote_ts <= 5 * SECOND
            if fresh:
                self.done(self.left, self.price)
            self.since = None

    def point(self, price):
        """The quote around a point of a bar's path."""
        self.bid = price - self.spread // 2
        self.ask = self.bid + self.spread
        self.bid_size = self.ask_size = self.size
        if price != self.at:
            self.at, self.used = price, 0
        if self.left and (self.kind == "market" or self.triggered or (self.kind == "limit" and not self.resting)):
            if self.kind == "limit" and not self.crosses():
                self.resting = True
            else:
                self.take()

    def bar(self, ts, open, high, low, close):
        """Walk the path tick by tick."""
        self.since = self.at = None
        low_first = self.buy != self.exit
        corners = [open, low, high, close] if low_first else [open, high, low, close]
        self.step(open, is_corner=True)
        for start, end in pairwise(corners):
            direction = 1 if end > start else -1
            for price in range(start, end, direction):
                self.step(price, is_corner=False)
            self.step(end, is_corner=True)
        self.quote_ts = ts

    def step(self, price, is_corner):
        """The path touches one price. A stop met here meets the quote around it, and once only."""
        is_met = price >= self.price if self.buy else price <= self.price
        if self.kind == "stop" and not self.triggered and self.left and is_met:
            self.triggered = True
            self.point(price)
            return
        if is_corner:
            self.point(price)
        is_through = self.at_least_as_good(price, self.price - 1 if self.buy else self.price + 1)
        if self.kind == "limit" and self.left and self.resting and is_through:
            self.done(self.left, self.price)
