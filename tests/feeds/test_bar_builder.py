from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from interlock.feeds.bars import BarBuilder
from interlock.model.market import Bar, Provenance

MINUTE = 60_000_000_000
PRINTS = st.lists(st.tuples(st.integers(0, 5 * MINUTE), st.integers(1, 50), st.integers(1, 9)), min_size=1, max_size=80)


def built(prints: list[tuple[int, int, int]]) -> list[Bar]:
    builder = BarBuilder("ES", Provenance.LIVE)
    bars = [bar for ts, price, size in prints if (bar := builder.add(ts, price, size)) is not None]
    last = builder.finish(1 << 62)
    return bars if last is None else [*bars, last]


@given(PRINTS)
def test_bars_are_the_prints_grouped_by_minute(prints):
    prints.sort(key=lambda one: one[0])

    bars = built(prints)

    expected = []
    for minute, group in groupby(prints, key=lambda one: one[0] // MINUTE):
        members = list(group)
        prices = [price for _, price, _ in members]
        volume = sum(size for _, _, size in members)
        expected.append((minute * MINUTE, prices[0], max(prices), min(prices), prices[-1], volume))
    assert [(b.ts_event, b.open, b.high, b.low, b.close, b.volume) for b in bars] == expected
    assert all(bar.ts_known == bar.ts_event + MINUTE for bar in bars)


@given(PRINTS, st.integers(0, 79))
def test_what_is_finished_by_a_print_does_not_depend_on_later_ones(prints, cut):
    prints.sort(key=lambda one: one[0])

    whole = built(prints)
    part = built(prints[:cut])[:-1]

    assert whole[:len(part)] == part


def test_a_print_from_before_the_open_bar_is_counted_and_changes_nothing():
    builder = BarBuilder("ES", Provenance.LIVE)
    builder.add(MINUTE + 5, 100, 1)

    builder.add(MINUTE - 1, 50, 1)
    bar = builder.finish(2 * MINUTE)

    assert builder.late == 1
    assert bar is not None
    assert (bar.low, bar.volume) == (100, 1)


def test_the_clock_finishes_a_bar_once_and_not_before_its_end():
    builder = BarBuilder("ES", Provenance.LIVE)
    builder.add(5, 100, 1)

    assert builder.finish(MINUTE - 1) is None
    assert builder.finish(MINUTE) is not None
    assert builder.finish(3 * MINUTE) is None


def test_a_print_of_a_bar_that_the_clock_has_finished_is_late():
    builder = BarBuilder("ES", Provenance.LIVE)
    builder.add(5, 100, 1)
    builder.finish(MINUTE)

    finished = builder.add(MINUTE - 1, 50, 1)

    assert finished is None
    assert builder.late == 1
    assert builder.finish(9 * MINUTE) is None
