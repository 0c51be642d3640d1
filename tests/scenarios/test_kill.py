"""A kill in every state an order can be in: nothing more leaves, what is out is called back, and the broker's list proves it."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.scenarios.desk import Desk, configured, fault
from tests.scenarios.test_when_things_go_wrong import BOTH, EMULATED, PROTECTED, alarms

from interlock.brokers.paper.frames import LegFrame, PlaceFrame
from interlock.engine.questions import kill_id, question
from interlock.errors import OutcomeUnknown
from interlock.model.command import CommandGiven, Kill, KillProved, Release
from interlock.model.ids import AccountName
from interlock.model.money import SECOND
from interlock.model.order import OrderType, TimeInForce
from interlock.model.record import AlarmCleared, Attempt, CancelRequested
from interlock.model.report import WriteRefused
from interlock.model.signal import Purpose, Side

A, B = (AccountName(name) for name in BOTH)
SLOW = {"latency_ms = 250 ": "latency_ms = 4000 "}


def proofs(desk, account: str = A) -> list[bool]:
    return [each.is_clean for each in desk.entries(KillProved) if each.account == account]


def entries_sent(desk) -> int:
    return sum(each.order.purpose is Purpose.ENTER for each in desk.entries(Attempt))


def live_at_the_venue(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.in_book("SELECT account, role FROM orders WHERE state <> 'closed'")


def release(desk: Desk) -> dict[str, Any]:
    asked = question(desk.built.engine, kill_id(None, None))
    return desk.command(Release(phrase="RELEASE THE KILL", seen="" if asked is None else asked.digest))


def state(desk, purpose: str = "enter") -> set[str]:
    return {row["state"] for row in desk.orders(purpose=purpose)}


def test_nothing_out_is_clean_at_once_and_says_so(desk_of):
    desk = desk_of()

    desk.command(Kill(why="news"))
    desk.go(1)

    assert (proofs(desk, A), proofs(desk, B)) == ([True], [True])


def test_cleared_and_not_yet_written(desk_of):
    """The kill falls between the commit and the wire."""
    desk = desk_of()

    def kill(entries):
        if any(isinstance(each, Attempt) for each in entries):
            desk.built.desk.turn(CommandGiven(Kill(why="just now"), "test", "cli", 0))

    desk.during_commit(kill)
    desk.post(desk.alert())
    desk.go(8)

    assert desk.order_bytes == 0
    assert [each.code for each in desk.entries(WriteRefused)] == ["safe.kill_moved"] * 2
    assert proofs(desk)[-1]


@pytest.mark.parametrize("seconds", [0.0, 0.5, 3.5], ids=["in flight", "on its way", "about to fill"])
def test_in_flight(desk_of, seconds):
    desk = desk_of(configured(replace=SLOW))
    desk.post(desk.alert())
    desk.go(seconds)
    assert state(desk) <= {"in_flight", "working"}

    told = desk.command(Kill(why="news"))
    assert len(told["orders_to_cancel"]) == 2
    desk.go(20)

    assert state(desk) == {"closed"}
    held = desk.booked()
    assert desk.positions() == {key: (quantity, quantity) for key, quantity in held.items()}, "what filled first is protected"
    assert proofs(desk)[-1]
    assert {role for _, role in live_at_the_venue(desk)} <= {"stop", "target"}
    assert entries_sent(desk) == 2


def test_partly_filled(desk_of):
    desk = desk_of(configured(more=fault("fill", "partial", nth=0, fraction="0.5") + "\n"))
    desk.post(desk.alert(stop="4546"))
    desk.go(0.5)

    desk.command(Kill(why="news"))
    desk.go(10)

    assert state(desk) == {"closed"}
    assert desk.positions() == {key: (quantity, quantity) for key, quantity in desk.booked().items()}
    assert proofs(desk)[-1]


def test_in_doubt(desk_of):
    """The venue took the order, and nobody heard of it; then the order shows itself."""
    desk = desk_of(configured(replace=SLOW, more=fault("place", "drop_response", nth=0)))
    broker = desk.safe(A)._broker
    lookup, heard, desk.paper.wire._on_frame = broker.lookup, desk.paper.wire._on_frame, None

    async def unanswered(account, order):
        raise OutcomeUnknown("no answer")

    broker.lookup = unanswered
    desk.post(desk.alert())
    assert state(desk) == {"in_doubt"}

    desk.command(Kill(why="news"))
    broker.lookup, desk.paper.wire._on_frame = lookup, heard
    desk.go(20)

    assert state(desk) == {"closed"}
    assert proofs(desk)[-1]
    assert desk.positions() == {key: (quantity, quantity) for key, quantity in desk.booked().items()}
    assert entries_sent(desk) == 2, "nothing was sent a second time"


def test_cancel_pending(desk_of):
    """The venue refuses the first cancel; the kill does not take that for an answer."""
    desk = desk_of(configured(replace=SLOW, more=fault("cancel", "drop_request", nth=1)))
    desk.post(desk.alert())
    desk.go(0.5)

    desk.command(Kill(why="news"))
    desk.go(20)

    assert state(desk) == {"closed"}
    assert proofs(desk)[-1]


def test_filled_and_not_yet_protected(desk_of):
    """A kill between the entry's fill and its stop does not stop the stop."""
    desk = desk_of(configured(replace=EMULATED))
    desk.post(desk.alert())
    while not desk.booked():
        desk.go(0.5)

    desk.command(Kill(why="news"))
    desk.go(8)

    assert desk.positions() == PROTECTED
    assert proofs(desk)[-1]


