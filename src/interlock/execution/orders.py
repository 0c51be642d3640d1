"""The order book: every order of ours, and what the venues have said about it, folded report by report.

Reports may come twice, late, or before their acknowledgement; a fill counts once, by (account, execution id), and in
full even where it should not have happened. What cannot be is noted for the alarm and changes nothing. One in doubt
is live at its worst case until the venue proves something.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from interlock.execution.answers import UNANSWERED, Answers
from interlock.execution.exposure import ZERO, Asked, Book, Seen, position_key
from interlock.model.command import OrderAdopted
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.money import DAY, SECOND, Nanos
from interlock.model.order import (
    Closed,
    InDoubt,
    InFlight,
    Intended,
    Leg,
    OrderRecord,
    OrderState,
    OrderType,
    Outcome,
    Working,
)
from interlock.model.record import Attempt, CancelRequested, LookupRequested, OrderDropped
from interlock.model.report import (
    BrokerOrder,
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFilled,
    OrderFound,
    OrderMissing,
    OrderRejected,
    WriteRefused,
    WriteUnknown,
)
from interlock.model.signal import Purpose

KEPT: Final[Nanos] = 5 * DAY
"""How long a closed order is remembered: longer than any venue replays its executions."""


class OrderBook(Answers):
    """Fold with `apply`; read with the rest. `notes_on` tells what the last `apply` showed."""

    def __init__(self, visibility: Mapping[AccountName, Nanos] | None = None) -> None:
        super().__init__()
        self._visibility = visibility or {}
        self._folds: dict[type, Callable[[Any, Nanos], None]] = {
            Attempt: self._on_attempt, OrderAccepted: self._on_accepted, OrderFilled: self._on_filled,
            OrderCancelled: self._on_ended, OrderRejected: self._on_ended, OrderExpired: self._on_ended,
            CancelRejected: self._on_cancel_rejected, WriteRefused: self._on_refused, WriteUnknown: self._on_unknown,
            OrderFound: self._on_found, OrderMissing: self._on_missing, OrderDropped: self._on_dropped,
            CancelRequested: self._on_cancel, LookupRequested: self._on_lookup, OrderAdopted: self._on_adopted}

    def apply(self, payload: object, ts: Nanos) -> None:
        """Fold one journaled payload."""
        self.notes, self._noted = [], payload
        fold = self._folds.get(type(payload))
        if fold is not None:
            fold(payload, ts)

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self.book)

    def restore(self, body: bytes) -> None:
        self.book = msgspec.msgpack.decode(body, type=Book)
        self.reindex()

    def _on_attempt(self, attempt: Attempt, ts: Nanos) -> None:
        order, book = attempt.order, self.book
        self._prune(ts)
        for leg in order.legs:
            record = book.records.get(leg.client_order_id)
            if record is None:
                self.put(OrderRecord(leg=leg, account=order.account, instrument=order.instrument,
                                     signal_id=order.signal_id, lane=order.lane, strategy=order.strategy,
                                     generation=order.generation, parent=order.client_order_id,
                                     attempt=attempt.attempt, state=InFlight(ts), ts_created=ts), ts)
            elif isinstance(record.state, UNANSWERED) or leg.client_order_id in book.unproven:
                book.unproven.pop(leg.client_order_id, None)
                book.missed.pop(leg.client_order_id, None)
                self._state(record, InFlight(ts), ts, attempt=attempt.attempt)
            else:
                self._note("illegal", leg.client_order_id,
                           f"attempt {attempt.attempt} of an order that is {_spell(record.state)}", is_alarm=True)
        if order.replaces is not None:
            book.replaces[order.client_order_id] = order.replaces

    def _on_filled(self, fill: OrderFilled, ts: Nanos) -> None:
        book, cid = self.book, fill.client_order_id
        seen = book.executions.setdefault(fill.account, {})
        earlier = seen.get(fill.execution_id)
        if earlier is not None:
            if (earlier.client_order_id, earlier.quantity, earlier.price) != (cid, fill.quantity, fill.price):
                self._note("conflict", cid, f"{fill.account}: execution {fill.execution_id} came again with another "
                           f"content: {fill.quantity} at {fill.price}", is_alarm=True)
            return
        if not (fill.quantity.is_finite() and fill.quantity > ZERO and fill.price.is_finite()):
            self._note("illegal", cid, f"a fill of {fill.quantity} at {fill.price}", is_alarm=True)
            return
        seen[fill.execution_id] = Seen(cid, fill.quantity, fill.price, ts)
        key = position_key(fill.account, fill.instrument)
        before = book.positions.get(key, ZERO)
        after = before + fill.quantity * fill.side.sign
        book.positions[key] = after
        record = book.records.get(cid)
        is_flatten = record is not None and record.leg.purpose is Purpose.FLATTEN     # sized by the broker's word, not by ours
        if ((before < ZERO < after) or (after < ZERO < before)) and not is_flatten:
            self._note("crossed", cid, f"{fill.account}: {fill.instrument} went from {before} through zero to {after}",
                       is_alarm=True)
        record = self._known(fill)
        self._note("filled", cid)
        if record is None:
            return
        if fill.side is not record.leg.side or fill.instrument != record.instrument:
            self._note("conflict", cid, f"{fill.account}: {cid} is {record.leg.side.value} {record.instrument}, "
                       f"its fill {fill.side.value} {fill.instrument}", is_alarm=True)
        filled = record.filled + fill.quantity
        parent = book.records.get(record.parent, record)
        if filled > max(record.leg.quantity, parent.leg.quantity):
            self._note("overfill", cid, f"{fill.account}: {filled} filled of {record.leg.quantity} ordered ({cid})",
                       is_alarm=True)
        if book.owed.get(cid, ZERO) <= filled:
            book.owed.pop(cid, None)
        state = record.state
        if filled >= record.leg.quantity:
            if not (isinstance(state, Closed) and state.outcome is Outcome.FILLED):
                state = Closed(Outcome.FILLED, ts)
            book.unproven.pop(cid, None)
        elif cid in book.unproven:
            book.unproven.pop(cid)
            state = InDoubt(ts)
            self._note("reopened", cid, f"{cid} was taken for dead and has filled", is_alarm=True)
        self._replaced(cid, ts)
        total = (record.average_price or ZERO) * record.filled + fill.price * fill.quantity
        self._state(record, state, ts, filled=filled, average_price=total / filled)

    def _on_refused(self, report: WriteRefused, ts: Nanos) -> None:
        record = self._known(report)
        if record is None or report.attempt < record.attempt:
            return
        if isinstance(record.state, Working):
            self._note("illegal", report.client_order_id, "a write that never left is working at the venue",
                       is_alarm=True)
            return
        self._never_arrived(record, Outcome.REJECTED, ts)

    def _on_unknown(self, report: WriteUnknown, ts: Nanos) -> None:
        record = self._known(report)
        if record is None or report.attempt < record.attempt:
            return
        for leg in self._legs(record):
            if isinstance(leg.state, InFlight | Intended):
                self._state(leg, InDoubt(ts), ts)

    def _on_missing(self, report: OrderMissing, ts: Nanos) -> None:
        record = self._known(report)
        if record is None or not record.is_open:
            return
        cid, state = report.client_order_id, record.state
        if isinstance(state, Working):
            self.book.lookups.pop(cid, None)
            self._note("illegal", cid, f"{cid} was working and the venue knows it no more", is_alarm=True)
        elif isinstance(state, InDoubt):
            first = self.book.missed.setdefault(cid, report.ts_event)
            if self._is_late_enough(cid, state, report, first, ts):
                self._never_arrived(record, Outcome.REJECTED, ts)

    def _is_late_enough(self, cid: ClientOrderId, state: InDoubt, report: OrderMissing, first: Nanos, ts: Nanos) -> bool:
        """Asked and answered only after the venue must have shown an order that had arrived. The order may have been long on its
        way; but not behind the look-ups that followed it, so the first of them that was answered tells when it was there."""
        delay = self._visibility.get(report.account, 0)
        visible, asked = state.ts_since + delay, self.book.lookups.get(cid)
        return (asked is not None and asked.ts_last >= visible and min(report.ts_event, ts) >= visible
                and report.ts_event >= first + delay)

    def _on_dropped(self, report: OrderDropped, ts: Nanos) -> None:
        record = self._known(report)
        if record is not None and isinstance(record.state, UNANSWERED):
            self._never_arrived(record, Outcome.CANCELLED, ts)

    def _never_arrived(self, record: OrderRecord, outcome: Outcome, ts: Nanos) -> None:
        for leg in self._legs(record):
            if isinstance(leg.state, UNANSWERED) and leg.filled == ZERO:
                self.book.unproven[leg.leg.client_order_id] = True
                self._state(leg, Closed(outcome, ts), ts)

    def _on_cancel(self, request: CancelRequested, ts: Nanos) -> None:
        asked = self.book.cancels.get(request.client_order_id, Asked(0, 0, 0))
        wait = min((2 * SECOND) << asked.count, 60 * SECOND)
        self.book.cancels[request.client_order_id] = Asked(asked.count + 1, ts, ts + wait, request.permit or asked.permit)
        record = self.book.records.get(request.client_order_id)
        if record is not None and record.is_open:
            self.put(replace(record, is_cancel_requested=True), ts)

    def _on_lookup(self, request: LookupRequested, ts: Nanos) -> None:
        record = self.book.records.get(request.client_order_id)
        if record is None:
            return
        if isinstance(record.state, InFlight | Intended):
            self._state(record, InDoubt(ts), ts)
        asked = self.book.lookups.get(request.client_order_id, Asked(0, 0, 0))
        delay = self._visibility.get(request.account, 0)
        wait = max(min(SECOND << asked.count, 30 * SECOND), delay + delay // 8)    # the next answer shall lie a delay behind this
        self.book.lookups[request.client_order_id] = Asked(asked.count + 1, ts, ts + wait)

    def _on_adopted(self, adopted: OrderAdopted, ts: Nanos) -> None:
        """A person said that the broker is right: the order stands as it lists it, and one that nobody here made is known."""
        book, cid, order = self.book, adopted.client_order_id, adopted.order
        record = book.records.get(cid)
        book.unproven.pop(cid, None)
        if order is None:
            if record is not None and record.is_open:
                self._state(record, Closed(Outcome.CANCELLED, ts), ts)
        elif record is None:
            self.put(OrderRecord(
                leg=_leg(order, Purpose.PROTECT if order.is_protective else Purpose.ENTER), account=adopted.account,
                instrument=order.instrument, signal_id=SignalId(cid), lane=LaneName(""), strategy=StrategyName(""), generation=0,
                parent=cid, attempt=1, state=Working(order.broker_order_id, order.is_live), filled=order.filled,
                ts_created=ts), ts)
        else:
            leg = _leg(order, record.leg.purpose, record.leg)
            self._state(record, Working(order.broker_order_id, order.is_live), ts, leg=leg,
                        filled=order.filled, is_cancel_requested=False)

    def _prune(self, ts: Nanos) -> None:
        """Once a day, forget what closed too long ago for any venue to repeat it."""
        book = self.book
        if ts - book.ts_pruned < DAY:
            return
        book.ts_pruned, limit = ts, ts - KEPT
        gone = [name for name, record in book.records.items()
                if isinstance(record.state, Closed) and record.state.ts < limit and name not in book.owed
                and not any(book.records[child].is_open for child in self.children.get(name, ()))]
        for name in gone:
            del book.records[name]
            book.replaces.pop(name, None)
            book.unproven.pop(name, None)
        for account, seen in book.executions.items():
            book.executions[account] = {name: fill for name, fill in seen.items() if fill.ts >= limit}
        if gone:
            self.reindex()


def _leg(order: BrokerOrder, purpose: Purpose, ours: Leg | None = None) -> Leg:
    """An order as the broker lists it. A price that it does not tell is ours, if we have one."""
    stop = order.stop if order.stop is not None or ours is None else ours.stop
    limit = None if stop is not None else order.limit if order.limit is not None or ours is None else ours.limit
    kind = OrderType.STOP if stop is not None else OrderType.LIMIT if limit is not None else OrderType.MARKET
    return Leg(client_order_id=order.client_order_id, role=ours.role if ours is not None else "foreign", purpose=purpose,
               side=order.side, quantity=order.quantity, type=kind, limit=limit, stop=stop)


def _spell(state: OrderState) -> str:
    return f"closed, {state.outcome.value}" if isinstance(state, Closed) else type(state).__name__
