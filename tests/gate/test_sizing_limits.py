"""Sizes at the edge of what bounds them: each limit where it begins to bind, and a step beside it."""

from typing import Any

import msgspec
import pytest
from tests.gate.world import D, a_held, a_mark, a_pending, a_view, an_exit, asked, holding, some_limits

from interlock.gate.sizing import SizingRules, entry_price, size
from interlock.model.instrument import INSTRUMENTS
from interlock.model.signal import Purpose, Side, Source

RULES = SizingRules()
NQ: dict[str, Any] = {"instrument": INSTRUMENTS["NQ"], "mark": a_mark("NQ")}


@pytest.mark.parametrize("wish", [{"source": Source.ALERTS}, {"lane": "other"}, {"strategy": "other"}, {"instrument": "MES"}])
def test_a_view_of_something_else_sizes_nothing(wish):
    view = a_view()

    assert size(asked(view, **wish), view, RULES).code == "view_mismatch"


def test_a_view_of_another_account_sizes_nothing():
    view = a_view(account_account="paper-2")
    wish = asked(view)

    assert size(msgspec.structs.replace(wish, account="paper-1"), view, RULES).code == "view_mismatch"


@pytest.mark.parametrize(("changes", "instrument", "code"), [
    ({"tier": 3, "micro": INSTRUMENTS["MNQ"], "micro_mark": a_mark("MNQ")}, "NQ", "tier"),       # nor does the micro open
    ({"micro": INSTRUMENTS["MES"], "micro_mark": a_mark("MES")}, "NQ", "risk_budget"),            # not its micro
    ({"micro": INSTRUMENTS["MNQ"], "micro_mark": a_mark("MNQ")}, "MNQ", ""), ({}, "NQ", "risk_budget"),
    ({"micro": INSTRUMENTS["MNQ"], "micro_mark": a_mark("NQ")}, "MNQ", "input_missing.mark"),
])
def test_the_micro_stands_in_only_for_what_is_too_large(changes, instrument, code):
    view = a_view(**NQ, **changes)

    found = size(asked(view), view, RULES)

    assert (found.instrument, found.code) == (instrument, code)


@pytest.mark.parametrize(("side", "limit", "price"), [
    (Side.BUY, None, "18000.25"), (Side.BUY, "18001", "18001"), (Side.BUY, "17999", "18000.25"),
    (Side.SELL, None, "18000"), (Side.SELL, "17999", "17999"), (Side.SELL, "18001", "18000"),
])
def test_an_entry_is_expected_at_the_quote_or_at_a_worse_limit(side, limit, price):
    stop = D(17_000 if side is Side.BUY else 19_000)
    wish = asked(side=side, stop=stop, target=None, limit=None if limit is None else D(limit))

    assert entry_price(wish.intent, a_mark()) == D(price)


@pytest.mark.parametrize(("bid", "ask", "side", "stop", "quantity", "code"), [
    ("0", "1", Side.SELL, "0.25", 0, "input_missing.mark"), ("-1", "1", Side.SELL, "0.25", 0, "input_missing.mark"),
    ("0.5", "0.75", Side.BUY, "0", 0, "input_missing.mark"), ("0.5", "0.75", Side.BUY, "-1", 0, "input_missing.mark"),
    ("0.5", "0.75", Side.BUY, "0.5", 20, ""), ("0.5", "0.75", Side.SELL, "0.75", 20, ""),
    ("0.5", "0.75", Side.SELL, "0.5", 0, "stop_side"), ("0.5", "0.75", Side.BUY, "0.75", 0, "stop_side"),
])
def test_only_positive_prices_are_sized_from(bid, ask, side, stop, quantity, code):
    view = a_view(mark_bid=D(bid), mark_ask=D(ask))

    found = size(asked(view, side=side, stop=D(stop), target=None), view, RULES)

    assert (found.quantity, found.code) == (quantity, code)


def test_a_loss_that_is_not_positive_sizes_nothing():
    free = msgspec.structs.replace(INSTRUMENTS["MNQ"], fee=D(0))
    view = a_view(instrument=free, mark=a_mark())

    # one tick to the stop and one of slippage the wrong way
    found = size(asked(view, stop=D("18000.00")), view, SizingRules(slippage_ticks_future=-1))

    assert (found.quantity, found.code) == (D(0), "risk_budget")


