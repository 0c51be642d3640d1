"""Recordings for tests, written the way people write them."""

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
MONDAY = 1_704_150_000 * SECOND         # 2024-01-01 23:00 UTC
BARS = ("ts_event", "open", "high", "low", "close", "volume")

Row = dict[str, Any]


def bar_row(n: int, price: float = 5000.0, **cells: Any) -> Row:
    """The n-th minute: flat at `price`, 7 lots, other cells as given."""
    prices = {"open": price, "high": price, "low": price, "close": price}
    return {"ts_event": MONDAY + n * MINUTE, **prices, "volume": 7} | cells


def bar_rows(count: int) -> list[Row]:
    return [bar_row(n, 5000.0 + n % 5) for n in range(count)]


def write_parquet(path: Path, rows: list[Row], *, instrument: str | None = "ES", group: int = 1 << 20,
                  types: dict[str, pa.DataType] | None = None) -> Path:
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    kinds = {"ts_event": pa.timestamp("ns", tz="UTC"), **(types or {})}
    table = pa.table({name: pa.array(values, kinds.get(name)) for name, values in columns.items()})
    if instrument is not None:
        table = table.replace_schema_metadata({"instrument": instrument})
    pq.write_table(table, path, row_group_size=group)
    return path


def spelled(ts: int) -> str:
    return datetime.fromtimestamp(ts // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ts % SECOND:09d}Z"


def write_csv(path: Path, rows: list[Row]) -> Path:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        for row in rows:
            ts = row.get("ts_event")
            writer.writerow(row | ({"ts_event": spelled(ts)} if isinstance(ts, int) else {}))
    return path
