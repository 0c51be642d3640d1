"""Ours against the broker's: every difference is named, nothing is adopted, and a late report is given its time."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from interlock.ledger.book import Ledger
from interlock.ledger.compare import compare, outlived, recheck_at
from interlock.model.ids import AccountName, BrokerOrderId, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.money import SECOND
from interlock.model.order import InDoubt, InFlight, Leg, OrderRecord, OrderState, OrderType, Working
from interlock.model.report import AccountRead, BrokerOrder, BrokerPosition
from interlock.model.signal import Purpose, Side

A = AccountName("paper-1")
D = Decimal
NOW = 1_000 * SECOND


def read(positions: dict[str, str] | None = None, orders: dict[str, str] | None = None, cash: str = "0") -> AccountRead:
    held = tuple(BrokerPosition(name, D(quantity)) for name, quantity in (positions or {}).items())
    live = tuple(BrokerOrder(ClientOrderId(name), BrokerOrderId("b"), "MNQ", Side.SELL, D(quantity), D(0), True, True)
                 for name, quantity in (orders or {}).items())
    return AccountRead(A, "1", D(cash), "USD", held, live, (), NOW, 1)


def order(name: str, state: OrderState, quantity: str = "3", *, cancel: bool = False) -> OrderRecord:
    leg = Leg(client_order_id=ClientOrderId(name), role="stop", purpose=Purpose.PROTECT, side=Side.SELL,
              quantity=D(quantity), type=OrderType.STOP, stop=D(95))
    return OrderRecord(leg=leg, account=A, instrument="MNQ", signal_id=SignalId("s"), lane=LaneName("l"),
                       strategy=StrategyName("t"), generation=0, parent=leg.client_order_id, attempt=1, state=state,
                       is_cancel_requested=cancel)


WORKING = Working(BrokerOrderId("b"))


def test_equal_books_differ_in_nothing():
    assert compare({"MNQ": D(3)}, [order("o", WORKING)], read({"MNQ": "3"}, {"o": "3"}), NOW, {}) == ()


def test_a_difference_of_a_millionth_is_none():
    assert compare({"BTC": D("1.0000010")}, [], read({"BTC": "1"}), NOW, {}) == ()
    assert len(compare({"BTC": D("1.0000011")}, [], read({"BTC": "1"}), NOW, {})) == 1


def test_positions_on_either_side_are_named():
    found = compare({"MNQ": D(3), "MES": D(1)}, [], read({"MNQ": "2", "MCL": "-1"}), NOW, {})

    assert [(item.what, item.ours, item.theirs) for item in found] == [
        ("position.MCL", "0", "-1"), ("position.MES", "1", "0"), ("position.MNQ", "3", "2")]


def test_orders_on_either_side_are_named():
    listed = read(None, {"both": "1", "theirs": "2"})

    found = compare({}, [order("ours", WORKING), order("both", WORKING)], listed, NOW, {})

    assert [(item.what, item.ours, item.theirs) for item in found] == [
        ("order.ours", "3 MNQ working", "absent"), ("order.both", "3 left", "1 left"),
        ("order.theirs", "absent", "2 MNQ working")]


def test_what_is_in_flight_in_doubt_or_being_cancelled_may_stand_on_either_side():
    ours = [order("a", InFlight(NOW)), order("b", InDoubt(NOW)), order("c", WORKING, cancel=True)]

    assert compare({}, ours, read(None, {"b": "3"}), NOW, {}) == ()


def test_a_difference_keeps_the_time_it_was_first_seen_and_freezes_after_five_seconds():
    first = compare({"MNQ": D(3)}, [], read(), NOW, {})
    later = NOW + 5 * SECOND
    again = compare({"MNQ": D(3)}, [], read(), later, {item.what: item.ts_since for item in first})

    assert (outlived(first, NOW), recheck_at(A, first, NOW)) == ((), later)
    assert [item.ts_since for item in outlived(again, later)] == [NOW]
    assert recheck_at(A, again, later) is None


def test_the_ledger_remembers_the_differences_of_the_read_before():
    ledger = Ledger((A,), INSTRUMENTS)
    for ts in (NOW, NOW + SECOND):
        ledger.apply(read(), ts)
        for item in compare({"MNQ": D(3)}, [], read(), ts, ledger.differences_since(A)):
            ledger.apply(item, ts)
    ledger.apply(read(), NOW + 2 * SECOND)
    assert ledger.differences_since(A) == {"position.MNQ": NOW}

    ledger.apply(read(), NOW + 3 * SECOND)

    assert ledger.differences_since(A) == {}, "one read without it, and it is a new one next time"


def test_cash_is_compared_where_it_is_known():
    assert [item.what for item in compare({}, [], read(cash="100"), NOW, {}, D(99))] == ["cash"]
    assert compare({}, [], read(cash="100"), NOW, {}) == ()


AMOUNTS = st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), st.integers(-3, 3))


@given(AMOUNTS, AMOUNTS)
def test_exactly_the_symbols_that_differ_are_named(ours, theirs):
    found = compare({name: D(value) for name, value in ours.items()}, [],
                    read({name: str(value) for name, value in theirs.items()}), NOW, {})

    assert [item.what for item in found] == [
        f"position.{name}" for name in "ABCD" if ours.get(name, 0) != theirs.get(name, 0)]
