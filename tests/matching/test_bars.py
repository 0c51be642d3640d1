"""Fills inside recorded bars: the bar is a path, open, bad extreme, other extreme, close."""

import pytest
from tests.matching.bench import Bench, wide

from interlock.matching import Rules
from interlock.model.money import SECOND


def long_bracket(bench, quantity=1, entry=("market", 0), stop=95, target=110):
    parent = bench.order("buy", quantity, *entry, id="entry")
    return bench.bracket(parent,
                         bench.order("sell", quantity, "stop", stop, id="stop", is_exit=True, is_reduce_only=True),
                         bench.order("sell", quantity, "limit", target, id="target", is_exit=True, is_reduce_only=True))


def test_an_order_after_a_bar_meets_its_closing_quote(es):
    es.bar(100, 105, 95, 101)
    es.ts += SECOND // 4
    es.add("buy", 1)

    assert es.fills() == [("o1", 1, 103)], "close 101 implies 101 x 102; the quarter of a tick is a tick"


def test_a_stop_inside_the_range_fills_at_the_quote_around_the_stop():
    bench = Bench(wide(spread_ticks=4), Rules())
    bench.bar(100, 100, 100, 100)
    bench.add("sell", 1, "stop", 95, is_exit=True)
    bench.add("buy", 1, "stop", 105, is_exit=True)

    assert bench.bar(100, 106, 94, 100) == [("o1", 1, 93), ("o2", 1, 107)], "half of the spread of 4 against each"


def test_a_stop_beyond_the_open_fills_at_the_open(es):
    es.bar(100, 100, 100, 100)
    es.add("sell", 1, "stop", 95, is_exit=True)

    assert es.bar(90, 99, 88, 98) == [("o1", 1, 90)]


def test_a_limit_needs_a_bar_that_goes_a_tick_through_it(es):
    es.bar(100, 100, 100, 100)
    es.add("buy", 1, "limit", 95)

    assert es.bar(100, 101, 95, 96) == []
    assert es.bar(96, 97, 94, 96) == [("o1", 1, 95)]


def test_a_limit_gapped_through_fills_at_the_limit(es):
    es.bar(100, 100, 100, 100)
    es.add("buy", 1, "limit", 95)

    assert es.bar(90, 92, 89, 91) == [("o1", 1, 95)]


def test_the_stop_comes_before_the_target_in_one_bar(es):
    es.bar(100, 100, 100, 100)
    long_bracket(es)
    assert es.fills() == [("entry", 1, 102)]

    assert es.bar(100, 112, 94, 108) == [("stop", 1, 95)]
    assert es.ended == [("stop", "filled"), ("target", "cancelled")]


def test_the_stop_of_a_short_comes_before_its_target_too(es):
    es.bar(100, 100, 100, 100)
    es.bracket(es.order("sell", 1, id="entry"),
               es.order("buy", 1, "stop", 105, id="stop", is_exit=True),
               es.order("buy", 1, "limit", 90, id="target", is_exit=True))
    es.fills()

    assert es.bar(100, 106, 85, 90) == [("stop", 1, 106)], "105 implies 105 x 106"


def test_a_target_alone_in_the_range_fills_at_its_limit(es):
    es.bar(100, 100, 100, 100)
    long_bracket(es)
    es.fills()

    assert es.bar(100, 110, 96, 108) == [], "touched, not gone through"
    assert es.bar(108, 111, 107, 108) == [("target", 1, 110)]


def test_an_entry_on_the_way_to_the_low_can_be_stopped_in_the_same_bar(es):
    es.bar(100, 100, 100, 100)
    long_bracket(es, entry=("limit", 98), stop=95)

    assert es.bar(100, 120, 94, 110) == [("entry", 1, 98), ("stop", 1, 95)]


def test_an_entry_stop_is_met_on_the_way_to_the_high_and_its_stop_on_the_way_to_the_close(es):
    es.bar(100, 100, 100, 100)
    long_bracket(es, entry=("stop", 105), stop=101, target=120)

    assert es.bar(100, 110, 90, 101) == [("entry", 1, 106), ("stop", 1, 101)]


