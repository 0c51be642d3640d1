"""Every fill rule on quotes and trades, with prices worked out by hand."""

import pytest
from tests.matching.bench import Bench, wide

from interlock.errors import ConfigError
from interlock.matching import Phase, Rules
from interlock.model.money import SECOND


@pytest.mark.parametrize(("side", "bid", "ask", "price"), [
    ("buy", 100, 104, 105),            # spread 4: a quarter is one tick
    ("sell", 100, 104, 99),
    ("buy", 100, 101, 102),            # spread 1: a quarter of a tick is rounded up to the tick
    ("sell", 100, 101, 99),
    ("buy", 100, 106, 108),            # spread 6: 1.5 ticks become 2
    ("sell", 100, 106, 98),
    ("buy", 100, 100, 100),            # locked: no spread, nothing on top
])
def test_a_market_order_pays_the_opposite_quote_and_a_quarter_of_the_spread(es, side, bid, ask, price):
    es.quote(bid, ask)
    es.add(side, 3)

    assert es.fills() == [("o1", 3, price)]
    assert es.ended == [("o1", "filled")]


def test_prices_between_order_ticks_are_rounded_against_us():
    bench = Bench(wide(tick="0.01", increment="0.0001"), Rules())
    bench.quote(4_301_234, 4_301_301)  # 430.1234 x 430.1301; a quarter of the spread is .001675
    bench.add("buy", 1)
    bench.add("sell", 1)

    # 430.131775 -> 430.14 and 430.121725 -> 430.12
    assert bench.fills() == [("o1", 1, 4_301_400), ("o2", 1, 4_301_200)]


def test_a_crossing_limit_never_fills_beyond_its_limit(es):
    es.quote(100, 108)
    es.add("buy", 1, "limit", 109)     # 108 + 2 would be 110
    es.add("buy", 1, "limit", 108)
    es.add("sell", 1, "limit", 99)     # 100 - 2 would be 98

    assert es.fills() == [("o1", 1, 109), ("o2", 1, 108), ("o3", 1, 99)]


def test_what_the_quote_cannot_take_follows_at_later_quotes(es):
    es.quote(100, 101, ask_size=5)
    es.add("buy", 12)

    assert es.fills() == [("o1", 5, 102)]
    assert es.quote(102, 103, ask_size=4) == [("o1", 4, 104)]
    assert es.quote(102, 103, ask_size=0) == []
    assert es.quote(101, 102) == [("o1", 3, 103)]
    assert es.ended == [("o1", "filled")]


def test_two_orders_of_an_account_share_a_quote_and_accounts_do_not(es):
    es.quote(100, 101, ask_size=5)
    es.add("buy", 4)
    es.add("buy", 4)
    es.add("buy", 4, account="B")

    assert es.fills() == [("o1", 4, 102), ("o2", 1, 102), ("o3", 4, 102)]


def test_the_rest_of_a_crossing_limit_rests_when_the_quote_moves_away(es):
    es.quote(100, 101, ask_size=2)
    order = es.add("buy", 5, "limit", 101)

    assert es.fills() == [("o1", 2, 101)]
    assert es.quote(101, 102) == []
    assert order.phase is Phase.LIVE
    assert es.trade(101) == [], "a trade at the limit is not through it"
    assert es.trade(100) == [("o1", 3, 101)]


def test_a_limit_fills_only_when_a_trade_goes_through_it_by_a_tick(es):
    es.quote(100, 102)
    es.add("buy", 1, "limit", 99)
    es.add("sell", 1, "limit", 103)

    assert es.trade(99) == []
    assert es.trade(98) == [("o1", 1, 99)]
    assert es.trade(103) == []
    assert es.trade(104, size=1) == [("o2", 1, 103)]


def test_a_limit_fills_when_the_opposite_quote_has_stood_at_it_for_a_second(es):
    es.quote(100, 102)
    es.add("buy", 5, "limit", 100)

    assert es.quote(99, 100) == []
    assert es.wakes == [es.ts + SECOND]
    assert es.tick(SECOND - 1) == []
    assert es.tick(1) == [("o1", 5, 100)]


@pytest.mark.parametrize("away", [{"bid": 99, "ask": 101}, {"bid": 99, "ask": 100, "ask_size": 4}],
                         ids=["the price leaves", "the size shrinks below ours"])
