"""A halt takes entries back, keeps protection, calls a person, and closes nothing."""

import pytest
from tests.execution.rig import A, Rig, profile
from tests.execution.test_brackets import emulated

from interlock.model.money import SECOND
from interlock.model.record import AccountFrozen, AccountThawed, Alarm, TierChanged
from interlock.model.report import OrderMissing, WriteUnknown


@pytest.mark.parametrize(("begin", "end", "key"), [
    (TierChanged("account.paper-1", 4, 0, ("mismatch",)), TierChanged("account.paper-1", 0, 4, ()), "halt.account.paper-1"),
    (TierChanged("lane.futures", 4, 3, ("no quotes",)), TierChanged("lane.futures", 1, 4, ()), "halt.lane.futures"),
    (AccountFrozen(A, "loss", "the day's loss"), AccountThawed(A, "loss"), "halt.loss.paper-1"),
])
def test_entries_go_protection_stays_and_nothing_is_closed(begin, end, key):
    rig = Rig(profile())
    emulated(rig)
    entry = rig.enter(signal="s2", instrument="MES").client_order_id
    rig.accept(entry)

    rig.feed(begin)

    assert rig.cancels == [entry]
    assert len(rig.sent) == 3
    (alarm,) = [item for item in rig.out if isinstance(item, Alarm) and item.key == key]
    assert "MNQ 3" in alarm.text
    assert "interlock flatten --account paper-1" in alarm.text
    rig.feed(end)
    assert key not in rig.standing()


@pytest.mark.parametrize("change", [
    TierChanged("account.another", 4, 0, ()), TierChanged("lane.crypto", 4, 0, ()), TierChanged("account.paper-1", 3, 0, ()),
    AccountFrozen(A, "protection.MNQ", "no stop"),
])
def test_a_halt_of_something_else_and_anything_less_than_a_halt_cancels_nothing(change):
    rig = Rig(profile())
    rig.accept(rig.enter().client_order_id)

    rig.feed(change)

    assert rig.cancels == []


def test_an_entry_that_surfaces_during_a_halt_is_cancelled():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.feed(WriteUnknown(A, cid, 1, ""))
    rig.feed(OrderMissing(A, cid, rig.ts))
    rig.feed(TierChanged("account.paper-1", 4, 0, ()))
    rig.after(SECOND)

    rig.accept(cid)

    assert rig.cancels == [cid]
