import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.feeds.files import MINUTE, MONDAY, Row, bar_row, bar_rows, write_csv, write_parquet

from interlock.errors import InputError
from interlock.feeds.recorded import open_recording
from interlock.model.instrument import INSTRUMENTS


def refusal(path: Path, symbol: str | None = None, *, allow_bad: bool = False) -> str:
    """The message, without the path it begins with."""
    with pytest.raises(InputError) as caught:
        open_recording(path, symbol=symbol, instruments=INSTRUMENTS, allow_bad=allow_bad)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def without(rows: list[Row], *names: str) -> list[Row]:
    return [{name: cell for name, cell in row.items() if name not in names} for row in rows]


def test_a_missing_file_an_empty_one_and_a_foreign_one(tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "es.xlsx").write_bytes(b"PK")

    assert refusal(tmp_path / "none.csv") == "no such file"
    assert refusal(tmp_path / "empty.csv") == "the file is empty"
    assert refusal(tmp_path / "es.xlsx") == "expected a file that ends in .parquet, .csv or .csv.gz"


@pytest.mark.parametrize(("names", "message"), [
    (("volume",), "wrong columns: expected ts_event, open, high, low, close, volume for bars; missing volume; "
                  "found ts_event, open, high, low, close"),
    (("ts_event", "high"), "wrong columns: expected ts_event, open, high, low, close, volume for bars; "
                           "missing ts_event, high; found open, low, close, volume"),
])
@pytest.mark.parametrize("name", ["es.parquet", "es.csv"])
def test_wrong_columns_are_named(tmp_path, names, message, name):
    rows = [row | {"ts_event": str(row["ts_event"])} for row in bar_rows(5)] if name.endswith("csv") else bar_rows(5)
    path = tmp_path / name
    _ = write_csv(path, without(rows, *names)) if name.endswith("csv") else write_parquet(path, without(rows, *names))

    assert refusal(path, "ES") == message


def test_a_column_that_stands_there_twice(tmp_path):
    (tmp_path / "es.csv").write_text("ts_event,open,high,low,close,volume,open\n")

    assert refusal(tmp_path / "es.csv", "ES") == "column open stands there twice"


@pytest.mark.parametrize(("columns", "message"), [
    ({"strike": 1.0, "right": "C", "expiry": "x"}, "ES is an option chain (column strike)"),
    ({"order_id": 1, "action": "A", "price": 1.0}, "ES is an order book (column action, order_id)"),
    ({"first_id": 1, "kind": "depth", "price": 1.0}, "ES is an order book (column first_id)"),
    ({"bid_open": 1.0, "ask_open": 1.0}, "ES is bid and ask bars without trades (column ask_open, bid_open)"),
])
def test_a_file_of_another_kind_is_refused_by_name_and_kind(tmp_path, columns, message):
    path = write_parquet(tmp_path / "x.parquet", [{"ts_event": MONDAY, **columns}])

    assert refusal(path) == message + "; expected trade bars or trades"


def test_daily_bars_are_refused_with_a_date_or_with_a_time(tmp_path):
    dated = write_parquet(tmp_path / "a.parquet", [{"date": "2024-01-02", "open": 1.0}], instrument="VIX index")
    timed = write_parquet(tmp_path / "b.parquet", [bar_row(n * 1440) for n in range(5)])

    assert refusal(dated) == "VIX index is daily bars (column date); expected trade bars or trades"
    assert refusal(timed) == "daily bars; expected bars of at most 4 hours, or trades"


def test_bars_of_an_odd_length_or_of_none(tmp_path):
    odd = write_parquet(tmp_path / "a.parquet", [bar_row(n * 7) for n in range(5)])
    one = write_parquet(tmp_path / "b.parquet", [bar_row(0)])

    assert refusal(odd) == (
        "its bars start 420 s apart; expected one of 1, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, "
        "1800, 3600, 7200, 14400 s")
    assert refusal(one) == "the length of its bars cannot be told from a single row"


def test_an_instrument_that_is_not_named_or_not_defined(tmp_path):
    nameless = write_parquet(tmp_path / "a.parquet", bar_rows(5), instrument=None)
    unknown = write_parquet(tmp_path / "b.parquet", bar_rows(5), instrument="SPX index")
    missing = ("has no definition; expected one in the configuration (increment, tick, multiplier, lot, calendar, "
               "fees), or a defined instrument given as SYMBOL=FILE")

    assert refusal(nameless) == "which instrument is this? The file does not name one; give it as SYMBOL=FILE"
    assert refusal(unknown) == f"SPX {missing}"
    assert refusal(nameless, "ZN") == f"ZN {missing}"


@pytest.mark.parametrize("name", ["es.parquet", "es.csv"])
def test_rows_that_are_not_in_time_order(tmp_path, name):
    rows = bar_rows(10)
    rows[6], rows[7] = rows[7], rows[6]
    path = tmp_path / name
    _ = write_csv(path, rows) if name.endswith("csv") else write_parquet(path, rows)

    assert refusal(path, "ES", allow_bad=True) == (
        "not in time order: row 8 (2024-01-01T23:06:00Z) comes after row 7 (2024-01-01T23:07:00Z)")


