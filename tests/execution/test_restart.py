"""A restored stage goes on exactly like the one that never stopped; folding alone decides nothing."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.rig import A, Rig, profile

from interlock.execution.stage import Execution
from interlock.model.command import Killed, Released
from interlock.model.money import SECOND
from interlock.model.report import OrderMissing, WriteUnknown

STEPS = st.lists(st.tuples(st.sampled_from(
    ["enter", "accept", "fill", "cancelled", "rejected", "unknown", "missing", "exit", "kill", "release", "wait",
     "read", "mark", "flatten"]), st.integers(0, 9)), min_size=5, max_size=40)


def drive(rig: Rig, steps: list[tuple[str, int]]) -> None:
    """Act out the steps; each one that names an order takes one of those that are open."""
    entries = 0
    for kind, number in steps:
        live = rig.execution.orders.open_orders()
        one = live[number % len(live)].leg.client_order_id if live else None
        match kind:
            case "enter" if entries < 4:
                entries += 1
                rig.enter(signal=f"s{entries}", quantity=str(1 + number % 3))
            case "accept" if one is not None:
                rig.accept(one)
            case "fill" if one is not None and rig.record(one).remaining > 0:
                rig.fill(one, "1")
            case "cancelled" if one is not None:
                rig.cancelled(one)
            case "rejected" if one is not None:
                rig.rejected(one)
            case "unknown" if one is not None:
                rig.feed(WriteUnknown(A, one, 1, ""))
            case "missing" if one is not None:
                rig.feed(OrderMissing(A, one, rig.ts))
            case "exit":
                rig.exit(signal=f"x{number}")
            case "kill":
                rig.feed(Killed(None, None, "all" if number == 0 else "risk", "test", 1, (), ()))
            case "flatten":
                rig.flatten(instrument="MNQ" if number % 2 else None, command=str(number))
            case "release":
                rig.feed(Released(None, None, 2))
            case "wait":
                rig.after((number + 1) * SECOND)
            case "read":
                rig.read(*(rig.listed(order.leg.client_order_id) for order in live), position=str(rig.position()))
            case "mark":
                rig.quote("110", "110.25")
                rig.after(SECOND)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans(), st.booleans(), st.booleans())
def test_a_restored_stage_is_the_one_that_was_saved(steps, brackets, replace, pair):
    rig = Rig(profile(brackets=brackets, replace=replace, pair=pair))
    drive(rig, steps)
    whole = Execution(rig.profiles, rig.closing)
    for ts, payload in rig.journal:
        whole.apply(payload, ts)

    assert whole.snapshot() == rig.execution.snapshot(), "what was decided is in the record"
    cut = len(rig.journal) // 2
    half = Execution(rig.profiles, rig.closing)
    for ts, payload in rig.journal[:cut]:
        half.apply(payload, ts)
    resumed = Execution(rig.profiles, rig.closing)
    resumed.restore(half.snapshot())
    for ts, payload in rig.journal[cut:]:
        resumed.apply(payload, ts)
    assert resumed.snapshot() == whole.snapshot()
    assert outputs(resumed, rig) == outputs(rig.execution, rig)


def outputs(execution: Execution, rig: Rig) -> list[Any]:
    return list(execution.resume(rig.ts))


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans(), st.booleans())
def test_no_exit_is_sent_that_could_cross_zero(steps, brackets, replace):
    """At each write of an order that reduces, whatever subset of the live ones fills, the sign stays."""
    rig = Rig(profile(brackets=brackets, replace=replace))
    crossed: list[Any] = []
    judge = rig.judge

    def watched(asked, quantity, *rest, **more):
        order = judge(asked, quantity, *rest, **more)
        if order is not None and order.parent.is_reduce_only:
            at, (long, short) = rig.position(), rig.execution.orders.worst_case(A, "MNQ")
            if (at > 0 and short < 0) or (at < 0 and long > 0) or at == 0:
                crossed.append((order, at, long, short))
        return order

    rig.judge = watched  # type: ignore[method-assign]
    drive(rig, [step for step in steps if step[0] != "missing"])

    assert crossed == []
