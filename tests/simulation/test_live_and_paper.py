"""Live and paper, two venues, builds and configurations, told as short stories: what the bytes at the venue say."""

from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace
from tests.simulation.corpus.directed import a_plan, alert, flatten_with_one_venue_down, price

from interlock.brokers.safe import SafeBroker
from interlock.engine.live import Live
from interlock.model.command import AccountConfirmed, FlattenEnded
from interlock.model.order import Profile
from interlock.model.record import AccountFrozen, ConfigRead, Started
from interlock.runtime import live
from interlock.simulation.history import Durable, FaultDone, Node, Wire
from interlock.simulation.nodes import SimRemote
from interlock.simulation.plans import SECOND, AtTime, Fault, Plan, Work
from interlock.simulation.world import World

CONDITIONS = ("no phrase", "another phrase", "nobody sits there", "only watches", "the endpoint is on paper", "another account",
              "a record of paper", "a wrong number")


def lived(plan: Plan, *, violates: str = "") -> World:
    world = World(plan, keeps=True)
    violation = world.run().violation
    assert (violation.invariant if violation else "") == violates, violation
    return world


def entries(world: World, *kinds: type) -> list[Any]:
    return [kept.payload for event in world.history.of(Durable) for kept in event.entries if isinstance(kept.payload, kinds)]


def written(world: World, *, since: int = 0, until: int = 1 << 62) -> list[Wire]:
    return [event for event in world.history.of(Wire)
            if event.direction == "out" and event.kind in ("place", "modify") and since <= event.ts < until]


def starting_wrongly(condition: int, scene: str = "live") -> Plan:
    """A desk that trades, is killed, and is started anew with one condition broken; alerts go on. Then it is put right."""
    return a_plan(3, alert(5 * SECOND), price(7 * SECOND, 3),
                  Fault(AtTime(8 * SECOND), "ops.live_start", {"condition": condition, "ms": 9_000}),
                  alert(12 * SECOND, row=1), alert(15 * SECOND, row=1), alert(23 * SECOND, lane="side"), price(26 * SECOND, 20),
                  scene=scene, horizon=32 * SECOND)


def test_a_live_desk_trades_once_each_account_is_confirmed():
    world = lived(a_plan(3, alert(100_000_000), alert(5 * SECOND), price(8 * SECOND, 14), scene="live"))

    confirmed = {entry.account for entry in entries(world, AccountConfirmed)}
    first = next(event.ts for event in world.history.of(Durable)
                 if any(isinstance(kept.payload, AccountConfirmed) for kept in event.entries))
    assert confirmed == {"alfa", "beta", "gama"}
    assert not written(world, until=first)
    assert {event.venue for event in written(world)} == {"live paper"}


@pytest.mark.parametrize("condition", range(8), ids=[name.replace(" ", "_") for name in CONDITIONS])
def test_with_one_condition_broken_no_entry_reaches_the_live_endpoint(condition):
    world = lived(starting_wrongly(condition))

    broken = next(event.ts for event in world.history.of(FaultDone) if event.verb == "ops.live_start")
    if condition != 7:                                 # there the right number follows after three wrong ones
        assert not [event for event in written(world, since=broken, until=broken + 9 * SECOND) if b'"enter"' in event.body]
    assert written(world, until=broken), "before, it traded"
    assert [event for event in written(world, since=broken + 9 * SECOND) if b'"enter"' in event.body], "and it does again"
    assert world.court.witnesses()["INV-24"] > 0


@pytest.mark.parametrize("condition", [4, 5, 6])
def test_a_paper_desk_at_a_live_endpoint_or_record_sends_nothing_there(condition):
    world = lived(starting_wrongly(condition, "brackets"))

    assert all(event.venue == "paper" for event in world.history.of(Wire) if event.direction == "out" and event.kind != "read")


def test_a_venue_that_turns_live_behind_its_address_gets_no_byte_of_an_order():
    world = lived(a_plan(4, alert(2 * SECOND), Fault(AtTime(5 * SECOND), "ops.live_endpoint", {"ms": 8_000}),
                         Work(7 * SECOND, "person.reconnect", {"account": "alfa"}), alert(9 * SECOND, row=1),
                         alert(11 * SECOND, lane="side")))

    assert not [event for event in world.history.of(Wire) if event.direction == "out" and event.venue.startswith("live")]
    assert world.court.witnesses()["INV-24"] > 0


