"""An account that is not what our own acts explain: it alone stops entering, a person is asked, and only the answer changes it.

Every desk here is the one that `interlock run` builds; what differs is brought about at the venue's own desk, past us.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.scenarios.desk import Desk, configured, fault

from interlock.brokers.paper.frames import LegFrame, PlaceFrame
from interlock.brokers.paper.rows import PositionRow
from interlock.model.command import (
    AccountAdopted,
    Decide,
    Decided,
    EnableAccount,
    OrderAdopted,
    PositionAdopted,
    QuestionClosed,
    QuestionOpened,
    Reconcile,
)
from interlock.model.ids import AccountName
from interlock.model.order import OrderType, TimeInForce
from interlock.model.record import AccountFrozen, AccountThawed, Alarm, AlarmCleared, Attempt
from interlock.model.signal import Purpose, Side

A, B = "paper-a", "paper-b"
DRIFT = f"drift.{A}"


def trade(desk, side: Side, quantity: str = "1", *, symbol: str = "MES", name: str = "by-hand", limit: str | None = None,
          account: str = A) -> None:
    """Somebody gives an order at the venue's own desk."""
    leg = LegFrame(id=name, role="entry", purpose=Purpose.ENTER, side=side, quantity=Decimal(quantity),
                   type=OrderType.LIMIT if limit else OrderType.MARKET, limit=None if limit is None else Decimal(limit),
                   tif=TimeInForce.GTC)
    desk.paper.venue.handle("place", msgspec.json.encode(PlaceFrame(account, symbol, [leg])))


def unheard(desk, act: Callable[[], None]) -> None:
    """Let it happen while no report of the venue reaches us."""
    heard, desk.paper.wire._on_frame = desk.paper.wire._on_frame, None
    act()
    desk.go(1)
    desk.paper.wire._on_frame = heard


def rewrite(desk, symbol: str, quantity: str, account: str = A, price: str = "4550") -> None:
    """The venue's book says otherwise from here on; no execution tells of it."""
    held = desk.paper.venue._floor.accounts[account].positions
    held.pop(symbol, None)
    if Decimal(quantity):
        held[symbol] = PositionRow(account, symbol, Decimal(quantity), Decimal(price))


def stop_of(desk, account: str = A):
    """The row of the live stop in the venue's book."""
    return next(row for row in desk.paper.venue._floor.rows.values()
                if row.account == account and row.purpose is Purpose.PROTECT)


def extra(desk):
    rewrite(desk, "MNQ", "1", price="16000")


def missing(desk):
    rewrite(desk, "MES", "0")


def sign(desk):
    rewrite(desk, "MES", "-1")


def quantity(desk):
    rewrite(desk, "MES", "2")


def unknown_order(desk):
    unheard(desk, lambda: trade(desk, Side.BUY, "1", symbol="MNQ", limit="15000"))


def missing_order(desk):
    row = stop_of(desk)
    market = desk.paper.venue._floor.market(row.symbol)
    market.orders.pop(row.key, None)
    del desk.paper.venue._floor.rows[row.key], desk.paper.venue._floor.open[row.key]


def moved_stop(desk):
    stop_of(desk).price -= Decimal(10)


def manual_trade(desk):
    trade(desk, Side.BUY, symbol="MNQ")


def liquidation(desk):
    trade(desk, Side.SELL, name="LIQUIDATED-BY-BROKER")


def cash(desk):
    desk.paper.venue._floor.accounts[A].cash -= Decimal(500)


KINDS = {"an extra position": extra, "a missing position": missing, "another sign": sign, "another quantity": quantity,
         "an unknown order": unknown_order, "a missing order": missing_order, "a stop moved by hand": moved_stop,
         "a manual trade": manual_trade, "a broker liquidation": liquidation, "cash": cash}


def drifted(desk_of, what: str):
    """A desk that holds one MES in each account, with its stop, and whose account paper-a has drifted for a while."""
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(2)
    assert desk.questions() == {}
    KINDS[what](desk)
    desk.go(110 if what == "cash" else 75)
    return desk


def frozen(desk) -> set[tuple[str, str]]:
    return {(each.account, each.code) for each in desk.entries(AccountFrozen)}


