"""How far the clock is off: by the smallest offset that the evidence allows, and unknown where there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.health.clock import ClockEvidence
from interlock.model.money import SECOND

BEGIN = 1_700_000_000 * SECOND
MS = SECOND // 1000


def evidence(own: float | None = 0.0) -> ClockEvidence:
    found = ClockEvidence()
    found.read(own, BEGIN)
    return found


def test_nothing_heard_is_nothing_measured():
    assert ClockEvidence().offset(BEGIN) is None
    assert evidence().offset(BEGIN) is None, "no venue has told the time"


def test_a_venue_without_the_hosts_own_clock_is_not_enough():
    found = ClockEvidence()
    found.heard("paper-a", BEGIN, BEGIN, BEGIN)

    assert found.offset(BEGIN) is None


@pytest.mark.parametrize("own", [None, float("nan"), float("inf")])
def test_a_reading_that_is_no_number_is_no_reading(own):
    found = evidence(own)
    found.heard("paper-a", BEGIN, BEGIN, BEGIN)

    assert found.offset(BEGIN) is None


def test_a_reading_grows_old():
    found = evidence()
    found.heard("paper-a", BEGIN + 31 * SECOND, BEGIN + 31 * SECOND)

    assert found.offset(BEGIN + 31 * SECOND) is None


@given(st.integers(-5_000, 5_000), st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 2_000)), min_size=1, max_size=20))
def test_a_slow_line_is_never_a_wrong_clock_and_a_wrong_clock_is_never_larger_than_it_is(off, trips):
    """The clock is `off` ms ahead; each question takes `there` ms and its answer `back`."""
    found = evidence()
    for there, back in trips:
        asked = BEGIN
        venue = asked - off * MS + there * MS
        found.heard("paper-a", asked + (there + back) * MS, venue, asked)

    offset = found.offset(BEGIN + 4 * SECOND)

    assert offset is not None
    assert abs(offset) <= abs(off) * MS
    quickest = min(back if off < 0 else there for there, back in trips) * MS
    assert abs(offset) >= abs(off) * MS - quickest, "the quickest way is all that can hide of it"


def test_old_evidence_goes():
    found = evidence()
    found.heard("paper-a", BEGIN, BEGIN + 3 * SECOND)
    assert found.offset(BEGIN) == -3 * SECOND

    for second in range(1, 100):
        now = BEGIN + second * SECOND
        found.read(0.0, now)
        found.heard("paper-a", now, now, now)

    assert found.offset(BEGIN + 99 * SECOND) == 0


def test_the_worst_of_host_and_venues_counts():
    found = evidence(0.1)
    found.heard("paper-a", BEGIN, BEGIN, BEGIN)
    found.heard("paper-b", BEGIN, BEGIN + 2 * SECOND, BEGIN)

    assert found.offset(BEGIN) == -2 * SECOND
