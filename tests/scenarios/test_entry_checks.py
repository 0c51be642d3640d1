"""What an entry is asked, provoked from outside through the desk that `run` builds: by the market, the venue, other accounts."""

from decimal import Decimal

import msgspec
import pytest
from tests.scenarios.desk import configured

from interlock.brokers.paper.frames import DefinitionFrame
from interlock.model.ids import LaneName, StrategyName
from interlock.model.record import StrategyDisabled, StrategyEnabled
from interlock.model.verdict import Allow, Verdict
from interlock.model.view import Definition

BOTH = ("paper-a", "paper-b")


def entered(desk, **alert):
    """An alert to buy MES: the gate's answer by account."""
    reply = desk.post(desk.alert(**alert))
    assert reply.body["status"] == "accepted", reply.body
    return desk.codes(reply.signal_id)


def verdicts(desk, account="paper-a"):
    return [verdict for verdict in desk.entries(Verdict) if verdict.account == account]


def test_the_venue_has_told_what_is_traded(desk_of):
    desk = desk_of()
    assert entered(desk) == dict.fromkeys(BOTH, "cleared")

    assert verdicts(desk)[-1].view.definition == Definition(
        instrument="MES", tick=Decimal("0.25"), lot=Decimal(1), multiplier=Decimal(5), currency="USD")


@pytest.mark.parametrize(("told", "code"), [
    ({"multiplier": Decimal(50)}, "definition_differs"), ({"tick": Decimal("0.05")}, "definition_differs"),
    ({"currency": "EUR"}, "definition_differs"), ({"expiry": 1}, "expired"), ({"roll": 1}, "roll_block"),
])
def test_a_venue_that_defines_the_contract_otherwise_gets_no_entry(desk_of, told, code):
    desk = desk_of()
    ours = desk.paper.venue.definitions["MES"]
    desk.paper.venue.definitions["MES"] = msgspec.structs.replace(ours, **told)
    assert isinstance(ours, DefinitionFrame)
    desk.go(31)                                    # the next whole read

    assert entered(desk) == dict.fromkeys(BOTH, code)
    assert desk.order_bytes == 0


def test_an_entry_into_a_market_that_has_just_leapt_waits_a_minute(desk_of):
    desk = desk_of()
    desk.move("MES", "4700")                       # 3.3 % above 4550.125

    assert entered(desk) == dict.fromkeys(BOTH, "outside_price_window")
    desk.go(66)
    assert entered(desk) == dict.fromkeys(BOTH, "cleared")


def test_the_value_of_a_minute_counts_over_all_accounts_and_at_once(desk_of):
    # one MES is worth 4550.25 x 5 = 22751.25
    desk = desk_of(configured(more='all_value_per_minute = "45000"\n'))

    assert entered(desk) == {"paper-a": "cleared", "paper-b": "all_value_rate"}
    assert verdicts(desk, "paper-b")[-1].view.all_value_last_minute == Decimal("22751.25")
    assert verdicts(desk, "paper-b")[-1].view.account.value_last_minute == 0, "it was none of this account's"


def test_the_value_of_a_minute_survives_a_crash_and_ends_with_the_minute(desk_of):
    desk = desk_of(configured(more='value_per_minute = "22751.25"\n'))
    assert entered(desk) == dict.fromkeys(BOTH, "cleared")
    desk.go(2)
    desk.post(desk.alert("close"))
    desk.go(2)
    desk.crash()
    desk = desk.again()
    desk.go(2)
    assert entered(desk) == dict.fromkeys(BOTH, "value_rate")
    desk.go(61)

    assert entered(desk) == dict.fromkeys(BOTH, "cleared")
    desk.crash()


