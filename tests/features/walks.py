"""Bars to test with: seeded walks, and the pieces of them."""

import numpy as np

from interlock.model.market import Bar, Provenance, Quality

MINUTE = 60_000_000_000
START = 1_700_000_040_000_000_000 // (15 * MINUTE) * (15 * MINUTE)


def walk(n, seed=1, *, symbol="ES", start=START, scale=4.0, drift=0.0, base=20_000):
    """`n` one-minute bars of a random walk on the increments, with a gap now and then."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(drift, scale, n)
    steps[rng.random(n) < 0.01] *= 8
    closes = base + np.rint(np.cumsum(steps)).astype(int)
    opens = np.concatenate([[base], closes[:-1]]) + rng.integers(-1, 2, n)
    highs = np.maximum(opens, closes) + rng.integers(0, 5, n)
    lows = np.minimum(opens, closes) - rng.integers(0, 5, n)
    return [
        bar_at(i, int(opens[i]), int(highs[i]), int(lows[i]), int(closes[i]), symbol=symbol, start=start)
        for i in range(n)
    ]


def bar_at(i, opened, high, low, close, *, symbol="ES", start=START, timeframe=MINUTE, quality=Quality.OK):
    ts = start + i * timeframe
    return Bar(symbol, timeframe, opened, high, low, close, 10, ts, ts + timeframe, Provenance.PLAYBACK, quality)