def answer(desk: Desk, word: str, question: str = DRIFT) -> dict[str, Any]:
    return desk.command(Decide(question, word, desk.seen(question)))


@pytest.mark.parametrize("what", KINDS)
def test_it_freezes_its_account_alone_and_asks(desk_of, what):
    desk = drifted(desk_of, what)
    sent = len(desk.entries(Attempt))

    asked = desk.questions()[DRIFT]
    opened = desk.entries(QuestionOpened)
    assert {account for account, code in frozen(desk) if code == "drift"} == {A}
    assert asked.answers == ("adopt-broker", "adopt-local", "abort")
    assert asked.state[0] == ("account", A, desk.built.engine.latches.lines[A].account_id)
    assert len(asked.state) > 1, "what differs is shown"
    assert {each.question for each in opened} == {DRIFT}
    assert opened[-1].digest == asked.digest
    assert DRIFT in {alarm.key for alarm in desk.entries(Alarm)}

    reply = desk.post(desk.alert(symbol="MES"))
    desk.go(40)
    assert desk.codes(reply.signal_id)[A] != "cleared"
    assert not desk.entries(PositionAdopted, OrderAdopted, AccountAdopted), "nothing is adopted by silence"
    assert len([each for each in desk.entries(Attempt)[sent:] if each.order.account == A]) == 0, "and nothing traded away"


@pytest.mark.parametrize("what", KINDS)
def test_adopt_broker_takes_the_venues_book_over_and_the_account_goes_on(desk_of, what):
    desk = drifted(desk_of, what)

    told = answer(desk, "adopt-broker")
    desk.go(75)

    assert told["ok"]
    assert told["answer"] == "adopt-broker"
    held = {symbol: row for (account, symbol), (row, _) in desk.positions().items() if account == A}
    venue = {row.symbol: str(row.quantity) for row in desk.paper.venue._floor.accounts[A].positions.values()}
    assert held == venue
    assert desk.built.engine.ledger.quantities(A) == {symbol: Decimal(each) for symbol, each in venue.items()}
    assert desk.built.engine.ledger.balance(A) == desk.paper.venue._floor.accounts[A].cash
    open_here = {row["client_order_id"] for row in desk.orders(account=A) if row["state"] == "working"}
    assert open_here == {row.client_order_id for row in desk.paper.venue._floor.open and
                         [desk.paper.venue._floor.rows[key] for key in desk.paper.venue._floor.open if key[0] == A]}
    assert DRIFT not in desk.questions()
    assert not desk.built.engine.latches.is_frozen_for(A, "drift")
    assert DRIFT in {each.key for each in desk.entries(AlarmCleared)}


def test_an_adopted_order_counts_as_exposure_and_a_kill_cancels_it(desk_of):
    desk = drifted(desk_of, "an unknown order")
    answer(desk, "adopt-broker")

    engine = desk.built.engine
    charged = {plan.client_order_id: plan.quantity for plan in engine.ledger.charges(A)}
    assert charged == {"by-hand": Decimal(1)}
    assert engine.execution.orders.worst_case(A, "MNQ") == (Decimal(1), Decimal(0))

    from interlock.model.command import Kill
    desk.command(Kill(why="enough", account=AccountName(A)))
    desk.go(2)

    assert not engine.ledger.charges(A)
    assert {key for key in desk.paper.venue._floor.open if key[1] == "by-hand"} == set()


def test_a_stop_that_a_person_moved_is_kept_where_it_is(desk_of):
    desk = drifted(desk_of, "a stop moved by hand")
    row = stop_of(desk)

    answer(desk, "adopt-broker")
    desk.go(40)

    record = desk.built.engine.execution.orders.by_id(row.client_order_id)
    assert record.leg.stop == row.price
    assert desk.positions()[A, "MES"] == ("1", "1")


def test_a_loss_that_somebody_else_made_counts_as_one(desk_of):
    desk = drifted(desk_of, "a missing position")
    desk.paper.venue._floor.accounts[A].cash -= Decimal(300)
    desk.go(40)
    before = desk.built.engine.views.figures(AccountName(A))[2]
    answer(desk, "adopt-broker")
    after = desk.built.engine.views.figures(AccountName(A))[2]
    assert after < before - Decimal(290)


