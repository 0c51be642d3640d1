"""Entry, stop and target linked by the venue."""

import pytest

from interlock.matching import Bracket, Phase
from interlock.model.order import Outcome


@pytest.fixture
def bench(es):
    """A long bracket for 10 whose limit entry at 100 has not filled."""
    es.quote(100, 102)
    es.linked = es.bracket(es.order("buy", 10, "limit", 101, id="entry"),
                           es.order("sell", 10, "stop", 95, id="stop", is_exit=True, is_reduce_only=True),
                           es.order("sell", 10, "limit", 110, id="target", is_exit=True, is_reduce_only=True))
    es.fills()
    return es


def test_children_sleep_until_the_entry_fills(bench):
    assert bench.trade(94) == [("entry", 10, 101)], "through the entry; the stop was not alive to see the trade"
    assert bench.resized == [("stop", 10), ("target", 10)]
    assert bench.quote(94, 96) == [], "triggers"
    assert bench.quote(94, 96) == [("stop", 10, 94)]
    assert bench.ended == [("stop", "filled"), ("target", "cancelled")]
    assert not bench.market.orders


def test_a_stop_that_wakes_beyond_the_market_waits_for_the_next_quote(es):
    entry = es.order("buy", 1, id="entry")
    stop = es.order("sell", 1, "stop", 98, id="stop", is_exit=True)
    Bracket(entry, [stop])
    es.market.add(entry, es.ts)
    es.market.add(stop, es.ts)

    assert es.quote(94, 95) == [("entry", 1, 96)]
    assert es.quote(93, 94) == [("stop", 1, 93)]


def test_children_are_as_large_as_what_was_entered(bench):
    bench.quote(99, 101, ask_size=0)
    bench.market.cancel(bench.linked.parent, "test setup")
    bench.fills()
    assert not bench.market.orders, "nothing entered: the children end with their entry"

    entry = bench.order("buy", 10, "limit", 101, id="entry")
    bench.quote(100, 101, ask_size=4)
    bench.bracket(entry, bench.order("sell", 10, "stop", 95, id="stop", is_exit=True),
                  bench.order("sell", 10, "limit", 110, id="target", is_exit=True))
    assert bench.fills() == [("entry", 4, 101)]
    assert bench.resized == [("stop", 4), ("target", 4)]
    assert bench.quote(100, 101, ask_size=3) == [("entry", 3, 101)]
    assert bench.resized == [("stop", 7), ("target", 7)]


def test_cancelling_the_entry_leaves_its_children_for_what_is_filled(bench):
    bench.quote(100, 101, ask_size=4)              # rests, is not taken by a quote at once
    bench.market.shape = lambda order, lots: min(lots, 4)
    bench.trade(99)
    bench.market.shape = None
    bench.market.cancel(bench.linked.parent, "no longer wanted")
    bench.fills()

    assert bench.ended == [("entry", "cancelled")]
    assert [(order.id, order.remaining) for order in bench.market.orders.values()] == [("stop", 4), ("target", 4)]


def test_a_partly_filled_target_shrinks_the_stop(bench):
    bench.trade(99)
    bench.market.shape = lambda order, lots: min(lots, 3)
    assert bench.trade(111) == [("target", 3, 110)]
    bench.market.shape = None

    assert bench.resized == [("stop", 7)]
    bench.trade(95)
    assert bench.quote(94, 95) == [("stop", 7, 94)]
    assert bench.ended == [("stop", "filled"), ("target", "cancelled")]
    assert bench.market.positions["A"] == 0


def test_an_exit_of_all_that_was_entered_ends_the_rest_of_the_entry(bench):
    bench.market.shape = lambda order, lots: min(lots, 4)
    bench.trade(99)
    bench.market.shape = None
    assert bench.trade(111) == [("target", 4, 110)]

    assert bench.ended == [("target", "filled"), ("stop", "cancelled"), ("entry", "cancelled")]
    assert bench.market.positions["A"] == 0
    assert not bench.market.orders


def test_a_target_for_half_leaves_the_stop_for_the_other_half(es):
    es.quote(100, 101)
    es.bracket(es.order("buy", 10, id="entry"), es.order("sell", 10, "stop", 95, id="stop", is_exit=True),
               es.order("sell", 5, "limit", 110, id="target", is_exit=True))
    es.fills()
    assert es.resized == [("stop", 10), ("target", 5)]

    assert es.trade(111) == [("target", 5, 110)]
    assert es.resized == [("stop", 5)]
    assert es.ended == [("target", "filled")]


def test_cancelling_one_exit_leaves_the_other(bench):
    bench.trade(99)
    bench.market.cancel(bench.linked.children[1], "by a person")
    bench.fills()

    assert [order.id for order in bench.market.orders.values()] == ["stop"]


def test_a_replaced_stop_stays_in_its_bracket(bench):
    bench.trade(99)
    stop, target = bench.linked.children
    bench.market.shape = lambda order, lots: min(lots, 3)
    bench.trade(111)
    bench.market.shape = None
    new = bench.order("sell", 7, "stop", 98, id="stop2", is_exit=True)
    bench.market.replace(stop, new, bench.ts)
    bench.quote(100, 101)

    assert bench.ended == [("stop", "cancelled")]
    assert new.remaining == 7
    assert bench.trade(98) == []
    assert bench.quote(97, 98) == [("stop2", 7, 97)]
    assert target.phase is Phase.CLOSED
    assert bench.market.positions["A"] == 0


def test_a_replaced_entry_keeps_its_children(bench):
    new = bench.order("buy", 10, "limit", 98, id="entry2")
    bench.market.replace(bench.linked.parent, new, bench.ts)
    bench.fills()
    assert bench.ended == [("entry", "cancelled")]

    assert bench.trade(99) == []
    assert bench.trade(97) == [("entry2", 10, 98)]
    assert bench.resized == [("stop", 10), ("target", 10)]


def test_an_entry_that_is_rejected_late_takes_its_children_along(bench):
    bench.market.cancel(bench.linked.parent, "no credit", Outcome.REJECTED)
    bench.fills()

    assert bench.ended == [("entry", "rejected"), ("stop", "cancelled"), ("target", "cancelled")]
