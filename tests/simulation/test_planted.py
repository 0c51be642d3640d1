"""Every defect that is put into the wiring of a run is found by an oracle, within the number of seeds that it states."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from tests.simulation import planted
from tests.simulation.corpus import directed
from tests.simulation.corpus.defects import DEFECTS

from interlock.gate import judge as judging
from interlock.simulation import core, oracles, scenes, world
from interlock.simulation.core import Parts
from interlock.simulation.history import Violation
from interlock.simulation.plans import Plan, draw

ROOT = Path(__file__).parents[2]
ENTER = scenes.scene("brackets").terms.checks["enter|alerts"]


def judged(plan: Plan, parts: Parts, invariant: str) -> Violation | None:
    """What the oracles of one invariant say of a run, with nobody else in court."""
    with patch.object(core, "CORE", tuple(kind for kind in oracles.ALL if kind.invariant == invariant)):
        return core.run(plan, parts).violation


def found_within(parts: Parts, invariant: str, within: int, plan: Callable[[int], Plan] = draw) -> int | None:
    """The first seed at which the oracles of this invariant object."""
    return next((seed for seed in range(within) if judged(plan(seed), parts, invariant) is not None), None)


@pytest.mark.parametrize("plant", planted.CORE, ids=lambda plant: plant.name.replace(" ", "_"))
def test_a_planted_defect_is_found(plant):
    with plant.planted() as parts:
        seed = found_within(parts, plant.invariant, plant.within, plant.plan)

    assert seed is not None, f"{plant.name}: not found within {plant.within} seeds"
    assert core.run(plant.plan(seed)).violation is None, "the same seed is clean without the defect"


@pytest.mark.parametrize("plant", planted.WORLD, ids=lambda plant: plant.name.replace(" ", "_"))
def test_a_planted_defect_of_a_whole_process_is_found(plant):
    kinds, found = tuple(kind for kind in oracles.ALL if kind.invariant == plant.invariant), None
    for seed in range(plant.within):
        with plant.planted():
            found = world.World(plant.plan(seed), kinds=kinds).run().violation
        if found is not None:
            break

    assert found is not None, f"{plant.name}: not found within {plant.within} seeds"
    assert world.run(plant.plan(seed)).violation is None, "the same seed is clean without the defect"


def test_everything_that_must_be_findable_has_its_finder():
    known = {f"core: {plant.name}" for plant in planted.CORE} | {f"world: {name}" for name in DEFECTS}
    known |= {f"world: {plant.name}" for plant in planted.WORLD}

    for defect, finder in planted.LIST.items():
        path, _, name = finder.partition("::")
        assert finder in known or f"def {name}(" in (ROOT / path).read_text(), f"{defect}: there is no {finder}"


@pytest.mark.parametrize("name", ENTER)
def test_a_check_that_is_left_out_is_found(name):
    parts = Parts(setup=planted.without(name))

    assert found_within(parts, "INV-05", 10) is not None, f"{name} is missing from a clearance and nobody noticed"


@pytest.mark.parametrize("how", ["gate.raise", "gate.none"])
@pytest.mark.parametrize("name", ENTER)
def test_a_check_that_fails_open_is_found(name, how):
    plan = directed.broken(ENTER.index(name), how)(1)

    with patch.object(judging, "ask", planted.failing_open(name)):
        assert judged(plan, core.SOUND, "INV-05") is not None, f"{name} was broken, and an entry was cleared"
    assert core.run(plan).violation is None, "the same plan is clean where a broken check refuses"


@pytest.mark.parametrize(("names", "invariant", "within", "plan"), planted.OPEN, ids=[names[0] for names, *_ in planted.OPEN])
def test_a_check_that_allows_everything_is_found(names, invariant, within, plan):
    parts = Parts(setup=planted.opened(*names), safe=planted.LaxEntries)

    seed = found_within(parts, invariant, within, plan)

    assert seed is not None
    assert core.run(plan(seed)).violation is None, "the same seed is clean without the defect"
