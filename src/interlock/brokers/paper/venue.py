"""The paper venue: a broker's far end in this process, with accounts, orders and executions of its own.

Time and market are handed in (`advance`, `on_market`); requests come as bytes (`handle`), reports leave as bytes.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, Literal, TypeAlias

import msgspec

from interlock.brokers.paper import frames
from interlock.brokers.paper.account import Account
from interlock.brokers.paper.book import Book, NoBook
from interlock.brokers.paper.desk import Desk
from interlock.brokers.paper.floor import Floor, fill_frame
from interlock.brokers.paper.frames import (
    AccountFrame,
    Answer,
    CancelFrame,
    DefinitionFrame,
    Failed,
    Found,
    LookupFrame,
    Missing,
    OpenOrderFrame,
    PingFrame,
    PlaceFrame,
    Pong,
    PositionFrame,
    ReadFrame,
    Taken,
)
from interlock.brokers.paper.plan import Place, Plan, Verb, find
from interlock.brokers.paper.restore import restore_accounts, restore_orders
from interlock.brokers.paper.rows import State
from interlock.brokers.paper.schedule import Schedule
from interlock.brokers.paper.stream import Stream
from interlock.errors import ConfigError
from interlock.matching import Market, Rules
from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Quote, Trade
from interlock.model.money import DAY, Nanos
from interlock.model.order import Outcome, TimeInForce
from interlock.ports import Clock

ENVIRONMENT: Final = "paper_sim"
MarketMessage: TypeAlias = Quote | Trade | MarketState | Bar


class PaperVenue:
    """One venue. Everything happens at engine time; a request is received at the time of `clock`, or without one at
    the time of the last `advance` or `on_market`.

    Args:
        instruments: what is traded here, by the venue's own symbol; one symbol per instrument.
        balances: accounts and their opening cash; an account that the book already knows keeps what stands there.
        book: where it is remembered; none for a replay.
        when_closed: whether an order for a shut market waits for its opening or is rejected.
        visibility: how long a look-up or a read may miss an order that has arrived.
        definitions: what is told of an instrument in the place of what is traded, by the venue's symbol; for rehearsals.
        environment: what it calls itself; whatever that is, it says beside it that it simulates.
    """

    def __init__(self, instruments: Mapping[str, Instrument], balances: Mapping[str, Decimal], *,
                 book: Book | None = None, rules: Rules | None = None, plan: Plan | None = None,
                 when_closed: Literal["queue", "reject"] = "queue", visibility: Nanos = 0,
                 clock: Clock | None = None, definitions: Mapping[str, DefinitionFrame] | None = None,
                 environment: str = ENVIRONMENT) -> None:
        if len({instrument.symbol for instrument in instruments.values()}) != len(instruments):
            raise ConfigError("paper: expected one symbol per instrument, found an instrument under two")
        self.schedule = Schedule()
        self._plan, self._clock = plan, clock
        self._book: Book = book if book is not None else NoBook()
        self._stream = Stream(self.schedule, plan)
        self._floor = Floor(instruments, rules or Rules(), self.schedule, self._stream, self._book, plan)
        self._desk = Desk(self._floor, rejects_when_closed=when_closed == "reject", visibility=visibility)
        self._pings: Counter[str] = Counter()
        self._environment = environment
        self.definitions = {symbol: define(symbol, instrument) for symbol, instrument in instruments.items()}
        self.definitions.update(definitions or {})
        self._last, self._busy, self._heap = self._floor.last, self._floor.busy, self.schedule.heap
        restore_accounts(self._floor, balances)
        for row in restore_orders(self._floor):
            if row.state is State.SENT:
                self.schedule.at(row.arrives, lambda key=row.key: self._floor.arrive(key))  # type: ignore[misc]
            if row.cancel_at is not None:
                self.schedule.at(row.cancel_at, lambda row=row: self._desk.carry_out_cancel(row))  # type: ignore[misc]

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(self._floor.accounts)

    def listen(self, push: Callable[[bytes], None]) -> None:
        """Where reports go: one line at a time."""
        self._stream.listen(push)

    def next_due(self) -> Nanos | None:
        """When `advance` has something to do."""
        return self.schedule.next_due

    def advance(self, ts: Nanos) -> None:
        """Do all that is due up to `ts`, each at its own time: arrivals, cancels, waits that end, late reports."""
        self.schedule.run(ts, self._settle)

    def recall(self, message: MarketMessage) -> None:
        """Know a price of before a restart again; nothing is matched against it."""
        kind = type(message)
        if kind is Quote or kind is Bar:
            self._last[message.instrument] = message       # type: ignore[assignment]
        elif kind is MarketState:
            self._state_changed(message)                   # type: ignore[arg-type]

    def on_market(self, message: MarketMessage) -> None:
        """The market moved. What was due before it is done first."""
        kind = type(message)
        ts: Nanos = message.ts_known if kind is Bar else message.ts_recv  # type: ignore[union-attr]
        if self._heap and self._heap[0][0] <= ts:
            self.advance(ts)
        elif ts > self.schedule.now:
            self.schedule.now = ts
        instrument = message.instrument
        if kind is Quote or kind is Bar:
            self._last[instrument] = message               # type: ignore[assignment]
        elif kind is MarketState:
            self._state_changed(message)                   # type: ignore[arg-type]
            return
        market = self._busy.get(instrument)
        if market is None:
            return
        if kind is Bar:
            market.bar(message)                            # type: ignore[arg-type]
        elif kind is Quote:
            market.quote(message, self.schedule.now)       # type: ignore[arg-type]
        else:
            market.trade(message, self.schedule.now)       # type: ignore[arg-type]
        self._floor.apply(market)
        self._settle()

    def handle(self, kind: str, body: bytes, *, may_add: bool = True) -> bytes:
        """One request as bytes; its answer as bytes. Without `may_add` an order that does not only reduce is rejected."""
        if self._clock is not None:
            self.advance(self._clock.now())
        try:
            request = frames.request_of(body)
        except msgspec.DecodeError as e:
            return frames.encode(Failed(f"unreadable: {e}", self.schedule.now))
        faults = self._plan.due(Place.DESK, kind) if self._plan is not None else ()
        answer: Answer = Taken(self.schedule.now)
        match request:
            case PlaceFrame():
                self._desk.order(kind, request, faults, may_add=may_add)
            case CancelFrame():
                self._desk.cancel(request, faults)
            case LookupFrame():
                answer = self._look_up(request)
            case ReadFrame():
                answer = self._read(request)
            case PingFrame():
                self._pings[request.account] += 1
                answer = Pong(request.account, self._pings[request.account], self.schedule.now)
        self._settle()
        if faults and (fault := find(faults, Verb.ACCEPT_THEN_ERROR)) is not None:
            answer = Failed(fault.reason, self.schedule.now)
        return frames.encode(answer)

    def close(self) -> None:
        self._book.close()

    def _settle(self) -> None:
        """First it is written down, then it is told."""
        self._book.commit()
        self._stream.flush()

    def _state_changed(self, state: MarketState) -> None:
        floor, instrument = self._floor, state.instrument
        before = floor.states.get(instrument)
        floor.states[instrument] = state
        if not floor.is_trading(instrument):
            floor.last.pop(instrument, None)               # a quote from before is no price afterwards
        market = floor.busy.get(instrument)
        if market is None:
            return
        if floor.is_trading(instrument):
            market.resume()
        else:
            market.halt()
            if not state.is_open and (before is None or before.is_open):
                self._expire_day_orders(market)
        floor.apply(market)
        self._settle()

    def _expire_day_orders(self, market: Market) -> None:
        for order in tuple(market.orders.values()):
            if self._floor.rows[order.key].tif is TimeInForce.DAY:
                market.cancel(order, "the session has ended", Outcome.EXPIRED)

    def _look_up(self, request: LookupFrame) -> Answer:
        row, now = self._floor.rows.get((request.account, request.id)), self.schedule.now
        if row is None or now < row.visible:
            return Missing(request.account, request.id, now)
        return Found(row.account, row.client_order_id, row.broker_order_id, row.filled, row.outcome,
                     row.state is not State.WAITING, now)

    def _read(self, request: ReadFrame) -> Answer:
        floor, now = self._floor, self.schedule.now
        account = floor.accounts.get(request.account)
        if account is None:
            return Failed(f"unknown_account: {request.account!r}", now)
        rows = [floor.rows[key] for key in floor.open if key[0] == account.name]
        fills = []
        for execution in reversed(floor.executions.get(account.name, ())):
            if execution.ts <= now - DAY:
                break
            fills.append(fill_frame(execution))
        return AccountFrame(
            account.name, account.number, account.cash, account.currency,
            [PositionFrame(held.symbol, held.quantity, held.price) for held in account.positions.values()],
            [OpenOrderFrame(row.client_order_id, row.broker_order_id, row.symbol, row.side, row.size, row.filled,
                            row.state is not State.WAITING, row.is_exit, row.type, row.price)
             for row in rows if now >= row.visible],
            fills[::-1], self._environment, now, list(self.definitions.values()), net=self._net(account),
            simulator=True)

    def _net(self, account: Account) -> Decimal | None:
        """The account's net liquidation at the last prices; None where one is missing."""
        total = account.cash
        for held in account.positions.values():
            instrument = self._floor.instruments[held.symbol]
            last = self._last.get(instrument.symbol)
            if last is None:
                return None
            price = instrument.price(last.close) if isinstance(last, Bar) else instrument.price(last.bid + last.ask) / 2
            total += held.quantity * (price - held.price) * instrument.multiplier
        return total


def define(symbol: str, instrument: Instrument, *, expiry: Nanos | None = None, roll: Nanos | None = None) -> DefinitionFrame:
    """What the venue tells of an instrument. One of paper does not expire unless it is told to."""
    return DefinitionFrame(symbol=symbol, tick=instrument.tick, lot=instrument.lot, multiplier=instrument.multiplier,
                           currency=instrument.currency, expiry=expiry, roll=roll)
