"""An alert over the hook, to a protected position on two accounts, and out again: through the wiring that `run` builds."""

import pytest
from tests.scenarios.desk import configured

from interlock.model.command import DisableAccount, EnableAccount
from interlock.model.ids import AccountName
from interlock.model.signal import RouteRefused

EMULATED = {"has_native_brackets = true ": "has_native_brackets = false "}
BOTH = ("paper-a", "paper-b")
B = AccountName("paper-b")


@pytest.mark.parametrize("brackets", ["native", "emulated"])
@pytest.mark.parametrize("action", ["buy", "sell"])
def test_an_alert_is_filled_and_protected_on_both_accounts_and_closed_by_the_next(desk_of, action, brackets):
    desk = desk_of(configured(replace=EMULATED if brackets == "emulated" else {}))
    sign = "" if action == "buy" else "-"

    reply = desk.post(desk.alert(action))
    desk.go(3)

    assert (reply.status, reply.body["status"], reply.code) == (200, "accepted", "accepted")
    assert desk.codes(reply.signal_id)["paper-a"] == desk.codes(reply.signal_id)["paper-b"] == "cleared"
    assert desk.positions() == {(account, "MES"): (f"{sign}1", "1") for account in BOTH}
    assert desk.booked() == {(account, "MES"): f"{sign}1" for account in BOTH}, "the venue's own book agrees"

    out = desk.post(desk.alert("close"))
    desk.go(3)

    assert out.body["status"] == "accepted"
    assert desk.positions() == desk.booked() == {}
    assert not [row for row in desk.orders() if row["state"] != "closed"], "nothing is left working"
    assert {row["signal_id"] for row in desk.orders()} == {reply.signal_id, out.signal_id}


def test_the_same_body_four_times_at_five_second_gaps_makes_one_order_per_account(desk_of):
    desk = desk_of()
    body = desk.alert()

    replies = []
    for _ in range(4):
        replies.append(desk.post(body))
        desk.go(5)

    assert [reply.body["status"] for reply in replies] == ["accepted", "duplicate", "duplicate", "duplicate"]
    assert len({reply.signal_id for reply in replies}) == 1, "a duplicate answers with the id of the first"
    assert [row["account"] for row in desk.orders(purpose="enter")] == ["paper-a", "paper-b"]
    entries = desk.in_book("SELECT account, COUNT(*) FROM orders WHERE purpose = 'enter' GROUP BY account")
    assert entries == [("paper-a", 1), ("paper-b", 1)]


def test_a_target_that_trades_takes_the_profit_and_the_stop_goes(desk_of):
    desk = desk_of()
    desk.post(desk.alert("buy", target="4555"))
    desk.go(2)

    desk.move("MES", "4556")
    desk.go(2)

    assert desk.positions() == desk.booked() == {}
    outcomes = {(row["purpose"], row["outcome"]) for row in desk.orders()}
    assert outcomes == {("enter", "filled"), ("target", "filled"), ("protect", "cancelled")}


@pytest.mark.parametrize("brackets", ["native", "emulated"])
def test_a_stop_that_trades_ends_the_position_and_the_target_goes(desk_of, brackets):
    desk = desk_of(configured(replace=EMULATED if brackets == "emulated" else {}))
    desk.post(desk.alert("sell", target="4540"))
    desk.go(2)

    desk.move("MES", "4560")
    desk.go(3)

    assert desk.positions() == desk.booked() == {}
    assert {row["outcome"] for row in desk.orders(purpose="protect")} == {"filled"}
    assert all(row["state"] == "closed" for row in desk.orders())


def test_an_alert_that_owns_its_target_leaves_only_the_stop_at_the_venue(desk_of):
    desk = desk_of(configured(replace={'exit_profile = "bracket" ': 'exit_profile = "alert" '}))

    desk.post(desk.alert())
    desk.go(2)

    assert {row["purpose"] for row in desk.orders() if row["state"] == "working"} == {"protect"}

    desk.post(desk.alert("target", position="0"))
    desk.go(3)

    assert desk.booked() == {}


def test_a_disabled_account_gets_a_receipt_and_the_other_its_order(desk_of):
    desk = desk_of()
    assert desk.command(DisableAccount(account=B, why="holiday"))["ok"]

    first = desk.post(desk.alert())
    desk.go(2)

    receipts = [each for each in desk.entries(RouteRefused) if each.signal_id == first.signal_id]
    assert [(each.account, each.code) for each in receipts] == [("paper-b", "route.account_disabled")]
    assert "holiday" in receipts[0].reason
    assert desk.booked() == {("paper-a", "MES"): "1"}

    desk.post(desk.alert("close"))
    desk.go(90)
    desk.command(EnableAccount(account=B))
    desk.post(desk.alert())
    desk.go(2)

    assert set(desk.booked()) == {("paper-a", "MES"), ("paper-b", "MES")}


def test_the_fire_count_is_kept_over_a_restart_and_never_given_back(desk_of):
    desk = desk_of(configured(replace={'exit_profile = "bracket" ': 'fires = 2\nexit_profile = "bracket" '}))
    assert desk.post(desk.alert()).body["status"] == "accepted"
    desk.go(2)
    desk.crash()

    desk = desk.again()
    second = desk.post(desk.alert())
    desk.go(2)
    third = desk.post(desk.alert())

    assert second.body["status"] == "accepted"
    assert set(desk.codes(second.signal_id).values()) == {"position_count"}, "its fire is spent all the same"
    assert (third.status, third.code) == (422, "fires.spent")
    desk.crash()


def test_what_limits_getting_in_does_not_keep_from_getting_out(desk_of):
    desk = desk_of(configured(replace={'exit_profile = "bracket" ': 'fires = 1\nexit_profile = "bracket" '}))
    desk.post(desk.alert())
    desk.go(2)
    assert desk.post(desk.alert()).code == "fires.spent"

    assert desk.post(desk.alert("close")).body["status"] == "accepted"
    desk.go(2)

    assert desk.booked() == {}
