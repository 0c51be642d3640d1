"""Processes of the world: killed, paused, stopped, doubled, on disks that fail and lines that die. Told as short stories."""

from typing import Any, TypeVar

import pytest
from tests.simulation.corpus.directed import a_plan, alert, price

from interlock.model.record import Attempt, OrderDropped, Started, Stopped
from interlock.model.report import LineChanged
from interlock.simulation.history import Durable, Event, Lease, Lost, Node, Recovered, VenueFill, Wire
from interlock.simulation.plans import SECOND, AtOperation, AtPoint, AtTime, Fault, Plan
from interlock.simulation.world import World

E = TypeVar("E", bound=Event)


def lived(plan: Plan) -> World:
    """The world after a run of the plan, in which nothing was violated."""
    world = World(plan, keeps=True)
    result = world.run()
    assert result.violation is None
    return world


def nodes(world: World, name: str = "engine") -> list[str]:
    return [event.what for event in world.history.of(Node) if event.node == name]


def entries(world: World, *kinds: type) -> list[Any]:
    return [kept.payload for event in world.history.of(Durable) for kept in event.entries if isinstance(kept.payload, kinds)]


def written(world: World) -> list[Wire]:
    return [event for event in world.history.of(Wire) if event.direction == "out" and event.kind in ("place", "modify")]


def test_a_process_killed_before_its_commit_has_sent_nothing_and_begins_again():
    world = lived(a_plan(1, alert(2 * SECOND), Fault(AtPoint("commit.before", 4), "proc.kill9", {"ms": 1500})))

    assert nodes(world) == ["start", "ready", "crash", "start", "ready", "stop", "exit"]
    assert not [lost for lost in world.history.of(Lost) for payload in lost.payloads if isinstance(payload, Stopped)]
    assert [started.was_clean for started in entries(world, Started)] == [True, False]


@pytest.mark.parametrize("seed", range(6))
def test_a_process_killed_between_its_commit_and_its_write_drops_the_order_and_does_not_repeat_it(seed: int):
    world = lived(a_plan(seed, alert(2 * SECOND), Fault(AtPoint("egress.before_write", 1), "proc.kill9", {"ms": 1000})))

    ids = [attempt.client_order_id for attempt in entries(world, Attempt)]
    assert "crash" in nodes(world)
    assert len(ids) == len(set(ids))
    assert len(written(world)) + len(entries(world, OrderDropped)) <= len(ids)


@pytest.mark.parametrize("seed", range(6))
def test_a_process_killed_before_the_answer_finds_out_what_became_of_its_order(seed: int):
    world = lived(a_plan(seed, alert(2 * SECOND), Fault(AtPoint("egress.after_write", 1), "proc.kill9", {"ms": 1000})))

    asked = [event for event in world.history.of(Wire) if event.direction == "out" and event.kind == "lookup"]
    assert asked, "the restart asks the venue about what has no answer"
    assert len({event.body for event in written(world)}) == len(written(world)), "nothing is written twice"


def test_a_killed_process_writes_no_farewell():
    world = lived(a_plan(2, alert(2 * SECOND), Fault(AtTime(5 * SECOND), "proc.kill9", {"ms": 2000})))

    crash = next(event.ts for event in world.history.of(Node) if event.what == "crash")
    told = [event.ts for event in world.history.of(Durable) if any(isinstance(kept.payload, Stopped) for kept in event.entries)]
    assert len(told) == 1, "only the stop at the end of the run"
    assert told[0] > crash


def test_a_restart_folds_its_record_into_the_state_that_had_been_live():
    compared = 0
    for point in range(4, 16):
        world = lived(a_plan(3, alert(2 * SECOND), price(6 * SECOND, 14), alert(8 * SECOND, row=1),
                             Fault(AtPoint("commit.after", point), "proc.kill9", {"ms": 500}),
                             Fault(AtTime(14 * SECOND), "proc.sigterm")))
        found = [event for event in world.history.of(Recovered) if event.state]
        assert all(event.state == event.replayed for event in found)
        compared += len(found)

    assert compared >= 12, "nothing was under way when it ended"


def test_a_process_asked_to_stop_ends_in_order_and_gives_its_lease_back():
    world = lived(a_plan(4, alert(2 * SECOND), Fault(AtTime(6 * SECOND), "proc.sigterm")))

    assert nodes(world)[:4] == ["start", "ready", "stop", "exit"]
    assert next(stopped.why for stopped in entries(world, Stopped)) == "it was asked to stop"
    assert [event.what for event in world.history.of(Lease)][:2] == ["taken", "released"]


