"""Doubt lasts until the venue proves something; a kill reaches every order that could add risk, late ones too."""

from tests.execution.rig import A, D, Rig, profile
from tests.execution.test_brackets import emulated, linked

from interlock.model.command import Killed, Released
from interlock.model.money import SECOND
from interlock.model.order import Closed, InDoubt, InFlight, Outcome, Working
from interlock.model.record import CancelRequested
from interlock.model.report import (
    CancelRejected,
    LineChanged,
    OrderFilled,
    OrderFound,
    OrderMissing,
    WriteRefused,
    WriteUnknown,
)
from interlock.model.signal import Purpose


def test_a_write_without_an_answer_is_looked_up_at_once_and_ever_more_slowly():
    rig = Rig(profile())
    cid = rig.enter().client_order_id

    rig.feed(WriteUnknown(A, cid, 1, "reset"))
    assert rig.lookups == [cid]
    rig.after(3 * SECOND)
    assert len(rig.lookups) == 3, "after 0, 1 and 3 seconds"
    rig.after(600 * SECOND)

    assert isinstance(rig.record(cid).state, InDoubt)
    assert len(rig.lookups) < 30
    assert len(rig.sent) == 1
    assert rig.execution.orders.worst_case(A, "MNQ") == (D(3), D(0))


def test_a_cancel_is_repeated_with_the_permit_that_it_was_given():
    rig = Rig(profile())
    _, stop = emulated(rig)
    rig.kill("all")

    rig.after(30 * SECOND)

    asked = [each for each in rig.out if isinstance(each, CancelRequested) and each.client_order_id == stop]
    assert len(asked) > 1
    assert {each.permit for each in asked} == {"person"}


def test_a_line_that_comes_back_has_every_open_question_asked_at_once():
    rig = Rig(profile())
    _, stop = emulated(rig)
    rig.kill("all")
    rig.after(20 * SECOND)             # the cancel has no answer, and its look-ups come ever more slowly
    before = rig.lookups.count(stop)

    rig.feed(LineChanged(A, True, 2, "connected"))

    assert rig.lookups.count(stop) == before + 1


def test_a_line_that_comes_back_has_every_cancel_without_an_answer_repeated_at_once():
    rig = Rig(profile())
    _, stop = emulated(rig)
    rig.kill("all")
    rig.feed(LineChanged(A, False, 1, "reset"))
    rig.after(20 * SECOND)             # every repetition has met a line that is down
    before = rig.cancels.count(stop)

    rig.feed(LineChanged(A, True, 2, "connected"))

    assert rig.cancels.count(stop) == before + 1
    asked = [each for each in rig.out if isinstance(each, CancelRequested) and each.client_order_id == stop]
    assert asked[-1].permit == "person"


def test_a_look_up_that_fails_is_asked_again_when_it_is_due_and_not_at_once():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.feed(WriteUnknown(A, cid, 1, "reset"))

    for _ in range(50):
        rig.feed(WriteUnknown(A, cid, 0, "look-up: the line is down"))

    assert rig.lookups == [cid]
    rig.after(2 * SECOND)
    assert len(rig.lookups) == 2


def test_a_missing_order_is_dead_only_after_the_venues_visibility_delay():
    rig = Rig(profile(visibility=5 * SECOND))
    cid = rig.enter().client_order_id
    rig.feed(WriteUnknown(A, cid, 1, "reset"))

    rig.feed(OrderMissing(A, cid, rig.ts))
    assert isinstance(rig.record(cid).state, InDoubt)
    rig.after(6 * SECOND)
    rig.feed(OrderMissing(A, cid, rig.ts - 4 * SECOND))
    assert isinstance(rig.record(cid).state, InDoubt), "an old answer that came late"
    rig.feed(OrderMissing(A, cid, rig.ts))

    assert rig.record(cid).state == Closed(Outcome.REJECTED, rig.ts)
    assert rig.execution.orders.worst_case(A, "MNQ") == (D(0), D(0))


def test_an_order_that_turns_up_after_it_was_given_up_counts_again():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.feed(WriteUnknown(A, cid, 1, "reset"))
    rig.feed(OrderMissing(A, cid, rig.ts))
    assert not rig.record(cid).is_open

    rig.accept(cid)

    assert isinstance(rig.record(cid).state, Working)
    assert rig.alarms() == [f"orders.reopened.{cid}"]


def test_an_acknowledgement_that_never_comes_is_asked_for():
    rig = Rig(profile())
    cid = rig.enter().client_order_id

    rig.after(6 * SECOND)

    assert rig.lookups[:1] == [cid]
    assert isinstance(rig.record(cid).state, InDoubt)


