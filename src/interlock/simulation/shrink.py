"""Make a failing plan small: leave out faults, then work, then time, then variety, as long as the same invariant fails.

Greedy and in this order, because what is left of the faults tells most. Each candidate is run; one that fails another
invariant is not the same failure and is thrown away.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from interlock.simulation.history import Violation
from interlock.simulation.plans import SECOND, Fault, Plan, Value, Work, encode

T = TypeVar("T")
Judge = Callable[[Plan], Violation | None]
"""Runs a plan; what it violates."""


class Shrunk:
    """A plan that still fails, and how many runs it took."""

    def __init__(self, plan: Plan, violation: Violation, runs: int) -> None:
        self.plan, self.violation, self.runs = plan, violation, runs


def shrink(plan: Plan, judge: Judge, *, runs_max: int = 400) -> Shrunk | None:
    """The smallest plan found; None where the plan does not fail at all."""
    violation = judge(plan)
    if violation is None:
        return None
    best, runs, is_smaller = Shrunk(plan, violation, 1), 1, True
    while is_smaller and runs < runs_max:
        is_smaller = False
        for candidate in _smaller(best.plan):
            if runs >= runs_max:
                break
            found = judge(candidate)
            runs += 1
            if found is not None and found.invariant == violation.invariant:
                best, is_smaller = Shrunk(candidate, found, runs), True
                break
    best.runs = runs
    return best


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Every next smaller plan, the greatest steps first."""
    yield from (replace(plan, faults=faults) for faults in _without(plan.faults))
    yield from (replace(plan, work=work) for work in _without(plan.work))
    if plan.horizon > 4 * SECOND:
        yield replace(plan, horizon=plan.horizon // 2)
        yield replace(plan, horizon=plan.horizon - SECOND)
    low, high = plan.latency
    if low != high:
        yield replace(plan, latency=(low, low))
    if plan.visibility:
        yield replace(plan, visibility=0)
    for index, fault in enumerate(plan.faults):
        for args in _simpler(fault.args):
            yield replace(plan, faults=(*plan.faults[:index], Fault(fault.trigger, fault.verb, args), *plan.faults[index + 1:]))
    for index, work in enumerate(plan.work):
        if work.at % SECOND:
            rounded = Work(work.at - work.at % SECOND, work.kind, work.args)
            yield replace(plan, work=(*plan.work[:index], rounded, *plan.work[index + 1:]))


def _without(items: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    """Halves left out first, then quarters, then one after the other."""
    size = len(items) // 2
    while size > 1:
        for start in range(0, len(items), size):
            yield items[:start] + items[start + size:]
        size //= 2
    for index in range(len(items) - 1, -1, -1):
        yield items[:index] + items[index + 1:]


def _simpler(args: dict[str, Value]) -> Iterator[dict[str, Value]]:
    if int(args.get("ms", 0)) > 1_000:
        yield args | {"ms": 1_000}
    if int(args.get("times", 0)) > 1:
        yield args | {"times": 1}


def keep(shrunk: Shrunk, directory: Path, name: str) -> Path:
    """Store the plan among those that are run for ever."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    path.write_bytes(encode(shrunk.plan))
    return path