def test_an_order_that_surfaces_after_the_list_is_cancelled_and_proven_again(desk_of):
    desk = desk_of()
    desk.command(Kill(why="news"))
    desk.go(1)
    assert proofs(desk) == [True]

    leg = LegFrame(id="late", role="entry", purpose=Purpose.ENTER, side=Side.BUY, quantity=Decimal(1), type=OrderType.LIMIT,
                   limit=Decimal(4000), tif=TimeInForce.GTC)
    desk.paper.venue.handle("place", msgspec.json.encode(PlaceFrame(A, "MES", [leg])))
    desk.go(70)

    assert "late" in [each.client_order_id for each in desk.entries(CancelRequested)]
    assert proofs(desk)[-1]
    assert live_at_the_venue(desk) == []


def test_scope_all_takes_the_stops_and_names_what_is_left(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(3)

    told = desk.command(Kill(why="everything", scope="all"))
    desk.go(30)

    assert {row["instrument"] for row in told["positions"]} == {"MES"}
    assert live_at_the_venue(desk) == []
    assert desk.positions() == {(account, "MES"): ("1", "0") for account in BOTH}, "the keeper puts nothing back"
    assert {f"killed_open.{account}" for account in BOTH} <= set(alarms(desk))
    assert [each.notional is not None for each in desk.entries(KillProved)][-1], "and what it is worth"
    assert proofs(desk)[-1]


def test_a_dead_line_leaves_the_kill_unproven_and_a_person_called(desk_of):
    desk = desk_of(configured(more=fault("read", "drop_response", nth=0)))
    desk.command(Kill(why="news"))
    desk.go(15)

    assert proofs(desk) == [False]
    assert f"kill.{A}" in alarms(desk)
    told = desk.post(desk.alert())
    desk.go(2)
    assert set(desk.codes(told.signal_id).values()) == {"killed"}


def test_it_survives_a_crash_and_is_proven_by_the_next_process(desk_of):
    desk = desk_of(configured(replace=SLOW))
    desk.post(desk.alert())
    desk.go(0.5)
    desk.command(Kill(why="news"))
    desk.crash()
    desk.clock.set(desk.clock.now() + 5 * SECOND)

    desk = desk.again()
    desk.go(30)

    assert desk.board()["killed"]
    assert state(desk) == {"closed"}
    assert proofs(desk)[-1]
    assert desk.positions() == {key: (quantity, quantity) for key, quantity in desk.booked().items()}
    assert entries_sent(desk) == 2
    desk.crash()


def test_a_release_ends_what_the_kill_was_calling_about(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(3)
    desk.command(Kill(why="news"))
    desk.go(2)

    assert release(desk)["ok"]
    desk.go(2)

    assert {f"killed_open.{account}" for account in BOTH} <= {each.key for each in desk.entries(AlarmCleared)}


def test_a_stop_that_protects_nothing_is_no_protection_to_keep(desk_of):
    """Whatever somebody else calls it: without a position under it, it opens one."""
    desk = desk_of()
    leg = LegFrame(id="by-hand", role="stop", purpose=Purpose.PROTECT, side=Side.SELL, quantity=Decimal(1), type=OrderType.STOP,
                   stop=Decimal(4540), tif=TimeInForce.GTC)
    desk.paper.venue.handle("place", msgspec.json.encode(PlaceFrame(A, "MES", [leg])))
    desk.go(1)

    desk.command(Kill(why="news"))
    desk.go(20)

    assert live_at_the_venue(desk) == []
    assert proofs(desk)[-1]
