from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from tests.feeds.files import MINUTE, SECOND, Row, bar_row, write_csv, write_parquet

from interlock.errors import InputError
from interlock.feeds.recorded import open_recording
from interlock.feeds.recorded.front import front_months, rule_of, trade_dates
from interlock.feeds.recorded.kinds import Contract, whole_year
from interlock.model.instrument import INSTRUMENTS

DAY = 86_400 * SECOND


def days(day: str) -> int:
    return (date.fromisoformat(day) - date(1970, 1, 1)).days


def front(symbol: str, day: str) -> str:
    rule = rule_of(INSTRUMENTS[symbol], "x")
    contract = front_months(rule, {(days(day), Contract(1970, 1)): 0})[days(day)]
    return contract.code(symbol)


@pytest.mark.parametrize(("symbol", "last_day", "front_then", "front_next"), [
    # Index: third Friday 2024-03-15 and 2024-06-21, rolled on the Monday of that week; the day before is a trade date.
    ("ES", "2024-03-08", "ESH2024", "ESH2024"), ("ES", "2024-03-10", "ESH2024", "ESM2024"),
    ("MES", "2024-06-16", "MESM2024", "MESU2024"), ("NQ", "2024-12-15", "NQZ2024", "NQH2025"),
    # Euro: third Wednesday 2024-03-20, its Monday the 18th.
    ("6E", "2024-03-17", "6EH2024", "6EM2024"),
    # Crude: CLH4 last traded on 2024-02-20 (25 February is a Sunday: the 23rd, less three); five business days before
    # that, with Presidents' Day on the 19th: the 12th.
    ("CL", "2024-02-11", "CLH2024", "CLJ2024"),
    # Crude: CLZ3 last traded on 2023-11-20 (25 November is a Saturday, the 23rd Thanksgiving): the 13th.
    ("CL", "2023-11-12", "CLZ2023", "CLF2024"),
    # Gold: first notice of GCJ4 on 2024-03-28 (29 March is Good Friday); three business days before: the 25th.
    ("GC", "2024-03-24", "GCJ2024", "GCM2024"),
    # Gold: first notice of GCZ3 on 2023-11-30: the 27th. October and November are not traded months.
    ("GC", "2023-11-26", "GCZ2023", "GCG2024"), ("GC", "2013-10-07", "GCZ2013", "GCZ2013"),
])
def test_the_calendar_names_the_front_month(symbol, last_day, front_then, front_next):
    following = (date.fromisoformat(last_day) + timedelta(days=1)).isoformat()

    assert (front(symbol, last_day), front(symbol, following)) == (front_then, front_next)


Z, H = Contract(2023, 12), Contract(2024, 3)


def fronts(volumes: dict[str, tuple[int, int]]) -> list[Contract]:
    held = {(days(day), contract): volume for day, pair in volumes.items()
            for contract, volume in zip((Z, H), pair, strict=True)}
    return list(front_months(rule_of(INSTRUMENTS["ES"], "x"), held).values())


def test_two_dates_on_which_the_next_month_trades_more_roll_early_and_for_good():
    assert fronts({"2023-12-04": (9, 1), "2023-12-05": (4, 5), "2023-12-06": (4, 5), "2023-12-07": (9, 1),
                   "2023-12-08": (9, 1)}) == [Z, Z, Z, H, H]


def test_one_date_equal_volume_or_an_interrupted_run_does_not():
    assert fronts({"2023-12-04": (4, 5), "2023-12-05": (5, 5), "2023-12-06": (4, 5), "2023-12-07": (9, 1)}) == [Z] * 4


def test_a_weekend_does_not_break_a_run_and_a_hole_in_the_recording_does():
    assert fronts({"2023-12-01": (4, 5), "2023-12-04": (4, 5), "2023-12-05": (4, 5)}) == [Z, Z, H]
    assert fronts({"2023-11-27": (4, 5), "2023-12-04": (4, 5), "2023-12-05": (9, 1)}) == [Z, Z, Z]


def test_the_front_of_a_date_does_not_depend_on_that_date_or_later_ones():
    volumes = {"2023-12-04": (4, 5), "2023-12-05": (4, 5), "2023-12-06": (4, 5), "2023-12-07": (9, 1)}
    whole = fronts(volumes)

    for cut in range(1, 5):
        part = dict(list(volumes.items())[:cut])
        part[list(part)[-1]] = (1, 1_000_000)
        assert fronts(part) == whole[:cut]


@pytest.mark.parametrize(("moment", "expected"), [
    ("2024-01-08T22:59:59", "2024-01-08"), ("2024-01-08T23:00:00", "2024-01-09"),
    ("2024-07-08T21:59:59", "2024-07-08"), ("2024-07-08T22:00:00", "2024-07-09"),
    ("2024-01-07T23:00:00", "2024-01-08"), ("2024-01-08T05:00:00", "2024-01-08"),
])
def test_a_trade_date_ends_at_five_in_the_afternoon_in_chicago(moment, expected):
    ts = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * SECOND

    assert trade_dates(np.array([ts])).tolist() == [days(expected)]


