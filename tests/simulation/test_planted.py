"""Every defect that is put into the wiring of a run is found by an oracle, within the number of seeds that it states."""

import pytest
from tests.simulation import planted

from interlock.simulation import core, plans
from interlock.simulation.core import Parts


def found_within(parts: Parts, invariants: tuple[str, ...], within: int, profile: str = "merge") -> int | None:
    """The first seed that names one of these invariants."""
    for seed in range(within):
        violation = core.run(plans.draw(seed, profile), parts).violation
        if violation is not None and violation.invariant in invariants:
            return seed
    return None


@pytest.mark.parametrize("plant", planted.CORE, ids=lambda plant: plant.name.replace(" ", "_"))
def test_a_planted_defect_is_found(plant):
    with plant.planted() as parts:
        seed = found_within(parts, plant.invariants, plant.within, plant.profile)

    assert seed is not None, f"{plant.name}: not found within {plant.within} seeds"


@pytest.mark.parametrize("name", core.scenes.scene("brackets").terms.checks["enter|alerts"])
def test_a_check_that_is_left_out_is_found(name):
    parts = Parts(setup=planted.without(name))

    assert found_within(parts, ("INV-05",), 10) is not None, f"{name} is missing from a clearance and nobody noticed"


@pytest.mark.parametrize(("names", "invariant", "within"), planted.OPEN, ids=[names[0] for names, _, _ in planted.OPEN])
def test_a_check_that_allows_everything_is_found(names, invariant, within):
    parts = Parts(setup=planted.opened(*names), safe=planted.LaxEntries)

    assert found_within(parts, (invariant,), within) is not None
