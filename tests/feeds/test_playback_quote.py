from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.model.instrument import INSTRUMENTS, Instrument
from interlock.model.market import Bar, Provenance, Quality
from interlock.model.playback import quote_of

MINUTE = 60_000_000_000


def a_bar(symbol: str, close: int, **closing: int) -> Bar:
    return Bar(symbol, MINUTE, close, close, close, close, 7, 0, MINUTE, Provenance.PLAYBACK, Quality.OK, **closing)


def spread(instrument: Instrument, ticks: int) -> Instrument:
    return msgspec.structs.replace(instrument, spread_ticks=ticks)


@pytest.mark.parametrize(("symbol", "ticks", "close", "bid", "ask"), [
    ("ES", 1, "6000.25", "6000.25", "6000.50"),
    ("ES", 2, "6000.25", "6000.00", "6000.50"),
    ("ES", 3, "6000.25", "6000.00", "6000.75"),
    ("ES", 0, "6000.25", "6000.25", "6000.50"),
    ("SPY", 1, "500.1234", "500.12", "500.13"),
    ("SPY", 2, "500.1234", "500.11", "500.13"),
    ("SPY", 1, "500.12", "500.12", "500.13"),
])
def test_a_bare_bar_implies_the_spread_around_its_close_on_the_order_tick(symbol, ticks, close, bid, ask):
    instrument = spread(INSTRUMENTS[symbol], ticks)

    quote = quote_of(a_bar(symbol, instrument.increments(Decimal(close))), instrument)

    assert (instrument.price(quote.bid), instrument.price(quote.ask)) == (Decimal(bid), Decimal(ask))
    assert (quote.bid_size, quote.ask_size) == (instrument.quote_size, instrument.quote_size)


def test_the_implied_quote_is_synthetic_and_stands_until_three_seconds_after_the_next_bar_is_due():
    quote = quote_of(a_bar("ES", 24_000), INSTRUMENTS["ES"])

    assert quote.quality is Quality.SYNTH
    assert quote.provenance is Provenance.PLAYBACK
    assert quote.ts_event == quote.ts_recv == MINUTE
    assert quote.fresh_until == 2 * MINUTE + 3_000_000_000


def test_a_bar_with_its_own_closing_quote_keeps_it():
    quote = quote_of(a_bar("ES", 24_000, bid=23_999, ask=24_001, bid_size=3, ask_size=4), INSTRUMENTS["ES"])

    assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (23_999, 24_001, 3, 4)


@pytest.mark.parametrize("closing", [
    {"bid": 24_002, "ask": 24_001, "bid_size": 3, "ask_size": 4},
    {"bid": 23_999, "ask": 24_001, "bid_size": 0, "ask_size": 4},
    {"bid": 23_999, "ask": 24_001, "bid_size": 3, "ask_size": 0},
    {"bid": 0, "ask": 24_001, "bid_size": 3, "ask_size": 4},
], ids=["crossed", "no bid size", "no ask size", "no bid"])
def test_a_closing_quote_that_is_crossed_or_one_sided_is_not_used(closing):
    quote = quote_of(a_bar("ES", 24_000, **closing), INSTRUMENTS["ES"])

    assert (quote.bid, quote.ask) == (24_000, 24_001)


def test_a_closing_quote_between_ticks_is_widened_to_the_order_tick():
    quote = quote_of(a_bar("SPY", 5_000_050, bid=5_000_040, ask=5_000_060, bid_size=3, ask_size=4), INSTRUMENTS["SPY"])

    assert (quote.bid, quote.ask) == (5_000_000, 5_000_100)


@given(st.sampled_from(sorted(INSTRUMENTS)), st.integers(1_000, 10**9), st.integers(0, 9))
def test_the_implied_quote_is_on_the_tick_uncrossed_and_holds_the_close(symbol, close, ticks):
    instrument = spread(INSTRUMENTS[symbol], ticks)

    quote = quote_of(a_bar(symbol, close), instrument)

    assert quote.bid % instrument.tick_increments == quote.ask % instrument.tick_increments == 0
    assert quote.bid <= close <= quote.ask
    assert quote.ask - quote.bid == max(1, ticks) * instrument.tick_increments
