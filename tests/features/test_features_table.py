"""The fused step: its values, its qualities, and that history, a live day and a resumed one are the same bits."""

import os
import subprocess
import sys
from decimal import Decimal

import msgspec
import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.walks import MINUTE, bar_at, walk

from interlock.errors import InputError
from interlock.features.registry import ALIASES, feature
from interlock.features.table import FeatureTable, History
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Quality

NAMES = (
    "ema_fast",
    "ema_slow",
    "ema_50",
    "atr",
    "rsi",
    "trajectory",
    "trajectory_first",
    "trajectory_second",
    "trajectory_r2",
    "cross_9_20",
)
ES = INSTRUMENTS["ES"]


def table(names=NAMES, instrument=ES):
    return FeatureTable(instrument, MINUTE, names)


def bits(rows):
    return np.array([row.values for row in rows], dtype=np.float64).view(np.int64).tolist(), [row.ready for row in rows]


def test_prices_leave_in_price_units_and_ratios_as_they_are():
    bars = walk(300)
    t = table()
    for bar in bars:
        row = t.step(bar)

    closes = np.array([bar.close for bar in bars], dtype=np.float64)
    highs = np.array([bar.high for bar in bars], dtype=np.float64)
    lows = np.array([bar.low for bar in bars], dtype=np.float64)
    assert row["ema_fast"] == talib.EMA(closes, 9)[-1] * 0.25
    assert row["atr"] == pytest.approx(talib.ATR(highs, lows, closes, 14)[-1] * 0.25, rel=1e-12)
    assert row["rsi"] == pytest.approx(talib.RSI(closes, 14)[-1], rel=1e-12)
    assert row.ts_known == bars[-1].ts_known


@pytest.mark.parametrize("name", NAMES)
def test_a_column_is_warming_until_the_bar_that_its_definition_names(name):
    t = table((name,))

    rows = [t.step(bar) for bar in walk(60)]

    warm = [row.quality(name) is Quality.OK for row in rows]
    assert warm.index(True) + 1 == feature(name).warmup
    assert all(row.quality(name) is Quality.WARMUP for row in rows[: feature(name).warmup - 1])
    assert all(np.isnan(row[name]) == (not is_warm) for row, is_warm in zip(rows, warm, strict=True))


@pytest.mark.parametrize("quality", [Quality.SYNTH, Quality.STALE])
def test_a_column_is_as_good_as_its_bar(quality):
    t = table(("ema_2", "atr"))
    for i in range(3):
        t.step(bar_at(i, 100, 101, 99, 100))

    row = t.step(bar_at(3, 100, 100, 100, 100, quality=quality))

    assert row.quality("ema_2") is quality
    assert row.quality("atr") is Quality.WARMUP
    assert row.quality("nothing") is Quality.MISSING
    assert not row.is_ready(["ema_2"])
    assert row.is_ready(["ema_2"], is_synth_ok=True) is (quality is Quality.SYNTH)
    assert row.first_unready(["ema_2", "atr"], is_synth_ok=True) == ("atr" if quality is Quality.SYNTH else "ema_2")


def test_a_verdict_gets_no_nan():
    row = table(("atr",)).step(walk(1)[0])

    found = row.feature("atr")

    assert (found.value, found.quality, found.ts_known) == (None, Quality.WARMUP, row.ts_known)


def test_history_is_the_same_step_in_a_loop():
    bars = walk(2000, seed=3)
    live, history = table(), table()

    rows = [live.step(bar) for bar in bars]
    values, ready = history.run(History.of(bars))

    assert (values.view(np.int64).tolist(), ready.tolist()) == bits(rows)
    assert live.snapshot() == history.snapshot()
    assert history.row.values == rows[-1].values


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(1, 299), seed=st.integers(0, 99))
def test_what_is_known_does_not_depend_on_what_comes_after(cut, seed):
    bars, others = walk(300, seed=seed), walk(300, seed=seed + 1000, scale=30.0)
    whole, _ = table().run(History.of(bars))
    part, _ = table().run(History.of(bars[:cut]))
    disturbed, _ = table().run(History.of([*bars[:cut], *others[cut:]]))

    assert whole[:cut].tobytes() == part.tobytes() == disturbed[:cut].tobytes()