@pytest.mark.parametrize(("digits", "seen_in", "year"), [
    ("4", 2024, 2024), ("3", 2024, 2023), ("2", 2024, 2032), ("0", 2029, 2030), ("13", 2013, 2013),
    ("2013", 1999, 2013)])
def test_a_digit_means_the_year_that_a_row_can_mean(digits, seen_in, year):
    assert whole_year(digits, seen_in) == year


FRIDAY = int(datetime(2023, 12, 8, 15, tzinfo=UTC).timestamp()) * SECOND


def rolling_rows() -> list[Row]:
    """Two contracts over four trade dates, Friday to Wednesday: the calendar rolls on Monday 11 December 2023."""
    return [bar_row(0, price, ts_event=FRIDAY + day * DAY + n * MINUTE, contract=contract, volume=volume)
            for contract, price, volume in (("ESH4", 4700.0, 1), ("ESZ3", 4650.0, 9), ("NQZ3", 16000.0, 9))
            for day in (0, 3, 4, 5) for n in range(3)]


@pytest.mark.parametrize("order", ["by contract", "by time"])
@pytest.mark.parametrize("name", ["es.parquet", "es.csv"])
def test_the_signal_series_is_the_front_month_whatever_the_order_of_the_file(tmp_path, order, name):
    rows = rolling_rows()
    if order == "by time":
        rows.sort(key=lambda row: (row["ts_event"], row["contract"]))
    path = tmp_path / name
    _ = write_csv(path, rows) if name.endswith("csv") else write_parquet(path, rows, group=5)

    recording = open_recording(path, symbol="ES", instruments=INSTRUMENTS)

    assert [(bar.ts_event, bar.close) for bar in recording.bars()] == [
        (FRIDAY + day * DAY + n * MINUTE, 4 * (4650 if day == 0 else 4700)) for day in (0, 3, 4, 5) for n in range(3)]
    assert recording.contracts == ("ESZ2023", "ESH2024")
    assert recording.dropped == {"not_front_month": 12, "other_instrument": 12}
    assert (recording.rows, recording.kept, recording.bad) == (36, 12, 0)


def test_a_recording_cut_short_plays_the_beginning_of_the_whole_one(tmp_path):
    rows = sorted(rolling_rows(), key=lambda row: (row["ts_event"], row["contract"]))
    whole = list(open_recording(write_parquet(tmp_path / "a.parquet", rows), instruments=INSTRUMENTS).bars())

    for cut in range(6, 36, 5):
        part = list(open_recording(write_parquet(tmp_path / "b.parquet", rows[:cut]), instruments=INSTRUMENTS).bars())
        assert part == whole[:len(part)]
        assert len(part) >= cut // 3


def test_a_micro_follows_the_contracts_of_its_parent(tmp_path):
    path = write_parquet(tmp_path / "es.parquet", rolling_rows())

    assert open_recording(path, symbol="MES", instruments=INSTRUMENTS).contracts == ("ESZ2023", "ESH2024")
    assert open_recording(path, symbol="NQ", instruments=INSTRUMENTS).contracts == ("NQZ2023",)


def test_a_row_without_a_contract_is_bad(tmp_path):
    rows = [bar_row(n, ts_event=FRIDAY + n * MINUTE, contract="ESZ3") for n in range(300)]
    rows[7]["contract"] = None
    rows[9]["contract"] = "front"

    recording = open_recording(write_parquet(tmp_path / "es.parquet", rows), instruments=INSTRUMENTS)

    assert recording.listed == ((8, "bad_contract"), (10, "bad_contract"))
    assert (recording.rows, recording.kept) == (300, 298)


def test_a_contract_out_of_order_a_file_without_the_front_month_and_an_instrument_without_a_rule(tmp_path):
    rows = rolling_rows()
    rows[4], rows[5] = rows[5], rows[4]
    unsorted = write_parquet(tmp_path / "a.parquet", rows)
    far = write_parquet(tmp_path / "b.parquet", [row | {"contract": "ESM4"} for row in rolling_rows()[:6]])
    share = write_parquet(tmp_path / "c.parquet", [row | {"contract": "SPYZ3"} for row in rolling_rows()[:6]])

    with pytest.raises(InputError, match=r"ESH4 is not in time order: row 6 \(2023-12-11T15:01:00Z\) comes after "
                                         r"row 5 \(2023-12-11T15:02:00Z\)"):
        open_recording(unsorted, instruments=INSTRUMENTS)
    with pytest.raises(InputError, match="no row of a front month of ES: expected ESZ2023, ESH2024, found ESM2024"):
        open_recording(far, instruments=INSTRUMENTS)
    with pytest.raises(InputError, match="several contracts, and no roll rule for the calendar us_equity of SPY"):
        open_recording(share, symbol="SPY", instruments=INSTRUMENTS)
