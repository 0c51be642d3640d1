"""Stops of a venue without brackets: placed with each fill, sized to what is held, never missing for long."""

import pytest
from tests.execution.rig import A, D, Rig, profile
from tests.execution.test_brackets import linked

from interlock.execution.state import TRIES_MAX
from interlock.model.ids import BrokerOrderId
from interlock.model.money import SECOND
from interlock.model.order import OrderType, Outcome
from interlock.model.record import AccountThawed, AlarmCleared, ExitBegun
from interlock.model.report import CancelRejected, OrderExpired, OrderFilled, OrderFound, WriteUnknown
from interlock.model.signal import Purpose, Side

NAME = "protection.paper-1.MNQ"


def entered(rig: Rig, quantity: str = "3") -> None:
    """An entry of three that has filled by `quantity`, and the first stop accepted."""
    order = rig.enter()
    rig.accept(order.client_order_id)
    rig.fill(order.client_order_id, quantity)
    rig.accept(rig.sent[-1].client_order_id)


def test_a_fill_is_protected_at_once_by_what_was_filled():
    rig = Rig(profile())
    order = rig.enter()

    rig.fill(order.client_order_id, "1")

    stop = rig.sent[-1].parent
    assert (stop.purpose, stop.side, stop.quantity, stop.stop) == (Purpose.PROTECT, Side.SELL, D(1), D(95))
    assert stop.type is OrderType.STOP
    assert stop.is_reduce_only


def test_a_growing_position_replaces_its_stop_in_the_venues_own_call():
    rig = Rig(profile(replace=True))
    entered(rig, "1")
    first = rig.sent[-1]

    rig.fill(rig.sent[0].client_order_id, "2")

    second = rig.sent[-1]
    assert second.replaces == first.client_order_id
    assert second.parent.quantity == D(3)
    assert rig.cancels == [], "the old stop is never cancelled by hand"
    rig.accept(second.client_order_id)
    assert [stop.leg.client_order_id for stop in rig.stops()] == [second.client_order_id]
    assert rig.execution.next_wake is None, "whole again, so nothing is due"


def test_a_growing_position_waits_for_the_answer_about_its_stop_before_replacing_it():
    rig = Rig(profile(replace=True))
    order = rig.enter()
    rig.fill(order.client_order_id, "1")
    rig.fill(order.client_order_id, "2")
    assert len(rig.sent) == 2, "an order without an answer cannot be replaced"

    rig.accept(rig.sent[1].client_order_id)

    assert rig.sent[2].parent.quantity == D(3)


def test_without_replace_a_further_stop_covers_the_increment():
    rig = Rig(profile(replace=False))
    entered(rig, "1")

    rig.fill(rig.sent[0].client_order_id, "2")
    rig.accept(rig.sent[-1].client_order_id)

    assert sorted(stop.leg.quantity for stop in rig.stops()) == [D(1), D(2)]
    assert rig.cancels == []
    assert len({stop.leg.client_order_id for stop in rig.stops()}) == 2


def test_a_stop_that_does_not_answer_raises_the_alarm_after_two_seconds():
    rig = Rig(profile())
    rig.fill(rig.enter().client_order_id, "3")

    rig.after(2 * SECOND - 1)
    assert rig.alarms() == []
    rig.after(1)

    assert rig.alarms() == [NAME]
    assert rig.freezes() == ["protection.MNQ"]
    rig.accept(rig.sent[-1].client_order_id)
    assert any(isinstance(item, AlarmCleared) and item.key == NAME for item in rig.out)
    assert any(isinstance(item, AccountThawed) for item in rig.out)


def test_an_order_in_doubt_is_not_placed_again():
    rig = Rig(profile())
    rig.fill(rig.enter().client_order_id, "3")
    stop = rig.sent[-1].client_order_id

    rig.feed(WriteUnknown(A, stop, 1, "no answer"))
    rig.after(60 * SECOND)

    assert len(rig.sent) == 2, "one entry, one stop"
    assert set(rig.lookups) == {stop}
    assert NAME in rig.standing()


