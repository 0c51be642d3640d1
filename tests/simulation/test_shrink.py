"""A failing plan gets smaller as long as the same invariant fails, and no smaller."""

from interlock.simulation import plans, shrink
from interlock.simulation.history import Violation


def needs_a_kill(plan):
    """Fails for as long as a kill is among the faults and an alert among the work."""
    has_kill = any(fault.verb == "ops.kill" for fault in plan.faults)
    return Violation("INV-06", 1, "made up") if has_kill and any(work.kind == "alert" for work in plan.work) else None


def test_what_does_not_matter_is_left_out():
    plan = next(plan for plan in map(plans.draw, range(500)) if needs_a_kill(plan) and len(plan.faults) > 2)

    shrunk = shrink.shrink(plan, needs_a_kill)

    assert shrunk is not None
    assert [fault.verb for fault in shrunk.plan.faults] == ["ops.kill"]
    assert [work.kind for work in shrunk.plan.work] == ["alert"]
    assert shrunk.plan.horizon <= 4 * plans.SECOND


def test_a_plan_that_fails_otherwise_is_another_failure():
    plan = next(plan for plan in map(plans.draw, range(500)) if needs_a_kill(plan))
    first = len(plan.faults)

    def judge(candidate):
        return Violation("INV-06" if len(candidate.faults) == first else "INV-01", 1, "made up")

    shrunk = shrink.shrink(plan, judge)

    assert shrunk is not None
    assert len(shrunk.plan.faults) == first


def test_a_plan_that_holds_is_not_shrunk():
    assert shrink.shrink(plans.draw(1), lambda _: None) is None


def test_a_shrunk_plan_is_stored_and_read_again(tmp_path):
    shrunk = shrink.Shrunk(plans.draw(3), Violation("INV-01", 1, "made up"), 1)

    shrink.keep(shrunk, tmp_path / "plans", "inv-01-3")

    assert plans.stored(tmp_path / "plans") == {"inv-01-3": shrunk.plan}
