"""Plans are data: drawn alike from equal seeds, written and read again unchanged, with streams that do not disturb each other."""

from pathlib import Path

import pytest

from interlock.simulation import plans, run
from interlock.simulation.plans import AtState, Fault, Plan, Streams

STORED = Path(__file__).parent / "plans"


def test_a_seed_draws_the_same_plan_again():
    assert plans.draw(7) == plans.draw(7)
    assert plans.draw(7) != plans.draw(8)


@pytest.mark.parametrize("profile", plans.PROFILES)
def test_a_plan_is_written_and_read_again_unchanged(profile):
    plan = plans.draw(5, profile)

    assert plans.decode(plans.encode(plan)) == plan


def test_a_stream_is_its_label_s_alone():
    alone, beside = Streams(3), Streams(3)
    beside.of("net").random()

    assert alone.of("disk").random() == beside.of("disk").random()


def test_liveness_draws_only_what_heals():
    drawn = [fault.verb for seed in range(200) for fault in plans.draw(seed, "liveness").faults]

    assert drawn
    assert all(plans.VERBS[verb].heals for verb in drawn)


def test_a_core_plan_names_no_fault_of_the_world():
    drawn = {fault.verb for seed in range(300) for fault in plans.draw(seed, "nightly").faults}

    assert all(plans.VERBS[verb].scale != "world" for verb in drawn)


def test_a_plan_tells_the_cells_that_it_aims_at():
    plan = Plan(seed=1, profile="merge", faults=(Fault(AtState("written"), "ops.kill"),))

    assert plan.cells == {("written", "ops.kill")}


@pytest.mark.parametrize("name", sorted(path.stem for path in STORED.glob("*.json")))
def test_a_failure_of_the_past_stays_mended(name):
    plan = plans.decode((STORED / f"{name}.json").read_bytes())

    assert run.judge(plan) is None
