"""Brackets that the venue links, targets that are held here, and what is swept when a position is gone."""

from tests.execution.rig import A, D, Rig, profile

from interlock.model.market import Bar, Provenance
from interlock.model.money import SECOND
from interlock.model.order import OrderType, Working
from interlock.model.record import ExitEnded
from interlock.model.report import OrderFilled
from interlock.model.signal import Purpose, Side

NAME = "protection.paper-1.MNQ"


def bar(rig: Rig, instrument: str = "MNQ") -> Bar:
    return Bar(instrument, 60 * SECOND, 400, 400, 400, 400, 1, rig.ts, rig.ts, Provenance.SIMULATED)


def linked(rig: Rig, filled: str = "3"):
    """An entry of three with linked children; `filled` of it, and the children resized by the venue."""
    order = rig.enter()
    entry, stop, target = (leg.client_order_id for leg in order.legs)
    rig.accept(entry)
    rig.accept(stop, is_live=False)
    rig.accept(target, is_live=False)
    if D(filled):
        rig.fill(entry, filled)
        rig.accept(stop, quantity=filled)
        rig.accept(target, quantity=filled)
    return entry, stop, target


def emulated(rig: Rig):
    order = rig.enter()
    rig.accept(order.client_order_id)
    rig.fill(order.client_order_id, "3")
    rig.accept(rig.sent[1].client_order_id)
    return order.client_order_id, rig.sent[1].client_order_id


def test_children_wait_for_their_entry_and_follow_its_fills():
    rig = Rig(profile(brackets=True))
    entry, stop, target = linked(rig, "0")
    waiting = rig.record(stop).state
    assert isinstance(waiting, Working)
    assert not waiting.is_live

    rig.fill(entry, "1")
    rig.accept(stop, quantity="1")
    rig.accept(target, quantity="1")

    assert rig.record(stop).leg.quantity == D(1)
    assert rig.execution.orders.covering("paper-1|MNQ", Purpose.PROTECT, Side.SELL) == (D(1), D(1))
    rig.after(10 * SECOND)
    assert rig.alarms() == []
    assert len(rig.sent) == 1, "the venue does the rest"


def test_children_that_are_not_released_raise_the_alarm():
    rig = Rig(profile(brackets=True))
    entry, *_ = linked(rig, "0")

    rig.fill(entry, "1")
    rig.after(2 * SECOND)

    assert rig.alarms() == [NAME]


def test_a_linked_stop_that_is_lost_is_replaced_once_the_target_is_out_of_its_way():
    rig = Rig(profile(brackets=True))
    _, stop, target = linked(rig)

    rig.rejected(stop)
    rig.after(SECOND)
    assert rig.cancels == [target], "both could fill: 6 sold of 3 held"
    assert len(rig.sent) == 1
    rig.cancelled(target)

    assert (rig.sent[-1].purpose, rig.sent[-1].parent.quantity) == (Purpose.PROTECT, D(3))
    rig.accept(rig.sent[-1].client_order_id)
    rig.quote("110", "110.25")
    rig.feed(bar(rig))
    assert rig.execution.orders.by_id(rig.cancels[-1]) is rig.record(rig.sent[1].client_order_id), \
        "the target is held here from now on"


def test_a_linked_sibling_is_the_venues_to_cancel_and_swept_when_it_does_not():
    rig = Rig(profile(brackets=True))
    _, stop, target = linked(rig)

    rig.fill(stop, "3", "95")
    assert rig.cancels == []
    rig.after(2 * SECOND)
    assert rig.cancels == [target]
    rig.after(3 * SECOND)

    assert rig.alarms() == [NAME], "an orphan is as bad as a naked position"
    rig.cancelled(target)
    assert rig.standing() == set()


def test_cancel_of_the_sibling_before_the_fill_that_caused_it_is_no_alarm():
    rig = Rig(profile(brackets=True))
    _, stop, target = linked(rig)

    rig.cancelled(stop)
    rig.after(SECOND)
    rig.fill(target, "3", "110")
    rig.after(10 * SECOND)

    assert rig.alarms() == []
    assert len(rig.sent) == 1


def test_a_partly_filled_entry_that_is_cancelled_keeps_its_protection():
    rig = Rig(profile(brackets=True))
    entry, *_ = linked(rig, "1")

    rig.cancelled(entry)
    rig.after(10 * SECOND)

    assert (rig.position(), rig.alarms(), rig.cancels) == (D(1), [], [])


