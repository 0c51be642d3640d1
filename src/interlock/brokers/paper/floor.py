"""The trading floor: every order as a row of the book and as an order of the matching, and what links the two."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from interlock.brokers.paper.account import Account
from interlock.brokers.paper.book import Book
from interlock.brokers.paper.frames import AcceptedFrame, CancelledFrame, ExpiredFrame, FillFrame, RejectedFrame
from interlock.brokers.paper.plan import Place, Plan, Verb
from interlock.brokers.paper.rows import ExecutionRow, OrderRow, State
from interlock.brokers.paper.schedule import Schedule
from interlock.brokers.paper.stream import Stream
from interlock.matching import BookOrder, Bracket, Ended, Filled, Market, Phase, Rules
from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Quote
from interlock.model.money import Nanos
from interlock.model.order import Outcome, TimeInForce
from interlock.model.signal import Side

Key = tuple[str, str]

_STATES: Final = {Phase.WAITING: State.WAITING, Phase.LIVE: State.LIVE, Phase.TAKING: State.TAKING,
                  Phase.CLOSED: State.CLOSED}


class Floor:
    """Rows, markets and accounts of one venue. What it does is saved and emitted; its caller commits and flushes."""

    def __init__(self, instruments: Mapping[str, Instrument], rules: Rules, schedule: Schedule, stream: Stream,
                 book: Book, plan: Plan | None) -> None:
        self.instruments = instruments             # by the venue's symbol
        self.rules, self.schedule, self.stream, self.book = rules, schedule, stream, book
        self._plan = plan
        self.accounts: dict[str, Account] = {}
        self.rows: dict[Key, OrderRow] = {}
        self.open: dict[Key, BookOrder] = {}       # not closed; arrived or on the way
        self.executions: dict[str, list[ExecutionRow]] = {}
        self.execution_count = 0
        self.last: dict[str, Quote | Bar] = {}     # by instrument, like all that comes from a feed
        self.states: dict[str, MarketState] = {}
        self.busy: dict[str, Market] = {}          # markets in which orders are open
        self._markets: dict[str, Market] = {}      # by the venue's symbol

    def market(self, symbol: str) -> Market:
        """The market of a venue symbol, up to date."""
        market = self._markets.get(symbol)
        instrument = self.instruments[symbol]
        if market is None:
            def wake(ts: Nanos) -> None:
                self.schedule.at(ts, lambda: self._tick(symbol))

            shape = None if self._plan is None else self._shape
            market = self._markets[symbol] = Market(instrument, self.rules, wake, shape)
            for account in self.accounts.values():
                if symbol in account.positions:
                    market.positions[account.name] = self.lots(symbol, account.positions[symbol].quantity)
        if instrument.symbol not in self.busy:
            self.busy[instrument.symbol] = market
            market.is_trading = self.is_trading(instrument.symbol)
            if instrument.symbol in self.last:
                market.look(self.last[instrument.symbol])
        return market

    def is_trading(self, instrument: str) -> bool:
        state = self.states.get(instrument)
        return state is None or (state.is_open and not state.is_halted)

    def lots(self, symbol: str, quantity: Decimal) -> int:
        return int(quantity / self.instruments[symbol].lot)

    def enlist(self, rows: list[OrderRow]) -> None:
        """Make the orders of one message: a single order, or a parent and its children."""
        orders = [self.order_of(row) for row in rows]
        if len(orders) > 1:
            Bracket(orders[0], orders[1:])
        for row, order in zip(rows, orders, strict=True):
            self.rows[row.key], self.open[row.key] = row, order
            self.book.save(row)

    def order_of(self, row: OrderRow) -> BookOrder:
        instrument = self.instruments[row.symbol]
        return BookOrder(
            account=row.account, id=row.client_order_id, is_buy=row.side is Side.BUY,
            quantity=self.lots(row.symbol, row.quantity), type=row.type,
            price=0 if row.price is None else instrument.increments(row.price), is_exit=row.is_exit,
            is_reduce_only=row.is_reduce_only, is_ioc=row.tif is TimeInForce.IOC, sequence=row.number)

    def arrive(self, key: Key) -> None:
        """The order reaches the book, or takes the place of the one that it replaces."""
        order, row = self.open.get(key), self.rows[key]
        if order is None:
            return                                 # cancelled on its way
        if row.replaces:
            self._arrive_instead(order, row)
            return
        market = self.market(row.symbol)
        bracket = order.bracket
        if bracket is not None:
            for child in bracket.children:
                if child.phase is not Phase.CLOSED:
                    market.add(child, self.schedule.now)
        market.add(order, self.schedule.now)
        self.apply(market)

    def _arrive_instead(self, order: BookOrder, row: OrderRow) -> None:
        old_row = self.rows[row.account, row.replaces]
        old = self.open.get(old_row.key)
        if old is None:
            outcome = old_row.outcome.value if old_row.outcome is not None else "gone"
            self.close(row, Outcome.REJECTED, f"replaced_order_closed: {row.replaces} is {outcome}")
            return
        row.parent = row.client_order_id if old_row.parent == old_row.client_order_id else old_row.parent
        if old.bracket is not None and old is old.bracket.parent:
            row.entered, row.exited = old_row.entered, old_row.exited
            for child in old.bracket.children:
                child_row = self.rows[child.key]
                child_row.parent = row.client_order_id
                if child_row.quantity >= old_row.quantity:         # exits of the whole position stay that
                    child_row.quantity = max(child_row.quantity, row.quantity)
                self.book.save(child_row)
        self.stream.emit(AcceptedFrame(row.account, row.client_order_id, row.broker_order_id, self.schedule.now,
                                       old_row.state is not State.WAITING))
        market = self.market(row.symbol)
        market.replace(old, order, self.schedule.now)
        row.size = order.quantity * self.instruments[row.symbol].lot or row.size
        self.apply(market)

    def close(self, row: OrderRow, outcome: Outcome, reason: str) -> None:
        """End an order that the matching does not know (any more)."""
        self.open.pop(row.key, None)
        self._ended(row, outcome, reason)

    def apply(self, market: Market) -> None:
        """Write down what happened in the market, and what has only changed its state."""
        for event in market.collect():
            row = self.rows[event.order.key]
            if isinstance(event, Filled):
                self._filled(market, row, event.order, event.lots, event.price)
            elif isinstance(event, Ended):
                self.open.pop(row.key, None)
                self._ended(row, event.outcome, event.reason)
            else:
                row.size = event.order.quantity * market.instrument.lot
                row.state = State.LIVE
                self.book.save(row)
                self.stream.emit(AcceptedFrame(row.account, row.client_order_id, row.broker_order_id, self.schedule.now,
                                               True, row.size))
        for key, order in market.orders.items():
            row = self.rows[key]
            state = _STATES[order.phase]
            if row.state is not state:
                row.state = state
                self.book.save(row)
        if not market.orders:
            self.busy.pop(market.instrument.symbol, None)

    def book_fill(self, row: OrderRow, lots: int, price: int) -> None:
        """Record one execution of an order."""
        instrument = self.instruments[row.symbol]
        quantity = lots * instrument.lot
        self.execution_count += 1
        execution = ExecutionRow(row.account, f"X{self.execution_count:08d}", row.client_order_id, row.symbol, row.side,
                                 quantity, instrument.price(price), instrument.fee * quantity, self.schedule.now)
        row.filled += quantity
        account = self.accounts[row.account]
        position = account.post(execution, instrument)
        self.executions.setdefault(row.account, []).append(execution)
        for changed in (row, execution, position, account.row()):
            self.book.save(changed)
        self.stream.emit(fill_frame(execution))

    def _filled(self, market: Market, row: OrderRow, order: BookOrder, lots: int, price: int) -> None:
        bracket = order.bracket
        if bracket is not None:
            parent = self.rows[bracket.parent.key]
            if parent is row:
                row.entered += lots * market.instrument.lot
            else:
                parent.exited += lots * market.instrument.lot
                self.book.save(parent)
        self.book_fill(row, lots, price)

    def _ended(self, row: OrderRow, outcome: Outcome, reason: str) -> None:
        row.state, row.outcome = State.CLOSED, outcome
        self.book.save(row)
        now, account, order_id = self.schedule.now, row.account, row.client_order_id
        if outcome is Outcome.CANCELLED:
            self.stream.emit(CancelledFrame(account, order_id, reason, now))
        elif outcome is Outcome.REJECTED:
            self.stream.emit(RejectedFrame(account, order_id, reason, now))
        elif outcome is Outcome.EXPIRED:
            self.stream.emit(ExpiredFrame(account, order_id, now))

    def _tick(self, symbol: str) -> None:
        market = self._markets[symbol]
        market.tick(self.schedule.now)
        self.apply(market)

    def _shape(self, order: BookOrder, lots: int) -> int:
        """Fault plans: fill less, or more."""
        for fault in self._plan.due(Place.MATCHING, "fill") if self._plan is not None else ():
            if fault.verb is Verb.PARTIAL:
                lots = min(lots, max(1, int(lots * fault.fraction)))
            elif fault.verb is Verb.OVERFILL:
                lots += max(1, int(order.quantity * fault.fraction))
        return lots


def fill_frame(execution: ExecutionRow) -> FillFrame:
    return FillFrame(execution.account, execution.client_order_id, execution.execution_id, execution.symbol,
                     execution.side, execution.quantity, execution.price, execution.commission, execution.ts)

