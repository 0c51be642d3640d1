"""No verb is an empty word: fired alone, each leaves in the history what a run without it has not."""

from functools import cache
from typing import Final

import pytest
from tests.simulation.corpus.directed import alert, price

from interlock.simulation import core, scenes, world
from interlock.simulation.history import Event, FaultDone, Phase
from interlock.simulation.plans import SECOND, VERBS, AtOperation, AtPoint, AtTime, Fault, Plan, Trigger, Value, Work

HORIZON: Final = 26 * SECOND
WORK: Final = (
    alert(2 * SECOND), price(4 * SECOND, 3), alert(5 * SECOND, row=1, target=0), alert(7 * SECOND, lane="side"),
    Work(12 * SECOND, "person.reconcile", {"account": "", "who": "ann"}), price(14 * SECOND, 6),
    alert(16 * SECOND, action="close"), price(22 * SECOND, -20))
ARGS: Final[dict[str, Value]] = {
    "ms": 3_000, "times": 2, "percent": 50, "lots": 1, "ticks": 40, "check": 1, "scope": "risk", "condition": 0,
    "account": "alfa", "symbol": "MES"}
WHEN: Final[dict[str, Trigger]] = {
    "broker.expire_tif": AtTime(10 * SECOND), "broker.same_exec_id": AtTime(6 * SECOND), "broker.reject_stop": AtTime(1 * SECOND),
    "broker.visibility_delay": AtOperation("wire.place", 1), "signal.replay": AtTime(10 * SECOND),
    "signal.duplicate": AtOperation("signal", 1), "signal.burst": AtOperation("signal", 1),
    "gate.raise": AtTime(1 * SECOND), "gate.none": AtTime(1 * SECOND), "disk.flip": AtTime(12 * SECOND),
    "disk.lock": AtTime(1_900_000_000)}
"""Moments of those verbs that find nothing to strike at the first opportunity."""
BESIDE: Final[dict[str, tuple[Fault, ...]]] = {
    "broker.visibility_delay": (Fault(AtOperation("wire.place", 1), "net.drop_response", {}),
                                Fault(AtOperation("report.accepted", 1), "net.drop_frame", {}),
                                Fault(AtOperation("report.fill", 1), "net.drop_frame", {})),
    "broker.dup_without_report": (Fault(AtOperation("wire.place", 1), "net.drop_request", {}),),
}
"""What has to happen as well, in both runs, for the verb to matter."""
PAIRS: Final = tuple((name, scale) for name, verb in VERBS.items() for scale in ("core", "world")
                     if verb.scale in ("both", scale))
SCENE: Final = {"ops.live_start": "live", "broker.reject_stop": "single"}


def told(scale: str, scene: str, faults: tuple[Fault, ...]) -> list[Event]:
    """Everything that was observed, without the injection itself."""
    plan = Plan(seed=5, profile="directed", scale=scale, scene=scene, begins=scenes.MOMENTS["tuesday"],
                horizon=HORIZON, heal_at=HORIZON, work=WORK, faults=faults)
    run = world.World(plan, keeps=True) if scale == "world" else core.Run(plan, keeps=True)
    run.run()
    return [event for event in run.history.events if not isinstance(event, FaultDone | Phase)]


@cache
def told_without(scale: str, scene: str, beside: str) -> list[Event]:
    return told(scale, scene, BESIDE.get(beside, ()))


def fault(name: str) -> Fault:
    verb = VERBS[name]
    place = next((each for each in verb.at if each), "")
    trigger: Trigger = AtTime(9 * SECOND)
    if "" not in verb.at:
        trigger = AtPoint(place, 3) if place in ("commit.before",) else AtOperation(place, 1)
    return Fault(WHEN.get(name, trigger), name, dict(ARGS))


@pytest.mark.parametrize(("name", "scale"), PAIRS, ids=[f"{name}-{scale}" for name, scale in PAIRS])
def test_a_verb_leaves_a_trace(name, scale):
    scene = SCENE.get(name, "brackets")

    found = told(scale, scene, (*BESIDE.get(name, ()), fault(name)))

    assert found != told_without(scale, scene, name if name in BESIDE else "")
