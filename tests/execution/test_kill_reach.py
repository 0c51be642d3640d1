"""What a kill reaches and what it leaves: by lane, by account, by scope, by what the broker lists, and after a start."""

import pytest
from tests.execution.rig import LANE, A, D, Rig, profile
from tests.execution.test_brackets import emulated

from interlock.execution.proof import T_CLEAN
from interlock.model.command import Killed, KillProved, Released
from interlock.model.ids import AccountName, BrokerOrderId, ClientOrderId, ExecutionId, LaneName
from interlock.model.money import SECOND
from interlock.model.record import Alarm, AlarmCleared, CancelRequested, Tick, TierChanged
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    CancelRejected,
    OrderFilled,
    OrderMissing,
    ReadFailed,
    WriteUnknown,
)
from interlock.model.signal import Purpose, Side

B = AccountName("paper-2")
CRYPTO = LaneName("crypto")


def foreign(side: Side = Side.SELL, *, is_protective: bool = True, quantity: str = "3") -> BrokerOrder:
    """An order that nobody here made."""
    return BrokerOrder(ClientOrderId("by-hand"), BrokerOrderId("b"), "MNQ", side, D(quantity), D(0), True, is_protective)


def asked(rig: Rig) -> list[tuple[str, str]]:
    return [(item.client_order_id, item.permit) for item in rig.out if isinstance(item, CancelRequested)]


def open_alarms(rig: Rig) -> list[tuple[str, str]]:
    return [(item.severity, item.text.split(";")[0]) for item in rig.out
            if isinstance(item, Alarm) and item.key.startswith("killed_open")]


# -- reach

def test_a_kill_of_another_lane_is_clean_whatever_this_one_has_open():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)

    rig.kill("all", lane=CRYPTO)
    rig.read(rig.listed(cid), foreign())

    assert rig.proofs() == [(True, ())], "nor does it reach an order of no lane"
    assert rig.cancels == []


def test_a_kill_of_this_lane_takes_its_entries_and_leaves_what_is_of_no_lane():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)

    rig.kill(lane=LANE)
    rig.cancelled(cid)
    rig.read(foreign(Side.BUY, is_protective=False))

    assert rig.cancels == [cid]
    assert rig.proofs() == [(True, ())]


def test_what_the_broker_goes_on_listing_after_its_own_word_that_it_is_gone_is_not_clean():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.kill(lane=LANE)
    listed = rig.listed(cid)
    rig.cancelled(cid)

    rig.read(listed)

    assert rig.proofs()[-1] == (False, (cid,))


def test_another_accounts_kill_says_nothing_about_this_one():
    rig = Rig(profile(), (A, B))
    rig.kill("risk", account=A)
    rig.kill("all", account=B)

    rig.read(foreign(), position="3")                      # protects three that are held: scope "risk" keeps it

    assert [(item.account, item.is_clean) for item in rig.out if isinstance(item, KillProved)] == [(A, True)]
    assert rig.cancels == []


@pytest.mark.parametrize(("scope", "order", "position", "is_taken"), [
    ("risk", foreign(), "3", False), ("risk", foreign(), "0", True), ("risk", foreign(), "-3", True),
    ("risk", foreign(Side.BUY), "3", True), ("risk", foreign(Side.BUY), "-3", False),
    ("risk", foreign(is_protective=False), "3", True), ("all", foreign(), "3", True),
])
def test_an_order_of_nobodys_protects_only_what_it_closes(scope, order, position, is_taken):
    rig = Rig(profile())
    rig.kill(scope)

    rig.read(order, position=position)

    assert asked(rig) == ([("by-hand", "person")] if is_taken else [])
    assert rig.proofs() == [(not is_taken, ("by-hand",) if is_taken else ())]


def test_a_stranger_is_cancelled_at_once_though_our_own_order_still_hangs():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.kill()

    rig.read(rig.listed(cid), foreign(Side.BUY, is_protective=False))
    assert asked(rig) == [(cid, "person"), ("by-hand", "person")]
    rig.read(rig.listed(cid), foreign(Side.BUY, is_protective=False))

    assert rig.cancels.count(ClientOrderId("by-hand")) == 1, "its answer comes first"