@pytest.mark.parametrize(("changes", "quantity", "why"), [
    # the budget carries five; what allows five does not bind
    ({"limits": some_limits(position_per_symbol=D(5))}, 5, "risk budget"),
    ({"limits": some_limits(position_per_symbol=D(4))}, 4, "SafeBroker's position per symbol"),
    ({"limits": some_limits(position_per_symbol=D(1))}, 1, "SafeBroker's position per symbol"),
    # a contract is worth 36,000.50, and a hundredth is kept back: 182,000 x 0.99 = 180,180 carries five, 40,000 one
    ({"limits": some_limits(notional_per_order=D(182_000))}, 5, "risk budget"),
    ({"limits": some_limits(notional_per_order=D(181_000))}, 4, "SafeBroker's notional per order"),
    ({"limits": some_limits(notional_per_order=D(40_000))}, 1, "SafeBroker's notional per order"),
    ({"limits": some_limits(position_per_symbol=D(6)), "held": (a_held(),)}, 4, "SafeBroker's position per symbol"),
    ({"limits": some_limits(position_per_symbol=D(6)), "held": (a_held(quantity=D(-2)),)}, 4, "SafeBroker's position per symbol"),
    ({"limits": some_limits(position_per_symbol=D(6)), "held": (a_held(account="paper-2"),)}, 5, "risk budget"),
    ({"limits": some_limits(position_per_symbol=D(6)), "held": (a_held(instrument="ES"),)}, 5, "risk budget"),
    ({"limits": some_limits(position_per_symbol=D(6)), "pending": (a_pending(),)}, 4, "SafeBroker's position per symbol"),
    ({"limits": some_limits(position_per_symbol=D(6)), "pending": (a_pending(account="paper-2"),)}, 5, "risk budget"),
    ({"limits": some_limits(position_per_symbol=D(6)), "pending": (a_pending(instrument="ES"),)}, 5, "risk budget"),
    ({"limits": some_limits(position_per_symbol=D(6)), "account_position": D(-3)}, 3, "SafeBroker's position per symbol"),
    ({"limits": some_limits(position_per_symbol=D(6)), "account_broker_position": D(-3)}, 3, "SafeBroker's position per symbol"),
])
def test_the_smallest_of_what_bounds_it_is_the_size_and_is_named(changes, quantity, why):
    view = a_view(**changes)

    found = size(asked(view), view, RULES)

    assert (found.quantity, found.why) == (quantity, why)


def test_what_is_held_of_the_micro_counts_for_the_micro():
    view = a_view(**NQ, micro=INSTRUMENTS["MNQ"], micro_mark=a_mark("MNQ"), held=(a_held(),), account_broker_position=D(9),
                  limits=some_limits(position_per_symbol=D(6)))

    assert size(asked(view), view, RULES).quantity == 4


def test_the_first_tier_leaves_three_quarters_and_not_a_hundredth_more():
    # 147 ticks and one of slippage are 74.00, with fees 75.24: 750 carries nine, 760 would carry ten
    view = a_view(tier=1)

    assert size(asked(view, stop=D("17963.50")), view, SizingRules(risk_per_trade=D(1_000))).quantity == 9


# -- coins: a lot of 0.0001

def coin(price: str, **changes: Any) -> Any:
    """A coin at this price without a spread."""
    instrument = msgspec.structs.replace(INSTRUMENTS["BTCUSD"], **changes.pop("instrument", {}))
    return a_view(instrument=instrument, mark=a_mark("BTCUSD", price, price), limits=some_limits(
        notional_per_order=D(10**9), position_per_symbol=D(10**6)), **changes)


MARGINED: dict[str, Any] = {"instrument": {"is_spot": False}}


def sized(view: Any, stop: str, side: Side = Side.BUY, **rules: Any) -> Any:
    return size(asked(view, side=side, stop=D(stop), target=None), view, SizingRules(**{"risk_per_trade": D(1_000), **rules}))


@pytest.mark.parametrize("side", list(Side))
def test_a_coin_on_margin_is_bought_and_sold_up_to_twice_the_equity(side):
    # 64 to the stop and 1 of slippage: the budget would carry 15; twice 50,000 buys 1.5625
    found = sized(coin("64000", account_balance=D(1), **MARGINED), "63936" if side is Side.BUY else "64064", side)

    assert (found.quantity, found.why) == (D("1.5625"), "funds")


def test_the_fee_is_paid_out_of_the_same_funds():
    # 100,000 / (64,000 x 1.0006) = 1.5615...
    assert sized(coin("64000", instrument={"is_spot": False, "fee_rate": D("0.0006")}), "63936").quantity == D("1.5615")


@pytest.mark.parametrize(("price", "balance", "quantity", "code"), [
    ("50000", "10", "0.0002", ""), ("50000", "9.99", "0", "notional_min"),                # two lots at five make the least of ten
    ("100000", "10", "0.0001", ""), ("100000", "9.99", "0", "notional_min"),              # one lot at ten does
])
def test_the_least_order_of_a_coin_is_ten(price, balance, quantity, code):
    found = sized(coin(price, account_balance=D(balance)), "49000")

    assert (found.quantity, found.code) == (D(quantity), code)


def test_without_funds_no_coin_is_bought_however_small_the_least_order():
    found = sized(coin("64000", account_balance=D(0)), "63936", crypto_notional_min=D(0))

    assert (found.quantity, found.code) == (0, "notional_min")


def test_funds_that_just_suffice_do_not_bind():
    # per coin 1,000 to the stop and 1 of slippage: 1,001 carries one coin, which the balance just pays
    found = sized(coin("64000", account_balance=D(64_000)), "63000", risk_per_trade=D(1_001))

    assert (found.quantity, found.why) == (1, "risk budget")


# -- exits

def test_an_exit_is_whole_lots_of_what_was_asked():
    view = a_view(symbol="BTCUSD", mark_bid=D(64_000), mark_ask=D(64_000), account_position=D(1), account_broker_position=D(1))

    def exit_of(quantity: str) -> Any:
        return size(an_exit(view, Purpose.REDUCE, quantity=D(quantity)), view, RULES)

    assert exit_of("0.00015").quantity == D("0.0001")
    assert exit_of("2").quantity == 1
    assert (exit_of("0.00005").quantity, exit_of("0.00005").code) == (0, "nothing_to_exit")


def test_an_exit_needs_the_brokers_word():
    view = holding(account_broker_position=None)

    assert size(an_exit(view), view, RULES).code == "input_missing.broker_position"
