"""Out before the session ends, or a person is being called until it is so."""

from tests.execution.rig import LANE, START, A, D, Rig, profile
from tests.execution.test_brackets import emulated

from interlock.model.ids import ClientOrderId
from interlock.model.money import MINUTE, SECOND
from interlock.model.record import Alarm, ExitBegun
from interlock.model.report import OrderFilled, WriteUnknown
from interlock.model.signal import Purpose, Side

FLAT = START + 30 * MINUTE
NAME = "not_flat.paper-1.MNQ"


def until(rig: Rig, ts: int) -> None:
    rig.after(ts - rig.ts)


def ends(rig: Rig) -> tuple[ClientOrderId, ClientOrderId]:
    entry, stop = emulated(rig)
    until(rig, FLAT - 2 * MINUTE)
    rig.quote("100", "100.25")
    return entry, stop


def test_a_position_goes_out_two_minutes_before_its_session_ends():
    rig = Rig(profile(), ts_flat=FLAT)
    _, stop = emulated(rig)
    until(rig, FLAT - 2 * MINUTE - 1)
    assert rig.cancels == []

    until(rig, FLAT - 2 * MINUTE)
    rig.quote("100", "100.25")
    assert rig.reads() == 1, "both books are compared first"
    rig.read(rig.listed(stop), position="3")
    assert rig.cancels == [stop]
    rig.cancelled(stop)

    (begun,) = [item for item in rig.out if isinstance(item, ExitBegun)]
    assert "hard close" in begun.asked.intent.why
    assert (rig.sent[-1].purpose, rig.sent[-1].parent.quantity) == (Purpose.REDUCE, D(3))
    rig.fill(rig.sent[-1].client_order_id, "3")
    until(rig, FLAT + MINUTE)
    assert rig.standing() == set()
    assert len(rig.sent) == 3


def test_a_lane_that_may_hold_over_night_keeps_its_position():
    rig = Rig(profile(), ts_flat=FLAT, overnight=(LANE,))
    _, stop = emulated(rig)

    until(rig, FLAT - MINUTE)
    rig.quote("100", "100.25")
    rig.read(rig.listed(stop), position="3")
    until(rig, FLAT + MINUTE)

    assert rig.cancels == []
    assert rig.alarms() == []


def test_a_market_that_never_closes_has_no_hard_close():
    rig = Rig(profile())
    emulated(rig)

    until(rig, START + 24 * 60 * MINUTE)

    assert rig.cancels == []
    assert rig.execution.next_wake is None


def test_an_entry_in_doubt_is_cancelled_by_its_id_and_closed_if_it_fills():
    rig = Rig(profile(), ts_flat=FLAT)
    cid = rig.enter().client_order_id
    rig.feed(WriteUnknown(A, cid, 1, "reset"))
    until(rig, FLAT - 2 * MINUTE)
    rig.quote("100", "100.25")

    rig.read()
    assert cid in rig.cancels
    rig.fill(cid, "2")

    assert (rig.sent[-1].purpose, rig.sent[-1].parent.quantity) == (Purpose.REDUCE, D(2))


def test_where_the_books_differ_a_person_is_called_and_nothing_sent():
    rig = Rig(profile(), ts_flat=FLAT)
    _, stop = ends(rig)

    rig.read(rig.listed(stop), position="5")

    assert rig.cancels == []
    (alarm,) = [item for item in rig.out if isinstance(item, Alarm) and item.key == NAME]
    assert "interlock flatten --account paper-1 --instrument MNQ" in alarm.text
    until(rig, FLAT + 20 * MINUTE)
    assert f"{NAME}#5" in rig.standing(), "until it is flat"
    assert len(rig.sent) == 2


def test_without_a_fresh_quote_nothing_is_sent_until_there_is_one():
    rig = Rig(profile(), ts_flat=FLAT)
    _, stop = emulated(rig)
    rig.quote("100", "100.25")
    until(rig, FLAT - 2 * MINUTE)
    rig.read(rig.listed(stop), position="3")
    assert NAME in rig.standing()
    assert rig.cancels == []

    rig.quote("100", "100.25")
    rig.after(SECOND)

    assert rig.cancels == [stop]
    rig.cancelled(stop)
    rig.fill(rig.sent[-1].client_order_id, "3")
    rig.read()
    assert NAME not in rig.standing()


def test_while_killed_nothing_is_sent_and_the_call_begins_at_the_entry_cut_off():
    rig = Rig(profile(), ts_flat=FLAT)
    _, stop = emulated(rig)
    rig.kill()
    until(rig, FLAT - 10 * MINUTE - 1)
    assert NAME not in rig.standing()

    until(rig, FLAT - 10 * MINUTE)
    assert NAME in rig.standing()
    rig.quote("100", "100.25")
    until(rig, FLAT - MINUTE)
    rig.quote("100", "100.25")
    rig.read(rig.listed(stop), position="3")
    until(rig, FLAT + MINUTE)

    assert rig.cancels == []
    assert len(rig.sent) == 2


def test_what_was_missed_is_not_closed_in_the_next_session():
    rig = Rig(profile(), ts_flat=FLAT)
    _, stop = emulated(rig)
    rig.ts = FLAT + 60 * MINUTE
    rig.quote("100", "100.25")

    rig.read(rig.listed(stop), position="3")

    assert rig.cancels == []
    assert NAME in rig.standing()


def test_a_position_that_no_entry_of_ours_opened_is_called_out():
    rig = Rig(profile(), ts_flat=FLAT)
    rig.feed(OrderFilled(A, "someone", "m1", "MNQ", Side.BUY, D(2), D(100), D(0), rig.ts))  # type: ignore[arg-type]
    rig.read(position="2")
    assert FLAT - 2 * MINUTE in rig.wakes

    until(rig, FLAT - 2 * MINUTE)
    rig.read(position="2")

    assert NAME in rig.standing()
    assert rig.sent == []


def test_an_exit_that_hangs_is_called_out_before_the_end():
    rig = Rig(profile(), ts_flat=FLAT)
    _, stop = ends(rig)
    rig.read(rig.listed(stop), position="3")
    rig.feed(WriteUnknown(A, stop, 1, "the cancel has no answer"))

    until(rig, FLAT - MINUTE)

    assert NAME in rig.standing()
