"""The order desk: takes orders and cancels, answers with events, and sends them to the floor after their latency."""

from decimal import Decimal
from typing import Final

from interlock.brokers.paper.acceptance import closed_refusal, only_reduces, refusal
from interlock.brokers.paper.floor import Floor
from interlock.brokers.paper.frames import (
    AcceptedFrame,
    CancelFrame,
    CancelRejectedFrame,
    PlaceFrame,
    RejectedFrame,
    StatusFrame,
)
from interlock.brokers.paper.plan import Fault, Verb, find
from interlock.brokers.paper.rows import OrderRow, State
from interlock.matching import Phase
from interlock.model.money import Nanos
from interlock.model.order import OrderType, Outcome

ZERO: Final = Decimal(0)


class Desk:
    """Takes what clients ask for. `visibility` is how long a look-up may miss an order that has arrived."""

    def __init__(self, floor: Floor, *, rejects_when_closed: bool, visibility: Nanos) -> None:
        self._floor, self._schedule, self._stream = floor, floor.schedule, floor.stream
        self._rejects_when_closed, self._visibility = rejects_when_closed, visibility

    def order(self, kind: str, frame: PlaceFrame, faults: tuple[Fault, ...], *, may_add: bool = True) -> None:
        """Accept or reject a new order or a replacement. `kind` is the call it came by; `may_add` is whether its sender may
        place what does not only reduce."""
        floor = self._floor
        if any((frame.account, leg.id) in floor.rows for leg in frame.legs):
            self._reject_duplicate(frame)
            return
        reason = None if may_add else only_reduces(frame)
        if reason is None:
            reason = self._refusal(kind, frame, faults)
        if reason is not None:
            self._reject(frame, reason)
            return
        rows = self._rows(frame, faults)
        parent = rows[0]
        if find(faults, Verb.FILL_BEFORE_ACK) is not None:
            self._stream.withhold(*parent.key)
        floor.enlist(rows)
        if not frame.replaces:                     # a replacement is acknowledged when it has taken its place
            for row in rows:
                self._stream.emit(AcceptedFrame(row.account, row.client_order_id, row.broker_order_id, row.ts,
                                                row is parent))
        if (later := find(faults, Verb.ACK_THEN_REJECT)) is not None:
            reason = later.reason
            self._schedule.at(self._schedule.now + later.delay, lambda: self._reject_late(parent, reason))
        if floor.rules.latency:
            self._schedule.at(parent.arrives, lambda: floor.arrive(parent.key))
        else:
            floor.arrive(parent.key)

    def cancel(self, frame: CancelFrame, faults: tuple[Fault, ...]) -> None:
        row = self._floor.rows.get((frame.account, frame.id))
        if (fault := find(faults, Verb.REJECT_CANCEL)) is not None:
            self._reject_cancel(frame.account, frame.id, fault.reason)
        elif row is None:
            self._reject_cancel(frame.account, frame.id, "unknown_order")
        elif row.state is State.CLOSED:
            self._reject_cancel(frame.account, frame.id, f"order_closed: {_word(row.outcome)}")
        else:
            latency = self._floor.rules.cancel_latency
            row.cancel_at = self._schedule.now + latency
            self._floor.book.save(row)
            if latency:
                self._schedule.at(row.cancel_at, lambda: self.carry_out_cancel(row, faults))
            else:
                self.carry_out_cancel(row, faults)

    def carry_out_cancel(self, row: OrderRow, faults: tuple[Fault, ...] = ()) -> None:
        """The cancel reaches the book."""
        floor, order = self._floor, self._floor.open.get(row.key)
        row.cancel_at = None
        if order is None:
            self._reject_cancel(*row.key, f"order_closed: {_word(row.outcome)}")
            return
        market = floor.market(row.symbol)
        if find(faults, Verb.FILL_ON_CANCEL) is not None and row.state is not State.SENT and market.fill_now(order):
            floor.apply(market)
            self._reject_cancel(*row.key, f"order_closed: {_word(row.outcome)}")
            return
        rest = order.remaining
        market.cancel(order, "cancelled by its owner")
        floor.apply(market)
        late = find(faults, Verb.FILL_AFTER_CANCEL_ACK)
        if late is not None and rest > 0:
            self._schedule.at(self._schedule.now + late.delay, lambda: self._fill_late(row, rest))

    def _refusal(self, kind: str, frame: PlaceFrame, faults: tuple[Fault, ...]) -> str | None:
        floor = self._floor
        reason = refusal(frame, floor.accounts, floor.instruments)
        if reason is not None:
            return reason
        if (fault := find(faults, Verb.REJECT)) is not None:
            return fault.reason
        if (kind == "modify") != bool(frame.replaces):
            return f"bad_replace: a {kind} that replaces {frame.replaces or 'nothing'}"
        if frame.replaces:
            old = floor.rows.get((frame.account, frame.replaces))
            if old is None or old.symbol != frame.symbol or old.side is not frame.legs[0].side:
                return f"unknown_replaced_order: {frame.replaces}"
            if old.state is State.CLOSED:
                return f"replaced_order_closed: {frame.replaces} is {_word(old.outcome)}"
        if self._rejects_when_closed:
            instrument = floor.instruments[frame.symbol].symbol
            return closed_refusal(floor.states.get(instrument), frame.symbol)
        return None

    def _rows(self, frame: PlaceFrame, faults: tuple[Fault, ...]) -> list[OrderRow]:
        now, number = self._schedule.now, len(self._floor.rows)
        hidden = find(faults, Verb.VISIBILITY_DELAY)
        visible = now + (self._visibility if hidden is None else hidden.delay)
        return [OrderRow(
            account=frame.account, client_order_id=leg.id, broker_order_id=f"P{number + count:08d}",
            number=number + count, parent=frame.legs[0].id, symbol=frame.symbol, role=leg.role, purpose=leg.purpose,
            side=leg.side, quantity=leg.quantity, size=leg.quantity, filled=ZERO, type=leg.type,
            price=leg.limit if leg.type is OrderType.LIMIT else leg.stop, tif=leg.tif, is_reduce_only=leg.reduce,
            tag=frame.tag, replaces=frame.replaces, state=State.SENT if count == 1 else State.WAITING, outcome=None,
            entered=ZERO, exited=ZERO, ts=now, arrives=now + self._floor.rules.latency, visible=visible)
            for count, leg in enumerate(frame.legs, 1)]

    def _reject(self, frame: PlaceFrame, reason: str) -> None:
        """Refuse all legs, and remember that (where there is an account to remember it for)."""
        floor, now = self._floor, self._schedule.now
        for leg in frame.legs:
            self._stream.emit(RejectedFrame(frame.account, leg.id, reason, now))
        if frame.account in floor.accounts and frame.symbol in floor.instruments:
            for row in self._rows(frame, ()):
                row.state, row.outcome = State.CLOSED, Outcome.REJECTED
                floor.rows[row.key] = row
                floor.book.save(row)

    def _reject_duplicate(self, frame: PlaceFrame) -> None:
        """An id is used once. The rejection is followed by how the order under that id stands."""
        now = self._schedule.now
        for leg in frame.legs:
            row = self._floor.rows.get((frame.account, leg.id))
            if row is None:
                reason = "duplicate_client_order_id: of another leg"
                self._stream.emit(RejectedFrame(frame.account, leg.id, reason, now))
                continue
            reason = f"duplicate_client_order_id: {leg.id} is {row.broker_order_id}, {row.state.value}"
            self._stream.emit(RejectedFrame(frame.account, leg.id, reason, now))
            self._stream.emit(StatusFrame(row.account, leg.id, row.broker_order_id, row.filled, row.outcome,
                                          row.state is not State.WAITING, now))

    def _reject_late(self, row: OrderRow, reason: str) -> None:
        order = self._floor.open.get(row.key)
        if order is not None and order.filled == 0:
            market = self._floor.market(row.symbol)
            market.cancel(order, reason, Outcome.REJECTED)
            self._floor.apply(market)

    def _reject_cancel(self, account: str, client_order_id: str, reason: str) -> None:
        self._stream.emit(CancelRejectedFrame(account, client_order_id, reason, self._schedule.now))

    def _fill_late(self, row: OrderRow, lots: int) -> None:
        """The execution that had happened before the cancel was confirmed."""
        market = self._floor.market(row.symbol)
        order = self._floor.order_of(row)
        order.phase, order.filled = Phase.LIVE, order.quantity - lots
        price = market.price_now(order)
        if price is None and row.type is not OrderType.MARKET:
            price = order.price
        if price is not None:
            market.positions[row.account] = market.positions.get(row.account, 0) + (lots if order.is_buy else -lots)
            self._floor.book_fill(row, lots, price)
        self._floor.apply(market)


def _word(outcome: Outcome | None) -> str:
    return outcome.value if outcome is not None else "open"
