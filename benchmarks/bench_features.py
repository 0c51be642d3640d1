"""What one bar costs in the rooms that think: `python benchmarks/bench_features.py` prints one JSON object.

Microseconds per call, the median of several rounds, in one process on a warm kernel cache.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from interlock.config.sessions import load
from interlock.decisions.ema_cross import EmaCross
from interlock.decisions.opening_drive import OpeningDrive
from interlock.decisions.stage import Decisions, Seat, flat
from interlock.features.table import FeatureTable, History
from interlock.model.ids import LaneName, StrategyName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, Provenance
from interlock.model.money import MINUTE
from interlock.model.view import Regime
from interlock.regimes.structure import StructureRegime

ES = INSTRUMENTS["ES"]
EIGHT = ("ema_fast", "ema_slow", "ema_50", "ema_200", "atr", "rsi", "trajectory", "cross_9_20")
THIRTY_TWO = (*EIGHT, "trajectory_first", "trajectory_second", "trajectory_r2", *(f"ema_{n}" for n in range(3, 12)),
              *(f"rsi_{n}" for n in range(5, 11)), *(f"atr_{n}" for n in range(5, 11)))
ROUNDS, BARS = 7, 20_000


def main() -> None:
    bars = walk(ROUNDS * BARS)
    result = {}
    for names in (EIGHT, THIRTY_TWO):
        begun = time.perf_counter()
        table = FeatureTable(ES, MINUTE, names)
        table.step(bars[0])
        result[f"table_{len(names)}_ready_ms"] = (time.perf_counter() - begun) * 1e3
        table = FeatureTable(ES, MINUTE, names)
        result[f"table_{len(names)}_step_us"] = per_call(table.step, bars)
        table = FeatureTable(ES, MINUTE, names)
        history = History.of(bars)
        table.run(History.of(bars[:1]))
        begun = time.perf_counter()
        FeatureTable(ES, MINUTE, names).run(history)
        result[f"table_{len(names)}_batch_us"] = (time.perf_counter() - begun) / len(bars) * 1e6
    result["regime_step_us"] = per_call(StructureRegime(ES).step, bars)
    sessions = load("cme_index")
    result["session_at_us"] = per_call(lambda bar: sessions.session_at(bar.ts_event), bars)
    result |= holds(bars[:ROUNDS * 5000])
    print(json.dumps({name: round(value, 3) for name, value in result.items()}, indent=1))


def holds(bars: Sequence[Bar]) -> dict[str, float]:
    """The stage with one strategy that holds: a trend strategy outside a trend, a cross that does not happen."""
    found = {}
    for name, strategy in (("opening_drive", OpeningDrive()), ("ema_cross", EmaCross())):
        table = FeatureTable(ES, MINUTE, strategy.needs.features)
        stage = Decisions([Seat(LaneName("main"), StrategyName(name), strategy, ES)])
        regimes = {"structure": Regime("structure", "range", 1)}
        rows = {bar.ts_event: table.step(bar) for bar in bars}

        def decide(bar: Bar, stage: Decisions = stage) -> None:
            for _ in stage.decide(bar, rows[bar.ts_event], regimes, flat, bar.ts_known):    # noqa: B023
                pass

        found[f"{name}_hold_us"] = per_call(decide, bars)
    return found


def per_call(call: Callable[[Bar], object], bars: Sequence[Bar]) -> float:
    each = len(bars) // ROUNDS
    rounds = []
    for i in range(ROUNDS):
        part = bars[i * each:(i + 1) * each]
        begun = time.perf_counter()
        for bar in part:
            call(bar)
        rounds.append((time.perf_counter() - begun) / each * 1e6)
    return statistics.median(rounds)


def walk(n: int) -> list[Bar]:
    rng = np.random.default_rng(1)
    closes = (20_000 + np.cumsum(rng.integers(-4, 5, n))).tolist()
    start = 1_700_000_000_000_000_000 // MINUTE * MINUTE
    bars = []
    before = 20_000
    for i, close in enumerate(closes):
        ts = start + i * MINUTE
        high, low = max(before, close) + 2, min(before, close) - 1
        bars.append(Bar("ES", MINUTE, before, high, low, close, 10, ts, ts + MINUTE, Provenance.PLAYBACK))
        before = close
    return bars


if __name__ == "__main__":
    main()