def test_a_rejected_stop_is_placed_again_under_a_new_id_a_few_times():
    rig = Rig(profile())
    rig.fill(rig.enter().client_order_id, "3")

    for _ in range(TRIES_MAX + 3):
        if rig.stops():
            rig.rejected(rig.stops()[0].leg.client_order_id)
        rig.after(10 * SECOND)

    stops = [order.client_order_id for order in rig.sent[1:]]
    assert len(stops) == TRIES_MAX
    assert len(set(stops)) == TRIES_MAX
    assert NAME in rig.standing()


def test_a_rejected_stop_whose_price_is_passed_becomes_an_exit():
    rig = Rig(profile())
    rig.fill(rig.enter().client_order_id, "3")
    rig.quote("94", "94.25")

    rig.rejected(rig.sent[-1].client_order_id)
    rig.after(SECOND)

    leaving = rig.sent[-1].parent
    assert (leaving.purpose, leaving.type, leaving.quantity) == (Purpose.REDUCE, OrderType.MARKET, D(3))


def test_an_expired_stop_is_placed_again():
    rig = Rig(profile())
    entered(rig)
    rig.feed(OrderExpired(A, rig.sent[-1].client_order_id, rig.ts))
    rig.after(SECOND)

    assert [order.parent.quantity for order in rig.sent[1:]] == [D(3), D(3)]


def test_a_stop_that_a_person_removed_is_only_alarmed():
    rig = Rig(profile())
    entered(rig)

    rig.cancelled(rig.sent[-1].client_order_id)
    rig.after(60 * SECOND)

    assert len(rig.sent) == 2
    assert NAME in rig.standing()


def test_a_refused_protection_is_asked_for_again_later_and_not_in_a_loop():
    rig = Rig(profile())
    rig.refuse.add(Purpose.PROTECT)
    rig.fill(rig.enter().client_order_id, "3")
    rig.after(60 * SECOND)

    asked = [item for item in rig.out if getattr(item, "intent", None) is not None]
    assert len(asked) == TRIES_MAX
    assert NAME in rig.standing()


def test_a_stop_larger_than_the_position_shrinks():
    rig = Rig(profile(replace=True))
    entered(rig)
    manual = rig.record(rig.sent[0].client_order_id)

    rig.feed(OrderFilled(A, "someone", "m1", "MNQ", Side.SELL, D(2), D(100), D(0), rig.ts))  # type: ignore[arg-type]

    assert manual.filled == D(3)
    assert rig.position() == D(1)
    assert (rig.sent[-1].replaces, rig.sent[-1].parent.quantity) == (rig.sent[1].client_order_id, D(1))
    assert "orders.unknown.someone" in rig.alarms()


def test_a_stop_larger_than_the_position_that_cannot_shrink_stays_and_is_alarmed():
    rig = Rig(profile(replace=False))  # cancelled, the position would stand naked; both are a person's to choose between
    entered(rig)
    stop = rig.sent[1].client_order_id

    rig.feed(OrderFilled(A, "someone", "m1", "MNQ", Side.SELL, D(2), D(100), D(0), rig.ts))  # type: ignore[arg-type]
    rig.after(60 * SECOND)

    assert stop not in rig.cancels
    assert NAME in rig.standing()


def test_a_cancel_that_was_refused_is_not_asked_for_again_in_the_same_breath():
    rig = Rig(profile(replace=False))
    order = rig.enter()
    rig.accept(order.client_order_id)
    rig.fill(order.client_order_id, "1")
    rig.accept(rig.sent[-1].client_order_id)
    rig.fill(order.client_order_id, "2")
    rig.accept(rig.sent[-1].client_order_id)          # stops of one and of two
    rig.feed(OrderFilled(A, "someone", "m1", "MNQ", Side.SELL, D(2), D(100), D(0), rig.ts))  # type: ignore[arg-type]
    (asked,) = rig.cancels

    for _ in range(10):
        rig.feed(CancelRejected(A, asked, "no", rig.ts))

    assert rig.cancels == [asked]
    rig.after(600 * SECOND)
    assert 1 < rig.cancels.count(asked) <= TRIES_MAX
    assert f"cancel.{asked}" in rig.standing()


