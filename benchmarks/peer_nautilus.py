"""The job in NautilusTrader, run by the Python of the peers' environment: `python peer_nautilus.py JOB.json`.

Its own compiled means and ranges, its own bracket, its bar execution. A limit must be traded through, as ours must.
Prints one JSON line; writes its trades as CSV.
"""

import csv
import json
import sys
import time
from decimal import Decimal
from math import ceil, floor
from pathlib import Path
from typing import Any


def main() -> None:
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    import pandas as pd  # type: ignore[import-untyped]
    import pyarrow.parquet as pq
    from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
    from nautilus_trader.backtest.models import FillModel
    from nautilus_trader.config import LoggingConfig, StrategyConfig
    from nautilus_trader.indicators import AverageTrueRange, ExponentialMovingAverage, MovingAverageType
    from nautilus_trader.model import Money, Price, Quantity, TraderId, Venue
    from nautilus_trader.model.currencies import USD
    from nautilus_trader.model.data import Bar, BarType
    from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
    from nautilus_trader.model.identifiers import InstrumentId, Symbol
    from nautilus_trader.model.instruments import Equity
    from nautilus_trader.persistence.wranglers import BarDataWrangler
    from nautilus_trader.trading.strategy import Strategy

    began = time.perf_counter()
    tick, refused, first = job["tick"], set(job["refused"]), job["first"]
    digits = len(f"{tick:.10f}".rstrip("0").partition(".")[2])
    instrument = Equity(instrument_id=InstrumentId(Symbol("WALK"), Venue("SIM")), raw_symbol=Symbol("WALK"), currency=USD,
                        price_precision=digits, price_increment=Price(tick, digits), lot_size=Quantity.from_int(1),
                        ts_event=0, ts_init=0, maker_fee=Decimal(0), taker_fee=Decimal(0))
    bar_type = BarType.from_str("WALK.SIM-1-MINUTE-LAST-EXTERNAL")

    class Config(StrategyConfig, frozen=True):  # type: ignore[misc,call-arg]
        fast: int
        slow: int
        stop: float
        target: float

    class EmaCross(Strategy):  # type: ignore[misc]
        def __init__(self, config: Config) -> None:
            super().__init__(config)
            self.fast = ExponentialMovingAverage(config.fast)
            self.slow = ExponentialMovingAverage(config.slow)
            self.atr = AverageTrueRange(14, MovingAverageType.WILDER)
            self.sign = 0
            self.rows: list[tuple[int, str, float, int, float]] = []
            self.one = Quantity.from_int(1)

        def on_start(self) -> None:
            for indicator in (self.fast, self.slow, self.atr):
                self.register_indicator_for_bars(bar_type, indicator)
            self.subscribe_bars(bar_type)

        def on_bar(self, bar: Bar) -> None:
            fast, slow, before = self.fast.value, self.slow.value, self.sign
            if fast > slow:
                self.sign = 1
            elif fast < slow:
                self.sign = -1
            if before == 0 or before == self.sign or bar.ts_event < first or bar.ts_event in refused:
                return
            if not self.portfolio.is_flat(instrument.id):
                return
            close, reach, sign = bar.close.as_double(), self.atr.value, self.sign
            to_tick = floor if sign > 0 else ceil
            self.submit_order_list(self.order_factory.bracket(
                instrument_id=instrument.id, order_side=OrderSide.BUY if sign > 0 else OrderSide.SELL, quantity=self.one,
                sl_trigger_price=Price(to_tick((close - sign * self.config.stop * reach) / tick) * tick, digits),
                tp_price=Price(to_tick((close + sign * self.config.target * reach) / tick) * tick, digits),
                tp_post_only=False))

        def on_position_closed(self, event: Any) -> None:
            self.rows.append((event.ts_opened, "buy" if event.entry == OrderSide.BUY else "sell", float(event.avg_px_open),
                              event.ts_closed, float(event.avg_px_close)))

    table = pq.read_table(job["file"], columns=["ts_event", "open", "high", "low", "close", "volume"]).to_pandas()
    count = len(table)
    table.index = table.pop("ts_event") + pd.Timedelta(job["timeframe"], "ns")   # NautilusTrader stamps bars by their close
    bars = BarDataWrangler(bar_type, instrument).process(table)
    loaded = time.perf_counter()
    engine = BacktestEngine(BacktestEngineConfig(trader_id=TraderId("PEER-001"),
                                                 logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(Venue("SIM"), OmsType.NETTING, AccountType.MARGIN, [Money(100_000_000, USD)], base_currency=USD,
                     default_leverage=Decimal(10), fill_model=FillModel(prob_fill_on_limit=0.0, prob_slippage=0.0))
    engine.add_instrument(instrument)
    engine.add_data(bars)
    strategy = EmaCross(Config(fast=job["fast"], slow=job["slow"], stop=job["stop"], target=job["target"]))
    engine.add_strategy(strategy)
    run = time.perf_counter()
    engine.run()
    ended = time.perf_counter()
    with Path(job["trades"]).open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("opened", "side", "entry", "closed", "exit"))
        writer.writerows(strategy.rows)
    print(json.dumps({"bars": count, "run": ended - run, "load_and_run": ended - began, "load": loaded - began}))


if __name__ == "__main__":
    main()
