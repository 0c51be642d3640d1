"""The core simulator: equal seeds give equal runs, and no seed of the merge profile violates anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.simulation import core, plans, run

PLANS = plans.stored(Path(__file__).with_name("plans"))
CHUNKS = 8
SEEDS = 2_000
"""Seeds of the merge profile that every test run goes through."""

DIGESTS = """
import logging, structlog
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
from interlock.simulation import core, plans
for seed in range(12):
    print(core.run(plans.draw(seed, "nightly")).digest)
"""


def test_a_seed_gives_the_same_digest_twice():
    digests = [[core.run(plans.draw(seed)).digest for seed in (3, 11, 42)] for _ in range(2)]

    assert digests[0] == digests[1]


def test_seeds_differ():
    assert len({core.run(plans.draw(seed)).digest for seed in range(10)}) == 10


def test_a_digest_is_the_same_in_another_process_and_under_another_hash_seed():
    outputs = {subprocess.run([sys.executable, "-c", DIGESTS], env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True,
                              capture_output=True, text=True).stdout for hash_seed in ("0", "4711")}

    assert len(outputs) == 1


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_merge_profile_violates_nothing(chunk):
    size = SEEDS // CHUNKS
    tally = run.run_seeds(range(chunk * size, (chunk + 1) * size), "merge", "core")

    assert tally.failed == [], "\n".join(f"seed {each.seed}: {each.invariant}: {each.text}" for each in tally.failed[:5])
    assert tally.round_trips > size // 10, "too much fault: hardly anything was traded"


def test_a_plan_without_faults_trades_and_violates_nothing():
    tally = run.run_seeds(range(60), "quiet", "core")

    assert tally.failed == []
    assert tally.round_trips > 10


@pytest.mark.parametrize("name", PLANS)
def test_what_once_went_wrong_does_not_go_wrong_again(name):
    assert run.judge(PLANS[name]) is None
