"""A flatten follows the broker's word from the first question to the last answer."""

from tests.execution.rig import A, D, Rig, profile
from tests.execution.test_brackets import emulated, linked

from interlock.execution.flatten import T_CLOSE, T_READ
from interlock.execution.state import TRIES_MAX
from interlock.execution.told import T_SETTLE
from interlock.model.command import FLATTEN_LIFE
from interlock.model.ids import AccountName, BrokerOrderId, ClientOrderId
from interlock.model.money import SECOND
from interlock.model.record import Started
from interlock.model.report import BrokerOrder, OrderCancelled, OrderFilled, ReadFailed, WriteUnknown
from interlock.model.signal import Purpose, Side

B = AccountName("paper-2")


def settled(rig: Rig) -> None:
    rig.after(3 * SECOND)


def test_nothing_but_entries_is_cancelled_before_the_broker_has_answered():
    rig = Rig(profile())
    _, stop = emulated(rig)
    entry = rig.enter(signal="s2", instrument="MES").client_order_id
    rig.accept(entry)

    rig.flatten()

    assert rig.cancels == [entry]
    assert rig.reads() == 1
    rig.read(rig.listed(stop), rig.listed(entry), position="3")
    assert rig.cancels == [entry, stop]
    assert len(rig.sent) == 3, "nothing is sent while the stop may fill"


def test_a_close_is_sized_from_what_the_broker_shows_after_the_last_cancel():
    rig = Rig(profile(brackets=True))
    _, stop, target = linked(rig)
    settled(rig)
    rig.flatten()
    rig.read(rig.listed(stop), rig.listed(target), position="3")
    rig.cancelled(stop)
    rig.cancelled(target)
    assert len(rig.sent) == 1, "not from the answer of before"

    rig.read(position="5")

    close = rig.sent[-1]
    assert (close.purpose, close.parent.side, close.parent.quantity) == (Purpose.FLATTEN, Side.SELL, D(5))
    rig.fill(close.client_order_id, "5")
    assert rig.results() == [], "a fill is no proof"
    rig.after(3 * SECOND)
    rig.read()
    assert rig.results() == [("MNQ", "flat", D(0))]
    assert "position_crossed" not in rig.freezes(), "our own book was smaller, and that is no crossing"


def test_a_list_that_lags_behind_a_fill_does_not_close_twice():
    rig = Rig(profile())
    _, stop = emulated(rig)
    rig.flatten()
    rig.read(rig.listed(stop), position="3")
    rig.fill(stop, "3", "95")

    rig.read(position="3")
    assert len(rig.sent) == 2, "the stop has filled; a list that shows three is of before"
    rig.after(T_SETTLE + SECOND)
    rig.read()

    assert rig.results() == [("MNQ", "flat", D(0))]
    assert len(rig.sent) == 2


def test_an_answer_to_an_older_question_sizes_nothing():
    rig = Rig(profile())
    _, stop = emulated(rig)
    settled(rig)
    rig.flatten()
    rig.read(rig.listed(stop), position="3")
    rig.cancelled(stop)
    reads = rig.reads()
    rig.fill(rig.enter(signal="s9", instrument="MES").client_order_id, "1")

    rig.read(position="3")

    assert [order.purpose for order in rig.sent].count(Purpose.FLATTEN) == 0, "something has happened since it was asked"
    rig.after(6 * SECOND)
    assert rig.reads() > reads, "so it is asked again"


def test_an_order_that_only_the_broker_knows_is_cancelled_first():
    rig = Rig(profile())
    stranger = ClientOrderId("by-hand")
    listed = BrokerOrder(stranger, BrokerOrderId("b"), "MNQ", Side.SELL, D(2), D(0), True, False)
    rig.flatten()
    rig.read(listed, position="2")
    assert rig.cancels == [stranger]
    assert rig.sent == []

    rig.feed(OrderCancelled(A, stranger, "", rig.ts))
    rig.read(position="2")

    assert [order.parent.quantity for order in rig.sent] == [D(2)]


