"""Where the market has been: kept in coarse parts, never narrower than what was asked for."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from interlock.engine.marks import BUCKETS, Marks
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, Provenance, Quote
from interlock.model.money import MINUTE, SECOND

NOW = 1_700_000_040 * SECOND
D = Decimal


def quote(ts: int, bid: int = 72_000, ask: int = 72_002) -> Quote:
    return Quote("MNQ", bid, ask, 50, 50, ts, ts, Provenance.SIMULATED)


def bar(ts_known: int, low: int, high: int, close: int, timeframe: int = MINUTE) -> Bar:
    return Bar("MNQ", timeframe, close, high, low, close, 100, ts_known - timeframe, ts_known, Provenance.SIMULATED)


def marks() -> Marks:
    return Marks(INSTRUMENTS, MINUTE)


def test_without_a_price_there_is_no_window() -> None:
    assert marks().window("MNQ", NOW) is None


def test_the_window_holds_the_lowest_and_the_highest_mid() -> None:
    seen = marks()
    seen.on_quote(quote(NOW - 50 * SECOND, 71_000, 71_002))        # mid 17750.25
    seen.on_quote(quote(NOW - 20 * SECOND, 73_000, 73_002))        # mid 18250.25
    seen.on_quote(quote(NOW))                                      # mid 18000.25

    assert seen.window("MNQ", NOW) == (D("17750.25"), D("18250.25"))


def test_what_is_older_than_the_window_and_one_part_of_it_is_gone() -> None:
    seen = marks()
    seen.on_quote(quote(NOW - 66 * SECOND, 60_000, 60_002))
    seen.on_quote(quote(NOW))

    assert seen.window("MNQ", NOW) == (D("18000.25"), D("18000.25"))


def test_the_price_that_stands_counts_however_old() -> None:
    seen = marks()
    seen.on_quote(quote(NOW - 600 * SECOND))

    assert seen.window("MNQ", NOW) == (D("18000.25"), D("18000.25"))


def test_a_bar_counts_with_all_of_its_path_and_a_long_one_with_its_close() -> None:
    short, long = marks(), marks()
    short.on_bar(bar(NOW, 70_000, 73_000, 72_000))
    long.on_bar(bar(NOW, 70_000, 73_000, 72_000, 240 * MINUTE))

    assert short.window("MNQ", NOW) == (D("17500"), D("18250"))
    low, high = long.window("MNQ", NOW) or (D(0), D(0))
    assert D("18000") == low <= high <= D("18000.25")              # the close, and the quote around it


def test_a_restart_keeps_the_window() -> None:
    seen = marks()
    seen.on_quote(quote(NOW - 30 * SECOND, 71_000, 71_002))
    seen.on_quote(quote(NOW))
    again = marks()
    again.restore(seen.snapshot())

    assert again.window("MNQ", NOW) == seen.window("MNQ", NOW) == (D("17750.25"), D("18000.25"))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(60_000, 80_000)), min_size=1, max_size=60))
def test_the_window_is_never_narrower_than_the_last_minute_nor_wider_than_a_part_more(steps: list[tuple[int, int]]) -> None:
    seen, ts, told = marks(), NOW, []
    for passed, price in steps:
        ts += passed * SECOND
        seen.on_quote(quote(ts, price, price))
        told.append((ts, D(price) / 4))

    low, high = seen.window("MNQ", ts) or (D(0), D(0))
    inner = [price for at, price in told if at >= ts - MINUTE]
    outer = [price for at, price in told if at >= ts - MINUTE - MINUTE // BUCKETS]
    assert min(outer) <= low <= min(inner)
    assert max(inner) <= high <= max(outer)
