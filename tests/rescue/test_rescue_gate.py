"""The small gate: each thing that a flatten must never lack, taken away in turn."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from interlock.errors import InvariantBroken
from interlock.gate.clearance import Signer
from interlock.model.clearance import Epochs
from interlock.model.codes import RESCUE
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.instrument import INSTRUMENTS
from interlock.model.money import SECOND
from interlock.model.order import Leg, Order, OrderType, Profile
from interlock.model.report import AccountRead, BrokerPosition
from interlock.model.signal import Purpose, Side
from interlock.rescue.gate import Refusal, Sight, judge

D = Decimal
MNQ = INSTRUMENTS["MNQ"]
NOW = 1_700_000_000 * SECOND


def order(side: Side = Side.SELL, quantity: str = "2", **more: object) -> Order:
    leg = Leg(client_order_id=ClientOrderId("x"), role="exit", purpose=Purpose.FLATTEN, side=side, quantity=D(quantity),
              type=OrderType.MARKET, is_reduce_only=True)
    return Order(account=AccountName("paper-1"), instrument="MNQ", venue_symbol="MNQ", legs=(replace(leg, **more),),
                 signal_id=SignalId("s"), lane=LaneName("rescue"), strategy=StrategyName("rescue"))


READ = AccountRead(AccountName("paper-1"), "PAPER-0001", D(50_000), "USD", (BrokerPosition("MNQ", D(2)),), (), (), NOW, 1)
SIGHT = Sight("anna", "PAPER-0001", 7, READ, NOW, NOW + SECOND, D(0))


def code(refusal: Refusal | None) -> str:
    return refusal.code if refusal is not None else ""


def test_an_exit_of_what_is_held_that_a_person_confirmed_is_allowed():
    assert judge(order(), MNQ, SIGHT) is None


@pytest.mark.parametrize(("sight", "refused"), [
    (replace(SIGHT, person=""), "rescue.not_confirmed"),
    (replace(SIGHT, epoch=None), "rescue.no_fence"),
    (replace(SIGHT, shown_id="PAPER-0002"), "rescue.account_moved"),
    (replace(SIGHT, read=replace(READ, account=AccountName("paper-2"))), "rescue.account_moved"),
    (replace(SIGHT, now=NOW + 3 * SECOND), "rescue.position_old"),
    (replace(SIGHT, now=NOW - 1), "rescue.position_old"),
    (replace(SIGHT, read=replace(READ, positions=())), "rescue.not_reducing"),
    (replace(SIGHT, read=replace(READ, positions=(BrokerPosition("MNQ", D(-2)),))), "rescue.not_reducing"),
    (replace(SIGHT, read=replace(READ, positions=(BrokerPosition("MES", D(2)),))), "rescue.not_reducing"),
    (replace(SIGHT, working=D(1)), "rescue.not_reducing"),
])
def test_whatever_is_missing_refuses(sight, refused):
    assert code(judge(order(), MNQ, sight)) == refused


@pytest.mark.parametrize("changed", [
    order(quantity="3"), order(Side.BUY), order(is_reduce_only=False), order(purpose=Purpose.ENTER),
    order(purpose=Purpose.REDUCE),
    order(type=OrderType.LIMIT, limit=D(1)), replace(order(), replaces=ClientOrderId("y"))])
def test_an_order_that_does_not_only_close_what_is_held_is_refused(changed):
    assert code(judge(changed, MNQ, SIGHT)) == "rescue.not_reducing"


@pytest.mark.parametrize(("made", "instrument"), [(order(quantity="1.5"), MNQ), (order(), None), (order(), INSTRUMENTS["MES"])])
def test_what_is_no_instrument_or_no_lot_is_refused(made, instrument):
    assert code(judge(made, instrument, SIGHT)) == "rescue.instrument"


def test_the_rescue_has_a_key_for_flatten_and_for_nothing_else():
    signer = Signer(profiles=(Profile.FLATTEN,))

    assert set(signer.public_keys()) == {Profile.FLATTEN}
    signer.issue(order(), Profile.FLATTEN, 1, 1, bytes(32), Epochs(0, 7, 0), "state", NOW)
    with pytest.raises(InvariantBroken):
        signer.issue(order(purpose=Purpose.ENTER), Profile.ENTER, 1, 1, bytes(32), Epochs(0, 7, 0), "state", NOW)


def test_every_code_of_the_gate_is_in_the_catalogue():
    known = {each.code for each in RESCUE}

    assert {"rescue.not_confirmed", "rescue.no_fence", "rescue.account_moved", "rescue.position_old", "rescue.not_reducing",
            "rescue.instrument"} <= known
