"""The ledger against plain fractions: positions, results, trading days, and what is not known."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.execution.rig import intent, verdict

from interlock.execution.compose import compose
from interlock.ledger.book import Ledger
from interlock.model.account import ClosedTrade
from interlock.model.ids import AccountName, ClientOrderId, ExecutionId
from interlock.model.instrument import INSTRUMENTS
from interlock.model.order import Closed, InFlight, Leg, OrderRecord, OrderType, Outcome
from interlock.model.report import AccountRead, BrokerPosition, OrderFilled
from interlock.model.signal import AccountIntent, Purpose, Side, Source
from interlock.model.verdict import Sized, SizedIntent

A, OTHER = AccountName("paper-1"), AccountName("paper-2")
D = Decimal
POINT = 2                                                 # USD per point of MNQ
NOW = 1_772_460_000_000_000_000


def ledger() -> Ledger:
    return Ledger((A, OTHER), INSTRUMENTS)


def fill(number: int, side: Side, quantity: str, price: str, *, fee: str = "0", cid: str = "o",
         account: AccountName = A, instrument: str = "MNQ") -> OrderFilled:
    return OrderFilled(account, ClientOrderId(cid), ExecutionId(f"e{number}"), instrument, side, D(quantity), D(price),
                       D(fee), NOW)


def book(of: Ledger, fill_: OrderFilled, record: OrderRecord | None = None, ts: int = NOW) -> ClosedTrade | None:
    closed = of.apply_fill(fill_, record, ts)
    if closed is not None:
        of.apply(closed, ts)
    return closed


def read(cash: str, position: str = "0") -> AccountRead:
    held = (BrokerPosition("MNQ", D(position)),) if D(position) else ()
    return AccountRead(A, "1", D(cash), "USD", held, (), (), NOW + 1, 1)


def cleared(of: Ledger, *, quantity: str = "3", risk: str = "90", signal: str = "s1", side: Side = Side.BUY,
            reference: str | None = "100", trade_date: str = "2026-03-02", key: str = "", ts: int = NOW) -> OrderRecord:
    """An entry that the gate has let through, as the order book then holds it."""
    asked = AccountIntent(intent(side, signal=signal, reference=reference), A)
    sized = Sized(instrument="MNQ", quantity=D(quantity), risk=D(risk), risk_per_unit=D(0), why="")
    order = compose(SizedIntent(asked, sized), INSTRUMENTS["MNQ"], has_native_brackets=False)
    of.apply(verdict(asked, order, D(quantity), risk=risk, trade_date=trade_date, key=key), ts)
    return OrderRecord(leg=order.parent, account=A, instrument="MNQ", signal_id=order.signal_id, lane=order.lane,
                       strategy=order.strategy, generation=0, parent=order.client_order_id, attempt=1,
                       state=InFlight(ts))


def exit_record(purpose: Purpose, side: Side = Side.SELL) -> OrderRecord:
    record = cleared(ledger())
    leg = Leg(client_order_id=ClientOrderId("x"), role="exit", purpose=purpose, side=side, quantity=D(3),
              type=OrderType.MARKET, is_reduce_only=True)
    return OrderRecord(leg=leg, account=A, instrument="MNQ", signal_id=record.signal_id, lane=record.lane,
                       strategy=record.strategy, generation=0, parent=leg.client_order_id, attempt=1,
                       state=InFlight(NOW))


FILLS = st.lists(st.tuples(st.booleans(), st.integers(1, 7), st.integers(-40, 40), st.integers(0, 300)), max_size=40)


@settings(max_examples=200, deadline=None)
@given(FILLS, st.integers(-50, 50))
def test_positions_and_results_are_those_of_plain_fractions(fills, mark):
    of, cash, position, fees = ledger(), Fraction(0), Fraction(0), Fraction(0)
    average = Fraction(0)
    trades: list[ClosedTrade] = []
    of.apply(read("50000"), NOW)
    for number, (is_buy, quantity, offset, fee) in enumerate(fills):
        side, price = (Side.BUY if is_buy else Side.SELL), Fraction(400 + offset, 4)
        signed = quantity * side.sign
        if position * signed >= 0:
            average = (average * abs(position) + price * quantity) / (abs(position) + quantity)
        elif quantity > abs(position):
            average = price
        position, cash, fees = position + signed, cash - signed * price, fees + Fraction(fee, 100)
        fill_ = fill(number, side, str(quantity), str(D(400 + offset) / 4), fee=str(D(fee) / 100))
        closed = book(of, fill_)
        book(of, fill_)
        trades += [closed] if closed is not None else []

    price = Fraction(400 + mark, 4)
    result = (cash + position * price) * POINT - fees
    marks = {"MNQ": D(400 + mark) / 4}
    assert Fraction(of.quantity(A, "MNQ")) == position
    assert Fraction(of.equity(A, marks) or 0) == 50_000 + result, "exact, whatever the mean price was"
    assert Fraction(of.day_pnl(A, marks) or 0) == result
    if position:
        held = of.position(A, "MNQ")
        assert held is not None
        assert abs(Fraction(held.average_price) - average) < Fraction(1, 10**20)
    realised = (cash + position * average) * POINT - fees
    assert abs(Fraction(of.balance(A) or 0) - 50_000 - realised) < Fraction(1, 10**18)
    if not position:
        assert sum((Fraction(trade.net) for trade in trades), Fraction(0)) == realised
    again = ledger()
    again.restore(of.snapshot())
    assert again.snapshot() == of.snapshot()
    assert again.positions() == of.positions()


def test_a_round_trip_is_told_once_with_what_it_made():
    """Two bought at 100 and one at 103, three sold at 110: mean 101, 9 points of 2 USD each, 6 fees of 62 cents."""
    of = ledger()
    entry = cleared(of)
    cid = entry.leg.client_order_id
    assert book(of, fill(1, Side.BUY, "2", "100", fee="1.24", cid=cid), entry) is None
    assert book(of, fill(2, Side.BUY, "1", "103", fee="0.62", cid=cid), entry) is None
    position = of.position(A, "MNQ")
    assert position is not None
    assert (position.average_price, position.risk, position.stop, position.target) == (D(101), D(90), D(95), D(110))
    assert (position.source, position.strategy) == (Source.BARS, "drive")

    closed = book(of, fill(3, Side.SELL, "3", "110", fee="1.86", cid="x"), exit_record(Purpose.REDUCE))

    assert closed is not None
    assert (closed.gross, closed.commission, closed.net) == (D(54), D("3.72"), D("50.28"))
    assert (closed.entry_price, closed.exit_price, closed.quantity, closed.side) == (D(101), D(110), D(3), Side.BUY)
    assert not closed.is_stop_out
    assert of.positions() == ()


def test_a_fill_through_zero_closes_one_and_opens_the_other():
    of = ledger()
    book(of, fill(1, Side.BUY, "2", "100"))

    closed = book(of, fill(2, Side.SELL, "5", "101", fee="5"))

    assert closed is not None
    assert (closed.gross, closed.commission, closed.quantity) == (D(4), D(2), D(2))
    held = of.position(A, "MNQ")
    assert held is not None
    assert (held.quantity, held.average_price, held.source) == (D(-3), D(101), None)
    assert of.equity(A, {"MNQ": D(101)}) is None, "no read yet, so no cash is known"
    assert of.day_pnl(A, {"MNQ": D(101)}) == D(-1)


def test_a_fill_that_no_order_explains_is_booked_without_a_source():
    of = ledger()

    book(of, fill(1, Side.BUY, "1", "100"))

    held = of.position(A, "MNQ")
    assert held is not None
    assert (held.source, held.signal_id, held.stop, held.risk) == (None, None, None, D(0))


def test_what_is_not_known_is_none():
    of = ledger()
    assert of.equity(A, {}) is None
    assert of.balance(A) is None
    of.apply(read("50000"), NOW)
    assert of.equity(A, {}) == D(50_000)

    book(of, fill(1, Side.BUY, "1", "100"))

    assert of.equity(A, {}) is None
    assert of.day_pnl(A, {"MNQ": D("NaN")}) is None
    assert of.balance(A) == D(50_000)


def test_cash_is_the_first_reads_and_then_our_own():
    of = ledger()
    book(of, fill(1, Side.BUY, "1", "100"))
    book(of, fill(2, Side.SELL, "1", "105"))
    of.apply(read("50010"), NOW)
    book(of, fill(3, Side.BUY, "1", "100", fee="1"))

    of.apply(read("1"), NOW)

    assert of.balance(A) == D(50_009), "a later read is compared, never adopted"


def test_a_trading_day_begins_with_what_was_open():
    of = ledger()
    of.apply(read("50000"), NOW)
    of.roll(A, "2026-03-02", {})
    book(of, fill(1, Side.BUY, "1", "100"))
    marks = {"MNQ": D(110)}
    assert of.day_pnl(A, marks) == D(20)

    of.roll(A, "2026-03-03", marks)

    assert of.day_pnl(A, marks) == D(0)
    assert of.day_start_equity(A) == D(50_020)
    assert of.week_pnl(A, marks) == D(20)
    of.roll(A, "2026-03-09", {"MNQ": D(105)})
    assert of.week_pnl(A, {"MNQ": D(106)}) == D(2)


def test_a_day_that_began_without_a_mark_has_no_figure():
    of = ledger()
    of.roll(A, "2026-03-02", {})
    book(of, fill(1, Side.BUY, "1", "100"))

    of.roll(A, "2026-03-03", {})

    assert of.day_pnl(A, {"MNQ": D(110)}) is None, "unknown is not zero"


def losing(of: Ledger, number: int, price: str = "99") -> None:
    book(of, fill(number, Side.BUY, "1", "100"))
    book(of, fill(number + 1, Side.SELL, "1", price))


def test_losses_in_a_row_end_with_a_win_or_the_day():
    of = ledger()
    of.roll(A, "2026-03-02", {})
    losing(of, 1)
    losing(of, 3)
    assert of.consecutive_losses(A) == 2
    losing(of, 5, "101")
    assert of.consecutive_losses(A) == 0
    losing(of, 7)

    of.roll(A, "2026-03-03", {})

    assert (of.consecutive_losses(A), of.consecutive_losses(OTHER)) == (0, 0)


def test_the_record_of_a_source_holds_results_in_r_and_slippage_in_ticks():
    """90 USD planned; 9 points on 3 contracts less 3.72 fees is 50.28, 0.5586 R. Filled a point (4 ticks) worse."""
    of = ledger()
    entry = cleared(of, reference="100")
    book(of, fill(1, Side.BUY, "3", "101", fee="1.86", cid=entry.leg.client_order_id), entry)
    book(of, fill(2, Side.SELL, "3", "110", fee="1.86", cid="x"), exit_record(Purpose.REDUCE))

    record = of.record(A, Source.BARS)

    assert record.slippage == (D(4),)
    assert [round(value, 4) for value in record.r_multiples] == [D("0.5587")]
    assert record.ts_last == NOW
    assert of.record(OTHER, Source.BARS).r_multiples == ()


def test_the_memory_of_an_underlying_spans_its_contracts():
    of = ledger()
    entry = cleared(of, key="k1")
    book(of, fill(1, Side.BUY, "3", "100", cid=entry.leg.client_order_id), entry)
    book(of, fill(2, Side.SELL, "3", "95", cid="x"), exit_record(Purpose.PROTECT), ts=NOW + 5)

    memory = of.memory(A, "NQ", "2026-03-02")

    assert memory.ts_stop_outs == (("buy", NOW + 5),)
    assert memory.ts_entries == (("buy", NOW),)
    assert memory.entries_today == (("buy", 1),)
    assert memory.signal_keys == ("k1",)
    assert of.memory(A, "NQ", "2026-03-03").entries_today == ()
    assert of.memory(A, "ES", "2026-03-02").ts_entries == ()


def test_planned_risk_is_charged_when_cleared_and_released_when_the_order_ends():
    of = ledger()
    entry = cleared(of)
    assert of.pending_risk(A) == D(90)
    book(of, fill(1, Side.BUY, "1", "100", cid=entry.leg.client_order_id), entry)
    assert of.pending_risk(A) == D(60)
    assert [plan.quantity - plan.filled for plan in of.charges()] == [D(2)]
    held = of.position(A, "MNQ")
    assert held is not None
    assert held.risk == D(30)

    of.settle(replace(entry, state=Closed(Outcome.CANCELLED, NOW)))

    assert of.pending_risk(A) == D(0)
    assert of.pending_risk(OTHER) == D(0)

    of.settle(entry)                   # it was taken for dead, and the venue holds it

    assert of.pending_risk(A) == D(60)


def test_tenths_of_a_lot_leave_no_dust():
    of = ledger()
    for number in range(10):
        book(of, fill(number, Side.BUY, "0.1", "64000", instrument="BTCUSD"))
    for number in range(10, 20):
        book(of, fill(number, Side.SELL, "0.1", "64001", instrument="BTCUSD"))

    assert of.quantity(A, "BTCUSD") == 0
    assert of.positions() == ()


def everything(of: Ledger) -> Iterable[Any]:
    for account in (A, OTHER):
        yield of.quantities(account), of.balance(account), of.day_start_equity(account), of.consecutive_losses(account)
    yield of.positions(), of.charges(), of.record(A, Source.BARS), of.memory(A, "NQ", "2026-03-02")


def _step(of: Ledger, number: int) -> None:
    match number:
        case 0:
            of.apply(read("50000"), NOW)
        case 1:
            of.roll(A, "2026-03-02", {})
        case 2:
            cleared(of, key="k")
        case 3:
            entry = cleared(ledger())
            book(of, fill(1, Side.BUY, "3", "100", cid=entry.leg.client_order_id), entry)
        case 4:
            book(of, fill(2, Side.SELL, "1", "95", cid="x"), exit_record(Purpose.PROTECT))
        case 5:
            book(of, fill(3, Side.SELL, "2", "94", cid="x"), exit_record(Purpose.PROTECT))


@pytest.mark.parametrize("cut", range(6))
def test_a_restored_ledger_goes_on_like_the_one_that_was_saved(cut):
    whole, half = ledger(), ledger()
    for number in range(6):
        _step(whole, number)
        _step(half, number)
        if number == cut:
            saved = half.snapshot()
            half = ledger()
            half.restore(saved)

    assert list(everything(half)) == list(everything(whole))
    assert half.snapshot() == whole.snapshot()


def test_an_execution_that_is_told_again_after_weeks_is_not_booked_again():
    of, day = ledger(), 86_400_000_000_000
    for number in range(30):
        at = NOW + number * day
        opened, left = (replace(fill(2 * number + each, side, "1", price), ts_event=at)
                        for each, side, price in ((0, Side.BUY, "100"), (1, Side.SELL, "101")))
        book(of, opened, ts=at)
        book(of, left, ts=at + 1)
    told_again = replace(fill(0, Side.BUY, "1", "100"), ts_event=NOW)

    assert of.has_booked(told_again)
    assert book(of, told_again, ts=NOW + 30 * day) is None
    assert not any(of.quantities(A).values())
