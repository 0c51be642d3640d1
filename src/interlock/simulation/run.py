"""Many seeds over all processors: what was violated, which witnesses were seen, which cells of the matrix were visited.

Each worker process builds the configurations once and runs its seeds one after the other. The report is the same however
many workers there were.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Final

import structlog
from msgspec import Struct

from interlock.simulation import core
from interlock.simulation.core import Result
from interlock.simulation.history import Violation
from interlock.simulation.oracles import INVARIANTS
from interlock.simulation.plans import Plan, draw

CHUNK: Final = 25
"""Seeds that a worker takes at a time."""
SCALES: Final = ("core", "world", "both")


class Failed(Struct, frozen=True):
    """One seed that violated an invariant, or broke the simulator itself."""

    seed: int
    scale: str
    invariant: str
    text: str


class Tally(Struct):
    """The sum over many runs."""

    seeds: int = 0
    runs: int = 0
    steps: int = 0
    round_trips: int = 0
    failed: list[Failed] = []
    witnesses: dict[str, int] = {}
    cells: dict[tuple[str, str], int] = {}
    marks: dict[str, int] = {}
    seconds: float = 0.0

    def add(self, result: Result, scale: str) -> None:
        self.runs += 1
        self.steps += result.steps
        self.round_trips += result.round_trips
        _count(self.witnesses, result.witnesses)
        _count(self.marks, result.marks)
        for cell in result.cells:
            self.cells[cell] = self.cells.get(cell, 0) + 1
        if result.violation is not None:
            self.failed.append(Failed(result.seed, scale, result.violation.invariant, result.violation.text))

    def merge(self, other: "Tally") -> None:
        self.seeds += other.seeds
        self.runs += other.runs
        self.steps += other.steps
        self.round_trips += other.round_trips
        self.failed.extend(other.failed)
        _count(self.witnesses, other.witnesses)
        _count(self.marks, other.marks)
        for cell, count in other.cells.items():
            self.cells[cell] = self.cells.get(cell, 0) + count

    def as_json(self) -> dict[str, Any]:
        """The contract for scripts."""
        failed = sorted(self.failed, key=lambda each: (each.seed, each.scale))
        return {"seeds": self.seeds, "violations": [{"seed": each.seed, "invariant": each.invariant} for each in failed],
                "witnesses": {name: self.witnesses.get(name, 0) for name in INVARIANTS}, "seconds": round(self.seconds, 3)}


def _count(into: dict[str, int], more: dict[str, int]) -> None:
    for name, count in more.items():
        into[name] = into.get(name, 0) + count


@contextmanager
def silence() -> Iterator[None]:
    """The product's own log tells of every fault that is injected; a simulation has its own story."""
    kept = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**kept)


def _runners(scale: str) -> tuple[tuple[str, Callable[[Plan], Result]], ...]:
    if scale == "core":
        return (("core", core.run),)
    from interlock.simulation import world  # the loop and its machinery are only loaded when they are wanted
    found: tuple[tuple[str, Callable[[Plan], Result]], ...] = (("world", world.run),)
    return (("core", core.run), *found) if scale == "both" else found


def run_seeds(seeds: Iterable[int], profile: str = "merge", scale: str = "core") -> Tally:
    """Run these seeds here, one after the other."""
    tally = Tally()
    with silence():
        for seed in seeds:
            tally.seeds += 1
            for name, runner in _runners(scale):
                try:
                    tally.add(runner(draw(seed, profile, name)), name)
                except Exception as error:  # noqa: BLE001  # a broken run is a failed seed, and the others go on
                    tally.failed.append(Failed(seed, name, "DET", f"the run itself broke: {error!r}"))
    return tally


def _chunk(work: tuple[int, int, str, str]) -> Tally:
    first, last, profile, scale = work
    return run_seeds(range(first, last), profile, scale)


def run_many(count: int, *, first: int = 0, profile: str = "merge", scale: str = "core", processes: int | None = None,
             progress: Callable[[int, Tally], None] | None = None) -> Tally:
    """`count` seeds from `first` on, over `processes` workers (as many as there are processors)."""
    began = time.monotonic()
    total = Tally()
    workers = max(1, min(processes or os.cpu_count() or 1, (count + CHUNK - 1) // CHUNK))
    chunks = [(start, min(start + CHUNK, first + count), profile, scale) for start in range(first, first + count, CHUNK)]

    def take(tallies: Iterable[Tally]) -> None:
        for tally in tallies:
            total.merge(tally)
            if progress is not None:
                progress(total.seeds, total)

    if workers == 1:
        take(map(_chunk, chunks))
    else:
        with get_context("spawn").Pool(workers) as pool:
            take(pool.imap(_chunk, chunks))
    total.seconds = time.monotonic() - began
    return total


def replay(seed: int, profile: str = "merge", scale: str = "core", *, plan: Plan | None = None) -> tuple[Plan, Any, Result]:
    """One seed again with everything recorded: its plan, its history, its result."""
    chosen = plan or draw(seed, profile, scale)
    with silence():
        run: Any
        if scale == "world":
            from interlock.simulation import world
            run = world.World(chosen, keeps=True)
        else:
            run = core.Run(chosen, keeps=True)
        result: Result = run.run()
    return chosen, run.history, result


def judge(plan: Plan) -> Violation | None:
    """What a plan violates in the scale that it names."""
    with silence():
        return dict(_runners(plan.scale))[plan.scale](plan).violation


def report(tally: Tally) -> Iterator[str]:
    """The tally for people."""
    yield (f"{tally.seeds} seeds, {tally.runs} runs, {tally.steps} steps, {tally.round_trips} round trips, {tally.seconds:.1f} s "
           f"({tally.seconds / max(tally.runs, 1) * 1e3:.1f} ms a run)")
    names = ", ".join(f"{name} {tally.witnesses.get(name, 0)}" for name in INVARIANTS)
    yield f"witnesses: {names}"
    states, verbs = {state for state, _ in tally.cells}, {verb for _, verb in tally.cells}
    yield f"matrix: {len(tally.cells)} cells visited ({len(states)} states, {len(verbs)} verbs)"
    if not tally.failed:
        yield "no violation"
        return
    for invariant, count in sorted(Counter(each.invariant for each in tally.failed).items()):
        first = min((each for each in tally.failed if each.invariant == invariant), key=lambda each: each.seed)
        yield f"{invariant}: {count} violations, first at seed {first.seed} ({first.scale}): {first.text}"
