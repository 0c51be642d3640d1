"""Kills, drift, a venue that falls silent or answers badly: every position ends protected, or a person has been called."""

from decimal import Decimal

import msgspec
import pytest
from tests.scenarios.desk import configured, fault

from interlock.brokers.paper.frames import LegFrame, PlaceFrame
from interlock.model.account import ClosedTrade
from interlock.model.command import Kill, Killed, Release
from interlock.model.ids import AccountName
from interlock.model.order import OrderType, TimeInForce
from interlock.model.record import AccountFrozen, Alarm, Attempt, Difference
from interlock.model.report import OrderRejected
from interlock.model.signal import Purpose, Side

BOTH = ("paper-a", "paper-b")
EMULATED = {"has_native_brackets = true ": "has_native_brackets = false "}
PROTECTED = {(account, "MES"): ("1", "1") for account in BOTH}


def by_hand(desk, account: str, side: Side, quantity: str = "1", symbol: str = "MES") -> None:
    """Somebody trades in the same account, past us: at the venue's own desk."""
    leg = LegFrame(id=f"by-hand-{account}-{side.value}", role="entry", purpose=Purpose.ENTER, side=side,
                   quantity=Decimal(quantity),
                   type=OrderType.MARKET, tif=TimeInForce.GTC)
    desk.paper.venue.handle("place", msgspec.json.encode(PlaceFrame(account, symbol, [leg])))


def alarms(desk) -> list[str]:
    return [alarm.key for alarm in desk.entries(Alarm)]


