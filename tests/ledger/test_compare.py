"""Ours against the broker's: every difference is named, nothing is adopted, and a late report is given its time."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from interlock.ledger.book import Ledger
from interlock.ledger.compare import Execution, compare, later, outlived, recheck_at
from interlock.model.ids import (
    AccountName,
    BrokerOrderId,
    ClientOrderId,
    ExecutionId,
    LaneName,
    SignalId,
    StrategyName,
)
from interlock.model.instrument import INSTRUMENTS
from interlock.model.money import SECOND
from interlock.model.order import Closed, InDoubt, InFlight, Leg, OrderRecord, OrderState, OrderType, Outcome, Working
from interlock.model.report import AccountRead, BrokerOrder, BrokerPosition, OrderFilled
from interlock.model.signal import Purpose, Side

A = AccountName("paper-1")
D = Decimal
NOW = 1_000 * SECOND


def listed(name: str, quantity: str = "3", *, side: Side = Side.SELL, stop: str | None = "95", filled: str = "0",
           limit: str | None = None) -> BrokerOrder:
    return BrokerOrder(ClientOrderId(name), BrokerOrderId("b"), "MNQ", side, D(quantity), D(filled), True, True,
                       None if stop is None else D(stop), None if limit is None else D(limit))


def read(positions: dict[str, str] | None = None, orders: tuple[BrokerOrder, ...] = (), cash: str = "0",
         fills: tuple[OrderFilled, ...] = (), ts: int = NOW) -> AccountRead:
    held = tuple(BrokerPosition(name, D(quantity)) for name, quantity in (positions or {}).items())
    return AccountRead(A, "1", D(cash), "USD", held, orders, fills, ts, 1)


def order(name: str, state: OrderState, quantity: str = "3", *, cancel: bool = False) -> OrderRecord:
    leg = Leg(client_order_id=ClientOrderId(name), role="stop", purpose=Purpose.PROTECT, side=Side.SELL,
              quantity=D(quantity), type=OrderType.STOP, stop=D(95))
    return OrderRecord(leg=leg, account=A, instrument="MNQ", signal_id=SignalId("s"), lane=LaneName("l"),
                       strategy=StrategyName("t"), generation=0, parent=leg.client_order_id, attempt=1, state=state,
                       is_cancel_requested=cancel)


WORKING = Working(BrokerOrderId("b"))


def rows(found):
    return [(item.what, item.ours, item.theirs) for item in found]


def executed(name: str, signed: str, ts_event: int, cid: str = "o") -> Execution:
    return Execution(ExecutionId(name), ClientOrderId(cid), "MNQ", D(signed), ts_event, ts_event)


def test_equal_books_differ_in_nothing():
    assert compare({"MNQ": D(3)}, [order("o", WORKING)], read({"MNQ": "3"}, (listed("o"),)), NOW, {}) == ()


def test_a_difference_of_a_millionth_is_none():
    assert compare({"BTC": D("1.0000010")}, [], read({"BTC": "1"}), NOW, {}) == ()
    assert len(compare({"BTC": D("1.0000011")}, [], read({"BTC": "1"}), NOW, {})) == 1


def test_positions_on_either_side_are_named():
    found = compare({"MNQ": D(3), "MES": D(1)}, [], read({"MNQ": "2", "MCL": "-1"}), NOW, {})

    assert rows(found) == [("position.MCL", "0", "-1"), ("position.MES", "1", "0"), ("position.MNQ", "3", "2")]


def test_orders_on_either_side_are_named():
    told = read(None, (listed("both", "1"), listed("theirs", "2", stop=None)))

    found = compare({}, [order("ours", WORKING), order("both", WORKING)], told, NOW, {})

    assert rows(found) == [("order.ours", "sell 3 MNQ working", "absent"), ("order.both.left", "3", "1"),
                           ("order.theirs", "absent", "sell 2 MNQ working")]


def test_a_stop_that_was_moved_by_hand_is_seen():
    found = compare({}, [order("o", WORKING)], read(None, (listed("o", stop="80"),)), NOW, {})

    assert rows(found) == [("order.o.stop", "95", "80")]


def test_an_order_that_was_turned_round_or_made_a_limit_is_seen():
    told = read(None, (listed("o", side=Side.BUY, limit="120"),))

    assert [what for what, _, _ in rows(compare({}, [order("o", WORKING)], told, NOW, {}))] == ["order.o.side", "order.o.limit"]


def test_a_price_that_the_broker_does_not_tell_is_not_compared():
    assert compare({}, [order("o", WORKING)], read(None, (listed("o", stop=None),)), NOW, {}) == ()


def test_what_is_in_flight_in_doubt_replaced_or_being_cancelled_may_stand_on_either_side():
    ours = [order("a", InFlight(NOW)), order("b", InDoubt(NOW)), order("c", WORKING, cancel=True), order("d", WORKING)]

    assert compare({}, ours, read(None, (listed("b"),)), NOW, {}, replaced=("d",)) == ()


def test_an_order_that_we_hold_for_closed_and_the_broker_lists_is_named_as_ours():
    closed = order("o", Closed(Outcome.CANCELLED, NOW))

    found = compare({}, [], read(None, (listed("o"),)), NOW, {}, by_id=lambda _: closed)

    assert rows(found) == [("order.o", "closed", "sell 3 MNQ stop 95 working")]


def test_ours_is_taken_as_it_stood_when_the_broker_answered():
    told = read({"MNQ": "1"}, (listed("o", "3", filled="1"),))
    stop = order("o", WORKING)
    newer = later([executed("e1", "1", NOW - 1), executed("e2", "2", NOW + 1)], told)
    partly = OrderRecord(leg=stop.leg, account=A, instrument="MNQ", signal_id=stop.signal_id, lane=stop.lane,
                         strategy=stop.strategy, generation=0, parent=stop.parent, attempt=1, state=WORKING, filled=D(3))

    assert [each.execution_id for each in newer] == ["e2"]
    assert compare({"MNQ": D(3)}, [partly], told, NOW, {}, newer=newer) == ()


def test_an_execution_that_the_answer_lists_is_not_later_than_it():
    fill = OrderFilled(A, ClientOrderId("o"), ExecutionId("e"), "MNQ", Side.BUY, D(1), D(100), D(0), NOW)

    assert later([executed("e", "1", NOW)], read(fills=(fill,))) == ()


def test_a_difference_keeps_the_time_it_was_first_seen_and_freezes_after_five_seconds():
    first = compare({"MNQ": D(3)}, [], read(), NOW, {})
    after = NOW + 5 * SECOND
    again = compare({"MNQ": D(3)}, [], read(), after, {item.what: item for item in first})

    assert (outlived(first, NOW), recheck_at(A, first, NOW)) == ((), after)
    assert [item.ts_since for item in outlived(again, after)] == [NOW]
    assert recheck_at(A, again, after) is None


def test_two_late_reports_that_point_opposite_ways_are_no_difference_that_stayed():
    first = {item.what: item for item in compare({"MNQ": D(3)}, [], read({"MNQ": "2"}), NOW, {})}

    again = compare({"MNQ": D(3)}, [], read({"MNQ": "4"}), NOW + 9 * SECOND, first)
    grown = compare({"MNQ": D(3)}, [], read({"MNQ": "1"}), NOW + 9 * SECOND, first)

    assert again[0].ts_since == NOW + 9 * SECOND
    assert grown[0].ts_since == NOW, "it has only grown"


def test_the_ledger_remembers_the_differences_of_the_read_before():
    ledger = Ledger((A,), INSTRUMENTS)
    for ts in (NOW, NOW + SECOND):
        ledger.apply(read(), ts)
        for item in compare({"MNQ": D(3)}, [], read(), ts, ledger.differences_before(A)):
            ledger.apply(item, ts)
    ledger.apply(read(), NOW + 2 * SECOND)
    assert {what: each.ts_since for what, each in ledger.differences_before(A).items()} == {"position.MNQ": NOW}

    ledger.apply(read(), NOW + 3 * SECOND)

    assert ledger.differences_before(A) == {}, "one read without it, and it is a new one next time"


def test_cash_is_compared_where_it_is_known_and_to_the_cent():
    assert [item.what for item in compare({}, [], read(cash="100"), NOW, {}, cash=(D(99), D("0.01")))] == ["cash"]
    assert compare({}, [], read(cash="100"), NOW, {}, cash=(D("100.01"), D("0.01"))) == ()
    assert compare({}, [], read(cash="100"), NOW, {}) == ()


AMOUNTS = st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), st.integers(-3, 3))


@given(AMOUNTS, AMOUNTS)
def test_exactly_the_symbols_that_differ_are_named(ours, theirs):
    found = compare({name: D(value) for name, value in ours.items()}, [],
                    read({name: str(value) for name, value in theirs.items()}), NOW, {})

    assert [item.what for item in found] == [
        f"position.{name}" for name in "ABCD" if ours.get(name, 0) != theirs.get(name, 0)]
