"""The day's loss, by hand: fees, open results and the venue's trading day in it, between entries too."""

from decimal import Decimal

import pytest
from tests.scenarios.desk import Desk, configured

from interlock.model.command import Enable
from interlock.model.ids import AccountName
from interlock.model.money import SECOND
from interlock.model.record import AccountFrozen, Alarm

DAY = 86_400 * SECOND
# The shipped limit is 2 % of the 50,000 that the day began with: 1,000. One MES is 5 dollars a point; the tests hold 1.


def losses(desk: Desk) -> list[AccountFrozen]:
    return [each for each in desk.entries(AccountFrozen) if each.code == "loss"]


def day_pnl(desk: Desk, account: str = "paper-a") -> Decimal | None:
    return desk.built.engine.views.figures(AccountName(account))[2]


def far(desk: Desk, price: str) -> None:
    """The market shows another price, and the venue does not trade there: the stop does not help."""
    for paper in desk.built.papers:
        paper.on_market = lambda message: None
    desk.built.driver._local = ()
    desk.quote("MES", price)
    desk.go(2)


@pytest.fixture
def held(desk_of):
    """One MES long in each account at 4550.50 (the ask and a tick), stop 32 ticks below."""
    desk = desk_of()
    desk.go(2)
    desk.post(desk.alert())
    desk.go(2)
    assert {key[0]: quantity for key, (quantity, _) in desk.positions().items()} == {"paper-a": "1", "paper-b": "1"}
    return desk


def test_by_hand_the_limit_is_touched_exactly(held):
    """Bought at 4550.50; the fee of one side is taken from the day. 1 * 5 * (mid - 4550.50) - fee <= -1000."""
    engine = held.built.engine
    position = engine.ledger.position("paper-a", "MES")
    fee = engine.ledger._accounts["paper-a"].fees
    assert position.average_price == Decimal("4550.50")
    assert fee > 0
    limit = min(Decimal(1000), Decimal("0.02") * Decimal(50_000))
    touched = position.average_price - (limit - fee) / 5           # the mid at which the day is at its limit, exactly

    # The quote is one tick wide, so the mid lies half a tick above its bid: take the last bid that stays above, and the next.
    above = (touched // Decimal("0.25") + 1) * Decimal("0.25")
    far(held, str(above))
    assert day_pnl(held) == 5 * (above + Decimal("0.125") - position.average_price) - fee
    assert not losses(held)

    far(held, str(above - Decimal("0.50")))
    assert (day_pnl(held) or 0) <= -limit
    found = [(each.account, each.trade_date) for each in losses(held)]
    assert found == [("paper-a", "2023-11-21"), ("paper-b", "2023-11-21")]


def test_without_the_fee_it_would_not_have_been_reached(held):
    """The fee counts: the gross loss alone is still inside."""
    engine = held.built.engine
    fee = engine.ledger._accounts["paper-a"].fees
    gross = -Decimal(1000) + fee / 2                               # a gross loss that only the fee takes over the limit
    engine.ledger._accounts["paper-a"].made = gross - engine.ledger._accounts["paper-a"].holdings["MES"].flow * 5 \
        - Decimal("4550.125") * 5

    held.go(2)

    assert day_pnl(held) == gross - fee
    assert [each.account for each in losses(held)] == ["paper-a"]


def test_it_trips_between_entries_and_stops_the_next(held):
    far(held, "4350")

    assert {each.account for each in losses(held)} == {"paper-a", "paper-b"}
    called = [each.key for each in held.entries(Alarm) if each.key.startswith("halt.loss.")]
    assert called == ["halt.loss.paper-a", "halt.loss.paper-b"]
    assert held.built.engine.health.tier("main", "paper-a")[0] == 4
    reply = held.post(held.alert("sell"))
    held.go(1)
    assert "cleared" not in held.codes(reply.signal_id).values()


def test_a_result_that_recovers_on_the_same_day_stays_stopped(held):
    far(held, "4350")
    far(held, "4550")

    day = day_pnl(held)
    assert day is not None
    assert day > -1000
    assert held.built.engine.health.can_enable("loss.paper-a") == "the trading day 2023-11-21 is not over"
    assert held.command(Enable("loss.paper-a", "whatever"))["ok"] is False


def test_it_survives_the_restart(held):
    far(held, "4350")
    held.crash()

    again = held.again()

    assert again.built.engine.latches.is_frozen_for("paper-a", "loss")
    again.go(3)
    assert len(losses(again)) == 2, "and it is not said again"
    again.stop()


def test_the_next_day_a_person_enables_it_and_nobody_else(held):
    """The day turns while the position is open: what was lost before midnight is not of the new day."""
    from interlock.engine.questions import question

    far(held, "4350")
    before = day_pnl(held)
    held.clock.set(held.clock.now() - held.clock.now() % DAY + DAY + 60 * SECOND)
    held.go(5)

    assert held.built.engine.ledger.trade_date("paper-a") == "2023-11-22"
    assert before is not None
    assert before <= -1000
    assert day_pnl(held) == 0, "marked where the day began"
    assert held.built.engine.latches.is_frozen_for("paper-a", "loss"), "the day alone does not lift it"
    asked = question(held.built.engine, "loss.paper-a")
    assert asked is not None
    assert held.command(Enable("loss.paper-a", asked.digest))["enabled"] is True
    assert not held.built.engine.latches.is_frozen_for("paper-a", "loss")
    assert held.built.engine.latches.is_frozen_for("paper-b", "loss"), "the other account has its own"


def test_a_mark_that_is_missing_counts_as_lost(held):
    marks = held.built.engine.marks
    held.script.waiting.clear()
    marks._quotes.pop("MES")
    marks._bars.pop("MES", None)
    marks.version += 1
    held.go(2, quotes=False)

    assert day_pnl(held) is None
    assert {each.why for each in losses(held)} == {"the day's result is not known, which counts as a loss beyond the limit"}
    assert held.built.engine.health.can_enable("loss.paper-a") == "the day's result or its limit is not known"
    held.go(2)
    assert held.built.engine.health.can_enable("loss.paper-a") is None, "known again, a person may"


def test_a_smaller_limit_of_safebroker_counts(desk_of):
    desk = desk_of(configured(more='[accounts.paper-a.safe]\ndaily_loss = "100"\n'))
    desk.go(2)
    desk.post(desk.alert())
    desk.go(2)

    far(desk, "4520")

    assert [each.account for each in losses(desk)] == ["paper-a"]