def test_the_second_begins_anew_when_the_quote(es, away):
    es.quote(98, 101)
    es.add("buy", 5, "limit", 100)
    es.quote(99, 100, ask_size=5)
    es.quote(**away)
    es.quote(99, 100, ask_size=5)      # a second after the first touch

    assert es.tick(SECOND // 2) == []
    assert es.tick(SECOND // 2) == [("o1", 5, 100)]


def test_a_quote_that_expires_while_we_wait_does_not_fill_us(es):
    es.quote(98, 101)
    es.add("buy", 5, "limit", 100)
    es.quote(99, 100, fresh_until=es.ts + SECOND)      # good for half a second from its own time

    assert es.tick(SECOND) == []
    es.quote(99, 100, after=0)
    assert es.tick(SECOND // 2) == []
    assert es.tick(SECOND // 2) == [("o1", 5, 100)]


def test_a_stop_is_triggered_by_a_quote_and_fills_at_the_next_one(es):
    es.quote(100, 101)
    es.add("sell", 2, "stop", 98)

    assert es.quote(99, 100) == []
    assert es.quote(98, 99) == [], "this quote triggers"
    assert es.quote(97, 98) == [("o1", 2, 97)]


def test_a_stop_is_triggered_by_a_trade_and_fills_at_the_next_quote_gap_included(es):
    es.quote(100, 101)
    es.add("buy", 2, "stop", 103)

    assert es.trade(102) == []
    assert es.trade(103) == []
    assert es.quote(110, 112) == [("o1", 2, 112)], "at the offer, without a quarter of the spread on top"


def test_a_stop_that_is_already_through_is_triggered_on_arrival(es):
    es.quote(100, 101)
    stop = es.add("sell", 1, "stop", 100)

    assert es.fills() == []
    assert stop.phase is Phase.TAKING
    assert es.quote(96, 97) == [("o1", 1, 96)]


def test_a_stop_fills_as_far_as_the_size_goes(es):
    es.quote(100, 101)
    es.add("sell", 5, "stop", 99)
    es.trade(99)

    assert es.quote(98, 99, bid_size=3) == [("o1", 3, 98)]
    assert es.quote(95, 96) == [("o1", 2, 95)]


def test_without_a_usable_quote_a_market_order_waits(es):
    es.add("buy", 1)
    assert es.fills() == []
    assert es.quote(103, 101) == [], "a crossed quote is no price"
    assert es.quote(100, 101, ask_size=0) == []
    assert es.quote(100, 101) == [("o1", 1, 102)]


def test_a_quote_that_is_too_old_is_no_price(es):
    es.quote(100, 101)
    es.ts += 6 * SECOND
    es.add("buy", 1)
    assert es.fills() == []

    es.quote(100, 101, fresh_until=es.ts + 60 * SECOND)
    es.ts += 30 * SECOND
    es.add("buy", 1)
    assert es.fills() == [("o2", 1, 102)]


def test_immediate_or_cancel_takes_what_is_there(es):
    es.quote(100, 101, ask_size=2)
    es.add("buy", 5, is_ioc=True)
    es.add("buy", 5, "limit", 100, is_ioc=True)

    assert es.fills() == [("o1", 2, 102)]
    assert es.ended == [("o1", "cancelled"), ("o2", "cancelled")]


def test_reduce_only_never_opens(es):
    es.quote(100, 101)
    es.add("buy", 2)
    es.add("sell", 5, is_reduce_only=True, is_exit=True)
    es.add("sell", 5, is_reduce_only=True, is_exit=True)

    assert es.fills() == [("o1", 2, 102), ("o2", 2, 99)]
    es.quote(100, 101)
    assert es.ended == [("o2", "cancelled")]
    assert es.market.positions["A"] == 0


def test_nothing_happens_while_the_market_is_halted(es):
    es.quote(100, 101)
    es.add("sell", 1, "stop", 99)
    es.add("buy", 1, "limit", 98)
    es.market.halt()

    assert es.quote(90, 91) == []
    assert es.trade(90) == []
    assert es.bar(95, 95, 90, 91) == []
    es.market.resume()
    assert es.trade(97) == [("o2", 1, 98)]
    assert es.quote(96, 97) == [("o1", 1, 96)]


def test_rules_that_would_favour_the_order_are_refused():
    with pytest.raises(ConfigError, match="slip_quarters"):
        Rules(slip_quarters=-1)