def test_without_a_kill_a_stranger_is_left_alone():
    rig = Rig(profile())

    rig.read(foreign(Side.BUY, is_protective=False))

    assert rig.cancels == []


# -- scope "all"

def test_a_stop_of_before_a_kill_of_everything_keeps_it_unproven_until_it_is_gone():
    rig = Rig(profile())
    _, stop = emulated(rig)
    rig.kill("all")

    rig.read(position="3")
    assert rig.proofs() == [], "we still have it open"
    listed = rig.listed(stop)
    rig.cancelled(stop)
    rig.read(listed, position="3")
    assert rig.proofs() == [(False, (stop,))], "and the broker lists it"


def test_a_stop_of_after_a_kill_of_everything_is_not_taken_though_the_broker_lists_it():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.kill("all")
    rig.after(SECOND)
    rig.fill(cid, "3")
    stop = rig.sent[-1].client_order_id
    before = list(rig.cancels)

    rig.accept(stop)
    rig.read(rig.listed(stop), position="3")

    assert rig.sent[-1].purpose is Purpose.PROTECT
    assert rig.cancels == before
    assert rig.proofs()[-1] == (True, ())


def test_an_entry_that_appears_after_the_kill_is_one_that_it_wants_gone():
    rig = Rig(profile())
    rig.kill()
    rig.read()
    rig.after(SECOND)
    cid = rig.enter().client_order_id                      # no gate lets one through; if one did

    rig.accept(cid)
    assert rig.cancels == [cid]
    rig.after(T_CLEAN)

    assert rig.proofs()[-1] == (False, (cid,))
    listed = rig.listed(cid)
    rig.cancelled(cid)
    rig.read(listed)
    assert rig.proofs()[-1] == (False, (cid,))


# -- what is still open

@pytest.mark.parametrize(("scope", "lane", "told"), [
    ("risk", None, [("warning", "paper-1 is killed and still holds MNQ 3 (stops 3)")]),
    ("risk", LANE, [("warning", "paper-1 is killed and still holds MNQ 3 (stops 3)")]),
    ("all", None, [("critical", "paper-1 is killed and still holds MNQ 3 without protection")]), ("risk", CRYPTO, []),
])
def test_positions_in_reach_are_called_out_by_name(scope, lane, told):
    rig = Rig(profile())
    emulated(rig)

    rig.kill(scope, lane=lane)

    assert open_alarms(rig) == told


def test_a_stop_that_no_venue_has_confirmed_is_no_protection():
    rig = Rig(profile())
    order = rig.enter()
    rig.accept(order.client_order_id)
    rig.fill(order.client_order_id, "3")

    rig.kill()

    assert open_alarms(rig) == [("critical", "paper-1 is killed and still holds MNQ 3 without protection")]


def test_a_second_kill_tells_its_own_list():
    rig = Rig(profile())
    emulated(rig)
    rig.kill()
    rig.kill("all")

    told = [item for item in rig.out if isinstance(item, Alarm | AlarmCleared) and item.key == "killed_open.paper-1"]
    assert [type(item).__name__ for item in told] == ["Alarm", "AlarmCleared", "Alarm"]
    assert [severity for severity, _ in open_alarms(rig)] == ["warning", "critical"]


def test_what_one_release_leaves_killed_stays_called_out():
    rig = Rig(profile())
    emulated(rig)
    rig.kill()
    rig.kill(account=A)

    rig.feed(Released(None, None, 3))
    assert "killed_open.paper-1" in rig.standing()
    rig.feed(Released(None, A, 4))

    assert "killed_open.paper-1" not in rig.standing()


# -- after a start

