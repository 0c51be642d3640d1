"""A lost line: entries stop, nobody asks over it, and nothing connects or trades again but by a person."""

from typing import Any

from tests.scenarios.desk import Desk, configured

from interlock.model.command import Enable, Reconcile, Reconnect, Reconnecting
from interlock.model.ids import AccountName
from interlock.model.record import AccountFrozen, AccountThawed, Alarm, AlarmCleared, ReadRequested
from interlock.model.report import LineChanged

A, B = "paper-a", "paper-b"
LINE, OFFLINE = f"line.{A}", f"offline.{A}"


def lost(desk_of, seconds: float = 0.0):
    """A desk with a position in each account whose line breaks for so long."""
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(2)
    desk.paper.wire.disconnect("cable pulled", int(seconds * 1e9))
    desk.go(1)
    return desk


def reconnect(desk: Desk, account: str = A) -> dict[str, Any]:
    return desk.command(Reconnect(AccountName(account), desk.seen(f"line.{account}")))


def enable(desk: Desk, latch: str) -> dict[str, Any]:
    return desk.command(Enable(latch, desk.seen(latch)))


def asked(desk) -> int:
    return len(desk.entries(ReadRequested))


def test_a_lost_line_freezes_its_accounts_alarms_and_is_never_asked_over(desk_of):
    desk = lost(desk_of)
    before, messages = asked(desk), desk.paper.wire.messages_by_kind["read"]
    desk.go(180)

    assert {(each.account, each.code) for each in desk.entries(AccountFrozen)} == {(A, "offline"), (B, "offline")}
    assert {f"line.{A}", f"line.{B}"} <= {alarm.key for alarm in desk.entries(Alarm)}
    assert asked(desk) == before
    assert desk.paper.wire.messages_by_kind["read"] == messages
    assert not desk.paper.wire.is_up, "it does not connect by itself"
    assert desk.questions()[LINE].answers == ("reconnect",)
    assert desk.questions()[OFFLINE].answers == (), "first the line, then the read, then the answer"
    assert desk.positions()[A, "MES"][0] == "1"


def test_after_the_reconnect_nothing_trades_until_the_read_has_been_shown_and_the_account_enabled(desk_of):
    desk = lost(desk_of)
    assert reconnect(desk)["ok"]
    desk.go(40)

    assert [each.account for each in desk.entries(Reconnecting)] == [A]
    assert desk.paper.wire.connection == 2
    shown = desk.questions()[OFFLINE]
    assert ("reconcile", "the broker's book agrees with ours", "") in shown.state
    assert LINE not in desk.questions()
    assert {f"line.{A}"} <= {each.key for each in desk.entries(AlarmCleared)}

    desk.post(desk.alert("close"))
    desk.go(3)
    assert desk.booked() == {}, "exits go on"
    refused = desk.post(desk.alert())
    desk.go(2)
    assert set(desk.codes(refused.signal_id).values()) == {"account_frozen"}

    assert enable(desk, OFFLINE)["ok"]
    desk.go(70)
    after = desk.post(desk.alert())
    desk.go(2)
    assert desk.codes(after.signal_id) == {A: "cleared", B: "account_frozen"}, "each account waits for its own answer"


def test_what_happened_while_the_line_was_down_is_part_of_what_is_enabled(desk_of):
    desk = lost(desk_of)
    held = desk.paper.venue._floor.accounts[A].positions
    held.pop("MES")
    reconnect(desk)
    desk.go(1)

    shown = desk.questions()[OFFLINE]
    assert ("position.MES", "1", "0") in shown.state
    assert enable(desk, OFFLINE)["ok"]
    desk.go(40)
    assert desk.built.engine.latches.is_frozen_for(A, "drift"), "two halts need two answers"
    assert f"drift.{A}" in desk.questions()


def test_an_answer_on_what_was_shown_before_the_reconnect_is_void(desk_of):
    desk = lost(desk_of)
    before = desk.seen(OFFLINE)
    assert desk.command(Enable(OFFLINE, before))["code"] == "command.not_ready"
    reconnect(desk)
    desk.go(2)

    assert desk.command(Enable(OFFLINE, before))["code"] == "command.state_moved"
    assert desk.command(Enable(OFFLINE))["code"] == "command.unseen"
    assert desk.built.engine.latches.is_frozen_for(A, "offline")


def test_a_line_that_stays_down_says_so_and_can_be_tried_again(desk_of):
    desk = lost(desk_of, seconds=30)
    assert reconnect(desk)["ok"]
    desk.go(1)

    assert not desk.built.engine.latches.is_up(A)
    assert desk.entries(LineChanged)[-1].reason.startswith("paper: no connection")
    desk.go(40)
    assert reconnect(desk)["ok"]
    desk.go(1)
    assert desk.built.engine.latches.is_up(A)


def test_a_reconnect_of_a_line_that_is_up_and_a_second_click_are_refused(desk_of):
    desk = lost(desk_of)
    seen = desk.seen(LINE)
    assert desk.command(Reconnect(AccountName(B), ""))["code"] == "command.unseen"
    assert desk.command(Reconnect(AccountName(A), "0123456789abcdef"))["code"] == "command.state_moved"
    assert desk.command(Reconnect(AccountName(A), seen))["ok"]
    desk.go(1)

    assert desk.command(Reconnect(AccountName(A), seen))["code"] == "command.line_up"
    assert desk.paper.wire.connection == 2
    assert desk.command(Reconnect(AccountName("nobody"), ""))["code"] == "command.unknown_account"


def test_the_latch_survives_a_restart_and_the_first_connect_sets_none(desk_of):
    desk = lost(desk_of)
    desk.crash()

    desk = desk.again()
    desk.go(2)
    assert desk.built.engine.latches.is_up(A), "a start connects"
    assert desk.built.engine.latches.is_frozen_for(A, "offline"), "and lifts nothing"
    assert enable(desk, OFFLINE)["ok"]
    assert {(each.account, each.code) for each in desk.entries(AccountThawed)} == {(A, "offline")}
    desk.crash()


def test_a_start_freezes_nobody_for_a_lost_line(desk_of):
    desk = desk_of(configured())
    desk.go(70)

    assert desk.entries(AccountFrozen) == []
    assert desk.questions() == {}


def test_reconcile_on_demand_reads_and_adopts_nothing(desk_of):
    desk = desk_of()
    desk.go(2)
    before = asked(desk)

    told = desk.command(Reconcile(AccountName(A)))
    assert told["reading"] == [A]
    assert asked(desk) == before + 1

    desk.paper.wire.disconnect("gone")
    desk.go(1)
    assert desk.command(Reconcile())["code"] == "command.not_ready"
