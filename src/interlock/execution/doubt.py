"""Asking the venue what became of an order: at once when a write has no answer, then again, ever more slowly.

Nothing here resends anything. A cancel alone is repeated, a few times, because a cancel adds no risk.
"""

from interlock.execution.state import T_INFLIGHT, TRIES_MAX, Outputs, Situation
from interlock.model.ids import AccountName
from interlock.model.money import Nanos
from interlock.model.order import InDoubt, InFlight, Intended, OrderRecord, Working
from interlock.model.record import CancelRequested, LookupRequested, ReadRequested
from interlock.model.report import AccountRead, CancelRejected, OrderFound, WriteUnknown


def on_report(situation: Situation, report: object) -> Outputs:
    """What a report leaves open."""
    book = situation.orders
    match report:
        case WriteUnknown(attempt=attempt) if attempt:    # a look-up or a cancel that failed is asked again when it is due
            for name in (report.client_order_id, *book.children.get(report.client_order_id, ())):
                record = book.by_id(name)
                if record is not None and isinstance(record.state, InDoubt):
                    yield _lookup(record)
        case CancelRejected():
            record = book.by_id(report.client_order_id)
            if record is not None and record.is_open:
                yield _lookup(record)                     # filled, or not there yet: only the venue knows
        case OrderFound() if report.client_order_id in book.book.owed:
            yield ReadRequested(report.account, f"executions of {report.client_order_id}")


def on_tick(situation: Situation, ts: Nanos) -> Outputs:
    """Every question that is due."""
    book = situation.orders.book
    for name, changed in tuple(book.changed.items()):
        record = book.records[name]
        if isinstance(record.state, InFlight) and ts - changed >= T_INFLIGHT:
            yield _lookup(record)
    for name, asked in tuple(book.lookups.items()):
        if asked.ts_next <= ts:
            yield _lookup(book.records[name])
    for name, asked in tuple(book.cancels.items()):
        open_record = book.records.get(name)
        if open_record is None or not open_record.is_open or asked.ts_next > ts:
            continue
        if asked.count < TRIES_MAX:
            yield CancelRequested(open_record.account, name, "the cancel has no answer", asked.permit)
            if name not in book.lookups:
                yield _lookup(open_record)
        else:
            yield from situation.alarm(f"cancel.{name}", f"{open_record.account}: {name} cannot be cancelled; "
                                       f"{asked.count} cancels have come to nothing")


def on_resume(situation: Situation, account: AccountName | None = None) -> Outputs:
    """After a restart or a reconnect: everything that was attempted or asked and has no answer is looked up, and every cancel
    without an answer is repeated, however long it would have waited for its next turn."""
    cancels = situation.orders.book.cancels if account is not None else {}     # at a start each line comes up in its turn
    for record in situation.orders.open_orders(account):
        asked = cancels.get(record.leg.client_order_id)
        if asked is not None and record.is_cancel_requested:
            yield CancelRequested(record.account, record.leg.client_order_id, "the line is back", asked.permit)
        is_unanswered = isinstance(record.state, Intended | InFlight | InDoubt) or record.is_cancel_requested
        if is_unanswered or record.leg.client_order_id in situation.orders.book.lookups:
            yield _lookup(record)


def on_read(situation: Situation, read: AccountRead, ts: Nanos) -> Outputs:
    """A list that lacks an order proves nothing; it is a reason to ask."""
    listed = {order.client_order_id: order for order in read.orders}
    book = situation.orders.book
    for record in situation.orders.open_orders(read.account):
        name = record.leg.client_order_id
        if name in book.lookups and not isinstance(record.state, InDoubt):
            continue
        is_working = isinstance(record.state, Working)
        if is_working != (name in listed) and ts - book.changed[name] >= T_INFLIGHT:
            yield _lookup(record)
        elif isinstance(record.state, Working) and name in listed and listed[name].is_live and not record.state.is_live:
            yield _lookup(record)                         # its parent filled and nobody heard of it


def next_question(situation: Situation) -> Nanos | None:
    """When the next question is due."""
    book = situation.orders.book
    due = [asked.ts_next for asked in book.lookups.values()]
    if situation.orders.in_flight:
        due.append(min(situation.orders.in_flight.values()) + T_INFLIGHT)
    for name, asked in book.cancels.items():
        record = book.records.get(name)
        if record is not None and record.is_open and f"cancel.{name}" not in situation.folded.alarms:
            due.append(asked.ts_next)
    return min(due, default=None)


def _lookup(record: OrderRecord) -> LookupRequested:
    return LookupRequested(record.account, record.leg.client_order_id)
