"""Freezes, questions and answers, at the level of the stage."""

from decimal import Decimal
from typing import Any

import pytest

from interlock.engine.latches import Latches
from interlock.engine.questions import ADOPT_BROKER, ADOPT_LOCAL, digest_of
from interlock.engine.reconcile import Reconcile
from interlock.execution.stage import AccountProfile, Execution
from interlock.ledger.book import Ledger
from interlock.model.command import AccountAdopted, Decided, OrderAdopted, PositionAdopted, QuestionClosed, QuestionOpened
from interlock.model.ids import (
    AccountName,
    BrokerOrderId,
    ClientOrderId,
    ExecutionId,
    LaneName,
    SignalId,
    StrategyName,
)
from interlock.model.instrument import INSTRUMENTS
from interlock.model.money import SECOND
from interlock.model.order import Closed, Leg, Order, OrderType
from interlock.model.record import AccountFrozen, AccountThawed, Alarm, AlarmCleared, Attempt, CancelRequested, Difference
from interlock.model.report import (
    AccountRead,
    BrokerOrder,
    BrokerPosition,
    LineChanged,
    OrderAccepted,
    OrderFilled,
    ReadFailed,
)
from interlock.model.signal import Purpose, Side
from interlock.ports import Capabilities

A = AccountName("paper-1")
D = Decimal
NOW = 1_000_000 * SECOND
ZERO = D(0)
PROFILE = AccountProfile(capabilities=Capabilities(has_native_brackets=True, has_replace=True, visibility_delay=0))


class Rooms:
    """The rooms that take part in a reconcile, folded in the engine's own order."""

    def __init__(self) -> None:
        self.latches = Latches((A,))
        self.ledger = Ledger((A,), INSTRUMENTS)
        self.execution = Execution({A: PROFILE})
        self.reconcile = Reconcile((A,), self.latches, self.ledger, self.execution)
        self.said: list[Any] = []
        self.tell(LineChanged(A, True, 1, "connected"), NOW)

    def fold(self, payload, ts):
        self.latches.apply(payload, ts)
        self.execution.apply(payload, ts)
        if type(payload) is not AccountRead or self.reconcile.is_current(payload):
            self.ledger.apply(payload, ts)
            self.reconcile.apply(payload, ts)
        foreign = []
        name = getattr(payload, "client_order_id", None)
        if name is not None and not isinstance(payload, CancelRequested):
            record = self.execution.orders.by_id(name)
            if isinstance(payload, OrderFilled):
                if record is None and not self.ledger.has_booked(payload):
                    foreign.append(payload)
                    self.reconcile.on_foreign(payload)
                self.ledger.apply_fill(payload, record, ts)
            else:
                self.ledger.settle(record)
        return foreign

    def tell(self, payload, ts):
        """Fold one input and everything that reconcile makes of it; returns what it said."""
        foreign = self.fold(payload, ts)
        said = []
        match payload:
            case AccountRead():
                current = self.reconcile.accounts[A].read is payload
                for fill in payload.fills:
                    if not self.ledger.has_booked(fill) and self.execution.orders.by_id(fill.client_order_id) is not None:
                        self.fold(fill, ts)
                answers = self.reconcile.on_read(payload, ts) if current else ()
            case ReadFailed():
                answers = self.reconcile.on_read_failed(payload, ts)
            case LineChanged():
                answers = self.reconcile.on_line(payload)
            case _:
                answers = self.reconcile.on_foreign_fills(foreign, ts) if foreign else ()
        for each in answers:
            self.fold(each, ts)
            said.append(each)
        self.said += said
        return said

    def decide(self, answer, ts):
        said = []
        for each in self.reconcile.decide(A, answer, ts, "somebody", lambda _: D(100)):
            self.fold(each, ts)
            said.append(each)
        return said


