"""Protected or alarmed: whatever a venue, a person or the market does to a stop."""

from decimal import Decimal

import pytest
from msgspec.structs import replace
from tests.scenarios.desk import Desk, configured, fault
from tests.scenarios.test_drift import rewrite
from tests.scenarios.test_when_things_go_wrong import BOTH, EMULATED, PROTECTED, alarms, by_hand

from interlock.brokers.paper.frames import CancelFrame
from interlock.brokers.paper.frames import encode as encode_frame
from interlock.model.ids import AccountName
from interlock.model.record import Alarm, AlarmCleared, Attempt, ExitBegun
from interlock.model.report import CancelRejected
from interlock.model.signal import Purpose, Side
from interlock.storage.lease import overrule

A, B = (AccountName(name) for name in BOTH)
NAME = f"protection.{A}.MES"


def entered(desk_of, text=None) -> Desk:
    desk: Desk = desk_of(text)
    desk.post(desk.alert())
    desk.go(3)
    assert desk.positions() == PROTECTED
    return desk


def stops_sent(desk, account: str = A) -> list[str]:
    return [each.client_order_id for each in desk.entries(Attempt)
            if each.order.account == account and each.order.purpose is Purpose.PROTECT]


def live_stop(desk, account: str = A) -> str:
    ((name,),) = desk.in_book("SELECT client_order_id FROM orders WHERE role = 'stop' AND state = 'live' "
                              f"AND account = '{account}'")
    return str(name)


def test_a_stop_that_the_market_has_passed_before_it_rests_becomes_an_exit(desk_of):
    desk = desk_of(configured(replace=EMULATED, more=fault("place", "reject", nth=3) + fault("place", "reject", nth=4)))
    desk.post(desk.alert())
    while not desk.booked():
        desk.go(0.5)
    desk.quote("MES", "4530")
    desk.go(6)

    assert desk.booked() == {}, "a position whose stop has been passed is closed"
    assert {each.asked.intent.purpose for each in desk.entries(ExitBegun)} == {Purpose.REDUCE}
    assert {row["state"] for row in desk.orders()} == {"closed"}


def test_a_stop_that_the_venue_will_not_have_is_watched_here(desk_of):
    refused = "".join(fault("place", "reject", nth=nth) for nth in range(3, 13))
    desk = desk_of(configured(replace=EMULATED, more=refused))
    desk.post(desk.alert())
    desk.go(30)
    assert {NAME, f"protection.{B}.MES"} <= set(alarms(desk)), "nothing rests, and a person has been called"
    tried = len(stops_sent(desk))

    desk.quote("MES", "4530")
    desk.go(30)

    assert len(stops_sent(desk)) == tried == 5
    assert {each.account for each in desk.entries(ExitBegun)} == set(BOTH), "the market went through the stop"
    assert desk.booked() == {}


def test_a_stop_that_a_person_cancels_at_the_broker_is_not_put_back(desk_of):
    desk = entered(desk_of)
    sent = len(stops_sent(desk))

    desk.paper.venue.handle("cancel", encode_frame(CancelFrame(A, live_stop(desk))))
    desk.go(70)

    assert desk.positions()[A, "MES"] == ("1", "0")
    assert desk.positions()[B, "MES"] == ("1", "1")
    assert len(stops_sent(desk)) == sent
    assert NAME in alarms(desk)
    reply = desk.post(desk.alert())
    assert desk.codes(reply.signal_id)[A] == "account_frozen", "and nothing is entered beside it"


def test_a_stop_whose_position_somebody_else_closed_is_taken_away(desk_of):
    desk = entered(desk_of)

    by_hand(desk, A, Side.SELL)
    desk.go(6)

    assert (A, "MES") not in desk.booked()
    live = desk.in_book(f"SELECT role FROM orders WHERE account = '{A}' AND state <> 'closed'")
    assert live == [], "it would open a position of its own"
    assert desk.positions() == {(B, "MES"): ("1", "1")}


def test_a_fill_nobody_told_of_leaves_no_stop_behind_a_flat_position(desk_of):
    """The position is closed by hand and the report is lost; the list alone shows it."""
    desk = entered(desk_of, configured(replace=EMULATED, more=fault("fill", "drop_report", nth=3)))
    stop = live_stop(desk)

    by_hand(desk, A, Side.SELL)
    desk.go(70)

    assert (A, "MES") not in desk.booked()
    assert desk.in_book(f"SELECT state FROM orders WHERE client_order_id = '{stop}'") == [("closed",)]
    assert f"drift.{A}" in alarms(desk), "whose the difference is, a person decides"
    assert len(stops_sent(desk)) == 1, "and nothing protects what the broker does not hold"


def test_a_split_is_a_difference_and_no_reason_to_trade(desk_of):
    desk = entered(desk_of)
    sent = len(desk.entries(Attempt))
    held = desk.paper.venue._floor.accounts[A].positions
    held["MES"] = replace(held["MES"], quantity=Decimal(4))

    desk.go(70)

    assert f"drift.{A}" in alarms(desk)
    assert len(desk.entries(Attempt)) == sent


def test_the_alarm_ends_with_its_cause(desk_of):
    desk = desk_of(configured(replace=EMULATED, more=fault("place", "latency", nth=3, delay_ms=3000)))
    desk.post(desk.alert())
    desk.go(12)

    assert desk.positions() == PROTECTED
    raised = [key for key in alarms(desk) if key.startswith("protection.")]
    assert {each.key for each in desk.entries(AlarmCleared)} >= set(raised)


@pytest.mark.parametrize("text", [None, configured(replace=EMULATED)], ids=["linked", "emulated"])
def test_protection_stays_where_somebody_else_has_taken_the_lease(desk_of, text):
    """What would follow the cancel is refused, so the cancel is."""
    desk = desk_of(text)
    desk.post(desk.alert())
    desk.go(3)
    assert desk.positions() == PROTECTED
    overrule(desk.directory, "interlock-kill")

    desk.post(desk.alert("close"))
    desk.go(3)

    refused = [each.reason for each in desk.entries(CancelRejected)]
    assert any("safe.lease_moved" in reason for reason in refused)
    assert desk.booked() == {(account, "MES"): "1" for account in BOTH}
    rows = desk.paper.venue._floor.rows.values()
    assert len([row for row in rows if row.purpose is Purpose.PROTECT and row.state.name != "CLOSED"]) == 2, "both stand"


def test_what_somebody_else_holds_is_not_called_flat(desk_of):
    desk = desk_of()
    desk.go(1)
    rewrite(desk, "MES", "1")
    desk.go(75)

    texts = [each.text for each in desk.entries(Alarm) if each.key == "protection.paper-a.MES"]
    assert texts
    assert not any("an exit order is still live" in text for text in texts)