def test_order_is_judged_across_the_pieces_of_a_file(tmp_path):
    rows = [*bar_rows(70_000), bar_row(69_000)]

    assert refusal(write_parquet(tmp_path / "es.parquet", rows)).startswith("not in time order: row 70001 (")


@pytest.mark.parametrize("share", [0.99, 0.5, 0.1, 0.001])
@pytest.mark.parametrize("name", ["es.parquet", "es.csv.gz"])
def test_a_file_that_was_cut_off(tmp_path, name, share):
    path = tmp_path / name
    _ = write_csv(path, bar_rows(3_000)) if name.endswith("gz") else write_parquet(path, bar_rows(3_000), group=500)
    whole = path.read_bytes()
    path.write_bytes(whole[:max(1, int(len(whole) * share))])

    assert refusal(path, "ES", allow_bad=True).startswith("truncated, or no ")


@pytest.mark.parametrize("cut", [1, 2, 5, 20])
def test_a_csv_without_the_end_of_its_last_line(tmp_path, cut):
    path = write_csv(tmp_path / "es.csv", bar_rows(10))
    path.write_bytes(path.read_bytes().rstrip()[:-cut + 1 or None])

    assert refusal(path, "ES") == "truncated: the last line has no line end (end it with one if it is whole)"


def test_garbage_under_a_known_ending(tmp_path):
    (tmp_path / "a.parquet").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x81" * 50 + b"\n")
    (tmp_path / "c.csv.gz").write_bytes(b"no gzip at all\n")
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(b"ts_event,price\n")[:-9] + b"123456789")

    assert refusal(tmp_path / "a.parquet").startswith("truncated, or no Parquet file: ")
    assert refusal(tmp_path / "b.csv").startswith("no CSV text: ")
    assert refusal(tmp_path / "c.csv.gz").startswith("truncated, or no gzip file: ")
    assert refusal(tmp_path / "d.csv.gz").startswith("truncated, or no gzip file: ")


def test_a_parquet_file_damaged_inside(tmp_path):
    path = write_parquet(tmp_path / "es.parquet", [bar_row(n, 5000.0 + n * 0.25) for n in range(3_000)])
    raw = bytearray(path.read_bytes())
    for at in range(4, len(raw) // 2):
        raw[at] ^= 0x5A
    path.write_bytes(raw)

    assert refusal(path).startswith("damaged near row ")


@pytest.mark.parametrize(("column", "message"), [
    (pa.array([MONDAY, MONDAY + MINUTE], pa.timestamp("ns")), "ts_event has no time zone; expected UTC"),
    (pa.array([1.0, 2.0]), "ts_event is double; expected UTC times, or integers (nanoseconds)"),
    (pa.array([1_704_150_000, 1_704_150_060]),
     "row 1: ts_event 1704150000 is no time of 1980 to 2100 in nanoseconds UTC"),
    (pa.array(["2024-01-01 23:00:00", "2024-01-01 23:01:00"]),
     "row 1: ts_event '2024-01-01 23:00:00' has no time zone; expected UTC, as in 2024-01-02T14:30:00Z, "
     "or integer nanoseconds"),
], ids=["naive", "float", "seconds", "naive text"])
def test_times_that_may_not_be_utc(tmp_path, column, message):
    prices = {name: pa.array([5000.0, 5000.0]) for name in ("open", "high", "low", "close", "volume")}
    pq.write_table(pa.table({"ts_event": column, **prices}), tmp_path / "es.parquet")

    assert refusal(tmp_path / "es.parquet", "ES") == message


def test_more_than_one_bad_row_in_a_hundred_refuses_unless_it_is_allowed(tmp_path):
    rows = bar_rows(200)
    rows[3] |= {"volume": -1}
    rows[5] |= {"high": 0.0}
    at_the_limit = write_parquet(tmp_path / "a.parquet", rows)
    rows[7] |= {"open": None}
    above = write_parquet(tmp_path / "b.parquet", rows)

    assert open_recording(at_the_limit, instruments=INSTRUMENTS).bad == 2
    assert refusal(above) == (
        "3 of 200 rows are bad, more than 1 % (1 negative_volume, 1 not_a_number, 1 outside_range; "
        "row 4: negative_volume; row 6: outside_range; row 8: not_a_number); allow it with --allow-bad")
    allowed = open_recording(above, instruments=INSTRUMENTS, allow_bad=True)
    assert (allowed.kept, allowed.dropped) == (197, {"negative_volume": 1, "outside_range": 1, "not_a_number": 1})


def test_a_file_without_a_single_good_row_is_refused_even_if_bad_rows_are_allowed(tmp_path):
    rows = [bar_row(n, volume=-1) for n in range(5)]

    assert refusal(write_parquet(tmp_path / "es.parquet", rows), allow_bad=True) == (
        "no usable row among 5 (5 negative_volume)")


def test_prices_of_another_instrument_are_off_the_increment(tmp_path):
    path = write_parquet(tmp_path / "spy.parquet", [bar_row(n, 500.13) for n in range(50)], instrument="SPY")

    assert refusal(path, "ES").startswith("no usable row among 50 (50 off_increment)")


def test_a_csv_of_a_header_alone(tmp_path):
    (tmp_path / "es.csv").write_text("ts_event,price\n")

    assert refusal(tmp_path / "es.csv", "ES") == "no usable row among 0 (none dropped)"