def attempt(cid, symbol, side, quantity, *, limit=None):
    leg = Leg(client_order_id=ClientOrderId(cid), role="entry", purpose=Purpose.ENTER, side=side, quantity=D(quantity),
              type=OrderType.LIMIT if limit else OrderType.MARKET, limit=None if limit is None else D(limit))
    order = Order(account=A, instrument=symbol, venue_symbol=symbol, legs=(leg,), signal_id=SignalId(cid), lane=LaneName("l"),
                  strategy=StrategyName("t"))
    return Attempt(ClientOrderId(cid), 1, order, D(10))


def read(ts, positions=None, orders=(), fills=(), cash="50000", connection=1):
    held = tuple(BrokerPosition(name, D(quantity), D(100)) for name, quantity in (positions or {}).items())
    return AccountRead(A, "X-1", D(cash), "USD", held, tuple(orders), tuple(fills), ts, connection)


def kinds(said):
    return [type(each) for each in said if not isinstance(each, Difference)]


def fill(name="e1", side=Side.BUY, quantity="1", ts=NOW, cid="theirs"):
    return OrderFilled(A, ClientOrderId(cid), ExecutionId(name), "MNQ", side, D(quantity), D(100), ZERO, ts)


@pytest.fixture
def rooms():
    made = Rooms()
    made.tell(read(NOW), NOW)
    return made


def drifted(rooms, **what):
    """Three readings that show the same difference: seen, frozen, asked."""
    return [rooms.tell(read(NOW + number * 6 * SECOND, **what), NOW + number * 6 * SECOND) for number in (1, 2, 3)]


def test_a_difference_is_seen_then_freezes_then_asks(rooms):
    seen, frozen, asked = drifted(rooms, positions={"MNQ": "1"})

    assert kinds(seen) == []
    assert kinds(frozen) == [AccountFrozen, Alarm]
    assert kinds(asked) == [QuestionOpened]
    assert asked[-1].state[1] == ("position.MNQ", "0", "1")
    assert asked[-1].digest == digest_of(asked[-1].state)


def test_what_the_first_reading_of_all_shows_was_there_before_us_and_freezes_at_once():
    rooms = Rooms()

    said = rooms.tell(read(NOW, positions={"MNQ": "1"}), NOW)
    assert kinds(said) == [AccountFrozen, Alarm]

    asked = rooms.tell(read(NOW + 6 * SECOND, positions={"MNQ": "1"}), NOW + 6 * SECOND)
    assert kinds(asked) == [QuestionOpened]


def test_a_difference_of_the_first_reading_may_be_a_report_on_its_way_where_we_have_ordered_something():
    rooms = Rooms()
    rooms.tell(attempt("ours", "MNQ", Side.BUY, "1"), NOW)

    assert kinds(rooms.tell(read(NOW + SECOND, positions={"MNQ": "1"}), NOW + SECOND)) == []


def test_the_same_state_is_asked_about_once_and_another_one_anew(rooms):
    drifted(rooms, positions={"MNQ": "1"})

    again = rooms.tell(read(NOW + 30 * SECOND, {"MNQ": "1"}), NOW + 30 * SECOND)
    moved = rooms.tell(read(NOW + 40 * SECOND, {"MNQ": "2"}), NOW + 40 * SECOND)

    assert kinds(again) == []
    assert kinds(moved) == [QuestionOpened]


def test_adopt_broker_takes_positions_cash_and_executions_over(rooms):
    by_hand = fill("theirs-1", quantity="2")
    told = {"positions": {"MNQ": "2"}, "cash": "49990", "fills": (by_hand,)}
    drifted(rooms, **told)

    said = rooms.decide(ADOPT_BROKER, NOW + 20 * SECOND)

    assert kinds(said) == [Decided, PositionAdopted, AccountAdopted, AccountThawed, AlarmCleared]
    assert rooms.ledger.quantity(A, "MNQ") == D(2)
    assert rooms.execution.orders.position(A, "MNQ") == D(2)
    assert rooms.ledger.balance(A) == D(49_990)
    rooms.tell(by_hand, NOW + 21 * SECOND)
    assert rooms.ledger.quantity(A, "MNQ") == D(2), "its late report is not booked on top"
    assert kinds(rooms.tell(read(NOW + 30 * SECOND, **told), NOW + 30 * SECOND)) == []


