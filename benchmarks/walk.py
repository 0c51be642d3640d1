"""A recording of our own making: one-minute bars of a seeded random walk, in the hours in which the instrument trades."""

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from interlock.config import sessions
from interlock.model.money import DAY, MINUTE, Nanos

START: Final[Nanos] = 1_514_764_800_000_000_000
"""2018-01-01 00:00 UTC."""
STEP: Final = 16
"""Standard deviation of a minute's close to close, in increments of a coarse grid; a fine grid has more of them."""


def minutes(calendar: str, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The starts of the first `count` minutes from START on in which the calendar is open, int64 ns."""
    table = sessions.load(calendar)
    starts: list[Nanos] = []
    ts = START
    while len(starts) < count:
        session = table.session_at(ts)
        if not session.is_open:
            ts = table.next_open(ts) or ts + DAY
            continue
        starts.extend(range(ts, session.ts_close, MINUTE))
        ts = session.ts_close
    return np.array(starts[:count], np.int64)


def write_walk(path: Path, *, bars: int, seed: int, calendar: str = "cme_index", increment: float = 0.25,
               start: float = 18_000.0, points: float = 4.0, has_quotes: bool = False, metadata: str = "") -> Path:
    """Write `bars` minutes as Parquet and return `path`. Each bar opens where the last one closed.

    `points` is the standard deviation of one minute; `has_quotes` adds a closing bid and ask, both at the close.
    """
    dice = np.random.default_rng(seed)
    spread = points / increment
    moves = np.rint(dice.normal(0.0, spread, bars)).astype(np.int64)
    close = round(start / increment) + np.cumsum(moves)
    floor = round(start / increment / 3)
    close = floor + np.abs(close - floor)          # a walk that comes down to a third is reflected there
    opened = np.concatenate(([close[0]], close[:-1]))
    high = np.maximum(opened, close) + np.rint(np.abs(dice.normal(0.0, spread / 3, bars))).astype(np.int64)
    low = np.minimum(opened, close) - np.rint(np.abs(dice.normal(0.0, spread / 3, bars))).astype(np.int64)
    digits = len(f"{increment:.10f}".rstrip("0").partition(".")[2])
    prices = {name: np.round(values * increment, digits)
              for name, values in (("open", opened), ("high", high), ("low", low), ("close", close))}
    columns: dict[str, object] = {"ts_event": pa.array(minutes(calendar, bars), pa.timestamp("ns", tz="UTC")), **prices,
                                  "volume": dice.integers(1, 2_000, bars)}
    if has_quotes:
        size = np.full(bars, 1_000, np.int64)
        columns |= {"bid": prices["close"], "ask": prices["close"], "bid_size": size, "ask_size": size}
    table = pa.table(columns)
    if metadata:
        table = table.replace_schema_metadata({"instrument": metadata})
    pq.write_table(table, path)
    return path
