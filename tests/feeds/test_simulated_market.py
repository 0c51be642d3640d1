import hashlib
import os
import random
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import InputError
from interlock.feeds.simulated import TICK_NS, SimulatedMarket
from interlock.feeds.simulated import path as kernels
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, MarketState, Provenance, Quality, Quote, Trade

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
START = 1_750_000_020 * SECOND
FIRST = START // TICK_NS
SEEDS = (1, 2, 3)


def a_market(seed: int = 1) -> SimulatedMarket:
    return SimulatedMarket(seed, list(INSTRUMENTS.values()))


def price(symbol: str, increments: int) -> float:
    return float(INSTRUMENTS[symbol].price(increments))


def test_a_quote_depends_on_seed_instrument_and_tick_and_not_on_what_was_asked_before():
    indices = [FIRST + n for n in range(500)]
    in_order = [a_market().quote("MES", index) for index in indices]
    shuffled = list(indices)
    random.Random(0).shuffle(shuffled)

    market = a_market()
    asked = {index: (market.quote("BTCUSD", index + 7), market.quote("MES", index))[1] for index in shuffled}

    assert [asked[index] for index in indices] == in_order
    assert in_order != [a_market(2).quote("MES", index) for index in indices]
    assert len({str(quote) for quote in in_order}) > 400


SCRIPT = """
import hashlib
from interlock.feeds.simulated import SimulatedMarket
from interlock.model.instrument import INSTRUMENTS
market = SimulatedMarket(1, list(INSTRUMENTS.values()))
digest = hashlib.sha256()
for symbol in ("MES", "6E", "BTCUSD", "SPY"):
    for n in range(60):
        digest.update(repr(market.quote(symbol, {first} + n * 7919)).encode())
    for bar in market.bars(symbol, 60_000_000_000, {start}, {start} + 180_000_000_000):
        digest.update(repr(bar).encode())
    digest.update(repr(market.halts(symbol, {start}, {start} + 10**15)).encode())
print(digest.hexdigest())
"""


@pytest.mark.process
@pytest.mark.parametrize("jit", ["compiled", "interpreted"])
def test_another_process_gives_the_same_bits(jit, capsys):
    script = SCRIPT.format(first=FIRST, start=START)
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0" if jit == "compiled" else "1", "PYTHONPATH": "src"}

    there = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True,
                           timeout=300).stdout
    exec(compile(script, "here", "exec"), {})

    assert there == capsys.readouterr().out
    assert len(there.strip()) == hashlib.sha256().digest_size * 2