def test_an_entry_whose_bracket_lives_on_is_protected_at_the_next_bar(es):
    es.bar(100, 100, 100, 100)
    long_bracket(es, entry=("limit", 98), stop=95)

    assert es.bar(100, 101, 96, 99) == [("entry", 1, 98)]
    assert es.resized == [("stop", 1), ("target", 1)]
    assert es.bar(94, 99, 93, 99) == [("stop", 1, 94)]


def test_children_that_wake_inside_a_bar_meet_its_path_and_not_the_close_before_it(es):
    long_bracket(es, entry=("limit", 98), stop=90)
    es.bar(120, 120, 120, 120)

    assert es.bar(100, 105, 97, 104) == [("entry", 1, 98)], "the target lies below the last close, above this path"


def test_one_point_of_the_path_is_one_quote():
    bench = Bench(wide(spread_ticks=2, quote_size=4), Rules())
    bench.bar(100, 100, 100, 100)
    bench.add("buy", 20, "stop", 105)

    # the stop is the high is the close: one quote of 4, and the account's second order gets nothing of it
    assert bench.bar(100, 105, 95, 105) == [("o1", 4, 106)]


def test_where_a_stop_and_an_entry_are_met_at_one_price_the_stop_is_first(es):
    es.bar(100, 100, 100, 100)
    es.add("buy", 1, "limit", 98)
    es.add("sell", 1, "stop", 97, is_exit=True)

    assert es.bar(100, 101, 97, 98) == [("o2", 1, 97), ("o1", 1, 98)]


def test_size_limits_a_bar_as_it_limits_a_quote():
    bench = Bench(wide(spread_ticks=2, quote_size=4), Rules())
    bench.bar(100, 100, 100, 100)
    bench.add("buy", 10)
    assert bench.fills() == [("o1", 4, 102)]

    # the points of the next bar quote 99 x 101 at the open and 93 x 95 at the low
    assert bench.bar(100, 108, 94, 100) == [("o1", 4, 102), ("o1", 2, 96)]


def test_the_rest_of_a_stop_follows_along_the_path():
    bench = Bench(wide(spread_ticks=2, quote_size=4), Rules())
    bench.bar(100, 100, 100, 100)
    bench.add("sell", 6, "stop", 97, is_exit=True)

    assert bench.bar(100, 101, 90, 95) == [("o1", 4, 96), ("o1", 2, 89)]


@pytest.mark.parametrize(("kind", "price", "is_exit", "expected"), [
    ("limit", 97, False, []),                                  # the low may have come before the order
    ("limit", 103, True, []),
    ("stop", 97, True, [("o1", 1, 97)]),                       # the doubt goes against us
])
def test_an_order_that_came_into_the_middle_of_a_bar(es, kind, price, is_exit, expected):
    es.bar(100, 100, 100, 100)
    es.ts += 30 * SECOND
    es.add("sell" if is_exit else "buy", 1, kind, price, is_exit=is_exit)
    es.ts -= 30 * SECOND

    assert es.bar(100, 105, 95, 100) == expected


def test_such_an_order_still_meets_the_close(es):
    es.bar(100, 100, 100, 100)
    es.ts += 30 * SECOND
    es.add("buy", 1, "limit", 97)
    es.ts -= 30 * SECOND

    assert es.bar(100, 105, 95, 96) == [("o1", 1, 97)]


def test_a_bar_with_a_closing_quote_of_its_own_is_taken_at_it(es):
    es.bar(100, 105, 95, 101, bid=98, ask=106, bid_size=3, ask_size=2)
    es.add("buy", 5)

    assert es.fills() == [("o1", 2, 108)], "offer 106, spread 8, size 2"


def test_long_and_short_in_one_bar_each_meet_their_own_bad_extreme_first(es):
    es.bar(100, 100, 100, 100)
    es.add("sell", 1, "stop", 95, is_exit=True, account="L")
    es.add("sell", 1, "limit", 110, is_exit=True, account="L")
    es.add("buy", 1, "stop", 110, is_exit=True, account="S")
    es.add("buy", 1, "limit", 90, is_exit=True, account="S")

    assert es.bar(100, 111, 89, 100) == [("o1", 1, 95), ("o2", 1, 110), ("o3", 1, 111), ("o4", 1, 90)]
