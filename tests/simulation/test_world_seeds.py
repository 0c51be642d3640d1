"""Seeds of the world that every test run goes through: nothing is violated, and things are traded."""

import pytest

from interlock.simulation import run

CHUNKS = 4
SEEDS = 200


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_merge_profile_violates_nothing(chunk):
    size = SEEDS // CHUNKS
    tally = run.run_seeds(range(chunk * size, (chunk + 1) * size), "merge", "world")

    assert tally.failed == [], "\n".join(f"seed {each.seed}: {each.invariant}: {each.text}" for each in tally.failed[:5])
    assert tally.round_trips > size // 4, "too much fault: hardly anything was traded"


@pytest.mark.parametrize("seed", range(2))
def test_five_trading_days_violate_nothing(seed):
    """Nights, a weekend in which the clocks are set, a day that ends early, and a venue that is started anew each evening."""
    tally = run.run_seeds([seed], "long", "world")

    assert tally.failed == []
    assert tally.round_trips > 5
    assert tally.marks["starting"] >= 12, "a process for each sitting"
