"""Every kernel against an answer from elsewhere: TA-Lib, numpy's polyfit, hand calculations."""

import doctest
import math

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st
from tests.features.walks import walk

from interlock.features import momentum, registry
from interlock.model import kernels
from interlock.model.kernels import ATR, EMA, atr, ema, true_range

BARS = walk(3000, seed=7)
HIGH, LOW, CLOSE = (
    np.array([getattr(bar, name) for bar in BARS], dtype=np.float64) for name in ("high", "low", "close")
)


def stepped(kernel, dtype, columns, *params):
    state = np.zeros(1, dtype)[0]
    return np.array([float(kernel(state, *row, *params)) for row in zip(*columns, strict=True)])


@pytest.mark.parametrize("period", [2, 9, 20, 50, 200])
def test_the_exponential_mean_is_that_of_talib_to_the_bit(period):
    ours = stepped(ema, EMA, [CLOSE], period)

    assert ours.tobytes() == talib.EMA(CLOSE, period).tobytes()


@pytest.mark.parametrize("period", [2, 5, 14, 50])
def test_the_average_true_range_is_that_of_talib(period):
    ours = stepped(atr, ATR, [HIGH.astype(int), LOW.astype(int), CLOSE.astype(int)], period)
    theirs = talib.ATR(HIGH, LOW, CLOSE, period)

    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("period", [2, 14, 30])
def test_relative_strength_is_that_of_talib(period):
    ours = stepped(momentum.rsi, momentum.RSI, [CLOSE.astype(int)], period)
    theirs = talib.RSI(CLOSE, period)

    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_relative_strength_of_a_price_that_does_not_move_is_fifty():
    ours = stepped(momentum.rsi, momentum.RSI, [[5] * 20], 14)

    assert ours[-1] == 50.0, "TA-Lib says 0 here; the documented exception"


@pytest.mark.parametrize(
    ("high", "low", "before", "expected"), [(12, 10, 11, 2), (12, 10, 15, 5), (12, 10, 7, 5), (9, 9, 9, 0)]
)
def test_the_true_range_reaches_back_to_the_close_before(high, low, before, expected):
    assert true_range(high, low, before) == expected


@pytest.mark.parametrize("n", [4, 5, 20, 100])
def test_the_trajectory_is_the_line_that_polyfit_lays(n):
    state = np.zeros(1, momentum.trajectory_state(n))[0]
    ranges = stepped(atr, ATR, [HIGH.astype(int), LOW.astype(int), CLOSE.astype(int)], 14)
    half = n // 2

    for i in range(400):
        value = float(momentum.trajectory(state, int(CLOSE[i]), ranges[i], n))
        if i + 1 < max(n, 15):
            assert math.isnan(value)
            continue
        window = CLOSE[i + 1 - n : i + 1]

        def measured(part, size, reach=ranges[i]):
            return np.polyfit(np.arange(size), part, 1)[0] * (size - 1) / (reach * math.sqrt(size - 1))

        residual = window - np.polyval(np.polyfit(np.arange(n), window, 1), np.arange(n))
        spread = np.sum((window - window.mean()) ** 2)
        assert value == pytest.approx(measured(window, n), rel=1e-9, abs=1e-9)
        assert float(state["first"]) == pytest.approx(measured(window[:half], half), rel=1e-9, abs=1e-9)
        assert float(state["second"]) == pytest.approx(measured(window[n - half :], half), rel=1e-9, abs=1e-9)
        assert float(state["r2"]) == pytest.approx(1 - np.sum(residual**2) / spread if spread else 0.0, abs=1e-9)


def test_a_market_that_stands_still_has_no_trajectory_and_explains_nothing():
    state = np.zeros(1, momentum.trajectory_state(4))[0]

    values = [float(momentum.trajectory(state, 100, 0.0, 4)) for _ in range(4)]

    assert values[-1] == 0.0
    assert float(state["r2"]) == 0.0


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=60))
def test_a_cross_is_a_change_of_side_with_equals_left_out(pairs):
    state = np.zeros(1, momentum.CROSS)[0]
    side = 0

    for fast, slow in pairs:
        now = (fast > slow) - (fast < slow) or side
        expected = now if side and now != side else 0
        assert momentum.cross(state, float(fast), float(slow)) == expected
        side = now


def test_compiled_code_fuses_no_multiplication_into_an_addition():
    state = np.zeros(1, EMA)[0]
    ema(state, 1.0, 9)

    text = "".join(ema.inspect_asm().values()) if hasattr(ema, "inspect_asm") else ""
    assert "fmadd" not in text


@pytest.mark.parametrize("module", [momentum, registry, kernels], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module):
    result = doctest.testmod(module)

    assert result.attempted > 0
    assert result.failed == 0
