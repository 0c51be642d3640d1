"""What a page is told of a desk that `run` builds: kills with their proofs, flattens with their results, lines, tiers, drills."""

from decimal import Decimal
from typing import Any

import pytest
from tests.scenarios.conftest import desk_of
from tests.scenarios.desk import Desk
from tests.scenarios.test_drift import rewrite, trade

from interlock.engine.questions import digest_of, positions_state
from interlock.model.command import Decide, Enable, Flatten, Kill, Reconcile, Reconnect, RecordDrill
from interlock.model.ids import AccountName
from interlock.model.money import SECOND
from interlock.model.signal import Side

__all__ = ["desk_of"]
A = AccountName("paper-a")


@pytest.fixture
def desk(desk_of: Any) -> Desk:
    """One MES in each account, with its stop."""
    desk: Desk = desk_of()
    desk.post(desk.alert())
    desk.go(3)
    assert len(desk.positions()) == 2
    return desk


def account(desk: Desk, name: str = A) -> dict[str, Any]:
    return next(row for row in desk.board()["accounts"] if row["name"] == name)


def said(desk: Desk) -> list[str]:
    return [row["text"] for row in desk.board()["decisions"]]


def lose_the_line(desk: Desk) -> None:
    desk.paper.wire.disconnect("reset by peer")
    desk.go(2)


def test_a_kill_stands_with_its_time_and_the_word_of_each_broker(desk: Desk):
    given = desk.clock.now()
    desk.command(Kill("news"))
    desk.go(3)

    (kill,) = desk.board()["killed"]
    assert (kill["reach"], kill["why"], kill["ts"]) == ("everything", "news", given)
    proofs = [(row["account"], row["clean"], row["left"]) for row in kill["proofs"]]
    assert proofs == [("paper-a", True, []), ("paper-b", True, [])]
    assert all(Decimal(row["notional"]) > 20_000 for row in kill["proofs"])
    assert "killed everything: news" in said(desk)
    proved = "paper-a: the kill is proved clean by the broker's list; notional still open 2"
    assert any(text.startswith(proved) for text in said(desk))
    assert {row["tier"] for row in desk.board()["accounts"]} == {4}


def test_a_kill_keeps_its_time_over_another_kill_and_over_a_restart(desk: Desk):
    given = desk.clock.now()
    desk.command(Kill("news"))
    desk.go(5)
    desk.command(Kill("script", account=A))
    desk.go(5)
    desk.stop()

    again = desk.again()

    times = {kill["reach"]: kill["ts"] for kill in again.board()["killed"]}
    again.stop()
    assert times == {"everything": given, "account paper-a": given + 5 * SECOND}


def test_a_flatten_tells_each_accounts_result_by_the_brokers_word(desk: Desk):
    seen = digest_of(positions_state(desk.built.engine))
    desk.command(Flatten("done", seen=seen))
    desk.go(5)

    flattened = {row["account"]: row for row in desk.board()["flattens"]}
    assert set(flattened) == {"paper-a", "paper-b"}
    assert flattened[A]["is_over"]
    assert [(row["instrument"], row["result"]) for row in flattened[A]["results"]] == [("MES", "flat")]
    assert "paper-a MES: flat by the broker's word" in said(desk)


def test_a_broker_that_does_not_answer_makes_a_flatten_unknown(desk: Desk):
    seen = digest_of(positions_state(desk.built.engine, A))
    desk.paper.wire.silence()
    desk.command(Flatten("done", account=A, seen=seen))
    desk.go(12)

    (row,) = desk.board()["flattens"]
    assert [each["result"] for each in row["results"]] == ["unknown"]
    assert any(text.startswith("paper-a: UNKNOWN whether it is flat") for text in said(desk))


def test_a_lost_line_is_told_with_its_question_and_comes_back_by_two_acts(desk: Desk):
    assert account(desk)["line"] == "up"

    lose_the_line(desk)
    lost = account(desk)
    reconnected = desk.command(Reconnect(A, desk.seen("line.paper-a")))
    desk.go(3)
    back = account(desk)
    enabled = desk.command(Enable("offline.paper-a", desk.seen("offline.paper-a")))
    desk.go(1)

    assert (lost["line"], lost["truth"]) == ("down", "unknown")
    assert reconnected["ok"]
    assert enabled["ok"]
    assert back["line"] == "up"
    assert "offline" in back["frozen_by"]
    assert account(desk)["frozen_by"] is None
    assert "offline.paper-a: a person enabled it" in said(desk)
    assert "offline.paper-a" not in {row["id"] for row in desk.board()["questions"]}


def test_an_account_tells_when_it_was_compared_and_what_that_showed(desk: Desk):
    assert account(desk)["differences"] == 0

    rewrite(desk, "MES", "3")
    desk.command(Reconcile(A))
    desk.go(75)

    row = account(desk)
    assert row["differences"] >= 1
    assert desk.clock.now() - row["ts_read"] < 35 * SECOND
    (asked,) = [each for each in desk.board()["questions"] if each["kind"] == "drift"]
    assert ["position.MES", "1", "3"] in asked["state"]
    assert desk.command(Decide(asked["id"], "adopt-broker", asked["digest"]))["ok"]
    desk.go(2)
    assert account(desk)["differences"] == 0
    assert "drift.paper-a: a person answered adopt-broker" in said(desk)


def test_what_a_late_report_has_booked_is_a_difference_until_a_person_has_decided(desk: Desk):
    trade(desk, Side.BUY)
    desk.go(40)

    assert "drift.paper-a" in desk.questions()
    assert account(desk)["differences"] == 1


def test_a_drill_is_shown_and_stands_after_a_restart(desk: Desk):
    assert desk.board()["drill"] is None
    at = desk.clock.now()
    desk.command(RecordDrill(20, 20, 41.7))
    shown = desk.board()["drill"]
    desk.stop()

    again = desk.again()

    assert shown == {"orders": 20, "cancelled": 20, "confirmed_ms": 41.7, "ts": at}
    assert again.board()["drill"] == shown
    again.stop()


def test_an_average_price_and_a_result_are_legible(desk: Desk):
    trade(desk, Side.BUY, "2", name="odd")
    desk.move("MES", "4553.25")
    desk.go(1)

    for row in desk.board()["positions"]:
        assert len(row["average_price"].partition(".")[2]) <= 4
        assert len(row["pnl"].partition(".")[2]) == len(row["notional"].partition(".")[2]) == 2
