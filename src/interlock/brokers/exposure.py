"""SafeBroker's own book of one account: positions, orders that may be live, the day's result.

Fed only by what the broker itself said and by what SafeBroker wrote. Nothing of the engine reaches it, so the two can
disagree, and a fault in one of them is found by the other.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

from interlock.model.ids import ClientOrderId, ExecutionId
from interlock.model.instrument import Instrument
from interlock.model.money import Nanos
from interlock.model.order import Order
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderFound,
    OrderRejected,
    Report,
)
from interlock.model.signal import Side
from interlock.model.view import Definition

ZERO: Final = Decimal(0)
EXECUTIONS_MAX: Final = 100_000
"""Execution ids remembered per account; more than any day has."""


class _Live:
    """One leg that may fill. A child fills only as far as its parent has."""

    __slots__ = ("filled", "instrument", "is_stop", "parent", "quantity", "side", "ts_missed", "ts_sent")

    def __init__(self, instrument: str, side: Side, quantity: Decimal, parent: ClientOrderId | None, ts_sent: Nanos,
                 filled: Decimal = ZERO, *, is_stop: bool = False) -> None:
        self.is_stop = is_stop
        self.instrument, self.side, self.quantity, self.filled = instrument, side, quantity, filled
        self.parent, self.ts_sent = parent, ts_sent
        self.ts_missed: Nanos | None = None            # when the venue first said that it knows no such order

    @property
    def remaining(self) -> Decimal:
        return max(ZERO, self.quantity - self.filled)


class AccountBook:
    """What the broker has said of one account."""

    def __init__(self, instruments: Mapping[str, Instrument], visibility_delay: Nanos) -> None:
        self._instruments = instruments
        self._visibility_delay = visibility_delay
        self.account_id: str | None = None
        self.is_read = False               # a whole read of this connection has been seen
        self.was_read = False              # one has been seen at all: positions are known
        self._positions: dict[str, Decimal] = {}
        self._averages: dict[str, Decimal] = {}
        self._definitions: dict[str, Definition] = {}
        self._orders: dict[ClientOrderId, _Live] = {}
        self._parent_filled: dict[ClientOrderId, Decimal] = {}    # of parents with children
        self._children_filled: dict[ClientOrderId, Decimal] = {}
        self._seen: dict[ExecutionId, None] = {}
        self._under_way: list[list[OrderFilled]] = []             # per read under way, the fills that came meanwhile
        self._flow = ZERO                  # cash of the day's fills, commissions taken off
        self._is_flow_known = True
        self._start: dict[str, tuple[Decimal, Decimal | None]] = {}   # held when the day began, and at what price

    # -- what SafeBroker asks

    def position(self, symbol: str) -> Decimal:
        return self._positions.get(symbol, ZERO)

    def average(self, symbol: str) -> Decimal | None:
        return self._averages.get(symbol)

    def is_live(self, client_order_id: ClientOrderId) -> bool:
        return client_order_id in self._orders

    def definition(self, symbol: str) -> Definition | None:
        """An instrument by the broker's own word; None: it has not told."""
        return self._definitions.get(symbol)

    def holds(self, symbol: str) -> bool:
        return bool(self._positions.get(symbol))

    def is_last_protection(self, client_order_id: ClientOrderId) -> bool:
        """Whether without this stop the stops that are live would no longer cover the position."""
        stop = self._orders.get(client_order_id)
        if stop is None or not stop.is_stop:
            return False
        position = self.position(stop.instrument)
        if not position * stop.side.sign < 0:
            return False
        others = sum((live.remaining for key, live in self._orders.items() if key != client_order_id and live.is_stop
                      and live.instrument == stop.instrument and live.side is stop.side), ZERO)
        return others < abs(position)

    def worst(self, symbol: str, side: Side, quantity: Decimal) -> Decimal:
        """The largest absolute position reachable if any of the live orders, and this one, were to fill."""
        buys = quantity if side is Side.BUY else ZERO
        sells = quantity if side is Side.SELL else ZERO
        children: dict[tuple[ClientOrderId, Side], Decimal] = {}
        for live in self._orders.values():
            if live.instrument != symbol:
                continue
            if live.parent is not None:
                key = live.parent, live.side
                children[key] = max(children.get(key, ZERO), live.remaining)
            elif live.side is Side.BUY:
                buys += live.remaining
            else:
                sells += live.remaining
        for (parent, child_side), remaining in children.items():
            filled = self._parent_filled.get(parent, ZERO) - self._children_filled.get(parent, ZERO)
            amount = max(ZERO, min(remaining, filled))
            if child_side is Side.BUY:
                buys += amount
            else:
                sells += amount
        position = self.position(symbol)
        return max(abs(position + buys), abs(position - sells))

    def day_pnl(self, mark: Callable[[str], Decimal | None]) -> Decimal | None:
        """Realised and unrealised less commissions since the day began; None where a term is not known."""
        if not self._is_flow_known:
            return None
        total = self._flow
        for symbol, quantity in self._positions.items():
            if quantity:
                price, instrument = mark(symbol), self._instruments.get(symbol)
                if price is None or instrument is None:
                    return None
                total += quantity * price * instrument.multiplier
        for symbol, (quantity, start_price) in self._start.items():
            instrument = self._instruments.get(symbol)
            if start_price is None or instrument is None:
                return None
            total -= quantity * start_price * instrument.multiplier
        return total if total.is_finite() else None

    # -- what was written

    def sent(self, order: Order, ts: Nanos) -> None:
        """Charge an order before its bytes leave. A replacement counts beside what it replaces until that is gone."""
        parent = order.client_order_id if len(order.legs) > 1 else None
        for number, leg in enumerate(order.legs):
            self._orders[leg.client_order_id] = _Live(order.instrument, leg.side, leg.quantity,
                                                      parent if number else None, ts, is_stop=leg.stop is not None)

    def never_left(self, order: Order) -> None:
        for leg in order.legs:
            self._orders.pop(leg.client_order_id, None)

    # -- what the broker said

    def begin_day(self, mark: Callable[[str], Decimal | None]) -> None:
        self._flow, self._is_flow_known = ZERO, True
        self._start = {symbol: (quantity, mark(symbol) or self._averages.get(symbol))
                       for symbol, quantity in self._positions.items() if quantity}

    def read_begins(self) -> list[OrderFilled]:
        """To be called when a read is asked for; what it returns goes to `read_ends` with the answer."""
        meanwhile: list[OrderFilled] = []
        self._under_way.append(meanwhile)
        return meanwhile

    def read_ends(self, read: AccountRead | None, meanwhile: list[OrderFilled]) -> None:
        """A read was answered, or (None) it was not."""
        self._under_way = [other for other in self._under_way if other is not meanwhile]
        if read is not None:
            self._read(read, meanwhile)

    def apply(self, report: Report) -> OrderFilled | None:
        """Fold one report in; returns it when it is a fill that was not known yet."""
        match report:
            case OrderFilled():
                return report if self._fill(report, moves_position=True) else None
            case OrderAccepted():
                live = self._orders.get(report.client_order_id)
                if live is not None and report.quantity is not None:
                    live.quantity = report.quantity
            case OrderCancelled() | OrderRejected() | OrderExpired():
                self._end(report.client_order_id)
            case OrderFound():
                self._found(report)
            case AccountRead():
                self._read(report, ())
            case _:
                pass
        return None

    def missing(self, client_order_id: ClientOrderId, ts: Nanos) -> tuple[ClientOrderId, ...]:
        """The venue does not know the order. The legs of its message, once it could no longer be merely late: neither by our time
        since the write, nor by the venue's since it first answered a question that came behind the order."""
        live = self._orders.get(client_order_id)
        if live is None:
            return ()
        if live.ts_missed is None:
            live.ts_missed = ts
        if ts - live.ts_sent < self._visibility_delay or ts - live.ts_missed < self._visibility_delay:
            return ()
        gone = (*(key for key, other in self._orders.items() if other.parent == client_order_id), client_order_id)
        for key in gone:
            self._end(key)
        return gone

    def lost(self) -> None:
        """The line went down: positions stay as they were last told, entries wait for a whole read."""
        self.is_read = False

    def _found(self, report: OrderFound) -> None:
        live = self._orders.get(report.client_order_id)
        if live is None or report.outcome is None:
            return
        unreported = report.filled - live.filled
        if unreported > 0:                 # filled, but its fills have not come yet: still able to move the position
            live.quantity = report.filled
        else:
            self._end(report.client_order_id)

    def _fill(self, fill: OrderFilled, *, moves_position: bool) -> bool:
        if fill.execution_id in self._seen:
            return False
        self._seen[fill.execution_id] = None
        if len(self._seen) > EXECUTIONS_MAX:
            del self._seen[next(iter(self._seen))]
        if moves_position:
            for meanwhile in self._under_way:
                meanwhile.append(fill)
        signed = fill.quantity * fill.side.sign
        instrument = self._instruments.get(fill.instrument)
        if instrument is None:
            self._is_flow_known = False
        else:
            self._flow -= signed * fill.price * instrument.multiplier + fill.commission
        if moves_position:
            self._move(fill.instrument, signed, fill.price)
        live = self._orders.get(fill.client_order_id)
        if live is not None:
            live.filled += fill.quantity
            key = live.parent
            if key is not None:
                self._children_filled[key] = self._children_filled.get(key, ZERO) + fill.quantity
            elif any(other.parent == fill.client_order_id for other in self._orders.values()):
                self._parent_filled[fill.client_order_id] = (
                    self._parent_filled.get(fill.client_order_id, ZERO) + fill.quantity)
            if not live.remaining:
                self._end(fill.client_order_id)
        return True

    def _end(self, client_order_id: ClientOrderId) -> None:
        """The order can fill no more; with the last of its message goes what was counted for it."""
        ended = self._orders.pop(client_order_id, None)
        if ended is None:
            return
        parent = client_order_id if ended.parent is None else ended.parent
        if ended.parent is None and parent not in self._parent_filled:
            for child in [key for key, live in self._orders.items() if live.parent == parent]:
                del self._orders[child]    # an entry that ended without a fill leaves nothing to exit from
        if parent not in self._orders and not any(live.parent == parent for live in self._orders.values()):
            self._parent_filled.pop(parent, None)
            self._children_filled.pop(parent, None)

    def _move(self, symbol: str, signed: Decimal, price: Decimal) -> None:
        before = self._positions.get(symbol, ZERO)
        after = before + signed
        if not after:
            self._positions.pop(symbol, None)
            self._averages.pop(symbol, None)
            return
        self._positions[symbol] = after
        average = self._averages.get(symbol)
        if not before or before * after < 0:
            self._averages[symbol] = price
        elif abs(after) > abs(before) and average is not None:
            self._averages[symbol] = (average * before + price * signed) / after

    def _read(self, read: AccountRead, meanwhile: Iterable[OrderFilled]) -> None:
        self.account_id = read.account_id
        if read.definitions:
            self._definitions = {told.instrument: told for told in read.definitions}
        positions = {held.instrument: held.quantity for held in read.positions if held.quantity}
        averages = {held.instrument: held.average_price for held in read.positions if held.average_price is not None}
        if not self.was_read:              # the day began with what is held now less what was traded today
            start = dict(positions)
            for fill in read.fills:
                start[fill.instrument] = start.get(fill.instrument, ZERO) - fill.quantity * fill.side.sign
            # What was carried into the day and is gone by now has no average left: its first fill of the day stands in.
            first = {fill.instrument: fill.price for fill in reversed(read.fills)}
            self._start = {symbol: (quantity, averages.get(symbol, first.get(symbol)))
                           for symbol, quantity in start.items() if quantity}
        listed = {fill.execution_id for fill in read.fills}
        for fill in read.fills:
            self._fill(fill, moves_position=False)
        self._positions, self._averages = positions, averages
        # A fill that arrived after the question was put, and that the answer does not know yet, comes on top.
        for fill in meanwhile:
            if fill.execution_id not in listed:
                self._move(fill.instrument, fill.quantity * fill.side.sign, fill.price)
        for order in read.orders:
            self._list(order)
        self.is_read = self.was_read = True

    def _list(self, order: BrokerOrder) -> None:
        """An order of an earlier process that the broker lists. Ours are known already, and never shrink by a list."""
        if order.client_order_id not in self._orders and order.is_live:
            self._orders[order.client_order_id] = _Live(order.instrument, order.side, order.quantity, None, 0,
                                                        order.filled, is_stop=order.is_protective)