def test_adopt_broker_makes_a_foreign_order_known_and_closes_one_that_is_gone(rooms):
    rooms.fold(attempt("ours", "MNQ", Side.BUY, "1", limit="90"), NOW)
    rooms.fold(OrderAccepted(A, ClientOrderId("ours"), BrokerOrderId("b1"), NOW), NOW)
    other = BrokerOrder(ClientOrderId("theirs"), BrokerOrderId("b2"), "MES", Side.SELL, D(3), D(1), True, False, None, D(120))
    drifted(rooms, orders=(other,))

    said = rooms.decide(ADOPT_BROKER, NOW + 20 * SECOND)

    assert [each.client_order_id for each in said if isinstance(each, OrderAdopted)] == ["ours", "theirs"]
    orders = rooms.execution.orders
    assert isinstance(orders.by_id(ClientOrderId("ours")).state, Closed)
    assert orders.by_id(ClientOrderId("theirs")).remaining == D(2)
    assert orders.worst_case(A, "MES") == (ZERO, D(-2))
    assert [(plan.client_order_id, plan.quantity - plan.filled) for plan in rooms.ledger.charges(A)] == [("theirs", D(2))]


def test_adopt_local_accepts_this_difference_and_no_other_until_it_ends(rooms):
    drifted(rooms, positions={"MNQ": "1"})
    decided = rooms.decide(ADOPT_LOCAL, NOW + 20 * SECOND)[0]

    same = [rooms.tell(read(at, {"MNQ": "1"}), at) for at in (NOW + 30 * SECOND, NOW + 40 * SECOND)]
    assert [kinds(each) for each in same] == [[], []]

    over = [rooms.tell(read(at, {"MNQ": "1"}), at) for at in (decided.until, decided.until + 6 * SECOND)]
    assert [kinds(each) for each in over] == [[AccountFrozen, Alarm], [QuestionOpened]]


def test_an_accepted_difference_is_the_same_while_we_trade_on_top_of_it(rooms):
    drifted(rooms, positions={"MNQ": "1"})
    rooms.decide(ADOPT_LOCAL, NOW + 20 * SECOND)
    rooms.fold(attempt("ours", "MNQ", Side.BUY, "1"), NOW + 21 * SECOND)
    rooms.tell(fill("o1", cid="ours", ts=NOW + 22 * SECOND), NOW + 22 * SECOND)

    for at in (NOW + 30 * SECOND, NOW + 40 * SECOND):
        assert kinds(rooms.tell(read(at, {"MNQ": "2"}), at)) == []
    frozen = [rooms.tell(read(at, {"MNQ": "3"}), at) for at in (NOW + 50 * SECOND, NOW + 60 * SECOND)]
    assert kinds(frozen[1]) == [AccountFrozen, Alarm]


def test_abort_closes_the_question_and_only_another_state_opens_it_again(rooms):
    drifted(rooms, positions={"MNQ": "1"})
    rooms.decide("abort", NOW + 20 * SECOND)

    assert kinds(rooms.tell(read(NOW + 30 * SECOND, {"MNQ": "1"}), NOW + 30 * SECOND)) == []
    assert A in rooms.latches.disabled
    changed = [rooms.tell(read(at, {"MNQ": "2"}), at) for at in (NOW + 40 * SECOND, NOW + 50 * SECOND)]
    assert QuestionOpened in kinds(changed[0]) + kinds(changed[1])


