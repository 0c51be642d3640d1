"""The job in backtesting.py, run by the Python of the peers' environment: `python peer_backtesting.py JOB.json`.

Its means are worked out beforehand over the whole file, as its users do; orders fill on the close of the signal bar.
Prints one JSON line; writes its trades as CSV.
"""

import csv
import json
import sys
import time
import warnings
from math import ceil, floor
from pathlib import Path
from typing import Any


def main() -> None:
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    warnings.simplefilter("ignore")
    import backtesting
    import numpy as np
    import pandas as pd  # type: ignore[import-untyped]
    import pyarrow.parquet as pq
    from backtesting import Backtest, Strategy

    began = time.perf_counter()
    backtesting.backtesting._tqdm = lambda each, **_: each      # no progress bar
    tick, refused, first = job["tick"], set(job["refused"]), job["first"]

    class EmaCross(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            close = pd.Series(self.data.Close)
            before = close.shift(1).fillna(pd.Series(self.data.Open))
            ranges = np.maximum(self.data.High, before) - np.minimum(self.data.Low, before)
            fast, slow = (close.ewm(span=job[name], adjust=False).mean() for name in ("fast", "slow"))
            sign = np.sign(fast - slow)
            sign = sign.where(sign != 0).ffill().fillna(0)
            crossed = np.where((sign != sign.shift(1)) & (sign.shift(1) != 0), sign, 0.0)
            crossed[0] = 0.0
            self.atr = self.I(lambda: ranges.ewm(alpha=1 / 14, adjust=False).mean().to_numpy(), name="atr")
            self.crossed = self.I(lambda: crossed, name="crossed")

        def next(self) -> None:
            sign = self.crossed[-1]
            if not sign or self.position:
                return
            closed = int(stamps[len(self.data) - 1])
            if closed < first or closed in refused:
                return
            close, reach, to_tick = float(self.data.Close[-1]), self.atr[-1], floor if sign > 0 else ceil
            order = self.buy if sign > 0 else self.sell
            order(size=1, sl=round(to_tick((close - sign * job["stop"] * reach) / tick) * tick, 6),
                  tp=round(to_tick((close + sign * job["target"] * reach) / tick) * tick, 6))

    table = pq.read_table(job["file"], columns=["ts_event", "open", "high", "low", "close", "volume"]).to_pandas()
    table = table.set_index("ts_event")
    table.columns = ["Open", "High", "Low", "Close", "Volume"]
    index: Any = table.index
    stamps = index.as_unit("ns").asi8 + job["timeframe"]
    loaded = time.perf_counter()
    test = Backtest(table, EmaCross, cash=100_000_000, trade_on_close=True, exclusive_orders=False)
    run = time.perf_counter()
    stats: Any = test.run()
    ended = time.perf_counter()
    with Path(job["trades"]).open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("opened", "side", "entry", "closed", "exit"))
        for each in stats._trades.itertuples():
            writer.writerow((int(stamps[each.EntryBar]), "buy" if each.Size > 0 else "sell", each.EntryPrice,
                             int(stamps[each.ExitBar]), each.ExitPrice))
    print(json.dumps({"bars": len(table), "run": ended - run, "load_and_run": ended - began, "load": loaded - began}))


if __name__ == "__main__":
    main()
