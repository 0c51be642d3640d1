"""Recordings to play: minutes of the simulated market, written as a user's file, so that a seed is enough to have them again."""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from interlock.feeds.simulated import SimulatedMarket
from interlock.model.instrument import INSTRUMENTS
from interlock.model.money import DAY, MINUTE, Nanos

BEGIN: Nanos = 1_700_438_400_000_000_000       # Monday 2023-11-20, 00:00 UTC


def write(directory: Path, days: float, symbols: Sequence[str] = ("MNQ", "MES"), *, seed: int = 7,
          bump_last_hour: bool = False) -> list[str]:
    """One CSV file per symbol; returns the values of --data. `bump_last_hour` moves one close by one tick near the end."""
    market = SimulatedMarket(seed, [INSTRUMENTS[symbol] for symbol in symbols])
    given = []
    for symbol in symbols:
        instrument, path = INSTRUMENTS[symbol], directory / f"{symbol.lower()}_1m.csv"
        bars = list(market.bars(symbol, MINUTE, BEGIN, BEGIN + int(days * DAY)))
        with path.open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("ts_event", "open", "high", "low", "close", "volume"))
            for left, bar in zip(range(len(bars), 0, -1), bars, strict=True):
                close = bar.close
                if bump_last_hour and left == 30 and symbol == symbols[0]:
                    close += instrument.tick_increments if close < bar.high else -instrument.tick_increments
                at = datetime.fromtimestamp(bar.ts_event // 1_000_000_000, tz=UTC).isoformat()
                rows.writerow((at, *(instrument.price(value) for value in (bar.open, bar.high, bar.low, close)), bar.volume))
        given.append(f"{symbol}={path}")
    return given