def test_an_entry_that_would_meet_another_account_of_ours_is_refused(desk_of):
    """One lane is long and offers its target; the spread widens over it, and the other lane would lift it."""
    desk = desk_of(configured(replace={'accounts = ["paper-a", "paper-b"]': 'accounts = ["paper-a"]'}, more=OTHER_LANE))
    desk.post(desk.alert("buy", target="4551"))
    desk.go(2)
    assert desk.positions() == {("paper-a", "MES"): ("1", "1")}
    desk.go(0.5, quotes=False)
    desk.quote("MES", "4550.75", spread_ticks=2)   # 4550.75 by 4551.25: nobody takes the offer at 4551 yet
    desk.settle()
    reply = desk.post(desk.alert("buy", lane="other", strategy="second", script="second-1"), lane="other")
    assert reply.body["status"] == "accepted", reply.body

    assert desk.codes(reply.signal_id) == {"paper-b": "self_trade"}


OTHER_LANE = """
[lanes.other]
accounts = ["paper-b"]
regime = "structure"
hook_token = "other_hook_token"
hook_secret = "other_hook_secret"

[[lanes.other.alerts]]
strategy = "second"
script_id = "second-1"
source_symbol = "MES1!"
symbol = "MES"
instrument = "MES"
exit_profile = "bracket"
"""


def test_a_strategy_that_is_off_enters_nothing_until_it_is_on(desk_of):
    desk = desk_of()
    desk.built.desk.turn(StrategyDisabled(LaneName("main"), StrategyName("demo"), "three rejects of one order"))
    desk.settle()
    assert entered(desk) == dict.fromkeys(BOTH, "order.strategy_off")

    desk.built.desk.turn(StrategyEnabled(LaneName("main"), StrategyName("demo")))
    desk.go(1)
    assert entered(desk) == dict.fromkeys(BOTH, "cleared")


class Sick:
    """A health room that says what a test wants."""

    def __init__(self, tier=0, offset=0):
        self._tier, self._offset = tier, offset

    def tier(self, _lane, _account):
        return self._tier, ("broker acknowledgements late",) if self._tier else ()

    def clock_offset(self):
        return self._offset


@pytest.mark.parametrize(("health", "code"), [
    (Sick(tier=3), "order.tier"), (Sick(tier=4), "order.tier"), (Sick(offset=None), "input_missing.clock_offset"),
    (Sick(offset=250_000_001), "clock_offset"), (Sick(offset=-250_000_000), "cleared"), (Sick(tier=0), "cleared"),
])
def test_the_health_of_the_desk_is_asked_on_the_wall_clock(desk_of, health, code):
    desk = desk_of()
    desk.built.engine.views.health = health

    assert entered(desk) == dict.fromkeys(BOTH, code)


class Slow:
    """A clock that says every check took a second, and what it was told of."""

    def __init__(self):
        self.at, self.told = 0, []

    def now(self):
        self.at += 1_000_000_000
        return self.at

    def slow(self, check, nanos):
        self.told.append(check)


def test_slow_checks_are_heard_of_and_their_answers_count(desk_of):
    desk = desk_of()
    desk.built.engine.watch = slow = Slow()

    assert entered(desk) == dict.fromkeys(BOTH, "cleared")
    asked = [answer.check for answer in verdicts(desk)[-1].answers if answer.check != "order.compose"]
    assert slow.told == asked * 2


def test_what_fifty_checks_saw_is_what_a_fresh_look_sees(desk_of):
    """The parts that judgements of one turn share are what each would find alone: the second account's view, built anew."""
    desk = desk_of()
    entered(desk)
    first, second = (next(verdict for verdict in desk.entries(Verdict) if verdict.account == name) for name in BOTH)

    assert first.view.all_notional == 0
    assert second.view.all_notional == Decimal("22750.625")          # one MES at the mid of 4550.125
    assert second.view.all_value_last_minute == Decimal("22751.25")  # and at the ask, which is what was cleared
    assert (first.view.all_orders_last_minute, second.view.all_orders_last_minute) == (0, 1)
    assert [answer.verdict for answer in first.answers if answer.check == "order.margin"] == [Allow({"margin": "not told"})]
