"""The order book under reports that come twice, late and out of order."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from interlock.execution.orders import OrderBook
from interlock.model.ids import AccountName, BrokerOrderId, ClientOrderId, ExecutionId, LaneName, SignalId, StrategyName
from interlock.model.order import Closed, InFlight, Leg, Order, OrderType, Outcome, Working
from interlock.model.record import Attempt, CancelRequested, LookupRequested
from interlock.model.report import (
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
from interlock.model.signal import Purpose, Side

A = AccountName("paper-1")
B = BrokerOrderId("b")
D = Decimal


def cid(name: str) -> ClientOrderId:
    return ClientOrderId(name)


def attempt(name: str, side: Side = Side.BUY, quantity: str = "3", purpose: Purpose = Purpose.ENTER,
            children: tuple[str, ...] = (), number: int = 1) -> Attempt:
    def leg(leg_name: str, of: Purpose, leg_side: Side) -> Leg:
        return Leg(client_order_id=cid(leg_name), role="entry", purpose=of, side=leg_side, quantity=D(quantity),
                   type=OrderType.MARKET)
    legs = (leg(name, purpose, side), *(leg(child, Purpose.PROTECT if n == 0 else Purpose.TARGET, side.opposite)
                                        for n, child in enumerate(children)))
    order = Order(account=A, instrument="MNQ", venue_symbol="MNQ", legs=legs, signal_id=SignalId("s"),
                  lane=LaneName("l"), strategy=StrategyName("t"))
    return Attempt(cid(name), number, order, D(0))


def fill(name: str, execution: str, quantity: str, side: Side = Side.BUY, price: str = "100") -> OrderFilled:
    return OrderFilled(A, cid(name), ExecutionId(execution), "MNQ", side, D(quantity), D(price), D(0), 0)


def book(*payloads: Any) -> OrderBook:
    orders = OrderBook()
    for ts, payload in enumerate(payloads, 1):
        orders.apply(payload, ts)
    return orders


def found(orders: OrderBook, name: str) -> Any:
    record = orders.by_id(cid(name))
    assert record is not None
    return record


STREAM: tuple[Any, ...] = (
    OrderAccepted(A, cid("o"), B, 0), fill("o", "e1", "1"), fill("o", "e2", "1"),
    OrderCancelled(A, cid("o"), "", 0), CancelRejected(A, cid("o"), "", 0), fill("p", "e3", "2", Side.SELL),
    OrderAccepted(A, cid("p"), B, 0), WriteUnknown(A, cid("p"), 1, ""), OrderFound(A, cid("p"), B, D(2), None, 0))


@given(st.lists(st.sampled_from(range(len(STREAM))), max_size=12).flatmap(
    lambda again: st.permutations([*range(len(STREAM)), *again])))
def test_any_order_and_any_repetition_of_reports_gives_the_same_position(order):
    orders = book(attempt("o"), attempt("p", Side.SELL), *(STREAM[index] for index in order))

    assert orders.position(A, "MNQ") == D(0), "two bought, two sold"
    assert (found(orders, "o").filled, found(orders, "p").filled) == (D(2), D(2))
    assert found(orders, "o").state.outcome is Outcome.CANCELLED


def test_a_fill_before_its_acknowledgement_counts():
    orders = book(attempt("o"), fill("o", "e1", "1"))

    assert orders.position(A, "MNQ") == D(1)
    assert isinstance(found(orders, "o").state, InFlight)
    orders.apply(OrderAccepted(A, cid("o"), B, 0), 9)
    assert found(orders, "o").filled == D(1)


def test_a_fill_after_the_cancel_counts_and_the_order_stays_closed():
    orders = book(attempt("o"), OrderAccepted(A, cid("o"), B, 0), OrderCancelled(A, cid("o"), "", 0),
                  fill("o", "e1", "1"))

    assert orders.position(A, "MNQ") == D(1)
    assert found(orders, "o").state == Closed(Outcome.CANCELLED, 3)


def test_an_overfill_is_booked_whole_and_told():
    orders = book(attempt("o"), fill("o", "e1", "3"), fill("o", "e2", "1"))

    assert (orders.position(A, "MNQ"), found(orders, "o").filled) == (D(4), D(4))
    assert [note.kind for note in orders.notes if note.is_alarm] == ["overfill"]


def test_the_same_execution_with_another_content_is_not_booked_and_told():
    orders = book(attempt("o"), fill("o", "e1", "1"), fill("o", "e1", "2"))

    assert orders.position(A, "MNQ") == D(1)
    assert [note.kind for note in orders.notes] == ["conflict"]


def test_one_execution_id_in_two_accounts_is_two_executions():
    other = AccountName("paper-2")
    theirs = OrderFilled(other, cid("y"), ExecutionId("e1"), "MNQ", Side.BUY, D(1), D(1), D(0), 0)
    orders = book(fill("x", "e1", "1"), theirs)

    assert (orders.position(A, "MNQ"), orders.position(other, "MNQ")) == (D(1), D(1))


def test_a_report_of_another_accounts_order_changes_nothing():
    orders = book(attempt("o"), OrderCancelled(AccountName("paper-2"), cid("o"), "", 0))

    assert found(orders, "o").is_open
    assert [note.kind for note in orders.notes] == ["unknown"]


def test_the_mean_price_of_an_order_is_that_of_its_fills():
    orders = book(attempt("o"), fill("o", "e1", "1", price="100"), fill("o", "e2", "2", price="103"))

    assert found(orders, "o").average_price == D(102)


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN"])
def test_a_quantity_that_cannot_be_is_told_and_not_taken_over(quantity):
    orders = book(attempt("o"), OrderAccepted(A, cid("o"), B, 0, quantity=D(quantity)))

    assert found(orders, "o").leg.quantity == D(3)
    assert any(note.is_alarm for note in orders.notes)


def test_only_a_look_up_after_the_visibility_delay_can_find_an_order_missing():
    orders = OrderBook({A: 100})
    one = cid("o")
    for ts, payload in ((1, attempt("o")), (2, WriteUnknown(A, one, 1, "")), (3, LookupRequested(A, one)),
                        (200, OrderMissing(A, one, 200))):
        orders.apply(payload, ts)
    assert found(orders, "o").is_open, "asked too early, whenever the answer came"

    orders.apply(LookupRequested(A, one), 201)
    orders.apply(OrderMissing(A, one, 202), 202)
    assert found(orders, "o").is_open, "the order may have been on its way until the first of them was answered"

    orders.apply(LookupRequested(A, one), 299)
    orders.apply(OrderMissing(A, one, 300), 300)
    assert not found(orders, "o").is_open


def test_closed_orders_are_forgotten_after_days_and_a_resting_childs_parent_is_not():
    day = 86_400_000_000_000
    orders = book(attempt("o", children=("s",)), fill("o", "e1", "3"), OrderAccepted(A, cid("s"), B, 0), attempt("p"),
                  OrderRejected(A, cid("p"), "", 0))

    orders.apply(attempt("q"), 6 * day)

    assert [record.leg.client_order_id for record in orders.records()] == ["o", "s", "q"]


def test_children_count_as_one_and_only_as_far_as_their_entry_filled():
    orders = book(attempt("o", children=("s", "t")))
    assert orders.worst_case(A, "MNQ") == (D(3), D(0))

    orders.apply(fill("o", "e1", "1"), 9)
    for child in ("s", "t"):
        orders.apply(OrderAccepted(A, cid(child), B, 0, quantity=D(1)), 9)

    assert orders.worst_case(A, "MNQ") == (D(3), D(0)), "1 held, 2 may come; the pair gives back 1 once"
    orders.apply(fill("s", "e2", "1", Side.SELL), 9)
    assert orders.worst_case(A, "MNQ") == (D(2), D(0))


def test_unlinked_exits_are_each_counted():
    orders = book(fill("m", "e0", "3"), attempt("s", Side.SELL, purpose=Purpose.PROTECT),
                  attempt("t", Side.SELL, purpose=Purpose.TARGET))

    assert orders.worst_case(A, "MNQ") == (D(3), D(-3))


def test_a_child_is_no_overfill_while_its_resize_is_late():
    orders = book(attempt("o", children=("s",)), fill("o", "e1", "1"), OrderAccepted(A, cid("s"), B, 0, quantity=D(1)),
                  fill("o", "e2", "2"), fill("s", "e3", "3", Side.SELL))

    assert orders.position(A, "MNQ") == D(0)
    assert not any(note.kind == "overfill" for note in orders.notes)
    assert not found(orders, "s").is_open


class Reports(RuleBasedStateMachine):
    """Random reports about three orders, in any order, repeated at will, against a plain sum of distinct executions."""

    names = ("o", "p", "q")

    @initialize()
    def start(self) -> None:
        self.orders = OrderBook({A: 0})
        self.ts = 1
        self.executions: dict[str, tuple[str, Decimal, Side]] = {}
        self.sides = {"o": Side.BUY, "p": Side.SELL, "q": Side.BUY, "s": Side.SELL}
        for payload in (attempt("o", children=("s",)), attempt("p", Side.SELL), attempt("q")):
            self._apply(payload)

    def _apply(self, payload: Any) -> None:
        self.ts += 1
        before = OrderBook({A: 0})
        before.restore(self.orders.snapshot())
        before.apply(payload, self.ts)
        self.orders.apply(payload, self.ts)
        assert before.snapshot() == self.orders.snapshot(), "a restored book goes on like the one that never stopped"
        assert before.open_orders() == self.orders.open_orders()

    @rule(name=st.sampled_from(["o", "p", "q", "s"]), execution=st.integers(0, 6), quantity=st.integers(1, 3))
    def fills(self, name, execution, quantity):
        key = f"e{execution}"
        self.executions.setdefault(key, (name, D(quantity), self.sides[name]))
        self._apply(fill(name, key, str(quantity), self.sides[name]))

    @rule(name=st.sampled_from(["o", "p", "q", "s"]), kind=st.sampled_from(
        ["accepted", "cancelled", "rejected", "expired", "cancel_rejected", "refused", "unknown", "found", "done",
         "missing", "cancel", "lookup", "again"]))
    def reports(self, name, kind):
        one = cid(name)
        payloads: dict[str, Any] = {
            "accepted": OrderAccepted(A, one, B, 0), "cancelled": OrderCancelled(A, one, "", 0),
            "rejected": OrderRejected(A, one, "", 0), "expired": OrderExpired(A, one, 0),
            "cancel_rejected": CancelRejected(A, one, "", 0), "refused": WriteRefused(A, one, 1, "", ""),
            "unknown": WriteUnknown(A, one, 1, ""), "found": OrderFound(A, one, B, D(1), None, 0),
            "done": OrderFound(A, one, B, D(2), Outcome.CANCELLED, 0), "missing": OrderMissing(A, one, self.ts + 1),
            "cancel": CancelRequested(A, one, ""), "lookup": LookupRequested(A, one),
            "again": attempt("o", children=("s",), number=2)}
        self._apply(payloads[kind])

    @invariant()
    def position_is_the_sum_of_distinct_executions(self):
        if not hasattr(self, "orders"):
            return
        expected = sum((quantity * side.sign for _, quantity, side in self.executions.values()), D(0))
        assert self.orders.position(A, "MNQ") == expected
        for name in self.sides:
            filled = sum((quantity for of, quantity, _ in self.executions.values() if of == name), D(0))
            assert found(self.orders, name).filled == filled

    @invariant()
    def the_worst_case_holds_the_position_and_everything_open(self):
        if not hasattr(self, "orders"):
            return
        long, short = self.orders.worst_case(A, "MNQ")
        at = self.orders.position(A, "MNQ")
        assert short <= at <= long
        for record in self.orders.open_orders():
            if record.parent == record.leg.client_order_id and record.remaining > 0:
                reach = at + record.remaining * record.leg.side.sign
                assert short <= reach <= long

    @invariant()
    def the_index_is_what_a_scan_finds(self):
        if hasattr(self, "orders"):
            assert set(self.orders.open_orders()) == {record for record in self.orders.records() if record.is_open}

    @invariant()
    def an_order_filled_in_full_is_closed(self):
        if hasattr(self, "orders"):
            for record in self.orders.records():
                if record.filled >= record.leg.quantity:
                    assert not isinstance(record.state, Working)


TestReports = Reports.TestCase
TestReports.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