def test_a_held_target_cancels_the_stop_first_and_reduces_what_is_left():
    rig = Rig(profile())
    _, stop = emulated(rig)
    rig.quote("109.75", "110")
    rig.feed(bar(rig))
    assert rig.cancels == []

    rig.quote("110", "110.25")
    rig.feed(bar(rig))
    assert rig.cancels == [stop]
    assert len(rig.sent) == 2, "nothing reduces while the stop may still fill"
    rig.fill(stop, "1", "95")
    rig.cancelled(stop)

    leaving = rig.sent[-1]
    assert (leaving.purpose, leaving.parent.type, leaving.parent.quantity) == (Purpose.TARGET, OrderType.MARKET, D(2))
    rig.fill(leaving.client_order_id, "2", "110")
    ended = [item for item in rig.out if isinstance(item, ExitEnded)]
    assert [item.is_done for item in ended] == [True]
    assert rig.position() == 0


def test_a_bar_of_an_instrument_without_a_held_target_asks_nothing():
    rig = Rig(profile())
    emulated(rig)
    rig.quote("111", "111.25")

    rig.feed(bar(rig, "MES"))

    assert rig.cancels == []


def test_a_target_that_the_alert_owns_is_not_held_here():
    rig = Rig(profile())
    order = rig.enter(owned=True)
    rig.fill(order.client_order_id, "3")
    rig.accept(rig.sent[1].client_order_id)
    rig.quote("200", "200.25")

    rig.feed(bar(rig))

    assert rig.cancels == []


def test_a_resting_pair_is_stop_first_and_the_first_fill_cancels_the_sibling():
    rig = Rig(profile(pair=True))
    order = rig.enter()
    rig.fill(order.client_order_id, "3")
    assert rig.sent[-1].purpose is Purpose.PROTECT
    rig.accept(rig.sent[-1].client_order_id)
    stop, target = rig.sent[1].client_order_id, rig.sent[2].client_order_id
    resting = rig.sent[2].parent
    assert (resting.purpose, resting.limit, resting.quantity) == (Purpose.TARGET, D(110), D(3))
    rig.accept(target)
    assert rig.execution.orders.worst_case(A, "MNQ") == (D(3), D(-3)), "the double fill is charged"

    rig.fill(target, "3", "110")

    assert rig.cancels == [stop]


def test_a_target_that_fills_in_part_shrinks_the_stop_of_its_pair():
    rig = Rig(profile(pair=True))
    order = rig.enter()
    rig.fill(order.client_order_id, "3")
    rig.accept(rig.sent[1].client_order_id)
    rig.accept(rig.sent[2].client_order_id)

    rig.fill(rig.sent[2].client_order_id, "1", "110")

    assert (rig.sent[-1].replaces, rig.sent[-1].parent.quantity) == (rig.sent[1].client_order_id, D(2))


def test_a_stop_that_begins_to_fill_cancels_the_target_of_its_pair():
    rig = Rig(profile(pair=True))
    order = rig.enter()
    rig.fill(order.client_order_id, "3")
    rig.accept(rig.sent[1].client_order_id)
    rig.accept(rig.sent[2].client_order_id)

    rig.fill(rig.sent[1].client_order_id, "1", "95")

    assert rig.cancels == [rig.sent[2].client_order_id]


def test_a_double_fill_freezes_the_account_and_raises_the_alarm():
    rig = Rig(profile(pair=True))
    order = rig.enter()
    rig.fill(order.client_order_id, "3")
    rig.accept(rig.sent[1].client_order_id)
    rig.accept(rig.sent[2].client_order_id)

    rig.fill(rig.sent[2].client_order_id, "2", "110")
    rig.fill(rig.sent[1].client_order_id, "3", "95")

    assert rig.position() == D(-2)
    assert "position_crossed" in rig.freezes()
    assert any(name.startswith("orders.crossed.") for name in rig.alarms())


def test_a_stop_that_goes_live_after_the_position_is_gone_is_cancelled_on_arrival():
    rig = Rig(profile())
    order = rig.enter()
    rig.fill(order.client_order_id, "3")
    stop = rig.sent[1].client_order_id

    rig.feed(OrderFilled(A, "someone", "m1", "MNQ", Side.SELL, D(3), D(100), D(0), rig.ts))  # type: ignore[arg-type]
    assert rig.cancels == [stop]
    rig.accept(stop)

    assert rig.cancels == [stop, stop]
