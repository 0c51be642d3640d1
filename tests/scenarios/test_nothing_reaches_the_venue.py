"""Attempts to reach the paper venue past the gate, counted in bytes at the venue, through the wiring that `run` builds."""

from decimal import Decimal

import msgspec
import pytest
from tests.scenarios.desk import Desk

from interlock.errors import NotCleared
from interlock.gate.clearance import Signer
from interlock.model.clearance import Clearance
from interlock.model.command import CommandGiven, Kill, Release
from interlock.model.market import MarketState
from interlock.model.money import SECOND
from interlock.model.record import Attempt
from interlock.model.report import WriteRefused


@pytest.fixture
def cleared(desk_of):
    """A desk, and the order that the gate has just cleared for paper-a, with its clearance; neither has left."""
    desk = desk_of()
    kept = desk.withhold()
    desk.post(desk.alert())
    attempt, clearance = next(pair for pair in kept if pair[0].order.account == "paper-a")
    assert desk.order_bytes == 0
    return desk, attempt.order, clearance


def refusal(desk: Desk, order, clearance) -> str:
    """The code with which SafeBroker refuses, having written nothing."""
    before = desk.paper.wire.bytes_by_kind.copy()
    with pytest.raises(NotCleared) as refused:
        desk.run(desk.safe().place(order, clearance))
    assert desk.paper.wire.bytes_by_kind == before, "no byte of any kind arrived"
    assert desk.booked() == {}
    return refused.value.code


def test_the_order_as_it_was_cleared_does_reach_the_venue(cleared):
    desk, order, clearance = cleared

    desk.run(desk.safe().place(order, clearance))

    assert desk.order_bytes > 0, "the refusals below are not for want of a working way"


def test_an_order_without_a_clearance(cleared):
    desk, order, _ = cleared
    assert refusal(desk, order, None) == "clearance.absent"


def test_a_clearance_that_was_used_before(cleared):
    desk, order, clearance = cleared
    desk.run(desk.safe().place(order, clearance))
    before = desk.order_bytes

    with pytest.raises(NotCleared) as refused:
        desk.run(desk.safe().place(order, clearance))

    assert refused.value.code in ("clearance.used", "safe.already_written")
    assert desk.order_bytes == before


def test_a_clearance_that_has_expired(cleared):
    desk, order, clearance = cleared
    desk.clock.set(desk.clock.now() + 2 * SECOND)
    assert refusal(desk, order, clearance) == "clearance.age"


def test_a_clearance_that_was_altered(cleared):
    desk, order, clearance = cleared
    longer = msgspec.structs.replace(clearance.content, expires=clearance.content.expires + 1)
    assert refusal(desk, order, Clearance(longer, clearance.signature)) == "clearance.signature"


def test_a_signature_with_one_bit_turned(cleared):
    desk, order, clearance = cleared
    turned = bytes([clearance.signature[0] ^ 1]) + clearance.signature[1:]
    assert refusal(desk, order, Clearance(clearance.content, turned)) == "clearance.signature"


def test_a_clearance_by_a_foreign_key(cleared):
    desk, order, clearance = cleared
    assert refusal(desk, order, Clearance(clearance.content, Signer().sign(clearance.content))) == "clearance.signature"


def test_a_clearance_of_another_state_directory(cleared, desk_of):
    desk, _, _ = cleared
    other = desk_of(name="other")
    kept = other.withhold()
    other.post(other.alert())
    attempt, clearance = kept[0]
    assert refusal(desk, attempt.order, clearance) in ("clearance.signature", "clearance.state")


def test_a_clearance_for_another_account(cleared):
    desk, order, clearance = cleared
    moved = msgspec.structs.replace(order, account="paper-b")
    assert refusal(desk, moved, clearance) == "clearance.content"


@pytest.mark.parametrize("change", ["quantity", "stop", "side", "instrument"])
def test_a_payload_that_changed_after_signing(cleared, change):
    desk, order, clearance = cleared
    parent, stop, *rest = order.legs
    changed = msgspec.structs.replace
    altered = {
        "quantity": changed(order, legs=(changed(parent, quantity=Decimal(9)), stop, *rest)),
        "stop": changed(order, legs=(parent, changed(stop, stop=Decimal("4000")), *rest)),
        "side": changed(order, legs=(changed(parent, side=parent.side.opposite), stop, *rest)),
        "instrument": changed(order, instrument="MNQ", venue_symbol="MNQ"),
    }[change]

    assert refusal(desk, altered, clearance) == "clearance.content"


def test_bytes_that_a_codec_changed_after_signing(cleared, monkeypatch):
    desk, order, clearance = cleared
    encode = desk.paper.broker.encode

    def bent(asked):
        encoded = encode(asked)
        return msgspec.structs.replace(encoded, body=encoded.body.replace(b'"quantity":"1"', b'"quantity":"8"'))

    monkeypatch.setattr(desk.paper.broker, "encode", bent)
    assert refusal(desk, order, clearance) == "safe.bytes_differ"


def test_a_kill_between_signing_and_writing_stops_every_byte(desk_of):
    desk = desk_of()

    def kill(entries):
        if any(isinstance(entry, Attempt) for entry in entries):
            desk.built.desk.turn(CommandGiven(Kill(why="just now"), "test", "cli", 0))

    desk.during_commit(kill)
    reply = desk.post(desk.alert())
    desk.go(3)

    assert set(desk.codes(reply.signal_id).values()) == {"cleared"}, "the gate had cleared and signed both"
    assert desk.order_bytes == 0
    assert desk.booked() == {}
    refused = desk.entries(WriteRefused)
    assert [(each.account, each.code) for each in refused] == [("paper-a", "safe.kill_moved"), ("paper-b", "safe.kill_moved")]
    assert {row["outcome"] for row in desk.orders(purpose="enter")} == {"rejected"}


def test_a_kill_that_is_released_again_does_not_revive_what_was_signed_before(cleared):
    desk, order, clearance = cleared
    desk.command(Kill(why="news"))
    desk.command(Release(phrase="RELEASE THE KILL", seen=desk.seen("kill.all")))
    assert refusal(desk, order, clearance) == "safe.kill_moved"


def test_a_lease_that_somebody_else_took_stops_every_byte(cleared):
    from interlock.storage.lease import overrule

    desk, order, clearance = cleared
    overrule(desk.directory, "somebody else")
    assert refusal(desk, order, clearance) in ("safe.lease_moved", "safe.epochs_unreadable")


def test_a_market_that_closed_after_signing_stops_an_entry_at_the_last_room_too(cleared):
    desk, order, clearance = cleared
    now = desk.clock.now()
    desk.safe().on_market(MarketState("MES", True, True, now, now))

    assert refusal(desk, order, clearance) == "safe.market_closed"


def test_the_venue_is_reached_by_exactly_the_orders_that_were_cleared(desk_of):
    desk = desk_of()
    for action in ("buy", "close", "sell", "close"):
        desk.post(desk.alert(action))
        desk.go(70)

    cleared = {content.content.client_order_id for content in desk.entries(Clearance)}
    parents = {row[0] for row in desk.in_book("SELECT DISTINCT parent FROM orders")}
    assert parents
    assert parents <= cleared
