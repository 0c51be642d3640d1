"""What the venue answers about an order: that it holds it, that it ended, that it was found.

An answer that cannot be true is noted for the alarm and changes nothing.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import replace

from interlock.execution.exposure import ZERO, Exposure, Note
from interlock.model.ids import BrokerOrderId, ClientOrderId
from interlock.model.money import Nanos
from interlock.model.order import Closed, InDoubt, InFlight, Intended, OrderRecord, OrderState, Outcome, Working
from interlock.model.report import (
    CancelRejected,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderFound,
    OrderRejected,
)

UNANSWERED: Final = (Intended, InFlight, InDoubt)


class Answers(Exposure):
    """Records as the venue's answers change them, and what the last one showed."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[Note] = []
        self._noted: object = None

    def notes_on(self, payload: object) -> tuple[Note, ...]:
        """What folding this payload showed, as long as no other has been folded since."""
        return tuple(self.notes) if self._noted is payload else ()

    def _note(self, kind: str, cid: ClientOrderId, text: str = "", *, is_alarm: bool = False) -> None:
        self.notes.append(Note(kind, cid, text, is_alarm))

    def _known(self, report: Any) -> OrderRecord | None:
        record = self.book.records.get(report.client_order_id)
        if record is not None and record.account == report.account:
            return record
        held = "no order of ours" if record is None else f"an order of {record.account}"
        self._note("unknown", report.client_order_id,
                   f"{report.account}: {type(report).__name__} for {report.client_order_id}, {held}", is_alarm=True)
        return None

    def _state(self, record: OrderRecord, state: OrderState, ts: Nanos, **changes: Any) -> OrderRecord:
        changed = replace(record, state=state, **changes)
        self.put(changed, ts)
        return changed

    def _legs(self, record: OrderRecord) -> Iterator[OrderRecord]:
        """The order and, for a parent, those of its children that wait for it."""
        yield record
        for name in self.children.get(record.leg.client_order_id, ()):
            yield self.book.records[name]

    def _on_accepted(self, report: OrderAccepted, ts: Nanos) -> None:
        record = self._known(report)
        if record is not None:
            self._live(record, report.broker_order_id, report.is_live, report.quantity, ts)

    def _live(self, record: OrderRecord, broker_id: BrokerOrderId, is_live: bool, quantity: Decimal | None,
              ts: Nanos) -> None:
        cid, state = record.leg.client_order_id, record.state
        if quantity is not None and quantity != record.leg.quantity:
            if not (quantity.is_finite() and quantity > 0):
                self._note("illegal", cid, f"the venue says quantity {quantity}", is_alarm=True)
            elif record.is_open or quantity > record.filled > ZERO:
                record = replace(record, leg=replace(record.leg, quantity=quantity))
        if isinstance(state, Closed):
            grew = state.outcome is Outcome.FILLED and record.remaining > ZERO
            if cid not in self.book.unproven and not grew:
                return                                    # a late acknowledgement
            self.book.unproven.pop(cid, None)
            if not grew:
                self._note("reopened", cid, f"{cid} was taken for {state.outcome.value}; the venue holds it",
                           is_alarm=True)
        elif isinstance(state, Working):
            is_live = is_live or state.is_live            # a report from before it went live
        self.book.lookups.pop(cid, None)
        self.book.missed.pop(cid, None)
        if not isinstance(state, Working):
            self._note("answered", cid)
            self._replaced(cid, ts)
        if record.remaining <= ZERO:
            self._state(record, Closed(Outcome.FILLED, ts), ts)
        else:
            self._state(record, Working(broker_id, is_live), ts)

    def _replaced(self, cid: ClientOrderId, ts: Nanos) -> None:
        """The venue holds the new generation, so the one named in its replace call is gone."""
        earlier = self.book.records.get(self.book.replaces.get(cid, cid))
        if earlier is not None and earlier.leg.client_order_id != cid and earlier.is_open:
            self._state(earlier, Closed(Outcome.CANCELLED, ts), ts)

    def _on_ended(self, report: OrderCancelled | OrderRejected | OrderExpired, ts: Nanos) -> None:
        record = self._known(report)
        if record is None:
            return
        outcome = (Outcome.CANCELLED if isinstance(report, OrderCancelled) else
                   Outcome.REJECTED if isinstance(report, OrderRejected) else Outcome.EXPIRED)
        self.book.unproven.pop(report.client_order_id, None)
        # A venue that rejects a bracket rejects it whole; after a cancel it says itself what becomes of the children.
        for leg in self._legs(record) if outcome is Outcome.REJECTED else (record,):
            if leg.is_open:
                self._state(leg, Closed(outcome, ts), ts)

    def _on_cancel_rejected(self, report: CancelRejected, ts: Nanos) -> None:
        record = self._known(report)
        if record is not None and record.is_open:
            self.put(replace(record, is_cancel_requested=False), ts)

    def _on_found(self, report: OrderFound, ts: Nanos) -> None:
        record = self._known(report)
        if record is None:
            return
        cid = report.client_order_id
        if report.filled > record.filled:
            self.book.owed[cid] = report.filled
        if report.outcome is None:
            self._live(record, report.broker_order_id, report.is_live, None, ts)
        else:
            self.book.unproven.pop(cid, None)
            if record.is_open:
                self._state(record, Closed(report.outcome, ts), ts)
                self._note("answered", cid)
