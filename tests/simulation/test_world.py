"""The world simulator: it trades, it repeats itself to the byte, and it finds defects that only a whole process can have."""

import subprocess
import sys
from collections.abc import Callable
from typing import Final

import pytest
from tests.simulation.corpus import directed
from tests.simulation.corpus.defects import DEFECTS

from interlock.simulation import world
from interlock.simulation.history import Durable, Wire
from interlock.simulation.plans import MILLISECOND, SECOND, Plan, draw

WITHIN: Final = 3
"""A planted defect is found within so many seeds."""


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect: str):
    parts, make, invariant = DEFECTS[defect]

    found = []
    for seed in range(WITHIN):
        violation = world.run(make(seed), parts).violation
        if violation is not None:
            found.append(violation.invariant)
            break

    assert found == [invariant]


@pytest.mark.parametrize("make", dict.fromkeys(make for _, make, _ in DEFECTS.values()), ids=lambda make: make.__name__)
def test_the_sound_desk_passes_where_a_defect_would_be_found(make: Callable[[int], Plan]):
    for seed in range(WITHIN):
        assert world.run(make(seed)).violation is None


def test_an_undisturbed_world_trades():
    plan = directed.a_plan(5, directed.alert(2 * SECOND), directed.price(8 * SECOND, 14),
                           directed.alert(11 * SECOND, lane="side"), directed.price(16 * SECOND, 2))

    result = world.run(plan)

    assert result.violation is None
    assert result.round_trips == 3, "two accounts of one lane met their target, the other lane's its stop"
    assert result.marks["protected"] >= 3


def test_what_runs_is_the_runtime_down_to_the_bytes_of_its_socket():
    run = world.World(directed.a_plan(5, directed.alert(2 * SECOND)), keeps=True)
    run.run()

    kinds = [type(kept.payload).__name__ for event in run.history.of(Durable) for kept in event.entries]
    written = [event for event in run.history.of(Wire) if event.direction == "out" and event.kind == "place"]
    assert kinds[:4] == ["Header", "Started", "ConfigRead", "FeedOpened"]
    assert kinds[-1] == "Stopped"
    assert kinds.count("Attempt") == len(written) == 2
    assert written[0].body.startswith(b'{"op":"order"')


@pytest.mark.parametrize("seed", range(12))
def test_a_plan_repeats_itself(seed: int):
    plan = draw(seed, "merge", "world")

    first, second = world.run(plan), world.run(plan)

    assert first.digest == second.digest
    assert (first.steps, first.marks, first.violation) == (second.steps, second.marks, second.violation)


def test_two_processes_with_two_hash_seeds_see_the_same_world():
    code = ("from interlock.simulation import world\nfrom interlock.simulation.plans import draw\n"
            "for seed in range(5):\n    print(world.run(draw(seed, 'merge', 'world')).digest)")

    found = {subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
                            capture_output=True, text=True, check=True).stdout for seed in ("1", "2")}

    assert len(found) == 1
    assert len(found.pop().split()) == 5


def test_another_seed_of_the_same_workload_is_another_world():
    plans = [directed.a_plan(seed, directed.alert(2 * SECOND), directed.price(8 * SECOND, 14)) for seed in range(6)]

    assert len({world.run(plan).digest for plan in plans}) == 6


def test_a_slow_line_and_a_fast_one_come_to_the_same_trades():
    """Metamorphic: where the system may fall silent between inputs, latency changes when, not what."""
    def trades(latency: tuple[int, int]) -> list[bytes]:
        plan = directed.a_plan(9, directed.alert(2 * SECOND), directed.price(8 * SECOND, 14), latency=latency)
        run = world.World(plan, keeps=True)
        run.run()
        return sorted(event.body for event in run.history.of(Wire) if event.direction == "out" and event.kind == "place")

    slow, fast = trades((150 * MILLISECOND, 180 * MILLISECOND)), trades((MILLISECOND, 2 * MILLISECOND))

    assert len(fast) == 2
    assert slow == fast