def test_a_process_that_slept_past_its_lease_ends_and_the_next_one_writes_under_a_higher_epoch():
    world = lived(a_plan(5, alert(SECOND), Fault(AtTime(4 * SECOND), "proc.pause", {"ms": 18_000}),
                         alert(23 * SECOND, action="close"), horizon=40 * SECOND))

    leases = [(event.what, event.epoch) for event in world.history.of(Lease)]
    expired = next(event.ts for event in world.history.of(Lease) if event.what == "expired")
    taken = next(event.ts for event in world.history.of(Lease) if event.epoch == 2)
    assert leases[:2] == [("taken", 1), ("expired", 1)]
    assert not [event for event in written(world) if expired < event.ts < taken]
    assert "halted" in nodes(world)


def test_a_process_that_slept_for_less_goes_on():
    world = lived(a_plan(6, alert(SECOND), Fault(AtTime(4 * SECOND), "proc.pause", {"ms": 5_000}), price(12 * SECOND, 14)))

    assert nodes(world)[:4] == ["start", "ready", "pause", "resume"]
    assert nodes(world).count("start") == 1


def test_a_second_process_on_the_same_state_directory_does_not_start():
    world = lived(a_plan(7, alert(2 * SECOND), Fault(AtTime(4 * SECOND), "proc.second_instance", {"ms": 0})))

    assert nodes(world, "engine-2") == ["start", "halted", "exit"]
    assert [event.node for event in world.history.of(Lease) if event.what == "taken"] == ["engine"]
    assert nodes(world).count("start") == 1


def test_a_second_process_does_not_start_while_the_first_is_suspended():
    """The lock is the suspended process's still; only the rescue goes over its head."""
    world = lived(a_plan(8, Fault(AtTime(3 * SECOND), "proc.pause", {"ms": 18_000}),
                         Fault(AtTime(20 * SECOND), "proc.second_instance", {"ms": 0}), horizon=36 * SECOND))

    assert nodes(world, "engine-2") == ["start", "halted", "exit"]


def test_a_full_disk_halts_the_desk_and_nothing_leaves():
    world = lived(a_plan(9, Fault(AtTime(3 * SECOND), "disk.enospc"), alert(5 * SECOND), horizon=12 * SECOND))

    assert "halted" in nodes(world)
    assert not written(world)
    assert world.node is not None
    assert world.node.number > 1, "when there is room again, it starts"


def test_a_failed_sync_halts_the_desk_and_what_it_covered_never_leaves():
    world = lived(a_plan(10, alert(2 * SECOND), Fault(AtOperation("sync", 14), "disk.eio"), alert(9 * SECOND, row=1)))

    durable = {attempt.client_order_id for attempt in entries(world, Attempt)}
    assert "halted" in nodes(world)
    assert all(any(each in event.body.decode() for each in durable) for event in written(world))


def test_a_damaged_journal_refuses_to_start():
    world = lived(a_plan(11, alert(2 * SECOND), price(6 * SECOND, 14), alert(9 * SECOND, row=1),
                         Fault(AtTime(14 * SECOND), "disk.flip"), Fault(AtTime(16 * SECOND), "proc.kill9", {"ms": 500})))

    assert nodes(world)[-1] == "refused"
    assert [event.refused for event in world.history.of(Recovered)][-1].startswith("journal.log: the frame at byte")


def test_what_the_power_cut_tore_is_cut_away_and_nothing_acknowledged_is_lost():
    for seed in range(8):
        world = lived(a_plan(seed, alert(2 * SECOND), Fault(AtPoint("commit.before", 5), "proc.kill9", {"ms": 500})))
        assert nodes(world)[-1] == "exit"


def test_a_dead_line_is_noticed_and_opened_again_by_a_person():
    world = lived(a_plan(12, alert(2 * SECOND, lane="side"), Fault(AtTime(6 * SECOND), "net.reset", {"ms": 3_000}),
                         horizon=20 * SECOND))

    ups = [line.is_up for line in entries(world, LineChanged) if line.account == "gama"]
    assert ups == [True, False, True]


def test_a_process_of_the_venue_goes_on_while_ours_is_stopped():
    """The target is met at the venue while the process is suspended; the restart finds out."""
    world = lived(a_plan(13, alert(2 * SECOND), Fault(AtTime(5 * SECOND), "proc.pause", {"ms": 18_000}), price(10 * SECOND, 14),
                         horizon=40 * SECOND))

    pause, resume = (next(event.ts for event in world.history.of(Node) if event.what == what) for what in ("pause", "resume"))
    assert [fill for fill in world.history.of(VenueFill) if pause < fill.ts < resume]
    assert not world.court.facts.positions.get(("alfa", "MES"))