@pytest.mark.parametrize(("lane", "account", "is_reached"), [
    (None, None, True), (LANE, None, True), (None, A, True), (LANE, A, True), (CRYPTO, None, False), (None, B, False),
])
def test_a_kill_that_was_given_while_nothing_ran_is_carried_out_at_the_start(lane, account, is_reached):
    rig = Rig(profile(), (A, B))
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.fold(Killed(lane, account, "risk", "offline", 1, (), ()))

    rig.resume()

    assert asked(rig) == ([(cid, "person")] if is_reached else [])


def test_what_was_asked_to_go_before_the_start_is_not_asked_again_at_once():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.kill()

    rig.resume()

    assert rig.cancels == [cid]


# -- late arrivals

def test_a_stop_that_arrives_after_its_cancel_is_cancelled_with_the_same_permit():
    rig = Rig(profile())
    order = rig.enter()
    rig.accept(order.client_order_id)
    rig.fill(order.client_order_id, "3")
    stop = rig.sent[1].client_order_id
    rig.kill("all")

    rig.after(SECOND)
    rig.accept(stop)

    assert asked(rig) == [(stop, "person"), (stop, "person")]


@pytest.mark.parametrize("halt", ["kill", "tier"])
def test_a_stop_that_arrives_while_entries_are_stopped_stays(halt):
    rig = Rig(profile())
    order = rig.enter()
    rig.accept(order.client_order_id)
    rig.fill(order.client_order_id, "3")
    stop = rig.sent[1].client_order_id
    if halt == "kill":
        rig.kill()
    else:
        rig.feed(TierChanged("account.paper-1", 4, 0, ()))

    rig.accept(stop)

    assert rig.cancels == []


# -- the proof, in its time

def unanswered(rig: Rig) -> Rig:
    rig.kill()
    rig.feed(ReadFailed(A, "down"))
    return rig


def test_a_kill_has_five_seconds_to_be_proven():
    assert T_CLEAN == 5_000_000_000


def test_after_five_seconds_without_an_answer_it_is_said_that_nothing_is_known():
    rig = unanswered(Rig(profile()))
    rig.after(T_CLEAN - 1)
    assert rig.proofs() == []

    rig.after(1)

    assert rig.proofs() == [(False, ())]
    (alarm,) = [item for item in rig.out if isinstance(item, Alarm) and item.key == "kill.paper-1"]
    assert alarm.text.startswith("paper-1: the kill is not proven: the broker has not told what it holds")


@pytest.mark.parametrize("is_marked", [True, False])
def test_what_hangs_is_named_after_five_seconds_with_what_is_at_risk(is_marked):
    rig = Rig(profile())
    emulated(rig)
    if is_marked:
        rig.quote("100", "101")                            # 3 x 100.5 x 2
    cid = rig.enter(signal="s2", instrument="MES").client_order_id
    rig.accept(cid)
    rig.kill()
    rig.after(T_CLEAN - 1)
    assert rig.proofs() == []

    rig.after(1)

    (alarm,) = [item for item in rig.out if isinstance(item, Alarm) and item.key == "kill.paper-1"]
    assert rig.proofs() == [(False, (cid,))]
    assert alarm.text == (f"paper-1: the kill is not proven: 1 orders may still add risk ({cid})"
                          + ("; 603 still at risk" if is_marked else ""))


@pytest.mark.parametrize(("instrument", "is_marked", "notional"), [
    ("MNQ", True, "603"), ("MNQ", False, None), ("XYZ", True, None),
])
def test_what_is_at_risk_is_known_only_with_a_price_and_a_definition(instrument, is_marked, notional):
    rig = Rig(profile())
    if is_marked:
        rig.quote("100", "101", instrument)
    rig.kill()

    rig.feed(read_with(rig, instrument))

    (proved,) = [item for item in rig.out if isinstance(item, KillProved)]
    assert proved.notional == (None if notional is None else D(notional))


def read_with(rig: Rig, instrument: str, quantity: str = "3") -> AccountRead:
    return AccountRead(A, "1", D(1), "USD", (BrokerPosition(instrument, D(quantity)),), (), (), rig.ts, 1)