def test_a_transfer_is_no_result(desk_of):
    desk = drifted(desk_of, "cash")
    before = desk.built.engine.views.figures(AccountName(A))[2]

    answer(desk, "adopt-broker")

    assert desk.built.engine.views.figures(AccountName(A))[2] == before


def test_adopt_local_accepts_exactly_this_difference_for_a_day(desk_of):
    desk = drifted(desk_of, "an extra position")

    told = answer(desk, "adopt-local")
    desk.go(60)
    assert told["ok"]
    assert DRIFT not in desk.questions()
    assert not desk.built.engine.latches.is_frozen_for(A, "drift")
    assert desk.positions()[A, "MES"] == ("1", "1"), "ours is as it was"
    assert (A, "MNQ") not in desk.positions()

    rewrite(desk, "MNQ", "2", price="16000")
    desk.go(75)
    assert DRIFT in desk.questions(), "another difference is another question"


def test_an_accepted_difference_is_asked_about_again_when_its_time_is_over(desk_of):
    desk = drifted(desk_of, "an extra position")
    answer(desk, "adopt-local")
    until = desk.entries(Decided)[-1].until
    desk.go(60)
    assert DRIFT not in desk.questions()

    desk.clock.set(until)
    desk.go(75)

    assert DRIFT in desk.questions()


def test_abort_adopts_nothing_and_switches_the_account_off_until_its_state_changes(desk_of):
    desk = drifted(desk_of, "an extra position")

    assert answer(desk, "abort")["ok"]
    desk.go(75)
    assert DRIFT not in desk.questions()
    assert not desk.entries(PositionAdopted)
    assert A in desk.built.engine.latches.disabled
    assert desk.built.engine.latches.is_frozen_for(A, "drift")

    rewrite(desk, "MNQ", "3", price="16000")
    desk.go(75)
    assert DRIFT in desk.questions(), "the state has changed"


def test_a_person_who_enables_an_aborted_account_is_asked_again(desk_of):
    desk = drifted(desk_of, "an extra position")
    answer(desk, "abort")

    desk.command(EnableAccount(AccountName(A)))
    desk.go(40)

    assert DRIFT in desk.questions()
    assert desk.built.engine.latches.is_frozen_for(A, "drift")


def test_a_question_follows_the_state_and_an_answer_to_the_old_one_is_void(desk_of):
    desk = drifted(desk_of, "an extra position")
    seen = desk.seen(DRIFT)
    rewrite(desk, "MNQ", "2", price="16000")
    desk.go(75)

    assert desk.seen(DRIFT) != seen
    assert desk.command(Decide(DRIFT, "adopt-broker", seen))["code"] == "command.state_moved"
    assert not desk.entries(PositionAdopted)


def test_a_late_report_of_our_own_thaws_by_itself_and_is_told(desk_of):
    desk = desk_of(configured(more=fault("fill", "late_report", nth=1, delay_ms=40_000)))
    desk.post(desk.alert())
    engine, read = desk.built.engine, desk.paper.venue._read

    def without_fills(request):        # else the answer itself tells of the execution
        frame = read(request)
        return msgspec.structs.replace(frame, fills=[]) if request.account == A else frame

    desk.paper.venue._read = without_fills
    desk.go(38)
    assert engine.latches.is_frozen_for(A, "drift")
    desk.go(60)

    assert not engine.latches.is_frozen_for(A, "drift")
    assert DRIFT not in desk.questions()
    assert "late report" in next(each.why for each in desk.entries(AccountThawed) if each.code == "drift")
    assert not desk.entries(PositionAdopted)
    assert {each.question for each in desk.entries(QuestionClosed)} <= {DRIFT}


def test_what_somebody_else_did_waits_for_a_person_even_when_the_books_agree(desk_of):
    desk = desk_of()
    desk.go(2)
    trade(desk, Side.BUY, symbol="MNQ", name="by-hand-1")
    desk.go(2)
    trade(desk, Side.SELL, symbol="MNQ", name="by-hand-2")
    desk.go(75)

    assert desk.booked() == {}
    assert desk.built.engine.ledger.quantities(A) == {}
    assert desk.built.engine.latches.is_frozen_for(A, "drift")
    assert len([row for row in desk.questions()[DRIFT].state if row[0].startswith("fill.")]) == 2

    assert answer(desk, "adopt-broker")["ok"]
    assert not desk.built.engine.latches.is_frozen_for(A, "drift")


