"""What a strategy may not go on doing by itself: being refused for one reason, entering one instrument. A person ends it."""

from typing import Any

import pytest
from tests.scenarios.desk import configured, fault

from interlock.config.schema import Gate
from interlock.errors import ConfigError
from interlock.model.command import Enable
from interlock.model.record import Attempt, StrategyDisabled, StrategyEnabled
from interlock.model.report import OrderRejected
from interlock.model.signal import Purpose

DEMO = "strategy.main.demo"


def shots(desk, count: int) -> list[dict[str, Any]]:
    """So many alerts, far enough apart for every other guard; the gate's answers."""
    answers = []
    for _ in range(count):
        reply = desk.post(desk.alert())
        desk.go(3)
        answers.append(desk.codes(reply.signal_id))
        desk.post(desk.alert("close"))
        desk.go(62)
    return answers


def test_a_strategy_that_is_rejected_for_one_reason_is_off_until_a_person_enables_it(desk_of):
    desk = desk_of(configured(more=fault("place", "reject", nth=0, reason="no margin for order 17")))
    answers = shots(desk, 4)

    off = desk.entries(StrategyDisabled)
    assert [(each.lane, each.strategy, each.code) for each in off] == [("main", "demo", "throttle.rejects")]
    assert len([each for each in desk.entries(OrderRejected) if each.account == "paper-a"]) >= 3
    assert set(answers[3].values()) == {"order.strategy_off"}
    sent = len(desk.entries(Attempt))
    desk.go(700)
    assert set(shots(desk, 1)[0].values()) == {"order.strategy_off"}, "time alone does not lift it"
    assert len(desk.entries(Attempt)) == sent

    assert desk.command(Enable(DEMO, desk.seen(DEMO)))["ok"]
    assert [(each.lane, each.strategy) for each in desk.entries(StrategyEnabled)] == [("main", "demo")]
    again = shots(desk, 4)
    assert set(again[0].values()) == {"cleared"}, "the count has begun anew"
    assert set(again[3].values()) == {"order.strategy_off"}


def test_different_reasons_do_not_add_up(desk_of):
    faults = [fault("place", "reject", nth=number, reason=f"reason {'abcdefgh'[number]}") for number in (1, 2, 3, 4, 5, 6)]
    desk = desk_of(configured(more="\n".join(faults)))
    shots(desk, 3)

    assert desk.entries(StrategyDisabled) == []


def test_too_many_entries_without_a_person_switch_the_strategy_off(desk_of):
    desk = desk_of(configured(replace={"[gate]\n": "[gate]\nexecutions_max = 2\n"}))
    answers = shots(desk, 3)

    assert [set(each.values()) for each in answers[:2]] == [{"cleared"}, {"cleared"}]
    assert set(answers[2].values()) == {"order.strategy_off"}
    assert {each.code for each in desk.entries(StrategyDisabled)} == {"throttle.executions"}
    assert desk.booked() == {}, "what it held it could leave"
    assert len([each for each in desk.entries(Attempt) if each.order.purpose is Purpose.ENTER]) == 4

    assert desk.command(Enable(DEMO, desk.seen(DEMO)))["ok"]
    assert set(shots(desk, 1)[0].values()) == {"cleared"}


def test_the_throttle_survives_a_crash(desk_of):
    desk = desk_of(configured(replace={"[gate]\n": "[gate]\nexecutions_max = 2\n"}))
    shots(desk, 1)
    desk.crash()
    desk = desk.again()
    desk.go(62)
    shots(desk, 1)

    assert {each.code for each in desk.entries(StrategyDisabled)} == {"throttle.executions"}
    desk.crash()


@pytest.mark.parametrize(("name", "value"), [("identical_rejects_max", 0), ("identical_rejects_max", 21), ("executions_max", 0),
                                             ("executions_max", 1_001), ("executions_minutes", 0)])
def test_a_throttle_cannot_be_switched_off(name, value):
    with pytest.raises(ConfigError, match=name):
        Gate(**{name: value})