def test_an_order_that_hangs_and_is_listed_is_asked_to_go_again():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.kill()
    rig.feed(CancelRejected(A, cid, "not now", rig.ts))
    rig.after(T_CLEAN + SECOND)

    rig.read(rig.listed(cid))

    assert rig.cancels.count(cid) >= 2
    assert rig.proofs()[-1] == (False, (cid,))


def test_an_entry_given_up_before_the_kill_and_found_after_a_clean_proof_is_cancelled():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.feed(WriteUnknown(A, cid, 1, "reset"))
    rig.feed(OrderMissing(A, cid, rig.ts))
    rig.kill()
    rig.read()
    assert rig.proofs() == [(True, ())]

    rig.accept(cid)

    assert rig.proofs()[-1] == (False, (cid,)), "at once, and not after five seconds"


# -- asked again, with patience

def test_while_our_own_order_hangs_the_list_is_asked_for_every_five_seconds():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.kill()
    rig.read(rig.listed(cid))                              # answered: patience would be short, if nothing hung
    before = rig.reads()

    rig.after(5 * SECOND - 1)
    assert rig.reads() == before
    rig.after(1)
    assert rig.reads() == before + 1
    rig.after(5 * SECOND)

    assert rig.reads() == before + 2


def test_a_question_without_an_answer_is_put_again_after_five_seconds_sharp():
    rig = Rig(profile())
    rig.kill()
    assert rig.reads() == 1

    rig.after(5 * SECOND - 1)
    assert rig.reads() == 1
    rig.after(1)

    assert rig.reads() == 2


def test_what_is_proven_is_not_asked_for_again():
    rig = Rig(profile())
    rig.kill()
    rig.after(3 * SECOND)
    before = rig.reads()

    rig.read()

    assert rig.proofs() == [(True, ())]
    assert rig.reads() == before


def test_a_clean_proof_is_not_unsaid_by_what_fills_later():
    rig = Rig(profile())
    _, stop = emulated(rig)
    rig.kill()
    rig.read(rig.listed(stop), position="3")
    assert rig.proofs() == [(True, ())]

    rig.after(60 * SECOND)
    rig.fill(stop, "1")
    rig.feed(Tick())

    assert rig.proofs() == [(True, ())]


def test_a_stranger_beside_our_own_hanging_order_is_asked_again_after_five_seconds():
    rig = Rig(profile())
    cid = rig.enter().client_order_id
    rig.accept(cid)
    rig.kill()
    stranger = foreign(Side.BUY, is_protective=False)
    rig.read(rig.listed(cid), stranger)
    rig.after(T_CLEAN - 1)
    assert rig.cancels.count(ClientOrderId("by-hand")) == 1

    rig.after(1)

    assert rig.cancels.count(ClientOrderId("by-hand")) == 2


def test_a_stranger_is_asked_again_when_its_time_has_come():
    rig = Rig(profile())
    rig.kill()
    stranger = foreign(Side.BUY, is_protective=False)
    rig.read(stranger)
    due = rig.execution.orders.book.cancels[ClientOrderId("by-hand")].ts_next

    rig.ts = due - 1
    rig.read(stranger)
    assert rig.cancels == ["by-hand"]
    rig.ts = due
    rig.read(stranger)

    assert rig.cancels == ["by-hand", "by-hand"]


def test_what_is_told_to_be_flat_needs_no_price():
    rig = Rig(profile())
    rig.kill()

    rig.feed(read_with(rig, "MNQ", "0"))

    (proved,) = [item for item in rig.out if isinstance(item, KillProved)]
    assert proved.notional == 0


def test_a_position_that_no_plan_stands_behind_belongs_to_no_lane():
    rig = Rig(profile())
    rig.feed(OrderFilled(A, ClientOrderId("by-hand"), ExecutionId("x"), "MNQ", Side.BUY, D(2), D(100), D(0), rig.ts))
    assert rig.position() == 2

    rig.kill(lane=LANE)
    assert open_alarms(rig) == []
    rig.kill()

    assert [severity for severity, _ in open_alarms(rig)] == ["critical"]