RESUME = """
import sys
import numpy as np
from interlock.features.table import FeatureTable, History
from interlock.model.instrument import INSTRUMENTS
from tests.features.walks import MINUTE, walk
from tests.features.test_features_table import NAMES, bits

bars = walk(400, seed=5)
table = FeatureTable(INSTRUMENTS["ES"], MINUTE, NAMES)
cut = int(sys.argv[1])
if cut:
    table.restore(sys.stdin.buffer.read())
print(bits([table.step(bar) for bar in bars[cut:]]))
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


@pytest.mark.parametrize("cut", [1, 14, 15, 20, 137, 399])
def test_a_day_resumed_in_another_process_goes_on_to_the_bit(cut):
    bars = walk(400, seed=5)
    t = table()
    for bar in bars[:cut]:
        t.step(bar)
    snapshot = t.snapshot()
    rest = [t.step(bar) for bar in bars[cut:]]

    assert resumed(cut, snapshot) == str(bits(rest))


def test_plain_python_gives_the_bits_of_compiled_code():
    t = table()
    rows = [t.step(bar) for bar in walk(400, seed=5)]

    assert resumed(0, NUMBA_DISABLE_JIT="1") == str(bits(rows))


def snapshot_of(names=NAMES, instrument=ES, steps=30):
    t = table(names, instrument)
    for bar in walk(steps, symbol=instrument.symbol):
        t.step(bar)
    return t.snapshot()


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (snapshot_of(names=("ema_fast",)), "params"),
        (snapshot_of(instrument=INSTRUMENTS["NQ"]), "params"),
        (b"nothing", "not a snapshot"),
    ],
    ids=["other columns", "other instrument", "no snapshot"],
)
def test_a_snapshot_of_something_else_is_refused_and_changes_nothing(raw, named):
    t = table()
    before = t.snapshot()

    with pytest.raises(InputError, match=named):
        t.restore(raw)

    assert t.snapshot() == before


@pytest.mark.parametrize(
    ("field", "value"), [("kernel", "x"), ("source", "0" * 64), ("dtype", "x"), ("endianness", "middle")]
)
def test_each_field_of_the_header_must_fit(field, value):
    raw = msgspec.msgpack.decode(snapshot_of())
    raw[0][field] = value

    with pytest.raises(InputError, match=f"the snapshot's {field} is"):
        table().restore(msgspec.msgpack.encode(raw))


def test_a_flipped_bit_is_found():
    raw = msgspec.msgpack.decode(snapshot_of())
    raw[2] = bytes([raw[2][0] ^ 1]) + raw[2][1:]

    with pytest.raises(InputError, match="CRC32"):
        table().restore(msgspec.msgpack.encode(raw))


def test_bars_of_something_else_and_bars_from_the_past_are_refused():
    t = table()
    bars = walk(2)
    t.step(bars[1])

    with pytest.raises(InputError, match="after the bar"):
        t.step(bars[0])
    with pytest.raises(InputError, match="after the bar"):
        t.step(bars[1])
    with pytest.raises(InputError, match="found a bar of NQ"):
        t.step(walk(3, symbol="NQ")[2])
    with pytest.raises(InputError, match="do not follow"):
        t.run(History.of(bars))
    assert t.n_steps == 1


@pytest.mark.parametrize("name", ["emo_9", "ema", "ema_0", "cross_9", "trajectory_101", "ema_9_9", "", "os.system"])
def test_a_name_that_is_no_feature_is_refused(name):
    with pytest.raises(InputError, match="feature"):
        table((name,))


def test_a_name_that_is_nearly_one_is_helped():
    with pytest.raises(InputError, match="did you mean 'trajectory'"):
        feature("trajektory")


def test_short_names_are_second_names():
    t = table(tuple(ALIASES) + tuple(ALIASES.values()))
    for bar in walk(100):
        row = t.step(bar)

    assert all(row[short] == row[full] for short, full in ALIASES.items())


def test_an_increment_that_floats_cannot_hold_is_multiplied_once():
    t = table(("ema_1",), INSTRUMENTS["6E"])

    row = t.step(bar_at(0, 21_700, 21_700, 21_700, 21_700, symbol="6E"))

    assert row["ema_1"] == 21_700 * 0.00005
    assert INSTRUMENTS["6E"].nearest(row["ema_1"]) == Decimal("1.085")
