"""What must never freeze an account: healthy trading, however late and out of order it is told."""

import heapq
import random
from typing import Any

import pytest
from tests.engine.test_reconcile import NOW, ZERO, A, D, Rooms, attempt

from interlock.model.ids import BrokerOrderId, ClientOrderId, ExecutionId
from interlock.model.instrument import INSTRUMENTS
from interlock.model.money import SECOND
from interlock.model.record import CancelRequested, Difference
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    OrderAccepted,
    OrderCancelled,
    OrderFilled,
)
from interlock.model.signal import Side

SYMBOLS = ("MNQ", "MES", "MCL")


class Venue:
    """A broker that trades what it is sent, in parts, and tells of it late and out of order; its answers are whole."""

    def __init__(self, rng):
        self.rng = rng
        self.positions, self.averages, self.cash = {}, {}, D(50_000)
        self.tells_executions = rng.random() < 0.5     # half of them leave executions to the reports
        self.orders, self.fills, self.count = {}, [], 0

    def trade(self, cid, ts):
        """Part of an order is executed; returns the report."""
        order = self.orders[cid]
        left = order.quantity - order.filled
        part = left if left == 1 or self.rng.random() < 0.5 else D(self.rng.randint(1, int(left)))
        self.count += 1
        price = D(self.rng.randint(90, 110))
        done = OrderFilled(A, cid, ExecutionId(f"e{self.count}"), order.instrument, order.side, part, price, D("0.35"), ts)
        self._book(done)
        filled = order.filled + part
        if filled == order.quantity:
            del self.orders[cid]
        else:
            self.orders[cid] = BrokerOrder(order.client_order_id, order.broker_order_id, order.instrument, order.side,
                                           order.quantity, filled, True, False, None, order.limit)
        self.fills = [each for each in self.fills if each.ts_event > ts - 120 * SECOND] + [done]
        return done

    def _book(self, done):
        symbol, signed = done.instrument, done.quantity * done.side.sign
        held, average = self.positions.get(symbol, ZERO), self.averages.get(symbol, ZERO)
        self.cash -= done.commission
        if held * signed >= 0:
            average = (average * held + done.price * signed) / (held + signed)
        else:
            closed = min(abs(signed), abs(held)) * (1 if held > 0 else -1)
            self.cash += (done.price - average) * closed * INSTRUMENTS[symbol].multiplier
            if abs(signed) > abs(held):
                average = done.price
        self.positions[symbol], self.averages[symbol] = held + signed, average

    def read(self, ts):
        held = tuple(BrokerPosition(name, quantity, self.averages[name]) for name, quantity in self.positions.items() if quantity)
        return AccountRead(A, "X-1", self.cash, "USD", held, tuple(self.orders.values()),
                           tuple(self.fills) if self.tells_executions else (), ts, 1)


LATE = 4 * SECOND + SECOND // 2
"""How late a report may be and still be healthy: inside the window of what may be in flight."""


def healthy(seed, reads):
    """So many whole reads in the middle of trading; returns the rooms, and how many of the reads showed a difference for a
    moment."""
    rng = random.Random(seed)
    rooms, venue = Rooms(), Venue(rng)
    queue: list[tuple[Any, ...]] = []
    tick, number, done, ts, fleeting = 0, 0, 0, NOW, 0

    def later(delay, what, *args):
        nonlocal tick
        tick += 1
        heapq.heappush(queue, (ts + delay, tick, what, args))

    later(SECOND, "ask")
    later(SECOND, "send")
    while done < reads:
        ts, _, what, args = heapq.heappop(queue)
        if what == "send":
            number += 1
            cid, symbol = ClientOrderId(f"o{number}"), rng.choice(SYMBOLS)
            side, quantity, limit = rng.choice((Side.BUY, Side.SELL)), str(rng.randint(1, 4)), str(rng.randint(80, 120))
            rooms.tell(attempt(cid, symbol, side, quantity, limit=limit), ts)
            later(rng.randint(0, SECOND), "arrive", cid, symbol, side, D(quantity), D(limit))
            later(rng.choice((SECOND // 2, 3 * SECOND, 90 * SECOND)), "send")
        elif what == "arrive":
            cid, symbol, side, quantity, limit = args
            order = BrokerOrder(cid, BrokerOrderId(f"b{cid}"), symbol, side, quantity, ZERO, True, False, None, limit)
            venue.orders[cid] = order
            later(rng.randint(0, LATE), "report", OrderAccepted(A, cid, order.broker_order_id, ts))
            later(rng.randint(0, 20 * SECOND), "trade", cid)
            if rng.random() < 0.3:
                later(rng.randint(0, 10 * SECOND), "cancel", cid)
        elif what == "trade" and args[0] in venue.orders:
            later(rng.randint(0, LATE), "report", venue.trade(args[0], ts))
            later(rng.randint(0, 10 * SECOND), "trade", args[0])
        elif what == "cancel":
            rooms.tell(CancelRequested(A, args[0], "test"), ts)
            later(rng.randint(0, SECOND), "cancelled", args[0])
        elif what == "cancelled" and venue.orders.pop(args[0], None) is not None:
            later(rng.randint(0, LATE), "report", OrderCancelled(A, args[0], "asked", ts))
        elif what == "report":
            rooms.tell(args[0], ts)
            if rng.random() < 0.1:
                later(rng.randint(0, LATE), "report", args[0])         # and once more
        elif what == "ask":
            later(rng.randint(0, 2 * SECOND), "answer", venue.read(ts))
            later(rng.choice((SECOND // 2, 5 * SECOND, 5 * SECOND, 30 * SECOND)), "ask")
        elif what == "answer":
            done += 1
            fleeting += any(isinstance(each, Difference) for each in rooms.tell(args[0], ts))
            rooms.said = [each for each in rooms.said if not isinstance(each, Difference)]
    return rooms, fleeting


SEEDS = tuple(range(10))
"""Ten markets of ten thousand reads each; another seed is another market."""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_hundred_thousand_healthy_reconciles_raise_no_alarm(seed):
    rooms, fleeting = healthy(seed, 10_000)

    assert rooms.said == []
    assert fleeting > 10, "reports were on their way while the broker was asked"
    assert rooms.ledger.is_settled(A, 1 << 62)