def test_the_oracle_sees_a_paper_desk_that_takes_any_endpoint():
    """Planted: neither the welcome nor what an account tells of its endpoint is looked at, nor does the last room look."""
    sound = Live.on_read
    with ExitStack() as planted:
        planted.enter_context(patch.object(SimRemote, "_check", lambda *_: ""))
        planted.enter_context(patch.object(Live, "on_read", lambda self, read: sound(self, replace(read, endpoint="paper"))))
        lived(starting_wrongly(4, "brackets"))         # SafeBroker's own evidence is left, and is enough
        planted.enter_context(patch.object(SafeBroker, "_check_environment", lambda *_: None))
        lived(starting_wrongly(4, "brackets"), violates="INV-24")


def test_the_oracle_sees_a_desk_that_asks_for_no_key():
    """Planted: a start without the phrase is a start like any other."""
    sound = live.opened

    def opened(mode: str, start: live.Start, **more: Any) -> Any:
        return sound(mode, live.Start("ann", "/dev/pts/1", live.PHRASE), **more)

    with patch.object(live, "opened", opened):
        lived(starting_wrongly(0), violates="INV-24")


def test_a_live_desk_takes_up_a_changed_configuration_once_it_is_approved():
    world = lived(a_plan(5, alert(5 * SECOND), Fault(AtTime(8 * SECOND), "ops.config_change"), alert(22 * SECOND, row=1),
                         scene="live", horizon=30 * SECOND))

    refusals = [event.detail for event in world.history.of(Node) if event.what == "halted"]
    assert len(refusals) == 1
    assert "gate.risk_per_trade: was" in refusals[0]
    assert len({entry.digest for entry in entries(world, ConfigRead)}) == 2
    assert world.court.witnesses()["INV-25"] > 0


def test_the_oracle_sees_a_live_desk_that_compares_no_configuration():
    with patch.object(live, "check_approval", lambda *_: ""):
        lived(a_plan(5, alert(5 * SECOND), Fault(AtTime(8 * SECOND), "ops.config_change"), scene="live"), violates="INV-25")


def test_a_paper_desk_writes_a_changed_configuration_and_another_build_down():
    world = lived(a_plan(6, alert(2 * SECOND), Fault(AtTime(6 * SECOND), "ops.config_change"), alert(10 * SECOND, row=1),
                         Fault(AtTime(14 * SECOND), "ops.old_build"), alert(19 * SECOND, lane="side")))

    assert len({entry.digest for entry in entries(world, ConfigRead)}) == 2
    assert list(dict.fromkeys(entry.build for entry in entries(world, Started))) == ["sim", "sim, as it was"]
    assert world.court.witnesses()["INV-25"] == 2


def test_a_flatten_reaches_every_venue_at_once_and_says_what_became_of_each():
    world = lived(flatten_with_one_venue_down(1))

    begun = next(event.ts for event in world.history.of(Node) if event.what == "ready")
    ended = {entry.account: entry.result for entry in entries(world, FlattenEnded)}
    closes = [event for event in written(world, since=begun) if f'"purpose":"{Profile.FLATTEN.value}"'.encode() in event.body]
    assert ended["gama"] == "flat"
    assert {event.venue for event in closes} >= {"other"}
    assert set(ended) == {"alfa", "beta", "gama"}


def test_a_kill_of_one_account_reaches_nobody_else():
    world = lived(a_plan(2, Work(2 * SECOND, "person.kill", {"account": "gama", "scope": "risk", "who": "ann"}),
                         alert(4 * SECOND, lane="side"), alert(5 * SECOND), scene="two"))

    assert {event.account for event in written(world)} == {"alfa", "beta"}


def test_trouble_at_one_venue_freezes_nothing_at_the_other():
    world = lived(a_plan(2, Fault(AtTime(4 * SECOND), "broker.restart", {"account": "alfa", "ms": 9_000}),
                         alert(7 * SECOND, lane="side"), alert(8 * SECOND), scene="two"))

    frozen = {entry.account for entry in entries(world, AccountFrozen) if entry.code != "start_gate"}
    assert {event.account for event in written(world, until=world.begins + 13 * SECOND)} == {"gama"}
    assert "gama" not in frozen
