"""How fast the feeds are: recordings read and merged, the simulated market evaluated. Prints one JSON value."""

import json
import tempfile
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from interlock.feeds.recorded import merge, open_recording
from interlock.feeds.simulated import TICK_NS, SimulatedMarket
from interlock.model.instrument import INSTRUMENTS
from interlock.model.money import DAY, MINUTE, SECOND

BARS = 1_000_000
START = 1_500_000_000 * SECOND // DAY * DAY


def table(count: int, seed: int) -> pa.Table:
    """So many minutes of a random walk on the grid of ES."""
    dice = np.random.default_rng(seed)
    close = 20_000 + np.cumsum(dice.integers(-4, 5, count))
    open_ = np.roll(close, 1)
    open_[0] = close[0]
    high = np.maximum(open_, close) + dice.integers(0, 5, count)
    low = np.minimum(open_, close) - dice.integers(0, 5, count)
    starts = pa.array(START + MINUTE * np.arange(count), pa.timestamp("ns", tz="UTC"))
    prices = {name: values * 0.25 for name, values in (("open", open_), ("high", high), ("low", low), ("close", close))}
    return pa.table({"ts_event": starts, **prices, "volume": dice.integers(0, 9_999, count)})


def drain(messages: Iterable[object]) -> float:
    began = perf_counter()
    deque(messages, maxlen=0)
    return perf_counter() - began


def recorded(folder: Path) -> dict[str, float]:
    paths = [folder / f"{symbol}.parquet" for symbol in ("ES", "NQ")]
    for seed, path in enumerate(paths):
        pq.write_table(table(BARS, seed), path)
    pyarrow.csv.write_csv(table(BARS // 4, 0), folder / "es.csv")
    began = perf_counter()
    recordings = [open_recording(path, symbol=path.stem, instruments=INSTRUMENTS) for path in paths]
    opened = perf_counter() - began
    began = perf_counter()
    text = open_recording(folder / "es.csv", symbol="ES", instruments=INSTRUMENTS)
    text_opened = perf_counter() - began
    single = drain(recordings[0].bars())
    return {"parquet_open_rows_per_s": 2 * BARS / opened, "csv_open_rows_per_s": text.rows / text_opened,
            "parquet_bars_per_s": BARS / single, "parquet_us_per_bar": single / BARS * 1e6,
            "csv_bars_per_s": text.kept / drain(text.bars()),
            "merge_of_two_bars_per_s": 2 * BARS / drain(merge(recordings))}


def simulated() -> dict[str, float]:
    market = SimulatedMarket(1, [INSTRUMENTS["MES"], INSTRUMENTS["MNQ"]])
    drain(market.bars("MES", MINUTE, START, START + MINUTE))
    week = drain(market.bars("MES", MINUTE, START, START + 7 * DAY))
    first, count = START // TICK_NS, 100_000
    quotes = drain(market.quote("MES", first + n) for n in range(count))
    return {"week_of_1m_bars_s": week, "ticks_per_s": 7 * DAY / TICK_NS / week, "quotes_per_s": count / quotes}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        figures = {"recorded": recorded(Path(folder)), "simulated": simulated()}
    print(json.dumps({part: {name: float(f"{value:.4g}") for name, value in values.items()}
                      for part, values in figures.items()}, indent=2))


if __name__ == "__main__":
    main()
