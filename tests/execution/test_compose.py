"""What goes to a venue for each purpose, and under which ids."""

import pytest
from tests.execution.rig import A, D, intent

from interlock.errors import InputError
from interlock.execution.compose import compose
from interlock.model.ids import client_order_id
from interlock.model.instrument import INSTRUMENTS
from interlock.model.order import Order, OrderType, TimeInForce
from interlock.model.signal import AccountIntent, Intent, Purpose, Side
from interlock.model.verdict import Sized, SizedIntent


def composed(of: Intent, *, brackets: bool = True, quantity: str = "2") -> Order:
    return compose(sized("MNQ", of, quantity), INSTRUMENTS["MNQ"], has_native_brackets=brackets)


def sized(instrument: str, of: Intent, quantity: str = "2") -> SizedIntent:
    return SizedIntent(AccountIntent(of, A), Sized(instrument=instrument, quantity=D(quantity), risk=D(0),
                                                   risk_per_unit=D(0), why=""))


def test_a_bracket_is_one_message_of_entry_stop_and_target():
    order = composed(intent())

    assert [(leg.role, leg.purpose, leg.side, leg.type) for leg in order.legs] == [
        ("entry", Purpose.ENTER, Side.BUY, OrderType.MARKET),
        ("stop", Purpose.PROTECT, Side.SELL, OrderType.STOP),
        ("target", Purpose.TARGET, Side.SELL, OrderType.LIMIT)]
    assert {leg.quantity for leg in order.legs} == {D(2)}
    assert [leg.client_order_id for leg in order.legs] == [
        client_order_id("s1", A, role, 0) for role in ("entry", "stop", "target")]


@pytest.mark.parametrize("wish", [intent(owned=True), intent(target=None)])
def test_a_bracket_has_no_target_when_the_alert_owns_it_or_there_is_none(wish):
    assert [leg.role for leg in composed(wish).legs] == ["entry", "stop"]


def test_without_brackets_an_entry_is_one_leg():
    order = composed(intent(), brackets=False)

    assert [leg.role for leg in order.legs] == ["entry"]
    assert not order.parent.is_reduce_only


@pytest.mark.parametrize(("purpose", "role"), [
    (Purpose.REDUCE, "exit"), (Purpose.FLATTEN, "exit"), (Purpose.TARGET, "target")])
def test_an_exit_is_one_reduce_only_leg(purpose, role):
    leg = composed(intent(Side.SELL, purpose, stop=None, target=None)).parent

    assert (leg.role, leg.type, leg.is_reduce_only) == (role, OrderType.MARKET, True)


def test_what_protects_outlives_the_day():
    order = composed(intent())

    assert [leg.time_in_force for leg in order.legs] == [TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTC]


@pytest.mark.parametrize(("side", "stop", "target", "on_tick"), [
    (Side.BUY, "95.10", "110.10", ("95.25", "110.00")), (Side.SELL, "105.10", "89.90", ("105.00", "90.00"))])
def test_prices_off_the_tick_are_moved_toward_the_market(side, stop, target, on_tick):
    order = composed(intent(side, stop=stop, target=target))

    assert (order.legs[1].stop, order.legs[2].limit) == (D(on_tick[0]), D(on_tick[1]))


def test_a_protection_without_a_stop_is_refused():
    with pytest.raises(InputError, match="needs a stop"):
        composed(intent(Side.SELL, Purpose.PROTECT, stop=None))


def test_the_definition_must_be_the_one_that_was_sized():
    with pytest.raises(InputError, match="MES"):
        compose(sized("MES", intent()), INSTRUMENTS["MNQ"], has_native_brackets=True)