def test_executions_that_a_look_up_owes_are_read_and_counted_until_they_come():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.feed(WriteUnknown(A, cid, 1, "reset"))

    rig.feed(OrderFound(A, cid, "b1", D(3), Outcome.FILLED, rig.ts))  # type: ignore[arg-type]
    assert rig.reads() == 1
    assert rig.position() == 0
    assert rig.execution.orders.worst_case(A, "MNQ") == (D(3), D(0)), "sold or not, three may be held"
    leg = rig.record(cid).leg
    missed = OrderFilled(A, cid, "e9", "MNQ", leg.side, D(3), D(100), D(0), rig.ts)  # type: ignore[arg-type]
    rig.read(position="3", fills=(missed,))
    rig.feed(missed)

    assert rig.position() == D(3)
    assert rig.execution.orders.worst_case(A, "MNQ") == (D(3), D(0))
    assert rig.sent[-1].purpose is Purpose.PROTECT, "booked from the list, protected in the same step"
    assert len(rig.sent) == 2


def test_a_restart_looks_everything_up_and_sends_nothing():
    rig = Rig(profile(brackets=True))
    order = rig.enter()

    rig.resume()

    assert rig.lookups == [leg.client_order_id for leg in order.legs]
    assert len(rig.sent) == 1
    rig.feed(LineChanged(A, True, 2, ""))
    assert len(rig.lookups) == 6, "asked again over the new line"


def test_a_write_that_never_left_is_closed_with_its_children():
    rig = Rig(profile(brackets=True))
    order = rig.enter()

    rig.feed(WriteRefused(A, order.client_order_id, 1, "clearance.expired", "too old"))

    assert all(not rig.record(leg.client_order_id).is_open for leg in order.legs)


def test_an_unanswered_cancel_is_repeated_a_few_times_and_then_alarmed():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.feed(Killed(None, None, "risk", "test", 1, (), ()))

    rig.after(600 * SECOND)

    assert rig.cancels == [cid] * 5
    assert [key for key in rig.alarms() if not key.startswith("kill.")] == [f"cancel.{cid}"]


def test_a_kill_cancels_entries_in_every_state_and_keeps_the_protection():
    rig = Rig(profile())
    emulated(rig)
    working = rig.enter(signal="s2", instrument="MES").client_order_id
    rig.accept(working)
    flying = rig.enter(signal="s3", instrument="MYM").client_order_id
    doubtful = rig.enter(signal="s4", instrument="M2K").client_order_id
    rig.feed(WriteUnknown(A, doubtful, 1, ""))

    rig.feed(Killed(None, None, "risk", "test", 1, (), ()))

    assert rig.cancels == [working, flying, doubtful]
    assert rig.reads() == 1, "the broker's own list is the proof"
    assert isinstance(rig.record(flying).state, InFlight)
    rig.after(SECOND)
    rig.accept(flying)
    assert rig.cancels[-1] == flying, "it may have arrived after its cancel"
    assert len(rig.sent) == 5


def test_a_kill_of_scope_all_takes_the_stops_too_and_does_not_put_them_back():
    rig = Rig(profile())
    _, stop = emulated(rig)

    rig.feed(Killed(None, None, "all", "test", 1, (), ()))
    assert rig.cancels == [stop]
    rig.cancelled(stop)
    rig.after(60 * SECOND)

    assert len(rig.sent) == 2
    assert "protection.paper-1.MNQ" in rig.standing()


def test_a_kill_of_another_lane_reaches_nothing_here():
    rig = Rig(profile())
    cid = rig.enter().client_order_id

    rig.feed(Killed("crypto", None, "risk", "test", 1, (), ()))  # type: ignore[arg-type]
    rig.accept(cid)

    assert rig.cancels == []
    assert rig.execution.in_reach(None, A, "risk") == (cid,)
    assert rig.execution.in_reach("crypto", None, "risk") == ()  # type: ignore[arg-type]


def test_an_order_that_was_given_up_and_surfaces_during_a_kill_is_cancelled_on_arrival():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.feed(WriteUnknown(A, cid, 1, ""))
    rig.feed(OrderMissing(A, cid, rig.ts))
    rig.feed(Killed(None, None, "risk", "test", 1, (), ()))
    assert rig.cancels == []

    rig.accept(cid)
    assert rig.cancels == [cid]
    rig.feed(Released(None, None, 2))
    assert rig.execution.orders.by_id(cid) is not None


def test_a_kill_between_entry_fill_and_stop_does_not_stop_the_stop():
    rig = Rig(profile())
    order = rig.enter()
    rig.accept(order.client_order_id)
    rig.feed(Killed(None, None, "risk", "test", 1, (), ()))

    rig.fill(order.client_order_id, "1")

    assert (rig.sent[-1].purpose, rig.sent[-1].parent.quantity) == (Purpose.PROTECT, D(1))


def test_a_cancel_that_the_venue_refuses_is_a_reason_to_look():
    rig = Rig(profile(brackets=True))
    entry, *_ = linked(rig, "1")
    rig.feed(Killed(None, None, "risk", "test", 1, (), ()))

    rig.feed(CancelRejected(A, entry, "too late", rig.ts))

    assert rig.lookups == [entry]
    assert not rig.record(entry).is_cancel_requested


def test_a_list_that_lacks_a_working_order_only_asks():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.after(6 * SECOND)

    rig.read()

    assert rig.lookups == [cid]
    assert isinstance(rig.record(cid).state, Working)
    assert rig.execution.orders.worst_case(A, "MNQ") == (D(3), D(0))