def test_an_unknown_order_that_has_gone_again_is_still_a_persons_to_explain(desk_of):
    desk = drifted(desk_of, "an unknown order")
    row = desk.paper.venue._floor.rows[A, "by-hand"]
    unheard(desk, lambda: desk.paper.venue._desk.carry_out_cancel(row))
    desk.go(75)

    assert "gone since" in desk.questions()[DRIFT].state[-1][2]
    assert desk.built.engine.latches.is_frozen_for(A, "drift")
    assert answer(desk, "adopt-broker")["ok"]
    desk.go(40)
    assert DRIFT not in desk.questions()


@pytest.mark.parametrize("answer_with", ["an error", "half of it"])
def test_queries_that_fail_freeze_their_account_take_nothing_away_and_ask(desk_of, answer_with):
    desk = desk_of()
    desk.post(desk.alert())
    desk.go(2)
    handle = desk.paper.venue.handle

    def broken(kind, body):
        whole = handle(kind, body)
        if kind != "read" or A.encode() not in body:
            return whole
        return whole[: len(whole) // 2] if answer_with == "half of it" else b'{"t":"failed","reason":"busy","ts":1}'

    desk.paper.venue.handle = broken
    desk.go(75)

    assert {account for account, code in frozen(desk) if code == "unread"} == {A}
    assert f"read.{A}" in {alarm.key for alarm in desk.entries(Alarm)}
    assert desk.questions()[f"line.{A}"].answers == ("reconnect",)
    assert desk.positions()[A, "MES"] == ("1", "1"), "what is held is held"
    assert DRIFT not in desk.questions(), "not knowing is no difference"

    desk.paper.venue.handle = handle
    desk.go(40)
    assert not desk.built.engine.latches.is_frozen_for(A, "unread")
    assert f"read.{A}" in {each.key for each in desk.entries(AlarmCleared)}


def test_one_failed_query_says_nothing(desk_of):
    desk = desk_of(configured(more=fault("read", "drop_response", nth=3)))
    desk.post(desk.alert())
    desk.go(75)

    assert frozen(desk) == set()


def test_a_question_survives_a_crash_and_can_be_answered_afterwards(desk_of):
    desk = drifted(desk_of, "an unknown order")
    before = desk.questions()[DRIFT]
    desk.crash()

    desk = desk.again()
    desk.go(10)
    assert desk.questions()[DRIFT].state == before.state
    assert desk.built.engine.latches.is_frozen_for(A, "drift")
    assert answer(desk, "adopt-broker")["ok"]
    desk.go(75)
    assert DRIFT not in desk.questions()
    desk.crash()


def test_during_undecided_drift_a_strategy_gets_out_of_what_both_books_hold(desk_of):
    desk = drifted(desk_of, "another quantity")
    assert desk.post(desk.alert("close")).body["status"] == "accepted"
    desk.go(3)

    reduced = [each.order.parent.quantity for each in desk.entries(Attempt)
               if each.order.account == A and each.order.purpose is not Purpose.ENTER]
    assert all(quantity <= 1 for quantity in reduced)
    assert desk.booked().get((A, "MES")) in ("1", None)


def test_an_answer_to_what_was_shown_is_void_while_what_differs_now_is_still_young(desk_of):
    """The broker's book turns the other way between the look and the answer."""
    desk = drifted(desk_of, "another quantity")
    shown = desk.questions()[DRIFT]
    rewrite(desk, "MES", "-1")
    desk.command(Reconcile(AccountName(A)))
    desk.go(0.5)

    assert desk.command(Decide(DRIFT, "adopt-broker", shown.digest))["code"] in ("command.no_question", "command.state_moved")
    assert desk.entries(PositionAdopted) == []
    assert desk.built.engine.latches.is_frozen_for(A, "drift")

    desk.go(40)
    assert ("position.MES", "1", "-1") in desk.questions()[DRIFT].state, "it is asked again, on what is now"