def test_a_stop_that_is_refused_twice_is_alarmed_at_once():
    rig = Rig(profile())
    rig.fill(rig.enter().client_order_id, "3")

    rig.rejected(rig.stops()[0].leg.client_order_id)
    rig.after(SECOND)
    assert NAME not in rig.standing()
    rig.rejected(rig.stops()[0].leg.client_order_id)

    assert NAME in rig.standing()


def test_two_seconds_without_a_stop_are_two_seconds_however_often_it_was_refused():
    rig = Rig(profile())
    rig.fill(rig.enter().client_order_id, "3")
    rig.after(SECOND)
    rig.rejected(rig.stops()[0].leg.client_order_id)

    rig.after(SECOND - 1)
    assert NAME not in rig.standing()
    rig.after(1)

    assert NAME in rig.standing()


def test_a_stop_that_a_look_up_found_filled_is_not_placed_again_before_its_executions_have_come():
    rig = Rig(profile())
    entered(rig)
    stop = rig.sent[-1].client_order_id

    rig.feed(OrderFound(A, stop, BrokerOrderId("b"), D(3), Outcome.FILLED, rig.ts))
    rig.after(SECOND)
    assert len(rig.sent) == 2
    rig.fill(stop, "3", "95")

    assert (len(rig.sent), rig.position()) == (2, D(0))


def test_a_target_that_the_broker_lists_without_a_position_goes_at_the_second_reading():
    rig = Rig(profile(brackets=True))
    _, stop, target = linked(rig)
    rig.fill(stop, "2", "95")
    rig.cancelled(stop)                # somebody else has sold the third

    rig.read(rig.listed(target))
    assert target not in rig.cancels, "one list may have crossed a report"
    rig.after(3 * SECOND)
    rig.read(rig.listed(target))

    assert target in rig.cancels


def test_a_broker_that_lists_no_stop_is_asked_again_and_then_alarmed():
    rig = Rig(profile())
    entered(rig)
    stop = rig.sent[-1].client_order_id

    rig.read(position="3")
    assert rig.alarms() == [], "one list may have crossed a report"
    rig.after(3 * SECOND)
    assert rig.reads() == 1
    rig.read(position="3")

    assert rig.alarms() == [NAME]
    rig.after(5 * SECOND)
    rig.read(position="3")
    assert stop in rig.lookups, "whether the stop still lives only the venue can say"
    rig.read(rig.listed(stop), position="3")
    assert rig.standing() == set()


def test_an_exit_whose_orders_come_to_nothing_is_given_up_and_the_stop_put_back():
    rig = Rig(profile())
    entered(rig)
    rig.exit()
    rig.cancelled(rig.sent[1].client_order_id)

    for _ in range(TRIES_MAX):
        rig.rejected(rig.sent[-1].client_order_id)
        rig.after(10 * SECOND)

    assert "exit.paper-1.MNQ" in rig.alarms()
    assert rig.sent[-1].purpose is Purpose.PROTECT
    assert rig.sent[-1].parent.quantity == D(3)


@pytest.mark.parametrize("replace", [True, False])
def test_short_positions_are_protected_by_buying(replace):
    rig = Rig(profile(replace=replace))
    order = rig.enter(side=Side.SELL, stop="105", target="90")
    rig.fill(order.client_order_id, "2")

    assert (rig.sent[-1].parent.side, rig.sent[-1].parent.stop) == (Side.BUY, D(105))
    assert not any(isinstance(item, ExitBegun) for item in rig.out)