@pytest.mark.parametrize("symbol", ["MES", "CL", "SPY"])
def test_bars_are_the_trades_of_their_ticks(symbol):
    market = a_market()
    halt = market.halts(symbol, START, START + DAY)[0][0]
    start = halt // MINUTE * MINUTE - 5 * MINUTE

    bars = list(market.bars(symbol, MINUTE, start, start + 10 * MINUTE))

    expected = []
    for minute in range(start, start + 10 * MINUTE, MINUTE):
        trades = [trade for n in range(120) if (trade := market.trade(symbol, minute // TICK_NS + n)) is not None]
        if trades:
            prices = [trade.price for trade in trades]
            expected.append(Bar(symbol, MINUTE, prices[0], max(prices), min(prices), prices[-1],
                                sum(trade.size for trade in trades), minute, minute + MINUTE, Provenance.SIMULATED))
    assert bars == expected
    assert all(bar.quality is Quality.OK and bar.volume > 0 for bar in bars)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3_000), st.integers(0, 3_000), st.sampled_from([30 * SECOND, MINUTE, 15 * MINUTE]))
def test_bars_of_a_part_are_part_of_the_bars(offset, length, timeframe):
    market = a_market()
    start, end = START + offset * SECOND, START + (offset + length) * SECOND

    part = list(market.bars("MNQ", timeframe, start, end))

    whole = [bar for bar in market.bars("MNQ", timeframe, START - HOUR, START + 2 * HOUR)
             if start <= bar.ts_event and bar.ts_known <= end]
    assert part == whole
    assert all(bar.ts_event % timeframe == 0 for bar in part)


def test_a_window_wholly_inside_a_halt_gives_no_bar():
    market = a_market()
    start, end = market.halts("MES", START, START + DAY)[0]
    five = 5 * SECOND
    inside = [first for first in range(start // five * five, end, five) if start <= first and first + five <= end]

    bars = list(market.bars("MES", five, start // five * five - five, end + 2 * five))

    assert len(inside) >= 3
    assert not {bar.ts_event for bar in bars} & set(inside)
    assert len(bars) >= 2


@pytest.mark.parametrize("seed", SEEDS)
def test_halts_last_20_to_60_seconds_and_come_every_6_to_12_hours(seed):
    halts = a_market(seed).halts("MES", START, START + 10 * WEEK)

    assert all(20 * SECOND <= end - start <= 60 * SECOND for start, end in halts)
    assert all(6 * HOUR <= after[0] - before[0] <= 12 * HOUR for before, after in pairwise(halts))
    assert len(halts) > 10 * 7 * 2


def test_there_is_no_quote_in_a_halt_and_one_at_every_other_tick():
    market = a_market()
    for start, end in market.halts("MNQ", START, START + 3 * DAY):
        for index in range(start // TICK_NS - 30, end // TICK_NS + 30):
            is_halted = start <= index * TICK_NS < end
            assert (market.quote("MNQ", index) is None) is is_halted
            assert (market.trade("MNQ", index) is None) is is_halted
            state = market.state("MNQ", index)
            assert (state.is_open, state.is_halted, state.ts_event) == (True, is_halted, index * TICK_NS)


def test_halts_are_found_by_any_overlap():
    market = a_market()
    start, end = market.halts("MES", START, START + DAY)[0]

    assert market.halts("MES", start + 1, start + 2) == [(start, end)]
    assert market.halts("MES", end, end + SECOND) == []
    assert market.halts("MES", start - SECOND, start) == []
    assert market.halts("ES", START, START + WEEK) == market.halts("MES", START, START + WEEK)
    assert market.halts("ES", START, START + WEEK) != market.halts("NQ", START, START + WEEK)


@pytest.mark.parametrize("symbol", ["MES", "MNQ", "6E", "SPY", "BTCUSD"])
def test_away_from_halts_every_tick_can_be_traded(symbol):
    market, instrument = a_market(), INSTRUMENTS[symbol]
    disturbed = market.disturbed(symbol, START, START + WEEK)
    widths = []
    for index in random.Random(5).sample(range(FIRST, FIRST + WEEK // TICK_NS), 20_000):
        if any(start <= index * TICK_NS < end for start, end in disturbed):
            continue
        quote = market.quote(symbol, index)
        assert quote is not None
        assert quote.bid % instrument.tick_increments == quote.ask % instrument.tick_increments == 0
        assert 0 < quote.bid < quote.ask
        assert instrument.quote_size <= min(quote.bid_size, quote.ask_size)
        assert max(quote.bid_size, quote.ask_size) <= 10 * instrument.quote_size
        widths.append((quote.ask - quote.bid) // instrument.tick_increments)
    assert set(widths) == {1, 2}
    assert 0.8 < widths.count(1) / len(widths) < 0.95
    assert sum(end - start for start, end in disturbed) < WEEK // 500


def test_wide_spreads_and_empty_sides_occur_in_the_seconds_around_halts():
    market = a_market()
    quotes = [quote for (start, end), (first, last) in zip(market.disturbed("MES", START, START + 4 * WEEK),
                                                           market.halts("MES", START, START + 4 * WEEK), strict=True)
              for index in [*range(start // TICK_NS, first // TICK_NS), *range(last // TICK_NS, end // TICK_NS)]
              if (quote := market.quote("MES", index)) is not None]

    assert min(quote.ask - quote.bid for quote in quotes) >= 4
    assert any(quote.bid_size == 0 for quote in quotes)
    assert any(quote.ask_size == 0 for quote in quotes)
    assert all(first - start <= 3 * SECOND and end - last <= 5 * SECOND
               for (start, end), (first, last) in zip(market.disturbed("MES", START, START + 4 * WEEK),
                                                      market.halts("MES", START, START + 4 * WEEK), strict=True))


@pytest.mark.parametrize(("mini", "micro"), [("ES", "MES"), ("NQ", "MNQ"), ("YM", "MYM"), ("RTY", "M2K"), ("CL", "MCL"),
                                             ("GC", "MGC"), ("BTCUSD", "BTCUSDT")])
def test_contracts_of_one_parent_share_one_path(mini, micro):
    market = a_market()

    minis, micros = (list(market.bars(symbol, MINUTE, START, START + 20 * MINUTE)) for symbol in (mini, micro))

    assert [(bar.open, bar.high, bar.low, bar.close) for bar in minis] == [
        (bar.open, bar.high, bar.low, bar.close) for bar in micros]
    assert [market.quote(mini, FIRST + n) for n in range(20)] != [market.quote(micro, FIRST + n) for n in range(20)]


@pytest.mark.parametrize(("symbol", "level"), [("MES", 6000), ("MNQ", 21500), ("GC", 2650), ("CL", 70), ("6E", 1.085),
                                               ("BTCUSD", 64000), ("SPY", 600)])
def test_prices_stay_near_their_level_for_decades(symbol, level):
    market, dice = a_market(), random.Random(9)
    for _ in range(3_000):
        quote = market.quote(symbol, dice.randrange(2_650_000_000, 4_600_000_000))
        if quote is not None:
            assert 0.8 * level < price(symbol, quote.bid) < 1.2 * level


def test_neighbouring_ticks_lie_close_together_except_for_rare_jumps():
    market = a_market()
    around = [n << kernels.LEVELS for n in range(3_300, 3_400)]
    seams = [abs(after.price - before.price) for index in around
             if (before := market.trade("MES", index - 1)) is not None
             and (after := market.trade("MES", index)) is not None]
    assert max(seams) <= 8

    moves = np.abs(np.diff([trade.price for n in range(2 * DAY // TICK_NS)
                            if (trade := market.trade("MES", FIRST + n)) is not None]))
    jumps = int((moves >= 14).sum())
    assert 8 <= jumps <= 24, "about one in three hours, of 4 to 8 points"
    assert float(np.quantile(moves, 0.999)) <= 4


def atr(bars: list[Bar], period: int = 14) -> np.ndarray:
    ranges = [max(bar.high, before.close) - min(bar.low, before.close) for before, bar in pairwise(bars)]
    smoothed = [sum(ranges[:period]) / period]
    for one in ranges[period:]:
        smoothed.append((smoothed[-1] * (period - 1) + one) / period)
    return np.array(smoothed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("symbol", "low", "high"), [("MES", 2, 4), ("MNQ", 8, 16)])
def test_the_average_range_of_a_minute_lets_a_stop_of_two_fit_a_small_budget(symbol, low, high, seed):
    bars = list(a_market(seed).bars(symbol, MINUTE, START, START + WEEK))

    ranges = atr(bars) * price(symbol, 1)

    assert low <= np.median(ranges) <= high
    assert np.mean((ranges >= low) & (ranges <= high)) > 0.9
    assert 2 * ranges.max() * float(INSTRUMENTS[symbol].multiplier) <= 120


def ema(values: list[float], period: int) -> list[float]:
    mean = sum(values[:period]) / period
    means = [float("nan")] * (period - 1) + [mean]
    for value in values[period:]:
        mean += 2 / (period + 1) * (value - mean)
        means.append(mean)
    return means


@pytest.mark.parametrize("seed", SEEDS)
def test_buying_up_trends_with_a_stop_makes_many_round_trips_of_both_signs(seed):
    warm = 2 * DAY // MINUTE
    bars = list(a_market(seed).bars("MNQ", MINUTE, START - 2 * DAY, START + WEEK))
    closes = [float(bar.close) for bar in bars]
    fast, slow, ranges = ema(closes, 9), ema(closes, 20), [0.0] * 14 + list(atr(bars))
    quarters = closes[14::15]
    trends = []
    for n, close in enumerate(quarters):
        way = sum(abs(b - a) for a, b in pairwise(quarters[max(0, n - 20):n + 1]))
        net = close - quarters[max(0, n - 20)]
        trends.append(net / way if way else 0.0)

    results, entry, stop, target = [], 0.0, 0.0, 0.0
    for n in range(warm, len(bars)):
        if entry:
            if bars[n].low <= stop or bars[n].high >= target:
                results.append((stop if bars[n].low <= stop else target) - entry)
                entry = 0.0
        elif trends[(n + 1) // 15 - 1] >= 0.45 and fast[n] > slow[n]:
            entry, stop, target = closes[n], closes[n] - 2 * ranges[n], closes[n] + 4 * ranges[n]

    assert len(results) >= 20
    assert min(results) < 0 < max(results)
    assert min(trends) < -0.45
    assert sum(abs(trend) < 0.25 for trend in trends) > len(trends) / 5, "there are ranges as well"


def test_messages_come_in_order_and_hold_every_quote_change_of_state_and_bar():
    market = a_market()
    halt, resumed = market.halts("MES", START, START + DAY)[0]
    start, end = halt // MINUTE * MINUTE - MINUTE, resumed + 2 * MINUTE

    messages = list(market.messages(["MNQ", "MES"], start, end))

    def known(message: Bar | Quote | MarketState) -> int:
        return message.ts_known if isinstance(message, Bar) else message.ts_recv

    keys = [(known(message), message.instrument) for message in messages]
    assert keys == sorted(keys)
    assert [m for m in messages if isinstance(m, Bar) and m.instrument == "MES"] == [
        bar for bar in market.bars("MES", MINUTE, start - MINUTE, end) if bar.ts_known < end]
    assert [m for m in messages if isinstance(m, Quote) and m.instrument == "MES"] == [
        quote for index in range(start // TICK_NS, -(-end // TICK_NS))
        if (quote := market.quote("MES", index)) is not None]
    assert [(m.ts_event, m.is_halted) for m in messages if isinstance(m, MarketState) and m.instrument == "MES"] == [
        (start, False), (halt, True), (resumed, False)]


def test_every_message_is_labelled_simulated():
    market = a_market()
    quote, trade = market.quote("MES", FIRST), market.trade("MES", FIRST)

    assert isinstance(quote, Quote)
    assert isinstance(trade, Trade)
    assert {quote.provenance, trade.provenance} == {Provenance.SIMULATED}
    assert quote.quality is Quality.OK
    assert quote.ts_event == quote.ts_recv == FIRST * TICK_NS
    assert quote.fresh_until == 0


def test_an_instrument_that_is_not_simulated_is_named():
    with pytest.raises(InputError, match="ZN is not simulated; expected one of MES"):
        SimulatedMarket(1, [INSTRUMENTS["MES"]]).quote("ZN", FIRST)


def test_a_bar_shorter_than_a_tick_is_refused():
    with pytest.raises(InputError, match="multiple of 500000000 ns, found 7"):
        next(a_market().bars("MES", 7, START, START + DAY))


def test_hashed_bits_are_even_and_neighbours_are_strangers():
    draws = np.array([kernels.draw(0x123456789ABCDEF, 3, FIRST + n) for n in range(50_000)])
    bits = (draws[:, None] >> np.arange(32)) & 1
    normals = np.array([kernels.normal(0x123456789ABCDEF, 4, FIRST + n) for n in range(50_000)])

    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.012
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.015
    assert abs(normals.mean()) < 0.02
    assert abs(normals.std() - 1) < 0.015
    assert abs(np.corrcoef(normals[1:], normals[:-1])[0, 1]) < 0.015
