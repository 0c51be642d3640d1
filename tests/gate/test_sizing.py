"""Quantities against hand calculations, and what no quantity may ever exceed."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gate.world import (
    GOOD,
    D,
    a_mark,
    a_pending,
    a_record,
    a_view,
    an_account,
    an_exit,
    asked,
    holding,
    some_limits,
)

from interlock.gate.sizing import SizingRules, risk_per_unit, size
from interlock.model.instrument import INSTRUMENTS, Instrument, Kind
from interlock.model.signal import Purpose, Side
from interlock.model.verdict import Sized
from interlock.model.view import GateView

WIDE = some_limits(notional_per_order=D(10_000_000), position_per_symbol=D(1_000_000))


def view_at(instrument: Instrument, entry: str, **changes: Any) -> GateView:
    """A view of this instrument whose offer is the entry price."""
    return a_view(**{"instrument": instrument, "limits": WIDE, "account_equity": D(1_000_000),
                     "account_balance": D(1_000_000), **changes,
                     "mark": a_mark(instrument.symbol, entry, entry)})


def sized(instrument: Instrument, entry: str, stop: str, budget: str, **changes: Any) -> Sized:
    view = view_at(instrument, entry, **{key: changes.pop(key) for key in list(changes) if key in ("tier", "record")})
    return size(asked(view, stop=D(stop), target=None), view, SizingRules(risk_per_trade=D(budget), **changes))


def with_fee(symbol: str, fee: str, **changes: Any) -> Instrument:
    return msgspec.structs.replace(INSTRUMENTS[symbol], fee=D(fee), micro=None, **changes)


@pytest.mark.parametrize(("symbol", "fee", "entry", "stop", "budget", "slip", "per", "quantity"), [
    ("MES", "0.62", "6000.25", "5994.25", "250", 1, "32.49", "7"),
    ("NQ", "2.5", "21500", "21470", "1000", 2, "615", "1"),
    ("CL", "2.5", "70.00", "69.62", "500", 1, "395", "1"),
    ("6E", "2.5", "1.08500", "1.08320", "400", 1, "236.25", "1"),
    ("MGC", "0.9", "2650", "2642", "150", 1, "82.80", "1"),
])
def test_futures_are_sized_as_worked_out_by_hand(symbol, fee, entry, stop, budget, slip, per, quantity):
    result = sized(with_fee(symbol, fee), entry, stop, budget, slippage_ticks_future=slip)

    assert (result.risk_per_unit, result.quantity) == (D(per), D(quantity))
    assert result.risk == D(per) * D(quantity)


@pytest.mark.parametrize(("symbol", "step", "entry", "stop", "budget", "slip", "per", "quantity"), [
    ("BTCUSD", "0.0001", "64000", "63360", "200", "10", "726.416", "0.2753"),
    ("ETHUSD", "0.001", "3200", "3136", "150", "0.5", "68.3016", "2.196"),
])
def test_crypto_is_sized_as_worked_out_by_hand(symbol, step, entry, stop, budget, slip, per, quantity):
    coin = with_fee(symbol, "0", fee_rate=D("0.0006"), lot=D(step))

    result = sized(coin, entry, stop, budget, slippage_ticks_crypto=int(D(slip) / coin.tick))

    assert (result.risk_per_unit, result.quantity) == (D(per), D(quantity))


def test_shares_are_sized_by_distance_slippage_and_both_fees():
    # 500.00 to 498.80: 1.20 + 0.01 slip + 2 * 0.005 = 1.22; 120 / 1.22 = 98.36
    result = sized(INSTRUMENTS["SPY"], "500.00", "498.80", "120")

    assert (result.risk_per_unit, result.quantity) == (D("1.22"), D(98))


def test_the_mini_gives_way_to_the_micro_with_its_own_quote():
    # NQ: (40 + 1) * 5 + 5 = 210 > 120. MNQ, offered a quarter higher: (41 + 1) * 0.50 + 1.24 = 22.24; 120 / 22.24 = 5.4
    nq = INSTRUMENTS["NQ"]
    view = a_view(instrument=nq, mark=a_mark("NQ", "18000.00", "18000.25"), micro=INSTRUMENTS["MNQ"],
                  micro_mark=a_mark("MNQ", "18000.25", "18000.50"), limits=WIDE)

    result = size(asked(view, stop=D("17990.25")), view, SizingRules())

    assert (result.instrument, result.quantity, result.risk_per_unit) == ("MNQ", D(5), D("22.24"))


def test_without_a_quote_of_the_micro_nothing_is_traded():
    view = a_view(instrument=INSTRUMENTS["NQ"], mark=a_mark("NQ"), micro=INSTRUMENTS["MNQ"], limits=WIDE)

    result = size(asked(view), view, SizingRules())

    assert (result.quantity, result.code) == (D(0), "input_missing.mark")


def test_one_contract_too_dear_for_the_budget_is_refused():
    result = sized(with_fee("MGC", "0.9"), "2650", "2600", "120")

    assert (result.quantity, result.code) == (D(0), "risk_budget")


@pytest.mark.parametrize(("tier", "quantity"), [(0, 7), (1, 5), (2, 3), (3, 0), (4, 0)])
def test_each_tier_takes_its_share(tier, quantity):
    # 250 / 32.49 = 7.69; 187.5 / 32.49 = 5.77; 125 / 32.49 = 3.85
    result = sized(with_fee("MES", "0.62"), "6000.25", "5994.25", "250", tier=tier)

    assert result.quantity == quantity


@pytest.mark.parametrize("tier", [-1, 5])
def test_a_tier_that_does_not_exist_opens_nothing(tier):
    assert sized(with_fee("MES", "0.62"), "6000.25", "5994.25", "250", tier=tier).quantity == 0


def test_a_young_record_halves_the_size():
    result = sized(with_fee("MES", "0.62"), "6000.25", "5994.25", "250", record=a_record("1", "-1"))

    assert result.quantity == 3


def test_halving_leaves_one_contract_that_the_whole_budget_carries():
    # NQ: 615 of 1000 gives 1; half of 1000 would give none
    result = sized(with_fee("NQ", "2.5"), "21500", "21470", "1000", slippage_ticks_future=2, record=a_record())

    assert result.quantity == 1


def test_halving_does_not_bring_back_what_a_tier_took():
    # tier 2 leaves 500 of 1000, and 615 does not fit
    result = sized(with_fee("NQ", "2.5"), "21500", "21470", "1000", slippage_ticks_future=2, record=a_record(), tier=2)

    assert result.quantity == 0


def test_spot_is_not_sold_short():
    view = view_at(INSTRUMENTS["BTCUSD"], "64000")

    result = size(asked(view, side=Side.SELL, stop=D(64640), target=None), view, SizingRules())

    assert (result.quantity, result.code) == (D(0), "spot_short")


def test_spot_is_bought_from_the_balance_only():
    view = view_at(INSTRUMENTS["BTCUSD"], "64000", account_balance=D(640))

    result = size(asked(view, stop=D(63360), target=None), view, SizingRules())

    assert (result.quantity, result.why) == (D("0.01"), "funds")


def test_a_coin_order_below_the_least_is_refused():
    view = view_at(INSTRUMENTS["BTCUSD"], "64000", account_balance=D("9.99"))

    result = size(asked(view, stop=D(63360), target=None), view, SizingRules())

    assert (result.quantity, result.code) == (D(0), "notional_min")


@pytest.mark.parametrize(("changes", "quantity"), [
    ({"limits": some_limits(position_per_symbol=D(3))}, 3),
    ({"limits": some_limits(position_per_symbol=D(3)), "pending": (a_pending(remaining=D(1)),)}, 2),
    ({"limits": some_limits(position_per_symbol=D(3)), "account_broker_position": D(-2)}, 1),
    ({"limits": some_limits(position_per_symbol=D(3)), "account_position": D(3)}, 0),
    # one contract is worth 18000.25 * 2 = 36000.50; a hundredth is kept back: 99,000 / 36,000.5 = 2.7
    ({"limits": some_limits(notional_per_order=D(100_000))}, 2),
    ({"limits": some_limits(notional_per_order=D(36_000))}, 0),
])
def test_the_limits_of_the_last_room_bound_the_size(changes, quantity):
    view = a_view(**changes)

    assert size(asked(view), view, SizingRules()).quantity == quantity


@pytest.mark.parametrize(("changes", "wish", "code"), [
    ({"mark": None}, {}, "input_missing.mark"),
    ({"mark_ask": "NaN"}, {}, "input_missing.mark"),
    ({"account_broker_position": None}, {}, "input_missing.broker_position"),
    ({"account_currency": "EUR"}, {}, "no_rate"),
    ({}, {"stop": D("18000.25")}, "stop_side"),
    ({}, {"stop": D("18010")}, "stop_side"),
    ({}, {"stop": D("NaN")}, "input_missing.stop"),
    ({}, {"instrument": "MES"}, "view_mismatch"),
    ({}, {"strategy": "other"}, "view_mismatch"),
])
def test_doubt_sizes_to_zero(changes, wish, code):
    view = a_view(**changes)

    result = size(asked(view, **wish), view, SizingRules())

    assert (result.quantity, result.code) == (D(0), code)


@pytest.mark.parametrize(("ours", "theirs", "wanted", "quantity"), [
    ("3", "3", None, 3), ("3", "2", None, 2), ("2", "3", None, 2), ("3", "3", "1", 1), ("3", "3", "5", 3),
    ("3", "-3", None, 0), ("-3", "-3", None, 0), ("0", "3", None, 0),
])
def test_an_exit_takes_the_smaller_of_both_positions(ours, theirs, wanted, quantity):
    view = holding(ours, theirs)

    result = size(an_exit(view, Purpose.REDUCE, quantity=None if wanted is None else D(wanted)), view, SizingRules())

    assert result.quantity == quantity


INSTRUMENT = st.sampled_from([INSTRUMENTS[name] for name in ("ES", "MES", "NQ", "MNQ", "6E", "CL", "MGC", "SPY")]
                             + [msgspec.structs.replace(INSTRUMENTS["BTCUSD"], is_spot=False, fee_rate=D("0.0006"))])


@given(instrument=INSTRUMENT, price_ticks=st.integers(2_000, 200_000), distance=st.integers(-5, 3_000),
       budget=st.decimals(1, 5_000, places=2), tier=st.integers(0, 4), results=st.lists(
           st.decimals(-2, 3, places=1), max_size=20), is_buy=st.booleans(), held=st.integers(0, 30),
       limit=st.decimals(1_000, 3_000_000, places=0))
def test_no_size_ever_exceeds_budget_or_limits(instrument, price_ticks, distance, budget, tier, results, is_buy, held,
                                               limit):
    price = price_ticks * instrument.tick
    stop = price - distance * instrument.tick * (1 if is_buy else -1)
    limits = some_limits(notional_per_order=limit, position_per_symbol=D(20))
    view = a_view(instrument=instrument, mark=a_mark(instrument.symbol, str(price), str(price)), tier=tier,
                  limits=limits, record=a_record(*map(str, results)),
                  account=an_account(position=D(held), broker_position=D(held)))
    wish = asked(view, side=Side.BUY if is_buy else Side.SELL, stop=stop, target=None)

    result = size(wish, view, SizingRules(risk_per_trade=budget))

    factor = [D(1), D("0.75"), D("0.5"), D(0), D(0)][tier]
    assert result.quantity >= 0
    assert result.quantity % instrument.lot == 0
    assert result.risk <= budget * factor
    assert held + result.quantity <= 20 or not result.quantity
    assert result.quantity * price * instrument.multiplier <= limit
    if result.quantity:
        assert 0 < distance * instrument.tick * instrument.multiplier * result.quantity < result.risk
    if instrument.kind is Kind.CRYPTO:
        assert result.quantity * price <= 2 * D(50_000)


@given(distance=st.integers(1, 400), better=st.integers(1, 50))
def test_a_wider_stop_never_buys_more(distance, better):
    entry = Decimal("18000.25")

    near = sized(INSTRUMENTS["MNQ"], str(entry), str(entry - distance * D("0.25")), "120", record=a_record(*GOOD))
    far = sized(INSTRUMENTS["MNQ"], str(entry), str(entry - (distance + better) * D("0.25")), "120",
                record=a_record(*GOOD))

    assert far.quantity <= near.quantity


def test_a_distance_between_ticks_counts_as_the_larger_number_of_ticks():
    per = risk_per_unit(INSTRUMENTS["MNQ"], D("18000.25"), D("17999.90"), SizingRules())

    assert per == (2 + 1) * D("0.50") + 2 * D("0.62")
