"""The structure detector against a slow plain version written from its definition."""

import os
import subprocess
import sys

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.walks import MINUTE, START, bar_at, walk

from interlock.errors import InputError
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, Quality
from interlock.model.view import Session
from interlock.regimes.kernels import NAMES
from interlock.regimes.structure import StructureRegime

PARENT = 15 * MINUTE


def parents_of(bars):
    """(open, high, low, close) of each whole quarter of an hour, by grouping."""
    groups: dict[int, list[Bar]] = {}
    for bar in bars:
        groups.setdefault(bar.ts_event // PARENT, []).append(bar)
    return [(g[0].open, max(b.high for b in g), min(b.low for b in g), g[-1].close) for g in groups.values()]


def plainly(parents):
    """The regime after each parent, from whole arrays, swings by search, no state carried but the regime's own."""
    o, h, lo, c = (np.array(column, dtype=float) for column in zip(*parents, strict=True))
    n = len(c)
    atr5, atr10, atr14, atr50 = (talib.ATR(h, lo, c, period) for period in (5, 10, 14, 50))
    mean = talib.EMA(c, 50)
    disp = np.zeros(n)
    for t in range(15, n):
        body = abs(c[t] - o[t])
        if body >= 1.2 * atr14[t - 1] and body >= 0.6 * (h[t] - lo[t]):
            disp[t] = np.sign(c[t] - o[t])
    confirmed: list[list[tuple[int, float]]] = [[] for _ in range(n)]  # (side, price), as known at t
    for t in range(4, n):
        i = t - 2
        if h[i] > h[i - 2 : i].max() and h[i] >= h[i + 1 : t + 1].max():
            confirmed[t].append((1, h[i]))
        if lo[i] < lo[i - 2 : i].min() and lo[i] <= lo[i + 1 : t + 1].min():
            confirmed[t].append((-1, lo[i]))
    answers, regime, age, trend, top, bottom = [], "unknown", 0, 0, None, None
    swings: list[tuple[int, float]] = []
    for t in range(n):
        if top is not None and c[t] > top:
            trend, top = 1, None
        elif bottom is not None and c[t] < bottom:
            trend, bottom = -1, None
        for side, price in confirmed[t]:
            top, bottom = (price, bottom) if side > 0 else (top, price)
            if swings and swings[-1][0] == side:
                swings[-1] = (side, max(price, swings[-1][1]) if side > 0 else min(price, swings[-1][1]))
            else:
                swings.append((side, price))
        if t < 50:
            answers.append("unknown")
            continue
        way = np.abs(np.diff(c[t - 20 : t + 1])).sum()
        er = (c[t] - c[t - 20]) / way if way else 0.0
        far = abs(c[t] - mean[t]) >= 0.5 * atr14[t - 1]
        last = [price for _, price in swings[-4:]]
        width = max(last) - min(last) if len(last) == 4 else np.inf
        if atr5[t] / atr50[t] >= (1.3 if regime == "expansion" else 1.6) or abs(disp[t - 9 : t + 1].sum()) >= 3:
            found = "expansion"
        elif far and trend > 0 and c[t] > mean[t] and er >= (0.35 if regime == "trend_up" else 0.45):
            found = "trend_up"
        elif far and trend < 0 and c[t] < mean[t] and -er >= (0.35 if regime == "trend_dn" else 0.45):
            found = "trend_dn"
        elif atr10[t] / atr50[t] <= (0.8 if regime == "compression" else 0.7):
            found = "compression"
        elif abs(er) <= (0.32 if regime == "range" else 0.25) and width <= 3 * atr14[t - 1]:
            found = "range"
        else:
            found = "transition"
        if found != regime and (regime == "unknown" or found == "expansion" or age >= 3):
            regime, age = found, 1
        else:
            age += 1
        answers.append(regime)
    return answers


def detected(bars, detector=None):
    detector = detector or StructureRegime(INSTRUMENTS["ES"])
    return [regime.name for bar in bars if (regime := detector.step(bar)) is not None]


def market(seed, n=6000):
    """A walk that is calm, wild and trending in turn, so that every regime occurs."""
    rng = np.random.default_rng(seed)
    price, bars = 20_000, []
    for i in range(n):
        if i % 450 == 0:
            scale, drift = rng.choice([1.0, 3.0, 9.0]), rng.choice([-1.0, 0.0, 0.0, 1.0])
        close = price + round(float(rng.normal(drift * scale * 0.5, scale)))
        high, low = max(price, close) + int(rng.integers(0, 3)), min(price, close) - int(rng.integers(0, 3))
        bars.append(bar_at(i, price, high, low, close))
        price = close
    return bars


@pytest.mark.parametrize("seed", range(8))
def test_the_regimes_are_those_of_the_definition(seed):
    bars = market(seed)

    assert detected(bars) == plainly(parents_of(bars))


def test_every_regime_occurs_in_the_markets_above():
    assert {name for seed in range(8) for name in detected(market(seed))} == set(NAMES)


def test_a_mirrored_market_has_mirrored_regimes():
    bars = market(3)
    mirrored = [
        bar_at(i, 40_000 - b.open, 40_000 - b.low, 40_000 - b.high, 40_000 - b.close) for i, b in enumerate(bars)
    ]
    swap = {"trend_up": "trend_dn", "trend_dn": "trend_up"}

    assert detected(mirrored) == [swap.get(name, name) for name in detected(bars)]


def test_the_first_fifty_parents_have_no_opinion():
    names = detected(market(1))

    assert names[:50] == ["unknown"] * 50
    assert names[50] != "unknown"


@settings(max_examples=15, deadline=None)
@given(cut=st.integers(1, 1999), seed=st.integers(0, 50))
def test_what_was_said_does_not_depend_on_what_comes_after(cut, seed):
    bars, others = market(seed, 2000), walk(2000, seed=seed, scale=40.0)

    before = detected(bars[:cut])

    assert detected(bars)[: len(before)] == before == detected([*bars[:cut], *others[cut:]])[: len(before)]


def session(ts_open, ts_close):
    return Session(
        is_open=True,
        is_known=True,
        trade_date="2023-11-14",
        ts_open=ts_open,
        ts_close=ts_close,
        ts_flat=ts_close,
        local_minute=0,
        zone="UTC",
    )


def test_parents_are_counted_from_the_open_and_the_last_one_may_be_short():
    detector = StructureRegime(INSTRUMENTS["ES"])
    opened = START + 7 * MINUTE
    day = session(opened, opened + 40 * MINUTE)

    looked = [i for i in range(40) if detector.step(bar_at(i, 10, 11, 9, 10, start=opened), day) is not None]

    assert looked == [14, 29, 39]


def test_a_parent_whose_last_child_never_came_closes_before_the_next_one():
    detector = StructureRegime(INSTRUMENTS["ES"])
    bars = [bar for i, bar in enumerate(walk(45)) if i not in (13, 14)]

    looked = [bar.ts_event for bar in bars if detector.step(bar) is not None]

    assert looked == [START + 15 * MINUTE, START + 29 * MINUTE, START + 44 * MINUTE]


def test_minutes_without_trades_move_time_but_not_the_parent():
    detector, other = StructureRegime(INSTRUMENTS["ES"]), StructureRegime(INSTRUMENTS["ES"])
    bars = walk(15)
    silent = bar_at(14, 90_000, 90_000, 90_000, 90_000, quality=Quality.SYNTH)

    looked = [detector.step(bar) for bar in [*bars[:14], silent]]

    assert looked[-1] is not None
    for bar in bars[:14]:
        other.step(bar)
    assert int(detector._state[0]["highs"][0]) == max(bar.high for bar in bars[:14])
    assert int(other._state[0]["count"]) == 0


def test_the_regime_says_when_it_last_looked():
    detector = StructureRegime(INSTRUMENTS["ES"])
    bars = walk(20)

    for bar in bars:
        detector.step(bar)

    assert detector.current.ts_known == bars[14].ts_known
    assert detector.current.detector == "structure"
    assert not detector.is_warm


RESUME = """
import sys
from interlock.model.instrument import INSTRUMENTS
from interlock.regimes.structure import StructureRegime
from tests.regimes.test_structure_regime import detected, market
cut = int(sys.argv[1])
detector = StructureRegime(INSTRUMENTS["ES"])
if cut:
    detector.restore(sys.stdin.buffer.read())
print(detected(market(2, 1500)[cut:], detector), detector.snapshot().hex())
"""


def resumed(cut, snapshot=b"", **environment):
    done = subprocess.run(
        [sys.executable, "-c", RESUME, str(cut)],
        input=snapshot,
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    return done.stdout.decode().strip()


@pytest.mark.parametrize("cut", [0, 7, 15, 801])
def test_a_day_resumed_in_another_process_or_run_without_the_compiler_is_the_same_to_the_bit(cut):
    detector = StructureRegime(INSTRUMENTS["ES"])
    bars = market(2, 1500)
    detected(bars[:cut], detector)
    snapshot = detector.snapshot()
    expected = f"{detected(bars[cut:], detector)} {detector.snapshot().hex()}"

    assert resumed(cut, snapshot) == expected
    assert resumed(cut, snapshot, NUMBA_DISABLE_JIT="1") == expected


def test_other_instruments_and_the_past_are_refused():
    detector = StructureRegime(INSTRUMENTS["ES"])
    bars = walk(2)
    detector.step(bars[1])

    with pytest.raises(InputError, match="after the bar"):
        detector.step(bars[0])
    with pytest.raises(InputError, match="found a bar of NQ"):
        detector.step(walk(3, symbol="NQ")[2])
    with pytest.raises(InputError, match="params"):
        StructureRegime(INSTRUMENTS["NQ"]).restore(detector.snapshot())
