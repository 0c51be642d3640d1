"""Getting out never crosses zero: siblings go first, their answers are waited for, then what is left is reduced."""

from tests.execution.rig import A, D, Rig, profile
from tests.execution.test_brackets import emulated, linked

from interlock.model.ids import BrokerOrderId
from interlock.model.money import SECOND
from interlock.model.order import OrderType, Outcome
from interlock.model.record import ExitEnded, IntentAbandoned
from interlock.model.report import OrderFound, WriteUnknown
from interlock.model.signal import Purpose, Side


def test_an_exit_of_a_linked_bracket_cancels_both_children_and_then_reduces():
    rig = Rig(profile(brackets=True))
    _, stop, target = linked(rig)

    rig.exit()
    assert rig.cancels == [stop, target]
    rig.cancelled(stop)
    assert len(rig.sent) == 1, "the target may still fill"
    rig.cancelled(target)

    leaving = rig.sent[-1].parent
    assert (leaving.side, leaving.quantity, leaving.type, leaving.is_reduce_only) == (
        Side.SELL, D(3), OrderType.MARKET, True)
    rig.fill(leaving.client_order_id, "3")
    assert [item.is_done for item in rig.out if isinstance(item, ExitEnded)] == [True]


def test_a_stop_that_fills_while_the_exit_is_prepared_leaves_nothing_to_reduce():
    rig = Rig(profile())
    _, stop = emulated(rig)

    rig.exit()
    rig.fill(stop, "3", "95")

    assert len(rig.sent) == 2
    assert [item.is_done for item in rig.out if isinstance(item, ExitEnded)] == [True]


def test_an_exit_waits_for_a_stop_in_doubt_for_as_long_as_it_takes():
    rig = Rig(profile())
    order = rig.enter()
    rig.fill(order.client_order_id, "3")
    stop = rig.sent[1].client_order_id
    rig.feed(WriteUnknown(A, stop, 1, ""))

    rig.exit()
    rig.after(120 * SECOND)

    assert len(rig.sent) == 2
    assert "protection.paper-1.MNQ" in rig.standing()


def test_an_exit_waits_for_executions_that_a_look_up_has_announced():
    rig = Rig(profile())
    _, stop = emulated(rig)

    rig.exit()
    rig.feed(OrderFound(A, stop, BrokerOrderId("b"), D(3), Outcome.FILLED, rig.ts))
    rig.after(SECOND)
    assert (len(rig.sent), rig.position()) == (2, D(3)), "the stop has filled, and nobody knows yet at what price"

    rig.fill(stop, "3", "95")
    assert len(rig.sent) == 2
    assert [item.is_done for item in rig.out if isinstance(item, ExitEnded)] == [True]


def test_an_exit_whose_order_filled_in_part_by_report_and_whole_by_look_up_sends_no_second_one():
    rig = Rig(profile())
    _, stop = emulated(rig)
    rig.exit()
    rig.cancelled(stop)
    leaving = rig.sent[-1].client_order_id
    rig.fill(leaving, "1", "99")

    rig.feed(OrderFound(A, leaving, BrokerOrderId("b"), D(3), Outcome.FILLED, rig.ts))
    assert len(rig.sent) == 3

    rig.fill(leaving, "2", "99")
    assert (len(rig.sent), rig.position()) == (3, D(0))


def test_an_exit_during_the_entry_cancels_the_rest_and_takes_out_what_fills_late():
    rig = Rig(profile())
    order = rig.enter()
    rig.accept(order.client_order_id)

    rig.exit()
    assert rig.cancels == [order.client_order_id]
    rig.fill(order.client_order_id, "1")
    assert (rig.sent[-1].purpose, rig.sent[-1].parent.quantity) == (Purpose.REDUCE, D(1))
    rig.fill(rig.sent[-1].client_order_id, "1")
    rig.fill(order.client_order_id, "2")
    assert rig.sent[-1].parent.quantity == D(2)
    rig.fill(rig.sent[-1].client_order_id, "2")

    assert rig.position() == 0
    assert [item.is_done for item in rig.out if isinstance(item, ExitEnded)] == [True]
    assert all(sent.purpose is not Purpose.PROTECT for sent in rig.sent)


def test_a_partial_exit_leaves_the_rest_protected():
    rig = Rig(profile())
    _, stop = emulated(rig)

    rig.exit("1")
    rig.cancelled(stop)
    rig.fill(rig.sent[-1].client_order_id, "1")

    assert rig.position() == D(2)
    assert (rig.sent[-1].purpose, rig.sent[-1].parent.quantity) == (Purpose.PROTECT, D(2))
    assert len({order.client_order_id for order in rig.sent}) == len(rig.sent)


def test_a_rejected_exit_is_asked_for_again_under_a_new_id():
    rig = Rig(profile())
    _, stop = emulated(rig)
    rig.exit()
    rig.cancelled(stop)
    first = rig.sent[-1].client_order_id

    rig.rejected(first)
    rig.after(SECOND)

    assert rig.sent[-1].client_order_id != first
    assert rig.sent[-1].parent.quantity == D(3)


def test_an_exit_of_what_is_not_held_is_abandoned_with_its_reason():
    rig = Rig(profile())

    rig.exit()

    assert [item.code for item in rig.out if isinstance(item, IntentAbandoned)] == ["exit.nothing_held"]


def test_a_second_exit_of_the_same_position_is_abandoned():
    rig = Rig(profile())
    emulated(rig)

    rig.exit()
    rig.exit(signal="x2")

    assert [item.code for item in rig.out if isinstance(item, IntentAbandoned)] == ["exit.under_way"]


def test_one_strategy_cannot_close_what_another_holds():
    rig = Rig(profile())
    order = rig.enter(strategy="other")
    rig.fill(order.client_order_id, "3")
    rig.accept(rig.sent[1].client_order_id)

    rig.exit()

    assert rig.cancels == []
    assert [item.code for item in rig.out if isinstance(item, IntentAbandoned)] == ["exit.nothing_held"]


def test_an_exit_names_the_micro_that_is_held():
    rig = Rig(profile())
    from tests.execution.rig import intent

    from interlock.model.signal import AccountIntent
    order = rig.judge(AccountIntent(intent(instrument="NQ"), A), "2", instrument="MNQ")
    assert order is not None
    rig.fill(order.client_order_id, "2")
    rig.accept(rig.sent[1].client_order_id)

    rig.feed(AccountIntent(intent(Side.SELL, Purpose.REDUCE, signal="x1", stop=None, target=None, instrument="NQ"), A))
    rig.cancelled(rig.sent[1].client_order_id)

    assert (rig.sent[-1].instrument, rig.sent[-1].parent.quantity) == ("MNQ", D(2))


def test_an_intent_alone_flattens_nothing():
    rig = Rig(profile())
    emulated(rig)

    rig.exit(purpose=Purpose.FLATTEN)

    assert rig.cancels == []
    assert len(rig.sent) == 2, "a flatten begins with a person's command"
