"""A kill is clean when the broker's own list says so, asked for after everything that could still arrive."""

import pytest
from tests.execution.rig import A, D, Rig, profile
from tests.execution.test_brackets import emulated

from interlock.execution.proof import T_CLEAN
from interlock.model.command import KillProved, Released
from interlock.model.ids import AccountName, BrokerOrderId, ClientOrderId
from interlock.model.money import SECOND
from interlock.model.record import Alarm, Started
from interlock.model.report import BrokerOrder, OrderMissing, ReadFailed, WriteRefused, WriteUnknown
from interlock.model.signal import Purpose, Side

STRANGER = BrokerOrder(ClientOrderId("by-hand"), BrokerOrderId("b"), "MNQ", Side.BUY, D(2), D(0), True, False)


def test_nothing_to_cancel_is_clean_with_the_first_answer():
    rig = Rig(profile())

    rig.kill()
    assert rig.proofs() == [], "not before the broker has answered"
    rig.read()

    assert rig.proofs() == [(True, ())]


def test_the_list_of_before_the_last_cancel_proves_nothing():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.kill()

    rig.read()
    assert rig.proofs() == [], "the order's own end has not been told"
    rig.cancelled(cid)
    assert rig.proofs() == []
    rig.read()

    assert rig.proofs() == [(True, ())]


def test_an_order_in_doubt_keeps_a_kill_unproven_however_empty_the_list():
    rig = Rig(profile(visibility=5 * SECOND))
    cid = rig.enter().client_order_id
    rig.feed(WriteUnknown(A, cid, 1, "reset"))
    rig.kill()

    for _ in range(8):
        rig.read()
        rig.after(SECOND)

    assert rig.proofs() == [(False, (cid,))]
    assert "kill.paper-1" in rig.standing()
    rig.feed(OrderMissing(A, cid, rig.ts))
    rig.after(6 * SECOND)
    rig.feed(OrderMissing(A, cid, rig.ts))
    rig.after(SECOND)
    rig.read()
    assert rig.proofs()[-1] == (True, ())
    assert "kill.paper-1" not in rig.standing()


def test_a_list_is_not_believed_within_the_venues_visibility_delay():
    rig = Rig(profile(visibility=5 * SECOND))
    cid = rig.enter().client_order_id
    rig.feed(WriteRefused(A, cid, 1, "wire.not_sent", "no line"))
    rig.kill()
    rig.read()
    assert rig.proofs() == [], "what was attempted a moment ago may not be listed yet"

    rig.after(5 * SECOND)
    rig.read()

    assert rig.proofs()[-1] == (True, ())


def test_what_the_broker_still_lists_is_named_and_cancelled_again():
    rig = Rig(profile())
    rig.kill()

    rig.read(STRANGER)
    assert rig.cancels == ["by-hand"]
    assert rig.proofs() == [(False, ("by-hand",))]
    rig.after(10 * SECOND)
    rig.read(STRANGER)
    assert set(rig.cancels) == {"by-hand"}
    assert 2 <= len(rig.cancels) < 5, "asked again, with patience"
    assert len(rig.proofs()) == 1, "said once"
    rig.read()

    assert rig.proofs()[-1] == (True, ())
    assert "kill.paper-1" not in rig.standing()


def test_an_order_that_surfaces_after_a_clean_list_unsays_it():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.feed(WriteUnknown(A, cid, 1, "reset"))
    rig.feed(OrderMissing(A, cid, rig.ts))
    rig.kill()
    rig.read()
    assert rig.proofs() == [(True, ())]

    rig.accept(cid)

    assert rig.cancels == [cid]
    assert rig.proofs()[-1] == (False, (cid,))
    rig.cancelled(cid)
    rig.read()
    assert rig.proofs()[-1] == (True, ())


def test_a_broker_that_does_not_answer_is_asked_again_and_a_person_called():
    rig = Rig(profile())
    rig.kill()
    for _ in range(10):
        rig.feed(ReadFailed(A, "down"))
        rig.after(SECOND)

    assert rig.proofs() == [(False, ())], "nothing is known"
    assert "kill.paper-1" in rig.standing()
    assert 3 < rig.reads() < 12
    rig.after(120 * SECOND)
    assert "kill.paper-1#2" in rig.standing()
    rig.read()
    assert rig.proofs()[-1] == (True, ())


def test_scope_risk_keeps_the_stop_and_counts_what_is_still_at_risk():
    rig = Rig(profile())
    _, stop = emulated(rig)
    rig.quote("100", "101")

    rig.kill()
    rig.read(rig.listed(stop), position="3")

    proved = [item for item in rig.out if isinstance(item, KillProved)]
    assert [(each.is_clean, each.notional) for each in proved] == [(True, D(3) * D("100.5") * 2)]
    assert rig.cancels == []
    assert "killed_open.paper-1" in rig.standing()


def test_scope_all_names_what_it_leaves_without_protection():
    rig = Rig(profile())
    _, stop = emulated(rig)

    rig.kill("all")

    (alarm,) = [item for item in rig.out if isinstance(item, Alarm) and item.key == "killed_open.paper-1"]
    assert alarm.severity == "critical"
    assert "MNQ 3 without protection" in alarm.text
    assert "interlock flatten --account paper-1" in alarm.text
    rig.cancelled(stop)
    rig.read(position="3")
    assert rig.proofs() == [(True, ())]
    rig.feed(Released(None, None, 2))
    assert "killed_open.paper-1" not in rig.standing()
    rig.after(60 * SECOND)
    assert len(rig.sent) == 2, "what a person took away is not put back"


def test_an_entry_that_fills_after_a_kill_of_everything_is_protected_all_the_same():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.kill("all")
    rig.after(SECOND)

    rig.fill(cid, "3")

    assert rig.sent[-1].purpose is Purpose.PROTECT
    rig.accept(rig.sent[-1].client_order_id)
    rig.read(rig.listed(rig.sent[-1].client_order_id), position="3")
    assert rig.proofs()[-1] == (True, ())


def test_a_restart_proves_anew():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.kill()

    rig.feed(Started("b", "v", 2, {}, False))
    rig.resume()
    rig.read(rig.listed(cid))
    rig.after(T_CLEAN)

    assert rig.proofs() == [(False, (cid,))]
    rig.cancelled(cid)
    rig.read()
    assert rig.proofs()[-1] == (True, ())


@pytest.mark.parametrize("account", [None, A, AccountName("another")])
def test_only_the_accounts_in_reach_are_proven(account):
    rig = Rig(profile())

    rig.kill(account=account)
    rig.read()

    assert len(rig.proofs()) == (0 if account == "another" else 1)