def test_a_close_in_doubt_is_never_sent_again():
    rig = Rig(profile())
    rig.feed(OrderFilled(A, "someone", "m1", "MNQ", Side.BUY, D(2), D(100), D(0), rig.ts))  # type: ignore[arg-type]
    settled(rig)
    rig.flatten()
    rig.read(position="2")
    close = rig.sent[-1].client_order_id

    rig.feed(WriteUnknown(A, close, 1, "no answer"))
    for _ in range(20):
        rig.after(SECOND)
        rig.read(position="2")

    assert len(rig.sent) == 1
    rig.after(T_CLOSE)
    assert rig.results() == [("MNQ", "unknown", D(0))]


def test_closes_that_come_to_nothing_end_with_what_is_left():
    rig = Rig(profile())
    rig.feed(OrderFilled(A, "someone", "m1", "MNQ", Side.BUY, D(2), D(100), D(0), rig.ts))  # type: ignore[arg-type]
    settled(rig)
    rig.flatten()
    for _ in range(40):
        rig.read(position="2")
        if rig.execution.orders.open_orders():
            rig.rejected(rig.execution.orders.open_orders()[0].leg.client_order_id)
        rig.after(SECOND)

    assert len(rig.sent) == TRIES_MAX
    assert len({order.client_order_id for order in rig.sent}) == TRIES_MAX
    assert rig.results() == [("MNQ", "residual", D(2))]
    name = "flatten.paper-1.MNQ"
    assert name in rig.standing()
    rig.after(200 * SECOND)
    assert f"{name}#3" in rig.standing()
    assert f"{name}#2" not in rig.standing(), "the last call stands"

    rig.flatten(command="c2")
    rig.read()
    assert not any(key.startswith("flatten.") for key in rig.standing()), "flat at last, by the broker's word"


def test_an_account_without_an_answer_is_unknown_and_the_other_goes_on():
    rig = Rig(profile(), (A, B))
    rig.flatten(A, B)
    assert rig.reads() == 2
    rig.feed(ReadFailed(B, "down"))

    rig.read()
    assert rig.results() == [("", "flat", D(0))]
    rig.after(T_READ)

    assert rig.results() == [("", "flat", D(0)), ("", "unknown", D(0))]
    assert "flatten.paper-2" in rig.standing()
    assert 3 < rig.reads() < 12, "asked again, ever more slowly"


def test_a_restart_asks_anew_and_goes_on():
    rig = Rig(profile())
    _, stop = emulated(rig)
    settled(rig)
    rig.flatten()
    rig.read(rig.listed(stop), position="3")
    rig.cancelled(stop)
    rig.after(30 * SECOND)
    sent = len(rig.sent)

    rig.feed(Started("b", "v", 2, {}, False))
    rig.resume()
    rig.read(position="3")
    assert len(rig.sent) == sent, "an answer that the process before had asked for counts for nothing"
    rig.after(SECOND)
    rig.read(position="3")

    assert rig.sent[-1].purpose is Purpose.FLATTEN


def test_a_flatten_is_not_carried_out_long_after_it_was_given():
    rig = Rig(profile())
    emulated(rig)
    rig.flatten()
    rig.ts += FLATTEN_LIFE

    rig.feed(Started("b", "v", 2, {}, False))
    rig.read(position="3")

    assert rig.results() == [("", "unknown", D(0))]
    assert len(rig.sent) == 2


def test_a_kill_of_everything_lets_the_flatten_finish():
    rig = Rig(profile())
    _, stop = emulated(rig)
    settled(rig)
    rig.flatten()
    rig.read(rig.listed(stop), position="3")
    rig.cancelled(stop)
    rig.read(position="3")
    close = rig.sent[-1].client_order_id
    before = len(rig.cancels)

    rig.kill("all")

    assert close not in rig.cancels[before:]
    rig.fill(close, "3")
    rig.after(3 * SECOND)
    rig.read()
    assert rig.results() == [("MNQ", "flat", D(0))]