def test_a_kill_latches_refuses_entries_and_keeps_the_stops(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(2)

    told = desk.command(Kill(why="news"))
    desk.go(90)
    refused = desk.post(desk.alert())
    desk.go(2)

    assert told["killed"]
    assert {row["account"] for row in told["positions"]} == set(BOTH)
    assert set(desk.codes(refused.signal_id).values()) == {"killed"}
    assert desk.positions() == PROTECTED, "protective exits are kept"
    assert desk.board()["killed"]

    assert desk.post(desk.alert("close")).body["status"] == "accepted"
    desk.go(2)
    assert desk.booked() == {}, "a kill keeps nobody from getting out"

    assert desk.command(Release(phrase="please"))["code"] == "command.phrase"
    assert desk.command(Release(phrase="RELEASE THE KILL"))["code"] == "command.unseen"
    assert desk.command(Release(phrase="RELEASE THE KILL", seen=desk.seen("kill.all")))["ok"]
    desk.go(60)
    desk.post(desk.alert())
    desk.go(2)
    assert set(desk.booked()) == {(account, "MES") for account in BOTH}


def test_a_kill_cancels_entries_that_have_not_filled(desk_of):
    desk = desk_of(configured(replace={"latency_ms = 250 ": "latency_ms = 2000 "}))
    desk.post(desk.alert())
    desk.go(0.5)
    assert {row["state"] for row in desk.orders(purpose="enter")} <= {"in_flight", "working"}

    told = desk.command(Kill(why="news"))
    desk.go(8)

    assert len(told["orders_to_cancel"]) == 2
    assert desk.entries(Killed)[0].orders_to_cancel == tuple(told["orders_to_cancel"])
    held = desk.booked()
    assert desk.positions() == {key: (quantity, quantity) for key, quantity in held.items()}, "what filled first is protected"
    assert all(row["state"] == "closed" for row in desk.orders(purpose="enter"))


def test_a_kill_of_one_account_leaves_the_other_trading(desk_of):
    desk = desk_of()
    desk.command(Kill(why="this one", account=AccountName("paper-b")))

    reply = desk.post(desk.alert())
    desk.go(2)

    assert desk.codes(reply.signal_id) == {"paper-a": "cleared", "paper-b": "killed"}
    assert desk.booked() == {("paper-a", "MES"): "1"}


def test_a_kill_survives_a_crash(desk_of):
    desk = desk_of()
    desk.command(Kill(why="news"))
    desk.crash()

    desk = desk.again()
    reply = desk.post(desk.alert())
    desk.go(2)

    assert set(desk.codes(reply.signal_id).values()) == {"killed"}
    assert desk.order_bytes == 0
    desk.crash()


def test_a_trade_by_hand_freezes_that_account_and_no_other(desk_of):
    desk = desk_of()
    by_hand(desk, "paper-a", Side.BUY, symbol="MNQ")
    desk.go(70)

    reply = desk.post(desk.alert())
    desk.go(2)

    frozen = {(each.account, each.code) for each in desk.entries(AccountFrozen)}
    assert ("paper-a", "drift") in frozen
    assert {account for account, _ in frozen} == {"paper-a"}
    assert "drift.paper-a" in alarms(desk)
    assert desk.codes(reply.signal_id) == {"paper-a": "account_frozen", "paper-b": "cleared"}
    assert desk.positions() == {("paper-a", "MNQ"): ("1", "0"), ("paper-b", "MES"): ("1", "1")}, "told as it is"
    assert desk.booked() == {("paper-a", "MNQ"): "1", ("paper-b", "MES"): "1"}, "drift is told, not traded away"


def test_a_position_closed_by_hand_is_told_and_not_doubled(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(2)
    by_hand(desk, "paper-b", Side.SELL)

    desk.go(70)

    assert "drift.paper-b" in alarms(desk)
    assert desk.booked()["paper-a", "MES"] == "1"
    assert len(desk.orders(account="paper-a")) == 3, "the other account's orders are untouched"


@pytest.mark.parametrize("brackets", ["native", "emulated"])
def test_when_the_venue_falls_silent_every_label_is_unknown_within_ten_seconds_and_entries_are_refused(desk_of, brackets):
    desk = desk_of(configured(replace=EMULATED if brackets == "emulated" else {}))
    desk.go(2)
    assert [desk.truth(account) for account in BOTH] == ["paper_sim", "paper_sim"]

    desk.paper.wire.silence()
    desk.go(10)

    assert [desk.truth(account) for account in BOTH] == ["unknown", "unknown"]
    before = desk.order_bytes
    reply = desk.post(desk.alert())
    desk.go(2)
    assert reply.body["status"] == "accepted", "the alert is taken down"
    assert set(desk.codes(reply.signal_id).values()) <= {"truth_unknown", "proof_old"}
    assert desk.order_bytes == before

    desk.paper.wire.heal()
    desk.go(70)
    desk.post(desk.alert())
    desk.go(3)
    assert desk.positions() == PROTECTED, "it takes entries again once it answers"


def test_a_silence_between_order_and_fill_ends_protected(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.paper.wire.silence()
    desk.go(30)
    desk.paper.wire.heal()
    desk.go(40)

    assert desk.positions() == PROTECTED
    assert desk.booked() == {(account, "MES"): "1" for account in BOTH}
    assert len(desk.orders(purpose="enter")) == 2


def test_a_difference_that_no_report_explains_freezes_the_account_once_it_outlives_what_may_be_in_flight(desk_of):
    desk = desk_of(configured(more=fault("ack", "drop_report") + fault("fill", "drop_report")))
    by_hand(desk, "paper-a", Side.BUY, symbol="MNQ")
    desk.go(75)

    assert {(each.account, each.code) for each in desk.entries(AccountFrozen)} >= {("paper-a", "drift")}
    assert {each.account for each in desk.entries(AccountFrozen)} == {"paper-a"}
    assert {each.account for each in desk.entries(Difference)} == {"paper-a"}
    assert desk.booked() == {("paper-a", "MNQ"): "1"}, "no order follows from a difference"


def test_a_broken_line_refuses_entries_until_a_person_has_started_the_desk_again(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(2)
    desk.paper.wire.disconnect("cable pulled", 5_000_000_000)
    desk.go(1)
    assert {desk.truth(account) for account in BOTH} == {"unknown"}

    desk.go(70)
    refused = desk.post(desk.alert())
    desk.go(1)
    assert set(desk.codes(refused.signal_id).values()) <= {"truth_unknown", "line_down", "account_frozen"}
    desk.crash()

    desk = desk.again()
    desk.go(2)
    assert {desk.truth(account) for account in BOTH} == {"paper_sim"}
    assert desk.positions() == PROTECTED
    assert desk.post(desk.alert("close")).body["status"] == "accepted"
    desk.go(3)
    assert desk.booked() == {}
    desk.crash()


def test_a_round_trip_that_a_restart_folds_is_not_told_again(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(2)
    desk.post(desk.alert("close"))
    desk.go(2)
    assert len(desk.entries(ClosedTrade)) == 2
    desk.crash()

    desk = desk.again()
    desk.go(90)
    desk.post(desk.alert())
    desk.go(2)

    assert desk.positions() == PROTECTED
    assert len(desk.entries(ClosedTrade)) == 2
    desk.crash()


FAULTS = {
    "the answer to an order is lost": [fault("place", "drop_response")],
    "an order never arrives": [fault("place", "drop_request")],
    "an order is carried out and answered with an error": [fault("place", "accept_then_error")],
    "the fill comes before the acknowledgement": [fault("place", "fill_before_ack")],
    "every report comes twice": [fault(on, "duplicate_report", nth=0, delay_ms=700) for on in ("ack", "fill", "cancelled")],
    "fills come late": [fault("fill", "late_report", nth=0, delay_ms=3000)],
    "a fill report is lost": [fault("fill", "drop_report")],
    "all acknowledgements are lost": [fault("ack", "drop_report", nth=0)],
    "a look-up misses a lost order": [fault("place", "drop_response"), fault("place", "visibility_delay", delay_ms=4000)],
    "the first order is refused": [fault("place", "reject", reason="no margin")],
    "the order is refused after its acknowledgement": [fault("place", "ack_then_reject", delay_ms=100)],
    "a part fills, the rest later": [fault("fill", "partial")],
    "the wire is slow": [fault("place", "latency", nth=0, delay_ms=1200)],
}


@pytest.mark.parametrize("brackets", ["native", "emulated"])
@pytest.mark.parametrize("what", FAULTS)
def test_whatever_the_venue_does_each_account_ends_protected_or_alarmed(desk_of, what, brackets):
    rich = {"[gate]\n": "[gate]\n", 'risk_per_trade = "120" ': 'risk_per_trade = "400" '}
    desk = desk_of(configured(replace=(EMULATED if brackets == "emulated" else {}) | rich, more="\n".join(FAULTS[what])))

    reply = desk.post(desk.alert())
    desk.go(75)

    held, ours = desk.booked(), desk.positions()
    for account in BOTH:
        quantity = held.get((account, "MES"), "0")
        stops = desk.in_book(f"SELECT size, filled FROM orders WHERE account = '{account}' AND purpose = 'protect' "
                             "AND state = 'live'")
        live = sum((Decimal(size) - Decimal(filled) for size, filled in stops), Decimal(0))
        is_protected = live == Decimal(quantity)
        assert is_protected or any(account in key for key in alarms(desk)), (account, quantity, live, alarms(desk))
        if is_protected:
            assert ours.get((account, "MES"), ("0", "0"))[0] == quantity, "ours agrees with the venue's book"
    entries = desk.in_book("SELECT account, COUNT(*) FROM orders WHERE purpose = 'enter' GROUP BY account")
    assert all(count == 1 for _, count in entries), "nothing was sent twice"
    assert all(attempt.order.signal_id == reply.signal_id for attempt in desk.entries(Attempt))


def test_one_accounts_reject_never_touches_the_others_order(desk_of):
    desk = desk_of(configured(more=fault("place", "reject", reason="no margin")))

    desk.post(desk.alert())
    desk.go(2)

    rejected = {report.account for report in desk.entries(OrderRejected)}
    assert rejected == {"paper-a"}
    assert desk.positions() == {("paper-b", "MES"): ("1", "1")}
    assert {row["outcome"] for row in desk.orders(account="paper-a")} == {"rejected"}


@pytest.mark.parametrize("brackets", ["native", "emulated"])
@pytest.mark.parametrize("end", ["crash", "stop"])
def test_after_a_restart_the_protection_is_known_and_nothing_is_sent_again(desk_of, brackets, end):
    desk = desk_of(configured(replace=EMULATED if brackets == "emulated" else {}))
    desk.post(desk.alert())
    desk.go(3)
    before, held, attempts = desk.orders(), desk.booked(), len(desk.entries(Attempt))
    getattr(desk, end)()

    desk = desk.again()
    assert desk.positions() == PROTECTED
    desk.go(40)

    assert desk.orders() == before
    assert desk.booked() == held
    assert desk.order_bytes == 0
    assert len(desk.entries(Attempt)) == attempts
    assert desk.post(desk.alert("close")).body["status"] == "accepted"
    desk.go(3)
    assert desk.booked() == {}
    desk.crash()


def test_a_crash_between_the_commit_and_the_wire_sends_nothing_afterwards(desk_of):
    desk = desk_of()
    kept = desk.withhold()
    reply = desk.post(desk.alert())
    assert len(kept) == 2
    desk.crash()

    desk = desk.again()
    desk.go(75)

    assert desk.order_bytes == 0
    assert desk.booked() == {}
    assert {row["state"] for row in desk.orders()} == {"closed"}, "looked up, found missing, and closed"
    assert set(desk.codes(reply.signal_id)) == set(BOTH), "an acknowledged signal has a verdict per account"
    desk.crash()


def test_a_crash_between_the_wire_and_the_answer_finds_the_fill_at_the_venue(desk_of):
    desk = desk_of()
    desk.post(desk.alert())
    desk.crash()                       # the venue has the orders; no report of them was read
    desk = desk.again()
    desk.go(10)

    assert desk.positions() == PROTECTED
    assert desk.booked() == {(account, "MES"): "1" for account in BOTH}
    assert desk.order_bytes == 0
    desk.crash()
