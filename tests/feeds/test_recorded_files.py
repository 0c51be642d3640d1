import hashlib
import os
import random
import subprocess
import sys
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.feeds.files import MINUTE, MONDAY, SECOND, Row, bar_row, bar_rows, write_csv, write_parquet

from interlock.errors import InputError
from interlock.feeds.recorded import merge, open_recording, source_of
from interlock.feeds.recorded import source as source_module
from interlock.feeds.recorded.clean import Cleaner
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, Provenance, Quality, Trade

settings.register_profile("files", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def some_bars(dice: random.Random, count: int, tick: str, base: int) -> list[Row]:
    """Random bars on the grid, their prices as the decimals a file would hold."""
    rows, minute = [], 0
    for _ in range(count):
        minute += dice.choice((1, 1, 1, 1, 2, 30))
        steps = sorted(base + dice.randrange(-500, 500) for _ in range(4))
        open_, close = dice.sample(steps[1:3], 2)
        prices = dict(zip(("open", "high", "low", "close"), (open_, steps[3], steps[0], close), strict=True))
        rows.append({"ts_event": MONDAY + minute * MINUTE, "volume": dice.randrange(0, 10_000),
                     **{name: Decimal(tick) * value for name, value in prices.items()}})
    return rows


def as_bars(symbol: str, rows: list[Row]) -> list[Bar]:
    grid = INSTRUMENTS[symbol].increments
    return [Bar(symbol, MINUTE, grid(row["open"]), grid(row["high"]), grid(row["low"]), grid(row["close"]),
                row["volume"], row["ts_event"], row["ts_event"] + MINUTE, Provenance.PLAYBACK) for row in rows]


def as_floats(rows: list[Row]) -> list[Row]:
    return [{name: float(cell) if isinstance(cell, Decimal) else cell for name, cell in row.items()} for row in rows]


@settings(settings.get_profile("files"), max_examples=20)
@given(st.integers(0, 10**9), st.sampled_from([("ES", "0.25", 20_000), ("6E", "0.00005", 21_700),
                                               ("GC", "0.10", 26_500), ("SPY", "0.0001", 5_000_000),
                                               ("BTCUSD", "0.01", 6_400_000)]),
       st.sampled_from(["x.parquet", "x.csv", "x.csv.gz", "decimal.parquet", "text.parquet"]))
def test_every_bar_arrives_with_its_exact_prices_from_every_kind_of_file(tmp_path, seed, market, name):
    symbol, tick, base = market
    rows = some_bars(random.Random(seed), 60, tick, base)
    path = tmp_path / name
    if name.startswith("decimal"):
        write_parquet(path, rows)
    elif name.startswith("text"):
        write_parquet(path, [{k: str(v) if isinstance(v, Decimal) else v for k, v in row.items()} for row in rows])
    elif name.endswith("parquet"):
        write_parquet(path, as_floats(rows))
    else:
        write_csv(path, rows)

    recording = open_recording(path, symbol=symbol, instruments=INSTRUMENTS)

    lot = INSTRUMENTS[symbol].lot
    expected = as_bars(symbol, [row | {"volume": int(row["volume"] / lot)} for row in rows])
    assert list(recording.bars()) == list(recording.messages()) == expected
    assert (recording.rows, recording.kept, recording.dropped) == (60, 60, {})
    assert (recording.ts_first, recording.ts_last) == (rows[0]["ts_event"], rows[-1]["ts_event"])


def test_a_recording_tells_what_it_is(tmp_path):
    path = write_parquet(tmp_path / "es.parquet", bar_rows(10))

    recording = open_recording(path, instruments=INSTRUMENTS)

    assert (recording.source, recording.path) == ("es.parquet", path)
    assert (recording.kind, recording.timeframe) == ("bars", MINUTE)
    assert recording.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert recording.instrument is INSTRUMENTS["ES"]


@pytest.mark.parametrize("size", [1, 3, 7, 64])
@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_the_size_of_the_pieces_it_is_read_in_changes_nothing(tmp_path, monkeypatch, size, name):
    rows = as_floats(some_bars(random.Random(4), 50, "0.25", 20_000))
    rows.insert(20, rows[19])
    rows.insert(30, rows[29] | {"ts_event": rows[29]["ts_event"] + 1, "high": float("nan")})
    path = tmp_path / name
    _ = write_csv(path, rows) if name.endswith("csv") else write_parquet(path, rows, group=11)
    whole = open_recording(path, symbol="ES", instruments=INSTRUMENTS, allow_bad=True)
    expected = list(whole.bars())

    monkeypatch.setattr(source_module, "ROWS_PER_CHUNK", size)
    monkeypatch.setattr(source_module, "_CSV_BLOCK", 100 * size)
    pieces = open_recording(path, symbol="ES", instruments=INSTRUMENTS, allow_bad=True)

    assert list(pieces.bars()) == expected
    assert (pieces.dropped, pieces.listed, pieces.rows) == (whole.dropped, whole.listed, whole.rows)
    assert whole.listed == ((21, "duplicate"), (31, "not_a_number"))


@pytest.mark.parametrize(("seconds", "name"), [(1, "1s"), (60, "1m"), (300, "5m"), (900, "15m"), (14_400, "4h")])
def test_the_length_of_the_bars_is_the_commonest_distance(tmp_path, seconds, name):
    starts = [0, 1, 2, 3, 10, 11, 12, 90]
    rows = [bar_row(0, ts_event=MONDAY + n * seconds * SECOND) for n in starts]

    recording = open_recording(write_parquet(tmp_path / "es.parquet", rows), instruments=INSTRUMENTS)

    assert recording.timeframe == seconds * SECOND
    assert [bar.ts_known - bar.ts_event for bar in recording.bars()] == [seconds * SECOND] * len(starts)


def test_a_closing_quote_is_kept_and_half_a_quote_has_size_zero(tmp_path):
    rows = [bar_row(0, bid=4999.75, bid_size=3.0, ask=5000.25, ask_size=4.0),
            bar_row(1, bid=None, bid_size=None, ask=5000.25, ask_size=4.0),
            bar_row(2, bid=None, bid_size=3.0, ask=5000.25, ask_size=4.0)]

    bars = list(open_recording(write_parquet(tmp_path / "es.parquet", rows), instruments=INSTRUMENTS).bars())

    assert [(bar.bid, bar.bid_size, bar.ask, bar.ask_size) for bar in bars] == [
        (19_999, 3, 20_001, 4), (0, 0, 20_001, 4), (0, 0, 20_001, 4)]


def test_a_minute_with_quotes_and_without_a_trade_is_left_out_and_is_not_bad(tmp_path):
    quiet = {"open": None, "high": None, "low": None, "close": None, "volume": None}
    quoted = {"bid": 4999.75, "bid_size": 3.0, "ask": 5000.25, "ask_size": 4.0}
    rows = [bar_row(n, **quoted) | (quiet if n % 2 else {}) for n in range(10)]

    recording = open_recording(write_parquet(tmp_path / "es.parquet", rows), instruments=INSTRUMENTS)

    assert recording.dropped == {"no_trade": 5}
    assert (recording.bad, recording.listed, recording.kept) == (0, (), 5)


BAD: dict[str, list[Row]] = {
    "not_a_number": [{"open": None}, {"high": float("nan")}, {"close": float("inf")}, {"volume": None}],
    "off_increment": [{"open": 5000.1, "high": 5001.0}, {"close": 4999.999999, "low": 4999.0}],
    "outside_range": [{"high": 4999.0}, {"open": 5001.0}, {"close": 4990.0}, {"low": 5002.0, "high": 4998.0}],
    "negative_volume": [{"volume": -1}],
    "no_time": [{"ts_event": None}],
    "duplicate": [{"ts_event": MONDAY + 49 * MINUTE}],
    "overlap": [{"ts_event": MONDAY + 49 * MINUTE + SECOND}],
}


@pytest.mark.parametrize(("reason", "cells"), [(reason, cells) for reason, many in BAD.items() for cells in many])
@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_a_bad_row_is_dropped_with_its_number_and_its_reason(tmp_path, reason, cells, name):
    rows = bar_rows(150)
    rows[50] = bar_row(50) | cells
    path = tmp_path / name
    _ = write_csv(path, rows) if name.endswith("csv") else write_parquet(path, rows)

    recording = open_recording(path, symbol="ES", instruments=INSTRUMENTS)

    assert recording.dropped == {reason: 1}
    assert recording.listed == ((51, reason),)
    assert len(list(recording.bars())) == recording.kept == 149


@pytest.mark.parametrize("line", ["2024-01-01T23:50:00Z,5000,x,5000,5000,7", "2024-01-01T23:50:00Z,5000,5000",
                                  "1,2,3,4,5,6,7", "yesterday,5000,5000,5000,5000,7"])
def test_a_line_of_a_csv_that_says_nothing_is_a_bad_row(tmp_path, line):
    path = write_csv(tmp_path / "es.csv", bar_rows(150))
    lines = path.read_text().splitlines(keepends=True)
    lines[51] = line + "\n"
    path.write_text("".join(lines))

    recording = open_recording(path, symbol="ES", instruments=INSTRUMENTS)

    reason = "no_time" if line.startswith("yesterday") else "unparsable"
    assert (recording.dropped, recording.listed, recording.rows) == ({reason: 1}, ((51, reason),), 150)


@pytest.mark.parametrize("spelling", ["2024-01-01 23:00:00Z", "2024-01-01T23:00:00+00:00", "2024-01-02 00:00:00+01:00",
                                      "2024-01-01T23:00:00.000000000+0000", str(MONDAY)])
def test_times_of_a_csv_are_read_as_they_are_commonly_written(tmp_path, spelling):
    rows = [bar_row(0, ts_event=spelling), bar_row(1, ts_event=str(MONDAY + MINUTE) if spelling.isdigit() else
                                                   "2024-01-01T23:01:00Z")]

    recording = open_recording(write_csv(tmp_path / "es.csv", rows), symbol="ES", instruments=INSTRUMENTS)

    assert [bar.ts_event for bar in recording.bars()] == [MONDAY, MONDAY + MINUTE]


def test_prices_far_from_zero_are_still_judged_exactly(tmp_path):
    rows = [bar_row(n, 812_345.6789 + 1e-4 * n) for n in range(200)]
    rows += [bar_row(200, 99_812_345.6789), bar_row(201, 99_812_345.67895)]

    recording = open_recording(write_parquet(tmp_path / "spy.parquet", rows, instrument="SPY"), instruments=INSTRUMENTS)

    assert recording.dropped == {"off_increment": 1}
    assert [bar.close for bar in recording.bars()] == [8_123_456_789 + n for n in range(200)] + [998_123_456_789]


def test_the_first_twenty_bad_rows_are_listed_and_all_are_counted(tmp_path):
    rows = bar_rows(3_000)
    for n in range(0, 3_000, 120):
        rows[n] = bar_row(n, volume=-1)

    recording = open_recording(write_parquet(tmp_path / "es.parquet", rows), instruments=INSTRUMENTS)

    assert recording.dropped == {"negative_volume": 25}
    assert [bad.row for bad in recording.listed] == [1 + 120 * n for n in range(20)]


@pytest.mark.parametrize(("name", "symbol", "expected"), [
    ("ES continuous front month", None, "ES"), ("ESH4 (E-mini)", None, "ES"), ("ESH2024", None, "ES"),
    ("6EH4 (Euro)", None, "6E"),
    ("BTC/USDT (Binance spot)", None, "BTCUSDT"), ("BTC/USD", None, "BTCUSD"), ("SPY (ETF)", None, "SPY"),
    ("ESU4, NQU4", None, "ES"), ("ES", "MES", "MES"), (None, "BTC/USD", "BTCUSD"), ("IWM (ETF)", "M2KH4", "M2K")])
def test_the_instrument_is_the_one_given_or_the_first_word_of_the_files_name(tmp_path, name, symbol, expected):
    path = write_parquet(tmp_path / "x.parquet", bar_rows(3), instrument=name)

    assert open_recording(path, symbol=symbol, instruments=INSTRUMENTS).instrument.symbol == expected


@pytest.mark.parametrize(("argument", "expected"), [
    ("ES=a.csv", ("ES", "a.csv")), ("a.csv", (None, "a.csv")), ("dir=x/a.csv", (None, "dir=x/a.csv")),
    ("BTC/USD=a=b.csv", ("BTCUSD", "a=b.csv")), ("6E=", (None, "6E="))])
def test_an_argument_is_a_file_with_or_without_a_symbol(argument, expected):
    assert source_of(argument) == expected


def a_trade(ts: int, price: float, **cells: object) -> Row:
    return {"ts_event": MONDAY + ts, "price": price} | cells


@pytest.mark.parametrize("name", ["x.parquet", "x.csv"])
def test_trades_are_played_with_the_minute_bars_they_make(tmp_path, monkeypatch, name):
    monkeypatch.setattr(source_module, "ROWS_PER_CHUNK", 37)
    dice = random.Random(3)
    times = sorted(dice.randrange(0, 20 * MINUTE) // 10**9 * 10**9 for _ in range(400))
    rows = [a_trade(ts, 5000 + dice.randrange(-40, 40) / 4, size=dice.randrange(1, 9)) for ts in times]
    path = tmp_path / name
    _ = write_csv(path, rows) if name.endswith("csv") else write_parquet(path, rows)

    recording = open_recording(path, symbol="ES", instruments=INSTRUMENTS)
    messages = list(recording.messages())

    assert [m for m in messages if isinstance(m, Trade)] == [
        Trade("ES", int(row["price"] * 4), row["size"], row["ts_event"], row["ts_event"], Provenance.PLAYBACK)
        for row in rows]
    expected = []
    for minute, group in groupby(rows, key=lambda row: row["ts_event"] // MINUTE):
        members = list(group)
        prices = [int(row["price"] * 4) for row in members]
        expected.append(Bar("ES", MINUTE, prices[0], max(prices), min(prices), prices[-1],
                            sum(row["size"] for row in members), minute * MINUTE, (minute + 1) * MINUTE,
                            Provenance.PLAYBACK, Quality.OK))
    assert list(recording.bars()) == [m for m in messages if isinstance(m, Bar)] == expected
    known = [m.ts_known if isinstance(m, Bar) else m.ts_recv for m in messages]
    assert known == sorted(known)
    assert (recording.kind, recording.timeframe, recording.kept) == ("trades", MINUTE, 400)


def test_a_print_without_a_size_is_one_lot(tmp_path):
    rows = [a_trade(n, 5000.0) for n in range(5)]

    bar = next(open_recording(write_parquet(tmp_path / "x.parquet", rows), instruments=INSTRUMENTS).bars())

    assert bar.volume == 5


def test_bad_trades_are_dropped_and_equal_times_are_not_bad(tmp_path):
    rows = [a_trade(0, 5000.0, size=1, suspicious=False) for _ in range(800)]
    rows[3] |= {"size": 0}
    rows[4] |= {"suspicious": True}
    rows[5] |= {"price": 5000.1}
    rows[6] |= {"price": float("nan")}

    recording = open_recording(write_parquet(tmp_path / "x.parquet", rows), instruments=INSTRUMENTS)

    assert recording.listed == ((4, "no_size"), (5, "suspicious"), (6, "off_increment"), (7, "not_a_number"))
    assert recording.kept == 796


def sort_key(message: Bar | Trade) -> tuple[int, str]:
    return (message.ts_known if isinstance(message, Bar) else message.ts_recv), message.instrument


def test_a_merge_is_the_sort_by_time_known_instrument_and_row(tmp_path):
    dice = random.Random(8)
    es = write_parquet(tmp_path / "es.parquet", as_floats(some_bars(dice, 300, "0.25", 20_000)))
    gc = write_csv(tmp_path / "gc.csv", some_bars(dice, 300, "0.10", 26_500))
    nq = write_parquet(tmp_path / "nq.parquet", instrument="NQ", rows=[
        a_trade(ts, 20_000.0, size=1) for ts in sorted(dice.randrange(0, 900) * MINUTE for _ in range(500))])
    recordings = [open_recording(path, symbol=symbol, instruments=INSTRUMENTS)
                  for symbol, path in (("NQ", nq), ("GC", gc), ("ES", es))]

    merged = list(merge(recordings))

    expected = sorted((message for recording in recordings for message in recording.messages()), key=sort_key)
    assert merged == expected
    assert len({sort_key(message)[0] for message in merged}) < len(merged), "some are known at the same time"


def test_files_of_one_instrument_that_follow_each_other_play_as_one(tmp_path):
    rows = bar_rows(40)
    whole = open_recording(write_parquet(tmp_path / "all.parquet", rows), instruments=INSTRUMENTS)
    parts = [open_recording(write_parquet(tmp_path / name, part), instruments=INSTRUMENTS)
             for name, part in (("b.parquet", rows[25:]), ("a.parquet", rows[:25]))]

    assert list(merge(parts)) == list(whole.bars())


def test_a_merge_reads_no_further_than_it_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "ROWS_PER_CHUNK", 10)
    recordings = [open_recording(write_parquet(tmp_path / f"{symbol}.parquet", bar_rows(1_000)), symbol=symbol,
                                 instruments=INSTRUMENTS) for symbol in ("ES", "NQ")]
    read: list[int] = []
    clean = Cleaner.clean

    def counting(self: Cleaner, chunk: source_module.Chunk, among: Any = None) -> Any:
        read.append(len(chunk.rows))
        return clean(self, chunk, among)

    monkeypatch.setattr(Cleaner, "clean", counting)

    stream = merge(recordings)
    first = [next(stream) for _ in range(4)]

    assert [bar.instrument for bar in first] == ["ES", "NQ", "ES", "NQ"]
    assert sum(read) <= 40


def test_decimal_columns_are_exact(tmp_path):
    rows = some_bars(random.Random(2), 30, "0.00005", 21_700)
    path = write_parquet(tmp_path / "x.parquet", rows, instrument="6EH4",
                         types={name: pa.decimal128(20, 5) for name in ("open", "high", "low", "close")})

    assert list(open_recording(path, instruments=INSTRUMENTS).bars()) == as_bars("6E", rows)


@pytest.mark.process
def test_arrow_is_not_loaded_before_a_file_is_opened():
    script = "import sys, interlock.feeds.recorded, interlock.feeds.cache; sys.exit('pyarrow' in sys.modules)"

    environment = {**os.environ, "PYTHONPATH": "src"}

    assert subprocess.run([sys.executable, "-c", script], env=environment, check=False).returncode == 0


def test_a_file_that_changes_after_it_was_opened_is_not_played(tmp_path: Path):
    path = write_csv(tmp_path / "es.csv", bar_rows(10))
    recording = open_recording(path, symbol="ES", instruments=INSTRUMENTS)
    write_csv(path, bar_rows(11))

    with pytest.raises(InputError, match="the file has changed since it was opened"):
        list(recording.bars())
