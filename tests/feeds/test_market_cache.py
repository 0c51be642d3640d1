import pytest

from interlock.feeds.cache import MarketCache
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, MarketState, Provenance, Quality, Quote, Trade

SECOND = 1_000_000_000
LIVE = Provenance.LIVE


def a_quote(bid: int = 100, ask: int = 101, ts_event: int = 10 * SECOND, ts_recv: int = 10 * SECOND) -> Quote:
    return Quote("ES", bid, ask, 5, 5, ts_event, ts_recv, LIVE)


def a_cache(*messages: Quote | Bar | Trade | MarketState) -> MarketCache:
    cache = MarketCache(INSTRUMENTS)
    for message in messages:
        cache.put(message, "test")
    return cache


def test_a_quote_is_fresh_up_to_its_age_and_not_a_nanosecond_longer():
    cache = a_cache(a_quote())

    assert cache.fresh("ES", 12 * SECOND, 2 * SECOND) == a_quote()
    assert cache.fresh("ES", 12 * SECOND + 1, 2 * SECOND) is None


def test_what_was_never_quoted_and_what_comes_from_the_future_is_not_fresh():
    cache = a_cache(a_quote())

    assert cache.fresh("NQ", 10 * SECOND, SECOND) is None
    assert cache.fresh("ES", 10 * SECOND - 1, SECOND) is None


@pytest.mark.parametrize(("bid", "ask"), [(102, 101), (0, 101), (-1, 1), (-5, -4)],
                         ids=["crossed", "zero", "negative bid", "negative"])
def test_a_crossed_or_non_positive_quote_is_kept_and_never_fresh(bid, ask):
    cache = a_cache(a_quote(bid, ask))

    assert cache.fresh("ES", 10 * SECOND, SECOND) is None
    held = cache.quote("ES")
    assert held is not None
    assert held.message == a_quote(bid, ask)


def test_a_locked_quote_is_fresh():
    assert a_cache(a_quote(101, 101)).fresh("ES", 10 * SECOND, SECOND) is not None


@pytest.mark.parametrize("late", [a_quote(90, 91, ts_recv=10 * SECOND - 1), a_quote(90, 91, ts_event=10 * SECOND - 1)])
def test_time_that_runs_backwards_leaves_the_held_quote_and_is_counted(late):
    cache = a_cache(a_quote())

    was_kept = cache.put(late, "test")

    assert not was_kept
    assert cache.backwards == 1
    assert cache.fresh("ES", 10 * SECOND, SECOND) == a_quote()


def test_a_later_message_at_the_same_time_replaces_the_one_before():
    cache = a_cache(a_quote(), a_quote(90, 91))

    assert cache.fresh("ES", 10 * SECOND, SECOND) == a_quote(90, 91)
    assert cache.backwards == 0


def test_a_recorded_bar_leaves_the_quote_it_implies_fresh_until_the_next_is_due_whatever_the_age_asked():
    bar = Bar("ES", 60 * SECOND, 99, 101, 98, 100, 7, 0, 60 * SECOND, Provenance.PLAYBACK)
    cache = a_cache(bar)

    quote = cache.fresh("ES", 123 * SECOND, SECOND)

    assert quote is not None
    assert (quote.bid, quote.ask, quote.quality) == (100, 101, Quality.SYNTH)
    assert cache.fresh("ES", 123 * SECOND + 1, 999 * SECOND) is None


def test_quote_trade_and_state_are_held_apart_with_source_and_age():
    trade = Trade("ES", 100, 1, 5 * SECOND, 6 * SECOND, LIVE)
    state = MarketState("ES", True, False, 3 * SECOND, 3 * SECOND)
    cache = a_cache(a_quote(), trade, state)

    held_trade, held_state = cache.trade("ES"), cache.state("ES")

    assert held_trade is not None
    assert held_state is not None
    assert (held_trade.message, held_trade.source, held_trade.age(10 * SECOND)) == (trade, "test", 4 * SECOND)
    assert held_state.message == state
    assert cache.state("NQ") is None
    assert cache.backwards == 0