def test_what_our_own_late_report_explains_thaws_by_itself(rooms):
    rooms.fold(attempt("ours", "MNQ", Side.BUY, "1"), NOW)
    drifted(rooms, positions={"MNQ": "1"})

    rooms.tell(fill("o1", cid="ours", ts=NOW + SECOND), NOW + 25 * SECOND)
    healed = rooms.tell(read(NOW + 30 * SECOND, {"MNQ": "1"}), NOW + 30 * SECOND)

    assert kinds(healed) == [QuestionClosed, AccountThawed, AlarmCleared]


def test_a_foreign_execution_freezes_at_once_and_never_thaws_by_itself(rooms):
    frozen = rooms.tell(fill("f1"), NOW + SECOND)
    assert kinds(frozen) == [AccountFrozen, Alarm]

    asked = rooms.tell(read(NOW + 2 * SECOND, {"MNQ": "1"}), NOW + 2 * SECOND)
    assert kinds(asked) == [QuestionOpened]
    rooms.tell(fill("f2", Side.SELL, ts=NOW + 3 * SECOND), NOW + 3 * SECOND)
    later = rooms.tell(read(NOW + 9 * SECOND), NOW + 9 * SECOND)
    assert AccountThawed not in kinds(later)


def test_a_read_of_an_older_connection_or_one_that_was_overtaken_changes_nothing(rooms):
    drifted(rooms, positions={"MNQ": "1"})
    at = NOW + 30 * SECOND

    assert rooms.tell(read(at, connection=0), at) == []
    assert rooms.tell(read(NOW + 10 * SECOND), at) == [], "asked before the last one, answered after it"
    assert rooms.latches.is_frozen_for(A, "drift")
    rooms.tell(LineChanged(A, False, 1, "gone"), at)
    assert rooms.tell(read(at + SECOND), at + SECOND) == []
    assert rooms.reconcile.accounts[A].asked


def test_failed_queries_take_nothing_away_and_two_in_a_row_are_told(rooms):
    one, two, three = [rooms.tell(ReadFailed(A, "busy"), NOW + number * SECOND) for number in (1, 2, 3)]
    whole = rooms.tell(read(NOW + 5 * SECOND), NOW + 5 * SECOND)

    assert [kinds(each) for each in (one, two, three)] == [[], [AccountFrozen, Alarm], []]
    assert two[0].code == "unread"
    assert kinds(whole) == [AccountThawed, AlarmCleared]


def test_a_lost_line_latches_the_account_and_the_first_connect_does_not():
    fresh = Rooms()
    assert fresh.tell(LineChanged(A, True, 2, "connected"), NOW) == []
    lost = fresh.tell(LineChanged(A, False, 2, "gone"), NOW + SECOND)
    assert [(each.account, each.code) for each in lost] == [(A, "offline")]

    never = Rooms.__new__(Rooms)
    never.latches, never.ledger, never.execution = Latches((A,)), Ledger((A,), INSTRUMENTS), Execution({A: PROFILE})
    never.reconcile, never.said = Reconcile((A,), never.latches, never.ledger, never.execution), []
    assert never.tell(LineChanged(A, False, 0, "refused"), NOW) == [], "it was never up: there is nothing to have lost"


def test_nothing_can_be_adopted_from_a_broker_that_has_been_overtaken(rooms):
    drifted(rooms, positions={"MNQ": "1"})
    assert rooms.reconcile.why_not_adopt(A) is None

    rooms.fold(attempt("ours", "MNQ", Side.BUY, "1"), NOW + 20 * SECOND)
    rooms.tell(fill("o1", cid="ours", ts=NOW + 21 * SECOND), NOW + 21 * SECOND)

    assert "has traded" in rooms.reconcile.why_not_adopt(A)


def test_a_snapshot_in_the_middle_of_a_question_keeps_it(rooms):
    drifted(rooms, positions={"MNQ": "1"})
    other = Reconcile((A,), rooms.latches, rooms.ledger, rooms.execution)

    other.restore(rooms.reconcile.snapshot())

    assert other.accounts == rooms.reconcile.accounts
